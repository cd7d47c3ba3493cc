//! `init`.

use std::process::ExitCode;

use serde_json::json;

use super::args::InitArgs;
use super::error::CliError;
use super::terminal::path_value;
use super::{Session, settings};
use crate::manifest::Template;
use crate::sys::fs;

pub(super) fn run(session: &Session<'_>, args: &InitArgs) -> Result<ExitCode, CliError> {
    let start = settings::start_directory(session.global)?;
    let name = session
        .global
        .manifest_path
        .clone()
        .unwrap_or_else(|| "sysroot.toml".into());
    let path = start.join(name);
    if fs::metadata_if_exists(&path)?.is_some() {
        return Err(CliError::ManifestExists(path));
    }
    let host = session.cx.settings.host.clone();
    let template = Template {
        channel: args.channel,
        host,
        targets: args.targets.clone(),
    };
    fs::replace(&path, template.to_string().as_bytes())?;
    session
        .terminal
        .object(&json!({ "manifest": path_value(&path) }));
    session
        .terminal
        .note(&format!("wrote `{}`; next: `sysroot sync`", path.display()));
    Ok(ExitCode::SUCCESS)
}
