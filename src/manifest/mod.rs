//! `sysroot.toml`: what a project asks for.
//!
//! [`schema`] is what the file says (serde, and the source of the JSON
//! Schema); [`Manifest`] is what it means, with defaults merged into every
//! target and everything checked. No I/O: the text comes in, a value or a
//! diagnostic with line, column and caret goes out.

mod edit;
mod init;
mod llvm_args;
mod parse;
pub mod rustflags;
pub mod schema;
pub mod spec;
mod spec_keys;
mod target;
pub(crate) mod values;

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{Channel, ComponentName, CrateSet, Profile, RelPath, Strategy, Triple};

pub use edit::{NewTarget, with_channel, with_target, without_target};
pub use init::Template;
pub(crate) use init::table_of;
pub use parse::{MAX_SIZE, MAX_TARGETS, ManifestError};
pub use spec::{SpecError, check_spec};

/// What a project asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which compiler.
    pub channel: Channel,
    /// The machines the project is built on; empty only for `system`, where
    /// it means the machine at hand.
    pub hosts: BTreeSet<Triple>,
    /// Components beside rustc, cargo and the host's rust-std, as written
    /// (`clippy`, not `clippy-preview`).
    pub components: BTreeSet<ComponentName>,
    /// The targets by name, `[defaults]` merged in.
    pub targets: BTreeMap<Triple, TargetRequest>,
}

/// What is asked for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRequest {
    /// Download, build, or whichever fits.
    pub strategy: Strategy,
    /// A custom target spec, relative to the manifest's directory.
    pub spec: Option<RelPath>,
    /// The crates to build.
    pub crates: Option<CrateSet>,
    /// Features of the library workspace, such as `compiler-builtins-mem`.
    pub features: BTreeSet<String>,
    /// Profile keys.
    pub profile: Profile,
    /// Compiler flags from the allow-list, in order.
    pub rustflags: Vec<String>,
}

impl TargetRequest {
    /// The key of the first thing that only a build can honour, if any: it
    /// turns `auto` into `build` and is an error beside `download`.
    pub fn build_only_key(&self) -> Option<&'static str> {
        let Self {
            strategy: _,
            spec,
            crates,
            features,
            profile,
            rustflags,
        } = self;
        let Profile {
            opt_level,
            debug,
            panic,
            codegen_units,
            embed_bitcode,
        } = profile;
        [
            ("spec", spec.is_some()),
            ("crates", crates.is_some()),
            ("features", !features.is_empty()),
            ("opt-level", opt_level.is_some()),
            ("debug", debug.is_some()),
            ("panic", panic.is_some()),
            ("codegen-units", codegen_units.is_some()),
            ("embed-bitcode", embed_bitcode.is_some()),
            ("rustflags", !rustflags.is_empty()),
        ]
        .into_iter()
        .find_map(|(key, mentioned)| mentioned.then_some(key))
    }
}

#[cfg(test)]
mod tests;
