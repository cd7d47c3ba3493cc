//! The transport and the archive reader against misbehaving servers and
//! hand-made archives. Cases are numbered after the threat catalogue.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/archive.rs"]
mod archive;
#[path = "../support/http.rs"]
mod http;

mod archives;
mod bounds;
mod local;
mod manifest;
mod redirects;
mod resume;
mod statuses;
mod support;
mod tls;
