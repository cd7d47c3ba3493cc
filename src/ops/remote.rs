//! Trees from remotes: what `sync` takes on its own, and `cache pull`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::execute::{Run, index};
use super::project::Project;
use super::{Context, OpsError, sync};
use crate::events::{Event, Stage};
use crate::lock::Lock;
use crate::plan::{Build, Fetch, Plan, StoreIndex, plan};
use crate::remote::record::{ComponentSubject, RecipeSubject};
use crate::remote::{Patience, Remotes, Subject, Surroundings, Wanted};
use crate::store::{ComponentRecord, Known, RecipeRecord, Store};
use crate::types::{RecipeKey, TreeDigest, Triple};

/// How many trees are pulled at once.
const PULLERS: usize = 4;

/// A tree that came from a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The target or component.
    pub name: String,
    /// Its tree.
    pub tree: TreeDigest,
    /// Where it came from.
    pub remote: String,
}

/// What `cache pull` is asked for.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// Only these targets.
    pub targets: Option<BTreeSet<Triple>>,
}

/// What `cache pull` did.
#[derive(Clone, Debug, Default)]
pub struct PullReport {
    /// Trees that came.
    pub pulled: Vec<Pulled>,
    /// What no remote has, or none in an acceptable way.
    pub missing: Vec<String>,
    /// Whether a remote failed or lied, so that more may be there.
    pub incomplete: bool,
}

impl<'a> Context<'a> {
    /// What remotes need of us.
    pub(super) fn surroundings(&self) -> Surroundings<'a> {
        Surroundings {
            settings: &self.settings.remotes,
            proxies: &self.settings.proxy,
            offline: self.settings.offline,
            observer: self.observer,
            cancel: self.cancel,
        }
    }

    /// The remotes of this run.
    pub(super) fn remotes(&self, patience: Patience) -> Remotes<'a> {
        Remotes::new(self.surroundings(), patience)
    }
}

/// Plans, takes from remotes what would have to be built or downloaded, and
/// plans again.
///
/// Remotes are asked before anything is downloaded, because a build that is
/// not needed does not need its compiler and sources either.
pub(super) fn plan_with_remotes(
    cx: &Context<'_>,
    remotes: &Remotes<'_>,
    store: &Store,
    lock: &Lock,
    host: &Triple,
    targets: Option<&BTreeSet<Triple>>,
    pulled: &mut Vec<Pulled>,
) -> Result<(StoreIndex, Plan), OpsError> {
    let run = Pull {
        cx,
        remotes,
        store,
        lock,
        host,
    };
    let planned = || -> Result<(StoreIndex, Plan), OpsError> {
        let index = index(store, lock, host);
        let plan = plan(lock, host, targets, &index)?;
        Ok((index, plan))
    };
    run.plan(&planned, pulled)
}

/// Like [`plan_with_remotes`] for a plan that is made in another way.
pub(super) fn pull_planned(
    run: &Run<'_>,
    remotes: &Remotes<'_>,
    planned: &dyn Fn() -> Result<(StoreIndex, Plan), OpsError>,
) -> Result<(StoreIndex, Plan), OpsError> {
    let &Run {
        cx,
        store,
        lock,
        host,
        ..
    } = run;
    let pull = Pull {
        cx,
        remotes,
        store,
        lock,
        host,
    };
    pull.plan(planned, &mut Vec::new())
}

