//! Why a channel manifest's signature, or the lack of one, is not accepted.

use std::path::PathBuf;

use crate::signature::{Fingerprint, KeyError, SignatureError};
use crate::types::{Channel, Class, Diagnostic};

/// A signature, or the lack of one, that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The server's signature is bad.
    #[error("the signature of the channel manifest of {channel} is refused")]
    Refused {
        /// The channel.
        channel: Channel,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// A configured key is unusable.
    #[error("the signing key `{}` is refused", .path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// Somebody else owns a configured key's file, or may write to it.
    #[error("the signing key `{}` {reason}", .path.display())]
    ForeignKey {
        /// The key's file.
        path: PathBuf,
        /// Who else may change it.
        reason: String,
    },
    /// The key that was compiled in cannot be read.
    #[error("the compiled-in signing key is refused")]
    OwnKey(#[source] KeyError),
    /// A signature is required, and the server has none.
    #[error(
        "the channel manifest of {channel} has no signature, and your configuration requires one"
    )]
    Unsigned {
        /// The channel.
        channel: Channel,
    },
    /// A signature is required, and the lock has none.
    #[error("`{}` records no signature of its channel manifest, and your configuration requires one", .lock.display())]
    UnsignedLock {
        /// The lock.
        lock: PathBuf,
    },
    /// A signature is required, and the lock does not hold what is signed.
    #[error("the lock is not proved by a signature, and your configuration requires one{}", bullets(.lines))]
    Unproven {
        /// What is wrong, one a line.
        lines: Vec<String>,
    },
    /// The old lock is signed, the new one would not be.
    #[error(
        "the lock is signed by {signer}, and the channel manifest of {channel} has no signature"
    )]
    Lost {
        /// Who signed the old lock's channel manifest.
        signer: Fingerprint,
        /// The new channel.
        channel: Channel,
    },
}

fn bullets(lines: &[String]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| format!("{text}\n  {line}"))
}

impl Diagnostic for TrustError {
    fn class(&self) -> Class {
        match self {
            Self::Refused { source, .. } => source.class(),
            Self::Key { source, .. } => source.class(),
            Self::OwnKey(_) => Class::Bug,
            Self::ForeignKey { .. }
            | Self::Unsigned { .. }
            | Self::UnsignedLock { .. }
            | Self::Unproven { .. }
            | Self::Lost { .. } => Class::Trust,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Refused { source, .. } => return source.hint(),
            Self::Key { source, .. } => return source.hint(),
            Self::ForeignKey { path, .. } => {
                return Some(format!("make `{}` yours alone to write", path.display()));
            }
            Self::OwnKey(_) => return None,
            Self::Unsigned { .. } => {
                "mirrors often lack signatures: try upstream's server, or set `signature = \
                 \"prefer\"` in the `[dist]` part of your configuration"
            }
            Self::UnsignedLock { .. } => "run `sysroot lock --refresh` and commit the result",
            Self::Unproven { .. } => {
                "ask whoever changed the lock; `sysroot lock --refresh` makes a new one"
            }
            Self::Lost { .. } => {
                "try another dist server, or accept that with `sysroot lock --allow-unsigned`"
            }
        };
        Some(text.to_owned())
    }
}
