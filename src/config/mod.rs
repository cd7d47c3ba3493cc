//! The user's configuration: `config.toml` in the platform's configuration
//! directory, or what `SYSROOT_CONFIG` names.
//!
//! Servers, remotes, keys and policy come from here and from the environment,
//! never from a repository. Text in, value out; the caller finds the file.

mod duration;
mod size;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::document::Document;
pub use crate::document::Fault;
pub use duration::Age;
pub use size::Size;

/// The largest configuration file we read.
pub const MAX_SIZE: u64 = 1 << 20;

/// What a user's configuration file says; every part has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Config {
    /// Where upstream's archives come from.
    pub dist: Dist,
    /// The local cache.
    pub cache: Cache,
    /// Remotes in the order they are asked.
    pub remotes: Vec<Remote>,
    /// Whose compiled trees are accepted.
    pub trust: Trust,
}

/// Where upstream's archives come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Dist {
    /// Dist servers in the order they are asked; the environment's goes first.
    /// Without any, upstream's own is asked.
    pub servers: Vec<String>,
    /// What to do about upstream's signature of the channel manifest.
    pub signature: SignaturePolicy,
    /// Armored public OpenPGP keys whose signatures count beside Rust's own:
    /// those of private dist servers. Relative paths start at the
    /// configuration file.
    pub signing_keys: Vec<PathBuf>,
    /// How old a channel manifest may be when a lock is made from it.
    pub max_age: Option<Age>,
}

/// What to do about a signature at lock time. A signature that is there and
/// wrong is an error under every policy but `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignaturePolicy {
    /// A manifest without one is refused.
    Require,
    /// It is checked where the server has one, and its absence recorded.
    #[default]
    Prefer,
    /// It is not asked for.
    Off,
}

/// The local cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Cache {
    /// How large it may grow before the least recently used trees go.
    pub max_size: Option<Size>,
    /// How long an unused tree stays.
    pub max_age: Option<Age>,
    /// Whether a sync collects garbage once a day.
    pub collect: Collect,
    /// Whether a directory that other users of one group write to is used.
    pub share: Share,
}

/// When garbage is collected without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collect {
    /// After the day's first successful sync.
    #[default]
    Daily,
    /// Only by `sysroot cache gc`.
    Never,
}

/// Who may write to the cache directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// Only the user.
    #[default]
    Private,
    /// Everybody in the directory's group, who are trusted with what the
    /// user's builds consist of.
    Group,
}

/// A place that many machines share trees through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Remote {
    /// `s3://bucket/prefix`, `gs://`, `az://`, `http(s)://` or `file://`.
    pub url: Spanned<String>,
    /// Whether `cache push` may write to it.
    #[serde(default)]
    pub access: Access,
    /// Records of another namespace are misses: a changed one empties it.
    #[serde(default = "no_namespace")]
    pub namespace: Spanned<String>,
    /// Accepts `http://` to a host that is not this machine.
    #[serde(default)]
    pub allow_http: bool,
}

fn no_namespace() -> Spanned<String> {
    Spanned::new(0..0, String::new())
}

/// What may be done with a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Only looked up.
    #[default]
    Read,
    /// Also written to by `cache push` and `cache warm`.
    ReadWrite,
}

/// Whose compiled trees are accepted without a pin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Trust {
    /// Public keys as `sysroot cache keygen` prints them.
    pub keys: Vec<Spanned<String>>,
}

impl Config {
    /// Parses a configuration file's text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Fault> {
        Document::new(file, text).parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = r#"
            [dist]
            servers = ["https://mirror.example"]
            signature = "require"
            signing-keys = ["keys/mirror.asc"]
            max-age = "10d"
            [cache]
            max-size = "20G"
            max-age = "90d"
            collect = "never"
            share = "group"
            [[remotes]]
            url = "s3://bucket/prefix"
            access = "read-write"
            namespace = "2026"
            allow-http = true
            [trust]
            keys = ["ed25519:AAAA"]
        "#;
        let config = Config::parse(text, Path::new("config.toml")).unwrap();
        assert_eq!(config.dist.signature, SignaturePolicy::Require);
        assert_eq!(config.dist.signing_keys, [Path::new("keys/mirror.asc")]);
        assert_eq!(config.cache.max_size, Some(Size(20 << 30)));
        assert_eq!(config.cache.max_age, Some(Age::days(90)));
        assert_eq!(config.cache.share, Share::Group);
        assert_eq!(config.remotes[0].access, Access::ReadWrite);
        assert_eq!(
            Config::parse("", Path::new("c")).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn the_documented_example_is_a_configuration_with_every_key() {
        let page = include_str!("../../docs/configuration.md");
        let text = page.split("```").nth(1).unwrap();
        let text = text.strip_prefix("toml").unwrap();
        let config = Config::parse(text, Path::new("config.toml")).unwrap();
        let Config {
            dist:
                Dist {
                    servers,
                    signature,
                    signing_keys,
                    max_age,
                },
            cache,
            remotes,
            trust,
        } = config;
        assert!(!servers.is_empty() && !signing_keys.is_empty() && max_age.is_some());
        assert_eq!(signature, SignaturePolicy::Require);
        assert!(cache.max_size.is_some() && cache.max_age.is_some());
        assert!(!remotes.is_empty() && !trust.keys.is_empty());
        // Each key has a row of its own, too.
        for line in text.lines().filter(|line| line.contains(" = ")) {
            let key = line.split(" = ").next().unwrap();
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn case_149_an_unknown_key_is_an_error_at_its_place() {
        let fault = Config::parse("[cache]\nmax-sise = 1\n", Path::new("c.toml")).unwrap_err();
        assert_eq!((fault.line(), fault.column()), (2, 1));
        assert!(fault.message().contains("max-sise"), "{fault}");
        assert_eq!(fault.hint(), Some("did you mean `max-size`?"));
        let fault = Config::parse("[dist]\nsignature = \"requre\"\n", Path::new("c")).unwrap_err();
        assert_eq!(fault.hint(), Some("did you mean `require`?"));
        assert_eq!(
            fault.message(),
            "`requre` is none of `require`, `prefer`, `off`"
        );
    }

    #[test]
    fn one_table_where_several_are_meant_is_told_in_words() {
        let text = "[remotes]\nurl = \"s3://a\"\n";
        let fault = Config::parse(text, Path::new("c")).unwrap_err();
        assert_eq!(fault.message(), "expected a list, found a table");
        assert_eq!((fault.line(), fault.column()), (1, 1));
        let hint = "each entry has a table of its own: `[[remotes]]`";
        assert_eq!(fault.hint(), Some(hint));
        let fault = Config::parse("[[remotes]]\n", Path::new("c")).unwrap_err();
        assert_eq!(fault.message(), "the key `url` is missing");
    }
}
