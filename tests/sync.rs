//! `sync` and its neighbours by the binary, against small dist trees.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::type_complexity,
    clippy::format_push_string,
    reason = "tests change files directly, may fail anywhere, and read best as tables"
)]

mod support;
#[path = "sync/mod.rs"]
mod sync;
