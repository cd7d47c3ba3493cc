//! Single flight: of several processes that need the same object, one makes
//! it and the others wait and say for what.

use super::{Result, Store};
use crate::events::{Cancel, Observer};
use crate::sys::lock::{Lock, Wish, wait};
use crate::sys::order::Rank;

/// The right to make one object; released when dropped.
#[derive(Debug)]
pub struct KeyLock(Lock);

impl KeyLock {
    /// Whether others are really kept out; not where there are no file locks.
    pub fn is_exclusive(&self) -> bool {
        self.0.is_exclusive()
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
            rank: rank(name),
        };
        let open = |path: &_| self.open_lock_file(path);
        Ok(KeyLock(wait(wish, &open, observer, cancel)?))
    }
}

/// Where the lock of an object stands in the order.
fn rank(name: &str) -> Rank {
    match name.split('-').next() {
        Some("formats" | "recipe") => Rank::Work,
        Some("component") => Rank::Archive,
        _ => Rank::Move,
    }
}
