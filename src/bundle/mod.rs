//! A bundle: one file with everything that a project needs from the store, for
//! a CI system's cache step.
//!
//! ```text
//! index   one zstd frame: which archives and recipes gave which trees
//! pack    one zstd frame for each tree, in the index's order
//! ...
//! ```
//!
//! The packs prove themselves against the tree digests of the index. That a
//! tree is what an archive or a recipe gives proves nobody: it is the word of
//! whoever wrote the file. [`crate::ops::import`] tells whose word counts.

mod error;
mod index;

pub use error::BundleError;
pub use index::Index;
