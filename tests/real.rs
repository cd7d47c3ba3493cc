//! The whole way by the binary with real compilers: a dist tree made of real
//! toolchains or the machine's own compiler, `sync`, and then plain cargo with
//! crates from the registry, whose programs run.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs as a user would, change files directly, and may fail anywhere"
)]

#[path = "real/mod.rs"]
mod real;
mod support;
