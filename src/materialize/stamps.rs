//! The metadata of everything in an area, and whether it is still the same.
//!
//! A no-op sync looks up thousands of names, so they are kept in the form in
//! which they are looked up: in *groups*, each a directory and the names below
//! it, encoded one after the other. Nothing is copied to compare them.
//!
//! ```text
//! group   base (name)  length of the entries (number)  entries
//! entry   kind (d f x l)  size (number)  time (8 bytes)  inode (number)  name
//! ```
//!
//! An entry's name is relative to its group's base, and the base to the
//! output; an empty base is the output itself. A base is an entry of another
//! group, so that its own metadata is compared, too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::encoding::{Reader, Writer};
use crate::sys::fs::{self, FsError};
use crate::sys::stat::{Dir, Kind, Stamp};
use crate::types::RelPath;

/// A directory with fewer names than this below it is not opened: opening and
/// closing it would cost more than walking to it for each of them.
const MIN_GROUP: usize = 16;
/// Bytes for which another thread pays: about 700 names, half a millisecond.
const MIN_PARALLEL: usize = 32 << 10;

/// The stamps of an area, or of files outside the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(pub(super) Vec<u8>);

impl Stamps {
    /// Takes the metadata of everything in an area.
    pub fn record(output: &Path, area: &RelPath) -> Result<Self, FsError> {
        let root = fs::at("open", output, Dir::open(output))?;
        let mut entries = Vec::new();
        let mut pending = vec![area.as_str().to_owned()];
        while let Some(path) = pending.pop() {
            let full = output.join(&path);
            let name = CString::new(path.as_str()).map_err(std::io::Error::from);
            let stamp = name.and_then(|name| root.stamp(&name));
            let stamp = fs::at("inspect", &full, stamp)?;
            if stamp.kind == Kind::Directory {
                for name in fs::list(&full)? {
                    pending.push(format!("{path}/{}", name.to_string_lossy()));
                }
            }
            entries.push((path, stamp));
        }
        Ok(Self(encode(&entries)))
    }

    /// The stamps of files outside the output, links followed to the end; what
    /// is not there is left out.
    pub fn of_outside<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let stamp = |path: &Path| {
            let real = std::fs::canonicalize(path).ok()?;
            let name = CString::new(real.to_str()?).ok()?;
            let stamp = Dir::open(Path::new("/")).ok()?.stamp(&name).ok()?;
            Some((real.to_str()?.to_owned(), stamp))
        };
        let mut group = Writer::default();
        for (path, stamp) in paths.into_iter().filter_map(stamp) {
            group.stamp(&stamp);
            group.name(&path);
        }
        let mut writer = Writer::default();
        writer.name("");
        writer.bytes(&group.0);
        Self(writer.0)
    }

    /// How many files and links these are, directories left out.
    pub fn count(&self) -> usize {
        let entries = groups(&self.0).into_iter().flatten().map(|group| {
            let mut entries = group.entries;
            let next = || {
                let stamp = entries.stamp()?;
                entries.name().map(|_| stamp.kind)
            };
            std::iter::from_fn(next)
                .filter(|kind| *kind != Kind::Directory)
                .count()
        });
        entries.sum()
    }

    /// The first path whose metadata changed.
    pub fn first_change(&self, output: &Path) -> Option<String> {
        let Ok(root) = Dir::open(output) else {
            return Some(output.display().to_string());
        };
        let Some(groups) = groups(&self.0) else {
            return Some(super::STATE_FILE.to_owned());
        };
        groups.iter().find_map(|group| group.first_change(&root))
    }
}

/// Names below one directory.
#[derive(Clone, Copy, Debug)]
struct Group<'a> {
    base: &'a CStr,
    entries: Reader<'a>,
}

/// The groups of encoded stamps; `None` if they are damaged.
fn groups(stamps: &[u8]) -> Option<Vec<Group<'_>>> {
    let mut groups = Vec::new();
    let mut reader = Reader(stamps);
    while !reader.is_empty() {
        let base = reader.name()?;
        let entries = Reader(reader.bytes()?);
        groups.push(Group { base, entries });
    }
    Some(groups)
}

/// Whether everything is as these stamps say; `threads` work on it together.
pub(super) fn all_hold<'a>(
    output: &Path,
    stamps: impl Iterator<Item = &'a [u8]>,
    threads: usize,
) -> bool {
    let mut all = Vec::new();
    for stamps in stamps {
        match groups(stamps) {
            Some(groups) => all.extend(groups),
            None => return false,
        }
    }
    let Ok(root) = Dir::open(output) else {
        return false;
    };
    let (next, changed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while let Some(group) = all.get(next.fetch_add(1, Ordering::Relaxed))
            && !changed.load(Ordering::Relaxed)
        {
            if group.first_change(&root).is_some() {
                changed.store(true, Ordering::Relaxed);
            }
        }
    };
    let bytes: usize = all.iter().map(|group| group.entries.0.len()).sum();
    let helpers = threads.min(bytes / MIN_PARALLEL).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            // Without another thread this one does all of it.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    !changed.into_inner()
}

