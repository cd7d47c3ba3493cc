//! The installer's own files: version, component list, `manifest.in`.

use std::collections::{HashMap, HashSet};

use super::error::ArchiveError;
use super::walk::Walked;
use crate::types::{ComponentId, Entry, RelPath};

/// Largest `manifest.in`, in bytes; that of rust-src has about 300 kB.
pub(super) const MAX_MANIFEST: u64 = 8 << 20;
/// Largest other file that is read, in bytes.
pub(super) const MAX_META: u64 = 4096;

/// The names under which a component's directory is looked for.
pub(super) fn directories(component: &ComponentId) -> [String; 2] {
    [component.to_string(), component.name.to_string()]
}

/// Checks that the archive is the component that was asked for, and that its
/// files are exactly those it lists.
pub(super) fn check(
    walked: &Walked,
    component: &ComponentId,
    files: &[Entry],
) -> Result<(), ArchiveError> {
    let version = one_line(walked.version.as_deref(), "rust-installer-version")?;
    if version != "3" {
        return Err(ArchiveError::malformed(format!(
            "its installer version is `{}`, expected `3`",
            version.escape_debug()
        )));
    }
    let listed = one_line(walked.components.as_deref(), "components")?;
    let directory = walked.directory.as_deref().unwrap_or_default();
    if !directories(component).iter().any(|name| name == listed) {
        let shown: String = listed.chars().take(200).collect();
        return Err(ArchiveError::malformed(format!(
            "it holds `{}`, expected `{component}`",
            shown.escape_debug()
        )));
    }
    if listed != directory {
        return Err(ArchiveError::malformed(format!(
            "its component `{listed}` has no directory"
        )));
    }
    let manifest = walked.manifest.as_deref();
    let manifest = manifest.ok_or_else(|| ArchiveError::malformed("it has no `manifest.in`"))?;
    check_files(&Manifest::parse(manifest)?, files)
}

/// The only line of a file of the top directory.
fn one_line<'a>(bytes: Option<&'a [u8]>, name: &str) -> Result<&'a str, ArchiveError> {
    let bytes = bytes.ok_or_else(|| ArchiveError::malformed(format!("it has no file `{name}`")))?;
    let text = std::str::from_utf8(bytes).ok();
    let line = text.map(|text| text.strip_suffix('\n').unwrap_or(text));
    line.filter(|line| !line.contains(['\n', '\r']))
        .ok_or_else(|| ArchiveError::malformed(format!("its file `{name}` is not one line")))
}

/// What `manifest.in` lists.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    files: HashSet<RelPath>,
    directories: HashSet<RelPath>,
}

impl Manifest {
    /// Reads lines `file:<path>` and `dir:<path>`, each path once.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let refuse = |n: usize, reason: String| {
            ArchiveError::malformed(format!("line {} of `manifest.in`: {reason}", n + 1))
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ArchiveError::malformed("its `manifest.in` is not UTF-8"))?;
        let mut manifest = Self::default();
        for (n, line) in text.split_terminator('\n').enumerate() {
            let (kind, path) = line
                .split_once(':')
                .ok_or_else(|| refuse(n, "it is not `file:<path>` or `dir:<path>`".to_owned()))?;
            let path: RelPath = path
                .parse()
                .map_err(|error| refuse(n, format!("{error}")))?;
            let paths = match kind {
                "file" => &mut manifest.files,
                "dir" => &mut manifest.directories,
                _ => return Err(refuse(n, format!("`{}` is unknown", kind.escape_debug()))),
            };
            if !paths.insert(path) {
                return Err(refuse(n, "the path is listed twice".to_owned()));
            }
        }
        Ok(manifest)
    }

    /// The listed directory that a path lies in.
    fn directory_of(&self, path: &RelPath) -> Option<&RelPath> {
        let parents = path.as_str().match_indices('/');
        parents
            .filter_map(|(at, _)| path.as_str().get(..at)?.parse().ok())
            .find_map(|parent: RelPath| self.directories.get(&parent))
    }
}

fn check_files(manifest: &Manifest, files: &[Entry]) -> Result<(), ArchiveError> {
    let mut counts: HashMap<&RelPath, usize> =
        manifest.directories.iter().map(|dir| (dir, 0)).collect();
    let mut found = 0;
    for Entry { path, .. } in files {
        let listed = manifest.files.contains(path);
        match (listed, manifest.directory_of(path)) {
            (true, None) => found += 1,
            (false, Some(directory)) => *counts.entry(directory).or_default() += 1,
            (true, Some(_)) => {
                let reason = "`manifest.in` lists it, and also a directory it is in";
                return Err(ArchiveError::entry(path.as_str().as_bytes(), reason));
            }
            (false, None) => {
                let reason = "`manifest.in` does not list it";
                return Err(ArchiveError::entry(path.as_str().as_bytes(), reason));
            }
        }
    }
    if found < manifest.files.len() {
        let present: HashSet<&RelPath> = files.iter().map(|entry| &entry.path).collect();
        let missing = manifest.files.iter().filter(|path| !present.contains(path));
        let missing = missing.min().map_or("", |path| path.as_str());
        let reason = "`manifest.in` lists it, but it is not in the archive";
        return Err(ArchiveError::entry(missing.as_bytes(), reason));
    }
    match counts.iter().find(|(_, count)| **count == 0) {
        Some((directory, _)) => Err(ArchiveError::entry(
            directory.as_str().as_bytes(),
            "`manifest.in` lists the directory, but the archive has no file in it",
        )),
        None => Ok(()),
    }
}
