//! `cache list` and `cache size`.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{Context, OpsError};
use crate::store::Store;
use crate::sys::fs;
use crate::types::{TreeDigest, Triple};

/// How many digits of a tree are shown; so many are enough to name it.
pub(super) const SHOWN_DIGITS: usize = 12;

/// What a stored tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// The content of an archive.
    Component,
    /// A compiled target.
    Compiled,
    /// A tree that no record speaks for, only a lock's pin.
    Tree,
}

/// One stored tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The component's or target's name; of a tree without a record the target
    /// that its files are for, or else its first digits.
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

/// Every name in the store, sorted: the components, the targets, and then the
/// trees that have no record, so that each tree has a name.
pub(super) fn names_of(store: &Store) -> Result<Vec<Named>, OpsError> {
    let components = store.all_components()?.into_iter();
    let components = components.map(|r| (r.name, CacheKind::Component, r.tree));
    let recipes = store.all_recipes()?.into_iter();
    let recipes = recipes.map(|r| (r.target.to_string(), CacheKind::Compiled, r.tree));
    let mut names: Vec<Named> = components.chain(recipes).collect();
    let recorded: BTreeSet<TreeDigest> = names.iter().map(|named| named.2).collect();
    let mut others = trees(store)?;
    others.retain(|tree| !recorded.contains(tree));
    let named = |tree| (name_without_record(store, tree), CacheKind::Tree, tree);
    let mut others: Vec<Named> = others.into_par_iter().map(named).collect();
    others.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
    names.extend(others);
    Ok(names)
}

/// What a tree is called that no record names: what a remote or a file gave for
/// a pin. If all of it is one target's libraries, by that target.
fn name_without_record(store: &Store, tree: TreeDigest) -> String {
    let target = || {
        let listing = store.listing(tree).ok()?;
        let first = listing.entries().first()?.path.as_str();
        let name = first.strip_prefix("lib/rustlib/")?.split('/').next()?;
        let target: Triple = name.parse().ok()?;
        let place = format!("lib/rustlib/{target}/lib/");
        let mut paths = listing.entries().iter().map(|entry| entry.path.as_str());
        paths
            .all(|path| path.starts_with(&place))
            .then(|| target.to_string())
    };
    target().unwrap_or_else(|| tree.to_hex()[..SHOWN_DIGITS].to_owned())
}

/// Every tree that has a name of one.
fn trees(store: &Store) -> Result<Vec<TreeDigest>, OpsError> {
    let names = fs::list(&store.layout().trees())?;
    let digest = |name: &std::ffi::OsString| TreeDigest::from_hex(name.to_str()?).ok();
    Ok(names.iter().filter_map(digest).collect())
}

/// Every tree of the store by each of its names, sorted by kind and name, from
/// the index; only for a tree without a record its listing is read.
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
    // A record may outlive its tree, if somebody removed that by hand. What has
    // no record is there, if perhaps without its listing.
    let stored = |named: &Named| named.1 == CacheKind::Tree || store.has_tree(named.2);
    let names = names_of(&store)?.into_par_iter().filter(stored);
    Ok(names.map(entry).collect())
}

/// The store in numbers, from the index; a tree with several names counts once,
/// and so does one without a name.
pub fn size(cx: &Context<'_>) -> Result<CacheSize, OpsError> {
    let store = cx.store_to_read()?;
    let trees = trees(&store)?;
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
