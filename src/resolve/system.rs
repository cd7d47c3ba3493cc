//! The machine's own toolchain: nothing to fetch, everything pinned.

use std::collections::BTreeMap;

use super::suggest::nearest_names;
use super::{ResolveError, SystemToolchain};
use crate::lock::{Lock, LockedToolchain};
use crate::manifest::{Manifest, TargetRequest};
use crate::types::{Channel, Strategy, Triple};

/// The lock without targets.
pub(super) fn toolchain(
    manifest: &Manifest,
    system: &SystemToolchain,
) -> Result<Lock, ResolveError> {
    if manifest.channel != Channel::System {
        return Err(ResolveError::WrongSource {
            channel: manifest.channel,
            origin: "the system's toolchain",
        });
    }
    Ok(Lock {
        channel: manifest.channel,
        hosts: manifest.hosts.clone(),
        components: manifest.components.clone(),
        toolchain: LockedToolchain::System {
            rustc: system.rustc.clone(),
            commit: system.commit.clone(),
            cargo: system.cargo.clone(),
            rust_src: system.rust_src,
        },
        archives: BTreeMap::new(),
        targets: BTreeMap::new(),
    })
}

/// Whether a target is compiled rather than taken from the system.
pub(super) fn is_built(
    system: &SystemToolchain,
    name: &Triple,
    request: &TargetRequest,
) -> Result<bool, ResolveError> {
    if request.spec.is_none() && !system.known.contains(name) {
        let known = system.known.iter().map(Triple::as_str);
        return Err(ResolveError::UnknownTarget {
            target: name.clone(),
            nearest: nearest_names(name.as_str(), known),
        });
    }
    let shipped = system.shipped.contains(name);
    match request.strategy {
        Strategy::Build => Ok(true),
        Strategy::Auto => Ok(!shipped || request.build_only_key().is_some()),
        Strategy::Download if shipped => Ok(false),
        Strategy::Download => Err(ResolveError::NotInstalled {
            target: name.clone(),
        }),
    }
}
