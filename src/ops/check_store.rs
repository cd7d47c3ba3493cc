//! `cache verify`: reads every byte of the store.

use std::path::PathBuf;

use rayon::prelude::*;

use super::cache::names_of;
use super::{Context, OpsError};
use crate::materialize::{MaterializeError, PlaceError, check_stored};
use crate::store::Store;
use crate::sys::fs;
use crate::types::TreeDigest;

/// A damaged tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeDamage {
    /// The tree.
    pub tree: TreeDigest,
    /// The names it has in the store.
    pub names: Vec<String>,
    /// What is wrong with it: the first thing that was found.
    pub fault: String,
    /// Where the damaged tree is kept, if it was moved away.
    pub kept: Option<PathBuf>,
}

/// What reading the store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// Trees that were read.
    pub trees: usize,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The damaged trees.
    pub damaged: Vec<TreeDamage>,
    /// Names among the trees that no tree has; they are left alone.
    pub strangers: Vec<PathBuf>,
}

impl StoreCheck {
    /// Whether there is damage that was not taken out of the way.
    pub fn is_bad(&self) -> bool {
        self.damaged.iter().any(|damage| damage.kept.is_none())
    }
}

/// Reads and compares every tree, on all processors. With `repair` damaged ones
/// are moved to the quarantine, so that whoever needs one makes it anew.
pub fn check_store(cx: &Context<'_>, repair: bool) -> Result<StoreCheck, OpsError> {
    let store = cx.store_to_read()?;
    let _using = if repair {
        store.begin_use(cx.observer, cx.cancel)?
    } else {
        store.look()
    };
    let mut check = StoreCheck::default();
    let mut trees = Vec::new();
    for name in fs::list(&store.layout().trees())? {
        match name.to_str().map(TreeDigest::from_hex) {
            Some(Ok(tree)) => trees.push(tree),
            _ => check.strangers.push(store.layout().trees().join(name)),
        }
    }
    let read = |tree: &TreeDigest| match cx.cancel.get() {
        Some(_) => (*tree, Ok((0, 0))),
        None => (*tree, read_tree(&store, *tree)),
    };
    let results: Vec<_> = trees.par_iter().map(read).collect();
    cx.cancel.check()?;
    let names = names_of(&store)?;
    for (tree, result) in results {
        // While it was read, a collector that had begun before us may have taken
        // it away, or somebody made a damaged one anew.
        let result = match result {
            Err(_) if is_gone(&store, tree) => continue,
            Err(_) => read_tree(&store, tree),
            read => read,
        };
        check.trees += 1;
        match result {
            Ok((files, bytes)) => {
                check.files += files;
                check.bytes += bytes;
            }
            Err(fault) => {
                let of_tree = names.iter().filter(|(_, _, named)| *named == tree);
                check.damaged.push(TreeDamage {
                    tree,
                    names: of_tree.map(|(name, _, _)| name.clone()).collect(),
                    fault,
                    kept: None,
                });
            }
        }
    }
    if repair {
        for damage in &mut check.damaged {
            let is_damaged = || read_tree(&store, damage.tree).is_err();
            damage.kept = store.quarantine(damage.tree, &is_damaged, cx.cancel)?;
            if damage.kept.is_some() {
                store.forget_records(damage.tree)?;
            }
        }
        // One that is whole by now was made anew by somebody else meanwhile.
        check
            .damaged
            .retain(|damage| damage.kept.is_some() || read_tree(&store, damage.tree).is_err());
    }
    Ok(check)
}

/// Whether a tree that was there is not any more.
fn is_gone(store: &Store, tree: TreeDigest) -> bool {
    matches!(fs::metadata_if_exists(&store.tree_path(tree)), Ok(None))
}

/// Reads one tree: number and size of its files, or what is wrong.
fn read_tree(store: &Store, tree: TreeDigest) -> Result<(u64, u64), String> {
    let path = store.tree_path(tree);
    match fs::metadata_if_exists(&path) {
        Ok(Some(found)) if !found.is_dir() => return Err("it is not a directory".to_owned()),
        Ok(_) => {}
        Err(e) => return Err(format!("{e}: {}", e.source)),
    }
    let listing = store.listing(tree).map_err(|e| e.to_string())?;
    match check_stored(tree, &listing, &path) {
        Ok(()) => Ok((listing.entries().len() as u64, listing.total_size())),
        Err(MaterializeError::Damaged { path, source, .. }) => Err(match source {
            // It names the file, or the stranger beside it.
            PlaceError::Differs { found, .. } => found,
            PlaceError::Gone => format!("{path}: missing"),
            PlaceError::Fs(e) => format!("{e}: {}", e.source),
        }),
        Err(MaterializeError::Fs(e)) => Err(format!("{e}: {}", e.source)),
        Err(e) => Err(e.to_string()),
    }
}
