//! `lock`: the manifest's request resolved, and written if its meaning changed.

use std::time::Instant;

use super::project::{LockFile, Project};
use super::{Context, OpsError, TrustError, channel, nearest, signature, system};
use crate::events::{Event, Stage, Task};
use crate::lock::{Agreed, Difference, Lock, LockError, LockedSource, LockedToolchain, agreed};
use crate::resolve::{
    ResolveError, Source, carry_pins, check_age, check_not_older, check_not_republished, resolve,
};
use crate::sys::fs;
use crate::types::{Channel, counted};

/// What `lock` may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Write the lock if its meaning changed.
    Write,
    /// Resolve and report, but write nothing.
    DryRun,
    /// Fail if the lock would change; write nothing.
    Check,
}

/// What is asked of `lock`.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that is asked for"
)]
pub struct LockOptions {
    /// What it may do.
    pub mode: LockMode,
    /// Ask the server again, and take over a day that it published anew
    /// (unless nothing is written).
    pub refresh: bool,
    /// Accept a channel manifest that is older than the lock's.
    pub allow_downgrade: bool,
    /// Accept a channel manifest without signature although the lock's has one.
    pub allow_unsigned: bool,
    /// Ask the server which near date has a target that the asked one lacks.
    pub look_nearby: bool,
}

impl From<LockMode> for LockOptions {
    /// This mode, and nothing else out of the ordinary.
    fn from(mode: LockMode) -> Self {
        Self {
            mode,
            refresh: false,
            allow_downgrade: false,
            allow_unsigned: false,
            look_nearby: true,
        }
    }
}

/// What became of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockStatus {
    /// It answers the manifest already.
    Fresh,
    /// It was missing.
    Created,
    /// It was stale, in these fields.
    Updated(Vec<Difference>),
}

/// What `lock` did, or would do.
#[derive(Clone, Debug)]
pub struct LockReport {
    /// What became of the lock.
    pub status: LockStatus,
    /// The lock.
    pub file: LockFile,
    /// How many days old the channel manifest is that was just resolved;
    /// `None` if nothing was, or for the system's toolchain.
    pub age_in_days: Option<i64>,
}

/// Resolves the manifest and writes the lock if its meaning changed.
///
/// A lock that answers the manifest is not resolved again: it never changes
/// silently. The system's toolchain is asked every time, because the machine
/// may have another one than yesterday. With `refresh` the server is asked
/// again too, and a day that it published anew is taken over.
pub fn lock(
    cx: &Context<'_>,
    project: &Project,
    options: LockOptions,
) -> Result<LockReport, OpsError> {
    let LockOptions { mode, refresh, .. } = options;
    let before_text = project.lock_text();
    let old = read_old(cx, project, mode)?;
    let differences = old.file.as_ref().map(|old| project.differences(&old.lock));
    let is_system = project.manifest.channel == Channel::System;
    let satisfies = old
        .file
        .as_ref()
        .is_none_or(|old| signature::satisfies_policy(cx, &old.lock));
    let answers = differences.as_deref() == Some(&[]) && !refresh && !is_system && satisfies;
    if let (true, Known::Good, Some(file)) = (answers, old.known, &old.file) {
        return Ok(LockReport {
            status: LockStatus::Fresh,
            file: file.clone(),
            age_in_days: None,
        });
    }
    if mode == LockMode::Check {
        check_answers(project, differences.as_deref())?;
        if !satisfies {
            return Err(unsigned(project));
        }
    }
    let before = old.file.as_ref().map(|file| &file.lock);
    let new = match before {
        Some(agreed) if answers && old.known == Known::Agreed { whole: true } => agreed.clone(),
        _ => resolve_project(cx, project, before, options)?,
    };
    let age_in_days = age_in_days(cx, &new);
    let text = new.to_text();
    let status = match (before, old.known) {
        (Some(before), Known::Good) if *before == new => LockStatus::Fresh,
        (None, Known::Good) => LockStatus::Created,
        _ => LockStatus::Updated(differences.unwrap_or_default()),
    };
    if status == LockStatus::Fresh {
        // Equal in meaning: the text on the disk stays, whatever its line ends.
        if let Some(file) = old.file {
            return Ok(LockReport {
                status,
                file,
                age_in_days,
            });
        }
    }
    if mode == LockMode::Check {
        return Err(OpsError::WouldChange(project.files.lock.clone()));
    }
    if mode == LockMode::Write
        && let Some(file) = replace_unchanged(project, before_text.as_deref(), &text)?
    {
        return Ok(LockReport {
            status: LockStatus::Fresh,
            file,
            age_in_days,
        });
    }
    Ok(LockReport {
        status,
        file: LockFile { lock: new, text },
        age_in_days,
    })
}

/// Writes the lock, unless somebody else wrote it since it was read: resolving
/// takes a while, and theirs may be the same answer with pins, which is then
/// returned, or one to a newer question.
fn replace_unchanged(
    project: &Project,
    before: Option<&str>,
    text: &str,
) -> Result<Option<LockFile>, OpsError> {
    let now = project.lock_text();
    if now.as_deref() != before && now.as_deref() != Some(text) {
        return match project.read_lock()? {
            Some(file) if project.differences(&file.lock).is_empty() => Ok(Some(file)),
            _ => Err(OpsError::LockChanged(project.files.lock.clone())),
        };
    }
    fs::replace(&project.files.lock, text.as_bytes())?;
    Ok(None)
}

/// The error of a lock without the signature that the user's policy requires.
pub(super) fn unsigned(project: &Project) -> OpsError {
    let lock = project.files.lock.clone();
    TrustError::UnsignedLock { lock }.into()
}

