//! A blob on its way in: a file, and the hash of what came.

use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::transport::Receive;
use crate::sys::fs::{self, FsError};
use crate::types::Sha256;

/// Writes what comes to a file and hashes it.
pub(super) struct Incoming<'a> {
    file: File,
    path: PathBuf,
    hasher: sha2::Sha256,
    len: u64,
    progress: &'a dyn Fn(u64),
}

impl<'a> Incoming<'a> {
    /// Begins with a new file at `path`; `progress` is told of bytes that came.
    pub(super) fn create(path: &Path, progress: &'a dyn Fn(u64)) -> Result<Self, FsError> {
        Ok(Self {
            progress,
            file: fs::create_new(path)?,
            path: path.to_owned(),
            hasher: sha2::Sha256::new(),
            len: 0,
        })
    }

    /// The hash and the size of everything that came.
    pub(super) fn summary(&self) -> (Sha256, u64) {
        let hash = self.hasher.clone().finalize();
        (Sha256::from_bytes(hash.into()), self.len)
    }

    /// The very handle that was written to, at its start.
    pub(super) fn finish(mut self) -> Result<File, FsError> {
        fs::at("read", &self.path, self.file.rewind())?;
        Ok(self.file)
    }
}

impl Receive for Incoming<'_> {
    fn restart(&mut self) -> Result<(), FsError> {
        if self.len > 0 {
            fs::clear(&mut self.file, &self.path)?;
            self.hasher = sha2::Sha256::new();
            self.len = 0;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        (self.progress)(bytes.len() as u64);
        fs::write_all(&mut self.file, &self.path, bytes)
    }
}
