//! A file that is being downloaded, hashed while it grows.
//!
//! Beside `x` stands `x.from`: which file it will be, and what the server
//! called the version that the bytes are of. With it a later process goes on
//! where this one stopped. A wrong guess costs one more download, never a
//! wrong file, because the hash is taken over the whole.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::range::Resume;
use super::reply::Sink;
use crate::sys::fs::{self, FsError};
use crate::types::Sha256;

/// Sidecars are tiny; a larger one is not ours.
const MAX_SIDECAR: u64 = 2048;

pub(super) struct Partial {
    path: PathBuf,
    sidecar: PathBuf,
    expected: Sha256,
    file: File,
    hasher: sha2::Sha256,
    len: u64,
    validator: Option<String>,
}

impl Partial {
    /// Opens what an earlier attempt left, or an empty file.
    pub(super) fn open(path: &Path, expected: Sha256, limit: u64) -> Result<Self, FsError> {
        let mut partial = Self {
            path: path.to_owned(),
            sidecar: sidecar_of(path),
            expected,
            file: fs::open_or_create(path)?,
            hasher: sha2::Sha256::new(),
            len: 0,
            validator: None,
        };
        match partial.read_sidecar() {
            Some(validator) if partial.hash_existing(limit)? => {
                partial.validator = Some(validator);
            }
            _ => partial.restart()?,
        }
        Ok(partial)
    }

    /// The version that the sidecar names, if it is of the same file.
    fn read_sidecar(&self) -> Option<String> {
        let text = fs::read_text_if_exists(&self.sidecar, MAX_SIDECAR).ok()??;
        let (hash, validator) = text.strip_suffix('\n')?.split_once('\n')?;
        let usable = hash == self.expected.to_string()
            && !validator.is_empty()
            && validator.bytes().all(|b| (b' '..=b'~').contains(&b));
        usable.then(|| validator.to_owned())
    }

    /// Hashes what is there; `false` if it is nothing or more than can be right.
    fn hash_existing(&mut self, limit: u64) -> Result<bool, FsError> {
        let size = fs::at("inspect", &self.path, self.file.metadata())?.len();
        if size == 0 || size > limit {
            return Ok(false);
        }
        let mut buffer = vec![0; 256 << 10];
        while self.len < size {
            let n = fs::at("read", &self.path, self.file.read(&mut buffer))?;
            let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            self.hasher.update(bytes);
            self.len += n as u64;
        }
        Ok(true)
    }

    /// The hash of everything taken so far.
    pub(super) fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Ends the download: the handle whose bytes were hashed, at its start.
    pub(super) fn finish(mut self) -> Result<File, FsError> {
        fs::remove_file(&self.sidecar)?;
        fs::at("rewind", &self.path, self.file.seek(SeekFrom::Start(0)))?;
        Ok(self.file)
    }
}

fn sidecar_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".from");
    PathBuf::from(name)
}

impl Sink for Partial {
    fn len(&self) -> u64 {
        self.len
    }

    fn resume(&self) -> Option<Resume> {
        let validator = self.validator.clone().filter(|_| self.len > 0)?;
        Some(Resume {
            offset: self.len,
            validator,
        })
    }

    fn restart(&mut self) -> Result<(), FsError> {
        fs::clear(&mut self.file, &self.path)?;
        self.hasher = sha2::Sha256::new();
        self.len = 0;
        self.validator = None;
        fs::remove_file(&self.sidecar)
    }

    fn begin(&mut self, validator: Option<String>) -> Result<(), FsError> {
        if validator.is_none() || validator == self.validator {
            return Ok(());
        }
        self.validator = validator;
        if let Some(validator) = &self.validator {
            let text = format!("{}\n{validator}\n", self.expected);
            fs::remove_file(&self.sidecar)?;
            fs::write_new(&self.sidecar, text.as_bytes())?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        fs::write_all(&mut self.file, &self.path, bytes)?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }
}
