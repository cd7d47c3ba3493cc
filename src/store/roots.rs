//! Projects that use the store, so that a collector knows what to keep.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Result, Store};
use crate::sys::fs;
use crate::sys::stat::birth;
use crate::types::TreeDigest;

/// The largest project record we read.
const MAX_ROOT: u64 = 1 << 20;
/// The name of the output in a project's directory.
const OUTPUT: &str = ".sysroot";

/// One project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The directory that holds the project's output.
    #[serde(with = "any_path")]
    pub project: PathBuf,
    /// The trees its output is made of, sorted.
    pub trees: Vec<TreeDigest>,
    /// Seconds since 1970 of the last sync that changed anything.
    pub used: u64,
    /// The inode numbers of the project's directory and of those above it, up
    /// to the last one on the same file system. By them a project that was
    /// removed is told from one whose file system is not mounted now.
    #[serde(default)]
    pub place: Vec<u64>,
    /// For each of these what tells it from a directory of the same number on
    /// another file system; see [`birth`].
    #[serde(default)]
    pub births: Vec<u64>,
}

/// What became of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootState {
    /// Its output is there.
    There,
    /// It cannot be told: the file system is not mounted, or may not be read.
    /// It keeps what it uses.
    Unknown(String),
    /// It is gone for good.
    Gone(Gone),
}

/// What of a project is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Its directory.
    Project,
    /// Its output.
    Output,
}

impl Root {
    /// A project as it stands now.
    pub fn of(project: PathBuf, trees: Vec<TreeDigest>, now: u64) -> Self {
        let place = place(&project);
        let dirs = project.ancestors().take(place.len());
        let births = dirs.map(birth).collect();
        Self {
            project,
            trees,
            used: now,
            place,
            births,
        }
    }

    /// Whether the project still has its output.
    ///
    /// It is gone only if the nearest directory that is left of the way to the
    /// output is the very one that was there when the project was registered,
    /// on the project's own file system. An empty mount point, or a directory
    /// that was mounted by somebody else meanwhile, is another one, and proves
    /// nothing; neither does one that may not be read.
    pub fn state(&self) -> RootState {
        let output = self.project.join(OUTPUT);
        match std::fs::symlink_metadata(&output) {
            Ok(_) => return RootState::There,
            Err(e) if !is_absence(&e) => return RootState::Unknown(e.to_string()),
            Err(_) => {}
        }
        for (depth, dir) in self.project.ancestors().enumerate() {
            let found = match std::fs::symlink_metadata(dir) {
                Ok(found) => found,
                Err(e) if is_absence(&e) => continue,
                Err(e) => return RootState::Unknown(e.to_string()),
            };
            let known = (self.place.get(depth), self.births.get(depth));
            return match known {
                (Some(inode), Some(born)) if is_the_one(&found, *inode) && *born == birth(dir) => {
                    RootState::Gone(if depth == 0 {
                        Gone::Output
                    } else {
                        Gone::Project
                    })
                }
                _ => RootState::Unknown("its file system may not be mounted".to_owned()),
            };
        }
        RootState::Unknown("no directory above it is there".to_owned())
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Whether this is the directory with that inode.
#[cfg(unix)]
fn is_the_one(found: &std::fs::Metadata, inode: u64) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.is_dir() && found.ino() == inode
}

#[cfg(not(unix))]
fn is_the_one(_found: &std::fs::Metadata, _inode: u64) -> bool {
    false
}

/// See [`Root::place`].
#[cfg(unix)]
fn place(project: &Path) -> Vec<u64> {
    use std::os::unix::fs::MetadataExt;
    let found: Vec<_> = project
        .ancestors()
        .map_while(|dir| std::fs::symlink_metadata(dir).ok())
        .collect();
    let device = found.first().map(MetadataExt::dev);
    let same = found.iter().take_while(|m| Some(m.dev()) == device);
    same.map(MetadataExt::ino).collect()
}

#[cfg(not(unix))]
fn place(_project: &Path) -> Vec<u64> {
    Vec::new()
}

/// Paths as text, or as bytes where they are not UTF-8.
mod any_path {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Bytes { bytes: Vec<u8> },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let form = match path.to_str() {
            Some(text) => Form::Text(text.to_owned()),
            None => Form::Bytes {
                bytes: path.as_os_str().as_encoded_bytes().to_vec(),
            },
        };
        form.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(text.into()),
            #[cfg(unix)]
            Form::Bytes { bytes } => {
                use std::os::unix::ffi::OsStringExt as _;
                Ok(std::ffi::OsString::from_vec(bytes).into())
            }
            #[cfg(not(unix))]
            Form::Bytes { .. } => Err(serde::de::Error::custom("a path of another system")),
        }
    }
}

