//! Using the output: `run`, `env`, `path`, `link`, `unlink`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::args::{EnvArgs, EnvShell, PathArgs, RunArgs};
use super::error::CliError;
use super::sync::bring_up_to_date;
use super::terminal::path_value;
use super::{Session, settings};
use crate::materialize::State;
use crate::ops::{self, OpsError, SyncMode, SyncOptions};
use crate::sys::{fs, process};
use crate::types::RelPath;

/// The output's absolute path; it must be there.
fn output(session: &Session<'_>, path: &Path) -> Result<(PathBuf, State), CliError> {
    let Some(state) = session.cx.state(path) else {
        let error = match fs::metadata_if_exists(path)? {
            None => OpsError::NoOutput(path.to_owned()),
            // It may be of the checkout, so nothing in it is started.
            Some(_) => OpsError::UnknownOutput {
                output: path.to_owned(),
                cache: session.cx.settings.cache.clone(),
            },
        };
        return Err(error.into());
    };
    Ok((fs::at("find", path, std::fs::canonicalize(path))?, state))
}

/// What a shell needs to use the output: plain cargo finds the compiler by
/// `RUSTC`, everything else by PATH.
fn variables(output: &Path) -> Result<Vec<(&'static str, OsString)>, CliError> {
    let bin = output.join("bin");
    let old = settings::path();
    let dirs = std::iter::once(bin.clone()).chain(std::env::split_paths(&old));
    let path = std::env::join_paths(dirs).map_err(|source| CliError::Path {
        path: bin.clone(),
        source,
    })?;
    let program = |name: &str| {
        bin.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
            .into()
    };
    Ok(vec![
        ("PATH", path),
        ("RUSTC", program("rustc")),
        ("RUSTDOC", program("rustdoc")),
    ])
}

pub(super) fn run(session: &Session<'_>, args: &RunArgs) -> Result<ExitCode, CliError> {
    let files = session.files()?;
    let path = files.output.clone();
    if args.no_sync {
        files.load()?;
    } else {
        let mode = if settings::in_ci() {
            SyncMode::Locked
        } else {
            SyncMode::Update
        };
        let options = SyncOptions {
            mode,
            targets: None,
            dry_run: false,
            check: false,
        };
        bring_up_to_date(session, files, &options)?;
    }
    let (output, _) = output(session, &path)?;
    let variables = variables(&output)?;
    let Some((program, arguments)) = args.command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = process::inherited(&resolve(program, &variables));
    command.args(arguments).envs(variables);
    let source = become_process(&mut command);
    Err(OpsError::Run {
        program: program.to_string_lossy().into_owned(),
        source,
    }
    .into())
}

/// The program as the new PATH has it: the system looks it up in the old one.
fn resolve(program: &OsString, variables: &[(&str, OsString)]) -> OsString {
    if Path::new(program).components().count() > 1 {
        return program.clone();
    }
    let path = variables
        .iter()
        .find(|(name, _)| *name == "PATH")
        .map(|(_, value)| value);
    let file = |dir: PathBuf| {
        let path = dir.join(program);
        path.is_file().then(|| path.into_os_string())
    };
    path.and_then(|path| std::env::split_paths(path).find_map(file))
        .unwrap_or_else(|| program.clone())
}

/// Replaces this process by the command; returns only if that fails.
#[cfg(unix)]
fn become_process(command: &mut std::process::Command) -> std::io::Error {
    use std::os::unix::process::CommandExt as _;
    command.exec()
}

/// Runs the command and ends with its exit code.
#[cfg(not(unix))]
fn become_process(command: &mut std::process::Command) -> std::io::Error {
    match command.status() {
        #[expect(clippy::exit, reason = "the command's exit code is ours")]
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(e) => e,
    }
}

pub(super) fn env(session: &Session<'_>, args: &EnvArgs) -> Result<ExitCode, CliError> {
    let (output, _) = output(session, &session.project()?.files.output)?;
    let variables = variables(&output)?;
    let object: serde_json::Map<_, _> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), path_value(Path::new(value))))
        .collect();
    session.terminal.object(&object.into());
    let lines: Vec<Vec<u8>> = variables
        .iter()
        .map(|(name, value)| assignment(args.shell, name, value))
        .collect();
    session.terminal.raw_result(&lines)?;
    Ok(ExitCode::SUCCESS)
}

