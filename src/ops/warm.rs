//! `cache warm`: builds what a remote lacks and pushes it, together with other
//! machines that do the same.
//!
//! Each recipe is claimed on the remote before it is built
//! ([`crate::remote::claim`]). A shard begins with its own part, then helps
//! with the others', and ends when everything is there: as long as something
//! is claimed by somebody else, it waits, because the other may be killed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::execute::{execute, index};
use super::needs::{needs, read_lock};
use super::project::{LockFile, Project};
use super::push::{PushOptions, PushedTree, push};
use super::shard::Shard;
use super::{Context, OpsError};
use crate::events::Event;
use crate::lock::LockedBuild;
use crate::plan::plan;
use crate::remote::claim::{Claims, Held, Taken, has};
use crate::remote::record::RecipeSubject;
use crate::remote::{Patience, Remote, Subject, Transport, connect};
use crate::store::Store;
use crate::types::{Class, Diagnostic as _, TreeDigest, Triple};

/// How often to look whether others are done: at first, and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What `cache warm` is asked for.
#[derive(Clone, Debug)]
pub struct WarmOptions {
    /// Only these targets.
    pub targets: Option<BTreeSet<Triple>>,
    /// Whose part comes first.
    pub shard: Shard,
    /// How long a claim holds without a sign of life.
    pub lease: Duration,
    /// The file of the secret key to sign with.
    pub key: Option<PathBuf>,
}

/// What `cache warm` did.
#[derive(Clone, Debug, Default)]
pub struct WarmReport {
    /// The remote that is filled.
    pub remote: String,
    /// Targets that were there already.
    pub present: Vec<Triple>,
    /// Targets that were built here, or taken from the local store, and pushed.
    pub done: Vec<Triple>,
    /// What became of them on each remote that may be written to.
    pub pushed: Vec<PushedTree>,
    /// Targets that others brought meanwhile.
    pub by_others: Vec<Triple>,
    /// Targets that could not be built, here or elsewhere.
    pub failed: Vec<Triple>,
    /// Targets for which the remote has another tree than the lock pins.
    pub conflicts: Vec<Triple>,
}

/// Fills the first remote that may be written to with the lock's compiled
/// targets.
pub fn warm(
    cx: &Context<'_>,
    project: &Project,
    options: &WarmOptions,
) -> Result<WarmReport, OpsError> {
    let file = read_lock(project)?;
    let needs = needs(cx, &file, options.targets.as_ref())?;
    let settings = &cx.settings.remotes;
    let Some(remote) = settings.writable().next() else {
        let remotes = settings.remotes.iter().map(ToString::to_string).collect();
        return Err(if settings.remotes.is_empty() {
            OpsError::NoRemote
        } else {
            OpsError::ReadOnlyRemotes(remotes)
        });
    };
    let transport = connect(remote, cx.surroundings(), Patience::Asked, None)?;
    // By key, so that neighbours in the alphabet, which take equally long,
    // come to different shards.
    let mut items: Vec<Item> = needs.builds.into_iter().collect();
    items.sort_unstable_by_key(|(_, build)| build.key);
    let warm = Warm {
        cx,
        project,
        file: &file,
        host: needs.host,
        store: cx.store()?,
        remote,
        transport: &*transport,
        claims: Claims::new(&*transport, remote, options.lease, cx.settings.now)?,
        key: options.key.clone(),
    };
    // No collector takes away what is built before it is pushed.
    let using = warm.store.begin_use(cx.observer, cx.cancel)?;
    let mut report = WarmReport {
        remote: remote.to_string(),
        ..WarmReport::default()
    };
    let missing = warm.look(options.shard.order(&items), &mut report)?;
    warm.all(missing, &mut report)?;
    drop(using);
    Ok(report)
}

type Item = (Triple, LockedBuild);

struct Warm<'a> {
    cx: &'a Context<'a>,
    project: &'a Project,
    file: &'a LockFile,
    host: Triple,
    store: Store,
    remote: &'a Remote,
    transport: &'a dyn Transport,
    claims: Claims<'a>,
    key: Option<PathBuf>,
}

/// What is to be done about one target.
enum Next {
    /// It is there, with this tree.
    There(TreeDigest),
    /// It is ours to build.
    Ours(Held),
    /// Somebody else builds it.
    Busy(String, Duration),
    /// It cannot be built.
    Failed,
}

