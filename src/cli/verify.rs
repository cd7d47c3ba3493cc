//! `verify`.

use std::process::ExitCode;

use serde_json::json;

use super::Session;
use super::args::VerifyArgs;
use super::error::CliError;
use crate::ops::{self, Finding, Judgement, VerifyOptions};

pub(super) fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let project = session.project()?;
    let mut report = ops::verify(&session.cx, &project, VerifyOptions { deep: args.deep })?;
    if args.rebuild {
        let selected = (!args.targets.is_empty()).then(|| args.targets.iter().cloned().collect());
        let again = ops::rebuild(&session.cx, &project, selected.as_ref())?;
        report.judgements.extend(again);
    }
    let code = report.worst().map_or(0, crate::types::Class::exit_code);
    let checks: Vec<_> = report.judgements.iter().map(object).collect();
    session
        .terminal
        .object(&json!({ "ok": code == 0, "exit_code": code, "checks": checks }));
    for judgement in &report.judgements {
        print(session, judgement);
    }
    Ok(ExitCode::from(code))
}

fn object(judgement: &Judgement) -> serde_json::Value {
    let (verdict, lines) = match &judgement.finding {
        Finding::Good(text) => ("good", vec![text.clone()]),
        Finding::Bad(_, lines) => ("bad", lines.clone()),
        Finding::NotJudged(text) => ("not judged", vec![text.clone()]),
    };
    json!({ "check": judgement.check, "verdict": verdict, "findings": lines })
}

fn print(session: &Session<'_>, judgement: &Judgement) {
    let check = judgement.check;
    match &judgement.finding {
        Finding::Good(text) => session.terminal.note(&format!("{check:>9}: good, {text}")),
        Finding::NotJudged(text) => {
            session
                .terminal
                .note(&format!("{check:>9}: not judged, {text}"));
        }
        Finding::Bad(_, lines) => {
            session.terminal.result(&format!("{check:>9}: bad"));
            for line in lines {
                session
                    .terminal
                    .result(&format!("           {}", line.replace('\n', "\n  ")));
            }
        }
    }
}
