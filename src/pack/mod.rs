//! A stored tree as one file, for remotes and exports, and back.
//!
//! A pack is one zstd frame around a tar:
//!
//! ```text
//! sysroot-tree.txt     the tree's canonical listing
//! bin/rustc            its files, sorted by path; mode 0755 or 0644,
//! lib/...              no owner, no time, no directories
//! ```
//!
//! Everything in the tar follows from the listing and the files' content, so
//! equal trees give equal bytes, and the reader parses nothing but the listing:
//! it knows every header, and refuses a byte that is another. The listing comes
//! first and its BLAKE3 is the tree's address, so a pack of another tree, or
//! one with unsafe names or sizes, is refused before a file is made.
//!
//! Any tar reads a pack (`zstd -dc PACK | tar -t`); only this module is strict.

mod error;
mod header;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::PackError;
pub use read::{read, read_next, read_text_next, skip_next};
pub use write::{write, write_text};

use crate::events::Cancel;
use crate::types::Listing;

/// The compression level of packs, if nobody asks for another: zstd's own
/// default, which keeps up with a fast network.
pub const DEFAULT_LEVEL: i32 = 3;

/// The zstd window that a reader allows, as a power of two: 8 MiB, which is
/// what levels up to 19 need.
const WINDOW_LOG: u32 = 23;

/// Bounds of one pack, and when to stop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the listing's text: 32 MiB.
    pub listing: u64,
    /// Files: 250,000.
    pub entries: usize,
    /// Bytes of all files together: 4 GiB.
    pub unpacked: u64,
    /// Threads that write files: 2.
    pub writers: usize,
    /// Threads that compress: as many as processors, at most 4.
    pub compressors: u32,
    /// Stops the work between two files.
    pub cancel: Cancel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listing: 32 << 20,
            entries: 250_000,
            unpacked: 4 << 30,
            writers: 2,
            compressors: compressors(),
            cancel: Cancel::default(),
        }
    }
}

fn compressors() -> u32 {
    let processors = std::thread::available_parallelism();
    processors.map_or(1, |count| u32::try_from(count.get().min(4)).unwrap_or(1))
}

impl Limits {
    /// Checks a listing and returns the size of its tar in bytes.
    fn check(&self, listing: &Listing, text: &str) -> Result<u64, PackError> {
        let exceeded = |limit, unit| Err(PackError::TooLarge { limit, unit });
        if text.len() as u64 > self.listing {
            return exceeded(self.listing, "bytes in its listing");
        }
        if listing.entries().len() > self.entries {
            return exceeded(self.entries as u64, "files");
        }
        // Sizes are claims until the content was read: they may overflow.
        let total = listing
            .entries()
            .iter()
            .try_fold(0_u64, |sum, entry| sum.checked_add(entry.size));
        if total.is_none_or(|total| total > self.unpacked) {
            return exceeded(self.unpacked, "bytes in its files");
        }
        let files = listing.entries().iter().map(|entry| {
            let header = header::file(entry.path.as_str(), entry.size, entry.executable);
            header.len() as u64 + header::padded(entry.size)
        });
        let first = header::BLOCK as u64 + header::padded(text.len() as u64);
        Ok(first + files.sum::<u64>() + header::END as u64)
    }
}
