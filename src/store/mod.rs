//! The local cache of trees, addressed by content.
//!
//! An object is valid because it stands under its final name: it is staged in
//! `tmp/`, flushed, and renamed there without replacing anything. Everything
//! is right without locks; locks only keep two processes from doing the same
//! work. What is read back is checked again by whoever hands it to a project
//! ([`crate::materialize`]), because hashes, not modes, are the proof.
//!
//! The store knows nothing of manifests, fetching or building.

mod index;
mod key_lock;
mod layout;
mod roots;
mod state_key;
mod tree;

use std::path::{Path, PathBuf};

pub use index::{ComponentRecord, Known, RecipeRecord};
pub use key_lock::KeyLock;
pub use layout::Layout;
pub use roots::Root;
pub use state_key::StateKey;
pub use tree::{Staging, TreeFault};

use crate::events::Cancelled;
use crate::sys::fs::{self, FsError};
use crate::sys::lock::LockError;
use crate::types::{Class, Diagnostic, TreeDigest};

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The cache directory belongs to somebody else.
    #[error("the cache `{}` is owned by user {owner}, not by you (user {user})", .path.display())]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
        /// Our own.
        user: u32,
    },
    /// Others could change what the cache holds.
    #[error("the cache `{}` is writable by others (mode {mode:04o})", .path.display())]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The cache directory is a file, or a link to nowhere.
    #[error("the cache `{}` is not a directory", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// There is no lock to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The user stopped the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnostic for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(e) => e.class(),
            Self::ForeignOwner { .. } | Self::WritableByOthers { .. } => Class::Trust,
            Self::NotADirectory { .. } => Class::FileSystem,
            Self::Lock(e) => e.class(),
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(e) => e.hint(),
            Self::ForeignOwner { .. } | Self::NotADirectory { .. } => {
                Some("set SYSROOT_CACHE_DIR to a directory of your own".to_owned())
            }
            Self::WritableByOthers { path, .. } => Some(format!("chmod go-w '{}'", path.display())),
            Self::Lock(e) => e.hint(),
            Self::Cancelled(_) => None,
        }
    }
}

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An opened store.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
}

impl Store {
    /// Opens the store below a cache directory, which is created private to
    /// the user if it does not exist.
    ///
    /// A directory that others own or could write to is refused: its content
    /// would be theirs.
    pub fn open(cache: &Path) -> Result<Self> {
        let layout = Layout::new(cache);
        if !layout.root().is_dir() {
            if fs::metadata_if_exists(cache)?.is_some_and(|m| !cache.is_dir() || m.is_file()) {
                return Err(StoreError::NotADirectory {
                    path: cache.to_owned(),
                });
            }
            fs::create_private_dir_all(layout.root())?;
        }
        check_private(cache)?;
        check_private(layout.root())?;
        Ok(Self { layout })
    }

    /// Opens a store to look into: makes nothing, and an absent one is empty.
    pub fn open_to_read(cache: &Path) -> Result<Self> {
        let layout = Layout::new(cache);
        if layout.root().is_dir() {
            check_private(cache)?;
            check_private(layout.root())?;
        }
        Ok(Self { layout })
    }

    /// Opens a store that exists already and is safe to read; makes nothing.
    pub fn open_existing(cache: &Path) -> Option<Self> {
        let layout = Layout::new(cache);
        let safe = layout.root().is_dir() && check_private(cache).is_ok();
        (safe && check_private(layout.root()).is_ok()).then_some(Self { layout })
    }

    /// Where things are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where a tree stands, or would stand.
    pub fn tree_path(&self, digest: TreeDigest) -> PathBuf {
        self.layout.tree(digest)
    }
}

/// Refuses a directory that is not ours alone to write.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::at("inspect", path, std::fs::metadata(path))?;
    if !metadata.is_dir() {
        return Err(StoreError::NotADirectory {
            path: path.to_owned(),
        });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StoreError::ForeignOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
            user,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(StoreError::WritableByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_path: &Path) -> Result<()> {
    Ok(())
}
