//! Small records: which archive or recipe gave which tree.
//!
//! A record that cannot be read, or that names a tree that is gone, counts as
//! absent: the worst that a damaged index can do is work twice.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::{Result, Store};
use crate::sys::fs;
use crate::types::{RecipeKey, Sha256, TreeDigest, Triple};

/// The largest record we read.
const MAX_RECORD: u64 = 1 << 20;

/// The unpacked form of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// The component's name, such as `rust-std-thumbv7em-none-eabihf`.
    pub name: String,
    /// SHA-256 of the archive; equals the record's name.
    pub archive: Sha256,
    /// The tree it was unpacked to.
    pub tree: TreeDigest,
}

/// The result of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeRecord {
    /// The recipe's key; equals the record's name, so that a record cannot
    /// stand in for another.
    pub key: RecipeKey,
    /// What was compiled for.
    pub target: Triple,
    /// The machine that compiled.
    pub host: Triple,
    /// First line of the compiler's `rustc -vV`.
    pub rustc: String,
    /// The compiled tree.
    pub tree: TreeDigest,
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = fs::read_text_if_exists(path, MAX_RECORD).ok()??;
    serde_json::from_str(&text).ok()
}

fn write<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_private_dir_all(parent)?;
    }
    // Serialising a struct of strings to memory cannot fail.
    let text = serde_json::to_string(record).unwrap_or_default();
    Ok(fs::replace(path, text.as_bytes())?)
}

impl Store {
    /// The tree of an archive, if it is in the store.
    pub fn component(&self, archive: Sha256) -> Option<ComponentRecord> {
        read::<ComponentRecord>(&self.layout().component(archive))
            .filter(|record| record.archive == archive && self.has_tree(record.tree))
    }

    /// Records the tree of an archive; the tree must be published.
    pub fn record_component(&self, record: &ComponentRecord) -> Result<()> {
        write(&self.layout().component(record.archive), record)
    }

    /// The tree of a recipe, if it is in the store.
    pub fn recipe(&self, key: RecipeKey) -> Option<RecipeRecord> {
        read::<RecipeRecord>(&self.layout().recipe(key))
            .filter(|record| record.key == key && self.has_tree(record.tree))
    }

    /// Records the tree of a recipe; the tree must be published.
    pub fn record_recipe(&self, record: &RecipeRecord) -> Result<()> {
        write(&self.layout().recipe(record.key), record)
    }

    /// Every readable component record, sorted by name.
    pub fn all_components(&self) -> Result<Vec<ComponentRecord>> {
        let mut all: Vec<ComponentRecord> = read_all(&self.layout().components())?;
        all.sort_by(|a, b| (&a.name, a.archive).cmp(&(&b.name, b.archive)));
        Ok(all)
    }

    /// Every readable recipe record, sorted by target.
    pub fn all_recipes(&self) -> Result<Vec<RecipeRecord>> {
        let mut all: Vec<RecipeRecord> = read_all(&self.layout().recipes())?;
        all.sort_by(|a, b| (&a.target, a.key).cmp(&(&b.target, b.key)));
        Ok(all)
    }
}

fn read_all<T: DeserializeOwned>(dir: &Path) -> Result<Vec<T>> {
    Ok(fs::list(dir)?
        .into_iter()
        .filter_map(|name| read(&dir.join(name)))
        .collect())
}