/// Brings what the lock names and the store lacks from the remotes.
pub fn pull(
    cx: &Context<'_>,
    project: &Project,
    options: &PullOptions,
) -> Result<PullReport, OpsError> {
    let file = project
        .read_lock()?
        .ok_or_else(|| OpsError::MissingLock(project.files.lock.clone()))?;
    if cx.settings.remotes.remotes.is_empty() {
        return Err(OpsError::NoRemote);
    }
    let host = sync::host(cx, &file.lock)?;
    let store = cx.store()?;
    // Until the records are written of the trees that came.
    let _using = store.begin_use(cx.observer, cx.cancel)?;
    let remotes = cx.remotes(Patience::Asked);
    let mut report = PullReport::default();
    let targets = options.targets.as_ref();
    if let Some(targets) = targets {
        crate::plan::check_selection(&file.lock, Some(targets))?;
    }
    let (_, left) = plan_with_remotes(
        cx,
        &remotes,
        &store,
        &file.lock,
        &host,
        targets,
        &mut report.pulled,
    )?;
    let builds = left.build.iter().map(|build| build.target.to_string());
    let fetches = left.fetch.iter().map(|fetch| fetch.id.to_string());
    report.missing = builds.chain(fetches).collect();
    report.incomplete = !report.missing.is_empty() && remotes.any_off();
    Ok(report)
}

/// Something that remotes may have.
enum Item {
    Build(Build),
    Fetch(Fetch),
}

/// What came of asking for one item.
enum Came {
    /// No remote has it.
    Nothing,
    /// Another process brought it into the store meanwhile.
    Stored,
    /// It is in the store now.
    Pulled(Pulled),
}

struct Pull<'a> {
    cx: &'a Context<'a>,
    remotes: &'a Remotes<'a>,
    store: &'a Store,
    lock: &'a Lock,
    host: &'a Triple,
}

