//! `verify`: is everything what the lock says? Offline, and read-only.

use std::path::Path;

use rayon::prelude::*;

use super::execute::index;
use super::output::wanted;
use super::project::{LockFile, Project};
use super::{Context, OpsError, sync};
use crate::lock::{LockError, LockedSource};
use crate::materialize::{
    Area, State, check_stored, differences as output_differences, present_areas,
};
use crate::plan::{StoreIndex, plan};
use crate::store::Store;
use crate::sys::fs;
use crate::types::{Class, Diagnostic as _, TreeDigest};

/// How thorough to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Read every byte of the output, and of the store's trees it is made of.
    pub deep: bool,
}

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What: `lock`, `manifest`, `output`, `store`, `pins`.
    pub check: &'static str,
    /// The verdict.
    pub finding: Finding,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as it shall be; how much was looked at.
    Good(String),
    /// It is not; each line names one difference.
    Bad(Class, Vec<String>),
    /// It could not be judged, which is no verdict against it.
    NotJudged(String),
}

/// All verdicts, in the order they were reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The verdicts.
    pub judgements: Vec<Judgement>,
}

impl VerifyReport {
    /// The class of the worst verdict; `None` if all is well.
    ///
    /// Malformed files and damaged bytes weigh more than a plain "no".
    pub fn worst(&self) -> Option<Class> {
        let classes = self.judgements.iter().filter_map(|j| match &j.finding {
            Finding::Bad(class, _) => Some(*class),
            Finding::Good(_) | Finding::NotJudged(_) => None,
        });
        classes.max_by_key(|class| match class {
            Class::CheckFailed => 0,
            Class::Usage => 1,
            other => 1 + u32::from(other.exit_code()),
        })
    }

    fn push(&mut self, check: &'static str, finding: Finding) {
        self.judgements.push(Judgement { check, finding });
    }
}

/// Judges lock, manifest, output and, with `deep`, the store.
pub fn verify(
    cx: &Context<'_>,
    project: &Project,
    options: VerifyOptions,
) -> Result<VerifyReport, OpsError> {
    let mut report = VerifyReport::default();
    let Some(file) = judge_lock(project, &mut report)? else {
        return Ok(report);
    };
    let differences = project.differences(&file.lock);
    report.push(
        "manifest",
        if differences.is_empty() {
            Finding::Good(format!("{} targets as locked", file.lock.targets.len()))
        } else {
            Finding::Bad(Class::CheckFailed, lines(&differences))
        },
    );
    let host = match sync::host(cx, &file.lock) {
        Ok(host) => host,
        Err(e) => {
            report.push("output", Finding::NotJudged(e.to_string()));
            return Ok(report);
        }
    };
    let output = &project.files.output;
    let Some(state) = cx.state(output) else {
        let finding = if fs::metadata_if_exists(output)?.is_none() {
            Finding::NotJudged("nothing is materialized here".to_owned())
        } else {
            Finding::Bad(
                Class::CheckFailed,
                vec!["no sync of this user's store vouches for it".to_owned()],
            )
        };
        report.push("output", finding);
        return Ok(report);
    };
    if options.deep {
        judge_deep(cx, project, &file, &host, &mut report)?;
    } else {
        let untouched = sync::is_untouched(cx, project, &file, &host, Some(&state));
        report.push("output", judge_metadata(output, &file, &state, untouched));
    }
    Ok(report)
}

