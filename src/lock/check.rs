//! What must hold between the parts of a lock, whoever wrote it.

use super::place::Place;
use super::{Lock, LockedSource, LockedTarget};
use crate::document::Fault;
use crate::types::{Channel, Strategy, Triple};

/// What must hold between the parts.
pub(super) fn check(place: &Place<'_, '_>, lock: &Lock) -> Result<(), Fault> {
    let system = lock.channel == Channel::System;
    if system && !lock.archives.is_empty() {
        return Err(place.fault("archives", "the system's toolchain has no archives"));
    }
    if !system {
        if lock.hosts.is_empty() {
            return Err(place.fault("hosts", "`hosts` is empty"));
        }
        for host in &lock.hosts {
            for name in ["rustc", "cargo", "rust-std"] {
                require_archive(place, lock, name, Some(host))?;
            }
        }
    }
    for (name, target) in &lock.targets {
        check_target(place, lock, name, target)?;
    }
    Ok(())
}

fn check_target(
    top: &Place<'_, '_>,
    lock: &Lock,
    name: &Triple,
    target: &LockedTarget,
) -> Result<(), Fault> {
    let place = top.below("targets").below(name.as_str());
    let system = lock.channel == Channel::System;
    check_strategy(&place, target)?;
    match &target.source {
        LockedSource::Download if system => {
            Err(place.fault("source", "the system's toolchain downloads nothing"))
        }
        LockedSource::System if !system => {
            Err(place.fault("source", "only the channel `system` has targets of its own"))
        }
        LockedSource::Download => require_archive(top, lock, "rust-std", Some(name)),
        LockedSource::System => Ok(()),
        LockedSource::Build { hosts, .. } => {
            let missing = lock.hosts.iter().find(|host| !hosts.contains_key(host));
            if let Some(host) = missing {
                return Err(place.fault("hosts", format!("the host `{host}` is missing here")));
            }
            let any = system && lock.hosts.is_empty();
            if let Some(host) = hosts
                .keys()
                .find(|host| !any && !lock.hosts.contains(*host))
            {
                let message = format!("`{host}` is none of the lock's hosts");
                return Err(place.below("hosts").fault(host.as_str(), message));
            }
            if hosts.is_empty() {
                return Err(place.fault("hosts", "the key `hosts` is missing here"));
            }
            if system {
                return Ok(());
            }
            require_archive(top, lock, "rust-src", None)
        }
    }
}

/// `auto` may have become either; the others say what they must be.
fn check_strategy(place: &Place<'_, '_>, target: &LockedTarget) -> Result<(), Fault> {
    let built = matches!(target.source, LockedSource::Build { .. });
    let wrong = match target.request.strategy {
        Strategy::Auto => !built && target.request.build_only_key().is_some(),
        Strategy::Download => built,
        Strategy::Build => !built,
    };
    if wrong {
        let source = target.source.as_str();
        return Err(place.fault("source", format!("the request does not allow `{source}`")));
    }
    Ok(())
}

fn require_archive(
    place: &Place<'_, '_>,
    lock: &Lock,
    name: &str,
    target: Option<&Triple>,
) -> Result<(), Fault> {
    let found = lock
        .archives
        .keys()
        .any(|id| id.name.as_str() == name && id.target.as_ref() == target);
    if found {
        return Ok(());
    }
    let triple = target.map_or("*", Triple::as_str);
    Err(place.fault(
        "archives",
        format!("the archive `{name}` for `{triple}` is missing"),
    ))
}
