//! `lock`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Session;
use super::args::LockArgs;
use super::error::CliError;
use super::terminal::path_value;
use crate::lock::{Difference, Lock, LockedSource, ManifestSignature};
use crate::ops::{self, LockMode, LockOptions, LockStatus, PinOptions, Pinned};
use crate::types::counted;

pub(super) fn run(session: &Session<'_>, args: &LockArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let mode = match (args.check, args.dry_run) {
        (true, _) => LockMode::Check,
        (false, true) => LockMode::DryRun,
        (false, false) => LockMode::Write,
    };
    let options = LockOptions {
        mode,
        refresh: args.refresh,
        allow_downgrade: args.allow_downgrade,
        allow_unsigned: args.allow_unsigned,
        look_nearby: true,
    };
    let report = ops::lock(&session.cx, &project, options)?;
    let pinned = if args.pin || !args.repin.is_empty() {
        let options = PinOptions {
            mode,
            missing: args.pin,
            again: args.repin.iter().cloned().collect(),
        };
        let file = report.file.clone();
        Some(ops::pin(&session.cx, &project, file, &options)?)
    } else {
        None
    };
    let resolved = mode == LockMode::Write && report.status != LockStatus::Fresh;
    session.terminal.object(&json!({
        "lock": path_value(&project.files.lock),
        "status": status_word(&report.status),
        "changes": changes(&report.status),
        "written": resolved || pinned.as_ref().is_some_and(|pinned| pinned.written),
        "targets": targets(&report.file.lock),
        "pins": pinned.iter().flat_map(|pinned| &pinned.pins).map(pin_object).collect::<Vec<_>>(),
        "age_in_days": report.age_in_days,
        "signature": signature_word(&report.file.lock),
        "signer": signer(&report.file.lock),
    }));
    if mode == LockMode::DryRun && report.status != LockStatus::Fresh {
        session.terminal.result(report.file.text.trim_end());
    }
    describe(session, &report.status, &report.file.lock);
    for one in pinned.iter().flat_map(|pinned| &pinned.pins) {
        describe_pin(session, one, args.repin.contains(&one.target));
    }
    if let Some(days) = report.age_in_days {
        describe_origin(session, &report.file.lock, days);
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of a pin, in one word.
fn pin_word(pinned: &Pinned) -> &'static str {
    match (pinned.old, pinned.new) {
        (None, None) => "missing",
        (None, Some(_)) => "pinned",
        (Some(old), Some(new)) if old == new => "kept",
        (Some(_), _) => "repinned",
    }
}

fn pin_object(pinned: &Pinned) -> Value {
    let Pinned { target, old, new } = pinned;
    json!({ "target": target, "status": pin_word(pinned), "old": old, "new": new })
}

/// Tells people what became of a pin; `again` if it was compiled for that.
fn describe_pin(session: &Session<'_>, pinned: &Pinned, again: bool) {
    let Pinned { target, old, new } = pinned;
    let terminal = session.terminal;
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            terminal.note(&format!("pinned {target} anew\n  old: {old}\n  new: {new}"));
        }
        (Some(pin), _) if again => {
            terminal.note(&format!(
                "{target} was compiled to the tree that is pinned, {pin}"
            ));
        }
        (Some(pin), _) => terminal.detail(&format!("{target} is pinned to {pin}")),
        (None, Some(pin)) => terminal.note(&format!("pinned {target} to {pin}")),
        (None, None) => terminal.note(&format!("{target} has no pin yet")),
    }
}

/// What is known about the channel manifest's signature, in one word.
fn signature_word(lock: &Lock) -> Option<&'static str> {
    lock.manifest_signature().map(|signature| match signature {
        ManifestSignature::NotAsked => "not asked",
        ManifestSignature::Missing => "missing",
        ManifestSignature::Good { .. } => "good",
    })
}

fn signer(lock: &Lock) -> Option<String> {
    match lock.manifest_signature()? {
        ManifestSignature::Good { signer, .. } => Some(signer.to_string()),
        ManifestSignature::NotAsked | ManifestSignature::Missing => None,
    }
}

/// How old something is, for people.
pub(super) fn age(days: i64) -> String {
    match days {
        days if days < 0 => "of a day to come".to_owned(),
        days => format!("{} old", counted(days, "day")),
    }
}

/// Tells people how old the channel manifest is, and who signed it.
pub(super) fn describe_origin(session: &Session<'_>, lock: &Lock, days: i64) {
    let age = age(days);
    let signed = match (signer(lock), signature_word(lock)) {
        (Some(signer), _) => format!("signed by {signer}"),
        (None, Some("missing")) => "not signed".to_owned(),
        (None, _) => "its signature was not asked for".to_owned(),
    };
    session
        .terminal
        .note(&format!("the channel manifest is {age} and {signed}"));
}

/// The status as one word for scripts.
pub(super) fn status_word(status: &LockStatus) -> &'static str {
    match status {
        LockStatus::Fresh => "fresh",
        LockStatus::Created => "created",
        LockStatus::Updated(_) => "updated",
    }
}

/// The changed fields for scripts.
fn changes(status: &LockStatus) -> Vec<Value> {
    let LockStatus::Updated(differences) = status else {
        return Vec::new();
    };
    differences.iter().map(difference).collect()
}

/// One changed field for scripts.
pub(super) fn difference(difference: &Difference) -> Value {
    let Difference {
        target: _,
        field,
        manifest,
        lock,
    } = difference;
    json!({ "field": field, "manifest": manifest, "lock": lock })
}

fn targets(lock: &Lock) -> Value {
    let one = |(name, target): (&crate::types::Triple, &crate::lock::LockedTarget)| {
        (name.to_string(), Value::from(strategy(&target.source)))
    };
    Value::Object(lock.targets.iter().map(one).collect())
}

/// How a target is obtained, in one word.
fn strategy(source: &LockedSource) -> &'static str {
    match source {
        LockedSource::Download => "download",
        LockedSource::System => "system",
        LockedSource::Build { .. } => "build",
    }
}

/// Tells people what became of the lock.
pub(super) fn describe(session: &Session<'_>, status: &LockStatus, lock: &Lock) {
    let terminal = session.terminal;
    match status {
        LockStatus::Fresh => terminal.note("the lock answers the manifest already"),
        LockStatus::Created => {
            terminal.note(&format!("locked {}:", lock.channel));
            for (name, target) in &lock.targets {
                terminal.note(&format!("  {name}: {}", strategy(&target.source)));
            }
        }
        LockStatus::Updated(differences) => {
            terminal.note(&format!("locked {} anew:", lock.channel));
            for difference in differences {
                terminal.note(&format!("  {difference}"));
            }
        }
    }
}
