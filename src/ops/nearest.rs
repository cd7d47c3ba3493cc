//! Which dates near an asked one have a target that it lacks.

use std::time::Instant;

use super::{Context, OpsError, channel};
use crate::events::{Stage, Task};
use crate::fetch::{FetchError, Mirrors, Options};
use crate::resolve::{Nearby, ResolveError};
use crate::types::{Channel, Date, Triple};

/// How far from the asked date we look, in days either way.
const DAYS: i32 = 14;
/// How far from the asked release we look, in minor versions either way.
const RELEASES: u16 = 3;

/// Completes the error of a target that upstream does not ship on a date: asks
/// the dist server which near date has it.
///
/// At most 28 channel manifests are looked at, nearest first, none of the
/// future, and none at all offline. A server that fails ends the search: the
/// error that is being told is worth more than this one.
pub(super) fn complete(cx: &Context<'_>, channel: Channel, error: ResolveError) -> OpsError {
    let ResolveError::NotShipped {
        target,
        date,
        listed,
        nearest,
        nearby: _,
    } = error
    else {
        return error.into();
    };
    let nearby = if cx.settings.offline {
        Nearby::NotLooked
    } else {
        look(cx, channel, &target)
    };
    OpsError::Resolve(ResolveError::NotShipped {
        target,
        date,
        listed,
        nearest,
        nearby,
    })
}

fn look(cx: &Context<'_>, channel: Channel, target: &Triple) -> Nearby {
    let options = Options {
        attempts: 1,
        mismatch_wait: std::time::Duration::ZERO,
        ..Options::default()
    };
    let Ok(mirrors) = channel::mirrors_with(cx, options) else {
        return Nearby::NotLooked;
    };
    let begun = Instant::now();
    let task = format!("a date with {target}");
    let shown = Task::start(cx.observer, task, Stage::Search, None);
    let mut looked = Vec::new();
    let mut found = None;
    for candidate in candidates(channel, cx.settings.today) {
        match has(cx, &mirrors, candidate, target) {
            Ok(Some(true)) => {
                found = Some(candidate);
                break;
            }
            Ok(Some(false)) => looked.push(candidate),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    shown.finish(begun.elapsed());
    match found {
        Some(channel) => Nearby::Has(channel),
        None if looked.is_empty() => Nearby::NotLooked,
        None => Nearby::NoneOf(looked.len()),
    }
}

/// Whether a channel ships a target; `None` if there is no such channel.
fn has(
    cx: &Context<'_>,
    mirrors: &Mirrors<'_>,
    channel: Channel,
    target: &Triple,
) -> Result<Option<bool>, OpsError> {
    let path = channel::path(channel)?;
    let file = match mirrors.channel_manifest(&path) {
        Ok(answer) => answer.value,
        Err(FetchError::NoManifest { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let manifest = channel::read(cx, channel, &file)?;
    let package = manifest.package("rust-std");
    Ok(Some(package.is_some_and(|(_, package)| {
        package.archive(Some(target)).is_some()
    })))
}

/// The channels near one, nearest first; of two as near, the earlier first.
fn candidates(channel: Channel, today: Date) -> Vec<Channel> {
    let dated = |date: Date, of: fn(Date) -> Channel| {
        let near = (1..=DAYS).flat_map(|days| [-days, days]);
        near.filter_map(|days| date.plus_days(days))
            .filter(|date| *date <= today)
            .map(of)
            .collect()
    };
    match channel {
        Channel::Nightly(date) => dated(date, Channel::Nightly),
        Channel::Beta(date) => dated(date, Channel::Beta),
        Channel::Stable(release) => (1..=RELEASES)
            .flat_map(|n| [release.minor_before(n), release.minor_after(n)])
            .flatten()
            .map(Channel::Stable)
            .collect(),
        Channel::System => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(channel: &str, today: &str) -> Vec<String> {
        let found = candidates(channel.parse().unwrap(), today.parse().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn near_dates_come_first_and_none_of_the_future() {
        let found = near("nightly-2026-05-20", "2026-05-21");
        assert_eq!(
            found[..4],
            [
                "nightly-2026-05-19",
                "nightly-2026-05-21",
                "nightly-2026-05-18",
                "nightly-2026-05-17"
            ]
        );
        assert_eq!(found.last().unwrap(), "nightly-2026-05-06");
        assert_eq!(found.len(), 15);
        assert_eq!(near("beta-2026-05-20", "2027-01-01").len(), 28);
        assert_eq!(
            near("nightly-2016-03-07", "2016-03-08"),
            ["nightly-2016-03-08"]
        );
        assert_eq!(
            near("1.1.3", "2026-05-21"),
            ["1.0.0", "1.2.0", "1.3.0", "1.4.0"]
        );
        assert!(near("system", "2026-05-21").is_empty());
    }
}
