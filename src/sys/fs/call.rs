//! The one way to a call that changes something.

use std::io;
use std::path::Path;

use super::{Result, at};

/// One mutating call: passes the fault point, and is repeated when a signal
/// interrupted it, as some network file systems allow.
pub(super) fn call<T>(
    operation: &'static str,
    path: &Path,
    mut act: impl FnMut() -> io::Result<T>,
) -> Result<T> {
    loop {
        match point(operation, path).and_then(|()| act()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return at(operation, path, result),
        }
    }
}

#[cfg(feature = "fault-injection")]
fn point(operation: &'static str, path: &Path) -> io::Result<()> {
    crate::sys::fault::point(operation, path).map(|_| ())
}

#[cfg(not(feature = "fault-injection"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of the version that injects faults"
)]
fn point(_operation: &'static str, _path: &Path) -> io::Result<()> {
    Ok(())
}
