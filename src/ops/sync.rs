//! `sync`: lock if needed, then bring the output into the locked state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::collect::collect_daily;
use super::execute::{Executed, execute, index};
use super::fresh::inputs;
use super::lock::{LockMode, LockReport, lock, unsigned};
use super::output::{Wanted, wanted};
use super::project::{LockFile, Project, ProjectFiles};
use super::remote::plan_with_remotes;
use super::verify::output::compare;
use super::{Context, OpsError, pins, signature, system};
use crate::events::Event;
use crate::lock::{Lock, LockedSource};
use crate::materialize::{
    Applied, Desired, LinkMode, MaterializeError, Output, State, check_stored,
};
use crate::plan::{Plan, StoreIndex, check_selection, plan};
use crate::remote::Patience;
use crate::store::{Root, Store, StoreError, TreeFault};
use crate::sys::fs;
use crate::types::{RelPath, TreeDigest, Triple};

/// What `sync` may do to the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Resolve again if the manifest changed, and write the lock.
    Update,
    /// A stale lock is an error.
    Locked,
    /// The lock is used without looking at whether it answers the manifest.
    Frozen,
}

/// What is asked of `sync`.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// What it may do to the lock.
    pub mode: SyncMode,
    /// Only these targets; the others are left as they are.
    pub targets: Option<BTreeSet<Triple>>,
    /// Plan and report, but change nothing.
    pub dry_run: bool,
    /// Compare the output with the lock, and change nothing.
    pub check: bool,
}

/// What `sync` did.
#[derive(Debug)]
pub struct SyncReport {
    /// Whether the lock was written.
    pub lock: Option<super::LockStatus>,
    /// How many days old the channel manifest is, if the lock was resolved.
    pub age_in_days: Option<i64>,
    /// What had to happen; absent when nothing had to.
    pub plan: Option<Plan>,
    /// What was downloaded and compiled.
    pub executed: Executed,
    /// Output areas that were replaced.
    pub replaced: Vec<RelPath>,
    /// Output areas that were removed.
    pub removed: Vec<RelPath>,
    /// How files got into the output, if any did.
    pub link_mode: Option<LinkMode>,
    /// The targets in the output.
    pub targets: Vec<Triple>,
    /// What the daily collection of garbage did, if it was due.
    pub collected: Option<super::GcReport>,
    /// Wall time, without the collection.
    pub elapsed: Duration,
}

impl SyncReport {
    /// The report of a sync that has done nothing, yet or at all.
    pub(super) fn nothing_to_do(targets: Vec<Triple>) -> Self {
        Self {
            lock: None,
            age_in_days: None,
            plan: None,
            executed: Executed::default(),
            replaced: Vec::new(),
            removed: Vec::new(),
            link_mode: None,
            collected: None,
            targets,
            elapsed: Duration::ZERO,
        }
    }
}

/// Brings a project's output into the locked state.
///
/// [`up_to_date`](super::up_to_date) tells sooner when there is nothing to do.
pub fn sync(
    cx: &Context<'_>,
    project: &Project,
    options: &SyncOptions,
) -> Result<SyncReport, OpsError> {
    let begun = Instant::now();
    let (file, lock_status, age_in_days) = current_lock(cx, project, options)?;
    let host = host(cx, &file.lock)?;
    let mut report = SyncReport {
        lock: lock_status,
        age_in_days,
        ..SyncReport::nothing_to_do(file.lock.targets.keys().cloned().collect())
    };
    if let Some(selected) = &options.targets {
        check_selection(&file.lock, Some(selected))?;
    }
    let state = cx.state(&project.files.output);
    if is_untouched(cx, &project.files, &file, &host, state.as_ref())
        && state.is_some_and(|state| state.is_of_this_boot())
    {
        report.elapsed = begun.elapsed();
        return Ok(report);
    }
    if options.check {
        return check(cx, project, &file, &host, options).map(|()| report);
    }
    if options.dry_run {
        let store = cx.store_to_read()?;
        let index = index(&store, &file.lock, &host);
        report.plan = Some(plan(&file.lock, &host, options.targets.as_ref(), &index)?);
        return Ok(report);
    }
    let store = cx.store()?;
    materialize(cx, &store, project, file, &host, options, &mut report)?;
    report.elapsed = begun.elapsed();
    report.collected = collect_daily(cx, &store);
    Ok(report)
}

