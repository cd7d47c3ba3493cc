//! A compiled tree that is not the expected one: where it differs, and where
//! it is kept.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Context, OpsError};
use crate::diff::{FileChange, compare, first_change};
use crate::events::Event;
use crate::store::{Staging, Store};
use crate::sys::fs;
use crate::types::{Listing, RecipeKey, RelPath, TreeDigest, Triple};

/// The largest compiled file that is looked into, in bytes: two of them are in
/// memory at once, and `core` with everything has some 60 MB.
const MAX_FILE: u64 = 120 << 20;

/// A build that gave another tree than expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The target.
    pub target: Triple,
    /// The expected tree: the lock's pin.
    pub expected: TreeDigest,
    /// What the build gave.
    pub built: TreeDigest,
    /// The first file that differs, and the place in it as far as it can be
    /// told without the expected tree's files.
    pub difference: String,
    /// Where the tree that was built is kept.
    pub kept: PathBuf,
}

impl Mismatch {
    /// Both digests, the first difference, and where to look, one in a line.
    pub fn lines(&self) -> Vec<String> {
        let Self {
            target: _,
            expected,
            built,
            difference,
            kept,
        } = self;
        vec![
            format!("expected: {expected}"),
            format!("computed: {built}"),
            format!("first difference: {difference}"),
            format!("kept in: {}", kept.display()),
        ]
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines()
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What was built, and what it should have been.
pub(super) struct Built<'a> {
    pub(super) target: &'a Triple,
    pub(super) key: RecipeKey,
    pub(super) expected: TreeDigest,
    pub(super) staging: &'a Staging,
    pub(super) listing: &'a Listing,
}

/// Finds the first difference, and moves the tree to where people can look at
/// it and nothing else does.
pub(super) fn keep(
    cx: &Context<'_>,
    store: &Store,
    built: &Built<'_>,
) -> Result<Mismatch, OpsError> {
    let difference = first_difference(store, built);
    let kept = store.keep_differing(built.staging, built.listing, built.key, cx.cancel)?;
    Ok(Mismatch {
        target: built.target.clone(),
        expected: built.expected,
        built: built.listing.digest(),
        difference,
        kept,
    })
}

/// Warns of a tree that is not the one that its recipe gave before, where no pin
/// says which is right. It is used all the same, because there is no other.
pub(super) fn warn(cx: &Context<'_>, store: &Store, built: &Built<'_>) {
    let found = built.listing.digest();
    let mismatch = Mismatch {
        target: built.target.clone(),
        expected: built.expected,
        built: found,
        difference: first_difference(store, built),
        kept: store.tree_path(found),
    };
    cx.observer.event(Event::Warning(format!(
        "target `{}` was built to another tree than before, and the lock has no pin to say which is \
         right; the new one is used: {mismatch}",
        built.target
    )));
}

/// Names the first file, and the place in it, as far as the store still knows
/// the expected tree: its listing outlives it. What could not be looked into
/// is said.
fn first_difference(store: &Store, built: &Built<'_>) -> String {
    let Ok(expected) = store.listing(built.expected) else {
        return "not known, because the expected tree is not in this store".to_owned();
    };
    let Some(change) = first_change(&expected, built.listing) else {
        return "none".to_owned();
    };
    let FileChange::Content(path) = &change else {
        return change.to_string();
    };
    let place = store.tree_path(built.expected);
    let inside = inside(path, (&place, built.staging.path()), MAX_FILE);
    format!("{change}: {inside}")
}

/// The place in a file that differs, or why it is not known.
fn inside(path: &RelPath, (expected, found): (&Path, &Path), limit: u64) -> String {
    let read = |root: &Path, whose: &str| {
        fs::read(&path.below(root), limit).map_err(|e| match e.source.kind() {
            ErrorKind::NotFound => {
                format!("place not known, because the {whose} tree is not in this store any more")
            }
            ErrorKind::FileTooLarge => {
                format!(
                    "place not known, because files of more than {limit} bytes are not looked into"
                )
            }
            _ => format!(
                "place not known, because the {whose} file cannot be read: {}",
                e.source
            ),
        })
    };
    let both = read(expected, "expected").and_then(|a| Ok((a, read(found, "built")?)));
    match both {
        Err(why) => why,
        Ok((a, b)) => compare(&a, &b).map_or_else(
            // The expected file was damaged after its digest was written down.
            || "place not known, because the expected file in this store is damaged".to_owned(),
            |place| place.to_string(),
        ),
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "what a test makes is no business of the file layer"
)]
mod tests {
    use super::*;

    #[test]
    fn the_place_in_a_file_is_told_or_why_it_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let path: RelPath = "lib/a.rlib".parse().unwrap();
        let put = |root: &Path, bytes: &[u8]| {
            std::fs::create_dir_all(root.join("lib")).unwrap();
            std::fs::write(path.below(root), bytes).unwrap();
        };
        let said = |limit| inside(&path, (&old, &new), limit);
        put(&new, b"abd");
        assert!(
            said(10).contains("the expected tree is not in this store any more"),
            "{}",
            said(10)
        );
        put(&old, b"abc");
        assert_eq!(said(10), "byte 2");
        assert_eq!(said(3), "byte 2");
        assert!(
            said(2).contains("more than 2 bytes are not looked into"),
            "{}",
            said(2)
        );
        put(&old, b"abd");
        assert!(said(10).contains("is damaged"), "{}", said(10));
    }
}
