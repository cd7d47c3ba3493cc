//! Bytes into open files.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::call::call;
use super::{Result, at};
use crate::types::FileDigest;

/// Copies the rest of one open file to another, inside the kernel where it can.
pub fn copy_all(from: &mut File, to: &mut File, path: &Path) -> Result<u64> {
    #[cfg(feature = "fault-injection")]
    if cut(to, path, |to| {
        let half = from.metadata()?.len() / 2;
        io::copy(&mut from.take(half), to).map(drop)
    })? {
        return at("write", path, io::copy(from, to));
    }
    // Interrupted calls are repeated inside.
    at("write", path, io::copy(from, to))
}

/// How much is copied at a time: what fits into a processor's own cache.
const COPIED: usize = 256 << 10;

/// Copies an open file of about `size` bytes to another one, and hashes what
/// is written, each piece while it is still in the processor's cache.
pub fn copy_hashed(from: &mut File, to: &mut File, path: &Path, size: u64) -> Result<FileDigest> {
    // One byte more, so that a small file and its end take one piece.
    let piece = usize::try_from(size + 1).map_or(COPIED, |size| size.min(COPIED));
    let mut buffer = vec![0; piece];
    let mut hasher = blake3::Hasher::new();
    loop {
        let read = at("read", path, read_full(from, &mut buffer))?;
        let bytes = &buffer[..read];
        hasher.update(bytes);
        write_all(to, path, bytes)?;
        if read < buffer.len() {
            return Ok(FileDigest::from_bytes(*hasher.finalize().as_bytes()));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Empties an open file and goes to its start; `path` is for the message.
pub fn clear(file: &mut File, path: &Path) -> Result<()> {
    use std::io::Seek as _;
    call("truncate", path, || {
        file.set_len(0).and_then(|()| file.rewind())
    })
}

/// Writes all bytes to an open file; `path` is for the message.
pub fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    #[cfg(feature = "fault-injection")]
    {
        let half = bytes.len() / 2;
        let (first, rest) = bytes.split_at(half);
        if cut(file, path, |file| file.write_all(first))? {
            return at("write", path, file.write_all(rest));
        }
    }
    // Interrupted and short writes are continued inside.
    at("write", path, file.write_all(bytes))
}

/// The fault point of a write: does the first half of it, if that is the
/// order, and tells whether it did.
#[cfg(feature = "fault-injection")]
fn cut(
    file: &mut File,
    path: &Path,
    first_half: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<bool> {
    use crate::sys::fault::{Order, after_half, point};
    let order = loop {
        match point("write", path) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => break at("write", path, result)?,
        }
    };
    match order {
        Order::Proceed => Ok(false),
        Order::Half => {
            at("write", path, first_half(file).and_then(|()| after_half())).map(|()| true)
        }
        Order::Nothing => at("write", path, Err(io::ErrorKind::WriteZero.into())),
    }
}
