//! Brings one stored file into the output, and proves what arrived.

use std::io::{Read as _, Seek as _};
use std::path::Path;

use crate::sys::fs::{self, FsError};
use crate::types::{Entry, FileDigest};

/// How files get from the store into an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMode {
    /// A copy by reference: as cheap as a link, as separate as a copy.
    Reflink,
    /// A second name for the store's file: no bytes are copied, but an edit
    /// through one name is an edit of all.
    Hardlink,
    /// A copy.
    Copy,
}

impl LinkMode {
    /// The mode's name, as printed and as `SYSROOT_LINK_MODE` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reflink => "reflink",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
        }
    }

    /// The mode of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Reflink, Self::Hardlink, Self::Copy]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// A stored file is not what its listing says.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The content or the size differs.
    #[error("expected {expected}, found {found}")]
    Differs {
        /// The listing's digest.
        expected: FileDigest,
        /// What arrived.
        found: String,
    },
    /// The store's file is gone or is no file.
    #[error("the stored file is gone")]
    Gone,
    /// The output could not be written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Files up to this size are read, hashed and written in one piece.
const SMALL: u64 = 1 << 20;

/// Whether the owner may execute a file.
#[cfg(unix)]
pub(super) fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

/// Whether the owner may execute a file.
#[cfg(not(unix))]
pub(super) fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

/// Puts a stored file at `to`, which must not exist, and checks what arrived.
pub(super) fn place(
    from: &Path,
    to: &Path,
    entry: &Entry,
    mode: LinkMode,
) -> Result<(), PlaceError> {
    let source = match fs::open_no_follow(from) {
        Ok(source) => source,
        Err(e) if is_absence(&e) => return Err(PlaceError::Gone),
        Err(e) => return Err(e.into()),
    };
    let metadata = fs::at("inspect", from, source.metadata())?;
    let size = metadata.len();
    if size != entry.size {
        let found = format!("a file of {size} bytes instead of {}", entry.size);
        return Err(PlaceError::Differs {
            expected: entry.digest,
            found,
        });
    }
    let found = match mode {
        LinkMode::Reflink => {
            if !fs::reflink(from, to)? {
                return place(from, to, entry, LinkMode::Copy);
            }
            // A clone does not bring the mode bits along everywhere.
            fs::set_read_only(to, entry.executable)?;
            fs::hash(to, size)?
        }
        LinkMode::Hardlink if has_other_mode(&metadata, entry) => {
            let found = "a file of another mode".to_owned();
            return Err(PlaceError::Differs {
                expected: entry.digest,
                found,
            });
        }
        LinkMode::Hardlink => {
            fs::hard_link(from, to)?;
            fs::hash(to, size)?
        }
        LinkMode::Copy => copy(source, to, entry)?,
    };
    if found != entry.digest {
        return Err(PlaceError::Differs {
            expected: entry.digest,
            found: found.to_string(),
        });
    }
    Ok(())
}

/// Whether a stored file's mode is not what it was stored with; a hard link
/// would bring that along.
#[cfg(unix)]
fn has_other_mode(metadata: &std::fs::Metadata, entry: &Entry) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o222 != 0 || is_executable(metadata) != entry.executable
}

#[cfg(not(unix))]
fn has_other_mode(_metadata: &std::fs::Metadata, _entry: &Entry) -> bool {
    false
}

fn is_absence(error: &FsError) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.source.kind(),
        Kind::NotFound | Kind::NotADirectory | Kind::InvalidInput
    ) || is_link(&error.source)
}

/// Whether opening failed because the name is a symbolic link.
#[cfg(unix)]
fn is_link(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link(_error: &std::io::Error) -> bool {
    false
}

/// Copies and hashes what was written.
fn copy(mut source: std::fs::File, to: &Path, entry: &Entry) -> Result<FileDigest, FsError> {
    let mut target = fs::create_read_only(to, entry.executable)?;
    if entry.size <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0) + 1);
        fs::at(
            "read",
            to,
            source.by_ref().take(SMALL + 1).read_to_end(&mut bytes),
        )?;
        fs::write_all(&mut target, to, &bytes)?;
        return Ok(FileDigest::of(&bytes));
    }
    fs::copy_all(&mut source, &mut target, to)?;
    fs::at("seek", to, target.rewind())?;
    fs::hash(to, entry.size)
}
