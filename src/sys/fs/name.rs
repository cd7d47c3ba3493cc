//! Names of files: renames that replace and such that do not, exchanges, links.

use std::fs;
use std::io;
use std::path::Path;

use super::Result;
use super::call::call;

/// Renames, replacing a file (not a directory) of the new name.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    call("rename to", to, || fs::rename(from, to))
}

/// What [`rename_new`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// The name was free and is ours now.
    Done,
    /// Somebody else has the name; nothing was changed.
    Exists,
}

/// Renames without ever replacing anything.
pub fn rename_new(from: &Path, to: &Path) -> Result<Renamed> {
    call("rename to", to, || rename_once(from, to))
}

fn rename_once(from: &Path, to: &Path) -> io::Result<Renamed> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Renamed::Done),
            Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => {
                return Ok(Renamed::Exists);
            }
            // A file system without the flag, such as NFS.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    rename_without_flag(from, to)
}

/// The same where the system cannot rename without replacing.
fn rename_without_flag(from: &Path, to: &Path) -> io::Result<Renamed> {
    // A file gets its name by a link, which replaces nothing, whoever else
    // writes at the same moment. A directory's rename replaces none but an
    // empty one.
    if fs::symlink_metadata(from)?.is_file() {
        match fs::hard_link(from, to) {
            Ok(()) => {
                fs::remove_file(from)?;
                return Ok(Renamed::Done);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // A network file system may repeat a request whose answer was
                // lost, and find our own link.
                if !is_same_file(from, to) {
                    return Ok(Renamed::Exists);
                }
                fs::remove_file(from)?;
                return Ok(Renamed::Done);
            }
            // A file system without links: only looking before is left.
            Err(_) => {}
        }
    }
    if fs::symlink_metadata(to).is_ok() {
        return Ok(Renamed::Exists);
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(Renamed::Done),
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Renamed::Exists),
        Err(e) => Err(e),
    }
}

/// Whether two names are of one file.
fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let place = |path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()));
        matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        let _ = (a, b);
        false
    }
}

/// Exchanges two existing names in one step. `Ok(false)`: this file system
/// cannot, and nothing was changed.
pub fn exchange(a: &Path, b: &Path) -> Result<bool> {
    #[cfg(feature = "fault-injection")]
    if crate::sys::fault::lacks_exchange() {
        return Ok(false);
    }
    call("exchange", b, || {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
                Ok(()) => Ok(true),
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Ok(false),
                Err(e) => Err(e.into()),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = a;
            Ok(false)
        }
    })
}

/// Creates a hard link.
pub fn hard_link(original: &Path, link: &Path) -> Result<()> {
    call("link", link, || fs::hard_link(original, link))
}

/// Creates a symbolic link.
#[cfg(unix)]
pub fn symlink(target: &Path, link: &Path) -> Result<()> {
    call("link", link, || std::os::unix::fs::symlink(target, link))
}

/// Copies a file's content by reference where the file system can (reflink).
/// `Ok(false)`: it cannot, and there is no new file.
pub fn reflink(from: &Path, to: &Path) -> Result<bool> {
    call("clone", to, || Ok(reflink_copy::reflink(from, to).is_ok()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sys::fs::{read_text, write_new};

    /// On file systems whose renames know no flags, such as NFS.
    #[test]
    fn case_133_of_many_that_take_a_name_without_the_flag_one_gets_it() {
        const WRITERS: usize = 4;
        let dir = tempfile::tempdir().unwrap();
        let barrier = std::sync::Barrier::new(WRITERS);
        let take = |round: usize, writer: usize| {
            let from = dir.path().join(format!("{round}-{writer}"));
            let to = dir.path().join(format!("{round}"));
            write_new(&from, writer.to_string().as_bytes()).unwrap();
            barrier.wait();
            let renamed = rename_without_flag(&from, &to).unwrap();
            // Whoever lost keeps its own file.
            assert_eq!(from.exists(), renamed == Renamed::Exists);
            (renamed == Renamed::Done).then_some(writer)
        };
        for round in 0..200 {
            let winners: Vec<usize> = std::thread::scope(|scope| {
                let take = &take;
                let writers: Vec<_> = (0..WRITERS)
                    .map(|writer| scope.spawn(move || take(round, writer)))
                    .collect();
                let joined = writers.into_iter().filter_map(|w| w.join().unwrap());
                joined.collect()
            });
            let to = dir.path().join(format!("{round}"));
            let content = read_text(&to, 9).unwrap();
            assert_eq!(winners, [content.parse::<usize>().unwrap()]);
        }
        // A link of ours whose answer was lost counts as ours.
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write_new(&from, b"once").unwrap();
        hard_link(&from, &to).unwrap();
        assert_eq!(rename_without_flag(&from, &to).unwrap(), Renamed::Done);
        assert!(!from.exists());
    }
}
