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
        hint(&self.source)
    }
}

/// What to do about an error of the file system.
pub fn hint(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or set SYSROOT_CACHE_DIR to another file system; then run the \
                 same command again"
        }
        io::ErrorKind::PermissionDenied => "check who owns it and its mode",
        io::ErrorKind::FileTooLarge => {
            "raise the limit on the size of a file (`ulimit -f`) and run the same command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "set SYSROOT_CACHE_DIR to a directory on a writable file system"
        }
        _ if is_out_of_handles(error) => {
            "raise the limit on open files (`ulimit -n`) and run the same command again"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(unix)]
fn is_out_of_handles(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

#[cfg(not(unix))]
fn is_out_of_handles(_error: &io::Error) -> bool {
    false
}

/// What is left of the file system that holds a path, in words.
#[cfg(unix)]
fn room(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let existing = path.ancestors().find(|path| path.exists())?;
    let device = fs::metadata(existing).ok()?.dev();
    let same = |path: &&Path| fs::metadata(path).is_ok_and(|m| m.dev() == device);
    let mount = existing.ancestors().take_while(same).last()?.display();
    let about = rustix::fs::statvfs(existing).ok()?;
    if about.f_files > 0 && about.f_favail == 0 {
        let all = about.f_files;
        return Some(format!(
            "the file system at `{mount}` has no inode left of {all}"
        ));
    }
    let mib = |blocks: u64| blocks.saturating_mul(about.f_frsize) >> 20;
    let (free, all) = (mib(about.f_bavail), mib(about.f_blocks));
    Some(format!(
        "the file system at `{mount}` has {free} MiB left of {all}"
    ))
}

#[cfg(not(unix))]
fn room(_path: &Path) -> Option<String> {
    None
}

/// Result of a file operation.
pub type Result<T, E = FsError> = std::result::Result<T, E>;

/// Attaches the operation and the path to an I/O error.
pub fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| FsError {
        operation,
        path: path.to_owned(),
        source: with_room(path, source),
    })
}

/// Tells of a full file system where it is and what it is out of; now, because
/// cleaning up makes room again.
fn with_room(path: &Path, source: io::Error) -> io::Error {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    match source.kind() {
        kind @ (StorageFull | QuotaExceeded) => match room(path) {
            Some(room) => io::Error::new(kind, format!("{source}: {room}")),
            None => source,
        },
        _ => source,
    }
}

/// One mutating call: passes the fault point, and is repeated when a signal
/// interrupted it, as some network file systems allow.
fn call<T>(
    operation: &'static str,
    path: &Path,
    mut act: impl FnMut() -> io::Result<T>,
) -> Result<T> {
    loop {
        match point(operation, path).and_then(|()| act()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return at(operation, path, result),
        }
    }
}

#[cfg(feature = "fault-injection")]
fn point(operation: &'static str, path: &Path) -> io::Result<()> {
    super::fault::point(operation, path).map(|_| ())
}

#[cfg(not(feature = "fault-injection"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of the version that injects faults"
)]
fn point(_operation: &'static str, _path: &Path) -> io::Result<()> {
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
    text("read", path, read(path, limit)?)
}

/// The text of a file's bytes, which have to be UTF-8.
pub fn text(operation: &'static str, path: &Path, bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8: {e}")));
    at(operation, path, text)
}

