//! Trees: staging, publishing, reading back, quarantine.

use std::path::{Path, PathBuf};

use super::fence::InUse;
use super::sharing::is_denied;
use super::usage::Usage;
use super::{Result, Store, StoreError};
use crate::events::{Cancel, Observer, Silent};
use crate::sys::fs::{self, Renamed};
use crate::sys::lock::{is_still_at, note};
use crate::types::{Listing, TreeDigest};

/// The extension of a staging directory's lock file.
const LOCK: &str = ".lock";
/// What a collector writes into the lock of what it is going to remove.
const TRASH: &str = "trash";

/// The largest listing we read: a million files would be about 160 MB, and
/// nothing upstream ships has more than some ten thousand.
const MAX_LISTING: u64 = 32 << 20;

/// A private directory on the store's file system; removed when dropped.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    /// Open since before anything was written, so that a flush learns of every
    /// write that failed.
    dir: std::fs::File,
    lock_path: PathBuf,
    /// Held for as long as the directory is in use, so that another process
    /// can tell it from what a killed one left behind.
    _lock: std::fs::File,
    /// Keeps collectors away from what is about to be published.
    _using: Option<InUse>,
}

impl Staging {
    /// The directory; it exists and is empty at first.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A failed removal leaves garbage that the next sweep takes: the lock
        // file goes last, because it is what the sweep goes by.
        if fs::remove_dir_all(&self.path).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// Why a stored tree cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TreeFault {
    /// It is not in the store.
    #[error("tree {0} is not in the store")]
    Absent(TreeDigest),
    /// Its listing does not hash to its name, or cannot be read.
    #[error("the listing of tree {digest} is damaged: {reason}")]
    Listing {
        /// The tree.
        digest: TreeDigest,
        /// What is wrong.
        reason: String,
    },
}

impl Store {
    /// Makes a private staging directory.
    ///
    /// Its lock file comes first, so that there is no moment in which a killed
    /// process leaves a directory that nobody can tell the owner of.
    pub fn stage(&self, observer: &dyn Observer, cancel: &Cancel) -> Result<Staging> {
        let using = self.begin_use(observer, cancel)?;
        self.stage_fenced(Some(using))
    }

