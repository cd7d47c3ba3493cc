//! Small records: which archive or recipe gave which tree.
//!
//! A record that cannot be read, or that names a tree that is gone, counts as
//! absent: the worst that a damaged index can do is work twice.

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::{Result, Store};
use crate::sys::fs;
use crate::types::{RecipeKey, Sha256, TreeDigest, Triple};

/// The largest record we read.
const MAX_RECORD: u64 = 1 << 20;

/// The unpacked form of an archive.
///
/// A record stands only under the hash of the archive that was really
/// unpacked. Which other formats of the same content a lock claimed is kept to
/// notice a lock that claims otherwise, and is never taken for a fact: else a
/// lock could make the store answer for an archive nobody looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// The component's name, such as `rust-std-thumbv7em-none-eabihf`.
    pub name: String,
    /// SHA-256 of the archive; equals the record's name.
    pub archive: Sha256,
    /// SHA-256 of every format the lock had for it, this one included, sorted.
    pub claimed: Vec<Sha256>,
    /// The tree it was unpacked to.
    pub tree: TreeDigest,
}

/// What the store knows of a component's archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// The tree of one of them, but another lock paired it with other
    /// archives: this one has to be looked into.
    AllBut(Sha256),
    /// The tree.
    Tree(TreeDigest),
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

fn write<T: Serialize>(store: &Store, path: &Path, record: &T) -> Result<()> {
    if let Some(parent) = path.parent() {
        store.make_dir(parent)?;
    }
    // Serialising a struct of strings to memory cannot fail.
    let text = serde_json::to_string(record).unwrap_or_default();
    Ok(fs::replace_stored(path, text.as_bytes())?)
}

impl Store {
    /// The tree of an archive that was unpacked, if it is in the store.
    pub fn archive(&self, archive: Sha256) -> Option<ComponentRecord> {
        read::<ComponentRecord>(&self.layout().component(archive))
            .filter(|record| record.archive == archive && self.has_tree(record.tree))
    }

    /// What is known of a component whose formats have these hashes, sorted.
    pub fn component(&self, formats: &[Sha256]) -> Known {
        let records: Vec<_> = formats
            .iter()
            .map(|hash| (*hash, self.archive(*hash)))
            .collect();
        let mut found = records.iter().filter_map(|(_, record)| record.as_ref());
        // Only the archive that was unpacked for these very formats answers:
        // another record's tree may be of another component.
        if let Some(record) = found.clone().find(|record| record.claimed == formats) {
            return Known::Tree(record.tree);
        }
        let Some(known) = found.next() else {
            return Known::Nothing;
        };
        match records.iter().find(|(_, record)| record.is_none()) {
            Some((unknown, _)) => Known::AllBut(*unknown),
            None if records
                .iter()
                .flat_map(|(_, r)| r)
                .all(|r| r.tree == known.tree) =>
            {
                Known::Tree(known.tree)
            }
            // Two archives of one component with different content.
            None => Known::Nothing,
        }
    }

    /// Records the tree of an archive; the tree must be published.
    pub fn record_component(&self, record: &ComponentRecord) -> Result<()> {
        write(self, &self.layout().component(record.archive), record)
    }

    /// The tree of a recipe, if it is in the store.
    pub fn recipe(&self, key: RecipeKey) -> Option<RecipeRecord> {
        read::<RecipeRecord>(&self.layout().recipe(key))
            .filter(|record| record.key == key && self.has_tree(record.tree))
    }

    /// The tree that a recipe gave last, also if it is not in the store any more.
    pub fn recorded_tree(&self, key: RecipeKey) -> Option<TreeDigest> {
        let record = read::<RecipeRecord>(&self.layout().recipe(key))?;
        (record.key == key).then_some(record.tree)
    }

    /// Records the tree of a recipe; the tree must be published.
    pub fn record_recipe(&self, record: &RecipeRecord) -> Result<()> {
        write(self, &self.layout().recipe(record.key), record)
    }

    /// Removes the records that name a tree, unless it is in the store again.
    pub fn forget_records(&self, tree: TreeDigest) -> Result<()> {
        for dir in [self.layout().components(), self.layout().recipes()] {
            for name in fs::list(&dir)? {
                let path = dir.join(name);
                if tree_named_by(&path) == Some(tree) && !self.has_tree(tree) {
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
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

fn read_all<T: DeserializeOwned + Send>(dir: &Path) -> Result<Vec<T>> {
    Ok(fs::list(dir)?
        .into_par_iter()
        .filter(|name| !fs::is_staged(name))
        .filter_map(|name| read(&dir.join(name)))
        .collect())
}

/// The tree that a record of either kind names, if its file can be read and
/// repeats its own name.
pub(super) fn tree_named_by(path: &Path) -> Option<TreeDigest> {
    let name = path.file_name()?.to_str()?;
    let component = || {
        read::<ComponentRecord>(path)
            .filter(|record| record.archive.to_hex() == name)
            .map(|record| record.tree)
    };
    let recipe = || {
        read::<RecipeRecord>(path)
            .filter(|record| record.key.to_hex() == name)
            .map(|record| record.tree)
    };
    component().or_else(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Listing;

    #[test]
    fn the_record_of_these_formats_answers_whatever_else_is_known_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let tree = |name: &str| {
            let staging = store
                .stage(&crate::events::Silent, &crate::events::Cancel::default())
                .unwrap();
            fs::write_new(&staging.path().join(name), name.as_bytes()).unwrap();
            let hash = blake3::hash(name.as_bytes());
            let text = format!(
                "sysroot-tree-v1\n- {} {} {name}\n",
                name.len(),
                hash.to_hex()
            );
            let listing = Listing::parse(&text).unwrap();
            store.publish(&staging, &listing).unwrap()
        };
        let (other, ours) = (tree("other"), tree("ours"));
        let hash = |byte: &str| Sha256::from_hex(&byte.repeat(64)).unwrap();
        let (first, second, third) = (hash("1"), hash("2"), hash("3"));
        let record = |archive, claimed: &[Sha256], tree| {
            let record = ComponentRecord {
                name: "rust-src".to_owned(),
                archive,
                claimed: claimed.to_vec(),
                tree,
            };
            store.record_component(&record).unwrap();
        };
        record(first, &[first, third], other);
        record(second, &[first, second], ours);
        assert_eq!(store.component(&[first, second]), Known::Tree(ours));
    }
}
