//! Trees into a project's output directory.
//!
//! Each area is staged beside its place, checked against its listing while it
//! arrives, and exchanged with the old one by one rename. Areas that did not
//! change are not touched. Nothing is written outside the output directory,
//! whatever stands in it: every directory on the way is checked to be one.

mod area;
mod encoding;
mod inputs;
mod link;
mod stage;
mod stamps;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use area::{Area, AreaDigest, Conflict, Content, areas};
pub use inputs::Inputs;
pub use link::{LinkMode, PlaceError};
pub use stage::assemble;
pub use stamps::Stamps;
pub use state::{AreaState, STATE_FILE, State, StateFile};

use crate::events::{Cancel, Cancelled, Observer};
use crate::sys::fs::{self, FsError};
use crate::sys::lock::{Lock, LockError, Wish, wait};
use crate::sys::order::Rank;
use crate::types::{Class, Diagnostic, Entry, Listing, RelPath, TreeDigest};

/// The output could not be brought into its state.
#[derive(Debug, thiserror::Error)]
pub enum MaterializeError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A stored tree is not what its listing says.
    #[error("`{path}` of tree {tree} is damaged in the store")]
    Damaged {
        /// The tree.
        tree: TreeDigest,
        /// The file.
        path: RelPath,
        /// What differs.
        #[source]
        source: PlaceError,
    },
    /// The output directory exists and is not ours.
    #[error("`{}` exists and was not made by sysroot", .0.display())]
    Foreign(PathBuf),
    /// Something in the output that must be a directory is none.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Another process works on the output for too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The user stopped the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnostic for MaterializeError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(e) => e.class(),
            Self::Damaged { .. } => Class::Integrity,
            Self::Foreign(_) | Self::NotADirectory(_) => Class::FileSystem,
            Self::Lock(e) => e.class(),
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(e) => e.hint(),
            Self::Damaged { .. } => Some("run `sysroot sync` again".to_owned()),
            Self::Foreign(path) | Self::NotADirectory(path) => Some(format!(
                "move `{}` away and run `sysroot sync` again",
                path.display()
            )),
            Self::Lock(e) => e.hint(),
            Self::Cancelled(_) => None,
        }
    }
}

/// Result of work on the output.
pub type Result<T, E = MaterializeError> = std::result::Result<T, E>;

/// The file by which an output directory is known to be ours; git reads it.
const MARKER: &str = ".gitignore";
const MARKER_TEXT: &str = "# Made by sysroot; run `sysroot sync`.\n*\n";
/// The lock of those who change an output.
const LOCK_FILE: &str = ".lock";
/// The prefix of staging directories inside the output.
const STAGE_PREFIX: &str = ".stage-";

/// A project's output directory, held by this process alone.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    _lock: Lock,
}

/// What an [`Output::apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Areas that were put into place.
    pub replaced: Vec<RelPath>,
    /// The ones among them that should have been there already, but differed.
    pub healed: Vec<RelPath>,
    /// Areas that were removed.
    pub removed: Vec<RelPath>,
    /// How files got here, if any did.
    pub link_mode: Option<LinkMode>,
}

/// What the output shall be.
#[derive(Debug)]
pub struct Desired<'a> {
    /// The areas that belong in the output.
    pub areas: &'a [Area],
    /// Whether areas that are not among them are removed.
    pub exclusive: bool,
    /// Areas that stay as they are even so.
    pub kept: &'a [RelPath],
    /// How to bring files in, the best first; each is tried until one works.
    pub link_mode: LinkMode,
}

impl Output {
    /// Opens, or makes, an output directory, and waits for other processes
    /// that work on it.
    ///
    /// A directory, file or link of that name that sysroot did not make is
    /// refused: what a checkout brings along must not decide where we write.
    pub fn open(path: &Path, observer: &dyn Observer, cancel: &Cancel) -> Result<Self> {
        match fs::metadata_if_exists(path)? {
            None => {
                fs::create_dir_all(path)?;
                fs::replace(&path.join(MARKER), MARKER_TEXT.as_bytes())?;
            }
            Some(m) if m.is_dir() => {
                let marker = fs::metadata_if_exists(&path.join(MARKER))?;
                if marker.is_none() && is_being_made(path)? {
                    fs::replace(&path.join(MARKER), MARKER_TEXT.as_bytes())?;
                } else if !marker.is_some_and(|m| m.is_file()) {
                    return Err(MaterializeError::Foreign(path.to_owned()));
                }
            }
            Some(_) => return Err(MaterializeError::Foreign(path.to_owned())),
        }
        let wish = Wish {
            path: &path.join(LOCK_FILE),
            what: &path.display().to_string(),
            doing: "syncing it",
            rank: Rank::Output,
        };
        let lock = wait(wish, &fs::open_or_create, observer, cancel)?;
        let output = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        output.remove_stale_staging()?;
        Ok(output)
    }