    /// Whether somebody stages a tree that he is going to publish.
    pub(super) fn is_staging(&self) -> Result<bool> {
        let tmp = self.layout().tmp();
        for name in fs::list(&tmp)? {
            let path = tmp.join(name);
            if !path.to_string_lossy().ends_with(LOCK) {
                continue;
            }
            let Ok(mut lock) = fs::open_no_follow(&path) else {
                continue;
            };
            if !fs::try_lock_shared(&lock, &path).unwrap_or(false)
                && note(&mut lock).as_deref() != Some(TRASH)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a staging directory for somebody who is in use of the store, or
    /// alone with it.
    pub(super) fn stage_fenced(&self, using: Option<InUse>) -> Result<Staging> {
        let tmp = self.layout().tmp();
        self.make_dir(&tmp)?;
        loop {
            let (lock_path, mut lock) = fs::create_unique(&tmp, "stage-", LOCK, fs::create_new)?;
            // Whoever looks whether it is in use has it for a moment. Where the
            // file system has no locks, nothing is ever swept.
            let _ = fs::lock(&lock, &lock_path);
            if !is_still_at(&lock, &lock_path) {
                // A sweep came between making and locking it: once more.
                continue;
            }
            if using.is_none() {
                // Without that the next collector waits for this one's end.
                let _ = fs::write_all(&mut lock, &lock_path, TRASH.as_bytes());
            }
            let path = lock_path.with_extension("");
            let made = fs::create_private_dir(&path).and_then(|()| fs::open_dir(&path));
            let dir = match made {
                Ok(dir) => dir,
                Err(e) => {
                    // The error to tell is the first one; a sweep takes the rest.
                    let _ = fs::remove_dir_if_empty(&path);
                    let _ = fs::remove_file(&lock_path);
                    return Err(e.into());
                }
            };
            return Ok(Staging {
                dir,
                path,
                lock_path,
                _lock: lock,
                _using: using,
            });
        }
    }

    /// Removes what killed processes left in the staging area: directories
    /// whose lock nobody holds.
    pub fn sweep_staging(&self) -> Result<usize> {
        let tmp = self.layout().tmp();
        let mut swept = 0;
        for name in fs::list(&tmp)? {
            let lock_path = tmp.join(name);
            if !lock_path.to_string_lossy().ends_with(LOCK) {
                continue;
            }
            let Ok(lock) = fs::open_no_follow(&lock_path) else {
                continue;
            };
            if fs::try_lock(&lock, &lock_path).unwrap_or(false) {
                match fs::remove_dir_all(&lock_path.with_extension("")) {
                    // Another member's, who removes it himself.
                    Err(e) if is_denied(&e) && self.group.is_some() => continue,
                    removed => removed?,
                }
                fs::remove_file(&lock_path)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Publishes a staged tree under its digest. A tree that is there already
    /// is success; the staged one is dropped then.
    ///
    /// When this returns, tree and listing are on the disk.
    pub fn publish(&self, staging: &Staging, listing: &Listing) -> Result<TreeDigest> {
        let text = listing.to_text();
        let digest = listing.digest();
        let (trees, tree) = (self.layout().trees(), self.layout().tree(digest));
        let listing_path = self.layout().listing(digest);
        self.make_dir(&trees)?;
        if let Some(parent) = listing_path.parent() {
            self.make_dir(parent)?;
        }
        if fs::metadata_if_exists(&listing_path)?.is_none() || self.listing(digest).is_err() {
            fs::replace_stored(&listing_path, text.as_bytes())?;
        }
        if self.is_free(digest)? {
            self.share_tree(staging.path())?;
            fs::sync_file_system_of(&staging.dir, staging.path())?;
            match fs::rename_new(staging.path(), &tree)? {
                Renamed::Done => fs::sync_dir(&trees)?,
                Renamed::Exists => {
                    self.is_free(digest)?;
                }
            }
        }
        // The index is a hint; without the record the listing answers.
        let _ = self.write_usage(digest, Usage::of(listing));
        Ok(digest)
    }

    /// Whether no tree has this name yet. Anything else of that name is an
    /// error: it is moved away like a damaged tree, links excepted.
    fn is_free(&self, digest: TreeDigest) -> Result<bool> {
        let path = self.layout().tree(digest);
        match fs::metadata_if_exists(&path)? {
            None => Ok(true),
            Some(found) if found.is_dir() => Ok(false),
            Some(found) => Err(StoreError::NameTaken {
                tree: digest,
                path,
                is_link: found.is_symlink(),
            }),
        }
    }

    /// Whether a tree stands under this digest. Its content is not looked at.
    pub fn has_tree(&self, digest: TreeDigest) -> bool {
        let is = |path: &Path, kind: fn(&std::fs::Metadata) -> bool| {
            fs::metadata_if_exists(path).is_ok_and(|found| found.as_ref().is_some_and(kind))
        };
        // Links are not followed: nothing of ours is one.
        is(&self.layout().tree(digest), std::fs::Metadata::is_dir)
            && is(&self.layout().listing(digest), std::fs::Metadata::is_file)
    }

    /// Reads a tree's listing and checks it against the digest.
    pub fn listing(&self, digest: TreeDigest) -> std::result::Result<Listing, TreeFault> {
        if !self.has_tree(digest) && !self.layout().listing(digest).is_file() {
            return Err(TreeFault::Absent(digest));
        }
        let fault = |reason: String| TreeFault::Listing { digest, reason };
        let text = fs::read_text(&self.layout().listing(digest), MAX_LISTING)
            .map_err(|e| fault(format!("{e}: {}", e.source)))?;
        if blake3::hash(text.as_bytes()).as_bytes() != digest.as_bytes() {
            return Err(fault("its text does not hash to its name".to_owned()));
        }
        Listing::parse(&text).map_err(|e| fault(e.to_string()))
    }

    /// Moves a damaged tree out of the way, so that it is fetched or built
    /// again, and returns where it is kept; `None` if there is nothing to do
    /// because another process was faster.
    ///
    /// Two processes may find the same damage. `is_damaged` looks again while
    /// nobody else moves the tree, so that the second one does not take away
    /// what the first one has made anew.
    pub fn quarantine(
        &self,
        digest: TreeDigest,
        is_damaged: &dyn Fn() -> bool,
        cancel: &Cancel,
    ) -> Result<Option<PathBuf>> {
        let name = format!("tree-{}", digest.to_hex());
        let _guard = self.lock_key(&name, "moving a damaged tree away", &Silent, cancel)?;
        let tree = self.layout().tree(digest);
        // In this order: a tree that is not there now may be published whole at
        // any moment, but one that is there stays until we move it.
        if fs::metadata_if_exists(&tree)?.is_none() || !is_damaged() {
            return Ok(None);
        }
        let dir = self.layout().quarantine();
        self.make_dir(&dir)?;
        let place = fs::Scratch::new(&dir, "tree-")?;
        match fs::rename(&tree, &place.path().join(digest.to_hex())) {
            // Where the file system has no locks, somebody may still be faster.
            Err(e) if e.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
            // The listing stays: it names no tree now, whoever publishes the
            // tree replaces a bad one, and may be doing so at this moment.
            Ok(()) => Ok(Some(place.keep())),
        }
    }
}
