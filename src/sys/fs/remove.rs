//! Removal, also of what is read-only.

use std::fs;
use std::io;
use std::path::Path;

use super::call::call;
use super::{Result, list, metadata_if_exists};

/// Removes a file; an absent one is success.
pub fn remove_file(path: &Path) -> Result<()> {
    call("remove", path, || match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Removes an empty directory; an absent or non-empty one is left alone.
pub fn remove_dir_if_empty(path: &Path) -> Result<()> {
    use io::ErrorKind::{DirectoryNotEmpty, NotFound};
    call("remove", path, || match fs::remove_dir(path) {
        Err(e) if matches!(e.kind(), NotFound | DirectoryNotEmpty) => Ok(()),
        result => result,
    })
}

/// Removes a directory and everything in it, links not followed; an absent
/// one is success.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    // One call may do a thousand things, and tests want to stop between any
    // two of them.
    #[cfg(feature = "fault-injection")]
    if crate::sys::fault::is_on() {
        remove_piecewise(path)?;
    }
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    match call("remove", path, || gone(fs::remove_dir_all(path))) {
        // Read-only directories of a stored tree: open them up and try again.
        Err(e) if e.source.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => {
            make_directories_writable(path)?;
            call("remove", path, || gone(fs::remove_dir_all(path)))
        }
        result => result,
    }
}

/// Removes what is in a directory, one name after the other; what is not
/// permitted is left to the caller.
#[cfg(feature = "fault-injection")]
fn remove_piecewise(path: &Path) -> Result<()> {
    if !metadata_if_exists(path)?.is_some_and(|m| m.is_dir()) {
        return Ok(());
    }
    for name in list(path).unwrap_or_default() {
        let child = path.join(name);
        let removed = if fs::symlink_metadata(&child).is_ok_and(|m| m.is_dir()) {
            remove_piecewise(&child)?;
            call("remove", &child, || fs::remove_dir(&child))
        } else {
            call("remove", &child, || fs::remove_file(&child))
        };
        match removed.map_err(|e| (e.source.kind(), e)) {
            Err((io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound, _)) => {}
            result => result.map_err(|(_, e)| e)?,
        }
    }
    Ok(())
}

/// Opens up a directory and those below it, by handle: a directory that is
/// swapped for a link meanwhile leads nowhere.
#[cfg(unix)]
fn make_directories_writable(path: &Path) -> Result<()> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let open = || rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
    call("set the mode of", path, || {
        let dir = match open() {
            // It cannot be read either; this one call goes by name.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
                open()?
            }
            dir => dir?,
        };
        Ok(rustix::fs::fchmod(&dir, Mode::RWXU)?)
    })?;
    for name in list(path)? {
        let child = path.join(name);
        if metadata_if_exists(&child)?.is_some_and(|m| m.is_dir()) {
            make_directories_writable(&child)?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_directories_writable(_path: &Path) -> Result<()> {
    Ok(())
}
