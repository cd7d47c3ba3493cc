//! New files and directories.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::call::call;
use super::{Result, at, remove_dir_all, write_all};

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
