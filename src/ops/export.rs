//! `cache export`: what a lock needs from the store, as one file.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::needs::{Needs, needs, read_lock};
use super::push::read_key;
use super::{Context, OpsError, Project};
use crate::bundle::{BundleError, Index};
use crate::pack::{self, Limits, PackError};
use crate::store::{ComponentRecord, Known, RecipeRecord, Store};
use crate::sys::fs;
use crate::sys::replace::Replacement;
use crate::types::{Sha256, TreeDigest, Triple};

/// Bytes that are collected before they go to the file.
const BUFFER: usize = 1 << 20;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportReport {
    /// How many trees.
    pub trees: usize,
    /// Size of the file, in bytes.
    pub bytes: u64,
}

/// Writes everything that the lock needs here to `file`, which appears whole
/// or not at all, and signs it with the key in the file `key`. The same content
/// of the store gives the same bytes.
pub fn export(
    cx: &Context<'_>,
    project: &Project,
    file: &Path,
    selected: Option<&BTreeSet<Triple>>,
    key: Option<&Path>,
) -> Result<ExportReport, OpsError> {
    let key = key.map(|path| read_key(cx, path)).transpose()?;
    let lock = read_lock(project)?;
    let needs = needs(cx, &lock, selected)?;
    let store = cx.store_to_read()?;
    let mut index = collect(&store, &needs)?;
    if let Some(key) = &key {
        index.sign(key);
    }
    let out = Replacement::begin(file)?;
    let source = |source| BundleError::Write {
        file: file.to_owned(),
        source,
    };
    let mut out = BufWriter::with_capacity(BUFFER, out);
    out = index.write(out).map_err(source)?;
    let limits = Limits {
        cancel: cx.cancel.clone(),
        ..Limits::default()
    };
    for &tree in &index.trees {
        let listing = store.listing(tree)?;
        let place = store.tree_path(tree);
        out = pack::write(&place, &listing, out, pack::DEFAULT_LEVEL, &limits).map_err(source)?;
    }
    let flushed = out.flush().map_err(PackError::Output);
    flushed.map_err(source)?;
    let out = out.into_inner();
    out.map_err(|error| source(PackError::Output(error.into_error())))?
        .commit()?;
    let bytes = fs::metadata_if_exists(file)?.map_or(0, |metadata| metadata.len());
    Ok(ExportReport {
        trees: index.trees.len(),
        bytes,
    })
}

/// Finds everything in the store; a bundle with holes would be saved for good
/// by a CI system that never writes a key twice.
fn collect(store: &Store, needs: &Needs) -> Result<Index, OpsError> {
    let (mut components, mut recipes, mut pinned) = (Vec::new(), Vec::new(), Vec::new());
    let mut missing = Vec::new();
    for (id, hashes) in &needs.components {
        match store.component(hashes) {
            Known::Tree(tree) => components.extend(records(store, hashes, tree)),
            Known::Nothing | Known::AllBut(_) => missing.push(id.to_string()),
        }
    }
    for (target, build) in &needs.builds {
        let record: Option<RecipeRecord> = store
            .recipe(build.key)
            .filter(|record| build.pin.is_none_or(|pin| pin == record.tree));
        match (record, build.pin.filter(|pin| store.has_tree(*pin))) {
            (Some(record), _) => recipes.push(record),
            (None, Some(pin)) => pinned.push(pin),
            (None, None) => missing.push(target.to_string()),
        }
    }
    if missing.is_empty() {
        Ok(Index::new(components, recipes, pinned))
    } else {
        Err(BundleError::NotStored(missing).into())
    }
}

/// What the store knows of the archives that gave this tree.
fn records(store: &Store, hashes: &[Sha256], tree: TreeDigest) -> Vec<ComponentRecord> {
    hashes
        .iter()
        .filter_map(|hash| store.archive(*hash))
        .filter(|record| record.tree == tree)
        .collect()
}
