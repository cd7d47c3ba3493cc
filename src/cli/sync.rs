//! `sync`.

use std::process::ExitCode;

use serde_json::json;

use super::args::SyncArgs;
use super::error::CliError;
use super::terminal::{bytes, path_value, seconds};
use super::{Session, lock, settings, signals};
use crate::ops::{self, ProjectFiles, SyncMode, SyncOptions, SyncReport};
use crate::plan::Plan;
use crate::types::counted;

pub(super) fn run(session: &Session<'_>, args: &SyncArgs) -> Result<ExitCode, CliError> {
    let files = session.files()?;
    let targets = (!args.targets.is_empty()).then(|| args.targets.iter().cloned().collect());
    let options = SyncOptions {
        mode: mode(args),
        targets,
        dry_run: args.dry_run,
        check: args.check,
    };
    let output = files.output.clone();
    let report = bring_up_to_date(session, files, &options)?;
    session.terminal.object(&object(&report, &output));
    match (&report.plan, options.dry_run) {
        (Some(plan), true) => print_plan(session, plan),
        _ => describe(session, &report),
    }
    Ok(ExitCode::SUCCESS)
}

/// Syncs; if there is nothing to do, without a step too many.
pub(super) fn bring_up_to_date(
    session: &Session<'_>,
    files: ProjectFiles,
    options: &SyncOptions,
) -> Result<SyncReport, CliError> {
    if let Some(report) = ops::up_to_date(&session.cx, &files, options) {
        return Ok(report);
    }
    signals::watch(session.cx.cancel);
    Ok(ops::sync(&session.cx, &files.load()?, options)?)
}

/// In continuous integration a lock must never change behind one's back.
fn mode(args: &SyncArgs) -> SyncMode {
    if args.frozen {
        SyncMode::Frozen
    } else if args.locked || settings::in_ci() {
        SyncMode::Locked
    } else {
        SyncMode::Update
    }
}

fn names(items: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn object(report: &SyncReport, output: &std::path::Path) -> serde_json::Value {
    let plan = report.plan.as_ref();
    json!({
        "output": path_value(output),
        "lock": report.lock.as_ref().map(lock::status_word),
        "targets": names(&report.targets),
        "planned": plan.map(|plan| json!({
            "fetch": names(plan.fetch.iter().map(|f| &f.id)),
            "build": plan.build.iter().map(|b| json!({
                "target": b.target,
                "key": b.key,
                "reason": b.reason.to_string(),
            })).collect::<Vec<_>>(),
        })),
        "fetched": names(&report.executed.fetched),
        "built": report.executed.built.iter().map(|(target, tree)| json!({
            "target": target,
            "tree": tree,
        })).collect::<Vec<_>>(),
        "pulled": super::remote::pulled(&report.executed.pulled),
        "replaced": names(&report.replaced),
        "removed": names(&report.removed),
        "link_mode": report.link_mode.map(crate::materialize::LinkMode::as_str),
        "collected": report.collected.as_ref().and_then(|gc| gc.swept.as_ref()).map(|swept| json!({
            "trees": swept.trees,
            "bytes": swept.bytes,
        })),
        "seconds": report.elapsed.as_secs_f64(),
    })
}

/// Prints what a run would do.
fn print_plan(session: &Session<'_>, plan: &Plan) {
    let mut lines = Vec::new();
    lines.extend(
        plan.fetch
            .iter()
            .map(|fetch| format!("download {}", fetch.id)),
    );
    lines.extend(
        plan.build
            .iter()
            .map(|b| format!("compile  {} ({})", b.target, b.reason)),
    );
    if lines.is_empty() {
        lines.push("everything is in the store; the output would be brought up to date".to_owned());
    }
    session.terminal.result(&lines.join("\n"));
}

fn describe(session: &Session<'_>, report: &SyncReport) {
    if let Some(status) = &report.lock {
        let word = lock::status_word(status);
        session.terminal.detail(&format!("the lock was {word}"));
        if let Some(days) = report.age_in_days {
            let age = lock::age(days);
            session
                .terminal
                .note(&format!("the channel manifest is {age}"));
        }
    }
    let elapsed = seconds(report.elapsed);
    let targets = counted(report.targets.len(), "target");
    if report.plan.is_none() {
        session
            .terminal
            .note(&format!("up to date: {targets} ({elapsed})"));
        return;
    }
    for area in &report.replaced {
        session.terminal.detail(&format!("replaced {area}"));
    }
    for area in &report.removed {
        session.terminal.note(&format!("removed {area}"));
    }
    let how = report
        .link_mode
        .map(|mode| format!(", by {}", mode.as_str()))
        .unwrap_or_default();
    session
        .terminal
        .note(&format!("synced {targets} in {elapsed}{how}"));
    if report.pinned {
        let text = "sysroot.lock has new pins of what was compiled; commit it";
        session.terminal.note(text);
    }
    if let Some(swept) = report.collected.as_ref().and_then(|gc| gc.swept.as_ref())
        && swept.trees > 0
    {
        let freed = bytes(swept.bytes);
        session.terminal.note(&format!(
            "collected garbage: {} that no project uses, {freed}",
            counted(swept.trees, "tree")
        ));
    }
}
