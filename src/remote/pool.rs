//! All remotes of a run, asked in order.
//!
//! A remote that failed or lied is told of once and not asked again in this
//! run, so that a bad one costs at most one wait, however much is looked for.
//! One that answers and has nothing to give is asked until it has wasted its
//! [`Budget`].

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::bounds::{Patience, fair, worth};
use super::connect::{Surroundings, connect};
use super::error::RemoteError;
use super::incoming::Incoming;
use super::place::{Place, Remote};
use super::record::{Record, Subject};
use super::sign::PublicKey;
use super::transport::{Got, Transport};
use crate::events::{Cancel, Cancelled, Event};
use crate::fetch::Budget;
use crate::pack;
use crate::store::{Staging, Store};
use crate::types::{Listing, TreeDigest};

/// How many packs are unpacked at once; each may take 80 MiB of memory,
/// whatever it says ([`pack::read`]), and those that are being published keep
/// their listing, 36 MiB at most.
const UNPACKERS: usize = 2;
/// How often a wait looks whether somebody cancelled.
const TICK: Duration = Duration::from_millis(100);

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose tree.
    pub subject: Subject,
    /// The lock's pin, which no signature overrules.
    pub pin: Option<TreeDigest>,
}

/// A tree that a remote had and that is accepted, staged and checked.
#[derive(Debug)]
pub struct Found {
    /// Where it is staged.
    pub staging: Staging,
    /// Its listing.
    pub listing: Listing,
    /// The record that named it.
    pub record: Record,
    /// The remote it came from.
    pub remote: String,
    /// The trusted key that signed the record; none if only a pin speaks for
    /// the tree.
    pub signer: Option<PublicKey>,
}

/// The remotes of a run.
pub struct Remotes<'a> {
    members: Vec<Member>,
    around: Surroundings<'a>,
    patience: Patience,
    unpacking: Gate,
}

/// Lets so many in at once.
struct Gate {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to be in, until it is dropped.
struct Permit<'a>(&'a Gate);

impl Gate {
    fn enter(&self, cancel: &Cancel) -> Result<Permit<'_>, Cancelled> {
        let mut free = self.free();
        while *free == 0 {
            cancel.check()?;
            let waited = self.freed.wait_timeout(free, TICK);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Ok(Permit(self))
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}

/// A remote's answer that is not used, and does not put the remote in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// Nothing of ours can be read from what stands there.
    Broken(&'static str),
    /// The record's blob is gone.
    NoBlob,
    /// The lock pins another tree.
    OtherTree,
    /// Nobody vouches for it.
    Unsigned,
}

struct Member {
    remote: Remote,
    /// Made at the first question; none if that failed.
    transport: OnceLock<Option<Box<dyn Transport>>>,
    /// What it may waste in this run; without one, whoever asked waits.
    budget: Option<Budget>,
    off: AtomicBool,
    /// What was warned of and leaves it in use.
    told: Mutex<BTreeSet<Miss>>,
}

impl<'a> Remotes<'a> {
    /// The remotes of the settings; offline, only directories.
    pub fn new(around: Surroundings<'a>, patience: Patience) -> Self {
        let usable = |remote: &&Remote| !around.offline || remote.is_directory();
        let member = |remote: &Remote| Member {
            remote: remote.clone(),
            transport: OnceLock::new(),
            budget: patience.bounds().lost.map(Budget::new),
            off: AtomicBool::new(false),
            told: Mutex::default(),
        };
        let remotes = around.settings.remotes.iter();
        Self {
            members: remotes.filter(usable).map(member).collect(),
            around,
            patience,
            unpacking: Gate {
                free: Mutex::new(UNPACKERS),
                freed: Condvar::new(),
            },
        }
    }

    /// Whether it is worth asking at all: without a pin and without a trusted
    /// key nothing could be accepted.
    pub fn can_answer(&self, pin: Option<TreeDigest>) -> bool {
        let acceptable = pin.is_some() || !self.keys().is_empty();
        acceptable && self.members.iter().any(|member| !member.is_off())
    }

