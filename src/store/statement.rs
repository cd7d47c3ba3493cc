//! Statements: who built what from which inputs, beside the recipe records.
//!
//! The store keeps their text and knows nothing of what it says; whoever reads
//! one checks that it speaks of the tree in question.

use super::{Result, Store};
use crate::sys::fs;
use crate::types::RecipeKey;

/// The largest statement we read, in bytes.
const MAX_STATEMENT: u64 = 1 << 20;

impl Store {
    /// Keeps the statement about what a recipe was built to, in place of an
    /// older one.
    pub fn record_statement(&self, key: RecipeKey, text: &str) -> Result<()> {
        let path = self.layout().statement(key);
        if let Some(parent) = path.parent() {
            self.make_dir(parent)?;
        }
        Ok(fs::replace_stored(&path, text.as_bytes())?)
    }

    /// The statement about a recipe; `None` also for one that cannot be read.
    pub fn statement(&self, key: RecipeKey) -> Option<String> {
        fs::read_text_if_exists(&self.layout().statement(key), MAX_STATEMENT).ok()?
    }
}
