//! Why a pack was not written or not read.

use std::io;

use crate::events::Cancelled;
use crate::sys::fs::FsError;
use crate::sys::writers::WriteError;
use crate::types::{Class, Diagnostic, FileDigest, RelPath, TreeDigest};

/// A pack that was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Its bytes are not the ones that its listing asks for.
    #[error("the pack is refused: {reason}")]
    Malformed {
        /// What was found, and what is allowed.
        reason: String,
    },
    /// It holds another tree.
    #[error("the pack is refused: it holds tree {found}, not {expected}")]
    OtherTree {
        /// The tree that was asked for.
        expected: TreeDigest,
        /// BLAKE3 of the listing it begins with.
        found: TreeDigest,
    },
    /// A file has not the content that the listing names.
    #[error("the pack is refused: `{path}` has the content {found}, its listing says {expected}")]
    Content {
        /// The file.
        path: RelPath,
        /// BLAKE3 in the listing.
        expected: FileDigest,
        /// BLAKE3 of what came.
        found: FileDigest,
    },
    /// It is larger than allowed.
    #[error("the pack is refused: it has more than {limit} {unit}")]
    TooLarge {
        /// The limit that it exceeds.
        limit: u64,
        /// What is counted: bytes, files.
        unit: &'static str,
    },
    /// It cannot be decompressed, or ends too early.
    #[error("the pack cannot be decoded as zstd")]
    Decode(#[source] io::Error),
    /// Its bytes cannot be read.
    #[error("cannot read the pack")]
    Input(#[source] io::Error),
    /// Its bytes cannot be written.
    #[error("cannot write the pack")]
    Output(#[source] io::Error),
    /// The stored tree is not what its listing says.
    #[error("`{path}` of tree {tree} is damaged: {reason}")]
    Damaged {
        /// The tree.
        tree: TreeDigest,
        /// The file.
        path: RelPath,
        /// What was found, and what was expected.
        reason: String,
    },
    /// A file of the tree cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file of the tree cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl PackError {
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed {
            reason: reason.into(),
        }
    }

    /// Whether the pack's own bytes are at fault, rather than this machine or
    /// the way they came.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Malformed { .. }
            | Self::OtherTree { .. }
            | Self::Content { .. }
            | Self::TooLarge { .. }
            | Self::Decode(_) => true,
            Self::Input(_)
            | Self::Output(_)
            | Self::Damaged { .. }
            | Self::Fs(_)
            | Self::Write(_)
            | Self::Cancelled(_) => false,
        }
    }
}

impl Diagnostic for PackError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. }
            | Self::OtherTree { .. }
            | Self::Content { .. }
            | Self::TooLarge { .. }
            | Self::Decode(_)
            | Self::Damaged { .. } => Class::Integrity,
            Self::Input(_) | Self::Output(_) => Class::FileSystem,
            Self::Fs(error) => error.class(),
            Self::Write(error) => error.class(),
            Self::Cancelled(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { .. } => Some(
                "`sysroot cache verify --repair`, then `sysroot sync` makes it anew".to_owned(),
            ),
            Self::Fs(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Output(error) => crate::sys::fs::hint(error),
            Self::Malformed { .. }
            | Self::OtherTree { .. }
            | Self::Content { .. }
            | Self::TooLarge { .. }
            | Self::Decode(_)
            | Self::Input(_)
            | Self::Cancelled(_) => None,
        }
    }
}