impl Pull<'_> {
    /// Takes what a plan would build, then what it would still download, and
    /// plans again.
    fn plan(
        &self,
        planned: &dyn Fn() -> Result<(StoreIndex, Plan), OpsError>,
        pulled: &mut Vec<Pulled>,
    ) -> Result<(StoreIndex, Plan), OpsError> {
        let mut now = planned()?;
        let builds = now.1.build.iter().cloned().map(Item::Build).collect();
        if self.all(builds, pulled)? {
            now = planned()?;
        }
        let fetches = now.1.fetch.iter().cloned().map(Item::Fetch).collect();
        if self.all(fetches, pulled)? {
            now = planned()?;
        }
        Ok(now)
    }

    /// Asks for all of them, some at once; tells whether the store has any of
    /// them now.
    fn all(&self, items: VecDeque<Item>, pulled: &mut Vec<Pulled>) -> Result<bool, OpsError> {
        let pin = |item: &Item| match item {
            Item::Build(build) => build.pin,
            Item::Fetch(_) => None,
        };
        if !items.iter().any(|item| self.remotes.can_answer(pin(item))) {
            return Ok(false);
        }
        let count = PULLERS.min(items.len());
        let queue = Mutex::new(items);
        let next = || {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.pop_front()
        };
        let work = || {
            let mut done = Vec::new();
            while let Some(item) = next() {
                done.push(match item {
                    Item::Build(build) => self.build(&build)?,
                    Item::Fetch(fetch) => self.component(&fetch)?,
                });
            }
            Ok(done)
        };
        let results: Vec<Result<Vec<Came>, OpsError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e))
            };
            workers.into_iter().map(join).collect()
        });
        let mut changed = false;
        for result in results {
            for came in result? {
                changed |= !matches!(came, Came::Nothing);
                if let Came::Pulled(tree) = came {
                    pulled.push(tree);
                }
            }
        }
        Ok(changed)
    }

    fn build(&self, build: &Build) -> Result<Came, OpsError> {
        let (cx, store) = (self.cx, self.store);
        if !self.remotes.can_answer(build.pin) {
            return Ok(Came::Nothing);
        }
        let lock = format!("recipe-{}", build.key.to_hex());
        let doing = format!("pulling {}", build.target);
        let _guard = store.lock_key(&lock, &doing, cx.observer, cx.cancel)?;
        if is_stored(store, build.key, build.pin) {
            return Ok(Came::Stored);
        }
        let wanted = Wanted {
            subject: Subject::Recipe(RecipeSubject {
                key: build.key,
                target: build.target.clone(),
                host: self.host.clone(),
                rustc: String::new(),
            }),
            pin: build.pin,
        };
        let Some((pulled, subject)) = self.take(&wanted)? else {
            return Ok(Came::Nothing);
        };
        // A pin is the word of one repository: it finds the tree for those who
        // have the same pin, and must not make the store answer for a recipe
        // that other projects have, too.
        if let Some(Subject::Recipe(RecipeSubject {
            key,
            target,
            host,
            rustc,
        })) = subject
        {
            let tree = pulled.tree;
            store.record_recipe(&RecipeRecord {
                key,
                target,
                host,
                rustc,
                tree,
            })?;
        }
        Ok(Came::Pulled(pulled))
    }

    fn component(&self, fetch: &Fetch) -> Result<Came, OpsError> {
        let (cx, store, id) = (self.cx, self.store, &fetch.id);
        if !self.remotes.can_answer(None) {
            return Ok(Came::Nothing);
        }
        let Some(component) = self.lock.archives.get(id) else {
            return Ok(Came::Nothing);
        };
        let hashes = component.hashes();
        let (Some(first), Ok(name)) = (hashes.first(), id.to_string().parse()) else {
            return Ok(Came::Nothing);
        };
        let lock = format!("formats-{}", first.to_hex());
        let doing = format!("pulling {id}");
        let _guard = store.lock_key(&lock, &doing, cx.observer, cx.cancel)?;
        match store.component(&hashes) {
            Known::Nothing => {}
            Known::Tree(_) => return Ok(Came::Stored),
            // Only looking into the other archive tells.
            Known::AllBut(_) => return Ok(Came::Nothing),
        }
        let wanted = Wanted {
            subject: Subject::Component(ComponentSubject {
                name,
                archive: *first,
                formats: hashes,
            }),
            pin: None,
        };
        let Some((pulled, subject)) = self.take(&wanted)? else {
            return Ok(Came::Nothing);
        };
        if let Some(Subject::Component(ComponentSubject {
            name,
            archive,
            formats,
        })) = subject
        {
            store.record_component(&ComponentRecord {
                name: name.to_string(),
                archive,
                claimed: formats,
                tree: pulled.tree,
            })?;
        }
        Ok(Came::Pulled(pulled))
    }

    /// Publishes what the remotes have. The record is the caller's to write,
    /// of what a trusted key signed.
    fn take(&self, wanted: &Wanted) -> Result<Option<(Pulled, Option<Subject>)>, OpsError> {
        let observer = self.cx.observer;
        let name = wanted.subject.label().to_owned();
        let task = name.clone();
        let stage = Stage::Pull;
        observer.event(Event::Started {
            task: task.clone(),
            stage,
            total: None,
        });
        let begun = Instant::now();
        let progress = |bytes| {
            let task = name.clone();
            observer.event(Event::Progress { task, bytes });
        };
        let found = self.remotes.look_up(self.store, wanted, &progress);
        let published = found.map_err(OpsError::from).and_then(|found| {
            let published = found.map(|found| {
                let tree = self.store.publish(&found.staging, &found.listing)?;
                let signed = found.signer.map(|_| found.record.subject);
                Ok((tree, found.remote, signed))
            });
            published.transpose()
        });
        let elapsed = begun.elapsed();
        let ended = match published {
            Ok(Some(_)) => Event::Finished {
                task,
                stage,
                elapsed,
            },
            Ok(None) | Err(_) => Event::Dropped { task },
        };
        observer.event(ended);
        let Some((tree, remote, subject)) = published? else {
            return Ok(None);
        };
        Ok(Some((Pulled { name, tree, remote }, subject)))
    }
}

fn is_stored(store: &Store, key: RecipeKey, pin: Option<TreeDigest>) -> bool {
    pin.is_some_and(|pin| store.has_tree(pin))
        || store
            .recipe(key)
            .is_some_and(|record| pin.is_none_or(|pin| pin == record.tree))
}
