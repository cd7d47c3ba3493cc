//! The forms in which a lock holds a signature and its signer.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MAX_SIGNATURE;

/// A text that is no fingerprint, or no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not 40 or 64 upper-case hexadecimal digits.
    #[error("`{}` is not a key's fingerprint: 40 or 64 upper-case hexadecimal digits", .0.escape_debug())]
    Fingerprint(String),
    /// Not base64 in its canonical spelling, or too long.
    #[error("it is not an OpenPGP signature in base64")]
    Signature,
}

/// The fingerprint of an OpenPGP key: 40 or 64 upper-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl FromStr for Fingerprint {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
        if matches!(text.len(), 40 | 64) && text.bytes().all(is_digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(TextError::Fingerprint(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One detached signature: an OpenPGP packet's bytes, without armor.
///
/// Two armors of one signature differ in headers and line lengths; the packet
/// is the same, so a lock's text does not depend on who armored it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Detached(Vec<u8>);

impl Detached {
    pub(super) const fn new(packet: Vec<u8>) -> Self {
        Self(packet)
    }

    /// The packet.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Detached {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.is_empty() || text.len() as u64 > MAX_SIGNATURE * 2 {
            return Err(TextError::Signature);
        }
        let packet = STANDARD.decode(text).map_err(|_| TextError::Signature)?;
        Ok(Self(packet))
    }
}

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
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
    )*};
}

serde_as_text!(Fingerprint, Detached);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let hex = "108F66205EAEB0AAA8DD5E1C85AB96E6FA1BE5FE";
        assert_eq!(hex.parse::<Fingerprint>().unwrap().to_string(), hex);
        let (lower, spaced) = (hex.to_lowercase(), hex.replace('0', " "));
        for bad in ["", "108F", &lower, &spaced, &hex[1..], &format!("{hex}0")] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
        assert_eq!("aGk=".parse::<Detached>().unwrap().as_bytes(), b"hi");
        for bad in [
            "",
            "aGk",
            "aGl=",
            "aG k=",
            "aGk=\n",
            "none",
            "é",
            &"A".repeat(40_000),
        ] {
            let read = bad.parse::<Detached>();
            assert!(read.is_err() || read.unwrap().to_string() == bad, "{bad}");
        }
        assert!("aGl=".parse::<Detached>().is_err(), "bits behind the end");
    }
}
