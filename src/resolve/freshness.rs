//! A new lock against the old one: no going back, no change under a date, and
//! pins that stay valid.

use std::fmt;

use super::{ChannelManifest, ResolveError};
use crate::config::Age;
use crate::lock::{Lock, LockedArchive, LockedComponent, LockedSource, LockedToolchain};
use crate::types::{Channel, Date, RelPath, Sha256};

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;

/// An archive that has other bytes than when it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Republished {
    /// The archive.
    pub path: RelPath,
    /// The locked digest.
    pub locked: Sha256,
    /// The digest that the server states now.
    pub served: Sha256,
}

impl fmt::Display for Republished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            locked,
            served,
        } = self;
        write!(f, "{path}: locked {locked}, served {served}")
    }
}

/// Refuses a channel manifest of another day, release or channel than asked
/// for, or of a day that has not come.
///
/// A signature proves that upstream published the bytes, not as what: a server
/// can answer with those of another release. What tells them apart is the
/// version of rustc.
pub fn check_channel(
    channel: Channel,
    served: &ChannelManifest,
    today: Date,
) -> Result<(), ResolveError> {
    check_date(channel, served.date, today)?;
    match served.package("rustc") {
        Some((_, rustc)) if !channel.has_version(&rustc.version) => {
            Err(ResolveError::OtherChannel {
                channel,
                served: rustc.version.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn check_date(channel: Channel, served: Date, today: Date) -> Result<(), ResolveError> {
    if served.is_far_future(today) {
        return Err(ResolveError::FarFuture {
            date: served,
            today,
        });
    }
    match channel.date() {
        Some(asked) if asked != served => Err(ResolveError::OtherDay { asked, served }),
        _ => Ok(()),
    }
}

/// Refuses a channel manifest that is older than the user accepts: a server
/// that answers with the same old day for ever looks just like that.
pub fn check_age(served: Date, today: Date, max_age: Option<Age>) -> Result<(), ResolveError> {
    let days = served.age_in_days(today);
    let seconds = u64::try_from(days).unwrap_or(0).saturating_mul(DAY);
    match max_age {
        Some(max_age) if seconds > max_age.seconds() => Err(ResolveError::TooOld {
            date: served,
            today,
            days,
            max_age,
        }),
        _ => Ok(()),
    }
}

/// Refuses a lock of an older day than the one it replaces, unless the
/// manifest's channel changed, which is the user's own word.
pub fn check_not_older(old: &Lock, new: &Lock) -> Result<(), ResolveError> {
    match (date(old), date(new)) {
        (Some(locked), Some(offered)) if old.channel == new.channel && offered < locked => {
            Err(ResolveError::Older { locked, offered })
        }
        _ => Ok(()),
    }
}

/// Refuses archives that have other bytes under the path they were locked with.
pub fn check_not_republished(old: &Lock, new: &Lock) -> Result<(), ResolveError> {
    let changes: Vec<Republished> = old
        .archives
        .iter()
        .filter_map(|(id, locked)| Some((locked, new.archives.get(id)?)))
        .flat_map(|(locked, served)| changed(locked, served))
        .collect();
    match date(new) {
        Some(date) if !changes.is_empty() => Err(ResolveError::Republished { date, changes }),
        _ => Ok(()),
    }
}

fn changed(locked: &LockedComponent, served: &LockedComponent) -> Vec<Republished> {
    let one = |locked: &Option<LockedArchive>, served: &Option<LockedArchive>| {
        let (locked, served) = (locked.as_ref()?, served.as_ref()?);
        let other = locked.path == served.path && locked.sha256 != served.sha256;
        other.then(|| Republished {
            path: locked.path.clone(),
            locked: locked.sha256,
            served: served.sha256,
        })
    };
    let xz = one(&locked.xz, &served.xz);
    xz.into_iter().chain(one(&locked.gz, &served.gz)).collect()
}

/// Copies the pins whose recipe key is unchanged.
pub fn carry_pins(new: &mut Lock, old: &Lock) {
    for (name, target) in &mut new.targets {
        let LockedSource::Build { hosts, .. } = &mut target.source else {
            continue;
        };
        let Some(LockedSource::Build { hosts: before, .. }) =
            old.targets.get(name).map(|target| &target.source)
        else {
            continue;
        };
        for (host, build) in hosts {
            if let Some(pinned) = before.get(host).filter(|before| before.key == build.key) {
                build.pin = build.pin.or(pinned.pin);
            }
        }
    }
}

fn date(lock: &Lock) -> Option<Date> {
    match &lock.toolchain {
        LockedToolchain::Dist { date, .. } => Some(*date),
        LockedToolchain::System { .. } => None,
    }
}