/// The line that sets a variable in a shell. The value's bytes stay what they
/// are: a path need not be UTF-8.
fn assignment(shell: EnvShell, name: &str, value: &OsStr) -> Vec<u8> {
    let (set, escaped): (_, &[(u8, &[u8])]) = match shell {
        EnvShell::Sh => (format!("export {name}='"), &[(b'\'', br"'\''")]),
        EnvShell::Fish => (
            format!("set -gx {name} '"),
            &[(b'\'', br"\'"), (b'\\', br"\\")],
        ),
    };
    let mut line = set.into_bytes();
    for byte in value.as_encoded_bytes() {
        match escaped.iter().find(|(special, _)| special == byte) {
            Some((_, escape)) => line.extend_from_slice(escape),
            None => line.push(*byte),
        }
    }
    line.push(b'\'');
    line
}

pub(super) fn path(session: &Session<'_>, args: &PathArgs) -> Result<ExitCode, CliError> {
    let (output, state) = output(session, &session.project()?.files.output)?;
    let path = match &args.target {
        None => output,
        Some(target) => {
            let area: Option<RelPath> = format!("lib/rustlib/{target}").parse().ok();
            if !area.is_some_and(|area| state.areas.contains_key(&area)) {
                return Err(CliError::NotMaterialized(target.clone()));
            }
            output.join("lib/rustlib").join(target.as_str()).join("lib")
        }
    };
    session
        .terminal
        .object(&json!({ "path": path_value(&path) }));
    session
        .terminal
        .raw_result(&[path.as_os_str().as_encoded_bytes().to_vec()])?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn link(session: &Session<'_>) -> Result<ExitCode, CliError> {
    let report = ops::link(&session.cx, &session.project()?)?;
    let (name, dir) = (&report.name, &report.dir);
    session.terminal.object(
        &json!({ "name": name, "dir": path_value(dir), "output": path_value(&report.output) }),
    );
    session
        .terminal
        .note(&format!("rustup uses `{name}` in `{}`", dir.display()));
    for winner in stronger_than_override(session, dir)? {
        session.terminal.warning(&winner);
    }
    Ok(ExitCode::SUCCESS)
}

/// What rustup prefers to the override of a directory, in words: the variable
/// everywhere, and in a directory below it a toolchain file that is nearer.
fn stronger_than_override(session: &Session<'_>, dir: &Path) -> Result<Vec<String>, CliError> {
    let mut winners = Vec::new();
    if let Some(toolchain) = settings::rustup_toolchain() {
        winners.push(format!(
            "RUSTUP_TOOLCHAIN is set to `{}`, which rustup prefers to the directory's toolchain; \
             unset it",
            toolchain.display()
        ));
    }
    let start = settings::start_directory(session.global)?;
    let start = std::fs::canonicalize(&start).unwrap_or(start);
    let below = start.ancestors().take_while(|below| *below != dir);
    for below in below.filter(|below| below.starts_with(dir)) {
        for name in ["rust-toolchain.toml", "rust-toolchain"] {
            let file = below.join(name);
            if fs::metadata_if_exists(&file)?.is_some() {
                winners.push(format!(
                    "`{}` is nearer than the directory's toolchain, so rustup prefers it in and \
                     below its directory; remove it",
                    file.display()
                ));
            }
        }
    }
    Ok(winners)
}

pub(super) fn unlink(session: &Session<'_>) -> Result<ExitCode, CliError> {
    let report = ops::unlink(&session.cx, &session.project()?)?;
    let (name, dir) = (&report.name, &report.dir);
    session.terminal.object(
        &json!({ "name": name, "dir": path_value(dir), "output": path_value(&report.output) }),
    );
    let dir = dir.display();
    session.terminal.note(&if report.known {
        format!("rustup no longer uses `{name}` in `{dir}`")
    } else {
        format!("nothing was linked: rustup does not know `{name}`, the name for `{dir}`")
    });
    Ok(ExitCode::SUCCESS)
}
