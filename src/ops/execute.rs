//! A plan's downloads and builds, overlapping: a build starts as soon as its
//! own inputs are in the store, whatever else is still on its way.

use std::path::{Path, PathBuf};

use super::differ::{self, Built};
use super::failures::{FailedTargets, Failures, Outcome, whole};
use super::project::Project;
use super::queue::{Queue, Tally};
use super::{Context, OpsError, channel, system, workers};
use crate::attest;
use crate::build::{Builder, BuilderOptions, Job, TargetSpec, Toolchain};
use crate::events::Event;
use crate::fetch::Mirrors;
use crate::lock::{Lock, LockedSource, LockedToolchain};
use crate::materialize;
use crate::plan::{Build, Plan, StoreIndex, TOOLCHAIN_COMPONENTS, component_id};
use crate::store::{Known, RecipeRecord, Staging, Store};
use crate::types::{ComponentId, Listing, RecipeKey, TreeDigest, Triple};

/// How many archives are fetched and unpacked at once: enough to keep both
/// the network and the processors busy.
const FETCHERS: usize = 4;

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    /// Components that were downloaded, or found when their turn came.
    pub fetched: Vec<ComponentId>,
    /// Targets that were compiled, with their trees.
    pub built: Vec<(Triple, TreeDigest)>,
    /// Trees that came from a remote.
    pub pulled: Vec<super::Pulled>,
}

/// What the store has of the things a lock names.
pub(super) fn index(store: &Store, lock: &Lock, host: &Triple) -> StoreIndex {
    let mut index = StoreIndex::default();
    for (id, component) in &lock.archives {
        if let Known::Tree(tree) = store.component(&component.hashes()) {
            index.components.insert(id.clone(), tree);
        }
    }
    for target in lock.targets.values() {
        let LockedSource::Build { hosts, .. } = &target.source else {
            continue;
        };
        let Some(build) = hosts.get(host) else {
            continue;
        };
        let pinned = build.pin.filter(|pin| store.has_tree(*pin));
        let stored = pinned.or_else(|| store.recipe(build.key).map(|record| record.tree));
        if let Some(tree) = stored {
            index.recipes.insert(build.key, tree);
        }
    }
    index
}

/// Executes a plan's downloads and builds; `index` learns the trees. A
/// target that cannot be had is an error.
pub(super) fn execute(
    cx: &Context<'_>,
    store: &Store,
    project: &Project,
    lock: &Lock,
    plan: &Plan,
    index: &mut StoreIndex,
) -> Result<Executed, OpsError> {
    let (done, failed) = execute_most(cx, store, project, lock, plan, index, None)?;
    failed.map_or(Ok(done), |failed| Err(failed.error))
}

/// Like [`execute`], but targets that could not be had are told beside what
/// was done.
///
/// `system` is the system's toolchain, if it was found to be the locked one.
pub(super) fn execute_most(
    cx: &Context<'_>,
    store: &Store,
    project: &Project,
    lock: &Lock,
    plan: &Plan,
    index: &mut StoreIndex,
    system: Option<&Toolchain>,
) -> Result<(Executed, Option<FailedTargets>), OpsError> {
    if cx.settings.offline
        && let Some(fetch) = plan.fetch.first()
    {
        return Err(OpsError::Offline {
            what: fetch.id.to_string(),
        });
    }
    let run = Run {
        cx,
        store,
        project,
        lock,
        host: &plan.host,
        system,
    };
    let tally = Tally::new(cx.observer, plan);
    let queue = Queue::new(plan, &tally);
    let mirrors = if plan.fetch.is_empty() {
        None
    } else {
        Some(channel::mirrors(cx)?)
    };
    let (fetched, built) = side_by_side(&run, plan, mirrors.as_ref(), &queue, &tally);
    let tell = |error: &OpsError| cx.observer.event(Event::Warning(whole(error)));
    let failed = queue.failures(&tell);
    drop(tally);
    let built = joined(built, failed, &tell)?;
    let mut done = Executed::default();
    for (id, tree) in fetched {
        index.components.insert(id.clone(), tree);
        done.fetched.push(id);
    }
    for (build, tree) in built.done {
        index.recipes.insert(build.key, tree);
        done.built.push((build.target, tree));
    }
    Ok((done, built.failed))
}

/// Fetches by some threads, and compiles by this one's. Failures of downloads
/// are the queue's to tell.
fn side_by_side(
    run: &Run<'_>,
    plan: &Plan,
    mirrors: Option<&Mirrors<'_>>,
    queue: &Queue<'_>,
    tally: &Tally<'_>,
) -> (Vec<(ComponentId, TreeDigest)>, Result<Outcome, OpsError>) {
    std::thread::scope(|scope| {
        let fetch_all = || mirrors.map(|mirrors| run.fetch_all(mirrors, queue));
        let workers: Vec<_> = (0..FETCHERS.min(plan.fetch.len()))
            .map_while(|_| {
                let thread = std::thread::Builder::new();
                thread.spawn_scoped(scope, fetch_all).ok()
            })
            .collect();
        let mut fetched = Vec::new();
        if workers.is_empty() {
            // The system gives no more threads.
            fetched.extend(fetch_all());
        }
        let built = run.build_all(&plan.build, queue, tally);
        for worker in workers {
            let joined = worker.join();
            fetched.extend(joined.unwrap_or_else(|e| std::panic::resume_unwind(e)));
        }
        (fetched.into_iter().flatten().collect(), built)
    })
}

