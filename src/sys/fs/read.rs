//! Bounded reads, which never block.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::{FsError, Result, at};
use crate::types::FileDigest;

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