/// Like [`read_text`], with `None` for a file that does not exist.
pub fn read_text_if_exists(path: &Path, limit: u64) -> Result<Option<String>> {
    match read_text(path, limit) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Files up to this size are hashed by one processor; larger ones by all.
const SMALL: u64 = 1 << 20;
/// How much of a large file is in memory at a time, in bytes.
const PIECE: u64 = 4 << 20;

/// The BLAKE3 of a regular file of about `size` bytes, links not followed.
///
/// The file is read, not mapped: where a mapped file cannot be read, or becomes
/// shorter meanwhile, the process dies by a signal instead of getting an error.
pub fn hash(path: &Path, size: u64) -> Result<FileDigest> {
    let mut file = open_no_follow(path)?;
    let mut hasher = blake3::Hasher::new();
    if size <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        at("read", path, file.read_to_end(&mut bytes))?;
        hasher.update(&bytes);
        return Ok(FileDigest::from_bytes(*hasher.finalize().as_bytes()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(PIECE)).unwrap_or(0));
    loop {
        bytes.clear();
        let mut piece = (&file).take(PIECE);
        if at("read", path, piece.read_to_end(&mut bytes))? == 0 {
            return Ok(FileDigest::from_bytes(*hasher.finalize().as_bytes()));
        }
        hasher.update_rayon(&bytes);
    }
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
    create_missing(path, 0o755)
}

/// Creates a directory and its missing parents one by one, each with at most
/// this mode.
fn create_missing(path: &Path, mode: u32) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_missing(parent, mode)?;
    }
    call("create directory", path, || {
        match directories(mode).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    })
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
    call("create directory", path, || directories(0o755).create(path))
}

/// Creates a directory that must not exist yet, private to the user (0700).
pub fn create_private_dir(path: &Path) -> Result<()> {
    call("create directory", path, || directories(0o700).create(path))
}

/// Creates a directory and its missing parents, private to the user (0700).
pub fn create_private_dir_all(path: &Path) -> Result<()> {
    create_missing(path, 0o700)
}

/// Makes something under a free random name in a directory: `prefix`, eight
/// letters and digits, `suffix`.
pub fn create_unique<T>(
    parent: &Path,
    prefix: &str,
    suffix: &str,
    mut create: impl FnMut(&Path) -> Result<T>,
) -> Result<(PathBuf, T)> {
    loop {
        let path = parent.join(format!("{prefix}{}{suffix}", random_name(parent)?));
        match create(&path) {
            Err(e) if e.source.kind() == io::ErrorKind::AlreadyExists => {}
            result => return Ok((path, result?)),
        }
    }
}

fn random_name(parent: &Path) -> Result<String> {
    let mut bytes = [0; 4];
    let drawn = getrandom::fill(&mut bytes).map_err(io::Error::other);
    at("draw a random name in", parent, drawn)?;
    Ok(format!("{:08x}", u32::from_ne_bytes(bytes)))
}

/// A private directory that is removed when dropped.
#[derive(Debug)]
pub struct Scratch(
    /// Empty once it is kept or removed.
    PathBuf,
);

impl Scratch {
    /// Makes one in `parent`, named `prefix` and random digits.
    pub fn new(parent: &Path, prefix: &str) -> Result<Self> {
        create_unique(parent, prefix, "", create_private_dir).map(|(path, ())| Self(path))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it now, and tells whether that worked.
    pub fn remove(self) -> Result<()> {
        remove_dir_all(&self.keep())
    }

    /// Keeps it.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What cannot be removed now is swept by a later run.
            let _ = remove_dir_all(&self.0);
        }
    }
}

/// Creates a file that must not exist yet, links not followed.
pub fn create_new(path: &Path) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    call("create", path, || options.open(path))
}

/// Creates an empty file in place of what has the name now. Whoever writes to
/// the old one goes on with a file of his own, which has no name any more.
pub fn create_over(path: &Path) -> Result<File> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let (staged, file) = create_random_beside(path, parent)?;
    match call("replace", path, || fs::rename(&staged, path)) {
        Ok(()) => Ok(file),
        Err(e) => {
            // The error to tell is the first one.
            let _ = remove_beside(&staged, path);
            Err(e)
        }
    }
}

/// Creates a file that must not exist yet, for writing now and for reading
/// only later: its mode is 0444 or 0555, less the user's mask.
pub fn create_read_only(path: &Path, executable: bool) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if executable { 0o555 } else { 0o444 });
    }
    #[cfg(not(unix))]
    let _ = executable;
    call("create", path, || options.open(path))
}

/// Copies the rest of one open file to another, inside the kernel where it can.
pub fn copy_all(from: &mut File, to: &mut File, path: &Path) -> Result<u64> {
    #[cfg(feature = "fault-injection")]
    if cut(to, path, |to| {
        let half = from.metadata()?.len() / 2;
        io::copy(&mut from.take(half), to).map(drop)
    })? {
        return at("write", path, io::copy(from, to));
    }
    // Interrupted calls are repeated inside.
    at("write", path, io::copy(from, to))
}

