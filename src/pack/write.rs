//! From a stored tree to a pack.

use std::io::{self, Read as _, Write};
use std::path::Path;

use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use super::{Limits, PackError, header};
use crate::sys::fs;
use crate::types::{Entry, FileDigest, Listing};

/// Size of the pieces that are read, hashed and compressed at once.
const CHUNK: u64 = 1 << 20;
/// Bytes that one thread compresses at a time; fixed, so that the number of
/// threads decides about no byte, and small, because each has some in memory.
const JOB: u32 = 4 << 20;
/// The highest zstd level whose window a reader surely allows.
const MAX_LEVEL: i32 = 19;

/// Writes the tree in the directory `tree` as a pack to `out`, and returns
/// `out` for the caller to flush.
///
/// Every file is hashed as it is read, so a damaged tree gives an error and
/// never a whole pack. The bytes depend on the listing, the level (1 to 19)
/// and the version of the zstd library alone.
pub fn write<W: Write>(
    tree: &Path,
    listing: &Listing,
    out: W,
    level: i32,
    limits: &Limits,
) -> Result<W, PackError> {
    let text = listing.to_text();
    let total = limits.check(listing, &text)?;
    let mut encoder = begin(out, total, level, limits.compressors.max(1))?;
    first_entry(&mut encoder, header::LISTING, &text)?;
    let mut buffer = Vec::new();
    for entry in listing.entries() {
        limits.cancel.check()?;
        let before = header::file(entry.path.as_str(), entry.size, entry.executable);
        put(&mut encoder, &[&before])?;
        content(tree, listing, entry, &mut buffer, &mut encoder)?;
        put(&mut encoder, &[zeros(header::padding(entry.size))])?;
    }
    put(&mut encoder, &[zeros(header::END)])?;
    encoder.finish().map_err(PackError::Output)
}

/// Writes one text as a frame of its own, under a name of at most 100 bytes.
pub fn write_text<W: Write>(name: &str, text: &str, out: W) -> Result<W, PackError> {
    let size = text.len() as u64;
    let total = header::BLOCK as u64 + header::padded(size) + header::END as u64;
    let mut encoder = begin(out, total, super::DEFAULT_LEVEL, 1)?;
    first_entry(&mut encoder, name, text)?;
    put(&mut encoder, &[zeros(header::END)])?;
    encoder.finish().map_err(PackError::Output)
}

/// Begins a frame of `total` bytes. The number of workers, from one on, does
/// not change what they write.
fn begin<W: Write>(
    out: W,
    total: u64,
    level: i32,
    workers: u32,
) -> Result<Encoder<'static, W>, PackError> {
    let set_up = |mut encoder: Encoder<'static, W>| {
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(total))?;
        encoder.multithread(workers)?;
        encoder.set_parameter(CParameter::JobSize(JOB))?;
        Ok(encoder)
    };
    Encoder::new(out, level.clamp(1, MAX_LEVEL))
        .and_then(set_up)
        .map_err(PackError::Output)
}

fn first_entry(out: &mut impl Write, name: &str, text: &str) -> Result<(), PackError> {
    let size = text.len() as u64;
    let before = header::file(name, size, false);
    put(
        out,
        &[&before, text.as_bytes(), zeros(header::padding(size))],
    )
}

fn put(out: &mut impl Write, parts: &[&[u8]]) -> Result<(), PackError> {
    parts
        .iter()
        .try_for_each(|part| out.write_all(part))
        .map_err(PackError::Output)
}

/// At most the zeros of a tar's end.
fn zeros(count: usize) -> &'static [u8] {
    const ZEROS: [u8; header::END] = [0; header::END];
    ZEROS.get(..count).unwrap_or(&ZEROS)
}

/// Copies one file, and checks that it is the one of the listing.
fn content(
    tree: &Path,
    listing: &Listing,
    entry: &Entry,
    buffer: &mut Vec<u8>,
    out: &mut impl Write,
) -> Result<(), PackError> {
    let path = entry.path.below(tree);
    let mut file = fs::open_no_follow(&path)?;
    let damaged = |reason: String| PackError::Damaged {
        tree: listing.digest(),
        path: entry.path.clone(),
        reason,
    };
    let mut hasher = blake3::Hasher::new();
    let mut left = entry.size;
    while left > 0 {
        buffer.clear();
        let read = (&mut file).take(left.min(CHUNK)).read_to_end(buffer);
        let read = fs::at("read", &path, read)? as u64;
        if read == 0 {
            let had = entry.size - left;
            return Err(damaged(format!("it has {had} bytes, not {}", entry.size)));
        }
        left -= read;
        hasher.update(buffer);
        put(out, &[buffer])?;
    }
    let mut more = [0];
    let more = match file.read(&mut more) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => file.read(&mut more),
        result => result,
    };
    if fs::at("read", &path, more)? != 0 {
        return Err(damaged(format!("it has more than {} bytes", entry.size)));
    }
    let found = FileDigest::from_bytes(*hasher.finalize().as_bytes());
    if found != entry.digest {
        return Err(damaged(format!(
            "it hashes to {found}, not {}",
            entry.digest
        )));
    }
    Ok(())
}
