//! `cache` and its verbs; those of remotes are in [`super::remote`], those of files in [`super::bundle`].

use std::process::ExitCode;

use serde_json::json;

use super::args::CacheCommand;
use super::error::CliError;
use super::terminal::{bytes, path_value};
use super::{Session, bundle, collect, remote, warm};
use crate::ops::{self, CacheEntry, CacheKind, TreeDamage};
use crate::types::{Class, counted};

pub(super) fn run(session: &Session<'_>, command: &CacheCommand) -> Result<ExitCode, CliError> {
    match command {
        CacheCommand::Dir => dir(session),
        CacheCommand::Size => size(session)?,
        CacheCommand::List => list(session)?,
        CacheCommand::Verify { repair } => return verify(session, *repair),
        CacheCommand::Gc(args) => return collect::gc(session, args),
        CacheCommand::Evict(args) => return collect::evict(session, args),
        CacheCommand::Export(args) => bundle::export(session, args)?,
        CacheCommand::Import(args) => bundle::import(session, args)?,
        CacheCommand::Push(args) => return remote::push(session, args),
        CacheCommand::Pull(args) => return remote::pull(session, args),
        CacheCommand::Warm(args) => return warm::run(session, args),
        CacheCommand::Keygen { file } => remote::keygen(session, file.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(session: &Session<'_>, repair: bool) -> Result<ExitCode, CliError> {
    let check = ops::check_store(&session.cx, repair)?;
    let damage = |damage: &TreeDamage| {
        json!({
            "tree": damage.tree,
            "names": damage.names,
            "fault": damage.fault,
            "kept": damage.kept.as_deref().map(path_value),
        })
    };
    session.terminal.object(&json!({
        "ok": !check.is_bad(),
        "trees": check.trees,
        "files": check.files,
        "bytes": check.bytes,
        "damaged": check.damaged.iter().map(damage).collect::<Vec<_>>(),
        "strangers": check.strangers.iter().map(|path| path_value(path)).collect::<Vec<_>>(),
    }));
    for damage in &check.damaged {
        let names = damage.names.join(", ");
        let what = format!(
            "{} ({names}): {}",
            &damage.tree.to_hex()[..12],
            damage.fault
        );
        session.terminal.result(&match &damage.kept {
            Some(kept) => format!("repaired {what}; kept in `{}`", kept.display()),
            None => format!("damaged  {what}"),
        });
    }
    tell_strangers(session, &check.strangers);
    session.terminal.note(&format!(
        "{} in {} of {} read; {} damaged",
        bytes(check.bytes),
        counted(check.files, "file"),
        counted(check.trees, "tree"),
        counted(check.damaged.len(), "tree")
    ));
    if !check.is_bad() {
        return Ok(ExitCode::SUCCESS);
    }
    let hint =
        "`sysroot cache verify --repair` moves damaged trees away; the next sync makes them anew";
    session.terminal.note(hint);
    Ok(ExitCode::from(Class::Integrity.exit_code()))
}

/// Names what is in the store and not ours.
pub(super) fn tell_strangers(session: &Session<'_>, strangers: &[std::path::PathBuf]) {
    for path in strangers {
        session.terminal.warning(&format!(
            "`{}` is in the store and not part of it; it is left alone",
            path.display()
        ));
    }
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
        "{} in {} of {}, used by {}",
        bytes(size.bytes),
        counted(size.files, "file"),
        counted(size.trees, "tree"),
        counted(size.projects, "project")
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
            "used": entry.used,
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
        CacheKind::Tree => "tree",
    }
}