/// The lock to use, made or renewed if that is allowed.
fn current_lock(
    cx: &Context<'_>,
    project: &Project,
    options: &SyncOptions,
) -> Result<(LockFile, Option<super::LockStatus>, Option<i64>), OpsError> {
    let path = project.files.lock.clone();
    if let (SyncMode::Update, false) = (options.mode, options.check) {
        let fresh = project.read_lock()?.filter(|old| {
            // The system's toolchain is compared when it is used.
            project.differences(&old.lock).is_empty()
                && has_host(cx, &old.lock)
                && signature::satisfies_policy(cx, &old.lock)
        });
        if let Some(file) = fresh {
            return Ok((file, None, None));
        }
        let mode = if options.dry_run {
            LockMode::DryRun
        } else {
            LockMode::Write
        };
        let LockReport {
            status,
            file,
            age_in_days,
        } = lock(cx, project, mode.into())?;
        return Ok((file, Some(status), age_in_days));
    }
    let file = project
        .read_lock()?
        .ok_or(OpsError::MissingLock(path.clone()))?;
    if options.mode != SyncMode::Frozen {
        let differences = project.differences(&file.lock);
        if !differences.is_empty() {
            return Err(OpsError::StaleLock { path, differences });
        }
    }
    if !signature::satisfies_policy(cx, &file.lock) {
        return Err(unsigned(project));
    }
    Ok((file, None, None))
}

/// Whether every build is locked for this machine, which a lock of the
/// system's toolchain made on another one may not be.
fn has_host(cx: &Context<'_>, lock: &Lock) -> bool {
    let Ok(host) = host(cx, lock) else {
        return true;
    };
    lock.targets.values().all(|target| match &target.source {
        LockedSource::Build { hosts, .. } => hosts.contains_key(&host),
        LockedSource::Download | LockedSource::System => true,
    })
}

/// The locked host that this machine is.
pub(super) fn host(cx: &Context<'_>, lock: &Lock) -> Result<Triple, OpsError> {
    if lock.hosts.is_empty() {
        return Ok(cx.settings.host.clone());
    }
    cx.host_among(lock.hosts.iter())
        .cloned()
        .ok_or_else(|| OpsError::UnknownHost {
            host: cx.settings.host.clone(),
            locked: lock.hosts.iter().cloned().collect(),
        })
}

/// Whether metadata alone shows that the output is what this lock says.
pub(super) fn is_untouched(
    cx: &Context<'_>,
    files: &ProjectFiles,
    file: &LockFile,
    host: &Triple,
    state: Option<&State>,
) -> bool {
    state.is_some_and(|state| {
        state.lock == Some(file.digest())
            && state.host.as_ref() == Some(host)
            && state.is_untouched(&files.output, cx.settings.jobs)
    })
}

/// Compares the output with the lock in full; writes nothing. It is the part
/// of `verify` that is about the output.
fn check(
    cx: &Context<'_>,
    project: &Project,
    file: &LockFile,
    host: &Triple,
    options: &SyncOptions,
) -> Result<(), OpsError> {
    let targets = options.targets.as_ref();
    let compared = compare(cx, &project.files, &file.lock, host, targets)?;
    if compared.differences.is_empty() {
        Ok(())
    } else {
        Err(OpsError::OutputDiffers(compared.differences))
    }
}