impl Store {
    /// Records, or renews, what a project uses, and notes the use of those
    /// trees and of the ones it used until now.
    pub fn register(&self, root: &Root) -> Result<()> {
        let dir = self.layout().roots();
        self.make_dir(&dir)?;
        // Serialising a struct of strings and numbers to memory cannot fail.
        let text = serde_json::to_string(root).unwrap_or_default();
        let path = dir.join(name(&root.project));
        let before = read(&path).map(|old| old.trees).unwrap_or_default();
        fs::replace_stored(&path, text.as_bytes())?;
        for tree in before.iter().chain(&root.trees) {
            // A hint: without it the tree's age counts from later on.
            let _ = self.note_use(*tree, root.used);
        }
        Ok(())
    }

    /// Whether a project has a record, or can have none: a store that we cannot
    /// write to is collected by somebody else.
    pub fn knows(&self, project: &Path) -> bool {
        let record = self.layout().roots().join(name(project));
        record.exists() || !fs::is_writable(self.layout().root())
    }

    /// All readable project records.
    pub fn roots(&self) -> Result<Vec<Root>> {
        let dir = self.layout().roots();
        let names = fs::list(&dir)?.into_par_iter();
        Ok(names
            .filter(|name| !fs::is_staged(name))
            .filter_map(|name| read(&dir.join(name)))
            .collect())
    }

    /// Forgets a project.
    pub(super) fn forget(&self, root: &Root) -> Result<()> {
        let path = self.layout().roots().join(name(&root.project));
        Ok(fs::remove_file(&path)?)
    }
}

/// A project record whose file has the name that goes with its path.
pub(super) fn read(path: &Path) -> Option<Root> {
    let text = fs::read_text_if_exists(path, MAX_ROOT).ok()??;
    let root: Root = serde_json::from_str(&text).ok()?;
    (path.file_name()?.to_str()? == name(&root.project)).then_some(root)
}

fn name(project: &Path) -> String {
    blake3::hash(project.as_os_str().as_encoded_bytes())
        .to_hex()
        .to_string()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and remove projects")]
mod tests {
    use super::*;

    fn made(dir: &Path) -> Root {
        let project = dir.join("a/b/project");
        std::fs::create_dir_all(project.join(OUTPUT)).unwrap();
        Root::of(project, Vec::new(), 1)
    }

    #[test]
    fn a_removed_output_or_project_or_directory_above_it_is_gone() {
        for (remove, gone) in [
            ("a/b/project/.sysroot", Gone::Output),
            ("a/b/project", Gone::Project),
            ("a/b", Gone::Project),
            ("a", Gone::Project),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let root = made(dir.path());
            assert_eq!(root.state(), RootState::There);
            std::fs::remove_dir_all(dir.path().join(remove)).unwrap();
            assert_eq!(root.state(), RootState::Gone(gone), "{remove}");
        }
    }

    #[test]
    fn another_directory_in_the_place_of_one_above_proves_nothing() {
        for other in ["a", "a/b", "a/b/project"] {
            let dir = tempfile::tempdir().unwrap();
            let root = made(dir.path());
            // As a mount point is when its file system is not mounted.
            let place = dir.path().join(other);
            std::fs::rename(&place, dir.path().join("kept")).unwrap();
            std::fs::create_dir(&place).unwrap();
            let state = root.state();
            assert!(matches!(state, RootState::Unknown(_)), "{other}: {state:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn case_160_a_project_in_a_directory_that_is_not_utf8_is_registered() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("cache")).unwrap();
        for name in [&b"bad\xffname"[..], b"new\nline", b"plain"] {
            let project = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::create_dir_all(project.join(OUTPUT)).unwrap();
            let root = Root::of(project, Vec::new(), 1);
            store.register(&root).unwrap();
            assert!(store.roots().unwrap().contains(&root), "{name:?}");
        }
    }

    #[test]
    fn a_project_of_an_older_record_is_never_taken_for_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut root = made(dir.path());
        std::fs::remove_dir_all(&root.project).unwrap();
        assert!(matches!(root.state(), RootState::Gone(_)));
        root.births.clear();
        assert!(matches!(root.state(), RootState::Unknown(_)));
        root.place.clear();
        assert!(matches!(root.state(), RootState::Unknown(_)));
    }
}
