//! Ed25519 keys and signatures of records.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as Raw, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::types::{Class, Diagnostic};

/// What stands before the base64 of a public key and of a signature.
const PREFIX: &str = "ed25519:";
/// The first line of a file that holds a secret key.
const SECRET_HEADER: &str = "sysroot-secret-key-v1";
/// The largest file of a secret key, in bytes.
pub const MAX_KEY_FILE: u64 = 4096;

/// A key, or a text that should be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no public key.
    #[error(
        "`{}` is not a public key: expected `ed25519:` and the base64 of 32 bytes",
        .0.escape_debug()
    )]
    Public(String),
    /// The text is no signature.
    #[error("it is not a signature: expected `ed25519:` and the base64 of 64 bytes")]
    Signature,
    /// The text is no secret key; it is not repeated.
    #[error("it is not a secret key that `sysroot cache keygen` wrote")]
    Secret,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
}

impl Diagnostic for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::Public(_) | Self::Signature | Self::Secret => Class::Usage,
            Self::Random(_) => Class::FileSystem,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Public(_) => Some("copy the line that `sysroot cache keygen` printed".to_owned()),
            Self::Secret => Some("make one with `sysroot cache keygen FILE`".to_owned()),
            Self::Signature | Self::Random(_) => None,
        }
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok()
}

/// A public key, written `ed25519:<base64>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether a signature over these bytes is this key's. Weak keys, for
    /// which a signature proves nothing, have none.
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(bytes, &Raw::from_bytes(&signature.0))
                .is_ok()
        })
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError::Public(text.chars().take(80).collect());
        let bytes = text.trim().strip_prefix(PREFIX).and_then(decode::<32>);
        let bytes = bytes.ok_or_else(error)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| error())?;
        if key.is_weak() {
            return Err(error());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A signature, written `ed25519:<base64>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = text.strip_prefix(PREFIX).and_then(decode::<64>);
        bytes.map(Self).ok_or(KeyError::Signature)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(PublicKey);
as_text!(Signature);

/// A secret key. It is never shown.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Draws a new key.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| KeyError::Random(e.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// Reads a key file's text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines();
        if lines.next() != Some(SECRET_HEADER) {
            return Err(KeyError::Secret);
        }
        let bytes = lines
            .next()
            .and_then(decode::<32>)
            .ok_or(KeyError::Secret)?;
        if lines.next().is_some() {
            return Err(KeyError::Secret);
        }
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// The text of a key file.
    pub fn to_text(&self) -> String {
        format!("{SECRET_HEADER}\n{}\n", STANDARD.encode(self.0.to_bytes()))
    }

    /// The key that others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_its_key_and_bytes_only() {
        let (ours, other) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let signature = ours.sign(b"text");
        assert!(ours.public().verifies(b"text", &signature));
        assert!(!ours.public().verifies(b"texu", &signature));
        assert!(!other.public().verifies(b"text", &signature));
    }

    /// The first test vector of RFC 8032, section 7.1.
    #[test]
    fn a_known_key_signs_as_the_standard_says() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
                .collect()
        };
        let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let text = format!("{SECRET_HEADER}\n{}\n", STANDARD.encode(secret));
        let key = SecretKey::parse(&text).unwrap();
        assert_eq!(key.public().0.to_vec(), public);
        assert_eq!(
            key.sign(b"").0.to_vec(),
            hex(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
                 c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            )
        );
        assert_eq!(key.to_text(), text);
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        let good = SecretKey::generate().unwrap();
        let public = good.public().to_string();
        assert_eq!(public.parse(), Ok(good.public()));
        let weak = format!("ed25519:{}", STANDARD.encode([0; 32]));
        for bad in ["", "ed25519:", "ed25519:AAAA", &public[8..], &weak] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
        let text = good.to_text();
        for bad in [
            text[1..].to_owned(),
            text.clone() + "x\n",
            text.replace('\n', " "),
        ] {
            let error = SecretKey::parse(&bad).unwrap_err();
            assert!(!error.to_string().contains(&text[22..40]));
        }
        assert!(!format!("{good:?}").contains(&text[22..40]));
    }
}
