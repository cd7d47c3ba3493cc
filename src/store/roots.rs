//! Projects that use the store, so that a collector knows what to keep.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Result, Store};
use crate::sys::fs;
use crate::types::TreeDigest;

/// One project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The directory that holds the project's output.
    pub project: PathBuf,
    /// The trees its output is made of, sorted.
    pub trees: Vec<TreeDigest>,
    /// Seconds since 1970 of the last sync that changed anything.
    pub used: u64,
}

impl Store {
    /// Records, or renews, what a project uses.
    pub fn register(&self, root: &Root) -> Result<()> {
        let dir = self.layout().roots();
        fs::create_private_dir_all(&dir)?;
        // Serialising a struct of strings and numbers to memory cannot fail,
        // a path that is not UTF-8 aside: such a project is not registered.
        let Ok(text) = serde_json::to_string(root) else {
            return Ok(());
        };
        Ok(fs::replace(
            &dir.join(name(&root.project)),
            text.as_bytes(),
        )?)
    }

    /// All readable project records.
    pub fn roots(&self) -> Result<Vec<Root>> {
        let dir = self.layout().roots();
        let read = |name| {
            let text = fs::read_text_if_exists(&dir.join(name), 1 << 20).ok()??;
            serde_json::from_str(&text).ok()
        };
        let names = fs::list(&dir)?.into_iter();
        Ok(names
            .filter(|n| !fs::is_staged(n))
            .filter_map(read)
            .collect())
    }
}

fn name(project: &Path) -> String {
    blake3::hash(project.as_os_str().as_encoded_bytes())
        .to_hex()
        .to_string()
}
