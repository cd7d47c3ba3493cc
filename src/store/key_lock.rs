//! Single flight: of several processes that need the same object, one makes
//! it and the others wait and say for what.

use std::path::{Path, PathBuf};

use super::{Result, Store};
use crate::events::{Cancel, Observer};
use crate::sys::lock::{Lock, Wish, take, wait};
use crate::sys::order::Rank;

/// How many digits of a key messages show.
const SHOWN_DIGITS: usize = 12;

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
        let path = self.key_path(name)?;
        let open = |path: &_| self.open_lock_file(path);
        let wish = wish(&path, name, doing);
        Ok(KeyLock(wait(wish, &open, observer, cancel)?))
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
        let open = |path: &_| self.open_lock_file(path);
        let lock = take(wish(&path, name, doing), &open, observer)?;
        Ok(lock.map(KeyLock))
    }

    fn key_path(&self, name: &str) -> Result<PathBuf> {
        let dir = self.layout().locks();
        self.make_dir(&dir)?;
        Ok(dir.join(name))
    }
}

/// The name of an object for people: of its key as many digits as are shown of
/// any.
fn shown(name: &str) -> &str {
    let end = name.find('-').map(|at| at + 1 + SHOWN_DIGITS);
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}

fn wish<'a>(path: &'a Path, name: &'a str, doing: &'a str) -> Wish<'a> {
    // Where the lock of an object stands in the order.
    let rank = match name.split('-').next() {
        Some("formats" | "recipe") => Rank::Work,
        Some("component") => Rank::Archive,
        _ => Rank::Move,
    };
    Wish {
        path,
        what: shown(name),
        doing,
        rank,
    }
}
