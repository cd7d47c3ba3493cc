//! `sync` and its neighbours by the binary, against small dist trees.

mod support;
#[path = "sync/mod.rs"]
mod sync;
