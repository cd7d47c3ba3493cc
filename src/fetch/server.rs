//! The dist server: where upstream's files, or a mirror of them, are.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::error::FetchError;
use crate::types::RelPath;

/// The root of a dist server, such as `https://static.rust-lang.org`.
///
/// Userinfo in the URL is kept apart: it is sent to this server only, and
/// appears in no message.
#[derive(Clone)]
pub struct DistServer(Kind);

#[derive(Clone)]
enum Kind {
    Http {
        /// Without userinfo, query and fragment.
        root: Url,
        credentials: Option<Credentials>,
    },
    File(PathBuf),
}

/// What a server wants to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// User name and password.
    Basic {
        user: String,
        password: Option<String>,
    },
    /// A token.
    Bearer(String),
}

impl Credentials {
    pub(super) fn attach(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, password.as_ref()),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// Where a file of the server is.
pub(super) enum Location {
    /// Behind HTTP.
    Http(Url),
    /// On this machine.
    File(PathBuf),
}

impl DistServer {
    /// Reads a server from an `https:`, `http:` or `file:` URL.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let refuse = |reason| FetchError::Server {
            text: without_userinfo(text),
            reason,
        };
        let mut url = Url::parse(text.trim()).map_err(|_| refuse("it is not a URL"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query or a fragment"));
        }
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self(Kind::File(path))),
                Err(()) => Err(refuse("it names no directory of this machine")),
            },
            "https" | "http" => {
                let credentials = take_credentials(&mut url).map_err(refuse)?;
                if credentials.is_some() && url.scheme() == "http" && !is_loopback(&url) {
                    return Err(refuse("a password would be sent without encryption"));
                }
                Ok(Self(Kind::Http {
                    root: url,
                    credentials,
                }))
            }
            _ => Err(refuse(
                "only `https:`, `http:` and `file:` servers are supported",
            )),
        }
    }

    /// A server that is a directory.
    pub fn directory(path: &Path) -> Self {
        Self(Kind::File(path.to_owned()))
    }

    /// An HTTP server that is shown these credentials. The caller has checked
    /// that they do not cross a network in the clear.
    pub(crate) fn http(root: Url, credentials: Option<Credentials>) -> Self {
        Self(Kind::Http { root, credentials })
    }

    /// Whether it is a directory of this machine.
    pub fn is_file(&self) -> bool {
        self.local_directory().is_some()
    }

    /// The directory of this machine that it is, if it is one.
    pub fn local_directory(&self) -> Option<&Path> {
        match &self.0 {
            Kind::File(path) => Some(path),
            Kind::Http { .. } => None,
        }
    }

    /// Whether its bytes do not cross a network: a directory, or loopback.
    pub fn is_local(&self) -> bool {
        match &self.0 {
            Kind::File(_) => true,
            Kind::Http { root, .. } => is_loopback(root),
        }
    }

    /// Where the file of this path is.
    pub(super) fn locate(&self, path: &RelPath) -> Location {
        match &self.0 {
            Kind::File(root) => Location::File(path.below(root)),
            Kind::Http { root, .. } => {
                let mut url = root.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    // Each component is escaped: `#` and `%` stay part of the name.
                    segments.pop_if_empty().extend(path.components());
                }
                Location::Http(url)
            }
        }
    }

    /// What to show to the server itself and to nobody else.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        match &self.0 {
            Kind::Http { credentials, .. } => credentials.as_ref(),
            Kind::File(_) => None,
        }
    }
}

impl std::fmt::Display for DistServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Http { root, .. } => f.write_str(root.as_str().trim_end_matches('/')),
            Kind::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl std::fmt::Debug for DistServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DistServer({self})")
    }
}

/// Moves user name and password out of a URL, percent-decoded.
fn take_credentials(url: &mut Url) -> Result<Option<Credentials>, &'static str> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| percent_decode(text).ok_or("its userinfo is not UTF-8");
    let credentials = Credentials::Basic {
        user: decode(url.username())?,
        password: url.password().map(decode).transpose()?,
    };
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| "its userinfo cannot be read")?;
    Ok(Some(credentials))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|p| std::str::from_utf8(p).ok());
        let value = pair.and_then(|p| u8::from_str_radix(p, 16).ok());
        if let (b'%', Some(value)) = (first, value) {
            bytes.push(value);
            rest = tail.get(2..)?;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A text that may be a URL, fit for a message: userinfo, also of a malformed
/// URL, is left out.
pub(crate) fn without_userinfo(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{}", shown.chars().take(200).collect::<String>())
        .escape_debug()
        .to_string()
}

/// A URL fit for a message: no userinfo, and no query, which may be a token.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().chars().take(400).collect()
}

/// Whether a URL leads to this machine, by a name or address that says so.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(server: &str, path: &str) -> String {
        let server = DistServer::parse(server).unwrap();
        match server.locate(&path.parse().unwrap()) {
            Location::Http(url) => url.to_string(),
            Location::File(path) => path.display().to_string(),
        }
    }

    #[test]
    fn paths_are_joined_below_the_root_and_escaped() {
        for (server, path, expected) in [
            ("https://a.example", "dist/x", "https://a.example/dist/x"),
            (
                "https://a.example/m/",
                "dist/x",
                "https://a.example/m/dist/x",
            ),
            (
                "https://a.example/m",
                "x%2e#y",
                "https://a.example/m/x%252e%23y",
            ),
            ("file:///srv/mirror", "dist/x", "/srv/mirror/dist/x"),
        ] {
            assert_eq!(url(server, path), expected);
        }
    }

    #[test]
    fn servers_of_other_kinds_are_refused() {
        for bad in [
            "",
            "static.example.org",
            "ftp://a.example",
            "data:text/plain,x",
            "https://",
            "https://a.example/?x=1",
            "https://a.example/#x",
            "file://other-host/srv",
            "http://user:secret@a.example",
        ] {
            assert!(DistServer::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn case_011_userinfo_is_kept_apart_and_never_shown() {
        let server = DistServer::parse("https://user:s%65cret@a.example/x").unwrap();
        assert_eq!(server.to_string(), "https://a.example/x");
        assert!(!format!("{server:?}").contains("cret"));
        let expected = Credentials::Basic {
            user: "user".to_owned(),
            password: Some("secret".to_owned()),
        };
        assert!(server.credentials() == Some(&expected));
        for bad in [
            "ftp://u:secret@a.example",
            "http://u:secret@a.example",
            "u:secret@x",
        ] {
            let error = DistServer::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