impl Group<'_> {
    /// The first name that is not as it was.
    fn first_change(&self, root: &Dir) -> Option<String> {
        let below;
        let dir = if self.base.is_empty() {
            root
        } else {
            match root.below(self.base) {
                Ok(dir) => {
                    below = dir;
                    &below
                }
                Err(_) => return Some(self.base.to_string_lossy().into_owned()),
            }
        };
        let mut entries = self.entries;
        while !entries.is_empty() {
            let (Some(stamp), Some(name)) = (entries.stamp(), entries.name()) else {
                return Some(self.base.to_string_lossy().into_owned());
            };
            if !dir.stamp(name).is_ok_and(|found| found == stamp) {
                let name = name.to_string_lossy();
                return Some(if self.base.is_empty() {
                    name.into_owned()
                } else {
                    format!("{}/{name}", self.base.to_string_lossy())
                });
            }
        }
        None
    }
}

/// Groups entries, each of which comes after the directory it is in.
fn encode(entries: &[(String, Stamp)]) -> Vec<u8> {
    let bases = bases(entries);
    let mut groups: BTreeMap<&str, Writer> = BTreeMap::new();
    for (path, stamp) in entries {
        let base = std::iter::successors(parent(path), |dir| parent(dir))
            .find(|dir| bases.contains(dir))
            .unwrap_or("");
        let name = path.strip_prefix(base).unwrap_or(path);
        let group = groups.entry(base).or_default();
        group.stamp(stamp);
        group.name(name.trim_start_matches('/'));
    }
    let mut writer = Writer::default();
    for (base, entries) in groups {
        writer.name(base);
        writer.bytes(&entries.0);
    }
    writer.0
}

/// The directories that are worth opening.
fn bases(entries: &[(String, Stamp)]) -> BTreeSet<&str> {
    let mut bases = BTreeSet::new();
    let mut below: HashMap<&str, usize> = HashMap::new();
    // From the end, so that all that is in a directory was counted before it.
    for (path, _) in entries.iter().rev() {
        let count = below.get(path.as_str()).copied().unwrap_or(0);
        let is_base = count >= MIN_GROUP;
        if is_base {
            bases.insert(path.as_str());
        }
        if let Some(parent) = parent(path) {
            *below.entry(parent).or_default() += if is_base { 1 } else { count + 1 };
        }
    }
    bases
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An area `a` with a small directory, a large one, and one inside that.
    fn area() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: String| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::replace(&path, b"x").unwrap();
        };
        for n in 0..40 {
            write(format!("a/large/file-{n}"));
        }
        for n in 0..5 {
            write(format!("a/large/inner/file-{n}"));
            write(format!("a/small/file-{n}"));
        }
        dir
    }

    type Change = &'static dyn Fn(&Path);

    fn record(dir: &Path) -> Stamps {
        Stamps::record(dir, &"a".parse().unwrap()).unwrap()
    }

    fn holds(dir: &Path, stamps: &Stamps) -> bool {
        let both = [1, 3].map(|threads| all_hold(dir, std::iter::once(&*stamps.0), threads));
        assert_eq!(both[0], both[1]);
        assert_eq!(both[0], stamps.first_change(dir).is_none());
        both[0]
    }

    #[test]
    fn large_directories_are_opened_and_small_ones_are_not() {
        let dir = area();
        let stamps = record(dir.path());
        let bases: Vec<_> = groups(&stamps.0).unwrap().iter().map(|g| g.base).collect();
        assert_eq!(bases, [c"", c"a/large"]);
        // Directories do not count.
        assert_eq!(stamps.count(), 50);
        assert!(holds(dir.path(), &stamps));
    }

    #[test]
    fn case_117_every_kind_of_change_is_seen_in_every_group() {
        for place in ["a/large", "a/large/inner", "a/small"] {
            let changes: [(&str, Change); 6] = [
                ("added", &|dir| {
                    fs::write_new(&dir.join("stranger"), b"").map(drop).unwrap();
                }),
                ("removed", &|dir| {
                    fs::remove_file(&dir.join("file-3")).unwrap();
                }),
                ("replaced", &|dir| {
                    fs::replace(&dir.join("file-3"), b"x").unwrap();
                }),
                ("longer", &|dir| {
                    let mut file = fs::open_or_create(&dir.join("file-3")).unwrap();
                    fs::write_all(&mut file, dir, b"xy").unwrap();
                }),
                ("executable", &|dir| {
                    fs::set_mode(&dir.join("file-3"), 0o755).unwrap();
                }),
                ("another directory", &|dir| {
                    fs::rename(dir, &dir.with_extension("old")).unwrap();
                    fs::create_dir(dir).unwrap();
                }),
            ];
            for (what, change) in changes {
                let dir = area();
                let stamps = record(dir.path());
                assert!(holds(dir.path(), &stamps));
                change(&dir.path().join(place));
                assert!(!holds(dir.path(), &stamps), "{place}: {what}");
                let path = stamps.first_change(dir.path()).unwrap();
                assert!(path.starts_with('a'), "{path}");
            }
        }
    }

    #[test]
    fn damaged_stamps_hold_nothing() {
        let dir = area();
        let stamps = record(dir.path());
        let cut = Stamps(stamps.0[..stamps.0.len() - 1].to_vec());
        assert!(!holds(dir.path(), &cut));
        let mut other = stamps.clone();
        other.0[3] ^= 0x10;
        assert!(!holds(dir.path(), &other));
    }
}
