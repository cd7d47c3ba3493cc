//! The first file by which two trees differ.

use std::cmp::Ordering;
use std::fmt;

use crate::types::{Listing, RelPath};

/// What is different about a file of two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Only the expected tree has it.
    Missing(RelPath),
    /// Only the found tree has it.
    Added(RelPath),
    /// It is executable in one of them only.
    Mode(RelPath),
    /// Its content.
    Content(RelPath),
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path}, which is missing"),
            Self::Added(path) => write!(f, "{path}, which was not there"),
            Self::Mode(path) => write!(f, "{path}, by its executable bit"),
            Self::Content(path) => write!(f, "{path}"),
        }
    }
}

/// The first difference in the order of the paths; `None` if the trees are
/// equal.
pub fn first_change(expected: &Listing, found: &Listing) -> Option<FileChange> {
    let (mut expected, mut found) = (expected.entries().iter(), found.entries().iter());
    loop {
        let (old, new) = match (expected.next(), found.next()) {
            (None, None) => return None,
            (Some(old), None) => return Some(FileChange::Missing(old.path.clone())),
            (None, Some(new)) => return Some(FileChange::Added(new.path.clone())),
            (Some(old), Some(new)) => (old, new),
        };
        match old.path.cmp(&new.path) {
            Ordering::Less => return Some(FileChange::Missing(old.path.clone())),
            Ordering::Greater => return Some(FileChange::Added(new.path.clone())),
            Ordering::Equal if old.digest != new.digest || old.size != new.size => {
                return Some(FileChange::Content(old.path.clone()));
            }
            Ordering::Equal if old.executable != new.executable => {
                return Some(FileChange::Mode(old.path.clone()));
            }
            Ordering::Equal => {}
        }
    }
}
