//! A lockfile for Rust sysroots.
//!
//! The data's way, and the modules in reading order:
//!
//! ```text
//! sysroot.toml -> manifest -> resolve -> lock -> plan -> fetch / build -> store -> materialize -> verify
//! ```
//!
//! [`manifest`], [`resolve`], [`recipe`], [`lock`], [`signature`] and [`plan`] are pure: values
//! in, values out. [`fetch`], [`build`], [`store`] and [`materialize`] do the
//! work, through [`sys`] where they change a file. [`ops`] has one function a
//! verb, which joins them; `cli` is the terminal around those.

pub mod types;

pub mod config;
pub mod document;

pub mod attest;
pub mod diff;
pub mod lock;
pub mod manifest;
pub mod recipe;
pub mod resolve;
pub mod signature;

pub mod events;
pub mod sys;

pub mod build;
pub mod bundle;
pub mod fetch;
pub mod materialize;
pub mod pack;
pub mod plan;
pub mod remote;
pub mod store;

pub mod ops;

pub mod cli;
