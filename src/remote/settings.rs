//! What the user's environment and configuration say about remotes.

use std::collections::BTreeMap;
use std::str::FromStr;

use reqwest::Url;

use super::error::RemoteError;
use super::place::{Access, Place, Remote};
use super::sign::PublicKey;
use crate::config::Config;
use crate::fetch::{Credentials, is_loopback};

/// Remotes, keys and credentials. Not shown in any output: there is no `Debug`.
#[derive(Clone, Default)]
pub struct RemoteSettings {
    /// In the order they are asked.
    pub remotes: Vec<Remote>,
    /// Whose records are accepted without a pin.
    pub keys: Vec<PublicKey>,
    /// Credentials of HTTP servers.
    pub tokens: Tokens,
    /// The variables of the object stores, such as `AWS_REGION`.
    pub environment: Vec<(String, String)>,
}

impl RemoteSettings {
    /// Joins the configuration file with the environment.
    ///
    /// `urls` is the value of `SYSROOT_REMOTE`: remotes separated by commas or
    /// spaces, which are asked before those of the file and have `access`. One
    /// that the file has, too, keeps what else the file says about it.
    pub fn new(
        config: &Config,
        urls: Option<&str>,
        access: Access,
        tokens: Tokens,
        environment: Vec<(String, String)>,
    ) -> Result<Self, RemoteError> {
        let mut configured = Vec::new();
        for remote in &config.remotes {
            configured.push(Remote::from_config(remote)?);
        }
        let mut remotes = Vec::new();
        let separators = |c: char| c == ',' || c.is_whitespace();
        let urls = urls.unwrap_or_default().split(separators);
        for url in urls.filter(|url| !url.is_empty()) {
            // Whether plain http is allowed is the file's to say.
            let known = |remote: &Remote| remote.to_string() == url.trim_end_matches('/');
            let known = configured.iter().position(known);
            let mut remote = match known {
                Some(at) => configured.remove(at),
                None => Remote::parse(url, access, super::Namespace::default(), false)?,
            };
            if access == Access::ReadWrite {
                remote.access = access;
            }
            remotes.push(remote);
        }
        remotes.extend(configured);
        for remote in &remotes {
            tokens.for_remote(remote)?;
        }
        let keys = config.trust.keys.iter().map(|key| key.get_ref().parse());
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            remotes,
            tokens,
            environment,
        })
    }

    /// The remotes that may be written to.
    pub fn writable(&self) -> impl Iterator<Item = &Remote> {
        let writable = |remote: &&Remote| remote.access == Access::ReadWrite;
        self.remotes.iter().filter(writable)
    }
}

/// Credentials of HTTP servers, each for one host only.
#[derive(Clone, Default)]
pub struct Tokens(BTreeMap<String, Credentials>);

/// The value of `SYSROOT_REMOTE_TOKEN` is not `HOST=TOKEN`. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST=TOKEN or HOST=USER:PASSWORD, several of them separated by spaces")]
pub struct TokenError;

impl FromStr for Tokens {
    type Err = TokenError;

    /// Reads `HOST[:PORT]=TOKEN` or `HOST[:PORT]=USER:PASSWORD`, separated by
    /// white space.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut tokens = BTreeMap::new();
        for item in text.split_whitespace() {
            let (host, secret) = item.split_once('=').ok_or(TokenError)?;
            let printable = secret.bytes().all(|b| b.is_ascii_graphic());
            if host.is_empty() || secret.is_empty() || !printable {
                return Err(TokenError);
            }
            let credentials = match secret.split_once(':') {
                Some((user, password)) => Credentials::Basic {
                    user: user.to_owned(),
                    password: Some(password.to_owned()),
                },
                None => Credentials::Bearer(secret.to_owned()),
            };
            tokens.insert(host.to_ascii_lowercase(), credentials);
        }
        Ok(Self(tokens))
    }
}

impl Tokens {
    /// What this remote is shown: its host and port must be the ones named,
    /// and the connection encrypted or inside this machine.
    pub(super) fn for_remote(&self, remote: &Remote) -> Result<Option<Credentials>, RemoteError> {
        let Place::Http(url) = &remote.place else {
            return Ok(None);
        };
        let Some(found) = self.0.get(&authority(url)) else {
            return Ok(None);
        };
        if url.scheme() == "http" && !is_loopback(url) {
            return Err(RemoteError::Credentials {
                remote: remote.to_string(),
                reason: "they would be sent without encryption",
            });
        }
        Ok(Some(found.clone()))
    }
}

/// `host` or `host:port` as a URL has it; a scheme's own port is left out.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Namespace;

    fn remote(url: &str) -> Remote {
        Remote::parse(url, Access::Read, Namespace::default(), true).unwrap()
    }

    #[test]
    fn case_135_a_token_is_for_its_host_and_port_only() {
        let tokens: Tokens = "a.example=T0KEN b.example:8443=user:pass 127.0.0.1:80=x"
            .parse()
            .unwrap();
        let shown = |url: &str| tokens.for_remote(&remote(url)).unwrap().is_some();
        assert!(shown("https://a.example/x"));
        assert!(shown("https://A.example:443/x"));
        assert!(shown("https://b.example:8443/"));
        assert!(!shown("https://a.example:8443/x"));
        assert!(!shown("https://b.example/x"));
        assert!(!shown("https://x.a.example/x"));
        assert!(!shown("https://a.example.evil/x"));
        assert!(!shown("s3://a.example"));
    }

    #[test]
    fn case_136_no_token_goes_over_plain_http() {
        let tokens: Tokens = "a.example=T0KEN 127.0.0.1:99=T0KEN".parse().unwrap();
        let error = tokens.for_remote(&remote("http://a.example/x"));
        let error = error.err().unwrap().to_string();
        assert!(error.contains("without encryption"), "{error}");
        assert!(!error.contains("T0KEN"), "{error}");
        let local = tokens.for_remote(&remote("http://127.0.0.1:99/x"));
        assert!(local.unwrap().is_some());
    }

    #[test]
    fn texts_that_are_no_tokens_are_refused_and_not_repeated() {
        for bad in ["secret", "=secret", "host=", "host=a\u{e9}b"] {
            let error = bad.parse::<Tokens>().err().unwrap().to_string();
            assert!(!error.contains("secret"), "{bad}");
        }
        assert!("".parse::<Tokens>().is_ok());
    }

    #[test]
    fn the_environments_remotes_go_first_and_keep_what_the_file_says() {
        let text = r#"
            [[remotes]]
            url = "s3://one"
            access = "read-write"
            [[remotes]]
            url = "https://two.example/x"
            namespace = "n"
        "#;
        let config = Config::parse(text, std::path::Path::new("c")).unwrap();
        let new = |urls: &str, access| {
            let urls = (!urls.is_empty()).then_some(urls);
            RemoteSettings::new(&config, urls, access, Tokens::default(), Vec::new()).unwrap()
        };
        let names = |s: &RemoteSettings| -> Vec<String> {
            s.remotes.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            names(&new("", Access::Read)),
            ["s3://one", "https://two.example/x"]
        );
        let joined = new("https://two.example/x/,gs://three", Access::Read);
        assert_eq!(
            names(&joined),
            ["https://two.example/x", "gs://three", "s3://one"]
        );
        assert_eq!(joined.remotes[0].namespace.as_str(), "n");
        assert_eq!(joined.writable().count(), 1);
        assert_eq!(new("gs://three", Access::ReadWrite).writable().count(), 2);
    }
}
