//! What stands in the store, as a collector sees it: names, sizes and ages,
//! without reading one tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::{DIRECTORIES, FILES};
use super::{Result, Root, RootState, Store, fence, index, roots};
use crate::sys::fs;
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

impl Store {
    /// Looks at everything in the store.
    pub fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        self.survey_top(&mut survey)?;
        self.survey_roots(&mut survey)?;
        let trees: BTreeSet<TreeDigest> = {
            let is_tree = |path: &Path| is_kind(path, std::fs::Metadata::is_dir);
            digests(&self.layout().trees(), is_tree, &mut survey)?
        };
        let listed = digests(&self.layout().listings(), |_| true, &mut survey)?;
        let indexed = digests(&self.layout().indexes(), |_| true, &mut survey)?;
        for (dir, found) in [
            (self.layout().listings(), &listed),
            (self.layout().indexes(), &indexed),
        ] {
            for tree in found.difference(&trees) {
                let path = dir.join(tree.to_hex());
                survey
                    .leftovers
                    .extend(leftover(LeftoverKind::Dangling, path));
            }
        }
        let mut records = self.survey_records(&trees, &mut survey)?;
        let describe = |tree: TreeDigest| {
            // Without a listing and a record nothing is known of its size.
            let usage = self.usage_or_listing(tree);
            SurveyedTree {
                tree,
                bytes: usage.bytes,
                files: usage.files,
                used: usage.used,
                usable: listed.contains(&tree),
                records: Vec::new(),
            }
        };
        survey.trees = trees.into_par_iter().map(describe).collect();
        for tree in &mut survey.trees {
            tree.records = records.remove(&tree.tree).unwrap_or_default();
        }
        self.survey_statements(&mut survey)?;
        self.survey_staging(&mut survey)?;
        self.survey_aged(&mut survey)?;
        survey.leftovers.sort_by(|a, b| a.path.cmp(&b.path));
        survey.strangers.sort();
        Ok(survey)
    }

    fn survey_top(&self, survey: &mut Survey) -> Result<()> {
        let root = self.layout().root();
        for name in fs::list(root)? {
            let text = name.to_string_lossy();
            let known = DIRECTORIES.contains(&&*text)
                || FILES.iter().any(|file| {
                    let own = text
                        .strip_prefix(file)
                        .and_then(|rest| rest.strip_prefix('-'));
                    text == *file || own.is_some_and(|user| user.parse::<u32>().is_ok())
                });
            if !known {
                survey.add_odd(root.join(&name), &name);
            }
        }
        Ok(())
    }

    fn survey_roots(&self, survey: &mut Survey) -> Result<()> {
        let dir = self.layout().roots();
        let names = fs::list(&dir)?;
        let read = |name: OsString| {
            let path = dir.join(&name);
            match roots::read(&path) {
                Some(root) => {
                    let state = root.state();
                    Ok(SurveyedRoot { root, state })
                }
                None => Err((path, name)),
            }
        };
        let all: Vec<_> = names.into_par_iter().map(read).collect();
        for one in all {
            match one {
                Ok(root) => survey.roots.push(root),
                Err((path, name)) if is_hash(&name) => {
                    survey
                        .leftovers
                        .extend(leftover(LeftoverKind::Damaged, path));
                }
                Err((path, name)) => survey.add_odd(path, &name),
            }
        }
        Ok(())
    }

    /// The records by the tree they name.
    fn survey_records(
        &self,
        trees: &BTreeSet<TreeDigest>,
        survey: &mut Survey,
    ) -> Result<BTreeMap<TreeDigest, Vec<PathBuf>>> {
        let mut all = BTreeMap::new();
        for dir in [self.layout().components(), self.layout().recipes()] {
            let read = |name: OsString| {
                let path = dir.join(&name);
                let tree = index::tree_named_by(&path);
                (name, path, tree)
            };
            let found: Vec<_> = fs::list(&dir)?.into_par_iter().map(read).collect();
            for (name, path, tree) in found {
                match tree {
                    Some(tree) if trees.contains(&tree) => {
                        all.entry(tree).or_insert_with(Vec::new).push(path);
                    }
                    Some(_) => survey
                        .leftovers
                        .extend(leftover(LeftoverKind::Dangling, path)),
                    None if is_hash(&name) => {
                        survey
                            .leftovers
                            .extend(leftover(LeftoverKind::Damaged, path));
                    }
                    None => survey.add_odd(path, &name),
                }
            }
        }
        Ok(all)
    }

    /// Statements whose recipe has no record any more.
    fn survey_statements(&self, survey: &mut Survey) -> Result<()> {
        let dir = self.layout().statements();
        for name in fs::list(&dir)? {
            let path = dir.join(&name);
            if !is_hash(&name) {
                survey.add_odd(path, &name);
            } else if fs::metadata_if_exists(&self.layout().recipes().join(&name))?.is_none() {
                let dangling = leftover(LeftoverKind::Dangling, path);
                survey.leftovers.extend(dangling);
            }
        }
        Ok(())
    }

    /// Staging directories of processes that are gone.
    fn survey_staging(&self, survey: &mut Survey) -> Result<()> {
        let tmp = self.layout().tmp();
        for name in fs::list(&tmp)? {
            let path = tmp.join(&name);
            let text = name.to_string_lossy();
            let lock_path = if text.ends_with(".lock") {
                path.clone()
            } else {
                tmp.join(format!("{text}.lock"))
            };
            if !text.starts_with("stage-") {
                survey.add_odd(path, &name);
                continue;
            }
            // Whoever uses it holds its lock; without a file it is nobody's.
            let is_free = match fs::open_no_follow(&lock_path) {
                Ok(lock) => fs::try_lock(&lock, &lock_path).unwrap_or(false),
                Err(e) => e.source.kind() == std::io::ErrorKind::NotFound,
            };
            if is_free {
                survey
                    .leftovers
                    .extend(leftover(LeftoverKind::Staging, path));
            }
        }
        Ok(())
    }

    /// What goes by its age alone.
    fn survey_aged(&self, survey: &mut Survey) -> Result<()> {
        use LeftoverKind::{Lock, Log, Manifest, Partial, Quarantine};
        for (kind, dir) in [
            (Partial, self.layout().partials()),
            (Quarantine, self.layout().quarantine()),
            (Log, self.layout().logs()),
            (Manifest, self.layout().manifests()),
            (Lock, self.layout().locks()),
        ] {
            for name in fs::list(&dir)? {
                if kind == Lock && name == fence::NAME {
                    continue;
                }
                let path = dir.join(&name);
                if is_temporary(&name) {
                    survey.add_odd(path, &name);
                } else {
                    survey.leftovers.extend(leftover(kind, path));
                }
            }
        }
        Ok(())
    }
}

