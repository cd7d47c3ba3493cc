//! File operations: bounded reads, and every mutation of the file system.
//!
//! Each error names its path. Each mutating function passes one fault point,
//! so nothing that changes a file may be called elsewhere (`clippy.toml` bars
//! the `std::fs` equivalents).
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what the others must use instead"
)]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::types::{Class, Diagnostic, FileDigest};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", .path.display())]
pub struct FsError {
    /// What was tried: `create`, `rename`, `read`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Diagnostic for FsError {
    fn class(&self) -> Class {
        Class::FileSystem
    }

    fn hint(&self) -> Option<String> {
        let text = match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, or set SYSROOT_CACHE_DIR to another file system; then run the \
                 same command again"
            }
            io::ErrorKind::PermissionDenied => "check who owns it and its mode",
            io::ErrorKind::ReadOnlyFilesystem => {
                "set SYSROOT_CACHE_DIR to a directory on a writable file system"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Result of a file operation.
pub type Result<T, E = FsError> = std::result::Result<T, E>;

/// Attaches the operation and the path to an I/O error.
pub fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| FsError {
        operation,
        path: path.to_owned(),
        source,
    })
}

#[cfg(feature = "fault-injection")]
pub(super) fn point(operation: &'static str, path: &Path) -> Result<()> {
    at(operation, path, super::fault::point(operation))
}

#[cfg(not(feature = "fault-injection"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of the version that injects faults"
)]
fn point(_operation: &'static str, _path: &Path) -> Result<()> {
    Ok(())
}

/// Opens a regular file for reading, without ever blocking on what is none.
///
/// A FIFO, device or directory is an error of kind `InvalidInput`.
pub fn open_regular(path: &Path) -> Result<File> {
    open_with(path, false)
}

/// Like [`open_regular`], and refuses a symbolic link at the last component.
pub fn open_no_follow(path: &Path) -> Result<File> {
    open_with(path, true)
}

fn open_with(path: &Path, no_follow: bool) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let extra = if no_follow {
            OFlags::NOFOLLOW
        } else {
            OFlags::empty()
        };
        options.custom_flags((OFlags::NONBLOCK | extra).bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = no_follow;
    let file = at("open", path, options.open(path))?;
    if at("inspect", path, file.metadata())?.is_file() {
        return Ok(file);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    Err(FsError {
        operation: "read",
        path: path.to_owned(),
        source,
    })
}

/// Reads a regular file of at most `limit` bytes.
///
/// A longer one is an error of kind `FileTooLarge`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    // One allocation; a file that grows meanwhile is still read to the limit.
    let size = at("inspect", path, file.metadata())?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    at("read", path, file.take(limit + 1).read_to_end(&mut bytes))?;
    if bytes.len() as u64 > limit {
        let source = io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than the limit of {limit} bytes"),
        );
        return Err(FsError {
            operation: "read",
            path: path.to_owned(),
            source,
        });
    }
    Ok(bytes)
}

/// Reads a UTF-8 text file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let bytes = read(path, limit)?;
    let text = String::from_utf8(bytes)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8: {e}")));
    at("read", path, text)
}

/// Like [`read_text`], with `None` for a file that does not exist.
pub fn read_text_if_exists(path: &Path, limit: u64) -> Result<Option<String>> {
    match read_text(path, limit) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Files up to this size are hashed from one buffer; larger ones are mapped
/// and hashed by all processors.
const SMALL: u64 = 1 << 20;

/// The BLAKE3 of a regular file of about `size` bytes, links not followed.
pub fn hash(path: &Path, size: u64) -> Result<FileDigest> {
    let mut file = open_no_follow(path)?;
    let mut hasher = blake3::Hasher::new();
    if size <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        at("read", path, file.read_to_end(&mut bytes))?;
        hasher.update(&bytes);
    } else {
        at("read", path, hasher.update_mmap_rayon(path).map(|_| ()))?;
    }
    Ok(FileDigest::from_bytes(*hasher.finalize().as_bytes()))
}

/// The metadata of the path itself, links not followed; `None` if it does not exist.
pub fn metadata_if_exists(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FsError {
            operation: "inspect",
            path: path.to_owned(),
            source,
        }),
    }
}

/// The names in a directory, sorted; an absent directory has none.
pub fn list(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(FsError {
                operation: "list",
                path: path.to_owned(),
                source,
            });
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(at("list", path, entry)?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

/// Creates a directory and its missing parents.
pub fn create_dir_all(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    point("create directory", path)?;
    at(
        "create directory",
        path,
        directories(0o755).recursive(true).create(path),
    )
}

/// Makes directories with at most this mode; the user's mask narrows it.
fn directories(mode: u32) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Creates a directory that must not exist yet.
pub fn create_dir(path: &Path) -> Result<()> {
    point("create directory", path)?;
    at("create directory", path, directories(0o755).create(path))
}

/// Creates a directory and its missing parents, private to the user (0700).
pub fn create_private_dir_all(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    point("create directory", path)?;
    at(
        "create directory",
        path,
        directories(0o700).recursive(true).create(path),
    )
}

/// Creates a file that must not exist yet, links not followed.
pub fn create_new(path: &Path) -> Result<File> {
    point("create", path)?;
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    at("create", path, file)
}

/// Creates a file that must not exist yet, for writing now and for reading
/// only later: its mode is 0444 or 0555, less the user's mask.
pub fn create_read_only(path: &Path, executable: bool) -> Result<File> {
    point("create", path)?;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if executable { 0o555 } else { 0o444 });
    }
    #[cfg(not(unix))]
    let _ = executable;
    at("create", path, options.open(path))
}

