//! Single flight: of several processes that need the same object, one makes
//! it and the others wait and say for what.

use std::fs::File;
use std::path::PathBuf;

use super::{Result, Store};
use crate::events::{Cancel, Observer};
use crate::sys::lock::{Attempt, Wish, attempt, wait};

/// The right to make one object; released when dropped.
#[derive(Debug)]
pub struct KeyLock {
    file: Option<File>,
}

impl KeyLock {
    /// Whether others are really kept out; not where there are no file locks.
    pub fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }
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
        let path = self.key_path(name)?;
        let wish = Wish {
            path: &path,
            what: name,
            doing,
        };
        let open = |path: &_| self.open_lock_file(path);
        let file = wait(wish, &open, observer, cancel)?;
        Ok(KeyLock { file })
    }

    /// Like [`Self::lock_key`], but does not wait; `None` if somebody else has
    /// the right.
    pub fn try_lock_key(
        &self,
        name: &str,
        doing: &str,
        observer: &dyn Observer,
    ) -> Result<Option<KeyLock>> {
        let path = self.key_path(name)?;
        let wish = Wish {
            path: &path,
            what: name,
            doing,
        };
        let open = |path: &_| self.open_lock_file(path);
        Ok(match attempt(wish, &open, observer)? {
            Attempt::Held(file) => Some(KeyLock { file }),
            Attempt::Busy(_) => None,
        })
    }

    fn key_path(&self, name: &str) -> Result<PathBuf> {
        let dir = self.layout().locks();
        self.make_dir(&dir)?;
        Ok(dir.join(name))
    }
}
