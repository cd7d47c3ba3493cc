//! The judgements about what was made from the lock: output, store, pins.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use super::finding::{Finding, Problem};
use super::subject::Subject;
use crate::lock::{Lock, LockedSource};
use crate::materialize::{
    Area, Content, check_stored, differences as output_differences, present_areas,
};
use crate::ops::execute::index;
use crate::ops::output::{Wanted, wanted};
use crate::ops::project::{LockFile, ProjectFiles};
use crate::ops::{Context, OpsError, signature, sync, system};
use crate::plan::{Plan, StoreIndex, component_id, plan};
use crate::store::Store;
use crate::sys::fs;
use crate::types::{Class, Diagnostic as _, REFILL, Triple, counted};

/// What the store has of a lock, for one host.
pub(super) struct Stored {
    store: Store,
    index: StoreIndex,
}

/// An output compared with what it shall be.
pub(crate) struct Compared {
    /// One line a path that differs, missing and strange ones included.
    pub(crate) differences: Vec<String>,
    wanted: Wanted,
}

/// Reads an output in full and compares it with the lock; `targets` restricts
/// what is looked at. Trees that the store lacks are differences.
pub(crate) fn compare(
    cx: &Context<'_>,
    files: &ProjectFiles,
    lock: &Lock,
    host: &Triple,
    targets: Option<&BTreeSet<Triple>>,
) -> Result<Compared, OpsError> {
    let output = &files.output;
    if fs::metadata_if_exists(output)?.is_none() {
        return Err(OpsError::NoOutput(output.clone()));
    }
    system::check_locked(cx, lock)?;
    let store = cx.store_to_read()?;
    // No collector takes away what is being read.
    let _using = store.look();
    let index = index(&store, lock, host);
    let plan = plan(lock, host, targets, &index)?;
    let unknown = unknown(output, lock, &plan);
    if !unknown.is_empty() {
        return Err(OpsError::OutputDiffers(unknown));
    }
    let wanted = wanted(cx, &store, &plan, &index)?;
    let found: Result<Vec<Vec<String>>, OpsError> = wanted
        .areas
        .par_iter()
        .map(|area| {
            cx.cancel.check()?;
            Ok(output_differences(output, area)?)
        })
        .collect();
    let mut found: Vec<String> = found?.into_iter().flatten().collect();
    for path in present_areas(output)? {
        if targets.is_none() && !wanted.areas.iter().any(|area| area.path == path) {
            found.push(format!("{path}: not part of the lock"));
        }
    }
    Ok(Compared {
        differences: found,
        wanted,
    })
}

/// What is not in the output, or can be compared with nothing because the store
/// lacks it; targets by their place in the output.
fn unknown(output: &Path, lock: &Lock, plan: &Plan) -> Vec<String> {
    let of_target = |target: &Triple| {
        let place = format!("lib/rustlib/{target}");
        if output.join(&place).exists() {
            format!("{place}: the store has nothing to compare it with")
        } else {
            format!("{place}: it is not in the output")
        }
    };
    let fetches = plan.fetch.iter().map(|fetch| {
        let is_std =
            |target: &&Triple| component_id("rust-std", Some(target)) == Some(fetch.id.clone());
        match lock.targets.keys().find(is_std) {
            Some(target) => of_target(target),
            None => format!("{}: the store has nothing to compare it with", fetch.id),
        }
    });
    let builds = plan.build.iter().map(|build| of_target(&build.target));
    fetches.chain(builds).collect()
}

/// The lock and the host to judge by, or why nothing can be judged.
fn locked<'s>(subject: &'s Subject<'_>) -> Result<(&'s LockFile, Triple), Finding> {
    let Some(file) = subject.lock_file() else {
        let text = "there is no lock to judge it by".to_owned();
        return Err(Finding::NotJudged(text));
    };
    match sync::host(subject.cx, &file.lock) {
        Ok(host) => Ok((file, host)),
        // Whoever asks for every byte must not be told that all is well.
        Err(e) if subject.options.deep => Err(Finding::of_error(&e, Vec::new())),
        Err(e) => Err(Finding::NotJudged(e.to_string())),
    }
}

/// Whether the output is what the lock says. Without `deep` the metadata that
/// the last sync recorded is enough; where it does not hold, content decides.
pub(super) fn output(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    let (file, host) = match locked(subject) {
        Ok(found) => found,
        Err(finding) => return Ok(Some(finding)),
    };
    let (cx, files) = (subject.cx, subject.files);
    let deep = subject.options.deep;
    if !deep && fs::metadata_if_exists(&files.output)?.is_none() {
        let text = "nothing is materialized here".to_owned();
        return Ok(Some(Finding::NotJudged(text)));
    }
    if !deep
        && let Some(state) = cx.state(&files.output)
        && sync::is_untouched(cx, files, file, &host, Some(&state))
    {
        let count = state.areas.values().map(|area| area.stamps.count()).sum();
        return Ok(Some(Finding::Good(as_locked(count, state.areas.len()))));
    }
    let compared = match compare(cx, files, &file.lock, &host, None) {
        Ok(compared) => compared,
        Err(OpsError::OutputDiffers(lines)) => return Ok(Some(differs(subject, lines))),
        Err(e) => return Err(e),
    };
    if !compared.differences.is_empty() {
        return Ok(Some(differs(subject, compared.differences)));
    }
    let areas = &compared.wanted.areas;
    let mut text = as_locked(count(areas), areas.len());
    if deep {
        text.push_str(", every byte read");
    }
    Ok(Some(Finding::Good(text)))
}

