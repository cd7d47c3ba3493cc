//! Waiting for another process, and saying so.
//!
//! The locks are advisory file locks. Where a file system has none, two
//! processes do the same work and the second one finds the first one's result:
//! slower, not wrong.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fs::{self, FsError};
use super::order::{Held, Rank, enter};
use crate::events::{Cancel, Cancelled, Event, Observer};
use crate::types::{Class, Diagnostic};

/// How long to wait before telling the user.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// How long to wait at all: longer than any build takes.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(2);
/// How often to look.
pub(crate) const POLL: Duration = Duration::from_millis(25);
/// The longest note of a holder that is shown, in bytes.
const NOTE_LIMIT: u64 = 200;

/// There is no lock to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Another process held it for too long.
    #[error("waited {seconds} s for `{what}`, which {holder} is working on")]
    Busy {
        /// What the lock is for.
        what: String,
        /// Who holds it, as far as known.
        holder: String,
        /// How long we waited.
        seconds: u64,
    },
    /// The user stopped the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnostic for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(e) => e.class(),
            Self::Busy { .. } => Class::Busy,
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(e) => e.hint(),
            Self::Busy { .. } => Some(
                "run the same command again once it is done; if it is stuck, end it: a lock dies \
                 with its holder"
                    .to_owned(),
            ),
            Self::Cancelled(_) => None,
        }
    }
}

/// A lock that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The lock's file; made if there is none.
    pub path: &'a Path,
    /// What it is for, in messages.
    pub what: &'a str,
    /// What we are going to do meanwhile; waiting processes show it.
    pub doing: &'a str,
    /// Where it stands in the order of locks.
    pub rank: Rank,
}

/// A lock that is ours until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Absent where the file system has no locks.
    file: Option<File>,
    _held: Held,
}

impl Lock {
    /// Whether others are really kept out; not where there are no file locks.
    pub fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }
}

/// Opens a lock's file, and makes it if there is none.
pub type Open<'a> = &'a dyn Fn(&Path) -> fs::Result<File>;

/// Waits for a lock. Where the file system has none, the user is told and work
/// goes on.
///
/// The file is closed in programs that we start, so none of them can keep the
/// lock after our end.
pub fn wait(
    wish: Wish<'_>,
    open: Open<'_>,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Lock, LockError> {
    let held = enter(wish.rank);
    let mut patience = Patience::new(limit());
    loop {
        cancel.check()?;
        match attempt(wish, open, observer)? {
            Attempt::Held(file) => return Ok(Lock { file, _held: held }),
            Attempt::Busy(holder) => {
                patience.turn(wish.what, &|| holder.clone(), observer, cancel)?;
            }
        }
    }
}

/// Takes a lock, or does not: `None` if somebody else has it.
pub fn take(
    wish: Wish<'_>,
    open: Open<'_>,
    observer: &dyn Observer,
) -> Result<Option<Lock>, LockError> {
    let held = enter(wish.rank);
    Ok(match attempt(wish, open, observer)? {
        Attempt::Held(file) => Some(Lock { file, _held: held }),
        Attempt::Busy(_) => None,
    })
}

/// Waiting in turns: says after a while that it waits, and for whom, and ends
/// in an error after a longer while.
#[derive(Debug)]
pub struct Patience {
    begun: Instant,
    limit: Duration,
    told: bool,
}

impl Patience {
    /// Begins to wait, at most for so long.
    pub fn new(limit: Duration) -> Self {
        Self {
            begun: Instant::now(),
            limit,
            told: false,
        }
    }

    /// Waits a little for `what`, which `holder` has; that is asked only when
    /// it is told.
    pub fn turn(
        &mut self,
        what: &str,
        holder: &dyn Fn() -> String,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<(), LockError> {
        cancel.check()?;
        let (waited, what) = (self.begun.elapsed(), what.to_owned());
        if waited >= self.limit {
            return Err(LockError::Busy {
                what,
                holder: holder(),
                seconds: waited.as_secs(),
            });
        }
        if !self.told && waited > TELL_AFTER {
            let holder = holder();
            observer.event(Event::Waiting { task: what, holder });
            self.told = true;
        }
        std::thread::sleep(POLL);
        Ok(())
    }
}

/// How long to wait for another process that works.
pub fn limit() -> Duration {
    #[cfg(feature = "fault-injection")]
    if let Some(limit) = super::fault::wait_limit() {
        return limit;
    }
    GIVE_UP_AFTER
}

/// What became of one attempt to take a lock.
#[derive(Debug)]
pub enum Attempt {
    /// We have it; no file where the file system has no locks.
    Held(Option<File>),
    /// Somebody else has it: who, and what they do.
    Busy(String),
}

/// Takes the lock unless somebody else has it.
pub fn attempt(
    wish: Wish<'_>,
    open: Open<'_>,
    observer: &dyn Observer,
) -> Result<Attempt, LockError> {
    let path = wish.path;
    let mut file = open(path)?;
    match fs::try_lock(&file, path) {
        Ok(true) => {
            if !is_still_at(&file, path) {
                // Removed between open and lock: once more.
                return Ok(Attempt::Busy("a cleaner".to_owned()));
            }
            leave_note(&mut file, path, wish.doing);
            Ok(Attempt::Held(Some(file)))
        }
        Ok(false) => {
            let holder = note(&mut file);
            Ok(Attempt::Busy(holder.unwrap_or("another process".into())))
        }
        Err(e) => {
            tell_once(&e, observer);
            Ok(Attempt::Held(None))
        }
    }
}

/// Writes into a lock that we hold who we are and what we do. It is only for
/// people: another user's file may be locked, not written.
pub fn leave_note(file: &mut File, path: &Path, doing: &str) {
    let note = format!("process {}, {doing}", std::process::id());
    let _ = fs::clear(file, path).and_then(|()| fs::write_all(file, path, note.as_bytes()));
}

/// What the holder of a lock wrote into it; `None` if that is nothing.
pub fn note(file: &mut File) -> Option<String> {
    let mut note = String::new();
    let _ = file.rewind();
    let _ = file.take(NOTE_LIMIT).read_to_string(&mut note);
    (!note.is_empty()).then(|| note.escape_debug().to_string())
}

/// Says that there are no locks, once for a process.
fn tell_once(error: &FsError, observer: &dyn Observer) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        observer.event(Event::Warning(format!(
            "{error}: {}; the result is right all the same, but other processes may do the same \
             work at the same time",
            error.source
        )));
    }
}

/// Whether the locked file is the one that others will find under the name.
#[cfg(unix)]
pub fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}

/// Whether the locked file is the one that others will find under the name.
#[cfg(not(unix))]
pub fn is_still_at(_file: &File, _path: &Path) -> bool {
    true
}
