//! The vocabulary: values that were checked once, when they were made.
//!
//! Nothing here does I/O. A bare `String` that came from a file, an archive or
//! a server becomes one of these types at the border, or an error there.

pub mod channel;
pub mod component;
pub mod counted;
pub mod diagnostic;
pub mod digest;
pub mod listing;
pub mod nearest;
pub mod profile;
pub mod relpath;
pub mod triple;

pub use channel::{Channel, Date, Release};
pub use component::{ComponentId, ComponentName};
pub use counted::counted;
pub use diagnostic::{Class, Diagnostic, REFILL};
pub use digest::{FileDigest, RecipeKey, Sha256, SpecDigest, TreeDigest};
pub use listing::{Entry, Listing};
pub use profile::{CrateSet, DebugInfo, OptLevel, Panic, Profile, Strategy};
pub use relpath::RelPath;
pub use triple::Triple;
