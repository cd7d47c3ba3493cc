//! What a survey of the store tells.

use std::path::PathBuf;

use super::{Root, RootState};
use crate::types::TreeDigest;

/// A project, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedRoot {
    /// The project.
    pub root: Root,
    /// What became of it.
    pub state: RootState,
}

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedTree {
    /// Its digest.
    pub tree: TreeDigest,
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
    /// Seconds since 1970 of its last use, where known.
    pub used: Option<u64>,
    /// Whether it has a listing; without one it cannot be used.
    pub usable: bool,
    /// The records that name it.
    pub records: Vec<PathBuf>,
}

/// Something that is no tree and may be in nobody's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Seconds since 1970 of its last change.
    pub modified: u64,
}

/// Kinds of leftovers; each has an age at which it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftoverKind {
    /// A staging directory whose process is gone.
    Staging,
    /// A file that was about to replace another when its process ended.
    Temporary,
    /// A download that was not finished.
    Partial,
    /// A damaged tree that was moved away.
    Quarantine,
    /// What a compiler said.
    Log,
    /// A channel manifest.
    Manifest,
    /// A record, statement, listing or index entry of a tree that is gone.
    Dangling,
    /// A record that cannot be read.
    Damaged,
    /// A lock that nobody holds.
    Lock,
}

/// Everything in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The projects.
    pub roots: Vec<SurveyedRoot>,
    /// The trees, by digest.
    pub trees: Vec<SurveyedTree>,
    /// What else is there.
    pub leftovers: Vec<Leftover>,
    /// Names that nothing of ours has. They are told and left alone.
    pub strangers: Vec<PathBuf>,
}