    /// Brings the output into the desired state; areas that are there already,
    /// as `known` says or as reading them proves, are not touched.
    pub fn apply(
        &self,
        desired: &Desired<'_>,
        known: &State,
        store_tree: &(dyn Fn(TreeDigest) -> PathBuf + Sync),
        cancel: &Cancel,
    ) -> Result<(BTreeMap<RelPath, AreaState>, Applied)> {
        let mut states = BTreeMap::new();
        let mut applied = Applied::default();
        let believed = known.is_of_this_boot();
        let mut to_replace = Vec::new();
        for area in desired.areas {
            cancel.check()?;
            let digest = area.digest();
            below_checked(&self.path, &area.path)?;
            let state = known.areas.get(&area.path).filter(|_| believed);
            if let Some(state) = self.find_in_place(area, digest, state)? {
                states.insert(area.path.clone(), state);
                continue;
            }
            if known
                .areas
                .get(&area.path)
                .is_some_and(|state| state.digest == digest)
            {
                applied.healed.push(area.path.clone());
            }
            to_replace.push((area, digest));
        }
        if !to_replace.is_empty() {
            let areas: Vec<&Area> = to_replace.iter().map(|(area, _)| *area).collect();
            applied.link_mode = self.replace(&areas, desired.link_mode, store_tree, cancel)?;
            applied.replaced = areas.iter().map(|area| area.path.clone()).collect();
            let record = |(area, digest): &(&Area, AreaDigest)| {
                let state = AreaState::record(&self.path, &area.path, *digest)?;
                Ok((area.path.clone(), state))
            };
            let recorded: Result<Vec<_>> = to_replace.par_iter().map(record).collect();
            states.extend(recorded?);
        }
        let stays = |path: &RelPath| !desired.exclusive || desired.kept.contains(path);
        let kept = known.areas.iter();
        let kept = kept.filter(|(path, _)| believed && stays(path) && !states.contains_key(*path));
        let kept: Vec<_> = kept
            .map(|(path, area)| (path.clone(), area.clone()))
            .collect();
        if desired.exclusive {
            self.remove_others(&states, desired.kept, &mut applied)?;
        }
        states.extend(kept);
        Ok((states, applied))
    }

    /// The state of an area that needs no change.
    fn find_in_place(
        &self,
        area: &Area,
        digest: AreaDigest,
        known: Option<&AreaState>,
    ) -> Result<Option<AreaState>> {
        match known {
            Some(state) if state.digest == digest && state.is_untouched(&self.path) => {
                Ok(Some(state.clone()))
            }
            _ if self.differences(area)?.is_empty() => {
                Ok(Some(AreaState::record(&self.path, &area.path, digest)?))
            }
            _ => Ok(None),
        }
    }

    /// Reads an area in full and lists what differs from what it shall be.
    pub fn differences(&self, area: &Area) -> Result<Vec<String>> {
        differences(&self.path, area)
    }

    /// Puts areas into place: all are staged first, with all processors, and
    /// then exchanged one by one, so that a failure changes nothing and the
    /// output is between two states only for a moment.
    fn replace(
        &self,
        areas: &[&Area],
        mode: LinkMode,
        store_tree: &(dyn Fn(TreeDigest) -> PathBuf + Sync),
        cancel: &Cancel,
    ) -> Result<Option<LinkMode>> {
        let stage = fs::Scratch::new(&self.path, STAGE_PREFIX)?;
        // Owners look into it, and it moves into a place others may read.
        fs::set_mode(stage.path(), 0o755)?;
        let mut files = Vec::new();
        for area in areas {
            if let Content::Files(of_area) = &area.content {
                files.extend(of_area.values());
            }
        }
        let used = if files.is_empty() {
            None
        } else {
            Some(stage::stage_files(
                stage.path(),
                files,
                mode,
                store_tree,
                cancel,
            )?)
        };
        for area in areas {
            match &area.content {
                Content::Files(_) => {}
                Content::Symlink(target) => stage_link(stage.path(), &area.path, target)?,
                Content::Scripts(scripts) => {
                    for (path, text) in scripts {
                        let path = below_checked(stage.path(), path)?;
                        let mut file = fs::create_read_only(&path, true)?;
                        fs::write_all(&mut file, &path, text.as_bytes())?;
                    }
                }
            }
        }
        for area in areas {
            let place = below_checked(&self.path, &area.path)?;
            swap(&area.path.below(stage.path()), &place)?;
        }
        stage.remove()?;
        Ok(used)
    }