/// Copies the rest of one open file to another, inside the kernel where it can.
pub fn copy_all(from: &mut File, to: &mut File, path: &Path) -> Result<u64> {
    point("write", path)?;
    at("write", path, io::copy(from, to))
}

/// Opens a regular file for reading and writing, and creates it if it does
/// not exist; links are not followed.
pub fn open_or_create(path: &Path) -> Result<File> {
    point("create", path)?;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = at("open", path, options.open(path))?;
    if at("inspect", path, file.metadata())?.is_file() {
        return Ok(file);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    at("open", path, Err(source))
}

/// Empties an open file and goes to its start; `path` is for the message.
pub fn clear(file: &mut File, path: &Path) -> Result<()> {
    use std::io::Seek as _;
    point("truncate", path)?;
    at(
        "truncate",
        path,
        file.set_len(0).and_then(|()| file.rewind()),
    )
}

/// Writes all bytes to an open file; `path` is for the message.
pub fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    point("write", path)?;
    at("write", path, file.write_all(bytes))
}

/// Creates a file that must not exist yet with this content.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut file = create_new(path)?;
    write_all(&mut file, path, bytes)?;
    Ok(file)
}

/// Like [`write_new`], and nobody but the user can read the file (0600).
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<File> {
    point("create", path)?;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = at("create", path, options.open(path))?;
    write_all(&mut file, path, bytes)?;
    Ok(file)
}

/// Replaces a file's content in one step: readers see the old or the new
/// text, also after a power cut.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, 0o644)
}

/// Like [`replace`], for a file that only the user may read (0600), at every
/// moment.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, 0o600)
}

/// Like [`replace`] without waiting for the disk: after a power cut the file
/// may be empty or cut. For hints that carry a check of their own.
pub fn replace_unflushed(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, false, 0o644)
}

/// `mode` is that of a new file; an existing one keeps its own.
fn replace_and(path: &Path, bytes: &[u8], flush: bool, mode: u32) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    point("create", path)?;
    let staged = tempfile::Builder::new().prefix(&name).tempfile_in(parent);
    let mut staged = at("create a temporary file beside", path, staged)?;
    write_all(staged.as_file_mut(), path, bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = match fs::symlink_metadata(path) {
            Ok(old) if old.is_file() => old.permissions().mode() & 0o777,
            _ => mode,
        };
        let set = staged
            .as_file()
            .set_permissions(fs::Permissions::from_mode(mode));
        at("set the mode of", path, set)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    if flush {
        sync_file(staged.as_file(), path)?;
    }
    point("rename", path)?;
    at("replace", path, staged.persist(path).map_err(|e| e.error))?;
    if flush { sync_dir(parent) } else { Ok(()) }
}

/// Flushes a file's content to the disk.
pub fn sync_file(file: &File, path: &Path) -> Result<()> {
    point("flush", path)?;
    at("flush", path, file.sync_all())
}

/// Flushes a directory's entries to the disk.
pub fn sync_dir(path: &Path) -> Result<()> {
    point("flush", path)?;
    #[cfg(unix)]
    {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        at(
            "flush",
            path,
            File::open(path).and_then(|dir| dir.sync_all()),
        )?;
    }
    Ok(())
}

/// Flushes everything written to the file system that holds `path`, in one
/// call: for hundreds of files this is an order of magnitude cheaper than
/// flushing one by one.
pub fn sync_file_system(path: &Path) -> Result<()> {
    point("flush", path)?;
    #[cfg(target_os = "linux")]
    {
        let dir = at("open", path, File::open(path))?;
        at(
            "flush",
            path,
            rustix::fs::syncfs(&dir).map_err(io::Error::from),
        )?;
    }
    #[cfg(not(target_os = "linux"))]
    for entry in walk(path)? {
        let file = at("open", &entry, File::open(&entry))?;
        at("flush", &entry, file.sync_all())?;
    }
    Ok(())
}

/// All regular files below a directory.
#[cfg(not(target_os = "linux"))]
fn walk(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        for name in list(&dir)? {
            let path = dir.join(name);
            match metadata_if_exists(&path)? {
                Some(m) if m.is_dir() => pending.push(path),
                Some(m) if m.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Renames, replacing a file (not a directory) of the new name.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    point("rename", to)?;
    at("rename to", to, fs::rename(from, to))
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
    point("rename", to)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Renamed::Done),
            Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => {
                return Ok(Renamed::Exists);
            }
            // A file system without the flag: fall through to the plain way.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(e) => return at("rename to", to, Err(e.into())),
        }
    }
    if metadata_if_exists(to)?.is_some() {
        return Ok(Renamed::Exists);
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(Renamed::Done),
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Renamed::Exists),
        Err(e) => at("rename to", to, Err(e)),
    }
}

