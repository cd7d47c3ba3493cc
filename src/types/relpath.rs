//! Relative paths from archives, manifests and listings.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A relative path that is safe to join below a directory on any system.
///
/// It has at least one component, uses `/`, and no component is empty, `.`,
/// `..`, reserved on another system, or longer than 255 bytes.
///
/// Copies share the text: a tree may have a quarter of a million paths, and
/// several places hold them at once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<str>);

/// Why a text is no safe relative path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{}` is refused: {reason}", .path.escape_debug())]
pub struct RelPathError {
    /// The path as found, shortened.
    pub path: String,
    /// The rule it breaks.
    pub reason: &'static str,
}

/// The longest accepted path, in bytes.
const MAX_PATH: usize = 1024;
/// The longest accepted component, in bytes.
const MAX_COMPONENT: usize = 255;
/// The deepest accepted nesting.
const MAX_DEPTH: usize = 64;

impl RelPath {
    /// Reads a path from bytes, which must be UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RelPathError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(_) => Err(RelPathError {
                path: String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned(),
                reason: "it is not UTF-8",
            }),
        }
    }

    /// The path as text, with `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first; never empty.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The path below `base`.
    pub fn below(&self, base: &Path) -> PathBuf {
        base.join(&*self.0)
    }

    /// The path of the containing directory; `None` at the top.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// What remains after `prefix/`, if the path lies below it.
    pub fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(prefix)?.strip_prefix('/')?;
        (!rest.is_empty()).then(|| Self(rest.into()))
    }

    /// The form under which two names that some system cannot tell apart are
    /// equal.
    pub fn case_folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// Compares two paths by their case-folded form, without making it; parts of
/// paths that end before a `/` may be compared too.
pub(super) fn compare_folded(a: &str, b: &str) -> Ordering {
    let fold = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(fold).cmp(b.bytes().map(fold))
}

fn component_fault(component: &str) -> Option<&'static str> {
    const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];
    if component.is_empty() {
        return Some("it has an empty component: a `/` at its end, or two together");
    }
    if component == "." || component == ".." {
        return Some("it has a `.` or `..` component");
    }
    if component.len() > MAX_COMPONENT {
        return Some("a component is longer than 255 bytes");
    }
    if component.ends_with(['.', ' ']) {
        return Some("a component ends with a dot or space, which Windows drops");
    }
    let stem = component
        .split('.')
        .next()
        .unwrap_or(component)
        .to_ascii_lowercase();
    let numbered = stem.len() == 4
        && (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.as_bytes()[3].is_ascii_digit();
    if numbered || RESERVED.contains(&stem.as_str()) {
        return Some("a component is a device name on Windows");
    }
    None
}

impl FromStr for RelPath {
    type Err = RelPathError;

    fn from_str(path: &str) -> Result<Self, RelPathError> {
        let fail = |reason| {
            Err(RelPathError {
                path: path.chars().take(200).collect(),
                reason,
            })
        };
        if path.is_empty() {
            return fail("it is empty");
        }
        if path.starts_with('/') {
            return fail("it is absolute");
        }
        if path.len() > MAX_PATH {
            return fail("it is longer than 1024 bytes");
        }
        // Non-ASCII names have several spellings (Unicode normalisation) that
        // some file systems take for one; upstream ships none.
        if !path.is_ascii() {
            return fail("it has a character outside ASCII");
        }
        if path.bytes().any(|b| b.is_ascii_control()) {
            return fail("it has a control character");
        }
        if path
            .bytes()
            .any(|b| matches!(b, b'\\' | b':' | b'*' | b'?' | b'"' | b'<' | b'>' | b'|'))
        {
            return fail("it has a character that some system reserves");
        }
        if path.split('/').count() > MAX_DEPTH {
            return fail("it is nested deeper than 64 directories");
        }
        match path.split('/').find_map(component_fault) {
            Some(reason) => fail(reason),
            None => Ok(Self(path.into())),
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_by_their_folded_form() {
        let paths = ["a", "A/b", "a/B", "a-b", "ab", "aB/c", "_", "Z", "z/", ""];
        for a in paths {
            for b in paths {
                let folded = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
                assert_eq!(compare_folded(a, b), folded, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn case_054_and_070_unsafe_paths_are_refused() {
        let long = "a/".repeat(2000);
        let deep = ["a"; 70].join("/");
        let component = "a".repeat(256);
        for bad in [
            "",
            ".",
            "..",
            "/",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../../b",
            "a/./b",
            "a\0b",
            "a\nb",
            "a\x1bb",
            "a\\b",
            "C:a",
            "CON",
            "con.txt",
            "lib/NUL",
            "com1",
            "LPT9.x",
            "a.",
            "a ",
            "caf\u{e9}",
            &long,
            &deep,
            &component,
        ] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
        assert!(RelPath::from_bytes(b"a\xff").is_err());
        for good in [
            "a",
            "lib/rustlib/etc/x.py",
            "lib/libcore-0f.rlib",
            "a/.cargo/config.toml",
        ] {
            assert!(good.parse::<RelPath>().is_ok(), "{good:?}");
        }
    }
}
