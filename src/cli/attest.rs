//! `attest`.

use std::process::ExitCode;

use super::Session;
use super::args::AttestArgs;
use super::error::CliError;
use crate::ops;

/// Prints the statement; it is JSON with and without `--json`.
pub(super) fn run(session: &Session<'_>, args: &AttestArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let statement = ops::attest(&session.cx, &project, &args.target, args.host.as_ref())?;
    session.terminal.object(&statement);
    session.terminal.result(&format!("{statement:#}"));
    if statement.pointer("/predicate/builder").is_none() {
        session.terminal.note(
            "this statement was made from the lock: the tree was not compiled here, or its record \
             is gone",
        );
    }
    Ok(ExitCode::SUCCESS)
}
