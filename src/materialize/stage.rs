//! Stored files into a directory that nobody else knows of yet, by all
//! processors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::link::{self, LinkMode, PlaceError};
use super::{MaterializeError, Result};
use crate::events::Cancel;
use crate::sys::fs;
use crate::types::{Entry, Listing, TreeDigest};

/// Puts whole trees, checked, into an empty directory: a toolchain to run
/// builds with. They are hard links where possible, so the directory must
/// stay inside the store.
pub fn assemble(
    dir: &Path,
    trees: &[(TreeDigest, Listing)],
    store_tree: &(dyn Fn(TreeDigest) -> PathBuf + Sync),
    cancel: &Cancel,
) -> Result<()> {
    let entries = trees.iter().flat_map(|(tree, listing)| {
        let entries = listing.entries().iter();
        entries.map(|entry| (&entry.path, (entry.clone(), *tree)))
    });
    let entries: BTreeMap<_, _> = entries.collect();
    let files = entries.values().collect();
    stage_files(dir, files, LinkMode::Hardlink, store_tree, cancel).map(|_| ())
}

/// Brings files into the staging directory, which nobody else writes to.
pub(super) fn stage_files(
    stage: &Path,
    mut files: Vec<&(Entry, TreeDigest)>,
    mode: LinkMode,
    store_tree: &(dyn Fn(TreeDigest) -> PathBuf + Sync),
    cancel: &Cancel,
) -> Result<LinkMode> {
    make_directories(
        stage,
        files.iter().filter_map(|(entry, _)| entry.path.parent()),
    )?;
    // The largest first, so that no processor ends up with one alone.
    files.sort_by_key(|(entry, _)| std::cmp::Reverse(entry.size));
    let mode = match files.first() {
        Some((entry, tree)) => usable_mode(stage, &entry.path.below(&store_tree(*tree)), mode)?,
        None => mode,
    };
    // One after the other from the front, not halves of the list for each.
    let next = AtomicUsize::new(0);
    let place_next = || -> Result<bool> {
        cancel.check()?;
        let Some((entry, tree)) = files.get(next.fetch_add(1, Ordering::Relaxed)) else {
            return Ok(false);
        };
        let from = entry.path.below(&store_tree(*tree));
        let to = entry.path.below(stage);
        link::place(&from, &to, entry, mode).map_err(|source| match source {
            PlaceError::Fs(e) => MaterializeError::Fs(e),
            source => MaterializeError::Damaged {
                tree: *tree,
                path: entry.path.clone(),
                source,
            },
        })?;
        Ok(true)
    };
    let threads = rayon::current_num_threads();
    (0..threads).into_par_iter().try_for_each(|_| {
        while place_next()? {}
        Ok::<_, MaterializeError>(())
    })?;
    Ok(mode)
}

/// Makes directories and their parents below a directory that has none of them.
fn make_directories<'a>(base: &Path, paths: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let path = &path[..end];
            if made.insert(path) {
                fs::create_dir(&base.join(path))?;
            }
        }
    }
    Ok(())
}

/// Falls back from the wished mode to one that works between these places.
fn usable_mode(stage: &Path, sample: &Path, wished: LinkMode) -> Result<LinkMode> {
    let probe = stage.join(".probe");
    let works = match wished {
        LinkMode::Copy => return Ok(LinkMode::Copy),
        LinkMode::Reflink => fs::reflink(sample, &probe)?,
        LinkMode::Hardlink => fs::hard_link(sample, &probe).is_ok(),
    };
    fs::remove_file(&probe)?;
    Ok(if works { wished } else { LinkMode::Copy })
}