impl Survey {
    /// Something with a name that no object has: a file of our own that was
    /// about to replace another, or a stranger.
    fn add_odd(&mut self, path: PathBuf, name: &std::ffi::OsStr) {
        if is_temporary(name) {
            self.leftovers
                .extend(leftover(LeftoverKind::Temporary, path));
        } else {
            self.strangers.push(path);
        }
    }
}

/// `.name.new` or `.name.XXXXXXXX`, as the file layer names what it is about
/// to rename.
fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let text = name.to_string_lossy();
    let parts = text
        .strip_prefix('.')
        .and_then(|rest| rest.rsplit_once('.'));
    let is_random = |end: &str| end.len() == 8 && end.bytes().all(|b| b.is_ascii_hexdigit());
    parts.is_some_and(|(name, end)| !name.is_empty() && (end == "new" || is_random(end)))
}

fn is_hash(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| TreeDigest::from_hex(name).is_ok())
}

fn is_kind(path: &Path, kind: fn(&std::fs::Metadata) -> bool) -> bool {
    fs::metadata_if_exists(path).is_ok_and(|found| found.as_ref().is_some_and(kind))
}

/// The digests that a directory's entries are named by; other names are
/// strangers.
fn digests(
    dir: &Path,
    good: impl Fn(&Path) -> bool,
    survey: &mut Survey,
) -> Result<BTreeSet<TreeDigest>> {
    let mut all = BTreeSet::new();
    for name in fs::list(dir)? {
        let path = dir.join(&name);
        match name.to_str().map(TreeDigest::from_hex) {
            Some(Ok(digest)) if good(&path) => {
                all.insert(digest);
            }
            _ => survey.add_odd(path, &name),
        }
    }
    Ok(all)
}

/// Describes a leftover; `None` if it is gone already.
fn leftover(kind: LeftoverKind, path: PathBuf) -> Option<Leftover> {
    let found = fs::metadata_if_exists(&path).ok()??;
    let modified = found.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH);
    let modified = since.map_or(0, |since| since.as_secs());
    let bytes = if found.is_dir() {
        size_below(&path)
    } else {
        found.len()
    };
    Some(Leftover {
        kind,
        path,
        bytes,
        modified,
    })
}

/// The size of a directory's files, as far as it can be read.
fn size_below(dir: &Path) -> u64 {
    let names = fs::list(dir).unwrap_or_default().into_iter();
    let size = |name: OsString| {
        let path = dir.join(name);
        match fs::metadata_if_exists(&path) {
            Ok(Some(found)) if found.is_dir() => size_below(&path),
            Ok(Some(found)) => found.len(),
            Ok(None) | Err(_) => 0,
        }
    };
    names.map(size).sum()
}
