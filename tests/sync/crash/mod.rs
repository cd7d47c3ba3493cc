//! Killed, or refused by the system, at every mutating file operation:
//! nothing wrong is left, and the same command finishes the job.
//!
//! Complete by construction: a first run writes down the operations, and each
//! of them is then the one that fails. Everything else is in two tables: the
//! scenarios ([`scenarios`]) and what must hold ([`check`]).

mod bed;
mod check;
mod limits;
mod points;
mod power;
mod scenarios;
mod trace;

pub(crate) use bed::{BUILT, Bed, DOWNLOADED, OTHER, erase};

/// Whether the store is as it must always be.
pub(crate) fn check_store(bed: &Bed, after: &str) {
    check::store(&bed.sandbox, after);
}
