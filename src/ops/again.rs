//! Compiling a target although there is a result already, whatever the store
//! says: to judge that result, or to replace it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::execute::{Run, execute, index};
use super::{OpsError, workers};
use crate::build::{Builder, BuilderOptions};
use crate::lock::{LockedBuild, LockedSource};
use crate::plan::{Fetch, plan};
use crate::store::Staging;
use crate::types::{Listing, RecipeKey, TreeDigest, Triple};

/// A target to compile again.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) target: Triple,
    pub(super) key: RecipeKey,
    pub(super) pin: Option<TreeDigest>,
}

/// How it is compiled; nothing of this may change the result.
pub(super) struct How {
    pub(super) jobs: usize,
    /// A private directory.
    pub(super) work: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) offline: bool,
}

/// A tree that nobody has judged yet.
pub(super) struct Compiled {
    pub(super) staging: Staging,
    pub(super) listing: Listing,
    /// First line of the compiler's `rustc -vV`.
    pub(super) rustc: String,
}

/// What became of one target.
pub(super) type Outcome = (Again, Result<Compiled, OpsError>);

/// The compiled targets of a lock on this host; all, or the selected ones.
pub(super) fn compiled_targets(run: &Run<'_>, selected: Option<&BTreeSet<Triple>>) -> Vec<Again> {
    let mut found = Vec::new();
    for (name, target) in &run.lock.targets {
        let LockedSource::Build { hosts, .. } = &target.source else {
            continue;
        };
        if let Some(&LockedBuild { key, pin }) = hosts.get(run.host)
            && selected.is_none_or(|selected| selected.contains(name))
        {
            let target = name.clone();
            found.push(Again { target, key, pin });
        }
    }
    found
}

/// The archives that compiling these targets needs and the store lacks.
pub(super) fn missing_inputs(run: &Run<'_>, targets: &[Again]) -> Result<Vec<Fetch>, OpsError> {
    let mut index = index(run.store, run.lock, run.host);
    for again in targets {
        index.recipes.remove(&again.key);
    }
    let selected = targets.iter().map(|again| again.target.clone()).collect();
    let mut plan = plan(run.lock, run.host, Some(&selected), &index)?;
    plan.fetch.retain(|fetch| fetch.for_build);
    Ok(plan.fetch)
}

/// Downloads what compiling these targets needs.
pub(super) fn fetch_inputs(run: &Run<'_>, targets: &[Again]) -> Result<(), OpsError> {
    let plan = crate::plan::Plan {
        host: run.host.clone(),
        fetch: missing_inputs(run, targets)?,
        build: Vec::new(),
        units: Vec::new(),
    };
    let mut index = index(run.store, run.lock, run.host);
    execute(run.cx, run.store, run.project, run.lock, &plan, &mut index).map(|_| ())
}

/// Compiles each of the targets; its inputs must be in the store. One that
/// fails does not stop the others.
pub(super) fn compile(
    run: &Run<'_>,
    targets: &[Again],
    how: How,
) -> Result<Vec<Outcome>, OpsError> {
    let (_assembled, toolchain) = run.toolchain()?;
    let options = BuilderOptions {
        jobs: how.jobs,
        builds: targets.len(),
        work_root: how.work,
        log_dir: how.logs,
        offline: how.offline,
    };
    let cancel = run.cx.cancel.clone();
    let builder = Builder::new(toolchain, options, cancel, run.cx.observer)?;
    let results = workers::each(targets, builder.at_once(), |again, _| {
        workers::Turn::Done(one(run, &builder, again))
    });
    let results = targets.iter().cloned().zip(results).collect();
    run.cx.cancel.check()?;
    Ok(results)
}

fn one(run: &Run<'_>, builder: &Builder<'_>, again: &Again) -> Result<Compiled, OpsError> {
    let staging = run.store.stage(run.cx.observer, run.cx.cancel)?;
    let listing = run.compile(builder, &again.target, again.key, staging.path())?;
    Ok(Compiled {
        staging,
        listing,
        rustc: builder.toolchain().version.first_line.clone(),
    })
}
