//! What went wrong with a file, where, and what to do about it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::types::{Class, Diagnostic};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", .path.display())]
pub struct FsError {
    /// What was tried: `create`, `rename`, `read`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Diagnostic for FsError {
    fn class(&self) -> Class {
        Class::FileSystem
    }

    fn hint(&self) -> Option<String> {
        hint(&self.source)
    }
}

/// What to do about an error of the file system.
pub fn hint(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or set SYSROOT_CACHE_DIR to another file system; then run the \
                 same command again"
        }
        io::ErrorKind::PermissionDenied => "check who owns it and its mode",
        io::ErrorKind::FileTooLarge => {
            "raise the limit on the size of a file (`ulimit -f`) and run the same command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "set SYSROOT_CACHE_DIR to a directory on a writable file system"
        }
        _ if is_out_of_handles(error) => {
            "raise the limit on open files (`ulimit -n`) and run the same command again"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(unix)]
fn is_out_of_handles(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

#[cfg(not(unix))]
fn is_out_of_handles(_error: &io::Error) -> bool {
    false
}

/// What is left of the file system that holds a path, in words.
#[cfg(unix)]
fn room(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let existing = path.ancestors().find(|path| path.exists())?;
    let device = fs::metadata(existing).ok()?.dev();
    let same = |path: &&Path| fs::metadata(path).is_ok_and(|m| m.dev() == device);
    let mount = existing.ancestors().take_while(same).last()?.display();
    let about = rustix::fs::statvfs(existing).ok()?;
    if about.f_files > 0 && about.f_favail == 0 {
        let all = about.f_files;
        return Some(format!(
            "the file system at `{mount}` has no inode left of {all}"
        ));
    }
    let mib = |blocks: u64| blocks.saturating_mul(about.f_frsize) >> 20;
    let (free, all) = (mib(about.f_bavail), mib(about.f_blocks));
    Some(format!(
        "the file system at `{mount}` has {free} MiB left of {all}"
    ))
}

#[cfg(not(unix))]
fn room(_path: &Path) -> Option<String> {
    None
}

/// Result of a file operation.
pub type Result<T, E = FsError> = std::result::Result<T, E>;

/// Attaches the operation and the path to an I/O error.
pub fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| FsError {
        operation,
        path: path.to_owned(),
        source: with_room(path, source),
    })
}

/// Tells of a full file system where it is and what it is out of; now, because
/// cleaning up makes room again.
fn with_room(path: &Path, source: io::Error) -> io::Error {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    match source.kind() {
        kind @ (StorageFull | QuotaExceeded) => match room(path) {
            Some(room) => io::Error::new(kind, format!("{source}: {room}")),
            None => source,
        },
        _ => source,
    }
}
