//! Advisory locks.

use std::fs::{self, File};
use std::path::Path;

use super::Result;
use super::call::call;

/// Takes an advisory lock without waiting. `Ok(false)`: another process has it.
///
/// A file system without locks is an error of its own kind, as the system
/// tells it.
pub fn try_lock(file: &File, path: &Path) -> Result<bool> {
    call("lock", path, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    })
}

/// Takes an advisory lock, and waits for those who hold it for a moment.
pub fn lock(file: &File, path: &Path) -> Result<()> {
    call("lock", path, || file.lock())
}

/// Like [`try_lock`], for a lock that several may hold.
pub fn try_lock_shared(file: &File, path: &Path) -> Result<bool> {
    call("lock", path, || match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    })
}
