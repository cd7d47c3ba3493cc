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
pub mod process;
pub mod replace;
pub mod stat;
pub mod writers;
