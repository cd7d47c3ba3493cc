//! Remotes on real servers: Garage, a distributed S3 store, and nginx with
//! WebDAV. `scripts/test-distributed` gets both and runs this.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests change files directly and may fail anywhere"
)]

#[path = "distributed/mod.rs"]
mod distributed;
mod support;
