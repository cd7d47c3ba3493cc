//! `cache gc` and `cache evict`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Session;
use super::args::{EvictArgs, GcArgs};
use super::cache::tell_strangers;
use super::error::CliError;
use super::terminal::{bytes, path_value};
use crate::ops::{self, Evict, GcOptions, GcReport};
use crate::store::{Doomed, GcPlan, Gone, LeftoverKind, Reason};
use crate::types::{Class, counted};

pub(super) fn gc(session: &Session<'_>, args: &GcArgs) -> Result<ExitCode, CliError> {
    let options = GcOptions {
        max_size: args.max_size.map(|size| size.0),
        max_age: args.max_age.map(crate::config::Age::seconds),
        dry_run: args.dry_run,
    };
    let report = ops::cache_gc(&session.cx, &options, &|plan| {
        show(session, plan, args.dry_run);
    })?;
    Ok(print(session, &report))
}

pub(super) fn evict(session: &Session<'_>, args: &EvictArgs) -> Result<ExitCode, CliError> {
    let what = match &args.what {
        Some(name) => Evict::Named(name.clone()),
        None => Evict::AllUnused,
    };
    let report = ops::cache_evict(&session.cx, &what, args.dry_run, &|plan| {
        show(session, plan, args.dry_run);
    })?;
    Ok(print(session, &report))
}

/// Prints what is going to be done, before it is: each entry if that is all that
/// is done, or if more was asked for, and always the sum.
fn show(session: &Session<'_>, plan: &GcPlan, is_dry: bool) {
    let mut lines = Vec::new();
    for (root, gone) in &plan.roots {
        let gone = gone_word(*gone);
        lines.push(format!(
            "project {}: its {gone} is gone",
            root.project.display()
        ));
    }
    for doomed in &plan.trees {
        let (tree, size) = (doomed.tree.tree.to_hex(), bytes(doomed.tree.bytes));
        lines.push(format!(
            "tree {}  {size:>10}  {}",
            &tree[..12],
            reason(doomed.reason)
        ));
    }
    for leftover in &plan.leftovers {
        let (word, size) = (kind_word(leftover.kind), bytes(leftover.bytes));
        lines.push(format!("{word} {}  {size}", leftover.path.display()));
    }
    for line in &lines {
        if is_dry {
            session.terminal.result(line);
        } else {
            session.terminal.detail(line);
        }
    }
    for (root, why) in &plan.unknown {
        let project = root.project.display();
        session
            .terminal
            .detail(&format!("project {project} keeps its trees: {why}"));
    }
    let verb = if is_dry { "would remove" } else { "removing" };
    session.terminal.note(&format!(
        "{verb} {} and {}, {}; {} with {} stay, of which projects use {}",
        counted(plan.trees.len(), "tree"),
        counted(plan.leftovers.len(), "other thing"),
        bytes(plan.freed_bytes()),
        counted(plan.kept, "tree"),
        bytes(plan.kept_bytes),
        bytes(plan.used_bytes)
    ));
}

/// Prints what was done; what could not be removed makes it a failure.
fn print(session: &Session<'_>, report: &GcReport) -> ExitCode {
    session.terminal.object(&object(report));
    tell_strangers(session, &report.strangers);
    let Some(swept) = &report.swept else {
        return ExitCode::SUCCESS;
    };
    session.terminal.note(&format!(
        "removed {}, {}",
        counted(swept.trees, "tree"),
        bytes(swept.bytes)
    ));
    match swept.failures.len() {
        0 => ExitCode::SUCCESS,
        count => {
            let things = counted(count, "thing");
            let text = format!("{things} could not be removed, as said above");
            session.terminal.failure(&text);
            if let Some(hint) = &swept.hint {
                session.terminal.hint(hint);
            }
            ExitCode::from(Class::FileSystem.exit_code())
        }
    }
}

/// The object of `--json`.
fn object(report: &GcReport) -> Value {
    let plan = &report.plan;
    let tree = |doomed: &Doomed| {
        json!({
            "tree": doomed.tree.tree,
            "bytes": doomed.tree.bytes,
            "files": doomed.tree.files,
            "used": doomed.tree.used,
            "reason": reason_word(doomed.reason),
        })
    };
    let strangers = report.strangers.iter().map(|path| path_value(path));
    json!({
        "dry_run": report.swept.is_none(),
        "projects": plan.roots.iter().map(|(root, gone)| json!({
            "project": path_value(&root.project),
            "gone": gone_word(*gone),
        })).collect::<Vec<_>>(),
        "trees": plan.trees.iter().map(tree).collect::<Vec<_>>(),
        "leftovers": plan.leftovers.iter().map(|leftover| json!({
            "kind": kind_word(leftover.kind),
            "path": path_value(&leftover.path),
            "bytes": leftover.bytes,
        })).collect::<Vec<_>>(),
        "unknown_projects": plan.unknown.iter().map(|(root, why)| json!({
            "project": path_value(&root.project),
            "reason": why,
        })).collect::<Vec<_>>(),
        "strangers": strangers.collect::<Vec<_>>(),
        "kept_trees": plan.kept,
        "kept_bytes": plan.kept_bytes,
        "used_bytes": plan.used_bytes,
        "planned_bytes": plan.freed_bytes(),
        "removed_trees": report.swept.as_ref().map(|swept| swept.trees),
        "removed_bytes": report.swept.as_ref().map(|swept| swept.bytes),
        "failures": report.swept.as_ref().map(|swept| swept.failures.clone()).unwrap_or_default(),
    })
}

fn gone_word(gone: Gone) -> &'static str {
    match gone {
        Gone::Project => "directory",
        Gone::Output => "output",
    }
}

fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Unused(_) => "unused",
        Reason::OverSize => "size",
        Reason::Unusable => "unusable",
        Reason::Asked => "asked",
    }
}

fn reason(reason: Reason) -> String {
    match reason {
        Reason::Unused(seconds) => {
            format!("not used for {}", counted(seconds / (24 * 60 * 60), "day"))
        }
        Reason::OverSize => "the store is larger than it may be".to_owned(),
        Reason::Unusable => "it has no listing".to_owned(),
        Reason::Asked => "asked for".to_owned(),
    }
}

fn kind_word(kind: LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::Staging => "staging",
        LeftoverKind::Temporary => "temporary",
        LeftoverKind::Partial => "download",
        LeftoverKind::Quarantine => "quarantine",
        LeftoverKind::Log => "log",
        LeftoverKind::Manifest => "manifest",
        LeftoverKind::Dangling => "dangling",
        LeftoverKind::Damaged => "damaged",
        LeftoverKind::Lock => "lock",
    }
}
