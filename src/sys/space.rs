//! How much room a file system has.

use std::path::Path;

/// Bytes that this user may still write to the file system of a path; `None`
/// where that cannot be told.
#[cfg(unix)]
pub fn free(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Bytes that this user may still write to the file system of a path; `None`
/// where that cannot be told.
#[cfg(not(unix))]
pub fn free(_path: &Path) -> Option<u64> {
    None
}

/// Whether two paths are on one file system; `None` where that cannot be told.
#[cfg(unix)]
pub fn is_shared(a: &Path, b: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    Some(device(a)? == device(b)?)
}

/// Whether two paths are on one file system; `None` where that cannot be told.
#[cfg(not(unix))]
pub fn is_shared(_a: &Path, _b: &Path) -> Option<bool> {
    None
}
