//! The report as workflow commands, which GitHub Actions shows as annotations
//! of the lines they name.
//!
//! Every line of the output is one command of ours. Text from the checkout
//! stands only inside of commands, escaped: a runner would obey a command
//! that somebody smuggled into a message.

use super::paths::Paths;
use crate::ops::{Finding, Problem, VerifyReport};

/// How many problems of one check become annotations of their own: GitHub
/// shows ten of a step, and a damaged output may have thousands.
const MOST: usize = 50;

pub(super) fn commands(report: &VerifyReport, paths: &Paths) -> String {
    let mut lines = Vec::new();
    for judgement in &report.judgements {
        let title = format!("sysroot verify: {}", judgement.check);
        let notice = |text: &str| format!("::notice title={}::{}", property(&title), data(text));
        match &judgement.finding {
            Finding::Good(_) => {}
            Finding::NotJudged(text) => lines.push(notice(&format!("not judged: {text}"))),
            Finding::Bad(_, problems) => {
                let shown = problems.iter().take(MOST);
                lines.extend(shown.map(|problem| error(problem, &title, paths)));
                if let Some(more) = problems.len().checked_sub(MOST).filter(|more| *more > 0) {
                    lines.push(notice(&format!("{more} more; `sysroot verify` lists them")));
                }
            }
        }
    }
    let code = super::exit_code(report);
    lines.push(if code == 0 {
        "sysroot verify: nothing is wrong".to_owned()
    } else {
        format!("sysroot verify: exit code {code}")
    });
    lines.join("\n")
}

fn error(problem: &Problem, title: &str, paths: &Paths) -> String {
    let place = problem.places.first().map(|place| {
        format!(
            "file={},line={},col={},",
            property(&paths.in_repository(&place.file)),
            place.spot.line,
            place.spot.column
        )
    });
    let mut message = problem.message.clone();
    if let Some(hint) = &problem.hint {
        message = format!("{message}\n{hint}");
    }
    let (place, title) = (place.unwrap_or_default(), property(title));
    format!("::error {place}title={title}::{}", data(&message))
}

/// Escapes the message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{bad, paths, problem};
    use super::*;

    #[test]
    fn each_line_is_one_command_whatever_a_message_holds() {
        let hostile = "a%\r\n::set-env name=PATH::/evil\n::error::x";
        let report = bad(vec![problem(hostile, "/repo/p/a,b:c.toml")]);
        let text = commands(&report, &paths());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].starts_with(
                "::error file=p/a%2Cb%3Ac.toml,line=3,col=7,title=sysroot verify%3A manifest::a%25"
            ),
            "{text}"
        );
        assert!(!lines[0].contains('\r') && lines[1].starts_with("sysroot verify: exit code 1"));
    }

    #[test]
    fn many_problems_are_counted_instead() {
        let report = bad(vec![problem("m", "/repo/p/f"); MOST + 3]);
        let text = commands(&report, &paths());
        assert_eq!(text.matches("::error ").count(), MOST);
        assert!(text.contains("::3 more; "), "{text}");
    }
}
