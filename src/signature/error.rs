//! Why a signature or a key is not accepted.

use super::armor::ArmorError;
use super::detached::Fingerprint;
use crate::types::{Class, Date, Diagnostic};

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Over [`MAX_SIGNATURE`](super::MAX_SIGNATURE).
    #[error("it has {size} bytes; at most {limit} are accepted", limit = super::MAX_SIGNATURE)]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not the text form of a signature.
    #[error("it is not an armored signature: {0}")]
    Armor(#[from] ArmorError),
    /// The packet ends early.
    #[error("it is cut short: the signature packet is not whole")]
    CutShort,
    /// Something else than signature packets.
    #[error("it does not consist of OpenPGP signatures")]
    NotSignatures,
    /// A kind of signature that nobody uses for files, or a newer format.
    #[error("it is of a kind that is not accepted: {0}")]
    Unsupported(&'static str),
    /// A digest that can be forged.
    #[error("it uses the digest {digest}; SHA-256 or better is required")]
    WeakDigest {
        /// The digest's name.
        digest: String,
    },
    /// Made by none of the trusted keys.
    #[error("it was made by the key {issuer}, which is not trusted{}", list(.trusted))]
    ForeignKey {
        /// The key it names.
        issuer: String,
        /// The keys that are trusted.
        trusted: Vec<Fingerprint>,
    },
    /// A trusted key is named, but the bytes are others.
    #[error(
        "it names the trusted key {signer}, but does not fit these bytes: it is of another file, \
         or one of the two was changed"
    )]
    Mismatch {
        /// The key it names.
        signer: Fingerprint,
    },
    /// Made after the key's end.
    #[error("it was made on {made} by the key {signer}, which expired on {expired}")]
    KeyExpired {
        /// The key.
        signer: Fingerprint,
        /// The day of the signature.
        made: Date,
        /// The day of the key's end.
        expired: Date,
    },
    /// Made before the key.
    #[error("it was made on {made} by the key {signer}, which is of {created}")]
    BeforeKey {
        /// The key.
        signer: Fingerprint,
        /// The day of the signature.
        made: Date,
        /// The day of the key.
        created: Date,
    },
    /// The signature's own end has come.
    #[error("it was made on {made} and expired on {expired}; today is {today}")]
    Expired {
        /// The day of the signature.
        made: Date,
        /// The day of its end.
        expired: Date,
        /// The machine's day.
        today: Date,
    },
    /// Made on a day that has not come.
    #[error("it was made on {made}, and today is {today}")]
    FromFuture {
        /// The day of the signature.
        made: Date,
        /// The machine's day.
        today: Date,
    },
}

fn list(keys: &[Fingerprint]) -> String {
    keys.iter().fold(String::new(), |text, key| {
        format!("{text}\n  trusted: {key}")
    })
}

impl Diagnostic for SignatureError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. }
            | Self::Armor(_)
            | Self::CutShort
            | Self::NotSignatures
            | Self::Unsupported(_)
            | Self::WeakDigest { .. }
            | Self::ForeignKey { .. }
            | Self::Mismatch { .. }
            | Self::KeyExpired { .. }
            | Self::BeforeKey { .. }
            | Self::Expired { .. }
            | Self::FromFuture { .. } => Class::Trust,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ForeignKey { .. } => {
                "if it is your own server's key, name its file under `signing-keys` in the \
                 `[dist]` part of your configuration"
            }
            Self::FromFuture { .. } => "check this machine's clock, then the dist server",
            Self::Mismatch { .. } => {
                "a mirror may have rewritten the manifest; try another dist server"
            }
            Self::Expired { .. } | Self::KeyExpired { .. } => {
                "the server needs a new signature; try another dist server"
            }
            Self::TooLarge { .. }
            | Self::Armor(_)
            | Self::CutShort
            | Self::NotSignatures
            | Self::Unsupported(_)
            | Self::WeakDigest { .. }
            | Self::BeforeKey { .. } => "check the dist server, or try another one",
        };
        Some(text.to_owned())
    }
}

/// Why a key file is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Over [`MAX_KEY`](super::MAX_KEY).
    #[error("it has {size} bytes; at most {limit} are accepted", limit = super::MAX_KEY)]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not the text form of a public key.
    #[error("it is not an armored public key: {0}")]
    Armor(#[from] ArmorError),
    /// The packets are no public key.
    #[error("it holds no OpenPGP public key that can be read: {0}")]
    NotAKey(String),
    /// The key was withdrawn.
    #[error("the key {0} is revoked")]
    Revoked(Fingerprint),
    /// A key that may not sign, and has no subkey that may.
    #[error("the key {0} cannot sign")]
    CannotSign(Fingerprint),
}

impl Diagnostic for KeyError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } | Self::Armor(_) | Self::NotAKey(_) => Class::Usage,
            Self::Revoked(_) | Self::CannotSign(_) => Class::Trust,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::Armor(_) | Self::NotAKey(_) => {
                Some("`gpg --armor --export KEY` writes such a file".to_owned())
            }
            Self::Revoked(_) | Self::CannotSign(_) => {
                Some("remove it from `signing-keys` in your configuration".to_owned())
            }
        }
    }
}
