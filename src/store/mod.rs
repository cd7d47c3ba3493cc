//! The local cache of trees, addressed by content.
//!
//! An object is valid because it stands under its final name: it is staged in
//! `tmp/`, flushed, and renamed there without replacing anything. Everything
//! is right without locks; locks only keep two processes from doing the same
//! work. What is read back is checked again by whoever hands it to a project
//! ([`crate::materialize`]), because hashes, not modes, are the proof.
//!
//! The store knows nothing of manifests, fetching or building.

mod differing;
mod fence;
mod gc;
mod index;
mod key_lock;
mod layout;
mod roots;
mod sharing;
mod state_key;
mod statement;
mod survey;
mod sweep;
mod tree;
mod usage;

use std::path::{Path, PathBuf};

pub use fence::{Alone, Attempt, InUse};
pub use gc::{Doomed, GcPlan, Limits, Reason};
pub use index::{ComponentRecord, Known, RecipeRecord};
pub use key_lock::KeyLock;
pub use layout::Layout;
pub use roots::{Gone, Root, RootState};
pub use sharing::Sharing;
pub use state_key::StateKey;
pub use survey::{Leftover, LeftoverKind, Survey, SurveyedRoot, SurveyedTree};
pub use sweep::Swept;
pub use tree::{Staging, TreeFault};
pub use usage::{EPOCH_OF_TRUST, Usage};

use crate::events::Cancelled;
use crate::sys::fs::{self, FsError};
use crate::types::{Class, Diagnostic, TreeDigest};

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The cache directory belongs to somebody else.
    #[error("the cache `{}` is owned by {}, not by you (user {user})", .path.display(), name(*owner))]
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
    /// The cache directory is shared with a group that we are not in.
    #[error("the cache `{}` belongs to group {group}, and you are not in it", .path.display())]
    ForeignGroup {
        /// The directory.
        path: PathBuf,
        /// Its group's numeric id.
        group: u32,
    },
    /// New files of a group cache would not belong to the group.
    #[error("the group cache `{}` lacks the set-group-ID bit", .path.display())]
    NoSetGroup {
        /// The directory.
        path: PathBuf,
    },
    /// A link, or something else that no tree is, has a tree's name.
    #[error("`{}` is no directory, and has the name of a tree", .path.display())]
    NameTaken {
        /// The tree.
        tree: TreeDigest,
        /// What is there.
        path: PathBuf,
        /// Whether it is a symbolic link, which nothing of ours is.
        is_link: bool,
    },
    /// Nothing may be taken out of the store, because nobody can tell whether
    /// it is in use.
    #[error("nothing can be removed from the cache `{}`: {reason}", .path.display())]
    NoLocks {
        /// The store.
        path: PathBuf,
        /// Why locks mean nothing here.
        reason: String,
    },
    /// The cache directory is a file, or a link to nowhere.
    #[error("the cache `{}` is not a directory", .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another process held a key for too long.
    #[error("waited {seconds} s for `{what}`, which {holder} is working on")]
    Busy {
        /// What the lock is for.
        what: String,
        /// Who holds it, as far as known.
        holder: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The user stopped the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnostic for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(e) => e.class(),
            Self::ForeignOwner { .. }
            | Self::WritableByOthers { .. }
            | Self::ForeignGroup { .. }
            | Self::NoSetGroup { .. } => Class::Trust,
            Self::NameTaken { is_link: true, .. } => Class::Trust,
            Self::NameTaken { is_link: false, .. } => Class::Integrity,
            Self::NotADirectory { .. } | Self::NoLocks { .. } => Class::FileSystem,
            Self::Busy { .. } => Class::Busy,
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(e) => e.hint(),
            Self::ForeignOwner { .. } | Self::NotADirectory { .. } => {
                Some("set SYSROOT_CACHE_DIR to a directory of your own".to_owned())
            }
            Self::WritableByOthers { path, mode } if mode & 0o002 == 0 => Some(format!(
                "chmod go-w '{}', or say `share = \"group\"` under [cache] in your configuration if \
                 you trust everybody in its group with your builds",
                path.display()
            )),
            Self::WritableByOthers { path, .. } => Some(format!("chmod go-w '{}'", path.display())),
            Self::ForeignGroup { .. } => Some(
                "ask to be added to the group, or set SYSROOT_CACHE_DIR to a directory of your own"
                    .to_owned(),
            ),
            Self::NoSetGroup { path } => Some(format!("chmod g+s '{}'", path.display())),
            Self::NameTaken { path, .. } => Some(format!(
                "find out who made `{}`, and remove it",
                path.display()
            )),
            Self::NoLocks { .. } => Some(
                "set SYSROOT_CACHE_DIR to a local, writable file system; or stop all work and \
                 remove the cache directory as a whole"
                    .to_owned(),
            ),
            Self::Busy { .. } => Some("run the same command again once it is done".to_owned()),
            Self::Cancelled(_) => None,
        }
    }
}

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A user as messages name one.
fn name(user: u32) -> String {
    if user == 0 {
        "root".to_owned()
    } else {
        format!("user {user}")
    }
}

