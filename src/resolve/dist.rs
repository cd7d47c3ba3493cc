//! Upstream's toolchains: hosts, components and targets from one channel
//! manifest.

use std::collections::BTreeMap;

use super::channel_manifest::{ChannelManifest, Package};
use super::error::{Nearby, ResolveError};
use super::suggest::{nearest_names, one_slip_away};
use crate::lock::{Lock, LockedSource, LockedToolchain, ManifestSignature};
use crate::manifest::{Manifest, TargetRequest};
use crate::types::{Channel, ComponentId, ComponentName, RelPath, Sha256, Strategy, Triple};

/// What every host gets.
const HOST_PACKAGES: [&str; 3] = ["rustc", "cargo", "rust-std"];

/// The lock with the hosts' archives, without targets.
pub(super) fn toolchain(
    manifest: &Manifest,
    channel: &ChannelManifest,
    path: &RelPath,
    sha256: Sha256,
) -> Result<Lock, ResolveError> {
    if manifest.channel == Channel::System {
        return Err(ResolveError::WrongSource {
            channel: manifest.channel,
            origin: "a dist server",
        });
    }
    check_one_commit(manifest, channel)?;
    let (_, rustc) = required(channel, "rustc")?;
    let mut lock = Lock {
        channel: manifest.channel,
        hosts: manifest.hosts.clone(),
        components: manifest.components.clone(),
        toolchain: LockedToolchain::Dist {
            date: channel.date,
            rustc: rustc.version.clone(),
            commit: rustc.commit.clone(),
            manifest_path: path.clone(),
            manifest_sha256: sha256,
            signature: ManifestSignature::NotAsked,
        },
        archives: BTreeMap::new(),
        targets: BTreeMap::new(),
    };
    for host in &manifest.hosts {
        add_host(&mut lock, channel, host)?;
        for component in &manifest.components {
            add_component(&mut lock, channel, component, host)?;
        }
    }
    Ok(lock)
}

/// The packages that are made from another repository than rustc, whose commits
/// are therefore other ones.
const OWN_REPOSITORY: [&str; 2] = ["cargo", "rls-preview"];

/// Since when every other package is made from rustc's own repository. The last
/// ones to move there were rust-analyzer and Miri, in 2022.
const ONE_REPOSITORY: &str = "2023-01-01";

/// Refuses packages of different commits: rustc reads only what its own commit
/// wrote, compiles only its own library, and its tools are linked with it.
///
/// A tool's own version number says nothing, so commits are compared, as far as
/// they are stated: in full, or shortened behind the version.
fn check_one_commit(manifest: &Manifest, channel: &ChannelManifest) -> Result<(), ResolveError> {
    let (rustc_name, rustc) = required(channel, "rustc")?;
    let mixed = |name: &ComponentName, first: &str, second: &str| ResolveError::MixedCommits {
        first: rustc_name.clone(),
        first_version: first.to_owned(),
        second: name.clone(),
        second_version: second.to_owned(),
    };
    for name in ["rust-std", "rust-src"] {
        if let Some((name, package)) = channel.package(name)
            && package.version != rustc.version
        {
            return Err(mixed(name, &rustc.version, &package.version));
        }
    }
    let one_repository = ONE_REPOSITORY.parse().is_ok_and(|day| channel.date >= day);
    let asked = manifest.components.iter().map(ComponentName::as_str);
    for name in ["rust-std", "rust-src"].into_iter().chain(asked) {
        let Some((name, package)) = channel.package(name) else {
            continue;
        };
        let of_rustc = one_repository || package.version == rustc.version;
        if !of_rustc || OWN_REPOSITORY.contains(&name.as_str()) {
            continue;
        }
        if let Some((first, second)) = rustc.commit.as_ref().zip(package.commit.as_ref())
            && first != second
        {
            return Err(mixed(name, first, second));
        }
        if let Some((first, second)) = short(rustc).zip(short(package))
            && !first.starts_with(second)
            && !second.starts_with(first)
        {
            return Err(mixed(name, &rustc.version, &package.version));
        }
    }
    Ok(())
}

/// The commit that a version has behind its number: `e50aa6fba` of
/// `1.97.0-nightly (e50aa6fba 2026-05-19)`.
fn short(package: &Package) -> Option<&str> {
    let (_, behind) = package.version.split_once('(')?;
    behind.split_whitespace().next()
}

