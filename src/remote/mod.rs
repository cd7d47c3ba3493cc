//! Remotes: places that many machines share trees through.
//!
//! A remote holds two kinds of objects: one small [`Record`] for each recipe,
//! and one *blob* for each tree, which is a zstd-compressed tar under the
//! SHA-256 of its bytes. A [`Transport`] moves them; it understands neither.
//! Nothing a remote says is believed: a tree is accepted because it is the one
//! that the lock pins, or because a record signed by a trusted key names it
//! ([`record`]). Everything else is a miss.
//!
//! ```text
//! s3:// gs:// az:// file://          http:// https://
//! <prefix>/v1/recipes/<address>      <prefix>/ac/<address>     (an ActionResult)
//! <prefix>/v1/components/<address>   <prefix>/ac/<address>
//! <prefix>/v1/claims/<address>       <prefix>/ac/<address>
//! <prefix>/v1/blobs/<sha256>         <prefix>/cas/<sha256>
//! ```

mod action;
mod address;
mod bounds;
pub mod claim;
mod connect;
mod directory;
mod error;
mod http;
mod incoming;
mod object;
mod object_setup;
mod place;
mod pool;
mod push;
pub mod record;
mod settings;
pub mod sign;
mod transport;

pub use address::{Address, Namespace, NamespaceError};
pub use bounds::Patience;
pub use connect::{Surroundings, connect};
pub use error::RemoteError;
pub use place::{Access, Bucket, Place, Remote};
pub use pool::{Found, Remotes, Wanted};
pub use push::{Packed, Pushed, push};
pub use record::{Record, Subject};
pub use settings::{RemoteSettings, TokenError, Tokens};
pub use transport::{BlobRef, Got, Name, Put, Receive, Transport, Writing};

/// The largest record, in bytes; real ones have about 1 KB.
pub const MAX_RECORD: u64 = 1 << 20;
/// The largest blob, in bytes; the largest of a real toolchain has about
/// 0.2 GB.
pub const MAX_BLOB: u64 = 2 << 30;
