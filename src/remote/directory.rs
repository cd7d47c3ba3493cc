//! `file:`: a directory, such as a mounted share.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::RemoteError;
use super::transport::{BlobRef, Got, Name, Put, Receive, Transport, Writing};
use super::{MAX_BLOB, MAX_RECORD};
use crate::events::Cancel;
use crate::sys::fs::{self, FsError, Renamed};

/// Objects as files below a directory.
///
/// Every file is staged beside its final name, flushed and renamed, so that no
/// reader and no power cut ever sees half of one. What a killed writer staged
/// is removed by the next one that writes to the same place.
pub(super) struct Directory {
    root: PathBuf,
    cancel: Cancel,
    /// Where it was looked for such remains.
    swept: Mutex<BTreeSet<PathBuf>>,
}

/// What the names of staged files begin with.
const STAGED: &str = ".incoming-";
/// A staged file that nobody wrote to for so long is of a killed writer.
const ABANDONED: Duration = Duration::from_hours(1);

impl Directory {
    pub(super) fn new(root: &Path, cancel: &Cancel) -> Self {
        Self {
            root: root.join("v1"),
            cancel: cancel.clone(),
            swept: Mutex::default(),
        }
    }

    fn object(&self, name: &Name) -> PathBuf {
        let directory = self.root.join(name.directory());
        directory.join(name.address().to_hex())
    }

    fn blob(&self, blob: &BlobRef) -> PathBuf {
        self.root.join("blobs").join(blob.sha256.to_hex())
    }

    /// An error where neither the remote's directory is there nor the one above,
    /// in which the first writer makes it. More than that is made by nobody: it
    /// may be a share that is not mounted, or a typing error.
    fn expect_place(&self) -> Result<(), RemoteError> {
        let own = self.root.parent().unwrap_or(&self.root);
        let above = own.parent().unwrap_or(own);
        if own.is_dir() || above.is_dir() {
            return Ok(());
        }
        Err(RemoteError::NoDirectory(above.to_owned()))
    }

    /// Removes what killed writers left in a directory. `staged` is a file of
    /// ours there, whose time tells what the share's clock says now.
    fn sweep(&self, directory: &Path, staged: &File) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if !swept.insert(directory.to_owned()) {
            return;
        }
        let now = staged.metadata().and_then(|m| m.modified());
        let (Ok(now), Ok(names)) = (now, fs::list(directory)) else {
            return;
        };
        for name in names {
            let path = directory.join(&name);
            if name.to_string_lossy().starts_with(STAGED) && is_abandoned(&path, now) {
                // Somebody else's may be not ours to remove.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Stages a file beside `path`, filled by `fill`, and gives it that name.
    fn write(
        &self,
        path: &Path,
        writing: Writing,
        fill: impl FnOnce(&mut File, &Path) -> Result<(), FsError>,
    ) -> Result<Put, FsError> {
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)?;
        let (staged_path, mut staged) = fs::create_unique(directory, STAGED, "", fs::create_new)?;
        self.sweep(directory, &staged);
        let filled = fill(&mut staged, &staged_path)
            .and_then(|()| fs::set_mode(&staged_path, 0o644))
            .and_then(|()| fs::sync_file(&staged, &staged_path));
        let put = filled.and_then(|()| place(&staged_path, path, writing));
        if !matches!(put, Ok(Put::Done)) {
            // The error to tell is the first one.
            let _ = fs::remove_file(&staged_path);
        }
        fs::sync_dir(directory)?;
        put
    }
}

/// Whether nobody has written to a file for long.
fn is_abandoned(path: &Path, now: SystemTime) -> bool {
    let metadata = fs::metadata_if_exists(path).ok().flatten();
    let written = metadata.filter(std::fs::Metadata::is_file);
    let written = written.and_then(|m| m.modified().ok());
    let age = written.and_then(|written| now.duration_since(written).ok());
    age.is_some_and(|age| age > ABANDONED)
}

/// Gives a written file its name.
fn place(staged: &Path, path: &Path, writing: Writing) -> Result<Put, FsError> {
    Ok(match writing {
        Writing::New => match fs::rename_new(staged, path)? {
            Renamed::Done => Put::Done,
            Renamed::Exists => Put::Exists,
        },
        Writing::Replace => {
            fs::rename(staged, path)?;
            Put::Done
        }
    })
}

fn is_absent(error: &FsError) -> bool {
    matches!(
        error.source.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

impl Transport for Directory {
    fn get(&self, name: &Name) -> Result<Got<Vec<u8>>, RemoteError> {
        match fs::read(&self.object(name), MAX_RECORD) {
            Ok(bytes) => Ok(Got::Object(bytes)),
            Err(e) if is_absent(&e) => self.expect_place().map(|()| Got::Nothing),
            Err(e) => Err(e.into()),
        }
    }

    fn get_blob(&self, blob: &BlobRef, to: &mut dyn Receive) -> Result<bool, RemoteError> {
        let path = self.blob(blob);
        let mut file = match fs::open_regular(&path) {
            Ok(file) => file.take(blob.size.min(MAX_BLOB) + 1),
            Err(e) if is_absent(&e) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let mut buffer = vec![0; 1 << 20];
        loop {
            self.cancel.check()?;
            let n = fs::at("read", &path, file.read(&mut buffer))?;
            match buffer.get(..n).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => to.take(bytes)?,
                None => return Ok(true),
            }
        }
    }

    fn has_blob(&self, blob: &BlobRef) -> Result<bool, RemoteError> {
        let found = fs::metadata_if_exists(&self.blob(blob))?;
        Ok(found.is_some_and(|m| m.is_file() && m.len() == blob.size))
    }

    fn put(
        &self,
        name: &Name,
        bytes: &[u8],
        _blobs: &[BlobRef],
        writing: Writing,
    ) -> Result<Put, RemoteError> {
        self.expect_place()?;
        let fill = |file: &mut File, path: &Path| fs::write_all(file, path, bytes);
        Ok(self.write(&self.object(name), writing, fill)?)
    }

    fn put_blob(&self, blob: &BlobRef, file: &File) -> Result<(), RemoteError> {
        self.expect_place()?;
        let fill = |to: &mut File, path: &Path| {
            let mut from = fs::at("open", path, file.try_clone())?;
            fs::at("read", path, from.rewind())?;
            fs::copy_all(&mut from, to, path).map(|_| ())
        };
        self.write(&self.blob(blob), Writing::Replace, fill)?;
        Ok(())
    }
}
