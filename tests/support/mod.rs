//! What the tests share.
#![allow(dead_code, reason = "each test binary and the packer use a part of it")]

pub(crate) mod clock;
pub(crate) mod compiler;
pub(crate) mod cyclonedx;
pub(crate) mod dist;
pub(crate) mod fake;
pub(crate) mod intoto;
pub(crate) mod pack;
pub(crate) mod rustup;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod sources;
