//! `cache list` and `cache size`.

use std::collections::BTreeMap;

use super::{Context, OpsError};
use crate::store::Store;
use crate::types::{Listing, TreeDigest};

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
    pub files: usize,
    /// How many projects use it.
    pub projects: usize,
}

/// The store in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Number of trees.
    pub trees: usize,
    /// Number of files in them.
    pub files: usize,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Number of projects that use the store.
    pub projects: usize,
}

/// Everything in the store that has a name, sorted by it.
pub fn list(cx: &Context<'_>) -> Result<Vec<CacheEntry>, OpsError> {
    let Some(store) = cx.existing_store() else {
        return Ok(Vec::new());
    };
    let mut projects: BTreeMap<TreeDigest, usize> = BTreeMap::new();
    for root in store.roots()? {
        for tree in root.trees {
            *projects.entry(tree).or_default() += 1;
        }
    }
    let components = store.all_components()?.into_iter();
    let components = components.map(|r| (r.name, CacheKind::Component, r.tree));
    let recipes = store.all_recipes()?.into_iter();
    let recipes = recipes.map(|r| (r.target.to_string(), CacheKind::Compiled, r.tree));
    let entry = |(name, kind, tree): (String, CacheKind, TreeDigest)| {
        let listing = listing(&store, tree);
        CacheEntry {
            name,
            kind,
            tree,
            bytes: listing.total_size(),
            files: listing.entries().len(),
            projects: projects.get(&tree).copied().unwrap_or(0),
        }
    };
    Ok(components.chain(recipes).map(entry).collect())
}

/// A damaged listing counts as empty here; using the tree reports it.
fn listing(store: &Store, tree: TreeDigest) -> Listing {
    store.listing(tree).unwrap_or_default()
}

/// The store in numbers; a tree with several names counts once.
pub fn size(cx: &Context<'_>) -> Result<CacheSize, OpsError> {
    let Some(store) = cx.existing_store() else {
        return Ok(CacheSize::default());
    };
    let trees: BTreeMap<TreeDigest, CacheEntry> = list(cx)?
        .into_iter()
        .map(|entry| (entry.tree, entry))
        .collect();
    Ok(CacheSize {
        trees: trees.len(),
        files: trees.values().map(|e| e.files).sum(),
        bytes: trees.values().map(|e| e.bytes).sum(),
        projects: store.roots()?.len(),
    })
}
