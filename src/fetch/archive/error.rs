//! Why an archive was not unpacked.

use crate::events::Cancelled;
use crate::sys::writers::WriteError;
use crate::types::{Class, Diagnostic};

/// An archive that was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It breaks a rule of the format, or one of ours.
    #[error("the archive is refused: {reason}")]
    Malformed {
        /// What was found, and what is allowed.
        reason: String,
    },
    /// One of its entries breaks a rule.
    #[error("the archive is refused at `{}`: {reason}", .path.escape_ascii())]
    Entry {
        /// The entry's path as found, shortened.
        path: Vec<u8>,
        /// What was found, and what is allowed.
        reason: String,
    },
    /// It is larger than allowed.
    #[error("the archive is refused: it has more than {limit} {unit}")]
    TooLarge {
        /// The limit that it exceeds.
        limit: u64,
        /// What is counted: bytes, entries.
        unit: &'static str,
    },
    /// Its compressed form cannot be decoded.
    #[error("the archive cannot be decoded as {format}")]
    Decode {
        /// `xz` or `gzip`.
        format: &'static str,
        /// What the decoder said.
        #[source]
        source: std::io::Error,
    },
    /// The archive file cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] std::io::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ArchiveError {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed {
            reason: reason.into(),
        }
    }

    pub(super) fn entry(path: &[u8], reason: impl Into<String>) -> Self {
        Self::Entry {
            path: path.iter().take(200).copied().collect(),
            reason: reason.into(),
        }
    }
}

impl Diagnostic for ArchiveError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. }
            | Self::Entry { .. }
            | Self::TooLarge { .. }
            | Self::Decode { .. } => Class::Integrity,
            Self::Read(_) => Class::FileSystem,
            Self::Write(error) => error.class(),
            Self::Cancelled(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. }
            | Self::Entry { .. }
            | Self::TooLarge { .. }
            | Self::Decode { .. } => Some(
                "its hash is the locked one, so the file was made like this: lock another date, \
                 and report it to who published it"
                    .to_owned(),
            ),
            Self::Write(error) => error.hint(),
            Self::Read(_) | Self::Cancelled(_) => None,
        }
    }
}
