//! A large file that appears whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::fs::{Result, at, point, sync_dir, sync_file};

/// A file that is written beside its final name, and takes it when it is done.
/// Dropped before that, it leaves nothing; a killed process leaves the
/// temporary file, whose name begins with a dot and the final name.
#[derive(Debug)]
pub struct Replacement {
    staged: NamedTempFile,
    path: PathBuf,
}

impl Replacement {
    /// Begins to write what will stand at `path`.
    pub fn begin(path: &Path) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".");
        point("create", path)?;
        let staged = tempfile::Builder::new()
            .prefix(&name)
            .tempfile_in(parent(path));
        Ok(Self {
            staged: at("create a temporary file beside", path, staged)?,
            path: path.to_owned(),
        })
    }

    /// Flushes it and gives it its name, in place of what has it now.
    pub fn commit(self) -> Result<()> {
        let Self { staged, path } = self;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let set = staged
                .as_file()
                .set_permissions(Permissions::from_mode(0o644));
            at("set the mode of", &path, set)?;
        }
        sync_file(staged.as_file(), &path)?;
        point("rename", &path)?;
        at("replace", &path, staged.persist(&path).map_err(|e| e.error))?;
        sync_dir(parent(&path))
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
        point("write", &self.path).map_err(|error| error.source)?;
        self.staged.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.as_file_mut().flush()
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
