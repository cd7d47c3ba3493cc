//! `sysroot.lock`: what a request was resolved to, with hashes.
//!
//! The request is stored beside each result, so that staleness is judged by
//! meaning and reported by field, never by a hash of the manifest file.
//! No I/O: text in, value out, and back, byte for byte reproducible.

mod changes;
mod check;
mod diff;
mod interpret;
mod merge;
mod place;
mod read;
pub mod schema;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::TargetRequest;
use crate::recipe::{BuildOptions, Inputs, Recipe};
use crate::signature::{Detached, Fingerprint};
use crate::types::{
    Channel, ComponentId, ComponentName, CrateSet, Date, RecipeKey, RelPath, Sha256, SpecDigest,
    TreeDigest, Triple,
};

pub use changes::{Change, changes};
pub use diff::{Difference, differences};
pub use merge::{Agreed, agreed};
pub use read::{LockError, MAX_SIZE};

/// The content of a `sysroot.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The channel asked for.
    pub channel: Channel,
    /// The hosts asked for; all of them are locked.
    pub hosts: BTreeSet<Triple>,
    /// The components asked for, as written in the manifest.
    pub components: BTreeSet<ComponentName>,
    /// The compiler that the channel was resolved to.
    pub toolchain: LockedToolchain,
    /// Every archive that any host needs; empty for the system's toolchain.
    pub archives: BTreeMap<ComponentId, LockedComponent>,
    /// The targets by name.
    pub targets: BTreeMap<Triple, LockedTarget>,
}

/// The compiler a lock names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedToolchain {
    /// A toolchain of upstream's archive.
    Dist {
        /// The day of the channel manifest.
        date: Date,
        /// `pkg.rustc.version`, such as `1.97.0-nightly (e50aa6fba 2026-05-19)`.
        rustc: String,
        /// The compiler's full commit hash, where the manifest states it.
        commit: Option<String>,
        /// The channel manifest's path below the dist server's root.
        manifest_path: RelPath,
        /// SHA-256 of the channel manifest's bytes; informative, because
        /// mirrors may rewrite it while the component hashes agree.
        manifest_sha256: Sha256,
        /// Whether upstream vouches for that manifest.
        signature: ManifestSignature,
    },
    /// The machine's own toolchain.
    System {
        /// First line of `rustc -vV`, such as `rustc 1.96.0 (ac68faa20 2026-05-25)`.
        rustc: String,
        /// `commit-hash` of `rustc -vV`.
        commit: String,
        /// First line of `cargo -V`.
        cargo: String,
        /// Tree digest of rust-src's `library` directory.
        rust_src: TreeDigest,
    },
}

/// What a lock knows about the channel manifest's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ManifestSignature {
    /// Nobody asked for one: the user's policy was `off`, or the lock is of a
    /// sysroot that did not know of signatures.
    #[default]
    NotAsked,
    /// The server had none.
    Missing,
    /// A good one.
    Good {
        /// The key that made it.
        signer: Fingerprint,
        /// The signature.
        detached: Detached,
    },
}

/// One archive in the formats upstream offers; at least one is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedComponent {
    /// The `.tar.xz`.
    pub xz: Option<LockedArchive>,
    /// The `.tar.gz`.
    pub gz: Option<LockedArchive>,
}

impl LockedComponent {
    /// The hashes of all formats, sorted.
    ///
    /// Together they stand for the component in recipe keys: with only one of
    /// them in the key, a lock could pair it with another component's archive
    /// and have the store keep the result under an honest lock's key.
    pub fn hashes(&self) -> Vec<Sha256> {
        let mut hashes: Vec<Sha256> = self
            .xz
            .iter()
            .chain(&self.gz)
            .map(|archive| archive.sha256)
            .collect();
        hashes.sort_unstable();
        hashes
    }
}

/// One archive file on any dist server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedArchive {
    /// Path below the dist server's root.
    pub path: RelPath,
    /// SHA-256 of the whole file.
    pub sha256: Sha256,
}

impl std::fmt::Display for LockedArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.path, self.sha256)
    }
}

/// One target: the request, and what it was resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedTarget {
    /// What the manifest asked for when this was resolved.
    pub request: TargetRequest,
    /// Digest of the raw bytes of the spec, for a custom target.
    pub spec: Option<SpecDigest>,
    /// How the target is obtained.
    pub source: LockedSource,
}

/// How a locked target is obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedSource {
    /// Upstream's `rust-std`; its archive is in [`Lock::archives`].
    Download,
    /// The system toolchain's own copy.
    System,
    /// Compiled from rust-src.
    Build {
        /// The options with every default filled in.
        options: BuildOptions,
        /// The key, and the pin once built, for each host.
        hosts: BTreeMap<Triple, LockedBuild>,
    },
}

/// What a request means for a compiled target, defaults filled in.
///
/// A target that is also a host gets `std` whatever is asked for: build
/// scripts and procedural macros link it, so a host without it compiles nothing.
pub(crate) fn options_of<'h>(
    request: &TargetRequest,
    target: &Triple,
    mut hosts: impl Iterator<Item = &'h Triple>,
) -> BuildOptions {
    let TargetRequest {
        strategy: _,
        spec: _,
        crates,
        features,
        profile,
        rustflags,
    } = request.clone();
    let is_host = hosts.any(|host| host == target);
    let crates = if is_host { Some(CrateSet::Std) } else { crates };
    BuildOptions::new(crates, features, profile, rustflags)
}

/// A compiled target on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedBuild {
    /// Key of the recipe.
    pub key: RecipeKey,
    /// The digest that the compiled tree must have, once somebody built it.
    pub pin: Option<TreeDigest>,
}

impl LockedSource {
    /// The word the lock file has for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::System => "system",
            Self::Build { .. } => "build",
        }
    }
}

impl Lock {
    /// What is known about the channel manifest's signature; `None` for the
    /// system's toolchain, which has no channel manifest.
    pub fn manifest_signature(&self) -> Option<&ManifestSignature> {
        match &self.toolchain {
            LockedToolchain::Dist { signature, .. } => Some(signature),
            LockedToolchain::System { .. } => None,
        }
    }

    /// The archive of a component for a target (`None`: the one for all).
    pub fn archive(&self, name: &str, target: Option<&Triple>) -> Option<&LockedComponent> {
        let name = name.parse().ok()?;
        let target = target.cloned();
        self.archives.get(&ComponentId { name, target })
    }

    /// What a host compiles with; `None` where the lock lacks an archive.
    pub fn inputs(&self, host: &Triple) -> Option<Inputs> {
        match &self.toolchain {
            LockedToolchain::Dist { .. } => Some(Inputs::Dist {
                rustc: self.archive("rustc", Some(host))?.hashes(),
                cargo: self.archive("cargo", Some(host))?.hashes(),
                rust_src: self.archive("rust-src", None)?.hashes(),
            }),
            LockedToolchain::System {
                rustc,
                commit,
                cargo,
                rust_src,
            } => Some(Inputs::System {
                rustc: format!("{rustc}\ncommit-hash: {commit}"),
                cargo: cargo.clone(),
                rust_src: *rust_src,
            }),
        }
    }

    /// The recipe of a target that is compiled, on one host; `None` where the
    /// target is not compiled or the lock lacks an archive.
    pub fn recipe(&self, target: &Triple, host: &Triple) -> Option<Recipe> {
        let locked = self.targets.get(target)?;
        let LockedSource::Build { options, .. } = &locked.source else {
            return None;
        };
        Some(Recipe {
            inputs: self.inputs(host)?,
            host: host.clone(),
            target: target.clone(),
            spec: locked.spec,
            options: options.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