    /// Removes every area that is neither wanted nor kept.
    fn remove_others(
        &self,
        wanted: &BTreeMap<RelPath, AreaState>,
        kept: &[RelPath],
        applied: &mut Applied,
    ) -> Result<()> {
        for area in present_areas(&self.path)? {
            if !wanted.contains_key(&area) && !kept.contains(&area) {
                // Taken away whole, so that nobody ever sees a part of it.
                let stage = fs::Scratch::new(&self.path, STAGE_PREFIX)?;
                fs::rename(&area.below(&self.path), &stage.path().join("old"))?;
                stage.remove()?;
                applied.removed.push(area);
            }
        }
        Ok(())
    }

    /// Removes what an earlier run left when it was killed.
    fn remove_stale_staging(&self) -> Result<()> {
        for name in fs::list(&self.path)? {
            if name.to_string_lossy().starts_with(STAGE_PREFIX) {
                remove(&self.path.join(name))?;
            }
        }
        Ok(())
    }
}

/// Whether a directory has nothing in it but a marker that another process is
/// about to put in place.
fn is_being_made(path: &Path) -> Result<bool> {
    let staged = format!(".{MARKER}.");
    Ok(fs::list(path)?.iter().all(|name| {
        let name = name.to_string_lossy();
        name == MARKER || name.starts_with(&staged)
    }))
}

/// The place of a path below a directory, whose parents are made and checked
/// to be directories, not links to somewhere else.
fn below_checked(base: &Path, path: &RelPath) -> Result<PathBuf> {
    let mut dir = base.to_owned();
    if let Some(parent) = path.parent() {
        for component in parent.split('/') {
            dir.push(component);
            match fs::metadata_if_exists(&dir)? {
                None => fs::create_dir(&dir)?,
                Some(m) if m.is_dir() => {}
                Some(_) => return Err(MaterializeError::NotADirectory(dir)),
            }
        }
    }
    Ok(path.below(base))
}

/// Every area in an output, wanted or not, sorted.
///
/// A name that cannot be an area's is an error: nothing of ours has one.
pub fn present_areas(output: &Path) -> Result<Vec<RelPath>> {
    let mut areas = Vec::new();
    for level in ["", "lib/", "lib/rustlib/"] {
        let dir = output.join(level);
        if !fs::metadata_if_exists(&dir)?.is_some_and(|m| m.is_dir()) {
            continue;
        }
        for name in fs::list(&dir)? {
            if level.is_empty() && name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = name.to_str().map(|name| format!("{level}{name}"));
            match path.as_deref() {
                Some("lib" | "lib/rustlib") => {}
                _ => match path.and_then(|path| path.parse().ok()) {
                    Some(area) => areas.push(area),
                    None => return Err(MaterializeError::Foreign(dir.join(name))),
                },
            }
        }
    }
    areas.sort_unstable();
    Ok(areas)
}

fn stage_link(stage: &Path, path: &RelPath, target: &Path) -> Result<()> {
    let link = below_checked(stage, path)?;
    #[cfg(unix)]
    fs::symlink(target, &link)?;
    #[cfg(not(unix))]
    return Err(MaterializeError::NotADirectory(link.join(target)));
    #[cfg(unix)]
    Ok(())
}

/// Reads a stored tree in full; an error names the first file that is damaged,
/// missing, or not part of it.
pub fn check_stored(tree: TreeDigest, listing: &Listing, path: &Path) -> Result<()> {
    let damaged = |path: &RelPath, expected, found| {
        let source = PlaceError::Differs { expected, found };
        Err(MaterializeError::Damaged {
            tree,
            path: path.clone(),
            source,
        })
    };
    listing.entries().par_iter().try_for_each(|entry| {
        match file_difference(path, &entry.path, entry)? {
            None => Ok(()),
            Some(found) => damaged(&entry.path, entry.digest, found),
        }
    })?;
    let known = |name: &str| {
        let find = |entry: &Entry| entry.path.as_str().cmp(name);
        listing.entries().binary_search_by(find).is_ok()
    };
    let mut names = Vec::new();
    for name in fs::list(path)? {
        names.extend(files_below(path, &name.to_string_lossy())?);
    }
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(stranger) => match listing.entries().first() {
            Some(entry) => {
                let found = format!("the stranger `{}` beside it", stranger.escape_debug());
                damaged(&entry.path, entry.digest, found)
            }
            None => Ok(()),
        },
    }
}

