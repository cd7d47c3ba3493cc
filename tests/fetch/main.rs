//! The transport and the archive reader against misbehaving servers and
//! hand-made archives. Cases are numbered after the threat catalogue.
#![expect(unreachable_pub, reason = "a test binary has no outside")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare and inspect files directly"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic like tests"
)]

#[path = "../support/archive.rs"]
mod archive;
#[path = "../support/http.rs"]
mod http;

mod archive_entries;
mod archive_installer;
mod archive_streams;
mod archive_support;
mod bodies;
mod bounds;
mod local;
mod manifest;
mod redirects;
mod resume;
mod statuses;
mod support;
mod tls;
