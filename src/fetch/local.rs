//! A `file:` server: a directory of this machine, or of a mounted share.

use std::io::Read as _;
use std::path::Path;

use super::client::Arrival;
use super::error::FetchError;
use super::reply::Sink;
use crate::events::Cancel;
use crate::sys::fs::{self, FsError};

/// What is the file of a server missing for.
fn missing(error: FsError, absent: impl FnOnce() -> FetchError) -> FetchError {
    if error.source.kind() == std::io::ErrorKind::NotFound {
        absent()
    } else {
        error.into()
    }
}

/// Copies a file of the server, so that nobody can change the bytes between
/// hashing and use.
pub(super) fn copy(
    from: &Path,
    limit: u64,
    sink: &mut dyn Sink,
    cancel: &Cancel,
    progress: &dyn Fn(Arrival),
    absent: impl FnOnce() -> FetchError,
) -> Result<(), FetchError> {
    let mut file = fs::open_regular(from).map_err(|error| missing(error, absent))?;
    sink.restart()?;
    let total = file.metadata().ok().map(|metadata| metadata.len());
    progress(Arrival::Begins { have: 0, total });
    let mut buffer = vec![0; 1 << 20];
    loop {
        cancel.check()?;
        let n = fs::at("read", from, file.read(&mut buffer))?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        if sink.len().saturating_add(n as u64) > limit {
            sink.restart()?;
            return Err(FetchError::TooLarge {
                url: from.display().to_string(),
                limit,
            });
        }
        sink.write(bytes)?;
        progress(Arrival::Bytes(n as u64));
    }
}
