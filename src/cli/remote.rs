//! `cache push`, `cache pull`, `cache keygen`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{PullArgs, PushArgs};
use super::error::CliError;
use super::terminal::path_value;
use super::{Session, settings};
use crate::ops::{self, FailedPush, PullOptions, Pulled, PushOptions, PushedTree};
use crate::remote::{Pushed, RemoteError};
use crate::types::{Class, Diagnostic as _, REFILL, Triple};

pub(super) fn selection(targets: &[Triple]) -> Option<std::collections::BTreeSet<Triple>> {
    (!targets.is_empty()).then(|| targets.iter().cloned().collect())
}

/// The list of pulled trees in `--json`.
pub(super) fn pulled(trees: &[Pulled]) -> Value {
    let object =
        |tree: &Pulled| json!({ "name": tree.name, "tree": tree.tree, "remote": tree.remote });
    trees.iter().map(object).collect()
}

const fn word(result: &Pushed) -> &'static str {
    match result {
        Pushed::New => "new",
        Pushed::Present => "present",
        Pushed::Signed => "signed",
        Pushed::Conflict { .. } => "conflict",
    }
}

pub(super) fn pushed(tree: &PushedTree) -> Value {
    let theirs = match &tree.result {
        Pushed::Conflict { theirs } => Some(theirs),
        Pushed::New | Pushed::Present | Pushed::Signed => None,
    };
    json!({
        "name": tree.name,
        "tree": tree.tree,
        "remote": tree.remote,
        "result": word(&tree.result),
        "theirs": theirs,
    })
}

/// An error, its causes and its hint.
fn one_line(error: &RemoteError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

/// The list of failed trees in `--json`.
fn failed(trees: &[FailedPush]) -> Value {
    let object = |tree: &FailedPush| {
        json!({
            "name": tree.name,
            "remote": tree.remote,
            "exit_code": tree.error.class().exit_code(),
            "reason": one_line(&tree.error),
        })
    };
    trees.iter().map(object).collect()
}

/// Runs `cache push`; something that failed has the exit code of its first
/// error, a conflict or something missing is exit code 1.
pub(super) fn push(session: &Session<'_>, args: &PushArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let start = settings::start_directory(session.global)?;
    let options = PushOptions {
        targets: selection(&args.targets),
        key: args.sign.as_ref().map(|file| start.join(file)),
        components: args.components,
    };
    let report = ops::push(&session.cx, &project, &options)?;
    let terminal = session.terminal;
    let conflict = report.has_conflict();
    terminal.object(&json!({
        "pushed": report.pushed.iter().map(pushed).collect::<Vec<_>>(),
        "failed": failed(&report.failed),
        "missing": report.missing,
        "conflict": conflict,
    }));
    for tree in &report.pushed {
        let line = format!("{:8} {} to {}", word(&tree.result), tree.name, tree.remote);
        terminal.result(&line);
        if let Pushed::Conflict { theirs } = &tree.result {
            terminal.warning(&format!(
                "the build of `{}` is not reproducible: the remote has {theirs}, this machine {}; \
                 the remote keeps what it has",
                tree.name, tree.tree
            ));
        }
    }
    for tree in &report.failed {
        let line = format!("{:8} {} to {}", "failed", tree.name, tree.remote);
        terminal.result(&line);
        let (name, remote, reason) = (&tree.name, &tree.remote, one_line(&tree.error));
        terminal.failure(&format!("`{name}` was not pushed to {remote}: {reason}"));
    }
    for name in &report.missing {
        terminal.warning(&format!("`{name}` is not in the store: {REFILL}"));
    }
    if report.pushed.is_empty() && report.failed.is_empty() && report.missing.is_empty() {
        terminal.note(nothing(&options));
    }
    let complete = !conflict && report.missing.is_empty();
    Ok(if let Some(first) = report.failed.first() {
        ExitCode::from(first.error.class().exit_code())
    } else if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Class::CheckFailed.exit_code())
    })
}

/// What is said where the lock has nothing to push.
const fn nothing(options: &PushOptions) -> &'static str {
    match (&options.targets, options.components) {
        (Some(_), false) => "nothing to push: no selected target is compiled for this host",
        (None, false) => {
            "nothing to push: the lock has no target that is compiled for this host; `--components` \
             pushes the unpacked archives"
        }
        (_, true) => "nothing to push: the lock has neither compiled targets nor archives",
    }
}

/// Runs `cache pull`; a remote that failed while something is missing is exit
/// code 4.
pub(super) fn pull(session: &Session<'_>, args: &PullArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let options = PullOptions {
        targets: selection(&args.targets),
    };
    let report = ops::pull(&session.cx, &project, &options)?;
    let terminal = session.terminal;
    terminal.object(&json!({
        "pulled": pulled(&report.pulled),
        "missing": report.missing,
        "incomplete": report.incomplete,
    }));
    for tree in &report.pulled {
        terminal.result(&format!("pulled   {} from {}", tree.name, tree.remote));
    }
    for name in &report.missing {
        terminal.result(&format!("missing  {name}"));
    }
    Ok(if report.incomplete {
        ExitCode::from(Class::Network.exit_code())
    } else {
        ExitCode::SUCCESS
    })
}

/// Runs `cache keygen`.
pub(super) fn keygen(session: &Session<'_>, file: Option<&Path>) -> Result<(), CliError> {
    let path = match file {
        Some(file) => settings::start_directory(session.global)?.join(file),
        None => settings::signing_key_path()?,
    };
    let public = ops::keygen(&path)?;
    let terminal = session.terminal;
    terminal.object(&json!({ "public": public, "secret_file": path_value(&path) }));
    terminal.result(&public.to_string());
    terminal.note(&format!(
        "the secret key is in `{}`; who trusts it adds to the configuration file:\n[trust]\nkeys = [\"{public}\"]",
        path.display()
    ));
    Ok(())
}