fn age_in_days(cx: &Context<'_>, lock: &Lock) -> Option<i64> {
    match &lock.toolchain {
        LockedToolchain::Dist { date, .. } => Some(date.age_in_days(cx.settings.today)),
        LockedToolchain::System { .. } => None,
    }
}

/// What is known of the lock that is to be replaced.
struct Old {
    /// `None`: nothing.
    file: Option<LockFile>,
    known: Known,
}

/// How it is known.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// It was read, or there is none.
    Good,
    /// It is what two sides of a conflict agree on, with its pins only or in
    /// whole.
    Agreed { whole: bool },
}

/// Reads the lock. A damaged one is what `lock` is there to replace; a check
/// must see it.
fn read_old(cx: &Context<'_>, project: &Project, mode: LockMode) -> Result<Old, OpsError> {
    let warn = |text: String| cx.observer.event(Event::Warning(text));
    let (file, known) = match project.read_lock() {
        Err(OpsError::Lock(e @ LockError::Conflict(_))) if mode != LockMode::Check => {
            let text = project.files.lock_text()?.unwrap_or_default();
            let agreed = agreed(&text, &project.files.lock, project.manifest.channel);
            let whole = agreed.as_ref().is_some_and(|agreed| agreed.whole);
            warn(match &agreed {
                None => format!("{e}; no two locks can be read from it, so it is resolved anew"),
                Some(Agreed { lock, pins, .. }) => format!(
                    "{e}; it is locked again, and what both sides agree on is kept: {}, {}",
                    counted(lock.targets.len(), "target"),
                    counted(*pins, "pin")
                ),
            });
            let file = agreed.map(|Agreed { lock, .. }| LockFile { lock, text });
            (file, Known::Agreed { whole })
        }
        Err(OpsError::Lock(e @ LockError::Empty { .. })) if mode == LockMode::Write => {
            warn(format!("{e}; it is resolved anew"));
            (None, Known::Good)
        }
        result => (result?, Known::Good),
    };
    Ok(Old { file, known })
}

/// Refuses a lock that is missing, or stale by itself.
fn check_answers(project: &Project, differences: Option<&[Difference]>) -> Result<(), OpsError> {
    let path = project.files.lock.clone();
    match differences {
        None => Err(OpsError::MissingLock(path)),
        Some([]) => Ok(()),
        Some(differences) => Err(OpsError::StaleLock {
            path,
            differences: differences.to_vec(),
        }),
    }
}

fn resolve_project(
    cx: &Context<'_>,
    project: &Project,
    old: Option<&Lock>,
    options: LockOptions,
) -> Result<Lock, OpsError> {
    let begun = Instant::now();
    let task = project.manifest.channel.to_string();
    let shown = Task::start(cx.observer, task, Stage::Resolve, None);
    let mut new = match project.manifest.channel.manifest_path() {
        None => {
            let toolchain = system::describe(&system::find(cx)?)?;
            resolve(
                &project.manifest,
                &project.spec_digests(),
                &Source::System(&toolchain),
                cx.settings.today,
            )?
        }
        Some(_) => from_channel(cx, project, old, options)?,
    };
    if let Some(old) = old {
        compare_with_old(cx, old, &new, options)?;
        carry_pins(&mut new, old);
        carry_other_hosts(&mut new, old);
    }
    shown.finish(begun.elapsed());
    Ok(new)
}

/// Resolves against the channel manifest, signature included.
fn from_channel(
    cx: &Context<'_>,
    project: &Project,
    old: Option<&Lock>,
    options: LockOptions,
) -> Result<Lock, OpsError> {
    let (channel, today) = (project.manifest.channel, cx.settings.today);
    let published = channel::published(cx, channel, options.refresh)?;
    let signed = signature::to_lock(cx, channel, &published, old, options.allow_unsigned)?;
    let source = Source::Dist {
        manifest: &published.manifest,
        path: channel::path(channel)?,
        sha256: published.file.sha256,
    };
    let resolved = resolve(&project.manifest, &project.spec_digests(), &source, today);
    let mut new = match resolved {
        Err(error) if options.look_nearby => return Err(nearest::complete(cx, channel, error)),
        result => result?,
    };
    check_age(
        published.manifest.date,
        today,
        cx.settings.config.dist.max_age,
    )?;
    if let LockedToolchain::Dist { signature, .. } = &mut new.toolchain {
        *signature = signed;
    }
    Ok(new)
}

/// Refuses to go back in time, and to take over other bytes of a day that was
/// locked before, unless told to.
fn compare_with_old(
    cx: &Context<'_>,
    old: &Lock,
    new: &Lock,
    options: LockOptions,
) -> Result<(), OpsError> {
    let tell = |error: &ResolveError| cx.observer.event(Event::Warning(error.to_string()));
    match check_not_older(old, new) {
        Err(error) if options.allow_downgrade => tell(&error),
        result => result?,
    }
    match check_not_republished(old, new) {
        // Taking it over is what writing anew is for; a check only tells.
        Err(error) if options.refresh && options.mode != LockMode::Check => tell(&error),
        result => result?,
    }
    Ok(())
}

/// Keeps what other machines locked of the same system toolchain: this one
/// cannot resolve for them.
fn carry_other_hosts(new: &mut Lock, old: &Lock) {
    if !new.hosts.is_empty() || new.toolchain != old.toolchain {
        return;
    }
    for (name, target) in &mut new.targets {
        let before = old
            .targets
            .get(name)
            .filter(|t| t.spec == target.spec)
            .map(|t| &t.source);
        if let (
            LockedSource::Build { options, hosts },
            Some(LockedSource::Build {
                options: old_options,
                hosts: old_hosts,
            }),
        ) = (&mut target.source, before)
            && options == old_options
        {
            for (host, build) in old_hosts {
                hosts.entry(host.clone()).or_insert(*build);
            }
        }
    }
}