fn lines(all: &[impl std::fmt::Display]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn judge_lock(project: &Project, report: &mut VerifyReport) -> Result<Option<LockFile>, OpsError> {
    match project.read_lock() {
        Ok(Some(file)) => {
            report.push("lock", Finding::Good("present and well-formed".to_owned()));
            Ok(Some(file))
        }
        Ok(None) => {
            let missing = format!("there is no `{}`", project.files.lock.display());
            report.push("lock", Finding::Bad(Class::CheckFailed, vec![missing]));
            Ok(None)
        }
        Err(OpsError::Lock(e)) => {
            report.push("lock", Finding::Bad(e.class(), vec![full_text(&e)]));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn full_text(error: &LockError) -> String {
    use crate::types::Diagnostic as _;
    error.excerpt().unwrap_or_else(|| error.to_string())
}

/// The verdict that metadata allows.
fn judge_metadata(output: &Path, file: &LockFile, state: &State, untouched: bool) -> Finding {
    if untouched {
        let files: usize = state.areas.values().map(|area| area.stamps.count()).sum();
        return Finding::Good(format!("{files} files and directories as they were left"));
    }
    let mut found = Vec::new();
    if state.lock != Some(file.digest()) {
        found.push("it was made from another lock, or only in part".to_owned());
    }
    for area in state.areas.values() {
        if let Some(path) = area.stamps.first_change(output) {
            found.push(format!("{path}: changed since it was put there"));
        }
    }
    if found.is_empty() {
        found.push("what it refers to outside of the project changed".to_owned());
    }
    Finding::Bad(Class::CheckFailed, found)
}

/// Reads every byte of the output and of the trees it is made of.
fn judge_deep(
    cx: &Context<'_>,
    project: &Project,
    file: &LockFile,
    host: &crate::types::Triple,
    report: &mut VerifyReport,
) -> Result<(), OpsError> {
    let store = cx.existing_store();
    // No collector takes away what is being read.
    let _using = store.as_ref().map(Store::look);
    let index = match &store {
        Some(store) => index(store, &file.lock, host),
        None => StoreIndex::default(),
    };
    let plan = plan(&file.lock, host, None, &index)?;
    let Some(store) = store.filter(|_| plan.fetch.is_empty() && plan.build.is_empty()) else {
        let why = "the store lacks trees that the lock names, so there is nothing to compare with; \
                   run `sysroot sync` first";
        report.push(
            "output",
            Finding::Bad(Class::CheckFailed, vec![why.to_owned()]),
        );
        return Ok(());
    };
    let wanted = match wanted(cx, &store, &plan, &index) {
        Ok(wanted) => wanted,
        Err(OpsError::Tree(e)) => {
            report.push("store", Finding::Bad(Class::Integrity, vec![e.to_string()]));
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let output = &project.files.output;
    let found = compare(output, &wanted.areas)?;
    report.push(
        "output",
        if found.is_empty() {
            let files = crate::materialize::listing_of(&wanted.areas)
                .entries()
                .len();
            let parts = wanted.areas.len();
            Finding::Good(format!("{files} files in {parts} parts read and compared"))
        } else {
            Finding::Bad(Class::CheckFailed, found)
        },
    );
    report.push("store", judge_store(&store, &wanted.trees));
    report.push("pins", judge_pins(file, host, &index));
    Ok(())
}

/// What differs in the output, strangers among the areas included.
fn compare(output: &Path, areas: &[Area]) -> Result<Vec<String>, OpsError> {
    let found: Result<Vec<Vec<String>>, _> = areas
        .par_iter()
        .map(|area| output_differences(output, area))
        .collect();
    let mut found: Vec<String> = found?.into_iter().flatten().collect();
    for path in present_areas(output)? {
        if !areas.iter().any(|area| area.path == path) {
            found.push(format!("{path}: not part of the lock"));
        }
    }
    Ok(found)
}

fn judge_store(store: &Store, trees: &[TreeDigest]) -> Finding {
    let mut bad = Vec::new();
    let mut files = 0;
    for &tree in trees {
        match store.listing(tree) {
            Err(e) => bad.push(e.to_string()),
            Ok(listing) => {
                files += listing.entries().len();
                if let Err(e) = check_stored(tree, &listing, &store.tree_path(tree)) {
                    bad.push(e.to_string());
                }
            }
        }
    }
    if bad.is_empty() {
        Finding::Good(format!(
            "{files} files of {} trees read and compared",
            trees.len()
        ))
    } else {
        Finding::Bad(Class::Integrity, bad)
    }
}

/// Whether what was compiled is what the lock pins.
fn judge_pins(file: &LockFile, host: &crate::types::Triple, index: &StoreIndex) -> Finding {
    let (mut pinned, mut unpinned, mut bad) = (0, 0, Vec::new());
    for (name, target) in &file.lock.targets {
        let LockedSource::Build { hosts, .. } = &target.source else {
            continue;
        };
        let Some(build) = hosts.get(host) else {
            continue;
        };
        match (build.pin, index.recipes.get(&build.key)) {
            (Some(pin), Some(tree)) if pin != *tree => {
                bad.push(format!("targets.{name}: pin {pin}, built {tree}"));
            }
            (Some(_), _) => pinned += 1,
            (None, _) => unpinned += 1,
        }
    }
    if bad.is_empty() {
        Finding::Good(format!("{pinned} compiled targets pinned, {unpinned} not"))
    } else {
        Finding::Bad(Class::Integrity, bad)
    }
}
