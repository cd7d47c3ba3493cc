//! Digests: 32 bytes inside, hex at the border, one type for each meaning.
//!
//! SHA-256 is what upstream publishes for its archives; BLAKE3 is what we
//! address our own trees, files and recipes by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text lacks the algorithm's name, such as `blake3:`.
    #[error("digest `{}` lacks the prefix `{prefix}`", .text.escape_debug())]
    Prefix {
        /// The text as found.
        text: String,
        /// The prefix that was expected.
        prefix: &'static str,
    },
    /// The text is not exactly 64 lower-case hexadecimal digits.
    #[error("`{}` is not 64 lower-case hexadecimal digits", .text.escape_debug())]
    Hex {
        /// The text as found.
        text: String,
    },
}

/// Writes 32 bytes as 64 lower-case hexadecimal digits.
fn to_hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(64);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// Reads 64 lower-case hexadecimal digits; anything else is `None`.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// What stands before the hexadecimal digits when it is printed.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps the 32 bytes of a finished hash.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 64 hexadecimal digits without prefix, as used in file names.
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }

            /// Reads 64 lower-case hexadecimal digits without prefix.
            pub fn from_hex(text: &str) -> Result<Self, DigestError> {
                from_hex(text).map(Self).ok_or_else(|| DigestError::Hex { text: text.to_owned() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}{})", stringify!($name), Self::PREFIX, to_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let hex = text.strip_prefix(Self::PREFIX).ok_or_else(|| DigestError::Prefix {
                    text: text.to_owned(),
                    prefix: Self::PREFIX,
                })?;
                Self::from_hex(hex)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest!(
    /// SHA-256 of an archive or channel manifest, as upstream publishes it.
    Sha256,
    "sha256:"
);
digest!(
    /// SHA-256 of a custom target spec's raw bytes, which are what rustc hashes.
    SpecDigest,
    "sha256:"
);
digest!(
    /// BLAKE3 of one file's content.
    FileDigest,
    "blake3:"
);
digest!(
    /// BLAKE3 of a tree's canonical listing; the address of a stored tree.
    TreeDigest,
    "blake3:"
);
digest!(
    /// BLAKE3 of everything that determines a compiled target.
    RecipeKey,
    "blake3:"
);

impl FileDigest {
    /// Hashes bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl Sha256 {
    /// Hashes bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl SpecDigest {
    /// Hashes the raw bytes of a target spec.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*Sha256::of(bytes).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let digest = Sha256::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
    }

    #[test]
    fn case_037_only_64_lower_case_hex_digits_are_a_digest() {
        let good = "a".repeat(64);
        assert!(Sha256::from_hex(&good).is_ok());
        for bad in [
            String::new(),
            "a".repeat(63),
            "a".repeat(65),
            "A".repeat(64),
            format!("../{}", "a".repeat(61)),
            "\u{0661}".repeat(32),
        ] {
            assert!(Sha256::from_hex(&bad).is_err(), "{bad:?}");
        }
    }
}