fn as_locked(files: usize, parts: usize) -> String {
    let (files, parts) = (counted(files, "file"), counted(parts, "part"));
    format!("{files} in {parts} as locked")
}

/// How many files, links and programs some areas have.
fn count(areas: &[Area]) -> usize {
    areas
        .iter()
        .map(|area| match &area.content {
            Content::Files(files) => files.len(),
            Content::Scripts(scripts) => scripts.len(),
            Content::Symlink(_) => 1,
        })
        .sum()
}

/// One problem a path, each shown where the lock names the target it is part of.
fn differs(subject: &Subject<'_>, lines: Vec<String>) -> Finding {
    let problem = |line: String| {
        let target = line
            .strip_prefix("lib/rustlib/")
            .and_then(|rest| rest.split(['/', ':']).next())
            .unwrap_or_default()
            .to_owned();
        let place = subject.in_lock(&[&["targets", &target], &["toolchain"]]);
        Problem {
            hint: Some(REFILL.to_owned()),
            ..Problem::from(line)
        }
        .at(place)
    };
    Finding::bad(Class::CheckFailed, lines.into_iter().map(problem))
}

/// What the store has; looked up once.
fn stored<'s>(
    subject: &'s Subject<'_>,
    lock: &Lock,
    host: &Triple,
) -> Result<&'s Stored, OpsError> {
    if let Some(stored) = subject.stored.get() {
        return Ok(stored);
    }
    let store = subject.cx.store_to_read()?;
    let index = index(&store, lock, host);
    Ok(subject.stored.get_or_init(|| Stored { store, index }))
}

/// Whether the trees that the lock names are whole, every byte of them.
pub(super) fn store(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    if !subject.options.deep {
        return Ok(None);
    }
    let Ok((file, host)) = locked(subject) else {
        return Ok(None);
    };
    let Stored { store, index } = stored(subject, &file.lock, &host)?;
    // No collector takes away what is being read.
    let _using = store.look();
    let mut trees: Vec<_> = index
        .components
        .values()
        .chain(index.recipes.values())
        .collect();
    trees.sort_unstable();
    trees.dedup();
    let (mut bad, mut count): (Vec<String>, usize) = (Vec::new(), 0);
    for tree in &trees {
        subject.cx.cancel.check()?;
        let checked = store.listing(**tree).map_err(OpsError::from);
        let checked = checked.and_then(|listing| {
            count += listing.entries().len();
            Ok(check_stored(**tree, &listing, &store.tree_path(**tree))?)
        });
        match checked {
            Ok(()) => {}
            // Damage is what is looked for; what cannot be read is another matter.
            Err(e) if e.class() == Class::Integrity => bad.push(chain(&e)),
            Err(e) => return Err(e),
        }
    }
    Ok(Some(if bad.is_empty() {
        let (files, trees) = (counted(count, "file"), counted(trees.len(), "tree"));
        Finding::Good(format!("{files} in {trees}, every byte read"))
    } else {
        Finding::bad(Class::Integrity, bad)
    }))
}

/// Whether the channel manifest that the lock came from was signed by a
/// trusted key, and holds what is locked.
pub(super) fn signature(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    let Some(file) = subject.lock_file() else {
        return Ok(None);
    };
    let finding = signature::judge(subject.cx, &file.lock, subject.options.signature)?;
    let Finding::Bad(class, problems) = finding else {
        return Ok(Some(finding));
    };
    let place = subject.in_lock(&[&["toolchain", "signature"], &["toolchain"]]);
    let problems = problems
        .into_iter()
        .map(|problem| problem.at(place.clone()));
    Ok(Some(Finding::Bad(class, problems.collect())))
}

/// Whether what was compiled is what the lock pins.
pub(super) fn pins(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    let Ok((file, host)) = locked(subject) else {
        return Ok(None);
    };
    let Stored { index, .. } = stored(subject, &file.lock, &host)?;
    let (mut pinned, mut unpinned, mut bad) = (0, 0, Vec::new());
    for (name, target) in &file.lock.targets {
        let LockedSource::Build { hosts, .. } = &target.source else {
            continue;
        };
        let Some(build) = hosts.get(&host) else {
            continue;
        };
        match (build.pin, index.recipes.get(&build.key)) {
            (Some(pin), Some(tree)) if pin != *tree => {
                let pinned = ["targets", name.as_str(), "hosts", host.as_str(), "pin"];
                let message = format!("targets.{name}: pin {pin}, built {tree}");
                bad.push(Problem::from(message).at(subject.in_lock(&[&pinned])));
            }
            (Some(_), _) => pinned += 1,
            (None, _) => unpinned += 1,
        }
    }
    Ok(Some(if bad.is_empty() {
        Finding::Good(format!("{pinned} compiled targets pinned, {unpinned} not"))
    } else {
        Finding::Bad(Class::Integrity, bad)
    }))
}

/// An error with its causes, on one line.
fn chain(error: &OpsError) -> String {
    Problem::of_error(error, Vec::new()).message
}
