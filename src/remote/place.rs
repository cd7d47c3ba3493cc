//! Where a remote is, and what may be done with it.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;

use super::address::Namespace;
use super::error::RemoteError;
use crate::config;
pub use crate::config::Access;
use crate::fetch::{is_loopback, without_userinfo};

/// One remote of the user's configuration or environment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it is.
    pub place: Place,
    /// Whether it may be written to.
    pub access: Access,
    /// Whose records count.
    pub namespace: Namespace,
    /// Whether `http:` to another machine is accepted.
    pub allow_http: bool,
}

/// Where a remote is. No credential is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An S3-compatible store.
    S3(Bucket),
    /// Google Cloud Storage.
    Gcs(Bucket),
    /// Azure Blob Storage.
    Azure(Bucket),
    /// A server of Bazel's simple HTTP cache layout.
    Http(Url),
    /// A directory, such as a mounted share.
    Directory(PathBuf),
}

impl Place {
    /// What stands before every key of an object store; empty for others.
    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::S3(bucket) | Self::Gcs(bucket) | Self::Azure(bucket) => &bucket.prefix,
            Self::Http(_) | Self::Directory(_) => "",
        }
    }
}

/// A bucket or container of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What stands before every key, without slashes at its ends; may be empty.
    pub prefix: String,
}

impl Remote {
    /// Reads a remote of the configuration file.
    pub fn from_config(remote: &config::Remote) -> Result<Self, RemoteError> {
        let namespace = remote.namespace.get_ref().parse();
        let namespace = namespace.map_err(RemoteError::Namespace)?;
        Self::parse(
            remote.url.get_ref(),
            remote.access,
            namespace,
            remote.allow_http,
        )
    }

    /// Reads a remote's URL.
    ///
    /// Refused are userinfo (a password in a file or a process list), queries,
    /// and plain `http:` to another machine unless `allow_http`.
    pub fn parse(
        text: &str,
        access: Access,
        namespace: Namespace,
        allow_http: bool,
    ) -> Result<Self, RemoteError> {
        let refuse = |reason| RemoteError::Url {
            text: without_query(&without_userinfo(text)).to_owned(),
            reason,
        };
        let url = Url::parse(text.trim()).map_err(|_| refuse("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "credentials do not belong in a URL: set SYSROOT_REMOTE_TOKEN, or the variables of the store",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query or a fragment"));
        }
        let bucket = || bucket(&url).map_err(refuse);
        let place = match url.scheme() {
            "s3" => Place::S3(bucket()?),
            "gs" => Place::Gcs(bucket()?),
            "az" => Place::Azure(bucket()?),
            "file" => match url.to_file_path() {
                Ok(path) => Place::Directory(path),
                Err(()) => return Err(refuse("it names no directory of this machine")),
            },
            "http" if !allow_http && !is_loopback(&url) => {
                return Err(refuse(
                    "plain http to another machine needs `allow-http = true`",
                ));
            }
            "https" | "http" => Place::Http(url),
            _ => {
                return Err(refuse(
                    "only `s3:`, `gs:`, `az:`, `https:`, `http:` and `file:` are supported",
                ));
            }
        };
        Ok(Self {
            place,
            access,
            namespace,
            allow_http,
        })
    }

    /// An error if it is a directory that is not there. A share that is not
    /// mounted must not look like one that has nothing.
    pub(super) fn expect_there(&self) -> Result<(), RemoteError> {
        match &self.place {
            Place::Directory(root) if !root.is_dir() => Err(RemoteError::NoDirectory(root.clone())),
            _ => Ok(()),
        }
    }

    /// Whether it is reached without a network: a directory of this machine.
    pub fn is_directory(&self) -> bool {
        matches!(self.place, Place::Directory(_))
    }
}

/// The bucket and prefix of a URL such as `s3://bucket/some/prefix`.
fn bucket(url: &Url) -> Result<Bucket, &'static str> {
    let name = url.host_str().filter(|host| !host.is_empty());
    let name = name.ok_or("it names no bucket")?;
    if url.port().is_some() {
        return Err("a bucket has no port: the endpoint is set by the variables of the store");
    }
    let prefix = url.path().trim_matches('/');
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let parts_ok = prefix.is_empty()
        || prefix
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    if !prefix.chars().all(allowed) || !parts_ok {
        return Err("its prefix may have ASCII letters, digits, `.`, `_` and `-` only");
    }
    Ok(Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(bucket) => write!(f, "s3://{bucket}"),
            Self::Gcs(bucket) => write!(f, "gs://{bucket}"),
            Self::Azure(bucket) => write!(f, "az://{bucket}"),
            Self::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Directory(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.name, self.prefix)
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

/// The text before a query or a fragment, which may hold a signature.
fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Remote, RemoteError> {
        Remote::parse(text, Access::Read, Namespace::default(), false)
    }

    #[test]
    fn urls_are_read_and_shown_alike() {
        for text in [
            "s3://bucket",
            "s3://bucket/some/prefix",
            "gs://bucket/p",
            "az://container/p",
            "https://cache.example/team",
            "http://127.0.0.1:8080",
            "file:///srv/cache",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn urls_of_other_kinds_are_refused() {
        for text in [
            "",
            "bucket/prefix",
            "ftp://a.example",
            "s3://",
            "s3://bucket/a//b",
            "s3://bucket/a b",
            "s3://bucket:9000/x",
            "file://other-host/srv",
            "https://a.example/?token=x",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn case_135_userinfo_is_refused_and_not_repeated() {
        for text in [
            "https://a.example/x?sig=secret",
            "https://user@a.example/?secret",
            "nothing#secret",
            "https://user:secret@a.example",
            "https://secret@a.example",
            "s3://key:secret@bucket/x",
            "ftp://u:secret@x",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn case_136_plain_http_is_for_this_machine_unless_allowed() {
        assert!(parse("http://cache.example/x").is_err());
        assert!(parse("http://10.0.0.1/x").is_err());
        for local in ["http://localhost:1/", "http://127.0.0.2/", "http://[::1]/"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        let allowed = Remote::parse(
            "http://cache.example/x",
            Access::Read,
            Namespace::default(),
            true,
        );
        assert!(allowed.is_ok());
    }
}
