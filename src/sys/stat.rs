//! Metadata of many files at little cost: looked up by short names below an
//! open directory, and reduced to what shows a change.

use std::ffi::CStr;
use std::io;
use std::path::Path;

/// A file's, link's or directory's metadata; it changes with the content.
///
/// The inode is part of it, so a file that was replaced is seen even if size
/// and time were forged; the change time is not, because hard links made by
/// other projects change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified: i64,
    /// Inode number; 0 where there is none.
    pub inode: u64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file that its owner may not execute, or something that is neither a
    /// file, nor a directory, nor a link.
    File,
    /// A file that its owner may execute.
    Executable,
    /// A symbolic link.
    Symlink,
}

/// What tells a directory from another one that has its inode number on another
/// file system: when it was made, in nanoseconds since 1970; where the file
/// system does not keep that, the file system's own number. 0: neither is known.
///
/// Both outlive unmounting. A root directory is made with its file system, so
/// two disks differ even where all of them begin with inode 2.
#[cfg(target_os = "linux")]
pub fn birth(path: &Path) -> u64 {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statvfs, statx};
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME);
    let born = found
        .ok()
        .filter(|found| found.stx_mask & StatxFlags::BTIME.bits() != 0);
    let born = born.map(|found| {
        let seconds = found.stx_btime.tv_sec.cast_unsigned();
        let nanoseconds = u64::from(found.stx_btime.tv_nsec);
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(nanoseconds)
    });
    born.or_else(|| statvfs(path).ok().map(|found| found.f_fsid))
        .unwrap_or(0)
}

/// Nothing is known of other systems' file systems.
#[cfg(not(target_os = "linux"))]
pub fn birth(_path: &Path) -> u64 {
    0
}

/// An open directory to look up names in.
#[derive(Debug)]
pub struct Dir(
    #[cfg(unix)] std::os::fd::OwnedFd,
    #[cfg(not(unix))] std::path::PathBuf,
);

#[cfg(unix)]
impl Dir {
    /// Opens a directory, links followed.
    #[expect(clippy::disallowed_methods, reason = "opened only to look up names")]
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = lookup_flags();
        let mode = rustix::fs::Mode::empty();
        Ok(Self(rustix::fs::open(path, flags, mode)?))
    }

    /// Opens a directory below this one; a link in its place is an error.
    #[expect(clippy::disallowed_methods, reason = "opened only to look up names")]
    pub fn below(&self, name: &CStr) -> io::Result<Self> {
        let flags = lookup_flags() | rustix::fs::OFlags::NOFOLLOW;
        let mode = rustix::fs::Mode::empty();
        Ok(Self(rustix::fs::openat(&self.0, name, flags, mode)?))
    }

    /// The stamp of a name below this directory, or of an absolute path;
    /// a link is not followed.
    pub fn stamp(&self, name: &CStr) -> io::Result<Stamp> {
        use rustix::fs::AtFlags;
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Stamp::of(&stat))
    }
}

/// How to open a directory only to look up names in it.
#[cfg(unix)]
fn lookup_flags() -> rustix::fs::OFlags {
    use rustix::fs::OFlags;
    #[cfg(target_os = "linux")]
    let access = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    let access = OFlags::RDONLY;
    access | OFlags::DIRECTORY | OFlags::CLOEXEC
}

#[cfg(unix)]
impl Stamp {
    fn of(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::{FileType, Mode};
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            _ if Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR) => Kind::Executable,
            _ => Kind::File,
        };
        let size = match kind {
            Kind::Directory => 0,
            Kind::File | Kind::Executable | Kind::Symlink => {
                u64::try_from(stat.st_size).unwrap_or(0)
            }
        };
        // Only compared, never counted with: a time after 2262 may wrap.
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let modified = (stat.st_mtime.wrapping_mul(1_000_000_000)).wrapping_add(nanoseconds);
        Self {
            kind,
            size,
            modified,
            inode: stat.st_ino,
        }
    }
}

#[cfg(not(unix))]
impl Dir {
    /// Opens a directory, links followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(path.to_owned()))
    }

    /// Opens a directory below this one.
    pub fn below(&self, name: &CStr) -> io::Result<Self> {
        Ok(Self(self.0.join(text(name)?)))
    }

    /// The stamp of a name below this directory, or of an absolute path;
    /// a link is not followed.
    pub fn stamp(&self, name: &CStr) -> io::Result<Stamp> {
        let metadata = std::fs::symlink_metadata(self.0.join(text(name)?))?;
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink
        } else {
            Kind::File
        };
        let since = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        let nanoseconds = since.map_or(0, |since| since.as_nanos());
        Ok(Stamp {
            kind,
            size: if metadata.is_dir() { 0 } else { metadata.len() },
            modified: i64::try_from(nanoseconds).unwrap_or(-1),
            inode: 0,
        })
    }
}

#[cfg(not(unix))]
fn text(name: &CStr) -> io::Result<&str> {
    name.to_str()
        .map_err(|_| io::ErrorKind::InvalidInput.into())
}
