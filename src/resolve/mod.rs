//! Manifest and channel manifest to lock.
//!
//! Every host and every target is resolved from any one machine: nothing here
//! asks which machine runs it, reads a file or a clock, or reaches a server.
//! Either everything asked for is found, or there is no lock.

mod channel_manifest;
mod channel_raw;
mod departures;
mod dist;
mod error;
mod freshness;
mod suggest;
mod system;

use std::collections::{BTreeMap, BTreeSet};

pub use channel_manifest::{ChannelManifest, ChannelManifestError, MAX_SIZE, Package};
pub use departures::departures;
pub use error::{Nearby, ResolveError};
pub use freshness::{
    Republished, carry_pins, check_age, check_channel, check_not_older, check_not_republished,
};

use crate::lock::{Lock, LockedBuild, LockedSource, LockedTarget, options_of};
use crate::manifest::{Manifest, TargetRequest};
use crate::types::{CrateSet, Date, RecipeKey, RelPath, Sha256, SpecDigest, TreeDigest, Triple};

/// Where a manifest's channel comes from.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A dist server.
    Dist {
        /// The channel manifest it served.
        manifest: &'a ChannelManifest,
        /// That manifest's path below the server's root.
        path: RelPath,
        /// SHA-256 of that manifest's bytes.
        sha256: Sha256,
    },
    /// The machine's own toolchain.
    System(&'a SystemToolchain),
}

/// The toolchain of the channel `system`, as found on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemToolchain {
    /// First line of `rustc -vV`.
    pub rustc: String,
    /// `commit-hash` of `rustc -vV`.
    pub commit: String,
    /// First line of `cargo -V`.
    pub cargo: String,
    /// `host` of `rustc -vV`.
    pub host: Triple,
    /// Tree digest of rust-src's `library` directory.
    pub rust_src: TreeDigest,
    /// The targets whose `core` comes with it.
    pub shipped: BTreeSet<Triple>,
    /// The targets it can compile for: `rustc --print target-list`.
    pub known: BTreeSet<Triple>,
}

/// Resolves a manifest. `specs` has the digest of every custom target's spec,
/// `today` is the machine's date in UTC.
pub fn resolve(
    manifest: &Manifest,
    specs: &BTreeMap<Triple, SpecDigest>,
    source: &Source<'_>,
    today: Date,
) -> Result<Lock, ResolveError> {
    let mut lock = match source {
        Source::Dist {
            manifest: channel,
            path,
            sha256,
        } => {
            check_channel(manifest.channel, channel, today)?;
            dist::toolchain(manifest, channel, path, *sha256)?
        }
        Source::System(system) => system::toolchain(manifest, system)?,
    };
    let hosts = match source {
        Source::System(system) if lock.hosts.is_empty() => BTreeSet::from([system.host.clone()]),
        Source::Dist { .. } | Source::System(_) => lock.hosts.clone(),
    };
    for (name, request) in &manifest.targets {
        let build = match source {
            Source::Dist {
                manifest: channel, ..
            } => dist::is_built(channel, name, request)?,
            Source::System(system) => system::is_built(system, name, request)?,
        };
        let spec = spec_digest(name, request, specs)?;
        let target = LockedTarget {
            request: request.clone(),
            spec,
            source: match (source, build) {
                (_, true) => built(name, request, &hosts)?,
                (Source::Dist { .. }, false) => LockedSource::Download,
                (Source::System(_), false) => LockedSource::System,
            },
        };
        lock.targets.insert(name.clone(), target);
    }
    if let Source::Dist {
        manifest: channel, ..
    } = source
    {
        dist::add_target_archives(&mut lock, channel)?;
    }
    fill_in_keys(&mut lock)?;
    Ok(lock)
}

fn spec_digest(
    name: &Triple,
    request: &TargetRequest,
    specs: &BTreeMap<Triple, SpecDigest>,
) -> Result<Option<SpecDigest>, ResolveError> {
    let Some(path) = &request.spec else {
        return Ok(None);
    };
    match specs.get(name) {
        Some(digest) => Ok(Some(*digest)),
        None => Err(ResolveError::NoSpec {
            target: name.clone(),
            path: path.clone(),
        }),
    }
}

/// A build whose keys are not known yet, because they need every archive.
fn built(
    name: &Triple,
    request: &TargetRequest,
    hosts: &BTreeSet<Triple>,
) -> Result<LockedSource, ResolveError> {
    let without_std = request.crates.is_some_and(|crates| crates != CrateSet::Std);
    if hosts.contains(name) && without_std {
        return Err(ResolveError::HostWithoutStd {
            target: name.clone(),
        });
    }
    let unknown = LockedBuild {
        key: RecipeKey::from_bytes([0; 32]),
        pin: None,
    };
    Ok(LockedSource::Build {
        options: options_of(request, name, hosts.iter()),
        hosts: hosts.iter().map(|host| (host.clone(), unknown)).collect(),
    })
}

fn fill_in_keys(lock: &mut Lock) -> Result<(), ResolveError> {
    let mut keys: BTreeMap<(Triple, Triple), RecipeKey> = BTreeMap::new();
    for (name, target) in &lock.targets {
        if let LockedSource::Build { hosts, .. } = &target.source {
            for host in hosts.keys() {
                let recipe = lock
                    .recipe(name, host)
                    .ok_or_else(|| ResolveError::NoInputs {
                        target: name.clone(),
                        host: host.clone(),
                    })?;
                keys.insert((name.clone(), host.clone()), recipe.key());
            }
        }
    }
    for (name, target) in &mut lock.targets {
        if let LockedSource::Build { hosts, .. } = &mut target.source {
            for (host, build) in hosts {
                if let Some(key) = keys.get(&(name.clone(), host.clone())) {
                    build.key = *key;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
