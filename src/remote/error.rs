//! Why a remote could not be used.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::address::NamespaceError;
use super::record::RecordError;
use super::sign::KeyError;
use crate::events::Cancelled;
use crate::fetch::FetchError;
use crate::pack::PackError;
use crate::store::{StoreError, TreeFault};
use crate::sys::fs::FsError;
use crate::types::{Class, Diagnostic, Sha256, TreeDigest};

/// Something about a remote failed, or was refused.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The text names no remote we can talk to.
    #[error("remote `{text}` is refused: {reason}")]
    Url {
        /// The text without userinfo and query.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The namespace of a remote.
    #[error(transparent)]
    Namespace(NamespaceError),
    /// A credential cannot be used with a remote.
    #[error("the credentials for `{remote}` are refused: {reason}")]
    Credentials {
        /// The remote.
        remote: String,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An HTTP server.
    #[error(transparent)]
    Http(#[from] FetchError),
    /// The settings of an object store make no store.
    #[error("the settings of `{remote}` are refused: {message}")]
    Setup {
        /// The remote.
        remote: String,
        /// What the store's client said, without secrets.
        message: String,
    },
    /// An object store.
    #[error("`{remote}` failed: {message}")]
    Store {
        /// The remote.
        remote: String,
        /// What it said, without secrets.
        message: String,
    },
    /// No answer in time, or too few bytes.
    #[error("`{remote}` is too slow: {expected}")]
    TooSlow {
        /// The remote.
        remote: String,
        /// The bound that was not kept.
        expected: String,
    },
    /// A remote that gave too little for the time it took.
    #[error("`{remote}` is too slow: look-ups that gave nothing took {} seconds of this run", .limit.as_secs_f32())]
    Spent {
        /// The remote.
        remote: String,
        /// What it may take.
        limit: Duration,
    },
    /// A directory that is to hold a remote, or that a remote is to be made in,
    /// is not there.
    #[error("there is no directory `{}`", .0.display())]
    NoDirectory(PathBuf),
    /// A remote that failed too often in this run.
    #[error("`{remote}` is not asked any more: it failed {failures} times in a row")]
    GivenUp {
        /// The remote.
        remote: String,
        /// How often.
        failures: u32,
    },
    /// An object is larger than its kind may be.
    #[error("an object of `{remote}` is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The remote.
        remote: String,
        /// In bytes.
        limit: u64,
    },
    /// A record that is not what its address promises.
    #[error("`{remote}` has a record that is refused")]
    Record {
        /// The remote.
        remote: String,
        /// The rule it breaks.
        #[source]
        source: RecordError,
    },
    /// There is no room for our signature.
    #[error("`{remote}` has {limit} signatures at `{object}`, the most that a record may have")]
    SignaturesFull {
        /// The remote.
        remote: String,
        /// The record's name below its prefix.
        object: String,
        /// The most signatures of a record.
        limit: usize,
    },
    /// A blob that is not what its record says.
    #[error("`{remote}` has a blob that differs from its name: expected {expected}, found {found}")]
    Blob {
        /// The remote.
        remote: String,
        /// The hash of its name.
        expected: Sha256,
        /// The hash of what came.
        found: Sha256,
    },
    /// A blob that hashes to its name but holds another tree, or none.
    #[error("`{remote}` has a blob that does not hold tree {tree}: {reason}")]
    Tree {
        /// The remote.
        remote: String,
        /// The tree that it should hold.
        tree: TreeDigest,
        /// What is wrong with it.
        reason: String,
    },
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The local store.
    #[error(transparent)]
    Local(#[from] StoreError),
    /// A stored tree's listing.
    #[error(transparent)]
    Listing(TreeFault),
    /// A stored tree could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Stopped.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnostic for RemoteError {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::Namespace(_) | Self::Setup { .. } => Class::Usage,
            Self::Credentials { .. } => Class::Trust,
            Self::Key(e) => e.class(),
            Self::Http(e) => e.class(),
            Self::Store { .. }
            | Self::TooSlow { .. }
            | Self::Spent { .. }
            | Self::NoDirectory(_)
            | Self::GivenUp { .. } => Class::Network,
            Self::SignaturesFull { .. } => Class::Trust,
            Self::TooLarge { .. } | Self::Record { .. } | Self::Blob { .. } | Self::Tree { .. } => {
                Class::Integrity
            }
            Self::Fs(e) => e.class(),
            Self::Local(e) => e.class(),
            Self::Listing(_) => Class::Integrity,
            Self::Pack(e) => e.class(),
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Url { text, .. } if text.starts_with('/') => {
                let url = Url::from_file_path(text).ok()?;
                return Some(format!("a directory is written as a URL, too: `{url}`"));
            }
            Self::Url { .. } | Self::Namespace(_) => {
                "correct `[[remotes]]` of the configuration file, or SYSROOT_REMOTE"
            }
            Self::Credentials { .. } => "use https, or unset the variable",
            Self::NoDirectory(_) => {
                "mount what is to be there, or correct the remote's URL; `sysroot cache push` makes \
                 a remote's directory, but none above it"
            }
            Self::Key(e) => return e.hint(),
            Self::Http(FetchError::Cancelled(_)) => return None,
            Self::Http(FetchError::Fs(e)) => return e.hint(),
            // Its other hints are about the dist server.
            Self::Http(_)
            | Self::Store { .. }
            | Self::TooSlow { .. }
            | Self::Spent { .. }
            | Self::GivenUp { .. } => {
                "check the remote and its credentials, then run the same command again"
            }
            Self::SignaturesFull { .. } => {
                "readers need one key that they trust: remove the record, and let those push who still sign"
            }
            Self::Setup { .. } => "check the environment variables of the store",
            Self::TooLarge { .. } | Self::Record { .. } | Self::Blob { .. } | Self::Tree { .. } => {
                "somebody or something damaged the remote: change its `namespace`, or remove the object"
            }
            Self::Fs(e) => return e.hint(),
            Self::Local(e) => return e.hint(),
            Self::Listing(_) => "run `sysroot sync` again",
            Self::Pack(e) => return e.hint(),
            Self::Cancelled(_) => return None,
        };
        Some(text.to_owned())
    }
}
