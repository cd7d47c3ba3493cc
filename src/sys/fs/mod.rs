//! File operations: bounded reads, and every mutation of the file system.
//!
//! Each error names its path. Each mutating function passes one fault point
//! (`call`), so nothing that changes a file may be called elsewhere
//! (`clippy.toml` bars the `std::fs` equivalents).
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what the others must use instead"
)]

mod call;
mod create;
mod error;
mod flush;
mod lock;
mod mode;
mod name;
mod read;
mod remove;
mod staged;
mod system;
mod write;

pub use create::{
    Scratch, create_dir, create_dir_all, create_new, create_private_dir, create_private_dir_all,
    create_read_only, create_unique, open_or_create, write_new, write_new_private,
};
pub use error::{FsError, Result, at, hint};
pub use flush::{open_dir, sync_dir, sync_file, sync_file_system, sync_file_system_of};
pub use lock::{lock, try_lock, try_lock_shared};
pub use mode::{set_mode, set_read_only};
#[cfg(unix)]
pub use name::symlink;
pub use name::{Renamed, exchange, hard_link, reflink, rename, rename_new};
pub use read::{
    hash, list, metadata_if_exists, open_no_follow, open_regular, read, read_text,
    read_text_if_exists, text,
};
pub use remove::{remove_dir_all, remove_dir_if_empty, remove_file};
pub use staged::{
    create_over, is_staged, replace, replace_private, replace_stored, replace_unflushed,
};
pub(super) use staged::{masked, name_staged, remove_beside, stage_beside};
#[cfg(feature = "fault-injection")]
pub use system::patience;
pub use system::{boot, is_writable, network_file_system};
pub use write::{clear, copy_all, copy_hashed, write_all};
