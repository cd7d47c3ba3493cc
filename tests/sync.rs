//! `sync` and its neighbours by the binary, against small dist trees.
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
mod support;
#[path = "sync/mod.rs"]
mod sync;
