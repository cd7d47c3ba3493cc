//! The channel manifest's tables, every value checked as it is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::channel_manifest::Package;
use crate::lock::{LockedArchive, LockedComponent};
use crate::types::{ComponentName, Date, RelPath, Sha256, Triple};

/// The longest accepted URL, in bytes.
const MAX_URL: usize = 2048;
/// The longest accepted version, in bytes.
const MAX_VERSION: usize = 256;

/// Leaves out the tables below `pkg.rust`: four fifths of the file, lists of
/// what the other packages say. What remains is read in half the time.
pub(super) fn without_lists(text: &str) -> Cow<'_, str> {
    // A header inside a multi-line string is none; upstream writes no such
    // string, so a text with one is read whole.
    if text.contains("\"\"\"") || text.contains("'''") {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() / 2);
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        if start.starts_with('[') {
            inside = start.starts_with("[pkg.rust.") || start.starts_with("[[pkg.rust.");
        }
        if !inside {
            kept.push_str(line);
        }
    }
    Cow::Owned(kept)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Raw {
    #[expect(dead_code, reason = "reading it checks it")]
    manifest_version: Version2,
    pub(super) date: Date,
    pub(super) pkg: Packages,
    #[serde(default)]
    pub(super) renames: BTreeMap<ComponentName, Rename>,
}

#[derive(Deserialize)]
pub(super) struct Rename {
    pub(super) to: ComponentName,
}

struct Version2;

impl<'de> Deserialize<'de> for Version2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = String::deserialize(deserializer)?;
        if version == "2" {
            return Ok(Self);
        }
        let version = crate::document::shorten(&version);
        Err(D::Error::custom(format!(
            "manifest version `{version}` is not known; expected `2`"
        )))
    }
}

/// All packages but `rust`, whose lists of the others are four fifths of the
/// file.
pub(super) struct Packages(pub(super) BTreeMap<ComponentName, Package>);

impl<'de> Deserialize<'de> for Packages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PackagesVisitor).map(Self)
    }
}

struct PackagesVisitor;

impl<'de> Visitor<'de> for PackagesVisitor {
    type Value = BTreeMap<ComponentName, Package>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut packages = BTreeMap::new();
        while let Some(name) = entries.next_key::<ComponentName>()? {
            if name.as_str() == "rust" {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: RawPackage = entries.next_value()?;
            packages.insert(
                name,
                Package {
                    version: raw.version.0,
                    commit: raw.git_commit_hash.map(|commit| commit.0),
                    targets: raw.target.0,
                },
            );
        }
        Ok(packages)
    }
}

#[derive(Deserialize)]
struct RawPackage {
    version: VersionText,
    git_commit_hash: Option<Commit>,
    #[serde(default)]
    target: Targets,
}

struct VersionText(String);

impl<'de> Deserialize<'de> for VersionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() <= MAX_VERSION && !text.chars().any(char::is_control) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(format!(
            "a version is at most {MAX_VERSION} bytes without control characters"
        )))
    }
}

struct Commit(String);

impl<'de> Deserialize<'de> for Commit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 40 && text.bytes().all(hex) {
            return Ok(Self(text));
        }
        let text = crate::document::shorten(&text);
        Err(D::Error::custom(format!("`{text}` is not a commit hash")))
    }
}

#[derive(Default)]
struct Targets(BTreeMap<Option<Triple>, Option<LockedComponent>>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TargetsVisitor).map(Self)
    }
}

struct TargetsVisitor;

impl<'de> Visitor<'de> for TargetsVisitor {
    type Value = BTreeMap<Option<Triple>, Option<LockedComponent>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of targets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut targets = BTreeMap::new();
        while let Some(TargetKey(key)) = entries.next_key()? {
            targets.insert(key, entries.next_value_seed(ArchiveSeed)?);
        }
        Ok(targets)
    }
}

struct TargetKey(Option<Triple>);

impl<'de> Deserialize<'de> for TargetKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "*" {
            return Ok(Self(None));
        }
        text.parse().map(Some).map(Self).map_err(D::Error::custom)
    }
}

struct ArchiveSeed;

impl<'de> DeserializeSeed<'de> for ArchiveSeed {
    type Value = Option<LockedComponent>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let raw = RawArchive::deserialize(deserializer)?;
        if !raw.available {
            return Ok(None);
        }
        let pair = |url: Option<ServerPath>, hash: Option<Hash>| match (url, hash) {
            (Some(ServerPath(path)), Some(Hash(sha256))) => {
                Ok(Some(LockedArchive { path, sha256 }))
            }
            (None, None) => Ok(None),
            _ => Err(D::Error::custom("an archive's URL and hash go together")),
        };
        let component = LockedComponent {
            xz: pair(raw.xz_url, raw.xz_hash)?,
            gz: pair(raw.url, raw.hash)?,
        };
        if component.hashes().is_empty() {
            return Err(D::Error::custom("available, but without URL and hash"));
        }
        Ok(Some(component))
    }
}

#[derive(Deserialize)]
struct RawArchive {
    available: bool,
    url: Option<ServerPath>,
    hash: Option<Hash>,
    xz_url: Option<ServerPath>,
    xz_hash: Option<Hash>,
}

struct Hash(Sha256);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Sha256::from_hex(&text).map(Self).map_err(|_| {
            D::Error::custom(format!(
                "`{}` is not 64 lower-case hexadecimal digits",
                crate::document::shorten(&text)
            ))
        })
    }
}

/// What follows the server in an archive's URL; the server is the user's to
/// choose, so the manifest's is dropped.
struct ServerPath(RelPath);

impl<'de> Deserialize<'de> for ServerPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        server_path(&url).map(Self).map_err(|reason| {
            let url = crate::document::shorten(&url);
            D::Error::custom(format!("the URL `{url}` is refused: {reason}"))
        })
    }
}

fn server_path(url: &str) -> Result<RelPath, String> {
    if url.len() > MAX_URL {
        return Err(format!("it is longer than {MAX_URL} bytes"));
    }
    let refused = |c: char| !c.is_ascii_graphic() || "@?#%\\".contains(c);
    if url.contains(refused) {
        return Err(
            "it has a character outside plain URLs, user information, a query, a fragment \
                    or an escape"
                .to_owned(),
        );
    }
    let Some((_, rest)) = ["https", "http", "file"]
        .iter()
        .find_map(|scheme| url.split_once("://").filter(|(found, _)| found == scheme))
    else {
        return Err("it is not `https://`, `http://` or `file://`".to_owned());
    };
    let Some(at) = rest.rfind("/dist/") else {
        return Err("it has no `/dist/`".to_owned());
    };
    let path = rest.get(at + 1..).unwrap_or_default();
    if rest.split('/').any(|part| part == "..") {
        return Err("it has a `..` component".to_owned());
    }
    path.parse::<RelPath>()
        .map_err(|error| error.reason.to_owned())
}
