//! Pins: the digests of compiled trees, in the lock, for each host.
//!
//! A pin is written when there is none, and replaced only by `lock --repin`.

use std::collections::{BTreeMap, BTreeSet};

use super::again::{Again, Compiled, How, compile, compiled_targets, fetch_inputs};
use super::execute::{Run, execute, index};
use super::failures::Failures;
use super::project::{LockFile, Project};
use super::remote::pull_planned;
use super::{Context, LockMode, OpsError, sync, system};
use crate::events::Event;
use crate::lock::{Lock, LockedSource};
use crate::materialize::check_stored;
use crate::plan::{StoreIndex, check_selection, plan};
use crate::remote::Patience;
use crate::store::Store;
use crate::sys::fs;
use crate::types::{RecipeKey, TreeDigest, Triple};

/// What is asked of [`pin`].
#[derive(Clone, Debug)]
pub struct PinOptions {
    /// Write the pins, tell what would be written, or fail if one is missing.
    pub mode: LockMode,
    /// Pin every compiled target that has no pin for this host.
    pub missing: bool,
    /// Targets that are compiled again, and whose pin becomes what that gives.
    pub again: BTreeSet<Triple>,
}

/// A target's pin before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The target.
    pub target: Triple,
    /// Its pin before.
    pub old: Option<TreeDigest>,
    /// Its pin now; `None` where it would have to be compiled first.
    pub new: Option<TreeDigest>,
}

/// The pins of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinReport {
    /// The host they are for.
    pub host: Triple,
    /// Every compiled target.
    pub pins: Vec<Pinned>,
    /// Whether the lock was written.
    pub written: bool,
}

/// Pins the compiled targets of a lock for this host, without an output.
pub fn pin(
    cx: &Context<'_>,
    project: &Project,
    mut file: LockFile,
    options: &PinOptions,
) -> Result<PinReport, OpsError> {
    let host = sync::host(cx, &file.lock)?;
    check_compiled(&file.lock, &options.again)?;
    let before = pins(&file.lock, &host);
    let lacks: BTreeSet<Triple> = (before.iter())
        .filter(|(name, pin)| options.missing && pin.is_none() && !options.again.contains(*name))
        .map(|(name, _)| name.clone())
        .collect();
    let mut written = false;
    if options.mode == LockMode::Check && !lacks.is_empty() {
        return Err(OpsError::Unpinned {
            host,
            targets: lacks.into_iter().collect(),
        });
    }
    if options.mode == LockMode::Write && !(lacks.is_empty() && options.again.is_empty()) {
        system::check_locked(cx, &file.lock)?;
        let store = cx.store()?;
        let _using = store.begin_use(cx.observer, cx.cancel)?;
        let lock = file.lock.clone();
        let run = Run {
            cx,
            store: &store,
            project,
            lock: &lock,
            host: &host,
            system: None,
        };
        let mut trees = obtain(&run, &lacks)?;
        trees.extend(compile_again(&run, &options.again)?);
        written = record(project, &mut file, &host, &trees, &options.again)?;
    }
    let after = pins(&file.lock, &host);
    let pins = before.into_iter().map(|(target, old)| {
        let new = after.get(&target).copied().flatten();
        Pinned { target, old, new }
    });
    Ok(PinReport {
        host,
        pins: pins.collect(),
        written,
    })
}

/// The pins of the compiled targets on a host.
fn pins(lock: &Lock, host: &Triple) -> BTreeMap<Triple, Option<TreeDigest>> {
    let targets = lock.targets.iter();
    let compiled = targets.filter_map(|(name, target)| match &target.source {
        LockedSource::Build { hosts, .. } => Some((name.clone(), hosts.get(host)?.pin)),
        LockedSource::Download | LockedSource::System => None,
    });
    compiled.collect()
}

/// Refuses to pin what is not compiled, or not in the lock.
fn check_compiled(lock: &Lock, targets: &BTreeSet<Triple>) -> Result<(), OpsError> {
    check_selection(lock, Some(targets))?;
    for name in targets {
        let source = lock.targets.get(name).map(|target| &target.source);
        if let Some(source @ (LockedSource::Download | LockedSource::System)) = source {
            return Err(OpsError::NotCompiled {
                target: name.clone(),
                obtained: source.as_str(),
            });
        }
    }
    Ok(())
}

