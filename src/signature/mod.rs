//! OpenPGP signatures of channel manifests: who made one, and of which bytes.
//!
//! Rust signs each channel manifest with a detached OpenPGP signature beside
//! it (`.asc`). The key is compiled in; a user's configuration can add keys of
//! private dist servers. Only the signature of the data is judged, and only
//! with a digest of SHA-256 or better. The self signatures of Rust's key are
//! SHA-1; the key is trusted because it is compiled in, not because of them.
//! No I/O and no clock: bytes and times in, verdicts out.

mod armor;
mod detached;
mod error;
mod key;
#[cfg(test)]
mod tests;
mod verify;

pub use armor::ArmorError;
pub use detached::{Detached, Fingerprint, TextError};
pub use error::{KeyError, SignatureError};
pub use key::Keyring;
pub use verify::{Verified, check, verify};

/// The largest signature file, in bytes; real ones have about 900.
pub const MAX_SIGNATURE: u64 = 16 << 10;
/// The largest key file, in bytes; Rust's has about 5,000.
pub const MAX_KEY: u64 = 256 << 10;
