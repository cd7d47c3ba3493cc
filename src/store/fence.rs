//! The fence between those who use the store and the collector.
//!
//! A user holds a shared lock on `locks/use` from before it looks a tree up
//! until the project that uses it is registered. A collector holds the lock
//! alone from before it looks around until the names of what goes are gone.
//! So whatever a collector sees unused is used by nobody, and nobody looks up
//! what is about to go.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::key_lock::{GIVE_UP_AFTER, POLL, TELL_AFTER};
use super::{Result, Store, StoreError};
use crate::events::{Cancel, Event, Observer};
use crate::sys::fs;

/// The lock's name below `locks/`. It is never removed.
pub(super) const NAME: &str = "use";

/// Keeps collectors away until dropped.
#[derive(Debug)]
pub struct InUse {
    _file: Option<File>,
}

/// The right to take things out of the store; given back when dropped.
#[derive(Debug)]
pub struct Alone {
    _file: File,
}

/// What an attempt to be alone found.
#[derive(Debug)]
pub enum Attempt {
    /// Nobody else uses the store, and nobody begins to.
    Alone(Alone),
    /// Somebody uses it.
    Busy,
}

impl Store {
    /// Announces a use of the store, and waits while a collector takes things
    /// out of it, which is short.
    ///
    /// Where the lock cannot be had, because the cache is read-only or the file
    /// system has no locks, work goes on without: a collector refuses to work
    /// where there are none, and what vanishes from a cache that only others
    /// write to is noticed when it is read.
    pub fn begin_use(&self, observer: &dyn Observer, cancel: &Cancel) -> Result<InUse> {
        let begun = Instant::now();
        let mut told = false;
        let Some(file) = self.open_fence(true)? else {
            return Ok(InUse { _file: None });
        };
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(InUse { _file: Some(file) }),
                Err(TryLockError::Error(e)) => {
                    observer.event(Event::Warning(format!(
                        "the cache is used without file locks ({e}): work may be done twice, and \
                         nothing is collected"
                    )));
                    return Ok(InUse { _file: None });
                }
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = "a process that collects garbage".to_owned();
            wait(&mut told, begun, GIVE_UP_AFTER, holder, observer, cancel)?;
        }
    }

    /// Like [`Store::begin_use`] for those who only look: makes no lock where
    /// there is none yet, says nothing, and does not wait for a collector.
    pub fn look(&self) -> InUse {
        let file = self.open_fence(false).ok().flatten();
        InUse {
            _file: file.filter(|file| file.try_lock_shared().is_ok()),
        }
    }

    /// Tries to be the only one that uses the store, without waiting.
    ///
    /// An error where locks mean nothing: nothing may be taken out there.
    pub fn try_alone(&self) -> Result<Attempt> {
        let no_locks = |reason: String| StoreError::NoLocks {
            path: self.layout().root().to_owned(),
            reason,
        };
        if let Some(name) = fs::network_file_system(self.layout().root())? {
            return Err(no_locks(format!("it is on {name}, which machines share")));
        }
        let read_only = || no_locks("it is read-only".to_owned());
        if !fs::is_writable(self.layout().root()) {
            return Err(read_only());
        }
        let file = self.open_fence(true)?.ok_or_else(read_only)?;
        match file.try_lock() {
            Ok(()) => Ok(Attempt::Alone(Alone { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(Attempt::Busy),
            Err(TryLockError::Error(e)) => Err(no_locks(e.to_string())),
        }
    }

    /// Waits until nobody else uses the store, at most for so long.
    pub fn wait_alone(
        &self,
        limit: Duration,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<Alone> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            match self.try_alone()? {
                Attempt::Alone(alone) => return Ok(alone),
                Attempt::Busy => {
                    let holder = "projects that are being synchronised".to_owned();
                    wait(&mut told, begun, limit, holder, observer, cancel)?;
                }
            }
        }
    }

    /// The lock's file; `None` where there is none and none can be made, or
    /// where it cannot be opened.
    fn open_fence(&self, make: bool) -> Result<Option<File>> {
        let path = self.layout().locks().join(NAME);
        let opened = fs::open_no_follow(&path);
        let made = match opened {
            Err(e) if e.source.kind() == ErrorKind::NotFound && make => {
                match self.make_dir(&self.layout().locks()) {
                    Ok(()) => self.open_lock_file(&path),
                    Err(StoreError::Fs(e)) => Err(e),
                    Err(e) => return Err(e),
                }
            }
            opened => opened,
        };
        match made {
            Ok(file) => Ok(Some(file)),
            Err(e)
                if matches!(
                    e.source.kind(),
                    ErrorKind::ReadOnlyFilesystem
                        | ErrorKind::PermissionDenied
                        | ErrorKind::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// One turn of waiting for the fence.
fn wait(
    told: &mut bool,
    begun: Instant,
    limit: Duration,
    holder: String,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<()> {
    cancel.check()?;
    let waited = begun.elapsed();
    if waited >= limit {
        return Err(StoreError::Busy {
            what: "the store".to_owned(),
            holder,
            seconds: waited.as_secs(),
        });
    }
    if !*told && waited > TELL_AFTER {
        let task = "the store".to_owned();
        observer.event(Event::Waiting { task, holder });
        *told = true;
    }
    std::thread::sleep(POLL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;

    #[test]
    fn case_106_users_and_a_collector_keep_each_other_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let (silent, cancel) = (Silent, Cancel::default());
        let first = store.begin_use(&silent, &cancel).unwrap();
        let second = store.begin_use(&silent, &cancel).unwrap();
        assert!(matches!(store.try_alone().unwrap(), Attempt::Busy));
        drop(first);
        assert!(matches!(store.try_alone().unwrap(), Attempt::Busy));
        let limit = Duration::from_millis(60);
        let busy = store.wait_alone(limit, &silent, &cancel).unwrap_err();
        assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
        drop(second);
        let alone = store.wait_alone(limit, &silent, &cancel).unwrap();
        let waits = std::thread::scope(|scope| {
            let user = scope.spawn(|| store.begin_use(&silent, &cancel).map(drop));
            std::thread::sleep(Duration::from_millis(200));
            let waits = !user.is_finished();
            drop(alone);
            user.join().unwrap().unwrap();
            waits
        });
        assert!(waits);
    }
}
