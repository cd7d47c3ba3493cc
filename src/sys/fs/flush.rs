//! What a power cut must not take.

use std::fs::File;
use std::path::Path;

use super::call::call;
use super::{Result, at};

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

/// All regular files below a directory.
#[cfg(not(target_os = "linux"))]
fn walk(path: &Path) -> Result<Vec<std::path::PathBuf>> {
    use super::{list, metadata_if_exists};
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