impl Warm<'_> {
    /// Leaves out what is there already.
    fn look(&self, items: Vec<Item>, report: &mut WarmReport) -> Result<Vec<Item>, OpsError> {
        let mut missing = Vec::new();
        for item in items {
            self.cx.cancel.check()?;
            match has(self.transport, self.remote, &self.subject(&item))? {
                Some(tree) if is_other(&item, tree) => report.conflicts.push(item.0),
                Some(_) => report.present.push(item.0),
                None => missing.push(item),
            }
        }
        Ok(missing)
    }

    fn all(&self, mut pending: Vec<Item>, report: &mut WarmReport) -> Result<(), OpsError> {
        let (mut poll, mut told) = (POLL.0, false);
        while !pending.is_empty() {
            let before = pending.len();
            let mut batch = Vec::new();
            let mut busy: Option<(String, String, Duration)> = None;
            let mut left = Vec::new();
            for item in pending {
                self.cx.cancel.check()?;
                if batch.len() >= self.batch() {
                    left.push(item);
                    continue;
                }
                match self.next(&item)? {
                    Next::There(tree) if is_other(&item, tree) => report.conflicts.push(item.0),
                    Next::There(_) => report.by_others.push(item.0),
                    Next::Ours(held) => batch.push((item, held)),
                    Next::Failed => report.failed.push(item.0),
                    Next::Busy(owner, wait) => {
                        busy.get_or_insert_with(|| (item.0.to_string(), owner, wait));
                        left.push(item);
                    }
                }
            }
            pending = left;
            if !batch.is_empty() {
                self.batch_of(&batch, report)?;
            }
            if pending.len() < before {
                poll = POLL.0;
            } else if let Some((task, owner, wait)) = busy {
                if !told {
                    let holder = format!("shard {owner} of `{}`", self.remote);
                    self.cx.observer.event(Event::Waiting { task, holder });
                    told = true;
                }
                self.sleep(poll.min(wait.max(POLL.0)))?;
                poll = (poll * 2).min(POLL.1);
            }
        }
        Ok(())
    }

    /// How many targets are claimed at once: as many as the processors can be
    /// kept busy with, and not more, because others may be idle.
    fn batch(&self) -> usize {
        self.cx.settings.jobs.div_ceil(2).max(1)
    }

    fn sleep(&self, time: Duration) -> Result<(), OpsError> {
        let begun = std::time::Instant::now();
        while begun.elapsed() < time {
            self.cx.cancel.check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn subject(&self, (target, build): &Item) -> Subject {
        Subject::Recipe(RecipeSubject {
            key: build.key,
            target: target.clone(),
            host: self.host.clone(),
            rustc: String::new(),
        })
    }

    fn next(&self, item: &Item) -> Result<Next, OpsError> {
        let subject = self.subject(item);
        let there = || has(self.transport, self.remote, &subject);
        if let Some(tree) = there()? {
            return Ok(Next::There(tree));
        }
        Ok(match self.claims.take(item.1.key)? {
            Taken::Busy { owner, left } => Next::Busy(owner, left),
            Taken::Failed => Next::Failed,
            Taken::Ours(held) => match there()? {
                None => Next::Ours(held),
                // Its builder was done between our look and our claim.
                Some(tree) => {
                    self.claims.release(held)?;
                    Next::There(tree)
                }
            },
        })
    }

    /// Builds and pushes what was claimed. A target that cannot be built does
    /// not stop the others; anything else does, and gives the claims back.
    fn batch_of(&self, batch: &[(Item, Held)], report: &mut WarmReport) -> Result<(), OpsError> {
        let held: Vec<Held> = batch.iter().map(|(_, held)| *held).collect();
        let result = self.while_renewing(&held, || {
            let built = self.build(batch)?;
            let stored = |(item, _): &&(Item, Held)| self.is_stored(item);
            let (good, bad): (Vec<_>, Vec<_>) = batch.iter().partition(stored);
            if let (Err(error), false) = (built, bad.is_empty()) {
                self.cx.observer.event(Event::Warning(error.to_string()));
            }
            if !good.is_empty() {
                let pushed = push(
                    self.cx,
                    self.project,
                    &PushOptions {
                        targets: Some(good.iter().map(|((target, _), _)| target.clone()).collect()),
                        key: self.key.clone(),
                        components: false,
                    },
                )?;
                report.pushed.extend(pushed.pushed);
                if let Some(failed) = pushed.failed.into_iter().next() {
                    return Err(failed.error.into());
                }
            }
            Ok((good, bad))
        });
        match result {
            Ok((good, bad)) => {
                for ((target, _), held) in bad {
                    self.claims.fail(*held)?;
                    report.failed.push(target.clone());
                }
                let targets = good.iter().map(|((target, _), _)| target.clone());
                report.done.extend(targets);
                Ok(())
            }
            Err(error) => {
                for held in held {
                    // Otherwise the lease runs out in its own time.
                    let _ = self.claims.release(held);
                }
                Err(error)
            }
        }
    }

    /// The inner error is of the targets, the outer one of everything else.
    fn build(&self, batch: &[(Item, Held)]) -> Result<Result<(), OpsError>, OpsError> {
        let targets: BTreeSet<Triple> = batch.iter().map(|((t, _), _)| t.clone()).collect();
        let lock = &self.file.lock;
        let mut index = index(&self.store, lock, &self.host);
        let mut plan = plan(lock, &self.host, Some(&targets), &index)?;
        plan.build.retain(|build| targets.contains(&build.target));
        // No output is made, so only what compiles is needed.
        let builds = !plan.build.is_empty();
        plan.fetch.retain(|fetch| builds && fetch.for_build);
        let done = execute(self.cx, &self.store, self.project, lock, &plan, &mut index);
        match done {
            Ok(_) => Ok(Ok(())),
            Err(error) if matches!(error.class(), Class::Build | Class::Integrity) => {
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    fn is_stored(&self, (_, build): &Item) -> bool {
        let record = self.store.recipe(build.key);
        record.is_some_and(|record| build.pin.is_none_or(|pin| pin == record.tree))
    }

    /// Renews the claims three times in a lease while `work` runs.
    fn while_renewing<T>(
        &self,
        held: &[Held],
        work: impl FnOnce() -> Result<T, OpsError>,
    ) -> Result<T, OpsError> {
        let (done, end) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let every = self.claims.lease() / 3;
                while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(every) {
                    for held in held {
                        // The next attempt comes before the lease runs out.
                        let _ = self.claims.renew(*held);
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }
}

/// Whether a tree is another one than the lock pins.
fn is_other((_, build): &Item, tree: TreeDigest) -> bool {
    build.pin.is_some_and(|pin| pin != tree)
}