/// How much is copied at a time: what fits into a processor's own cache.
const COPIED: usize = 256 << 10;

/// Copies an open file of about `size` bytes to another one, and hashes what
/// is written, each piece while it is still in the processor's cache.
pub fn copy_hashed(from: &mut File, to: &mut File, path: &Path, size: u64) -> Result<FileDigest> {
    // One byte more, so that a small file and its end take one piece.
    let piece = usize::try_from(size + 1).map_or(COPIED, |size| size.min(COPIED));
    let mut buffer = vec![0; piece];
    let mut hasher = blake3::Hasher::new();
    loop {
        let read = at("read", path, read_full(from, &mut buffer))?;
        let bytes = &buffer[..read];
        hasher.update(bytes);
        write_all(to, path, bytes)?;
        if read < buffer.len() {
            return Ok(FileDigest::from_bytes(*hasher.finalize().as_bytes()));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Opens a regular file for reading and writing, and creates it if it does
/// not exist, private to the user; links are not followed.
pub fn open_or_create(path: &Path) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = call("open", path, || options.open(path))?;
    if at("inspect", path, file.metadata())?.is_file() {
        return Ok(file);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    at("open", path, Err(source))
}

/// Empties an open file and goes to its start; `path` is for the message.
pub fn clear(file: &mut File, path: &Path) -> Result<()> {
    use std::io::Seek as _;
    call("truncate", path, || {
        file.set_len(0).and_then(|()| file.rewind())
    })
}

/// Writes all bytes to an open file; `path` is for the message.
pub fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    #[cfg(feature = "fault-injection")]
    {
        let half = bytes.len() / 2;
        let (first, rest) = bytes.split_at(half);
        if cut(file, path, |file| file.write_all(first))? {
            return at("write", path, file.write_all(rest));
        }
    }
    // Interrupted and short writes are continued inside.
    at("write", path, file.write_all(bytes))
}

/// The fault point of a write: does the first half of it, if that is the
/// order, and tells whether it did.
#[cfg(feature = "fault-injection")]
fn cut(
    file: &mut File,
    path: &Path,
    first_half: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<bool> {
    use super::fault::{Order, after_half, point};
    let order = loop {
        match point("write", path) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => break at("write", path, result)?,
        }
    };
    match order {
        Order::Proceed => Ok(false),
        Order::Half => {
            at("write", path, first_half(file).and_then(|()| after_half())).map(|()| true)
        }
        Order::Nothing => at("write", path, Err(io::ErrorKind::WriteZero.into())),
    }
}

/// Creates a file that must not exist yet with this content.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut file = create_new(path)?;
    write_all(&mut file, path, bytes)?;
    Ok(file)
}

/// Like [`write_new`], and nobody but the user can read the file (0600).
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = call("create", path, || options.open(path))?;
    write_all(&mut file, path, bytes)?;
    Ok(file)
}

/// Replaces a file's content in one step: readers see the old or the new
/// text, also after a power cut.
///
/// What a killed process left beside the file is used by the next one, so that
/// nothing piles up.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, masked())
}

/// Like [`replace`], for a file of the store, which the directories above it
/// protect and a group may share: everybody may read it (0644), whatever the
/// user's mask.
pub fn replace_stored(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, 0o644)
}

/// The mode of a new file that others may read, less the user's mask.
pub(super) fn masked() -> u32 {
    0o644 & !super::process::mask()
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
    let (staged, mut file) = stage_beside(path, parent)?;
    let result = write_all(&mut file, path, bytes)
        .and_then(|()| name_staged(&file, &staged, path, flush, mode));
    if result.is_err() {
        // The error to tell is the first one.
        let _ = remove_beside(&staged, path);
    }
    result
}

