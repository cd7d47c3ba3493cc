//! Why a bundle was not written or not read.

use std::path::PathBuf;

use crate::pack::PackError;
use crate::types::{Class, Diagnostic, REFILL};

/// A bundle that was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store lacks something that the lock needs.
    #[error("the store lacks what the lock needs: {}", .0.join(", "))]
    NotStored(Vec<String>),
    /// It cannot be written.
    #[error("cannot write the bundle `{}`", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        #[source]
        source: PackError,
    },
    /// It cannot be read, or its bytes are wrong.
    #[error("cannot import `{}`", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: PackError,
    },
    /// Its index breaks a rule.
    #[error("cannot import `{}`: its index is refused: {reason}", .file.display())]
    Index {
        /// The file.
        file: PathBuf,
        /// The rule.
        reason: String,
    },
    /// Nothing in it can be checked.
    #[error(
        "nothing of `{}` is accepted: no trusted key signed it, and it has no tree that a lock pins",
        .0.display()
    )]
    Untrusted(PathBuf),
}

impl Diagnostic for BundleError {
    fn class(&self) -> Class {
        match self {
            Self::NotStored(_) => Class::CheckFailed,
            Self::Write { source, .. } | Self::Read { source, .. } => source.class(),
            Self::Index { .. } => Class::Integrity,
            Self::Untrusted(_) => Class::Trust,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotStored(_) => Some(REFILL.to_owned()),
            Self::Write { source, .. } => source.hint(),
            Self::Read { source, .. } if source.is_content() => {
                Some("remove the file, and let `sysroot cache export` write it again".to_owned())
            }
            Self::Read { source, .. } => source.hint(),
            Self::Index { .. } => {
                Some("remove the file, and let `sysroot cache export` write it again".to_owned())
            }
            Self::Untrusted(_) => Some(
                "sign it (`cache export --sign`) and put the key into `[trust]` of the configuration \
                 file, or pass `--trust` if nobody but you or your own CI could have written it"
                    .to_owned(),
            ),
        }
    }
}