/// What became of the builds and of the downloads together. Of two errors that
/// end the run the download's is returned, and the other one told.
fn joined(
    built: Result<Outcome, OpsError>,
    downloads: Result<Option<FailedTargets>, OpsError>,
    tell: &dyn Fn(&OpsError),
) -> Result<Outcome, OpsError> {
    let of_builds = match &built {
        Ok(built) => built.failed.as_ref().map(|failed| &failed.error),
        Err(e) => Some(e),
    };
    if let (Some(e), false) = (of_builds, matches!(downloads, Ok(None))) {
        tell(e);
    }
    match (built, downloads?) {
        (Ok(built), downloads) => Ok(built.with(downloads)),
        (Err(_), Some(downloads)) => Err(downloads.error),
        (Err(e), None) => Err(e),
    }
}

/// What the steps of one run share.
pub(super) struct Run<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) store: &'a Store,
    pub(super) project: &'a Project,
    pub(super) lock: &'a Lock,
    pub(super) host: &'a Triple,
    /// The system's toolchain, if it was found to be the locked one.
    pub(super) system: Option<&'a Toolchain>,
}

impl Run<'_> {
    /// Compiles all targets of the plan; the failure of one does not stop the
    /// others.
    fn build_all(
        &self,
        builds: &[Build],
        queue: &Queue<'_>,
        tally: &Tally<'_>,
    ) -> Result<Outcome, OpsError> {
        if builds.is_empty() || !queue.wait_for_inputs() {
            return Ok(Outcome {
                done: Vec::new(),
                failed: None,
            });
        }
        let (_assembled, toolchain) = self.toolchain()?;
        let work = self.store.stage(self.cx.observer, self.cx.cancel)?;
        let builder = self.builder(toolchain, builds.len(), &work)?;
        let failures = Failures::new(self.cx);
        // Each worker holds the lock of one recipe at most, so that other
        // processes may take the targets that no compiler of ours has yet.
        let results = workers::each(builds, builder.at_once(), |build, last| {
            let Some(result) = self.build(&builder, build, last) else {
                return workers::Turn::Later;
            };
            failures.tell(build, &result);
            tally.built();
            workers::Turn::Done(result)
        });
        self.cx.cancel.check()?;
        failures.sum_up(builds.iter().cloned().zip(results).collect())
    }

    fn builder(
        &self,
        toolchain: Toolchain,
        builds: usize,
        work: &Staging,
    ) -> Result<Builder<'_>, OpsError> {
        let options = BuilderOptions {
            jobs: self.cx.settings.jobs,
            builds,
            work_root: work.path().to_owned(),
            log_dir: self.store.layout().logs(),
            offline: self.cx.settings.offline,
        };
        let cancel = self.cx.cancel.clone();
        Ok(Builder::new(toolchain, options, cancel, self.cx.observer)?)
    }

    /// The toolchain that compiles: the system's, or one put together from
    /// stored trees. The staging directory must outlive its use.
    pub(super) fn toolchain(&self) -> Result<(Option<Staging>, Toolchain), OpsError> {
        let LockedToolchain::Dist { .. } = &self.lock.toolchain else {
            if let Some(toolchain) = self.system {
                return Ok((None, toolchain.clone()));
            }
            let toolchain = system::find(self.cx)?;
            system::check(&toolchain, self.lock)?;
            return Ok((None, toolchain));
        };
        let staging = self.store.stage(self.cx.observer, self.cx.cancel)?;
        let mut trees = Vec::new();
        for name in TOOLCHAIN_COMPONENTS {
            trees.push(self.stored(name, Some(self.host))?);
        }
        let place = |tree| self.store.tree_path(tree);
        materialize::assemble(staging.path(), &trees, &place, self.cx.cancel)?;
        let (tree, listing) = self.stored("rust-src", None)?;
        materialize::check_stored(tree, &listing, &place(tree))?;
        let rust_src: PathBuf = place(tree).join("lib/rustlib/src/rust");
        let program = |name: &str| {
            let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
            staging.path().join("bin").join(file)
        };
        let toolchain = Toolchain::from_parts(&program("rustc"), &program("cargo"), &rust_src)?;
        self.check_commit(&toolchain)?;
        Ok((Some(staging), toolchain))
    }

    /// The compiler must be of the commit that the channel manifest stated:
    /// it compiles only its own library.
    fn check_commit(&self, toolchain: &Toolchain) -> Result<(), OpsError> {
        let LockedToolchain::Dist { commit, .. } = &self.lock.toolchain else {
            return Ok(());
        };
        let found = &toolchain.version.commit;
        match commit {
            Some(locked) if locked != found => Err(OpsError::OtherCommit {
                locked: locked.clone(),
                found: found.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// A stored component's tree and listing.
    fn stored(
        &self,
        name: &str,
        target: Option<&Triple>,
    ) -> Result<(TreeDigest, Listing), OpsError> {
        let id = component_id(name, target);
        let component = id.as_ref().and_then(|id| self.lock.archives.get(id));
        let known = component.map(|component| self.store.component(&component.hashes()));
        let Some(Known::Tree(tree)) = known else {
            return Err(OpsError::NotStored {
                what: format!("the component {name}"),
            });
        };
        Ok((tree, self.store.listing(tree)?))
    }

    /// Compiles a target, unless somebody else did. `None`: somebody is at it;
    /// we wait for them only with `wait`.
    fn build(
        &self,
        builder: &Builder<'_>,
        build: &Build,
        wait: bool,
    ) -> Option<Result<TreeDigest, OpsError>> {
        let (cx, store) = (self.cx, self.store);
        let key = format!("recipe-{}", build.key.to_hex());
        let doing = format!("compiling {}", build.target);
        let alone = if wait {
            let alone = store.lock_key(&key, &doing, cx.observer, cx.cancel);
            alone.map(Some)
        } else {
            store.try_lock_key(&key, &doing, cx.observer)
        };
        match alone {
            Ok(Some(_guard)) => Some(self.build_alone(builder, build)),
            Ok(None) => None,
            Err(e) => Some(Err(e.into())),
        }
    }

    fn build_alone(&self, builder: &Builder<'_>, build: &Build) -> Result<TreeDigest, OpsError> {
        let (cx, store) = (self.cx, self.store);
        // A remote's tree has no record of its own if only a pin speaks for it.
        if let Some(pin) = build.pin.filter(|pin| store.has_tree(*pin)) {
            return Ok(pin);
        }
        let usable = |tree: &TreeDigest| build.pin.is_none_or(|pin| pin == *tree);
        if let Some(tree) = store.recipe(build.key).map(|r| r.tree).filter(usable) {
            return Ok(tree);
        }
        let staging = store.stage(cx.observer, cx.cancel)?;
        let listing = self.compile(builder, &build.target, build.key, staging.path())?;
        let built = |expected| Built {
            target: &build.target,
            key: build.key,
            expected,
            staging: &staging,
            listing: &listing,
        };
        if let Some(expected) = build.pin.filter(|pin| *pin != listing.digest()) {
            let mismatch = differ::keep(cx, store, &built(expected))?;
            return Err(OpsError::NotReproducible(Box::new(mismatch)));
        }
        if let Some(before) = store.recorded_tree(build.key)
            && before != listing.digest()
        {
            differ::warn(cx, store, &built(before));
        }
        let rustc = &builder.toolchain().version.first_line;
        self.publish(&staging, &listing, &build.target, build.key, rustc)
    }

    /// Compiles a target into an empty directory, as the lock says.
    pub(super) fn compile(
        &self,
        builder: &Builder<'_>,
        target: &Triple,
        key: RecipeKey,
        out: &Path,
    ) -> Result<Listing, OpsError> {
        let locked = self.lock.targets.get(target);
        let Some((locked, LockedSource::Build { options, .. })) = locked.map(|t| (t, &t.source))
        else {
            return Err(OpsError::NotCompiled {
                target: target.clone(),
                obtained: locked.map_or("none", |target| target.source.as_str()),
            });
        };
        let spec = self.project.specs.get(target);
        // `--frozen` compares nothing else with the lock; but the result of
        // other bytes must not get this key.
        if spec.map(|spec| spec.digest) != locked.spec {
            return Err(OpsError::StaleLock {
                path: self.project.files.lock.clone(),
                differences: self.project.differences(self.lock),
            });
        }
        Ok(builder.build(&Job {
            target,
            spec: spec.map(|spec| TargetSpec { bytes: &spec.bytes }),
            options,
            key,
            out,
        })?)
    }

    /// Publishes a compiled tree, with its statement, as its recipe's result.
    pub(super) fn publish(
        &self,
        staging: &Staging,
        listing: &Listing,
        target: &Triple,
        key: RecipeKey,
        rustc: &str,
    ) -> Result<TreeDigest, OpsError> {
        let (store, lock, host) = (self.store, self.lock, self.host);
        let tree = store.publish(staging, listing)?;
        let version = Some(env!("CARGO_PKG_VERSION"));
        if let Some(statement) = attest::statement(lock, target, host, tree, version) {
            store.record_statement(key, &format!("{statement:#}\n"))?;
        }
        store.record_recipe(&RecipeRecord {
            key,
            target: target.clone(),
            host: host.clone(),
            rustc: rustc.to_owned(),
            tree,
        })?;
        Ok(tree)
    }
}
