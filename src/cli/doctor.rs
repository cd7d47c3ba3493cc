//! `doctor`: looks at the machine also where nothing else can start.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::args::Global;
use super::error::CliError;
use super::progress::Progress;
use super::settings;
use super::signals;
use super::terminal::Terminal;
use crate::events::Cancel;
use crate::ops::{self, Checkup, Context, ProjectFiles, Verdict};
use crate::types::Class;

pub(super) fn run(global: &Global, terminal: Terminal) -> Result<ExitCode, CliError> {
    let start = settings::start_directory(global)?;
    let checkups = match settings::settings(global, None) {
        // Without settings there is nothing else to look at.
        Err(e) => vec![Checkup::failed("configuration", &e)],
        Ok(settings) => {
            let cancel = Cancel::default();
            signals::watch(&cancel);
            let cx = Context {
                settings: &settings,
                observer: &Progress::new(global, terminal),
                cancel: &cancel,
            };
            let text = "the configuration file and the environment can be used";
            let mut all = vec![Checkup::good("configuration", text)];
            let project = match &global.manifest_path {
                Some(path) => Ok(ProjectFiles::of_manifest(&start.join(path))),
                None => ProjectFiles::find(&start, settings::sudo_user()),
            };
            all.extend(ops::doctor(&cx, &start, project));
            all
        }
    };
    let ok = checkups.iter().all(|one| one.verdict != Verdict::Bad);
    terminal.object(&json!({
        "ok": ok,
        "checks": checkups.iter().map(|one| json!({
            "check": one.check,
            "verdict": one.verdict.as_str(),
            "found": one.found,
            "remedy": one.remedy,
        })).collect::<Vec<_>>(),
    }));
    for one in &checkups {
        terminal.result(&line(one));
    }
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Class::CheckFailed.exit_code())
    })
}

fn line(one: &Checkup) -> String {
    let color: Style = match one.verdict {
        Verdict::Good => AnsiColor::Green.on_default(),
        Verdict::Note => AnsiColor::Yellow.on_default(),
        Verdict::Bad => AnsiColor::Red.on_default().bold(),
    };
    let word = one.verdict.as_str();
    let line = format!("{color}{word:<4}{color:#}  {}: {}", one.check, one.found);
    match &one.remedy {
        Some(remedy) => format!("{line}\n      {remedy}"),
        None => line,
    }
}
