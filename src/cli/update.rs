//! `update`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Session;
use super::args::UpdateArgs;
use super::error::CliError;
use super::lock::{age, describe_origin};
use super::terminal::path_value;
use crate::ops::{self, UpdateOptions, UpdateReport};

pub(super) fn run(session: &Session<'_>, args: &UpdateArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let options = UpdateOptions {
        to: args.to,
        dry_run: args.dry_run,
        allow_unsigned: args.allow_unsigned,
    };
    let report = ops::update(&session.cx, &project, options)?;
    session.terminal.object(&json!({
        "manifest": path_value(&project.files.manifest),
        "from": report.from.to_string(),
        "to": report.to.to_string(),
        "skipped": skipped(&report),
        "age_in_days": report.age_in_days,
        "written": report.lock.is_some() && !args.dry_run,
    }));
    describe(session, &report, args.dry_run);
    Ok(ExitCode::SUCCESS)
}

/// The dates that were passed over, for scripts.
fn skipped(report: &UpdateReport) -> Vec<Value> {
    let one = |(channel, reason): &(crate::types::Channel, String)| json!({ "channel": channel.to_string(), "reason": reason });
    report.skipped.iter().map(one).collect()
}

/// Tells people what changed, and why nothing newer was taken.
fn describe(session: &Session<'_>, report: &UpdateReport, dry_run: bool) {
    let UpdateReport {
        from,
        to,
        skipped,
        lock,
        age_in_days,
    } = report;
    let terminal = session.terminal;
    for (channel, reason) in skipped {
        terminal.note(&format!("passed over {channel}: {reason}"));
    }
    let Some(lock) = lock else {
        let age = age(*age_in_days);
        terminal.note(&format!(
            "{from} is the newest date; its channel manifest is {age}"
        ));
        return;
    };
    let word = if dry_run { "would update" } else { "updated" };
    terminal.note(&format!("{word} {from} to {to}; next: `sysroot sync`"));
    if let Some(days) = lock.age_in_days {
        describe_origin(session, &lock.file.lock, days);
    }
}
