//! `update`: another date in the manifest, and the lock made from it.

use super::channel;
use super::lock::{LockMode, LockOptions, LockReport, lock};
use super::project::{MAX_MANIFEST, Project};
use super::{Context, OpsError};
use crate::fetch::FetchError;
use crate::lock::LockedSource;
use crate::manifest::{Manifest, with_channel};
use crate::resolve::{ChannelManifest, ResolveError, check_age, check_channel};
use crate::sys::fs;
use crate::types::{Channel, Class, Date, Diagnostic as _};

/// How many dates are tried at most, newest first.
const MAX_TRIED: i32 = 28;

/// The date to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateTo {
    /// The newest that has everything the manifest asks for.
    Latest,
    /// This one, also if it is older.
    Date(Date),
}

/// What is asked of `update`.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// The date to go to.
    pub to: UpdateTo,
    /// Report, but write nothing.
    pub dry_run: bool,
    /// Accept a channel manifest without signature although the lock's has one.
    pub allow_unsigned: bool,
}

/// What `update` did, or would do.
#[derive(Clone, Debug)]
pub struct UpdateReport {
    /// The manifest's channel before.
    pub from: Channel,
    /// Its channel now.
    pub to: Channel,
    /// Newer dates that lack something, newest first, with what they lack.
    pub skipped: Vec<(Channel, String)>,
    /// The new lock; `None` if the manifest names the newest date already.
    pub lock: Option<LockReport>,
    /// How many days old the channel manifest of `to` is; negative for a day
    /// that has not come here yet.
    pub age_in_days: i64,
}

/// Writes another date into the manifest, and the lock that goes with it.
///
/// Everything is resolved before anything is written. A date counts as having
/// everything if it resolves, and no target that is downloaded now would have
/// to be compiled.
pub fn update(
    cx: &Context<'_>,
    project: &Project,
    options: UpdateOptions,
) -> Result<UpdateReport, OpsError> {
    let from = project.manifest.channel;
    let (current, make): (Date, fn(Date) -> Channel) = match from {
        Channel::Nightly(date) => (date, Channel::Nightly),
        Channel::Beta(date) => (date, Channel::Beta),
        Channel::Stable(_) | Channel::System => return Err(OpsError::NotDated(from)),
    };
    let text = fs::read_text(&project.files.manifest, MAX_MANIFEST)?;
    let attempt = |channel: Channel| attempt(cx, project, &text, channel, options);
    let mut skipped = Vec::new();
    let (to, found) = match options.to {
        UpdateTo::Date(date) => (make(date), attempt(make(date))?),
        UpdateTo::Latest => {
            let newest = newest(cx, (from, current), make)?;
            let dates = (0..MAX_TRIED).filter_map(|days| newest.plus_days(-days));
            let mut found = None;
            for channel in dates.take_while(|date| *date > current).map(make) {
                match attempt(channel) {
                    Ok(made) => {
                        found = Some((channel, made));
                        break;
                    }
                    Err(error) if error.class() == Class::Unresolvable => {
                        skipped.push((channel, error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
            match found {
                Some(found) => found,
                None if skipped.is_empty() => {
                    return Ok(UpdateReport {
                        from,
                        to: from,
                        skipped,
                        lock: None,
                        age_in_days: current.age_in_days(cx.settings.today),
                    });
                }
                None => return Err(OpsError::NothingNewer { from, skipped }),
            }
        }
    };
    let (edited, report) = found;
    if !options.dry_run {
        fs::replace(&project.files.manifest, edited.as_bytes())?;
        fs::replace(&project.files.lock, report.file.text.as_bytes())?;
    }
    let date = to.date().unwrap_or(current);
    Ok(UpdateReport {
        from,
        to,
        skipped,
        lock: Some(report),
        age_in_days: date.age_in_days(cx.settings.today),
    })
}

/// The edited manifest and the lock of a channel, neither written.
fn attempt(
    cx: &Context<'_>,
    project: &Project,
    text: &str,
    channel: Channel,
    options: UpdateOptions,
) -> Result<(String, LockReport), OpsError> {
    let edited = with_channel(text, &project.files.manifest, channel)?;
    let mut changed = project.clone();
    changed.manifest = Manifest::parse(&edited, &project.files.manifest)?;
    let report = lock(
        cx,
        &changed,
        LockOptions {
            allow_unsigned: options.allow_unsigned,
            look_nearby: options.to != UpdateTo::Latest,
            ..LockMode::DryRun.into()
        },
    )?;
    if options.to == UpdateTo::Latest {
        check_still_shipped(project, &report, channel)?;
    }
    Ok((edited, report))
}

/// A target that is downloaded now shall not silently become a build.
fn check_still_shipped(
    project: &Project,
    report: &LockReport,
    channel: Channel,
) -> Result<(), OpsError> {
    let Some(old) = project.read_lock()? else {
        return Ok(());
    };
    for (name, target) in &report.file.lock.targets {
        let before = old.lock.targets.get(name).map(|target| &target.source);
        let was_shipped = matches!(before, Some(LockedSource::Download));
        if was_shipped && matches!(target.source, LockedSource::Build { .. }) {
            let target = name.clone();
            return Err(OpsError::NoLongerShipped { target, channel });
        }
    }
    Ok(())
}

/// The newest date that the server names. One before the current date is a
/// step back in time, and refused.
fn newest(
    cx: &Context<'_>,
    (from, current): (Channel, Date),
    make: fn(Date) -> Channel,
) -> Result<Date, OpsError> {
    let today = cx.settings.today;
    let Some(path) = from.moving_path() else {
        return Err(OpsError::NotDated(from));
    };
    if cx.settings.offline {
        let what = format!("the newest date of {path}");
        return Err(OpsError::Offline { what });
    }
    let path = path.parse().map_err(OpsError::ServerPath)?;
    let manifest = match channel::mirrors(cx)?.channel_manifest(&path) {
        Ok(answer) => ChannelManifest::parse(&answer.value.bytes)?,
        // Some mirrors have dated directories only.
        Err(FetchError::NoManifest { .. }) => return Ok(today.max(current)),
        Err(error) => return Err(error.into()),
    };
    let date = manifest.date;
    // A server that is frozen says for ever that there is nothing newer.
    check_age(date, today, cx.settings.config.dist.max_age)?;
    check_channel(make(date), &manifest, today)?;
    if date < current {
        return Err(ResolveError::NewestOlder {
            current,
            newest: date,
        }
        .into());
    }
    Ok(date)
}
