//! Claims: who is going to build a recipe, so that nobody else does.
//!
//! A claim is a small object under the recipe's key and a *generation*. It is
//! written only if there is none, and holds for its lease, which the owner
//! renews while it works. A claim whose lease ran out is not touched: whoever
//! takes the work over writes the next generation.
//!
//! Claims save work and guard nothing. Where a store cannot write on condition,
//! a claim is read back after a moment; if clocks differ by more than a lease,
//! or two writers meet in that moment, a recipe is built twice, and the second
//! result is compared with the first one like any other.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::address::{Address, Namespace};
use super::error::RemoteError;
use super::place::Remote;
use super::pool::read_record;
use super::record::{RecordError, Subject};
use super::transport::{Got, Name, Put, Transport, Writing};
use crate::types::{RecipeKey, TreeDigest};

/// The version of the format; claims of others count as run out.
const VERSION: u32 = 1;
/// How often one recipe can be taken over before nobody tries any more.
const MAX_GENERATIONS: u32 = 1000;
/// The longest lease that is believed, in seconds.
const MAX_LEASE: u64 = 24 * 60 * 60;
/// How long a store without conditions needs to settle whose claim it keeps.
const SETTLE: Duration = Duration::from_millis(300);

/// What an owner says of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is under way.
    Working,
    /// It did not come to a good end, and would not elsewhere.
    Failed,
    /// It was given up: somebody else may have it at once.
    Released,
}

/// One claim as it stands on a remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Claim {
    version: u32,
    /// Random, one for each process.
    owner: String,
    /// Seconds since 1970 when it was written or renewed.
    since: u64,
    /// Seconds that it holds.
    lease: u64,
    state: State,
}

impl Claim {
    /// Seconds for which it still holds; `None` if it does not.
    fn left(&self, now: u64) -> Option<u64> {
        let lease = self.lease.min(MAX_LEASE);
        let end = self.since.saturating_add(lease);
        // One from the future is of a clock that nobody else has.
        let holds = self.version == VERSION && now < end && self.since <= now + lease;
        (holds && self.state != State::Released).then(|| end - now)
    }
}

/// What became of an attempt to claim.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The work is ours until the lease runs out.
    Ours(Held),
    /// Somebody else has it.
    Busy {
        /// Who, as it calls itself.
        owner: String,
        /// How long its lease still runs.
        left: Duration,
    },
    /// Somebody tried lately, and failed.
    Failed,
}

/// A claim of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    key: RecipeKey,
    generation: u32,
}

/// The claims of one process on one remote.
pub struct Claims<'a> {
    transport: &'a dyn Transport,
    namespace: &'a Namespace,
    settle: Duration,
    owner: String,
    lease: Duration,
    started: (u64, Instant),
}

impl<'a> Claims<'a> {
    /// Claims of a new owner. `now` is in seconds since 1970; `lease` is in
    /// whole seconds, from one second to a day.
    pub fn new(
        transport: &'a dyn Transport,
        remote: &'a Remote,
        lease: Duration,
        now: u64,
    ) -> Result<Self, RemoteError> {
        let mut owner = [0; 16];
        getrandom::fill(&mut owner)
            .map_err(|e| RemoteError::Key(super::sign::KeyError::Random(e.to_string())))?;
        let max = Duration::from_secs(MAX_LEASE);
        Ok(Self {
            transport,
            namespace: &remote.namespace,
            // A directory's rename settles it at once.
            settle: if remote.is_directory() {
                Duration::ZERO
            } else {
                SETTLE
            },
            owner: format!("{:032x}", u128::from_le_bytes(owner)),
            lease: lease.clamp(Duration::from_secs(1), max),
            started: (now, Instant::now()),
        })
    }

