//! The fence between those who use the store and the collector.
//!
//! A user holds a shared lock on `locks/use` from before it looks a tree up
//! until the project that uses it is registered. A collector holds the lock
//! alone from before it looks around until the names of what goes are gone.
//! So whatever a collector sees unused is used by nobody, and nobody looks up
//! what is about to go.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Result, Store, StoreError};
use crate::events::{Cancel, Event, Observer};
use crate::sys::fs;
use crate::sys::lock::{Patience, is_still_at, leave_note, limit, note};
use crate::sys::order::{Held, Rank, enter};

/// The lock's name below `locks/`. It is never removed.
pub(super) const NAME: &str = "use";
/// What it is for, in messages.
const WHAT: &str = "the store";

/// Keeps collectors away until dropped.
#[derive(Debug)]
pub struct InUse {
    _file: Option<File>,
    _held: Option<Held>,
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
        let held = enter(Rank::Use);
        let using = |file| InUse {
            _file: file,
            _held: Some(held),
        };
        let mut patience = Patience::new(limit());
        let path = self.fence();
        loop {
            let Some(Opened { mut file, .. }) = self.open_fence(true)? else {
                return Ok(using(None));
            };
            let holder = match fs::try_lock_shared(&file, &path) {
                Ok(true) if is_still_at(&file, &path) => return Ok(using(Some(file))),
                // Removed between open and lock: once more, with the new one.
                Ok(true) => "a cleaner".to_owned(),
                Ok(false) => note(&mut file).unwrap_or("a process that collects garbage".into()),
                Err(e) => {
                    static TOLD: AtomicBool = AtomicBool::new(false);
                    if !TOLD.swap(true, Ordering::Relaxed) {
                        observer.event(Event::Warning(format!(
                            "the cache is used without file locks ({}): work may be done twice, \
                             and nothing is collected",
                            e.source
                        )));
                    }
                    return Ok(using(None));
                }
            };
            patience.turn(WHAT, &|| holder.clone(), observer, cancel)?;
        }
    }

    /// The lock's file.
    fn fence(&self) -> PathBuf {
        self.layout().locks().join(NAME)
    }

    /// Like [`Store::begin_use`] for those who only look: makes no lock where
    /// there is none yet, says nothing, and does not wait for a collector.
    pub fn look(&self) -> InUse {
        let opened = self.open_fence(false).ok().flatten();
        let file = opened.map(|opened| opened.file);
        InUse {
            _file: file.filter(|file| fs::try_lock_shared(file, &self.fence()).unwrap_or(false)),
            _held: None,
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
        let Opened { file, made } = self.open_fence(true)?.ok_or_else(read_only)?;
        let path = self.fence();
        match fs::try_lock(&file, &path) {
            Ok(true) => {}
            Ok(false) => return Ok(Attempt::Busy),
            Err(e) => return Err(no_locks(e.source.to_string())),
        }
        // The lock is made by the first use of a store. One that is missing
        // beside trees was deleted, maybe under somebody who holds it: such a
        // one cannot be seen by the new lock, but mostly by what he stages.
        let is_lost = made && !fs::list(&self.layout().trees())?.is_empty();
        if is_lost || !is_still_at(&file, &path) || self.is_staging()? {
            return Ok(Attempt::Busy);
        }
        if let Ok(mut file) = self.open_lock_file(&path) {
            leave_note(&mut file, &path, "collecting garbage");
        }
        Ok(Attempt::Alone(Alone { _file: file }))
    }

    /// Waits until nobody else uses the store, at most for so long.
    pub fn wait_alone(
        &self,
        limit: Duration,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<Alone> {
        let mut patience = Patience::new(limit);
        let holder = || match self.one_at_work() {
            Some(note) => note,
            None => "projects that are being synchronised".to_owned(),
        };
        loop {
            match self.try_alone()? {
                Attempt::Alone(alone) => return Ok(alone),
                Attempt::Busy => patience.turn(WHAT, &holder, observer, cancel)?,
            }
        }
    }

    /// Who holds the lock of an object now, and for what: one of those for whom
    /// a collector waits.
    fn one_at_work(&self) -> Option<String> {
        let dir = self.layout().locks();
        let names = fs::list(&dir).ok()?;
        let mut others = names.iter().filter(|name| *name != NAME);
        others.find_map(|name| {
            let path = dir.join(name);
            let mut file = fs::open_no_follow(&path).ok()?;
            match fs::try_lock_shared(&file, &path) {
                Ok(false) => note(&mut file),
                Ok(true) | Err(_) => None,
            }
        })
    }

    /// The lock's file; `None` where there is none and none can be made, or
    /// where it cannot be opened.
    fn open_fence(&self, make: bool) -> Result<Option<Opened>> {
        let path = self.fence();
        let opened = fs::open_no_follow(&path);
        let made = matches!(&opened, Err(e) if e.source.kind() == ErrorKind::NotFound);
        let opened = match opened {
            Err(_) if made && make => match self.make_dir(&self.layout().locks()) {
                Ok(()) => self.open_lock_file(&path),
                Err(StoreError::Fs(e)) => Err(e),
                Err(e) => return Err(e),
            },
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(Some(Opened { file, made })),
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

/// The lock's file.
struct Opened {
    file: File,
    /// Whether there was none before.
    made: bool,
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
        assert!(matches!(busy, StoreError::Lock(_)), "{busy}");
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
