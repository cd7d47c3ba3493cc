//! Who else may have a hand in a cache directory.
//!
//! A private cache is ours alone to write. A group cache belongs to a group
//! whose members trust each other with what their builds consist of: its
//! directory is writable by the group and has the set-group-ID bit, and it is
//! used only if the user's configuration says so. A directory that everybody
//! can write to is never used.

use std::path::{Path, PathBuf};

use super::{Layout, Result, Store, StoreError};
use crate::sys::fs;

/// Who may write to the cache, as the user's configuration has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Only the user.
    #[default]
    Private,
    /// Also the members of the directory's group, if its mode says so.
    Group,
}

/// What a group cache's files are made like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupModes {
    /// The cache directory's bits for everybody, which files get, too.
    others: u32,
}

impl GroupModes {
    fn dir(self) -> u32 {
        0o2770 | self.others
    }

    fn file(self, mode: u32) -> u32 {
        let readable = 0o440 | (self.others & 0o004);
        let executable = 0o110 | (self.others & 0o001);
        if mode & 0o100 == 0 {
            readable
        } else {
            readable | executable
        }
    }
}

/// The directory itself, links resolved once: who swaps a link later changes
/// nothing.
pub(super) fn resolve(cache: &Path) -> Result<PathBuf> {
    #[cfg(unix)]
    if let Some(found) = fs::metadata_if_exists(cache)?
        && found.is_symlink()
    {
        use std::os::unix::fs::MetadataExt as _;
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user && found.uid() != 0 {
            return Err(StoreError::ForeignOwner {
                path: cache.to_owned(),
                owner: found.uid(),
                user,
            });
        }
    }
    match std::fs::canonicalize(cache) {
        Ok(path) => Ok(path),
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Err(StoreError::NotADirectory {
                path: cache.to_owned(),
            })
        }
        Err(e) => Ok(fs::at("find", cache, Err(e))?),
    }
}

/// Refuses a directory that others than those who may can write to.
#[cfg(unix)]
pub(super) fn check(path: &Path, sharing: Sharing) -> Result<Option<GroupModes>> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::at("inspect", path, std::fs::symlink_metadata(path))?;
    let path = path.to_owned();
    if !metadata.is_dir() {
        return Err(StoreError::NotADirectory { path });
    }
    let user = rustix::process::geteuid().as_raw();
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let for_group = mode & 0o020 != 0;
    if mode & 0o002 != 0 || (for_group && owner == user && sharing == Sharing::Private) {
        return Err(StoreError::WritableByOthers { path, mode });
    }
    if owner == user && !for_group {
        return Ok(None);
    }
    if sharing == Sharing::Private || !for_group {
        return Err(StoreError::ForeignOwner { path, owner, user });
    }
    let group = metadata.gid();
    if !groups()?.contains(&group) {
        return Err(StoreError::ForeignGroup { path, group });
    }
    if mode & 0o2000 == 0 {
        return Err(StoreError::NoSetGroup { path });
    }
    let others = mode & 0o005;
    Ok(Some(GroupModes { others }))
}

#[cfg(not(unix))]
pub(super) fn check(_path: &Path, _sharing: Sharing) -> Result<Option<GroupModes>> {
    Ok(None)
}

/// The groups of this process.
#[cfg(unix)]
fn groups() -> Result<Vec<u32>> {
    let all = rustix::process::getgroups().map_err(std::io::Error::from);
    let all = fs::at("ask for the groups of", Path::new("this process"), all)?;
    let own = rustix::process::getegid();
    let all = all.into_iter().chain([own]);
    Ok(all.map(rustix::process::Gid::as_raw).collect())
}

/// Our own number, for names that each user of a group cache has for himself.
#[cfg(unix)]
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
pub(super) fn user() -> u32 {
    0
}

impl Store {
    /// Makes a directory of the store: private, or the group's.
    pub fn make_dir(&self, path: &Path) -> Result<()> {
        let is_new = !path.is_dir();
        fs::create_private_dir_all(path)?;
        if let (Some(modes), true) = (self.group, is_new) {
            fs::set_mode(path, modes.dir())?;
        }
        Ok(())
    }

    /// Makes the versioned directory of a group cache with all that is in it,
    /// so that no member ever meets a directory of another one's mode.
    pub(super) fn make_group_root(&self, cache: &Path) -> Result<()> {
        let made = tempfile::Builder::new().prefix(".new-").tempdir_in(cache);
        let staged = fs::at("create a directory in", cache, made)?;
        let version = self.layout().root().file_name().unwrap_or_default();
        let root = staged.path().join(version);
        let new = Layout::in_root(root.clone());
        for dir in [root.clone()].into_iter().chain(new.directories()) {
            self.make_dir(&dir)?;
        }
        // Finding the name taken is success.
        fs::rename_new(&root, self.layout().root())?;
        fs::remove_dir_all(&staged.keep())?;
        Ok(())
    }

    /// Checks a group cache's directories: one that a member replaced by a
    /// link would make others write elsewhere.
    pub(super) fn check_group_directories(&self) -> Result<()> {
        for path in self.layout().directories() {
            if let Some(found) = fs::metadata_if_exists(&path)?
                && !found.is_dir()
            {
                return Err(StoreError::NotADirectory { path });
            }
        }
        Ok(())
    }

    /// Whether a file of a shared cache is this user's own; in a private one
    /// all are.
    #[cfg(unix)]
    pub(super) fn is_own(&self, found: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let for_others = found.mode() & 0o077;
        self.group.is_none() || (found.uid() == user() && for_others == 0)
    }

    /// Whether a file of a shared cache is this user's own.
    #[cfg(not(unix))]
    pub(super) fn is_own(&self, _found: &std::fs::Metadata) -> bool {
        true
    }

    /// Opens a lock file, made if it does not exist. A link is not followed,
    /// and one that we may only read is locked all the same.
    pub(super) fn open_lock_file(&self, path: &Path) -> fs::Result<std::fs::File> {
        let file = match fs::open_or_create(path) {
            Err(e) if e.source.kind() == std::io::ErrorKind::PermissionDenied => {
                return fs::open_no_follow(path);
            }
            file => file?,
        };
        #[cfg(unix)]
        if self.group.is_some() {
            use std::os::unix::fs::MetadataExt as _;
            let found = fs::at("inspect", path, file.metadata())?;
            if found.uid() == user() && found.mode() & 0o060 != 0o060 {
                fs::set_mode(path, 0o660)?;
            }
        }
        Ok(file)
    }

    /// Gives a staged tree the modes of a group cache, whatever the mask of
    /// the user who made it.
    pub(super) fn share_tree(&self, path: &Path) -> Result<()> {
        let Some(modes) = self.group else {
            return Ok(());
        };
        fs::set_mode(path, modes.dir())?;
        for name in fs::list(path)? {
            let child = path.join(name);
            match fs::metadata_if_exists(&child)? {
                Some(found) if found.is_dir() => self.share_tree(&child)?,
                Some(found) if found.is_file() => share_file(&child, &found, modes)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn share_file(path: &Path, found: &std::fs::Metadata, modes: GroupModes) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = modes.file(found.mode());
    if found.mode() & 0o777 != mode {
        fs::set_mode(path, mode)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn share_file(_path: &Path, _found: &std::fs::Metadata, _modes: GroupModes) -> Result<()> {
    Ok(())
}
