//! Every path of one archive, so that no two of them can meet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::types::RelPath;

/// What a path was seen as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    File,
    Directory,
    /// Only as the parent of something.
    Parent,
}

/// The paths seen so far, by the form that no system tells apart.
#[derive(Default)]
pub(super) struct Names(HashMap<String, (RelPath, Seen)>);

impl Names {
    /// Adds a path and its parents; an error is the rule that is broken.
    pub(super) fn add(&mut self, path: &RelPath, seen: Seen) -> Result<(), &'static str> {
        for (at, _) in path.as_str().match_indices('/') {
            let parent = path.as_str().get(..at).and_then(|text| text.parse().ok());
            self.add_one(&parent.ok_or("its parent is no path")?, Seen::Parent)?;
        }
        self.add_one(path, seen)
    }

    fn add_one(&mut self, path: &RelPath, seen: Seen) -> Result<(), &'static str> {
        let mut old = match self.0.entry(path.case_folded()) {
            Entry::Vacant(entry) => {
                entry.insert((path.clone(), seen));
                return Ok(());
            }
            Entry::Occupied(old) => old,
        };
        if old.get().0 != *path {
            return Err("another path differs from it only by case");
        }
        match (old.get().1, seen) {
            (Seen::Directory | Seen::Parent, Seen::Parent) => Ok(()),
            (Seen::Parent, Seen::Directory) => {
                old.get_mut().1 = Seen::Directory;
                Ok(())
            }
            (Seen::File, Seen::Parent) => Err("a file of the archive is used as a directory"),
            (Seen::File, Seen::File) | (Seen::Directory, Seen::Directory) => {
                Err("it stands twice in the archive")
            }
            (Seen::File, Seen::Directory) | (Seen::Directory | Seen::Parent, Seen::File) => {
                Err("it is both a file and a directory")
            }
        }
    }
}
