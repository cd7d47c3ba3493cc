//! Single flight: of several processes that need the same object, one makes
//! it and the others wait and say for what.

use std::fs::File;

use super::{Result, Store};
use crate::events::{Cancel, Observer};
use crate::sys::lock::{Wish, wait};

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
        let dir = self.layout().locks();
        self.make_dir(&dir)?;
        let path = dir.join(name);
        let wish = Wish {
            path: &path,
            what: name,
            doing,
        };
        let open = |path: &_| self.open_lock_file(path);
        let file = wait(wish, &open, observer, cancel)?;
        Ok(KeyLock { file })
    }
}
