//! What the last sync put into the output, and how to tell from metadata
//! alone that it is still there.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::area::AreaDigest;
use crate::store::StateKey;
use crate::sys::fs::{self, FsError};
use crate::types::{RelPath, TreeDigest, Triple};

/// The state file's name in the output.
pub const STATE_FILE: &str = ".state.json";
/// The largest state file we read.
const MAX_STATE: u64 = 64 << 20;
/// The format of the state file; another one counts as no state at all.
const VERSION: u32 = 1;

/// What the last sync put into the output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// BLAKE3 of the lock's text whose targets are all here; absent after a
    /// sync of only some targets.
    pub lock: Option<AreaDigest>,
    /// The host whose toolchain it is.
    pub host: Option<Triple>,
    /// The trees that the output is made of.
    pub trees: Vec<TreeDigest>,
    /// How files got here: `reflink`, `hardlink` or `copy`.
    pub link_mode: Option<super::LinkMode>,
    /// Files outside the output that it depends on: the system's toolchain.
    #[serde(default)]
    pub watched: Vec<Stamp>,
    /// The boot during which it was written. Files of an output are not
    /// flushed, so after a power cut metadata alone proves nothing.
    #[serde(default)]
    boot: Option<String>,
    /// The areas by path.
    pub areas: BTreeMap<RelPath, AreaState>,
}

/// One area as it was when it was put into place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaState {
    /// Digest of the content.
    pub digest: AreaDigest,
    /// Everything in it, the area's own path first.
    pub stamps: Vec<Stamp>,
}

/// A file's, link's or directory's metadata; it changes with the content.
///
/// The inode is part of it, so a file that was replaced is seen even if size
/// and time were forged; the change time is not, because hard links made by
/// other projects change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(
    /// Path in the output.
    pub String,
    /// Kind (`d`, `f`, `l`) and, for files, `x` if executable.
    pub String,
    /// Size in bytes; 0 for a directory.
    pub u64,
    /// Modification time in nanoseconds since 1970.
    pub i128,
    /// Inode number; 0 where there is none.
    pub u64,
);

impl State {
    /// An empty state.
    pub fn new() -> Self {
        Self {
            version: VERSION,
            boot: fs::boot(),
            ..Self::default()
        }
    }

    /// Reads the state of an output; absent, damaged or foreign ones, and ones
    /// without the right authentication code, count as nothing known.
    pub fn read(output: &Path, key: &StateKey) -> Option<Self> {
        let text = fs::read_text_if_exists(&output.join(STATE_FILE), MAX_STATE).ok()??;
        let (code, body) = text.split_once('\n')?;
        if code != key.code(body.as_bytes()) {
            return None;
        }
        let state: Self = serde_json::from_str(body).ok()?;
        (state.version == VERSION).then_some(state)
    }

    /// Whether the system has run since this was written; if not, what was
    /// written then may not have reached the disk.
    pub fn is_of_this_boot(&self) -> bool {
        self.boot == fs::boot()
    }

    /// Writes the state: the authentication code on a line, then JSON.
    pub fn write(&self, output: &Path, key: &StateKey) -> Result<(), FsError> {
        // Serialising strings and numbers to memory cannot fail.
        let body = serde_json::to_string(self).unwrap_or_default();
        let text = format!("{}\n{body}", key.code(body.as_bytes()));
        fs::replace(&output.join(STATE_FILE), text.as_bytes())
    }

    /// Whether every area is as it was left and there is no other, judged by
    /// metadata.
    pub fn is_untouched(&self, output: &Path) -> bool {
        let inside = self.areas.values().flat_map(|area| &area.stamps);
        let all: Vec<&Stamp> = inside.chain(&self.watched).collect();
        super::present_areas(output).is_ok_and(|found| found.iter().eq(self.areas.keys()))
            && all
                .par_iter()
                .with_min_len(256)
                .all(|stamp| stamp.holds(output))
    }
}

impl AreaState {
    /// Whether this area is as it was left, judged by metadata.
    pub fn is_untouched(&self, output: &Path) -> bool {
        self.stamps.iter().all(|stamp| stamp.holds(output))
    }

    /// The first path whose metadata changed.
    pub fn first_change(&self, output: &Path) -> Option<&str> {
        self.stamps
            .iter()
            .find(|stamp| !stamp.holds(output))
            .map(|stamp| stamp.0.as_str())
    }

    /// Takes the metadata of everything in an area.
    pub fn record(output: &Path, area: &RelPath, digest: AreaDigest) -> Result<Self, FsError> {
        let mut stamps = Vec::new();
        let mut pending = vec![area.as_str().to_owned()];
        while let Some(path) = pending.pop() {
            let full = output.join(&path);
            let metadata = fs::at("inspect", &full, std::fs::symlink_metadata(&full))?;
            if metadata.is_dir() {
                for name in fs::list(&full)? {
                    pending.push(format!("{path}/{}", name.to_string_lossy()));
                }
            }
            stamps.push(Stamp::new(path, &metadata));
        }
        Ok(Self { digest, stamps })
    }
}

impl Stamp {
    /// The stamp of a file outside the output, links followed to the end.
    pub fn of_outside(path: &Path) -> Option<Self> {
        let real = std::fs::canonicalize(path).ok()?;
        let metadata = std::fs::symlink_metadata(&real).ok()?;
        Some(Self::new(real.to_str()?.to_owned(), &metadata))
    }

    fn new(path: String, metadata: &std::fs::Metadata) -> Self {
        let kind = if metadata.is_dir() {
            "d"
        } else if metadata.is_symlink() {
            "l"
        } else if super::link::is_executable(metadata) {
            "x"
        } else {
            "f"
        };
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        let time = metadata.modified().ok().and_then(|t| {
            let since = t.duration_since(std::time::UNIX_EPOCH).ok()?;
            i128::try_from(since.as_nanos()).ok()
        });
        Self(
            path,
            kind.to_owned(),
            size,
            time.unwrap_or(-1),
            inode(metadata),
        )
    }

    fn holds(&self, output: &Path) -> bool {
        match std::fs::symlink_metadata(output.join(&self.0)) {
            Ok(metadata) => Self::new(String::new(), &metadata).same_but_path(self),
            Err(_) => false,
        }
    }

    fn same_but_path(&self, other: &Self) -> bool {
        (&self.1, self.2, self.3, self.4) == (&other.1, other.2, other.3, other.4)
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &std::fs::Metadata) -> u64 {
    0
}
