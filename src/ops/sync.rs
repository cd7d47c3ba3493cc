//! `sync`: lock if needed, then bring the output into the locked state.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::bring::{Work, register_moved, warn};
use super::collect::collect_daily;
use super::execute::{Executed, index};
use super::lock::{LockMode, LockReport, lock, unsigned};
use super::project::{LockFile, Project, ProjectFiles};
use super::verify::output::compare;
use super::{Context, OpsError, pins, signature, system};
use crate::events::Event;
use crate::lock::{Lock, LockedSource};
use crate::materialize::{LinkMode, State};
use crate::plan::{Plan, StoreIndex, check_selection, plan};
use crate::store::Store;
use crate::types::{RelPath, Triple};

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
    /// Whether pins of what was compiled were written into the lock.
    pub pinned: bool,
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
    /// The targets that were asked for.
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
            pinned: false,
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
        ..SyncReport::nothing_to_do(chosen(&file.lock, options))
    };
    if let Some(selected) = &options.targets {
        check_selection(&file.lock, Some(selected))?;
    }
    let state = cx.state(&project.files.output);
    if is_untouched(cx, &project.files, &file, &host, state.as_ref())
        && let Some(state) = state.filter(State::is_of_this_boot)
    {
        if !options.check && !options.dry_run {
            register_moved(cx, &project.files.dir, state);
        }
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

/// The targets that are asked for: all of the lock's, or the selected ones.
fn chosen(lock: &Lock, options: &SyncOptions) -> Vec<Triple> {
    let all = lock.targets.keys();
    let selected = |target: &&Triple| options.targets.as_ref().is_none_or(|t| t.contains(*target));
    all.filter(selected).cloned().collect()
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
    let system = system::check_locked(cx, &file.lock)?;
    signature::prove(cx, &file.lock)?;
    // From before the first look-up until the project is registered.
    let using = store.begin_use(cx.observer, cx.cancel)?;
    // A store that is only read still serves what it has.
    if let Err(e) = store.sweep_staging() {
        warn(cx, "old staging directories stay", &e);
    }
    let work = Work {
        cx,
        store,
        project,
        host,
        options,
        system,
    };
    let brought = work.bring_and_heal(&file.lock, report)?;
    record_pins(cx, project, &mut file, host, options, report)?;
    for area in &brought.applied.healed {
        cx.observer.event(Event::Warning(format!(
            "{area} was not what the lock says; it was put back"
        )));
    }
    report.replaced.clone_from(&brought.applied.replaced);
    report.removed.clone_from(&brought.applied.removed);
    report.link_mode = brought.applied.link_mode;
    let failed = work.write_down(&file, brought);
    drop(using);
    // What could be made is in place; the rest is why this sync failed.
    failed.map_or(Ok(()), |failed| Err(failed.error))
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
        report.pinned = true;
        report
            .lock
            .get_or_insert(super::LockStatus::Updated(Vec::new()));
    }
    Ok(())
}
