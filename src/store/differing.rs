//! Trees that a build gave and nobody may use, because another one is pinned.

use std::path::PathBuf;

use super::{Result, Staging, Store};
use crate::events::{Cancel, Silent};
use crate::sys::fs;
use crate::types::{Listing, RecipeKey};

impl Store {
    /// Moves a staged tree to the quarantine, for people who want to know why
    /// it differs, and returns where it is: the tree under its digest, and
    /// its `listing` beside it.
    ///
    /// One is kept for each recipe, the last: a build that never gives the
    /// same tree twice must not fill the disk.
    pub fn keep_differing(
        &self,
        staging: &Staging,
        listing: &Listing,
        key: RecipeKey,
        cancel: &Cancel,
    ) -> Result<PathBuf> {
        let name = format!("differs-{}", key.to_hex());
        let _guard = self.lock_key(&name, "keeping a tree that differs", &Silent, cancel)?;
        let place = self.layout().quarantine().join(&name);
        fs::remove_dir_all(&place)?;
        fs::create_private_dir_all(&place)?;
        fs::write_new(&place.join("listing"), listing.to_text().as_bytes())?;
        let tree = place.join(listing.digest().to_hex());
        fs::rename(staging.path(), &tree)?;
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_differing_tree_of_a_recipe_is_kept_with_its_listing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        let key = RecipeKey::from_bytes([3; 32]);
        let keep = |name: &str| {
            let staging = store.stage(&Silent, &Cancel::default()).unwrap();
            fs::write_new(&staging.path().join(name), b"x").unwrap();
            let hash = blake3::hash(b"x").to_hex();
            let text = format!("sysroot-tree-v1\n- 1 {hash} {name}\n");
            let listing = Listing::parse(&text).unwrap();
            let kept = store.keep_differing(&staging, &listing, key, &Cancel::default());
            (kept.unwrap(), listing)
        };
        let (first, _) = keep("first");
        let (second, listing) = keep("second");
        assert!(!first.exists() && second.join("second").is_file());
        let text = fs::read_text(&second.with_file_name("listing"), 1000).unwrap();
        assert_eq!(text, listing.to_text());
        assert!(!store.has_tree(listing.digest()));
    }
}