/// Whether a name is that of a file that [`replace`] is writing, or was when
/// it was killed.
pub fn is_staged(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// An empty file beside another one: under a name of its own if nobody else is
/// writing there, else under a random one.
pub(super) fn stage_beside(path: &Path, parent: &Path) -> Result<(PathBuf, File)> {
    let staged = parent.join(format!(".{}.new", staged_name(path)));
    // A link, a pipe, or a second name of some file is not ours to write to.
    if let Ok(mut file) = open_or_create(&staged)
        && has_one_name(&file)
    {
        match try_lock(&file, &staged) {
            Ok(true) if super::lock::is_still_at(&file, &staged) => {
                clear(&mut file, &staged)?;
                return Ok((staged, file));
            }
            Ok(_) => {}
            // Without locks nobody ever keeps this name.
            Err(_) => remove_file(&staged)?,
        }
    }
    create_random_beside(path, parent)
}

/// The name of a file as it is part of those beside it: the whole must fit into
/// 255 bytes, and the start is for people.
fn staged_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= 240;
    let fitting = name.char_indices().take_while(fits);
    fitting.map(|(_, c)| c).collect()
}

fn create_random_beside(path: &Path, parent: &Path) -> Result<(PathBuf, File)> {
    let prefix = format!(".{}.", staged_name(path));
    create_unique(parent, &prefix, "", |staged| {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        // The staged name is random, so the file names the operation.
        call("create beside", path, || options.open(staged))
    })
}

#[cfg(unix)]
fn has_one_name(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|m| m.nlink() == 1)
}

#[cfg(not(unix))]
fn has_one_name(_file: &File) -> bool {
    true
}

/// Gives what [`stage_beside`] made its name; `mode` is that of a new file.
pub(super) fn name_staged(
    file: &File,
    staged: &Path,
    path: &Path,
    flush: bool,
    mode: u32,
) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = match fs::symlink_metadata(path) {
            Ok(old) if old.is_file() => old.permissions().mode() & 0o777,
            _ => mode,
        };
        call("set the mode of", path, || {
            file.set_permissions(fs::Permissions::from_mode(mode))
        })?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    if flush {
        sync_file(file, path)?;
    }
    call("replace", path, || fs::rename(staged, path))?;
    if flush {
        sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Removes what [`stage_beside`] made for `path`.
pub(super) fn remove_beside(staged: &Path, path: &Path) -> Result<()> {
    call("remove beside", path, || fs::remove_file(staged))
}

/// Flushes a file's content to the disk.
pub fn sync_file(file: &File, path: &Path) -> Result<()> {
    call("flush", path, || file.sync_all())
}

/// Flushes a directory's entries to the disk.
pub fn sync_dir(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let opened = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        call("flush", path, || File::open(opened)?.sync_all())
    }
    #[cfg(not(unix))]
    call("flush", path, || Ok(()))
}

/// Flushes everything written to the file system that holds `path`, in one
/// call: for hundreds of files this is an order of magnitude cheaper than
/// flushing one by one.
pub fn sync_file_system(path: &Path) -> Result<()> {
    sync_file_system_of(&open_dir(path)?, path)
}

/// Like [`sync_file_system`], by a handle of [`open_dir`]. The system reports
/// a write that failed in the background to handles that were open by then.
pub fn sync_file_system_of(dir: &File, path: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        call("flush all of", path, || Ok(rustix::fs::syncfs(dir)?))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        for entry in walk(path)? {
            let file = at("open", &entry, File::open(&entry))?;
            call("flush", &entry, || file.sync_all())?;
        }
        Ok(())
    }
}

/// Opens a directory, to flush by.
pub fn open_dir(path: &Path) -> Result<File> {
    at("open", path, File::open(path))
}

/// How much time a remote may waste, if a test says so.
#[cfg(feature = "fault-injection")]
pub fn patience() -> Option<std::time::Duration> {
    super::fault::patience()
}

