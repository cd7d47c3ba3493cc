//! The report as one object; `docs/json.md` describes it.

use serde_json::{Value, json};

use super::paths::Paths;
use crate::cli::lock::difference;
use crate::ops::{Finding, Judgement, Place, Problem, VerifyReport};

pub(super) fn object(report: &VerifyReport, paths: &Paths) -> Value {
    let code = super::exit_code(report);
    let checks: Vec<Value> = report.judgements.iter().map(|j| check(j, paths)).collect();
    json!({ "ok": code == 0, "exit_code": code, "checks": checks })
}

fn check(judgement: &Judgement, paths: &Paths) -> Value {
    let (verdict, note, code, problems) = match &judgement.finding {
        Finding::Good(text) => ("good", Some(text), None, &[][..]),
        Finding::NotJudged(text) => ("not judged", Some(text), None, &[][..]),
        Finding::Bad(class, problems) => {
            ("bad", None, Some(class.exit_code()), problems.as_slice())
        }
    };
    let findings: Vec<Value> = problems.iter().map(|p| finding(p, paths)).collect();
    json!({
        "check": judgement.check,
        "verdict": verdict,
        "note": note,
        "exit_code": code,
        "findings": findings,
    })
}

fn finding(problem: &Problem, paths: &Paths) -> Value {
    let places: Vec<Value> = problem.places.iter().map(|p| place(p, paths)).collect();
    json!({
        "message": problem.message,
        "hint": problem.hint,
        "places": places,
        "difference": problem.difference.as_ref().map(difference),
    })
}

fn place(place: &Place, paths: &Paths) -> Value {
    json!({
        "file": paths.in_project(&place.file),
        "line": place.spot.line,
        "column": place.spot.column,
    })
}
