//! The identity of a directory of sources: its listing, hashed in parallel.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::sys::fs::{self, FsError};
use crate::types::listing::ListingError;
use crate::types::relpath::RelPathError;
use crate::types::{Class, Diagnostic, Entry, FileDigest, Listing, RelPath};

/// Why a directory has no listing.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Something that is neither a file nor a directory, such as a link,
    /// whose meaning would depend on what stands elsewhere.
    #[error("`{}` is neither a regular file nor a directory", .0.display())]
    Special(PathBuf),
    /// A name that is no text.
    #[error("the name of `{}` is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// A name that some system cannot hold.
    #[error(transparent)]
    Name(#[from] RelPathError),
    /// Names that some system cannot tell apart.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Diagnostic for TreeError {
    fn class(&self) -> Class {
        match self {
            Self::Special(_) | Self::NotUtf8(_) | Self::Name(_) | Self::Listing(_) => {
                Class::Integrity
            }
            Self::Fs(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Special(_) | Self::NotUtf8(_) | Self::Name(_) | Self::Listing(_) => {
                Some("install the sources afresh".to_owned())
            }
            Self::Fs(e) => e.hint(),
        }
    }
}

/// Lists and hashes every file below `root`, which may itself be reached
/// through a link; below it a link is an error.
pub fn hash(root: &Path) -> Result<Listing, TreeError> {
    let files = walk(root)?;
    let entries = files
        .into_par_iter()
        .map(|path| hash_file(root, path))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Listing::new(entries)?)
}

/// The relative path of every file below `root`.
fn walk(root: &Path) -> Result<Vec<RelPath>, TreeError> {
    let mut files = Vec::new();
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((dir, prefix)) = pending.pop() {
        for name in fs::list(&dir)? {
            let path = dir.join(&name);
            let name = name
                .to_str()
                .ok_or_else(|| TreeError::NotUtf8(path.clone()))?;
            let relative = format!("{prefix}{name}");
            match fs::metadata_if_exists(&path)? {
                Some(m) if m.is_dir() => pending.push((path, format!("{relative}/"))),
                Some(m) if m.is_file() => files.push(relative.parse()?),
                _ => return Err(TreeError::Special(path)),
            }
        }
    }
    Ok(files)
}

/// Large enough for every source file; a larger one is no source.
const FILE_LIMIT: u64 = 256 << 20;

fn hash_file(root: &Path, path: RelPath) -> Result<Entry, TreeError> {
    let full = path.below(root);
    let bytes = fs::read(&full, FILE_LIMIT)?;
    Ok(Entry {
        executable: is_executable(&full)?,
        size: bytes.len() as u64,
        digest: FileDigest::of(&bytes),
        path,
    })
}

#[cfg(unix)]
fn is_executable(path: &Path) -> Result<bool, FsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata_if_exists(path)?;
    Ok(metadata.is_some_and(|m| m.permissions().mode() & 0o100 != 0))
}

#[cfg(not(unix))]
fn is_executable(_path: &Path) -> Result<bool, FsError> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("core/src")).unwrap();
        fs::write_new(&dir.path().join("core/src/lib.rs"), b"#![no_core]").unwrap();
        fs::write_new(&dir.path().join("Cargo.lock"), b"").unwrap();
        dir
    }

    #[test]
    fn content_and_names_are_the_identity_and_the_place_is_not() {
        let (a, b) = (sample(), sample());
        let same = hash(a.path()).unwrap();
        assert_eq!(same, hash(b.path()).unwrap());
        let paths: Vec<_> = same.entries().iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["Cargo.lock", "core/src/lib.rs"]);
        fs::write_new(&b.path().join("more"), b"").unwrap();
        assert_ne!(same.digest(), hash(b.path()).unwrap().digest());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_root_is_followed_and_one_below_it_is_refused() {
        let dir = sample();
        let link = dir.path().with_extension("link");
        fs::symlink(dir.path(), &link).unwrap();
        assert_eq!(hash(&link).unwrap(), hash(dir.path()).unwrap());
        fs::remove_file(&link).unwrap();
        fs::symlink(Path::new("Cargo.lock"), &dir.path().join("link")).unwrap();
        assert!(matches!(hash(dir.path()), Err(TreeError::Special(_))));
    }
}