/// An opened store.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Layout,
    /// Set for a cache that a group shares.
    group: Option<sharing::GroupModes>,
}

impl Store {
    /// Opens the user's own store below a cache directory; see
    /// [`Store::open_with`].
    pub fn open(cache: &Path) -> Result<Self> {
        Self::open_with(cache, Sharing::Private)
    }

    /// Opens the store below a cache directory, which is created private to
    /// the user if it does not exist.
    ///
    /// A directory that others own or could write to is refused: its content
    /// would be theirs. With [`Sharing::Group`] the members of the directory's
    /// group may.
    pub fn open_with(cache: &Path, sharing: Sharing) -> Result<Self> {
        if fs::metadata_if_exists(cache)?.is_none() {
            fs::create_private_dir_all(Layout::new(cache).root())?;
        }
        let store = Self::checked(cache, sharing)?;
        if fs::metadata_if_exists(store.layout.root())?.is_none() {
            match store.group {
                Some(_) => store.make_group_root(&sharing::resolve(cache)?)?,
                None => fs::create_private_dir_all(store.layout.root())?,
            }
        }
        store.check_root(sharing)?;
        Ok(store)
    }

    /// Opens a store to look into: makes nothing, and an absent one is empty.
    pub fn open_to_read(cache: &Path, sharing: Sharing) -> Result<Self> {
        let layout = Layout::new(cache);
        if !layout.root().is_dir() {
            return Ok(Self {
                layout,
                group: None,
            });
        }
        let store = Self::checked(cache, sharing)?;
        store.check_root(sharing)?;
        Ok(store)
    }

    /// Opens a store that exists already and is safe to read; makes nothing.
    pub fn open_existing(cache: &Path, sharing: Sharing) -> Option<Self> {
        let exists = Layout::new(cache).root().is_dir();
        exists
            .then(|| Self::open_to_read(cache, sharing).ok())
            .flatten()
    }

    /// The store of a cache directory that is there and safe.
    fn checked(cache: &Path, sharing: Sharing) -> Result<Self> {
        let cache = sharing::resolve(cache)?;
        let group = sharing::check(&cache, sharing)?;
        let layout = Layout::new(&cache);
        let layout = match group {
            Some(_) => layout.of_user(sharing::user()),
            None => layout,
        };
        Ok(Self { layout, group })
    }

    /// Refuses a versioned directory that is not as safe as the cache's.
    fn check_root(&self, sharing: Sharing) -> Result<()> {
        let sharing = match self.group {
            Some(_) => sharing,
            None => Sharing::Private,
        };
        sharing::check(self.layout.root(), sharing)?;
        match self.group {
            Some(_) => self.check_group_directories(),
            None => Ok(()),
        }
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
