//! `cache warm`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::args::WarmArgs;
use super::error::CliError;
use super::remote::{pushed, selection};
use super::{Session, settings};
use crate::ops::{self, WarmOptions};
use crate::types::Class;

/// Runs `cache warm`; a target that cannot be built is exit code 7, another
/// tree on the remote is 1.
pub(super) fn run(session: &Session<'_>, args: &WarmArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let start = settings::start_directory(session.global)?;
    let options = WarmOptions {
        targets: selection(&args.targets),
        shard: args.shard,
        lease: Duration::from_secs(args.lease.seconds()),
        key: args.sign.as_ref().map(|file| start.join(file)),
    };
    let report = ops::warm(&session.cx, &project, &options)?;
    let terminal = session.terminal;
    terminal.object(&json!({
        "remote": report.remote,
        "shard": args.shard.to_string(),
        "present": report.present,
        "done": report.done,
        "pushed": report.pushed.iter().map(pushed).collect::<Vec<_>>(),
        "by_others": report.by_others,
        "failed": report.failed,
        "conflicts": report.conflicts,
    }));
    for target in &report.failed {
        terminal.warning(&format!("`{target}` could not be built"));
    }
    for target in &report.conflicts {
        terminal.warning(&format!(
            "`{}` has another tree for `{target}` than the lock pins, and keeps it",
            report.remote
        ));
    }
    terminal.result(&format!(
        "{} pushed to {}, {} there already, {} brought by others",
        report.done.len(),
        report.remote,
        report.present.len(),
        report.by_others.len()
    ));
    let pushed = report.pushed.iter();
    let differs = pushed.filter(|p| matches!(p.result, crate::remote::Pushed::Conflict { .. }));
    Ok(if !report.failed.is_empty() {
        ExitCode::from(Class::Build.exit_code())
    } else if differs.count() + report.conflicts.len() > 0 {
        ExitCode::from(Class::CheckFailed.exit_code())
    } else {
        ExitCode::SUCCESS
    })
}
