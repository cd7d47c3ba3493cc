//! The report as lines for people.

use super::paths::Paths;
use crate::cli::terminal::Terminal;
use crate::ops::{Finding, Problem, VerifyReport};

/// Prints what is bad as the result, everything else as notes.
pub(super) fn print(terminal: Terminal, report: &VerifyReport, paths: &Paths) {
    for judgement in &report.judgements {
        let check = judgement.check;
        match &judgement.finding {
            Finding::Good(text) => terminal.note(&format!("{check:>9}: good, {text}")),
            Finding::NotJudged(text) => {
                terminal.note(&format!("{check:>9}: not judged, {text}"));
            }
            Finding::Bad(_, problems) => {
                terminal.result(&format!("{check:>9}: bad"));
                for problem in problems {
                    terminal.result(&indent(&text(problem, paths)));
                }
                // One way out for many problems is told once.
                let mut hints: Vec<&str> =
                    problems.iter().filter_map(|p| p.hint.as_deref()).collect();
                hints.dedup();
                for hint in hints {
                    terminal.result(&indent(&format!("hint: {hint}")));
                }
            }
        }
    }
}

fn text(problem: &Problem, paths: &Paths) -> String {
    if let Some(excerpt) = &problem.excerpt {
        return excerpt.trim_end().to_owned();
    }
    match problem.places.first() {
        None => problem.message.clone(),
        Some(place) => format!(
            "{}:{}:{}: {}",
            paths.in_project(&place.file),
            place.spot.line,
            place.spot.column,
            problem.message
        ),
    }
}

fn indent(text: &str) -> String {
    format!("           {}", text.replace('\n', "\n           "))
}
