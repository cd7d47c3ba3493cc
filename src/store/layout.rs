//! The store's directories.
//!
//! ```text
//! <cache>/v1/
//!   trees/<digest>/        a tree; files read-only
//!   listings/<digest>      its canonical listing; BLAKE3 of the text = digest
//!   components/<sha256>    archive -> tree
//!   recipes/<key>          recipe key -> tree, and what was built with which inputs
//!   statements/<key>       in-toto statement of what was built under a recipe key
//!   manifests/<server>-<channel>  channel manifests by server and dated channel
//!   partials/<sha256>      downloads under way or interrupted
//!   roots/<hash>           one a project: its path, the trees it uses, last use
//!   index/<digest>         one a tree: size, number of files, last use
//!   last-gc                when garbage was last collected without being asked
//!   state-key              32 random bytes that authenticate the outputs' state files
//!   locks/<key>            single-flight locks; content names the holder
//!   quarantine/<random>    damaged trees, kept for inspection
//!   quarantine/differs-<key>  the last tree of a recipe that was not the pinned one
//!   logs/                  compiler output
//!   tmp/<random>/          staging, on the same file system as the rest
//! ```
//!
//! The version in the directory name lets two versions of the tool share one
//! cache directory without reading each other's objects.
//!
//! In a cache that several users share, what belongs to one user alone has the
//! user's number in its name: downloads, the state key, logs.

use std::path::{Path, PathBuf};

use crate::types::{RecipeKey, Sha256, TreeDigest};

/// The version directory; raised when the meaning of anything below changes.
const VERSION: &str = "v1";

/// The directories of a store.
pub(super) const DIRECTORIES: [&str; 13] = [
    "trees",
    "listings",
    "components",
    "recipes",
    "statements",
    "manifests",
    "partials",
    "roots",
    "index",
    "locks",
    "quarantine",
    "logs",
    "tmp",
];
/// The files of a store, each user's own ones by their beginning.
pub(super) const FILES: [&str; 2] = ["state-key", "last-gc"];

/// Names every place in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    /// The user whose own files these are, in a cache that users share.
    user: Option<u32>,
}

impl Layout {
    /// The layout below a cache directory.
    pub fn new(cache: &Path) -> Self {
        Self::in_root(cache.join(VERSION))
    }

    /// The layout of a versioned directory that stands somewhere else.
    pub(super) fn in_root(root: PathBuf) -> Self {
        Self { root, user: None }
    }

    /// The layout as a user of a shared cache has it.
    pub(super) fn of_user(self, user: u32) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// Every directory below the root that holds files of several users.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        DIRECTORIES.iter().map(|dir| self.root.join(dir)).collect()
    }

    /// The versioned directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory of all trees.
    pub fn trees(&self) -> PathBuf {
        self.root.join("trees")
    }

    /// A tree.
    pub fn tree(&self, digest: TreeDigest) -> PathBuf {
        self.trees().join(digest.to_hex())
    }

    /// A tree's listing.
    pub fn listing(&self, digest: TreeDigest) -> PathBuf {
        self.listings().join(digest.to_hex())
    }

    /// Directory of all listings.
    pub fn listings(&self) -> PathBuf {
        self.root.join("listings")
    }

    /// Directory of the index.
    pub fn indexes(&self) -> PathBuf {
        self.root.join("index")
    }

    /// What the index says of a tree.
    pub fn index(&self, digest: TreeDigest) -> PathBuf {
        self.indexes().join(digest.to_hex())
    }

    /// When garbage was last collected without being asked for.
    pub fn last_gc(&self) -> PathBuf {
        self.root.join("last-gc")
    }

    /// Directory of all component records.
    pub fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// The record of an archive.
    pub fn component(&self, sha256: Sha256) -> PathBuf {
        self.components().join(sha256.to_hex())
    }

    /// Directory of all recipe records.
    pub fn recipes(&self) -> PathBuf {
        self.root.join("recipes")
    }

    /// The record of a recipe.
    pub fn recipe(&self, key: RecipeKey) -> PathBuf {
        self.recipes().join(key.to_hex())
    }

    /// Directory of all statements.
    pub fn statements(&self) -> PathBuf {
        self.root.join("statements")
    }

    /// The statement of what was built under a recipe key.
    pub fn statement(&self, key: RecipeKey) -> PathBuf {
        self.statements().join(key.to_hex())
    }

    /// Directory of the downloads.
    pub fn partials(&self) -> PathBuf {
        self.root.join("partials")
    }

    /// Directory of all cached channel manifests and their signatures.
    pub fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    /// The cached channel manifest of a server's dated channel; its signature
    /// is the file beside it with `.asc` added to the name.
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.manifests().join(name)
    }

    /// A download under way.
    pub fn partial(&self, sha256: Sha256) -> PathBuf {
        self.partials().join(self.own(&sha256.to_hex()))
    }

    /// The key of the outputs' state files.
    pub fn state_key(&self) -> PathBuf {
        self.root.join(self.own("state-key"))
    }

    /// A name that each user of a shared cache has for himself.
    fn own(&self, name: &str) -> String {
        match self.user {
            Some(user) => format!("{name}-{user}"),
            None => name.to_owned(),
        }
    }

    /// Directory of the project records.
    pub fn roots(&self) -> PathBuf {
        self.root.join("roots")
    }

    /// Directory of the locks.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Directory of damaged trees.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Directory of the compilers' logs.
    pub fn logs(&self) -> PathBuf {
        let logs = self.root.join("logs");
        match self.user {
            Some(user) => logs.join(user.to_string()),
            None => logs,
        }
    }

    /// Directory of staging directories.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}