    /// Whether one of them failed or lied.
    pub fn any_off(&self) -> bool {
        self.members.iter().any(Member::is_off)
    }

    fn keys(&self) -> &[PublicKey] {
        &self.around.settings.keys
    }

    /// Asks the remotes in order for a tree, and stages it.
    ///
    /// Trouble of a remote is a warning. An error is our own: the disk, or an
    /// interruption.
    pub fn look_up(
        &self,
        store: &Store,
        wanted: &Wanted,
        progress: &dyn Fn(u64),
    ) -> Result<Option<Found>, RemoteError> {
        if !self.can_answer(wanted.pin) {
            return Ok(None);
        }
        for member in &self.members {
            if member.is_off() {
                continue;
            }
            let found = self.ask(member, store, wanted, progress);
            match &found {
                Err(error) if is_ours(error, &member.remote) => return found,
                Err(error) => self.turn_off(member, error),
                Ok(_) => {
                    if let Some(budget) = member.budget.as_ref().filter(|b| b.is_spent()) {
                        let (remote, limit) = (member.remote.to_string(), budget.limit());
                        self.turn_off(member, &RemoteError::Spent { remote, limit });
                    }
                }
            }
            if let Ok(Some(_)) = &found {
                return found;
            }
        }
        Ok(None)
    }

    fn ask(
        &self,
        member: &Member,
        store: &Store,
        wanted: &Wanted,
        progress: &dyn Fn(u64),
    ) -> Result<Option<Found>, RemoteError> {
        let Some(transport) = self.transport(member) else {
            return Ok(None);
        };
        member.remote.expect_there()?;
        // It counts as lost unless it comes to its end.
        let look = member.budget.as_ref().map(Budget::begin);
        let what = wanted.subject.label();
        let record = match read_record(transport, &member.remote, &wanted.subject)? {
            Got::Object(record) => record,
            Got::Nothing => return Ok(None),
            Got::Broken(reason) => {
                let text = format!("has {reason} for `{what}`");
                self.tell(member, Miss::Broken(reason), &text);
                return Ok(None);
            }
        };
        if !self.accepts(member, &record, wanted) {
            return Ok(None);
        }
        let blobs = store.stage(self.around.observer, self.around.cancel)?;
        let received = Cell::new(0);
        let progress = |bytes| {
            received.set(received.get() + bytes);
            if let Some(look) = &look {
                look.progress(worth(received.get()));
            }
            progress(bytes);
        };
        let mut blob = Incoming::create(&blobs.path().join("blob"), &progress)?;
        if !transport.get_blob(&record.blob.into(), &mut blob)? {
            let text = format!("has a record of `{what}` but not its blob");
            self.tell(member, Miss::NoBlob, &text);
            return Ok(None);
        }
        let (found, size) = blob.summary();
        if (found, size) != (record.blob.sha256, record.blob.size) {
            return Err(RemoteError::Blob {
                remote: member.remote.to_string(),
                expected: record.blob.sha256,
                found,
            });
        }
        let blob = blob.finish()?;
        if let Some(look) = look {
            look.was_useful(fair(size));
        }
        let staging = store.stage(self.around.observer, self.around.cancel)?;
        let permit = self.unpacking.enter(self.around.cancel)?;
        let listing = self.unpack(&member.remote, &record, blob, &staging)?;
        drop(permit);
        Ok(Some(Found {
            staging,
            listing,
            signer: record.signer(self.keys()),
            record,
            remote: member.remote.to_string(),
        }))
    }

    /// Unpacks what came, whose hash was compared.
    fn unpack(
        &self,
        remote: &Remote,
        record: &Record,
        blob: File,
        into: &Staging,
    ) -> Result<Listing, RemoteError> {
        let limits = pack::Limits {
            unpacked: record.unpacked,
            cancel: self.around.cancel.clone(),
            ..pack::Limits::default()
        };
        let input = BufReader::with_capacity(1 << 17, blob);
        pack::read(input, record.tree, &limits, into.path()).map_err(|e| {
            if e.is_content() {
                RemoteError::Tree {
                    remote: remote.to_string(),
                    tree: record.tree,
                    reason: e.to_string(),
                }
            } else {
                e.into()
            }
        })
    }