    /// How long a claim holds without being renewed.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Tries to claim a recipe.
    pub fn take(&self, key: RecipeKey) -> Result<Taken, RemoteError> {
        for generation in 0..MAX_GENERATIONS {
            let held = Held { key, generation };
            let name = self.name(held);
            let mut found = self.transport.get(&name)?;
            if found == Got::Nothing {
                let claim = self.claim(State::Working);
                let put = self.transport.put(&name, &claim, &[], Writing::New)?;
                if put == Put::Done {
                    std::thread::sleep(self.settle);
                }
                found = self.transport.get(&name)?;
            }
            // What is no claim holds nothing; neither does one that vanished.
            let claim = match &found {
                Got::Object(bytes) => serde_json::from_slice::<Claim>(bytes).ok(),
                Got::Nothing | Got::Broken(_) => None,
            };
            let Some(claim) = claim else { continue };
            if claim.owner == self.owner && claim.state == State::Working {
                return Ok(Taken::Ours(held));
            }
            match (claim.left(self.now()), claim.state) {
                (None, _) => {}
                (Some(_), State::Failed) => return Ok(Taken::Failed),
                (Some(left), State::Working | State::Released) => {
                    return Ok(Taken::Busy {
                        owner: claim.owner.chars().take(32).collect(),
                        left: Duration::from_secs(left),
                    });
                }
            }
        }
        Ok(Taken::Failed)
    }

    /// Says that the work goes on: the lease begins anew.
    pub fn renew(&self, held: Held) -> Result<(), RemoteError> {
        self.write(held, State::Working)
    }

    /// Says that the work failed: nobody tries before the lease runs out.
    pub fn fail(&self, held: Held) -> Result<(), RemoteError> {
        self.write(held, State::Failed)
    }

    /// Gives the work up for others to take.
    pub fn release(&self, held: Held) -> Result<(), RemoteError> {
        self.write(held, State::Released)
    }

    fn write(&self, held: Held, state: State) -> Result<(), RemoteError> {
        let (name, claim) = (self.name(held), self.claim(state));
        self.transport
            .put(&name, &claim, &[], Writing::Replace)
            .map(|_| ())
    }

    fn name(&self, Held { key, generation }: Held) -> Name {
        Name::Claim(Address::of_claim(self.namespace, key, generation))
    }

    fn now(&self) -> u64 {
        let (then, instant) = self.started;
        then + instant.elapsed().as_secs()
    }

    fn claim(&self, state: State) -> Vec<u8> {
        let claim = Claim {
            version: VERSION,
            owner: self.owner.clone(),
            since: self.now(),
            lease: self.lease.as_secs(),
            state,
        };
        // Serialising a struct of numbers and strings to memory cannot fail.
        serde_json::to_vec(&claim).unwrap_or_default()
    }
}

