//! `sbom`.

use std::process::ExitCode;

use super::Session;
use super::error::CliError;
use crate::ops;

/// Prints the document; it is JSON with and without `--json`.
pub(super) fn run(session: &Session<'_>) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let document = ops::sbom(&session.cx, &project)?;
    session.terminal.object(&document);
    session.terminal.result(&format!("{document:#}"));
    Ok(ExitCode::SUCCESS)
}