/// Brings the trees of these targets into the store, as a sync would, and
/// nothing that no build of them needs.
fn obtain(
    run: &Run<'_>,
    targets: &BTreeSet<Triple>,
) -> Result<BTreeMap<RecipeKey, TreeDigest>, OpsError> {
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: BTreeSet<RecipeKey> = compiled_targets(run, Some(targets))
        .into_iter()
        .map(|again| again.key)
        .collect();
    let before = index(run.store, run.lock, run.host);
    set_damaged_aside(
        run,
        before
            .recipes
            .iter()
            .filter(|(key, _)| wanted.contains(key)),
    )?;
    let planned = || {
        let index = index(run.store, run.lock, run.host);
        let mut plan = plan(run.lock, run.host, Some(targets), &index)?;
        plan.build.retain(|build| targets.contains(&build.target));
        let builds = !plan.build.is_empty();
        plan.fetch.retain(|fetch| builds && fetch.for_build);
        plan.units.clear();
        Ok((index, plan))
    };
    let remotes = run.cx.remotes(Patience::Automatic);
    let (mut index, plan) = pull_planned(run, &remotes, &planned)?;
    execute(run.cx, run.store, run.project, run.lock, &plan, &mut index)?;
    let StoreIndex { mut recipes, .. } = index;
    recipes.retain(|key, _| wanted.contains(key));
    Ok(recipes)
}

/// A pin must not name a tree that is damaged: such a one is made anew.
fn set_damaged_aside<'t>(
    run: &Run<'_>,
    trees: impl Iterator<Item = (&'t RecipeKey, &'t TreeDigest)>,
) -> Result<(), OpsError> {
    let Run { cx, store, .. } = run;
    for (_, &tree) in trees {
        let is_damaged = || !is_whole(store, tree);
        if is_damaged()
            && let Some(kept) = store.quarantine(tree, &is_damaged, cx.cancel)?
        {
            cx.observer.event(Event::Warning(format!(
                "tree {tree} is damaged; it is kept in `{}` and made anew",
                kept.display()
            )));
        }
    }
    Ok(())
}

fn is_whole(store: &Store, tree: TreeDigest) -> bool {
    let listing = store.listing(tree);
    listing.is_ok_and(|listing| check_stored(tree, &listing, &store.tree_path(tree)).is_ok())
}

/// Compiles targets whatever the store has of them, and puts what that gives
/// in its place.
fn compile_again(
    run: &Run<'_>,
    targets: &BTreeSet<Triple>,
) -> Result<BTreeMap<RecipeKey, TreeDigest>, OpsError> {
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let targets = compiled_targets(run, Some(targets));
    fetch_inputs(run, &targets)?;
    let work = run.store.stage(run.cx.observer, run.cx.cancel)?;
    let how = How {
        jobs: run.cx.settings.jobs,
        work: work.path().to_owned(),
        logs: run.store.layout().logs(),
        offline: run.cx.settings.offline,
    };
    let failures = Failures::new(run.cx);
    let publish = |(Again { target, key, pin }, result): (Again, Result<_, OpsError>)| {
        let tree = result.and_then(|compiled: Compiled| {
            let Compiled {
                staging,
                listing,
                rustc,
            } = compiled;
            run.publish(&staging, &listing, &target, key, &rustc)
        });
        let build = crate::plan::Build {
            target,
            key,
            pin,
            reason: crate::plan::BuildReason::NotStored,
        };
        failures.tell(&build, &tree);
        (build, tree)
    };
    let results = compile(run, &targets, how)?
        .into_iter()
        .map(publish)
        .collect();
    let done = failures.sum_up(results)?.all()?;
    Ok(done
        .into_iter()
        .map(|(build, tree)| (build.key, tree))
        .collect())
}

/// Writes the digests of compiled trees into the lock, so that from now on
/// every other source of them must agree; tells whether that changed it.
///
/// Builds take minutes: somebody may have changed the lock meanwhile, and then
/// their text gets the pins that still fit, and stays theirs.
pub(super) fn record(
    project: &Project,
    file: &mut LockFile,
    host: &Triple,
    trees: &BTreeMap<RecipeKey, TreeDigest>,
    replace: &BTreeSet<Triple>,
) -> Result<bool, OpsError> {
    let mut current = project.read_lock()?.unwrap_or_else(|| file.clone());
    let is_ours = current.text == file.text;
    if !set(&mut current.lock, host, trees, replace) {
        return Ok(false);
    }
    current.text = current.lock.to_text();
    fs::replace(&project.files.lock, current.text.as_bytes())?;
    if is_ours {
        *file = current;
    }
    Ok(true)
}

/// Pins what has no pin yet, and what shall be replaced.
fn set(
    lock: &mut Lock,
    host: &Triple,
    trees: &BTreeMap<RecipeKey, TreeDigest>,
    replace: &BTreeSet<Triple>,
) -> bool {
    let mut changed = false;
    for (name, target) in &mut lock.targets {
        let LockedSource::Build { hosts, .. } = &mut target.source else {
            continue;
        };
        let Some(build) = hosts.get_mut(host) else {
            continue;
        };
        let tree = trees.get(&build.key).copied();
        let may = build.pin.is_none() || replace.contains(name);
        if may && tree.is_some() && build.pin != tree {
            build.pin = tree;
            changed = true;
        }
    }
    changed
}
