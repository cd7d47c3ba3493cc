//! What a lock brings in, told in formats that others read: an in-toto
//! statement about one compiled tree, and a CycloneDX bill of materials.
//!
//! Both are functions of the lock and of digests alone: no times, no paths of
//! this machine, no user. The same input is the same text everywhere.

mod cyclonedx;
mod sbom;
mod statement;

pub use sbom::{RegistryCrate, sbom};
pub use statement::{PREDICATE_TYPE, STATEMENT_TYPE, accept, statement, with_files};
