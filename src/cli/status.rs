//! `status`.

use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::{Session, lock};
use crate::ops::{self, StatusReport, TargetStatus};

pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let report = ops::status(&session.cx, &project)?;
    session.terminal.object(&object(&report));
    session.terminal.result(&text(&report));
    Ok(ExitCode::SUCCESS)
}

fn object(report: &StatusReport) -> serde_json::Value {
    let target = |target: &TargetStatus| {
        json!({
            "name": target.name,
            "source": target.source,
            "pin": target.pin,
            "state": target.state.as_str(),
        })
    };
    json!({
        "channel": report.channel,
        "host": report.host,
        "locked": report.stale.is_some(),
        "stale": report.stale.iter().flatten().map(lock::difference).collect::<Vec<_>>(),
        "output_current": report.output_current,
        "link_mode": report.link_mode.map(crate::materialize::LinkMode::as_str),
        "targets": report.targets.iter().map(target).collect::<Vec<_>>(),
    })
}

fn text(report: &StatusReport) -> String {
    let mut lines = vec![format!("channel  {}", report.channel)];
    if let Some(host) = &report.host {
        lines.push(format!("host     {host}"));
    }
    match &report.stale {
        None => lines.push("lock     none; run `sysroot lock`".to_owned()),
        Some(differences) if differences.is_empty() => lines.push("lock     fresh".to_owned()),
        Some(differences) => {
            lines.push("lock     stale; run `sysroot lock`".to_owned());
            lines.extend(
                differences
                    .iter()
                    .map(|difference| format!("         {difference}")),
            );
        }
    }
    let output = match (report.output_current, report.link_mode) {
        (true, Some(mode)) => format!("current, by {}", mode.as_str()),
        (true, None) => "current".to_owned(),
        (false, _) => "not current; run `sysroot sync`".to_owned(),
    };
    lines.push(format!("output   {output}"));
    let width = report
        .targets
        .iter()
        .map(|t| t.name.as_str().len())
        .max()
        .unwrap_or(0);
    for target in &report.targets {
        let source = target.source.unwrap_or("-");
        let state = target.state.as_str();
        lines.push(format!(
            "  {:width$}  {source:8}  {state}",
            target.name.as_str()
        ));
    }
    lines.join("\n")
}
