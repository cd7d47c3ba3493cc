//! Reading a component archive (rust-installer format 3) into a directory.
//!
//! The archive is hostile until proven otherwise: only regular files and
//! directories below one top directory, every path safe and unique on every
//! system, every size bounded before it is believed, and the files exactly
//! the ones that the component's `manifest.in` lists. The directory given
//! is the caller's to remove when an error comes back.
//!
//! One thread decodes and checks; others write and hash what it found.

mod decode;
mod error;
mod header;
mod installer;
mod names;
mod walk;

use std::fs::File;
use std::path::Path;

pub use error::ArchiveError;

use super::choose::Format;
use crate::events::Cancel;
use crate::sys::writers;
use crate::types::{ComponentId, Listing};

/// Bounds of one archive, and when to stop.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the decoded tar file: 4 GiB (the largest official component
    /// has about 0.7 GB).
    pub unpacked: u64,
    /// Files and directories: 250,000 (rust-docs has about 50,000).
    pub entries: u64,
    /// Bytes of all paths together: 32 MiB.
    pub names: u64,
    /// Memory of the xz decoder: 128 MiB (upstream's archives need 65 MiB).
    pub decoder_memory: u64,
    /// Threads that write files: 2.
    pub writers: usize,
    /// Stops the work between two files.
    pub cancel: Cancel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpacked: 4 << 30,
            entries: 250_000,
            names: 32 << 20,
            decoder_memory: 128 << 20,
            writers: 2,
            cancel: Cancel::default(),
        }
    }
}

/// Unpacks the files of a component below `into`, an existing empty directory
/// that nobody else writes to, and lists them.
///
/// `archive` is read from its current position to its end; it must be the
/// handle whose bytes were hashed; `progress` is told how many of them were
/// just read. Files are created read-only; nothing is
/// flushed to the disk.
pub fn unpack(
    archive: File,
    format: Format,
    component: &ComponentId,
    into: &Path,
    limits: &Limits,
    progress: &dyn Fn(u64),
) -> Result<Listing, ArchiveError> {
    let mut decoder = decode::Decoder::new(archive, format, limits, progress)?;
    let (walked, files) = writers::with_writers(into, limits.writers, |writers| {
        walk::walk(&mut decoder, component, limits, writers)
    })?;
    decoder.finish()?;
    installer::check(&walked, component, &files)?;
    Listing::new(files).map_err(|error| ArchiveError::malformed(error.to_string()))
}
