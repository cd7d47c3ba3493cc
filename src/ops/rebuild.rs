//! `verify --rebuild`: does compiling again give the pinned tree?
//!
//! The one part of `verify` that starts a compiler, the locked one. It works
//! below the store's `tmp/` in a directory whose name has another length than
//! that of a sync, with another number of jobs, and neither asks the store for
//! a result nor gives it one.

use std::collections::BTreeSet;

use super::again::{Again, Compiled, How, compile, compiled_targets, missing_inputs};
use super::differ::{self, Built};
use super::execute::Run;
use super::failures::whole;
use super::project::ProjectFiles;
use super::verify::shorten::Shorten;
use super::verify::{Finding, Judgement};
use super::{Context, OpsError, sync};
use crate::lock::LockedSource;
use crate::plan::check_selection;
use crate::types::{Class, Diagnostic as _, TreeDigest, Triple};

/// The name of the directory that the compilers work in; a sync's has none.
const ELSEWHERE: &str = "a-directory-whose-path-is-longer-than-that-of-a-sync";

/// The check's name.
pub(super) const CHECK: &str = "rebuild";

/// Compiles targets again, all that are compiled or the selected ones, and
/// judges each against the lock's pin; without one against the store.
///
/// A manifest or lock that cannot be read is told by [`verify`](super::verify()),
/// and not judged here. An error is returned only when the user stopped the
/// work; every other one is a verdict.
pub fn rebuild(
    cx: &Context<'_>,
    files: &ProjectFiles,
    selected: Option<&BTreeSet<Triple>>,
) -> Result<Vec<Judgement>, OpsError> {
    let found = match findings(cx, files, selected) {
        Ok(found) => found,
        Err(e @ OpsError::Cancelled(_)) => return Err(e),
        Err(e) => vec![Finding::of_error(&e, Vec::new())],
    };
    let shorten = Shorten::new(cx, files);
    let judged = found.into_iter().map(|finding| Judgement {
        check: CHECK,
        finding: shorten.finding(finding),
    });
    Ok(judged.collect())
}

fn findings(
    cx: &Context<'_>,
    files: &ProjectFiles,
    selected: Option<&BTreeSet<Triple>>,
) -> Result<Vec<Finding>, OpsError> {
    let not_judged = |why: &str| Ok(vec![Finding::NotJudged(why.to_owned())]);
    let Ok(project) = files.clone().load() else {
        return not_judged("the manifest or a spec cannot be read");
    };
    let project = &project;
    let Ok(Some(file)) = project.read_lock() else {
        return not_judged("there is no lock to judge it by");
    };
    check_selection(&file.lock, selected)?;
    let host = match sync::host(cx, &file.lock) {
        Ok(host) => host,
        Err(e) => return not_judged(&e.to_string()),
    };
    let store = cx.store()?;
    let _using = store.begin_use(cx.observer, cx.cancel)?;
    let run = Run {
        cx,
        store: &store,
        project,
        lock: &file.lock,
        host: &host,
        system: None,
    };
    let mut found = Vec::new();
    let mut known = Vec::new();
    for name in selected.into_iter().flatten() {
        let source = file.lock.targets.get(name).map(|target| &target.source);
        if let Some(source @ (LockedSource::Download | LockedSource::System)) = source {
            let why = format!(
                "{name}: nothing is compiled, its source is `{}`",
                source.as_str()
            );
            found.push(Finding::NotJudged(why));
        }
    }
    for again in compiled_targets(&run, selected) {
        match expected(&run, &again) {
            Some(expected) => known.push((again, expected)),
            None => found.push(Finding::NotJudged(format!(
                "{}: neither pinned nor in the store, so there is nothing to compare with",
                again.target
            ))),
        }
    }
    found.extend(judge_all(&run, &known)?);
    if found.is_empty() {
        found.push(Finding::Good("the lock compiles nothing".to_owned()));
    }
    Ok(found)
}

/// What the build must give: the pin, else what the store has.
fn expected(run: &Run<'_>, again: &Again) -> Option<TreeDigest> {
    let stored = || run.store.recipe(again.key).map(|record| record.tree);
    again.pin.or_else(stored)
}

fn judge_all(run: &Run<'_>, known: &[(Again, TreeDigest)]) -> Result<Vec<Finding>, OpsError> {
    let targets: Vec<Again> = known.iter().map(|(again, _)| again.clone()).collect();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let missing = missing_inputs(run, &targets)?;
    if !missing.is_empty() {
        let mut lines = vec!["the store lacks what compiles; run `sysroot sync` first".to_owned()];
        lines.extend(
            missing
                .iter()
                .map(|fetch| format!("{}: not in the store", fetch.id)),
        );
        return Ok(vec![Finding::bad(Class::CheckFailed, lines)]);
    }
    let staging = run.store.stage(run.cx.observer, run.cx.cancel)?;
    let how = How {
        jobs: other_count(run.cx.settings.jobs),
        work: staging.path().join(ELSEWHERE),
        logs: run.store.layout().logs().join(CHECK),
        // `verify` uses no network.
        offline: true,
    };
    let results = match compile(run, &targets, how) {
        Ok(results) => results,
        Err(e @ OpsError::Cancelled(_)) => return Err(e),
        Err(e) => return Ok(vec![Finding::bad(e.class(), [whole(&e)])]),
    };
    let judged = results.into_iter().zip(known);
    judged
        .map(|((again, result), (_, expected))| judge(run, &again, *expected, result))
        .collect()
}

/// Another number of jobs than this one, and no more work at once where that
/// can be had.
fn other_count(jobs: usize) -> usize {
    if jobs > 1 { jobs - 1 } else { 2 }
}

fn judge(
    run: &Run<'_>,
    again: &Again,
    expected: TreeDigest,
    result: Result<Compiled, OpsError>,
) -> Result<Finding, OpsError> {
    let Again { target, key, pin } = again;
    let compiled = match result {
        Ok(compiled) => compiled,
        Err(e) => return Ok(Finding::bad(e.class(), [whole(&e)])),
    };
    let what = if pin.is_some() {
        "the pinned tree"
    } else {
        "the stored tree, which no pin names,"
    };
    if compiled.listing.digest() == expected {
        return Ok(Finding::Good(format!(
            "{target}: compiled again to {what} {expected}"
        )));
    }
    let built = Built {
        target,
        key: *key,
        expected,
        staging: &compiled.staging,
        listing: &compiled.listing,
    };
    let mismatch = differ::keep(run.cx, run.store, &built)?;
    let mut lines = vec![format!(
        "{target}: compiled again to another tree than {what}"
    )];
    lines.extend(mismatch.lines());
    Ok(Finding::bad(Class::Integrity, lines))
}
