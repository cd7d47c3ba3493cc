//! `cache export`, `cache import` and `key`.

use std::process::ExitCode;

use serde_json::json;

use super::args::{ExportArgs, ImportArgs, KeyArgs};
use super::error::CliError;
use super::remote::selection;
use super::terminal::{bytes, path_value};
use super::{Session, settings};
use crate::ops::{self, Authority, OpsError};
use crate::types::counted;

pub(super) fn export(session: &Session<'_>, args: &ExportArgs) -> Result<(), CliError> {
    let project = session.project()?;
    let start = settings::start_directory(session.global)?;
    let file = start.join(&args.file);
    let key = args.sign.as_ref().map(|key| start.join(key));
    let selected = selection(&args.targets);
    let (cx, selected) = (&session.cx, selected.as_ref());
    let report = ops::export(cx, &project, &file, selected, key.as_deref())?;
    session.terminal.object(&json!({
        "file": path_value(&file),
        "trees": report.trees,
        "bytes": report.bytes,
    }));
    session.terminal.note(&format!(
        "exported {} to `{}`, {}",
        counted(report.trees, "tree"),
        args.file.display(),
        bytes(report.bytes)
    ));
    Ok(())
}

pub(super) fn import(session: &Session<'_>, args: &ImportArgs) -> Result<(), CliError> {
    let file = settings::start_directory(session.global)?.join(&args.file);
    let project = match session.project() {
        Ok(project) => Some(project),
        // With `--trust` it is not needed, and without it nothing is pinned.
        Err(CliError::Ops(OpsError::NoManifest(_))) => None,
        Err(error) => return Err(error),
    };
    let report = ops::import(&session.cx, project.as_ref(), &file, args.trust)?;
    session.terminal.object(&json!({
        "file": path_value(&file),
        "authority": authority(report.authority),
        "key": match report.authority {
            Authority::Key(key) => Some(key),
            Authority::User | Authority::Pins => None,
        },
        "taken": report.taken,
        "present": report.present,
        "refused": report.refused,
    }));
    if !report.refused.is_empty() {
        let (was, them) = match report.refused.len() {
            1 => ("was", "it"),
            _ => ("were", "them"),
        };
        session.terminal.warning(&format!(
            "{} of `{}` {was} left alone: the lock does not pin {them}, and nobody vouches for \
             the file",
            counted(report.refused.len(), "tree"),
            args.file.display()
        ));
    }
    session.terminal.note(&format!(
        "imported {} from `{}`; {} here already",
        counted(report.taken.len(), "tree"),
        args.file.display(),
        report.present.len()
    ));
    Ok(())
}

fn authority(authority: Authority) -> &'static str {
    match authority {
        Authority::User => "user",
        Authority::Key(_) => "key",
        Authority::Pins => "pins",
    }
}

pub(super) fn key(session: &Session<'_>, args: &KeyArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let key = ops::key(&session.cx, &project, selection(&args.targets).as_ref())?;
    session.terminal.object(&json!({
        "key": key.key,
        "prefix": key.prefix,
        "host": key.host,
    }));
    session.terminal.result(&key.key);
    Ok(ExitCode::SUCCESS)
}