fn required<'c>(
    channel: &'c ChannelManifest,
    name: &'static str,
) -> Result<(&'c ComponentName, &'c Package), ResolveError> {
    channel.package(name).ok_or(ResolveError::NoPackage {
        name,
        date: channel.date,
    })
}

fn add_host(lock: &mut Lock, channel: &ChannelManifest, host: &Triple) -> Result<(), ResolveError> {
    for package in HOST_PACKAGES {
        let (name, package) = required(channel, package)?;
        if !add(lock, name, package, Some(host)) {
            let hosts = required(channel, "rustc")?.1.available();
            return Err(ResolveError::UnknownHost {
                host: host.clone(),
                date: channel.date,
                nearest: nearest_names(host.as_str(), hosts.map(Triple::as_str)),
            });
        }
    }
    Ok(())
}

/// Adds an archive, if it is available.
fn add(lock: &mut Lock, name: &ComponentName, package: &Package, target: Option<&Triple>) -> bool {
    let Some(archive) = package.archive(target) else {
        return false;
    };
    let id = ComponentId {
        name: name.clone(),
        target: target.cloned(),
    };
    lock.archives.insert(id, archive.clone());
    true
}

fn add_component(
    lock: &mut Lock,
    channel: &ChannelManifest,
    asked: &ComponentName,
    host: &Triple,
) -> Result<(), ResolveError> {
    let Some((name, package)) = channel.package(asked.as_str()) else {
        return Err(ResolveError::UnknownComponent {
            name: asked.clone(),
            date: channel.date,
            nearest: nearest_names(asked.as_str(), channel.names()),
        });
    };
    if add(lock, name, package, Some(host)) || add(lock, name, package, None) {
        return Ok(());
    }
    Err(ResolveError::UnavailableComponent {
        name: asked.clone(),
        target: host.clone(),
        date: channel.date,
    })
}

/// Whether a target is compiled rather than downloaded.
pub(super) fn is_built(
    channel: &ChannelManifest,
    name: &Triple,
    request: &TargetRequest,
) -> Result<bool, ResolveError> {
    let (_, rust_std) = required(channel, "rust-std")?;
    let shipped = rust_std.archive(Some(name)).is_some();
    let available = || rust_std.available().map(Triple::as_str);
    match request.strategy {
        Strategy::Build => Ok(true),
        Strategy::Auto if shipped => Ok(request.build_only_key().is_some()),
        Strategy::Auto if request.spec.is_some() || rust_std.lists(name) => Ok(true),
        Strategy::Auto => match one_slip_away(name.as_str(), available()) {
            Some(nearest) => Err(ResolveError::Suspicious {
                target: name.clone(),
                date: channel.date,
                nearest,
            }),
            None => Ok(true),
        },
        Strategy::Download if shipped => Ok(false),
        Strategy::Download => Err(ResolveError::NotShipped {
            target: name.clone(),
            date: channel.date,
            listed: rust_std.lists(name),
            nearest: nearest_names(name.as_str(), available()),
            nearby: Nearby::NotLooked,
        }),
    }
}

/// Adds what the resolved targets need: rust-std to download, rust-src to build.
pub(super) fn add_target_archives(
    lock: &mut Lock,
    channel: &ChannelManifest,
) -> Result<(), ResolveError> {
    let (std_name, rust_std) = required(channel, "rust-std")?;
    let downloads: Vec<Triple> = targets_of(lock, false);
    for target in &downloads {
        add(lock, std_name, rust_std, Some(target));
    }
    if targets_of(lock, true).is_empty() {
        return Ok(());
    }
    let (src_name, rust_src) = required(channel, "rust-src")?;
    if add(lock, src_name, rust_src, None) {
        return Ok(());
    }
    Err(ResolveError::NoPackage {
        name: "rust-src",
        date: channel.date,
    })
}

fn targets_of(lock: &Lock, build: bool) -> Vec<Triple> {
    let targets = lock.targets.iter();
    targets
        .filter(|(_, target)| matches!(target.source, LockedSource::Build { .. }) == build)
        .map(|(name, _)| name.clone())
        .collect()
}
