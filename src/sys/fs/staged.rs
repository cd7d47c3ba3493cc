//! Files that change in one step: written beside their name, then renamed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::call::call;
use super::{
    Result, clear, create_unique, open_or_create, remove_file, sync_dir, sync_file, try_lock,
    write_all,
};

/// Replaces a file's content in one step: readers see the old or the new
/// text, also after a power cut.
///
/// What a killed process left beside the file is used by the next one, so that
/// nothing piles up.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, masked())
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

/// Like [`replace`], for a file of the store, which the directories above it
/// protect and a group may share: everybody may read it (0644), whatever the
/// user's mask.
pub fn replace_stored(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_and(path, bytes, true, 0o644)
}

/// The mode of a new file that others may read, less the user's mask.
pub(in crate::sys) fn masked() -> u32 {
    0o644 & !crate::sys::process::mask()
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
pub(in crate::sys) fn stage_beside(path: &Path, parent: &Path) -> Result<(PathBuf, File)> {
    let staged = parent.join(format!(".{}.new", staged_name(path)));
    // A link, a pipe, or a second name of some file is not ours to write to.
    if let Ok(mut file) = open_or_create(&staged)
        && has_one_name(&file)
    {
        match try_lock(&file, &staged) {
            Ok(true) if crate::sys::lock::is_still_at(&file, &staged) => {
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
pub(in crate::sys) fn name_staged(
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
pub(in crate::sys) fn remove_beside(staged: &Path, path: &Path) -> Result<()> {
    call("remove beside", path, || fs::remove_file(staged))
}