/// Puts the staged name in the place of the old one.
fn swap(staged: &Path, place: &Path) -> Result<()> {
    if fs::metadata_if_exists(place)?.is_none() {
        fs::rename(staged, place)?;
        return Ok(());
    }
    if fs::exchange(staged, place)? {
        return Ok(());
    }
    // Without the exchange call there is a moment without the name.
    let aside = staged.with_extension("old");
    fs::rename(place, &aside)?;
    let swapped = fs::rename(staged, place);
    if swapped.is_err() {
        // The error to tell is the first one.
        let _ = fs::rename(&aside, place);
    }
    Ok(swapped?)
}

fn remove(path: &Path) -> Result<()> {
    match fs::metadata_if_exists(path)? {
        None => {}
        Some(m) if m.is_dir() => fs::remove_dir_all(path)?,
        Some(_) => fs::remove_file(path)?,
    }
    Ok(())
}

/// Reads an area of an output in full and lists what differs from what it
/// shall be: one line a path.
pub fn differences(output: &Path, area: &Area) -> Result<Vec<String>> {
    let place = area.path.below(output);
    let Some(metadata) = fs::metadata_if_exists(&place)? else {
        return Ok(vec![format!("{}: missing", area.path)]);
    };
    match &area.content {
        Content::Files(files) => file_differences(output, &area.path, files),
        Content::Symlink(target) => {
            let same = metadata.is_symlink()
                && fs::at("read", &place, std::fs::read_link(&place))? == *target;
            Ok(if same {
                Vec::new()
            } else {
                vec![format!("{}: not the link it was", area.path)]
            })
        }
        Content::Scripts(scripts) => script_differences(output, &area.path, scripts),
    }
}

fn script_differences(
    output: &Path,
    area: &RelPath,
    scripts: &BTreeMap<RelPath, String>,
) -> Result<Vec<String>> {
    let entry = |(path, text): (&RelPath, &String)| {
        let entry = Entry {
            path: path.clone(),
            executable: true,
            size: text.len() as u64,
            digest: crate::types::FileDigest::of(text.as_bytes()),
        };
        (path.clone(), (entry, TreeDigest::from_bytes([0; 32])))
    };
    file_differences(output, area, &scripts.iter().map(entry).collect())
}

fn file_differences(
    output: &Path,
    area: &RelPath,
    files: &BTreeMap<RelPath, (Entry, TreeDigest)>,
) -> Result<Vec<String>> {
    let mut found: Vec<String> = files
        .par_iter()
        .map(|(path, (entry, _))| file_difference(output, path, entry))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    for path in present_files(output, area)? {
        if !path
            .parse::<RelPath>()
            .is_ok_and(|path| files.contains_key(&path))
        {
            found.push(format!(
                "{}: not part of the locked tree",
                path.escape_debug()
            ));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn file_difference(output: &Path, path: &RelPath, entry: &Entry) -> Result<Option<String>> {
    let place = path.below(output);
    let Some(metadata) = fs::metadata_if_exists(&place)? else {
        return Ok(Some(format!("{path}: missing")));
    };
    if !metadata.is_file() {
        return Ok(Some(format!("{path}: not a regular file")));
    }
    if metadata.len() != entry.size {
        return Ok(Some(format!(
            "{path}: {} bytes, expected {}",
            metadata.len(),
            entry.size
        )));
    }
    if cfg!(unix) && link::is_executable(&metadata) != entry.executable {
        return Ok(Some(format!("{path}: executable bit differs")));
    }
    let digest = fs::hash(&place, entry.size)?;
    Ok((digest != entry.digest)
        .then(|| format!("{path}: expected {}, found {digest}", entry.digest)))
}

/// All names below an area that are not directories, by their path in the output.
fn present_files(output: &Path, area: &RelPath) -> Result<Vec<String>> {
    files_below(output, area.as_str())
}

/// Like [`present_files`], below any name.
fn files_below(output: &Path, name: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut pending = vec![name.to_owned()];
    while let Some(path) = pending.pop() {
        let full = output.join(&path);
        if fs::metadata_if_exists(&full)?.is_some_and(|m| m.is_dir()) {
            for name in fs::list(&full)? {
                pending.push(format!("{path}/{}", name.to_string_lossy()));
            }
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
