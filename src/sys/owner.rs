//! Files that decide whom we trust: who could have written one.
//!
//! The judgement and the bytes come from one open file. A check by path says
//! nothing about what a read by the same path finds a moment earlier or later.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::fs::{self, FsError};

/// What a file held, or why somebody else could have written it.
#[derive(Debug)]
pub enum Owned {
    /// Only the user, or root, could have written these bytes.
    Ours(Vec<u8>),
    /// Somebody else may write to it; the text goes on after the file's name.
    Foreign(String),
}

/// Reads a regular file of at most `limit` bytes, if nobody but the user and
/// root may write to it.
pub fn read(path: &Path, limit: u64) -> Result<Owned, FsError> {
    read_open(path, fs::open_regular(path)?, limit)
}

fn read_open(path: &Path, file: File, limit: u64) -> Result<Owned, FsError> {
    if let Some(reason) = foreign(path, &file)? {
        return Ok(Owned::Foreign(reason));
    }
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    fs::at("read", path, read)?;
    if bytes.len() as u64 > limit {
        let kind = std::io::ErrorKind::FileTooLarge;
        let text = format!("it is larger than the limit of {limit} bytes");
        return fs::at("read", path, Err(std::io::Error::new(kind, text)));
    }
    Ok(Owned::Ours(bytes))
}

#[cfg(unix)]
fn foreign(path: &Path, file: &File) -> Result<Option<String>, FsError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::at("inspect", path, file.metadata())?;
    let user = rustix::process::geteuid().as_raw();
    let (owner, mode) = (metadata.uid(), metadata.mode());
    Ok(if owner != user && owner != 0 {
        Some(format!(
            "is owned by user {owner}, not by you (user {user})"
        ))
    } else if mode & 0o022 != 0 {
        Some(format!(
            "is writable by others (mode {:04o})",
            mode & 0o7777
        ))
    } else {
        None
    })
}

#[cfg(not(unix))]
fn foreign(_path: &Path, _file: &File) -> Result<Option<String>, FsError> {
    Ok(None)
}

#[cfg(all(test, unix))]
#[expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests change files directly, and may fail anywhere"
)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A file with this content and mode.
    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_what_nobody_else_can_write_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for (mode, ours) in [(0o600, true), (0o644, true), (0o664, false), (0o602, false)] {
            write(&path, "x", mode);
            match read(&path, 1).unwrap() {
                Owned::Ours(bytes) => assert!(ours && bytes == b"x", "{mode:o}"),
                Owned::Foreign(reason) => assert!(!ours, "{mode:o}: {reason}"),
            }
        }
        write(&path, "xy", 0o600);
        let error = read(&path, 1).unwrap_err();
        assert_eq!(error.source.kind(), std::io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn case_158_a_file_that_is_replaced_after_it_was_opened_is_judged_as_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("config.toml"), dir.path().join("other"));
        write(&path, "foreign", 0o666);
        let file = fs::open_regular(&path).unwrap();
        write(&other, "good", 0o600);
        std::fs::rename(&other, &path).unwrap();
        assert!(matches!(
            read_open(&path, file, 10).unwrap(),
            Owned::Foreign(_)
        ));
        // And the other way round.
        let file = fs::open_regular(&path).unwrap();
        write(&other, "foreign", 0o666);
        std::fs::rename(&other, &path).unwrap();
        let Owned::Ours(bytes) = read_open(&path, file, 10).unwrap() else {
            panic!("it was ours when it was opened");
        };
        assert_eq!(bytes, b"good");
    }
}
