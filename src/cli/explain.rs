//! `why` and `diff`.

use std::process::ExitCode;

use serde_json::json;

use super::args::{DiffArgs, WhyArgs};
use super::error::CliError;
use super::terminal::path_value;
use super::{Session, lock};
use crate::lock::Change;
use crate::ops::{self, WhyReport};

pub(super) fn why(session: &Session<'_>, args: &WhyArgs) -> Result<ExitCode, CliError> {
    let report = ops::why(&session.cx, &session.project()?, &args.target)?;
    session.terminal.object(&json!({
        "target": report.target,
        "source": report.source,
        "because": report.because,
        "state": report.state.as_str(),
        "stale": report.stale.iter().map(lock::difference).collect::<Vec<_>>(),
        "archives": report.archives,
        "key": report.key,
        "pin": report.pin,
        "next": report.next,
    }));
    session.terminal.result(&text(&report));
    Ok(ExitCode::SUCCESS)
}

fn text(report: &WhyReport) -> String {
    let WhyReport {
        target,
        source,
        because,
        state,
        stale,
        archives,
        key,
        pin,
        next,
    } = report;
    let how = match *source {
        Some("download") => "is downloaded",
        Some("build") => "is compiled",
        Some(_) => "is the system's own",
        None => "is not locked yet",
    };
    let mut lines = vec![
        format!("{target} {how}: {because}"),
        format!("  state: {}", state.as_str()),
    ];
    lines.extend(
        archives
            .iter()
            .map(|archive| format!("  archive: {archive}")),
    );
    lines.extend(key.iter().map(|key| format!("  recipe: {key}")));
    lines.extend(pin.iter().map(|pin| format!("  pin: {pin}")));
    lines.extend(
        stale
            .iter()
            .map(|difference| format!("  stale: {difference}")),
    );
    lines.extend(next.iter().map(|step| format!("  next sync: {step}")));
    lines.join("\n")
}

pub(super) fn diff(session: &Session<'_>, args: &DiffArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let report = ops::diff(&session.cx, &project, &args.rev)?;
    let one = |change: &Change| {
        json!({
            "field": change.field,
            "old": change.old,
            "new": change.new,
            "meaning": change.meaning,
        })
    };
    session.terminal.object(&json!({
        "lock": path_value(&project.files.lock),
        "rev": report.rev,
        "changes": report.changes.iter().map(one).collect::<Vec<_>>(),
    }));
    if report.changes.is_empty() {
        let text = format!("the lock means the same as in `{}`", report.rev);
        session.terminal.note(&text);
    }
    for change in &report.changes {
        session.terminal.result(&change.meaning);
    }
    Ok(ExitCode::SUCCESS)
}
