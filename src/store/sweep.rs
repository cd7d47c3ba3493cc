//! Carries a plan out.
//!
//! A tree loses its records first, then its name, by a rename into a staging
//! directory, and only then its files. Whenever the collector dies, a tree is
//! whole under its name or not there, no record names one that is not, and
//! what is left in `tmp/` is the next one's garbage.

use std::collections::BTreeSet;

use super::found::{Leftover, LeftoverKind};
use super::sharing::is_denied;
use super::{Alone, GcPlan, Result, Staging, Store, StoreError};
use crate::events::Cancel;
use crate::sys::fs;
use crate::types::{Diagnostic as _, TreeDigest};

/// What a collection did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Trees that were removed.
    pub trees: usize,
    /// Bytes that were freed.
    pub bytes: u64,
    /// What could not be removed, and why; all else was done.
    pub failures: Vec<String>,
    /// What can be done about the first of them that can be helped.
    pub hint: Option<String>,
}

/// Trees that have lost their names.
struct Trash {
    staging: Staging,
    /// With their sizes in bytes.
    trees: Vec<(TreeDigest, u64)>,
}

impl Store {
    /// Removes what a plan names. The plan must have been made while `alone`
    /// was held, which ends as soon as all names are gone; the files go after
    /// that, while others work.
    pub fn sweep(&self, alone: Alone, plan: &GcPlan, now: u64, cancel: &Cancel) -> Result<Swept> {
        let mut swept = Swept::default();
        for (root, _) in &plan.roots {
            swept.note(self.forget(root));
        }
        for tree in &plan.touch {
            // Best effort: its age counts from the next run on.
            let _ = self.note_use(*tree, now);
        }
        let moved = self.take_names(plan, &mut swept, cancel);
        // These have random names, which nobody takes meanwhile.
        let is_slow = |leftover: &&Leftover| leftover.kind == LeftoverKind::Staging;
        let (slow, quick): (Vec<_>, Vec<_>) = plan.leftovers.iter().partition(is_slow);
        // These have names that are used again, and take long as well.
        let is_kept = |leftover: &&Leftover| leftover.kind == LeftoverKind::Quarantine;
        let (kept, quick): (Vec<_>, Vec<_>) = quick.into_iter().partition(is_kept);
        self.sweep_leftovers(&quick, &mut swept);
        let kept = self.take_kept(&kept, &mut swept);
        drop(alone);
        self.sweep_leftovers(&slow, &mut swept);
        if let Some((staging, bytes)) = kept?
            && swept.note(fs::remove_dir_all(staging.path()).map_err(Into::into))
        {
            swept.bytes += bytes;
        }
        if let Some(trash) = moved? {
            for (tree, bytes) in trash.trees {
                let removed = fs::remove_dir_all(&trash.staging.path().join(tree.to_hex()));
                if swept.note(removed.map_err(Into::into)) {
                    swept.trees += 1;
                    swept.bytes += bytes;
                }
            }
        }
        Ok(swept)
    }

    /// Takes the trees' records and names away, and tells where the files are.
    fn take_names(
        &self,
        plan: &GcPlan,
        swept: &mut Swept,
        cancel: &Cancel,
    ) -> Result<Option<Trash>> {
        if plan.trees.is_empty() {
            return Ok(None);
        }
        let mut trees = Vec::new();
        let staging = self.stage_fenced(None)?;
        let records = plan.trees.iter().flat_map(|doomed| &doomed.tree.records);
        let parents: BTreeSet<_> = records.filter_map(|record| record.parent()).collect();
        let mut unnamed = Vec::new();
        for doomed in &plan.trees {
            if cancel.get().is_some() {
                break;
            }
            let removed = doomed
                .tree
                .records
                .iter()
                .try_for_each(|path| fs::remove_file(path));
            if swept.note(removed.map_err(Into::into)) {
                unnamed.push(doomed);
            }
        }
        // No record may come back after a power cut that the tree does not.
        for dir in parents {
            fs::sync_dir(dir)?;
        }
        for doomed in unnamed {
            let tree = doomed.tree.tree;
            let place = staging.path().join(tree.to_hex());
            let renamed = fs::rename(&self.layout().tree(tree), &place);
            if swept.note(renamed.map_err(Into::into)) {
                trees.push((tree, doomed.tree.bytes));
            }
        }
        if !trees.is_empty() {
            fs::sync_dir(&self.layout().trees())?;
        }
        for (tree, _) in &trees {
            swept.note(fs::remove_file(&self.layout().listing(*tree)).map_err(Into::into));
            swept.note(fs::remove_file(&self.layout().index(*tree)).map_err(Into::into));
        }
        Ok(Some(Trash { staging, trees }))
    }

    /// Moves what was kept for people out of the quarantine, where a build may
    /// put something of the same name as soon as others work again. Returns
    /// where it is and its size in bytes.
    fn take_kept(&self, kept: &[&Leftover], swept: &mut Swept) -> Result<Option<(Staging, u64)>> {
        if kept.is_empty() {
            return Ok(None);
        }
        let staging = self.stage_fenced(None)?;
        let mut bytes = 0;
        for (index, leftover) in kept.iter().enumerate() {
            match fs::rename(&leftover.path, &staging.path().join(index.to_string())) {
                // Another member's own; he removes it himself.
                Err(e) if self.group.is_some() && is_denied(&e) => {}
                moved => {
                    if swept.note(moved.map_err(Into::into)) {
                        bytes += leftover.bytes;
                    }
                }
            }
        }
        Ok(Some((staging, bytes)))
    }

    fn sweep_leftovers(&self, leftovers: &[&Leftover], swept: &mut Swept) {
        for leftover in leftovers {
            let path = &leftover.path;
            let removed = match leftover.kind {
                LeftoverKind::Staging | LeftoverKind::Log
                    if path.is_dir() && !path.is_symlink() =>
                {
                    fs::remove_dir_all(path)
                }
                // A process that does not use trees may hold one.
                LeftoverKind::Lock => match fs::open_no_follow(path) {
                    Ok(lock) if !fs::try_lock(&lock, path).unwrap_or(false) => continue,
                    _ => fs::remove_file(path),
                },
                _ => fs::remove_file(path),
            };
            match removed {
                // Another member's own; he removes it himself.
                Err(e) if self.group.is_some() && is_denied(&e) => {}
                removed => {
                    if swept.note(removed.map_err(Into::into)) {
                        swept.bytes += leftover.bytes;
                    }
                }
            }
        }
    }
}

impl Swept {
    /// Notes a failure; tells whether there was none.
    fn note(&mut self, result: Result<()>) -> bool {
        let Err(e) = result else { return true };
        let cause = match &e {
            StoreError::Fs(e) => format!(": {}", e.source),
            _ => String::new(),
        };
        self.failures.push(format!("{e}{cause}"));
        self.hint = self.hint.take().or_else(|| e.hint());
        false
    }
}