/// The tree that a remote has for a subject, whole as far as its sizes tell.
///
/// This is for writers, who ask what there is to be done. It says nothing of
/// whether a reader would accept the tree.
pub fn has(
    transport: &dyn Transport,
    remote: &Remote,
    subject: &Subject,
) -> Result<Option<TreeDigest>, RemoteError> {
    match read_record(transport, remote, subject) {
        Ok(Got::Object(record)) if transport.has_blob(&record.blob.into())? => {
            Ok(Some(record.tree))
        }
        Ok(_) => Ok(None),
        // What is no record at all is in nobody's way.
        Err(RemoteError::Record {
            source: RecordError::Malformed(_) | RecordError::OtherSubject(_),
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;
    use crate::events::Cancel;
    use crate::remote::directory::Directory;

    const KEY: RecipeKey = RecipeKey::from_bytes([7; 32]);
    const NOW: u64 = 1_800_000_000;

    struct Place {
        dir: tempfile::TempDir,
        directory: Directory,
        remote: Remote,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().display());
        Place {
            directory: Directory::new(dir.path(), &Cancel::default()),
            remote: Remote::parse(&url, Access::ReadWrite, Namespace::default(), false).unwrap(),
            dir,
        }
    }

    impl Place {
        fn claims(&self, lease: u64, now: u64) -> Claims<'_> {
            let lease = Duration::from_secs(lease);
            Claims::new(&self.directory, &self.remote, lease, now).unwrap()
        }
    }

    fn ours(taken: &Taken) -> Held {
        match taken {
            Taken::Ours(held) => *held,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_claim_holds_until_its_lease_runs_out() {
        let place = place();
        let first = place.claims(60, NOW);
        assert_eq!(ours(&first.take(KEY).unwrap()).generation, 0);
        let busy = place.claims(60, NOW + 30).take(KEY).unwrap();
        assert!(
            matches!(busy, Taken::Busy { left, .. } if left.as_secs() <= 30),
            "{busy:?}"
        );
        let other = RecipeKey::from_bytes([8; 32]);
        ours(&place.claims(60, NOW).take(other).unwrap());
        // The owner was killed: the next generation is somebody else's.
        let second = place.claims(60, NOW + 61);
        assert_eq!(ours(&second.take(KEY).unwrap()).generation, 1);
        // The first one wakes up, and does not get it back.
        first
            .renew(Held {
                key: KEY,
                generation: 0,
            })
            .unwrap();
        assert!(matches!(
            place.claims(60, NOW + 62).take(KEY),
            Ok(Taken::Busy { .. })
        ));
    }

    #[test]
    fn a_renewed_claim_holds_on_and_a_released_one_does_not() {
        let place = place();
        let held = ours(&place.claims(60, NOW).take(KEY).unwrap());
        place.claims(60, NOW + 50).renew(held).unwrap();
        let busy = place.claims(60, NOW + 100).take(KEY).unwrap();
        assert!(matches!(busy, Taken::Busy { .. }), "{busy:?}");
        place.claims(60, NOW + 100).release(held).unwrap();
        let held = ours(&place.claims(60, NOW + 100).take(KEY).unwrap());
        assert_eq!(held.generation, 1);
        place.claims(60, NOW + 100).fail(held).unwrap();
        assert_eq!(
            place.claims(60, NOW + 101).take(KEY).unwrap(),
            Taken::Failed
        );
        ours(&place.claims(60, NOW + 161).take(KEY).unwrap());
    }

    #[test]
    fn of_many_that_claim_at_once_one_has_it() {
        let place = place();
        for key in 0..20 {
            let key = RecipeKey::from_bytes([key; 32]);
            let claims: Vec<_> = (0..8).map(|_| place.claims(60, NOW)).collect();
            let taken: Vec<_> = std::thread::scope(|scope| {
                let all: Vec<_> = claims.iter().map(|c| scope.spawn(|| c.take(key))).collect();
                all.into_iter()
                    .map(|t| t.join().unwrap().unwrap())
                    .collect()
            });
            let ours = taken.iter().filter(|t| matches!(t, Taken::Ours(_))).count();
            assert_eq!(ours, 1, "{taken:?}");
        }
    }

    #[test]
    fn case_139_what_is_no_claim_holds_nothing() {
        let place = place();
        let held = Held {
            key: KEY,
            generation: 0,
        };
        let name = place.claims(60, NOW).name(held);
        let good = String::from_utf8(place.claims(60, NOW).claim(State::Working)).unwrap();
        for bad in [
            String::new(),
            "{}".to_owned(),
            "[".repeat(100_000),
            good.replace("\"version\":1", "\"version\":2"),
            // A clock that is years ahead must not block the work for years.
            good.replace(&NOW.to_string(), &(NOW * 2).to_string()),
            good.replace(&NOW.to_string(), "-1"),
        ] {
            assert_ne!(bad, good);
            let put = place
                .directory
                .put(&name, bad.as_bytes(), &[], Writing::Replace);
            put.unwrap();
            let claims = place.claims(60, NOW);
            let held = ours(&claims.take(KEY).unwrap());
            assert_eq!(held.generation, 1);
            claims.release(held).unwrap();
            crate::sys::fs::remove_dir_all(&place.dir.path().join("v1")).unwrap();
        }
        // Nor does an endless lease.
        let endless = good.replace("\"lease\":60", "\"lease\":18446744073709551615");
        let put = place
            .directory
            .put(&name, endless.as_bytes(), &[], Writing::Replace);
        put.unwrap();
        ours(&place.claims(60, NOW + MAX_LEASE).take(KEY).unwrap());
    }
}