    /// The rule of trust: the pin, or else a trusted key's signature.
    fn accepts(&self, member: &Member, record: &Record, wanted: &Wanted) -> bool {
        let what = wanted.subject.label();
        match wanted.pin {
            Some(pin) if record.tree == pin => true,
            Some(pin) => {
                let tree = record.tree;
                let text = format!("has tree {tree} for `{what}`, and the lock pins {pin}");
                self.tell(member, Miss::OtherTree, &text);
                false
            }
            None if record.signer(self.keys()).is_some() => true,
            None => {
                let text = format!(
                    "has a tree for `{what}` that is neither pinned by the lock nor signed by a \
                     trusted key"
                );
                self.tell(member, Miss::Unsigned, &text);
                false
            }
        }
    }

    fn transport<'m>(&self, member: &'m Member) -> Option<&'m dyn Transport> {
        let budget = member.budget.as_ref();
        let made = member.transport.get_or_init(|| {
            match connect(&member.remote, self.around, self.patience, budget) {
                Ok(transport) => Some(transport),
                Err(error) => {
                    self.turn_off(member, &error);
                    None
                }
            }
        });
        made.as_deref()
    }

    /// Warns of what does not put the remote in doubt, once of each kind.
    fn tell(&self, member: &Member, miss: Miss, what: &str) {
        let mut told = member.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(miss) {
            let text = format!("remote `{}` {what}; it is not used", member.remote);
            self.around.observer.event(Event::Warning(text));
        }
    }

    /// Warns once, and asks the remote no more.
    fn turn_off(&self, member: &Member, error: &RemoteError) {
        if member.off.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut text = format!("remote `{}` is not asked any more: {error}", member.remote);
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.around.observer.event(Event::Warning(text));
    }
}

impl Member {
    fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }
}

/// Reads the record of a subject.
pub(super) fn read_record(
    transport: &dyn Transport,
    remote: &Remote,
    subject: &Subject,
) -> Result<Got<Record>, RemoteError> {
    let bytes = match transport.get(&subject.name(&remote.namespace))? {
        Got::Object(bytes) => bytes,
        Got::Nothing => return Ok(Got::Nothing),
        Got::Broken(reason) => return Ok(Got::Broken(reason)),
    };
    let record = Record::parse(&bytes, &remote.namespace, subject);
    record
        .map(Got::Object)
        .map_err(|source| RemoteError::Record {
            remote: remote.to_string(),
            source,
        })
}

/// Whether an error is of this machine and not of the remote.
fn is_ours(error: &RemoteError, remote: &Remote) -> bool {
    let of_remote = |path: &std::path::Path| match &remote.place {
        Place::Directory(root) => path.starts_with(root),
        _ => false,
    };
    match error {
        RemoteError::Cancelled(_) | RemoteError::Local(_) | RemoteError::Pack(_) => true,
        RemoteError::Http(crate::fetch::FetchError::Cancelled(_)) => true,
        RemoteError::Http(crate::fetch::FetchError::Fs(e)) | RemoteError::Fs(e) => {
            !of_remote(&e.path)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate {
            free: Mutex::new(1),
            freed: Condvar::new(),
        }
    }

    #[test]
    fn a_panic_within_gives_its_place_back() {
        let (gate, cancel) = (gate(), Cancel::default());
        let panicked = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let _permit = gate.enter(&cancel);
                panic!("on purpose");
            });
            work.join()
        });
        assert!(panicked.is_err());
        assert_eq!(*gate.free(), 1);
    }

    #[test]
    fn case_081_an_interrupt_ends_the_wait_for_a_place() {
        let (gate, cancel) = (gate(), Cancel::default());
        let _permit = gate.enter(&cancel).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(&cancel).is_err());
            cancel.set(Cancelled::Interrupt);
            assert!(waiting.join().unwrap());
        });
    }
}
