//! A large file that appears whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::fs::{Result, masked, name_staged, remove_beside, stage_beside, write_all};

/// A file that is written beside its final name, and takes it when it is done.
/// Dropped before that, it leaves nothing; what a killed process leaves is used
/// by the next one.
#[derive(Debug)]
pub struct Replacement {
    staged: PathBuf,
    file: File,
    path: PathBuf,
    done: bool,
}

impl Replacement {
    /// Begins to write what will stand at `path`.
    pub fn begin(path: &Path) -> Result<Self> {
        let (staged, file) = stage_beside(path, parent(path))?;
        Ok(Self {
            staged,
            file,
            path: path.to_owned(),
            done: false,
        })
    }

    /// Flushes it and gives it its name, in place of what has it now.
    pub fn commit(mut self) -> Result<()> {
        name_staged(&self.file, &self.staged, &self.path, true, masked())?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.done {
            // An error was told already, or the work was given up.
            let _ = remove_beside(&self.staged, &self.path);
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all(&mut self.file, &self.path, bytes).map_err(|error| error.source)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write_new(&path, b"old").unwrap();
        let mut dropped = Replacement::begin(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::list(dir.path()).unwrap(), ["file"]);
        let mut whole = Replacement::begin(&path).unwrap();
        whole.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path, 10).unwrap(), b"old");
        whole.commit().unwrap();
        assert_eq!(fs::read(&path, 10).unwrap(), b"new");
        assert_eq!(fs::list(dir.path()).unwrap(), ["file"]);
    }
}
