//! Single flight: of several processes that need the same object, one makes
//! it and the others wait and say for what.
//!
//! The locks are advisory file locks. Where a file system has none, two
//! processes do the same work and the second finds the first one's result:
//! slower, not wrong.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Result, Store, StoreError};
use crate::events::{Cancel, Event, Observer};
use crate::sys::fs;

/// How long to wait before telling the user.
pub(super) const TELL_AFTER: Duration = Duration::from_secs(1);
/// How long to wait at all: longer than any build takes.
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_hours(2);
/// How often to look.
pub(super) const POLL: Duration = Duration::from_millis(25);

/// The right to make one object; released when dropped.
#[derive(Debug)]
pub struct KeyLock {
    _file: Option<File>,
}

impl Store {
    /// Waits for the right to make the object `name`. `doing` tells other
    /// waiting processes what we are going to do with it.
    pub fn lock_key(
        &self,
        name: &str,
        doing: &str,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<KeyLock> {
        let dir = self.layout().locks();
        self.make_dir(&dir)?;
        let path = dir.join(name);
        let begun = Instant::now();
        let mut told = false;
        loop {
            cancel.check()?;
            match try_lock(self, &path, doing)? {
                Attempt::Held(file) => return Ok(KeyLock { _file: file }),
                Attempt::Busy(holder) => {
                    let waited = begun.elapsed();
                    if waited > GIVE_UP_AFTER {
                        let (what, seconds) = (name.to_owned(), waited.as_secs());
                        return Err(StoreError::Busy {
                            what,
                            holder,
                            seconds,
                        });
                    }
                    if !told && waited > TELL_AFTER {
                        observer.event(Event::Waiting {
                            task: name.to_owned(),
                            holder,
                        });
                        told = true;
                    }
                    std::thread::sleep(POLL);
                }
            }
        }
    }
}

enum Attempt {
    /// We have it; no file where the file system has no locks.
    Held(Option<File>),
    Busy(String),
}

fn try_lock(store: &Store, path: &Path, doing: &str) -> Result<Attempt> {
    let mut file = store.open_lock_file(path)?;
    match file.try_lock() {
        Ok(()) => {
            if !is_still_at(&file, path) {
                // Removed by a collector between open and lock: once more.
                return Ok(Attempt::Busy("a collector".to_owned()));
            }
            let text = format!("process {}, {doing}", std::process::id());
            // Another member's file that we may only read names no holder.
            let is_ours = fs::clear(&mut file, path).is_ok();
            if is_ours {
                fs::write_all(&mut file, path, text.as_bytes())?;
            }
            Ok(Attempt::Held(Some(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.rewind();
            let _ = (&mut file).take(200).read_to_string(&mut holder);
            let known = !holder.is_empty();
            let holder = if known {
                holder
            } else {
                "another process".to_owned()
            };
            Ok(Attempt::Busy(holder.escape_debug().to_string()))
        }
        Err(TryLockError::Error(_)) => Ok(Attempt::Held(None)),
    }
}

/// Whether the locked file is the one that others will find under the name.
#[cfg(unix)]
pub(super) fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
pub(super) fn is_still_at(_file: &File, _path: &Path) -> bool {
    true
}