fn materialize(
    cx: &Context<'_>,
    store: &Store,
    project: &Project,
    mut file: LockFile,
    host: &Triple,
    options: &SyncOptions,
    report: &mut SyncReport,
) -> Result<(), OpsError> {
    system::check_locked(cx, &file.lock)?;
    signature::prove(cx, &file.lock)?;
    // From before the first look-up until the project is registered.
    let using = store.begin_use(cx.observer, cx.cancel)?;
    let warn = |what: &str, e: &dyn std::error::Error| {
        let cause = e
            .source()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        cx.observer
            .event(Event::Warning(format!("{what}: {e}{cause}")));
    };
    // A store that is only read still serves what it has.
    if let Err(e) = store.sweep_staging() {
        warn("old staging directories stay", &e);
    }
    // A tree that is damaged again and again after it was made anew is not
    // healed for ever; twice, because another process may be healing it, too.
    let mut healed: BTreeMap<TreeDigest, u8> = BTreeMap::new();
    let remotes = cx.remotes(Patience::Automatic);
    let (wanted, areas, applied, output, known) = loop {
        let (mut index, plan) = plan_with_remotes(
            cx,
            &remotes,
            store,
            &file.lock,
            host,
            options.targets.as_ref(),
            &mut report.executed.pulled,
        )?;
        let result = execute(cx, store, project, &file.lock, &plan, &mut index).and_then(|done| {
            report.executed.fetched.extend(done.fetched);
            report.executed.built.extend(done.built);
            let wanted = wanted(cx, store, &plan, &index)?;
            let (areas, applied, output, known) = apply(cx, project, store, &wanted, options)?;
            Ok((wanted, areas, applied, output, known))
        });
        report.plan = Some(plan);
        match result {
            Ok(done) => break done,
            Err(e) => match damaged_tree(&e).or_else(|| vanished_tree(&e, store)) {
                Some(tree) if healed.get(&tree).is_none_or(|times| *times < 2) => {
                    *healed.entry(tree).or_default() += 1;
                    let is_whole =
                        |listing| check_stored(tree, &listing, &store.tree_path(tree)).is_ok();
                    let is_damaged = || !store.listing(tree).is_ok_and(is_whole);
                    if let Some(kept) = store.quarantine(tree, &is_damaged, cx.cancel)? {
                        cx.observer.event(Event::Warning(format!(
                            "{e}; it is kept in `{}` and made anew",
                            kept.display()
                        )));
                    }
                }
                _ => return Err(e),
            },
        }
    };
    record_pins(cx, project, &mut file, host, options, report)?;
    for area in &applied.healed {
        cx.observer.event(Event::Warning(format!(
            "{area} was not what the lock says; it was put back"
        )));
    }
    report.replaced = applied.replaced;
    report.removed = applied.removed;
    report.link_mode = applied.link_mode;
    let is_whole = options.targets.is_none();
    let mut state = State {
        boot: fs::boot(),
        lock: is_whole.then(|| file.digest()),
        host: Some(host.clone()),
        link_mode: report.link_mode.or(known.link_mode),
        trees: wanted.trees,
        inputs: (is_whole && options.mode != SyncMode::Frozen)
            .then(|| inputs(cx, project, &file.lock)),
        watched: wanted.watched,
        areas,
    };
    if options.targets.is_some() {
        // The other targets are still there, and so are their trees.
        state.trees.extend(known.trees);
        state.trees.sort_unstable();
        state.trees.dedup();
    }
    let key = store.make_state_key();
    if let Err(e) = key
        .map_err(OpsError::from)
        .and_then(|key| Ok(state.write(&project.files.output, &key)?))
    {
        warn("the next sync reads everything again", &e);
    }
    let real = std::fs::canonicalize(&project.files.dir).unwrap_or(project.files.dir.clone());
    let root = Root::of(real, state.trees, cx.settings.now);
    match store.register(&root) {
        // A store that we cannot write to is collected by somebody else, who
        // cannot know of us; the output does not need it any more.
        Err(StoreError::Fs(e)) if e.source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
        Err(e) => warn("the store does not know of this project", &e),
        Ok(()) => {}
    }
    drop(using);
    drop(output);
    Ok(())
}

type States = BTreeMap<RelPath, crate::materialize::AreaState>;

fn apply(
    cx: &Context<'_>,
    project: &Project,
    store: &Store,
    wanted: &Wanted,
    options: &SyncOptions,
) -> Result<(States, Applied, Output, State), OpsError> {
    let output = Output::open(&project.files.output, cx.observer, cx.cancel)?;
    let known = cx.state(&project.files.output).unwrap_or_default();
    let desired = Desired {
        areas: &wanted.areas,
        exclusive: options.targets.is_none(),
        link_mode: cx.settings.link_mode,
    };
    let place = |tree: TreeDigest| store.tree_path(tree);
    let (areas, applied) = output.apply(&desired, &known, &place, cx.cancel)?;
    Ok((areas, applied, output, known))
}

/// The stored tree that an error blames.
fn damaged_tree(error: &OpsError) -> Option<TreeDigest> {
    match error {
        OpsError::Materialize(MaterializeError::Damaged { tree, .. })
        | OpsError::Tree(TreeFault::Absent(tree) | TreeFault::Listing { digest: tree, .. }) => {
            Some(*tree)
        }
        // Something else has the tree's name; a link is refused.
        OpsError::Store(StoreError::NameTaken {
            tree,
            is_link: false,
            ..
        }) => Some(*tree),
        _ => None,
    }
}

/// The stored tree that another process moved away while we read it.
fn vanished_tree(error: &OpsError, store: &Store) -> Option<TreeDigest> {
    let OpsError::Materialize(MaterializeError::Fs(e)) = error else {
        return None;
    };
    let below = e.path.strip_prefix(store.layout().trees()).ok()?;
    let name = below.components().next()?.as_os_str().to_str()?;
    let vanished = e.source.kind() == std::io::ErrorKind::NotFound;
    vanished.then(|| TreeDigest::from_hex(name).ok()).flatten()
}

/// Writes the digests of compiled trees into the lock, so that from now on
/// every other source of them must agree.
fn record_pins(
    cx: &Context<'_>,
    project: &Project,
    file: &mut LockFile,
    host: &Triple,
    options: &SyncOptions,
    report: &mut SyncReport,
) -> Result<(), OpsError> {
    if options.mode != SyncMode::Update {
        return Ok(());
    }
    let store = cx.store()?;
    let StoreIndex { recipes, .. } = index(&store, &file.lock, host);
    if pins::record(project, file, host, &recipes, &BTreeSet::new())? {
        report
            .lock
            .get_or_insert(super::LockStatus::Updated(Vec::new()));
    }
    Ok(())
}
