//! Remotes by the binary: shared trees, and every lie that a remote can tell.
#![allow(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::type_complexity,
    clippy::format_push_string,
    reason = "tests change files directly, may fail anywhere, and read best as tables"
)]

#[path = "support/http.rs"]
mod http;
#[path = "remote/mod.rs"]
mod remote;
mod support;
