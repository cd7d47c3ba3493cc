//! The store's directories.
//!
//! ```text
//! <cache>/v1/
//!   trees/<digest>/        a tree; files read-only
//!   listings/<digest>      its canonical listing; BLAKE3 of the text = digest
//!   components/<sha256>    archive -> tree
//!   recipes/<key>          recipe key -> tree, and what was built with which inputs
//!   manifests/<server>-<channel>  channel manifests by server and dated channel
//!   partials/<sha256>      downloads under way or interrupted
//!   roots/<hash>           one a project: its path, the trees it uses, last use
//!   state-key              32 random bytes that authenticate the outputs' state files
//!   locks/<key>            single-flight locks; content names the holder
//!   quarantine/<random>    damaged trees, kept for inspection
//!   logs/                  compiler output
//!   tmp/<random>/          staging, on the same file system as the rest
//! ```
//!
//! The version in the directory name lets two versions of the tool share one
//! cache directory without reading each other's objects.

use std::path::{Path, PathBuf};

use crate::types::{RecipeKey, Sha256, TreeDigest};

/// The version directory; raised when the meaning of anything below changes.
const VERSION: &str = "v1";

/// Names every place in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below a cache directory.
    pub fn new(cache: &Path) -> Self {
        Self {
            root: cache.join(VERSION),
        }
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
        self.root.join("listings").join(digest.to_hex())
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
        self.root.join("partials").join(sha256.to_hex())
    }

    /// The key of the outputs' state files.
    pub fn state_key(&self) -> PathBuf {
        self.root.join("state-key")
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
        self.root.join("logs")
    }

    /// Directory of staging directories.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}
