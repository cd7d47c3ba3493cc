//! Target names: a built-in triple, or the file stem of a custom target spec.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a target, safe to use as a directory name and an argument.
///
/// It is what stands below `lib/rustlib/`: a triple that rustc knows, such as
/// `thumbv7em-none-eabihf`, or the file stem of a target spec.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Triple(String);

/// Why a text is no target name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a target name: {reason}", .name.escape_debug())]
pub struct TripleError {
    /// The text as found.
    pub name: String,
    /// The rule it breaks.
    pub reason: &'static str,
}

/// The longest accepted name, in bytes; rustc's own longest has 36.
const MAX_LEN: usize = 128;

impl Triple {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Triple {
    type Err = TripleError;

    fn from_str(name: &str) -> Result<Self, TripleError> {
        let fail = |reason| {
            Err(TripleError {
                name: name.chars().take(MAX_LEN).collect(),
                reason,
            })
        };
        if name.is_empty() {
            return fail("it is empty");
        }
        if name.len() > MAX_LEN {
            return fail("it is longer than 128 bytes");
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            return fail("only ASCII letters, digits, `-`, `_` and `.` are allowed");
        }
        if !name.as_bytes()[0].is_ascii_alphanumeric() {
            return fail("it must start with a letter or digit");
        }
        if name.ends_with('.') {
            return fail("it must not end with a dot");
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Serialize for Triple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Triple {
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
    fn case_039_names_that_could_be_paths_or_flags_are_refused() {
        for bad in [
            "",
            "../x",
            "/x",
            "a b",
            "-x",
            ".x",
            "x.",
            "a\0b",
            "é",
            &"a".repeat(300),
        ] {
            assert!(bad.parse::<Triple>().is_err(), "{bad:?}");
        }
        for good in [
            "x86_64-unknown-linux-gnu",
            "thumbv8m.main-none-eabi",
            "my-os",
        ] {
            assert!(good.parse::<Triple>().is_ok(), "{good:?}");
        }
    }
}
