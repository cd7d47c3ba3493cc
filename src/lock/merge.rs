//! A lock that git left its conflict markers in: what both sides agree on.
//!
//! The invariant: nothing comes out that only one side says. What they do not
//! agree on is resolved again from the manifest; a pin that only one of them
//! has is no pin. What a new lock is held against is the exception, because
//! there more is safer: the newer date, and a signature that either side has.

use std::path::Path;

use super::{Lock, LockedSource, LockedTarget, LockedToolchain, ManifestSignature};
use crate::types::Channel;

/// What two sides of a conflict agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// It may lack what a lock has to have; it stands in for the old lock when
    /// a new one is resolved.
    pub lock: Lock,
    /// Whether the sides differ in pins only, so that it lacks nothing.
    pub whole: bool,
    /// How many pins both have.
    pub pins: usize,
}

/// Reads both sides of a text with conflict markers; `None` where a side is no
/// lock, or the markers are not git's. If they are of different channels, the
/// side of `channel`, which the manifest names now, gives its date.
pub fn agreed(text: &str, file_name: &Path, channel: Channel) -> Option<Agreed> {
    let (ours, theirs) = sides(text)?;
    let mut ours = Lock::parse(&ours, file_name).ok()?;
    let mut theirs = Lock::parse(&theirs, file_name).ok()?;
    if theirs.channel == channel {
        std::mem::swap(&mut ours, &mut theirs);
    }
    let whole = without_pins(ours.clone()) == without_pins(theirs.clone());
    let lock = both(ours, &theirs);
    let pins = pins(&lock);
    Some(Agreed { lock, whole, pins })
}

/// Which side a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Both,
    Ours,
    Base,
    Theirs,
}

/// The two texts that git had before it wrote its markers.
fn sides(text: &str) -> Option<(String, String)> {
    let (mut ours, mut theirs) = (String::new(), String::new());
    let mut side = Side::Both;
    for line in text.split_inclusive('\n') {
        let word = line.split_whitespace().next().unwrap_or_default();
        side = match (word, side) {
            ("<<<<<<<", Side::Both) => Side::Ours,
            ("|||||||", Side::Ours) => Side::Base,
            ("=======", Side::Ours | Side::Base) => Side::Theirs,
            (">>>>>>>", Side::Theirs) => Side::Both,
            ("<<<<<<<" | "|||||||" | "=======" | ">>>>>>>", _) => return None,
            (_, side) => {
                if matches!(side, Side::Both | Side::Ours) {
                    ours.push_str(line);
                }
                if matches!(side, Side::Both | Side::Theirs) {
                    theirs.push_str(line);
                }
                side
            }
        };
    }
    (side == Side::Both).then_some((ours, theirs))
}

/// What is the same in both locks.
fn both(ours: Lock, theirs: &Lock) -> Lock {
    let mut lock = Lock {
        toolchain: stricter(&ours, theirs),
        ..ours
    };
    lock.hosts.retain(|host| theirs.hosts.contains(host));
    lock.components
        .retain(|name| theirs.components.contains(name));
    lock.archives
        .retain(|id, archive| theirs.archives.get(id) == Some(archive));
    lock.targets.retain(|name, target| {
        let other = theirs.targets.get(name);
        other.is_some_and(|other| same_target(target, other))
    });
    lock
}

/// The toolchain that allows less: a new lock is refused if it is older than
/// this, or if this is signed and the new one is not. Dates of two channels
/// cannot be compared.
fn stricter(ours: &Lock, theirs: &Lock) -> LockedToolchain {
    let (ours, theirs, same_channel) = (
        &ours.toolchain,
        &theirs.toolchain,
        ours.channel == theirs.channel,
    );
    let (LockedToolchain::Dist { date: our, .. }, LockedToolchain::Dist { date: their, .. }) =
        (ours, theirs)
    else {
        return ours.clone();
    };
    let (kept, other) = if same_channel && their > our {
        (theirs, ours)
    } else {
        (ours, theirs)
    };
    let mut kept = kept.clone();
    if let (
        LockedToolchain::Dist {
            manifest_path,
            manifest_sha256,
            signature,
            ..
        },
        LockedToolchain::Dist {
            manifest_path: signed_path,
            manifest_sha256: signed_sha256,
            signature: other @ ManifestSignature::Good { .. },
            ..
        },
    ) = (&mut kept, other)
        && !matches!(signature, ManifestSignature::Good { .. })
    {
        // A signature is nothing without the hash of what it is of.
        manifest_path.clone_from(signed_path);
        *manifest_sha256 = *signed_sha256;
        signature.clone_from(other);
    }
    kept
}

/// Whether both sides have a target with the same answer; reduces its hosts
/// and pins to those that both have.
fn same_target(ours: &mut LockedTarget, theirs: &LockedTarget) -> bool {
    if (&ours.request, &ours.spec) != (&theirs.request, &theirs.spec) {
        return false;
    }
    match (&mut ours.source, &theirs.source) {
        (
            LockedSource::Build { options, hosts },
            LockedSource::Build {
                options: other_options,
                hosts: others,
            },
        ) => {
            hosts.retain(|host, build| others.get(host).is_some_and(|o| o.key == build.key));
            for (host, build) in hosts {
                let other = others.get(host).and_then(|other| other.pin);
                build.pin = build.pin.filter(|pin| other == Some(*pin));
            }
            options == other_options
        }
        (ours, theirs) => ours == theirs,
    }
}

fn without_pins(mut lock: Lock) -> Lock {
    for target in lock.targets.values_mut() {
        if let LockedSource::Build { hosts, .. } = &mut target.source {
            for build in hosts.values_mut() {
                build.pin = None;
            }
        }
    }
    lock
}

fn pins(lock: &Lock) -> usize {
    let builds = lock
        .targets
        .values()
        .filter_map(|target| match &target.source {
            LockedSource::Build { hosts, .. } => Some(hosts.values()),
            LockedSource::Download | LockedSource::System => None,
        });
    builds.flatten().filter(|build| build.pin.is_some()).count()
}