/// What tells one run of this machine's system from the next; `None` where
/// the system has no such thing.
pub fn boot() -> Option<String> {
    #[cfg(feature = "fault-injection")]
    if let Some(boot) = super::fault::boot() {
        return Some(boot);
    }
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = read_text(Path::new("/proc/sys/kernel/random/boot_id"), 64).ok()?;
    Some(text.trim_end().to_owned())
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
    if super::fault::lacks_exchange() {
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

/// Sets a file's mode to read-only, and executable or not.
pub fn set_read_only(path: &Path, executable: bool) -> Result<()> {
    call("set the mode of", path, || {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = if executable { 0o555 } else { 0o444 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        #[cfg(not(unix))]
        {
            let _ = executable;
            let mut permissions = fs::metadata(path)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(path, permissions)
        }
    })
}

/// Sets the permission bits; does nothing where there are none.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    call("set the mode of", path, || {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        #[cfg(not(unix))]
        {
            let _ = mode;
            Ok(())
        }
    })
}

/// Removes a file; an absent one is success.
pub fn remove_file(path: &Path) -> Result<()> {
    call("remove", path, || match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    })
}

/// Removes an empty directory; an absent or non-empty one is left alone.
pub fn remove_dir_if_empty(path: &Path) -> Result<()> {
    use io::ErrorKind::{DirectoryNotEmpty, NotFound};
    call("remove", path, || match fs::remove_dir(path) {
        Err(e) if matches!(e.kind(), NotFound | DirectoryNotEmpty) => Ok(()),
        result => result,
    })
}

/// Removes a directory and everything in it, links not followed; an absent
/// one is success.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    // One call may do a thousand things, and tests want to stop between any
    // two of them.
    #[cfg(feature = "fault-injection")]
    if super::fault::is_on() {
        remove_piecewise(path)?;
    }
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    match call("remove", path, || gone(fs::remove_dir_all(path))) {
        // Read-only directories of a stored tree: open them up and try again.
        Err(e) if e.source.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => {
            make_directories_writable(path)?;
            call("remove", path, || gone(fs::remove_dir_all(path)))
        }
        result => result,
    }
}

/// Removes what is in a directory, one name after the other; what is not
/// permitted is left to the caller.
#[cfg(feature = "fault-injection")]
fn remove_piecewise(path: &Path) -> Result<()> {
    if !metadata_if_exists(path)?.is_some_and(|m| m.is_dir()) {
        return Ok(());
    }
    for name in list(path).unwrap_or_default() {
        let child = path.join(name);
        let removed = if fs::symlink_metadata(&child).is_ok_and(|m| m.is_dir()) {
            remove_piecewise(&child)?;
            call("remove", &child, || fs::remove_dir(&child))
        } else {
            call("remove", &child, || fs::remove_file(&child))
        };
        match removed.map_err(|e| (e.source.kind(), e)) {
            Err((io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound, _)) => {}
            result => result.map_err(|(_, e)| e)?,
        }
    }
    Ok(())
}

/// Takes an advisory lock without waiting. `Ok(false)`: another process has it.
///
/// A file system without locks is an error of its own kind, as the system
/// tells it.
pub fn try_lock(file: &File, path: &Path) -> Result<bool> {
    call("lock", path, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    })
}

/// Takes an advisory lock, and waits for those who hold it for a moment.
pub fn lock(file: &File, path: &Path) -> Result<()> {
    call("lock", path, || file.lock())
}

/// Like [`try_lock`], for a lock that several may hold.
pub fn try_lock_shared(file: &File, path: &Path) -> Result<bool> {
    call("lock", path, || match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    })
}

/// Opens up a directory and those below it, by handle: a directory that is
/// swapped for a link meanwhile leads nowhere.
#[cfg(unix)]
fn make_directories_writable(path: &Path) -> Result<()> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let open = || rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from);
    call("set the mode of", path, || {
        let dir = match open() {
            // It cannot be read either; this one call goes by name.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
                open()?
            }
            dir => dir?,
        };
        Ok(rustix::fs::fchmod(&dir, Mode::RWXU)?)
    })?;
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
    use super::*;

    #[test]
    fn case_110_network_file_systems_are_known_by_name() {
        assert_eq!(super::network_name(0x6969), Some("NFS"));
        assert_eq!(super::network_name(0x6573_5546), Some("FUSE"));
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(super::network_name(local), None, "{local:x}");
        }
    }

    /// On file systems whose renames know no flags, such as NFS.
    #[cfg(unix)]
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
