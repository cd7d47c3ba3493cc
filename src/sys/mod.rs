//! The only callers of the operating system's mutating calls, of `Command`,
//! and of the environment.
//!
//! One layer for all file operations makes crash and error tests complete by
//! construction: under the feature `fault-injection` every mutating call in
//! [`fs`] is counted and can be made to kill, fail or stop the process.

#[cfg(feature = "fault-injection")]
mod fault;
pub mod fs;
pub mod lock;
pub mod order;
pub mod owner;
pub mod process;
pub mod replace;
pub mod space;
pub mod stat;
pub mod writers;

/// Tells the tests that bytes from elsewhere are about to be decompressed:
/// every maker of a decoder calls it first.
pub(crate) fn decoding(what: &str) {
    #[cfg(feature = "fault-injection")]
    fault::decoding(what);
    #[cfg(not(feature = "fault-injection"))]
    let _ = what;
}
