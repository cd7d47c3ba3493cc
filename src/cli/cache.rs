//! `cache` and its verbs; those of remotes are in [`super::remote`], those of files in [`super::bundle`].

use std::process::ExitCode;

use serde_json::json;

use super::args::CacheCommand;
use super::bundle;
use super::error::CliError;
use super::terminal::{bytes, path_value};
use super::{Session, remote, warm};
use crate::ops::{self, CacheEntry, CacheKind};

pub(super) fn run(session: &Session<'_>, command: &CacheCommand) -> Result<ExitCode, CliError> {
    match command {
        CacheCommand::Dir => dir(session),
        CacheCommand::Size => size(session)?,
        CacheCommand::List => list(session)?,
        CacheCommand::Export(args) => bundle::export(session, args)?,
        CacheCommand::Import(args) => bundle::import(session, args)?,
        CacheCommand::Push(args) => return remote::push(session, args),
        CacheCommand::Pull(args) => return remote::pull(session, args),
        CacheCommand::Warm(args) => return warm::run(session, args),
        CacheCommand::Keygen { file } => remote::keygen(session, file.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn dir(session: &Session<'_>) {
    let path = &session.cx.settings.cache;
    session.terminal.object(&json!({ "dir": path_value(path) }));
    session.terminal.result(&path.display().to_string());
}

fn size(session: &Session<'_>) -> Result<(), CliError> {
    let size = ops::cache_size(&session.cx)?;
    session.terminal.object(&json!({
        "trees": size.trees,
        "files": size.files,
        "bytes": size.bytes,
        "projects": size.projects,
    }));
    session.terminal.result(&format!(
        "{} in {} files of {} trees, used by {} projects",
        bytes(size.bytes),
        size.files,
        size.trees,
        size.projects
    ));
    Ok(())
}

fn list(session: &Session<'_>) -> Result<(), CliError> {
    let entries = ops::cache_list(&session.cx)?;
    let object = |entry: &CacheEntry| {
        json!({
            "name": entry.name,
            "kind": kind(entry.kind),
            "tree": entry.tree,
            "bytes": entry.bytes,
            "files": entry.files,
            "projects": entry.projects,
        })
    };
    session
        .terminal
        .object(&json!({ "entries": entries.iter().map(object).collect::<Vec<_>>() }));
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| {
            let size = bytes(entry.bytes);
            let (tree, kind) = (entry.tree.to_hex(), kind(entry.kind));
            format!("{}  {size:>10}  {kind:9}  {}", &tree[..12], entry.name)
        })
        .collect();
    if !lines.is_empty() {
        session.terminal.result(&lines.join("\n"));
    }
    Ok(())
}

fn kind(kind: CacheKind) -> &'static str {
    match kind {
        CacheKind::Component => "component",
        CacheKind::Compiled => "compiled",
    }
}
