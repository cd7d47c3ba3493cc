//! `verify`, in five forms. Each is made from the same report by a function
//! without input or output, so that none knows more than another.

mod github;
mod human;
mod json;
mod junit;
mod paths;
mod sarif;

use std::process::ExitCode;

use super::Session;
use super::args::{VerifyArgs, VerifyFormat};
use super::error::CliError;
use super::settings;
use super::terminal::{Terminal, write_json, write_out};
use crate::ops::{self, ProjectFiles, SignatureCheck, VerifyOptions, VerifyReport};
use paths::Paths;

pub(super) fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let start = settings::start_directory(session.global)?;
    let (report, dir) = match session.files() {
        Ok(files) => {
            let options = VerifyOptions {
                deep: args.deep,
                signature: SignatureCheck {
                    upstream: args.upstream,
                    require: args.require_signature,
                },
            };
            let mut report = ops::verify(&session.cx, &files, options)?;
            if args.rebuild {
                let selected = args.targets.iter().cloned().collect();
                let selected = (!args.targets.is_empty()).then_some(selected);
                let again = ops::rebuild(&session.cx, &files, selected.as_ref())?;
                report.judgements.extend(again);
            }
            (report, files.dir)
        }
        // No manifest, or somebody else's: a verdict in the asked form, too.
        Err(CliError::Ops(e)) => {
            let files = ProjectFiles::of_manifest(&start.join("sysroot.toml"));
            (VerifyReport::refused(&e), files.dir)
        }
        Err(e) => return Err(e),
    };
    // Annotations are for the repository, and `-C` may have gone into a part of it.
    let root = settings::working_directory().unwrap_or(start);
    let paths = Paths::new(&dir, &root, settings::github_workspace().as_deref());
    print(session.terminal, args.format, &report, &paths);
    Ok(ExitCode::from(exit_code(&report)))
}

/// The exit code of a report: that of its worst verdict.
fn exit_code(report: &VerifyReport) -> u8 {
    report.worst().map_or(0, crate::types::Class::exit_code)
}

fn print(terminal: Terminal, format: VerifyFormat, report: &VerifyReport, paths: &Paths) {
    let format = if terminal.json {
        VerifyFormat::Json
    } else {
        format
    };
    match format {
        VerifyFormat::Human => human::print(terminal, report, paths),
        VerifyFormat::Json => write_json(&json::object(report, paths)),
        VerifyFormat::Github => write_out(&github::commands(report, paths)),
        VerifyFormat::Sarif => write_json(&sarif::log(report, paths)),
        VerifyFormat::Junit => write_out(&junit::document(report, paths)),
    }
}

#[cfg(test)]
mod samples;
