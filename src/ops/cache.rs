//! `cache list` and `cache size`.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Context, OpsError};
use crate::store::Store;
use crate::sys::fs;
use crate::types::TreeDigest;

/// What a stored tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// The content of an archive.
    Component,
    /// A compiled target.
    Compiled,
}

/// One stored tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The component's or target's name.
    pub name: String,
    /// What it is.
    pub kind: CacheKind,
    /// The tree.
    pub tree: TreeDigest,
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
    /// Seconds since 1970 of its last use, where known: the last time that a
    /// project took it up or let go of it.
    pub used: Option<u64>,
    /// How many projects use it.
    pub projects: usize,
}

/// The store in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Number of trees.
    pub trees: usize,
    /// Number of files in them.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Number of projects that use the store.
    pub projects: usize,
}

/// A name of a tree, what it is, and the tree.
pub(super) type Named = (String, CacheKind, TreeDigest);

/// Every name in the store, sorted: the components, then the targets.
pub(super) fn names_of(store: &Store) -> Result<Vec<Named>, OpsError> {
    let components = store.all_components()?.into_iter();
    let components = components.map(|r| (r.name, CacheKind::Component, r.tree));
    let recipes = store.all_recipes()?.into_iter();
    let recipes = recipes.map(|r| (r.target.to_string(), CacheKind::Compiled, r.tree));
    Ok(components.chain(recipes).collect())
}

/// Everything in the store that has a name, sorted by it, from the index.
pub fn list(cx: &Context<'_>) -> Result<Vec<CacheEntry>, OpsError> {
    let store = cx.store_to_read()?;
    let mut projects: BTreeMap<TreeDigest, usize> = BTreeMap::new();
    for root in store.roots()? {
        for tree in root.trees {
            *projects.entry(tree).or_default() += 1;
        }
    }
    let entry = |(name, kind, tree): Named| {
        let usage = store.usage_or_listing(tree);
        CacheEntry {
            name,
            kind,
            tree,
            bytes: usage.bytes,
            files: usage.files,
            used: usage.used,
            projects: projects.get(&tree).copied().unwrap_or(0),
        }
    };
    // A record may outlive its tree, if somebody removed that by hand.
    let stored = |named: &Named| store.has_tree(named.2);
    let names = names_of(&store)?.into_par_iter().filter(stored);
    Ok(names.map(entry).collect())
}

/// The store in numbers, from the index; a tree with several names counts once,
/// and so does one without a name.
pub fn size(cx: &Context<'_>) -> Result<CacheSize, OpsError> {
    let store = cx.store_to_read()?;
    let names = fs::list(&store.layout().trees())?;
    let digest = |name: &std::ffi::OsString| TreeDigest::from_hex(name.to_str()?).ok();
    let trees: Vec<TreeDigest> = names.iter().filter_map(digest).collect();
    let usages = trees.par_iter().map(|tree| store.usage_or_listing(*tree));
    let (files, bytes) = usages
        .map(|usage| (usage.files, usage.bytes))
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    Ok(CacheSize {
        trees: trees.len(),
        files,
        bytes,
        projects: store.roots()?.len(),
    })
}