/// Exchanges two existing names in one step. `Ok(false)`: this file system
/// cannot, and nothing was changed.
pub fn exchange(a: &Path, b: &Path) -> Result<bool> {
    point("exchange", b)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Ok(false),
            Err(e) => at("exchange", b, Err(e.into())),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = a;
        Ok(false)
    }
}

/// Creates a hard link.
pub fn hard_link(original: &Path, link: &Path) -> Result<()> {
    point("link", link)?;
    at("link", link, fs::hard_link(original, link))
}

/// Creates a symbolic link.
#[cfg(unix)]
pub fn symlink(target: &Path, link: &Path) -> Result<()> {
    point("link", link)?;
    at("link", link, std::os::unix::fs::symlink(target, link))
}

/// Copies a file's content by reference where the file system can (reflink).
/// `Ok(false)`: it cannot, and there is no new file.
pub fn reflink(from: &Path, to: &Path) -> Result<bool> {
    point("clone", to)?;
    Ok(reflink_copy::reflink(from, to).is_ok())
}

/// Sets a file's mode to read-only, and executable or not.
pub fn set_read_only(path: &Path, executable: bool) -> Result<()> {
    point("set mode", path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if executable { 0o555 } else { 0o444 };
        at(
            "set the mode of",
            path,
            fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        )
    }
    #[cfg(not(unix))]
    {
        let _ = executable;
        let mut permissions = at("inspect", path, fs::metadata(path))?.permissions();
        permissions.set_readonly(true);
        at(
            "set the mode of",
            path,
            fs::set_permissions(path, permissions),
        )
    }
}

/// Sets the permission bits; does nothing where there are none.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    point("set mode", path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        at(
            "set the mode of",
            path,
            fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        )
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

/// Removes a file; an absent one is success.
pub fn remove_file(path: &Path) -> Result<()> {
    point("remove", path)?;
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => at("remove", path, result),
    }
}

/// Removes an empty directory; an absent or non-empty one is left alone.
pub fn remove_dir_if_empty(path: &Path) -> Result<()> {
    point("remove", path)?;
    match fs::remove_dir(path) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        result => at("remove", path, result),
    }
}

/// Removes a directory and everything in it, links not followed; an absent
/// one is success.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    point("remove", path)?;
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        // Read-only directories of a stored tree: open them up and try again.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            make_directories_writable(path)?;
            at("remove", path, fs::remove_dir_all(path))
        }
        result => at("remove", path, result),
    }
}

/// Opens up a directory and those below it, by handle: a directory that is
/// swapped for a link meanwhile leads nowhere.
#[cfg(unix)]
fn make_directories_writable(path: &Path) -> Result<()> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let open = || rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
    point("set mode", path)?;
    let dir = match open() {
        // It cannot be read either; this one call goes by name.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            use std::os::unix::fs::PermissionsExt as _;
            let open_up = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
            at("set the mode of", path, open_up)?;
            at("open", path, open())?
        }
        dir => at("open", path, dir)?,
    };
    let set = rustix::fs::fchmod(&dir, Mode::RWXU).map_err(io::Error::from);
    at("set the mode of", path, set)?;
    for name in list(path)? {
        let child = path.join(name);
        if metadata_if_exists(&child)?.is_some_and(|m| m.is_dir()) {
            make_directories_writable(&child)?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_directories_writable(_path: &Path) -> Result<()> {
    Ok(())
}

/// Whether this process may write to a directory, its file system included.
#[cfg(unix)]
pub fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether this process may write to a directory.
#[cfg(not(unix))]
pub fn is_writable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.permissions().readonly())
}

/// The name of the network file system that holds a path; `None` for a local
/// one. There, locks of one machine may mean nothing to another.
#[cfg(target_os = "linux")]
pub fn network_file_system(path: &Path) -> Result<Option<&'static str>> {
    let found = rustix::fs::statfs(path).map_err(io::Error::from);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic numbers have 32 bits, whatever the field's type"
    )]
    Ok(network_name(
        at("inspect the file system of", path, found)?.f_type as u32,
    ))
}

/// Nothing is known of other systems' file systems.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_path: &Path) -> Result<Option<&'static str>> {
    Ok(None)
}

/// File systems that several machines can have mounted, by their magic number.
/// FUSE counts: what is behind it cannot be told.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x0BD0_0BD0 => "Lustre",
        0x7461_636F => "OCFS2",
        0x0116_1970 => "GFS2",
        0x4750_4653 => "GPFS",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn case_110_network_file_systems_are_known_by_name() {
        assert_eq!(super::network_name(0x6969), Some("NFS"));
        assert_eq!(super::network_name(0x6573_5546), Some("FUSE"));
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(super::network_name(local), None, "{local:x}");
        }
    }
}
