//! `add` and `remove`.

use std::process::ExitCode;

use serde_json::json;

use super::args::{AddArgs, RemoveArgs};
use super::error::CliError;
use super::terminal::path_value;
use super::{Session, settings};
use crate::ops::{self, AddOptions, EditReport};

pub(super) fn add(session: &Session<'_>, args: &AddArgs) -> Result<ExitCode, CliError> {
    let start = settings::start_directory(session.global)?;
    let options = AddOptions {
        targets: args.targets.clone(),
        strategy: args.strategy,
        crates: args.crates,
        spec: args.spec.as_ref().map(|spec| start.join(spec)),
    };
    let report = ops::add(&session.cx, &session.project()?, &options)?;
    Ok(tell(session, &report, "added"))
}

pub(super) fn remove(session: &Session<'_>, args: &RemoveArgs) -> Result<ExitCode, CliError> {
    let report = ops::remove(&session.project()?, &args.targets)?;
    Ok(tell(session, &report, "removed"))
}

fn tell(session: &Session<'_>, report: &EditReport, done: &str) -> ExitCode {
    let EditReport {
        manifest,
        targets,
        not_shipped,
    } = report;
    session.terminal.object(&json!({
        "manifest": path_value(manifest),
        "targets": targets,
    }));
    let names: Vec<String> = targets.iter().map(|target| format!("`{target}`")).collect();
    session.terminal.note(&format!(
        "{done} {}; next: `sysroot sync`",
        names.join(", ")
    ));
    for target in not_shipped {
        session.terminal.note(&format!(
            "upstream does not ship `{target}`, so it is compiled, if rustc knows the name; a \
             custom target is added with `--spec FILE`"
        ));
    }
    ExitCode::SUCCESS
}
