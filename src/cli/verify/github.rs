//! The report as workflow commands, which GitHub Actions shows as annotations
//! of the lines they name.
//!
//! Every line of the output is one command of ours. Text from the checkout
//! stands only inside of commands, escaped: a runner would obey a command
//! that somebody smuggled into a message.

use super::paths::Paths;
use crate::ops::{Finding, Problem, VerifyReport};

/// How many errors GitHub shows of one step; more are dropped without a word,
/// and a damaged output may have thousands.
const SHOWN: usize = 10;

pub(super) fn commands(report: &VerifyReport, paths: &Paths) -> String {
    let (mut bad, mut lines) = (Vec::new(), Vec::new());
    for judgement in &report.judgements {
        let check = judgement.check;
        match &judgement.finding {
            Finding::Good(_) => {}
            Finding::NotJudged(text) => {
                let text = data(&format!("not judged: {text}"));
                lines.push(format!("::notice title={}::{text}", title(check)));
            }
            Finding::Bad(_, problems) => {
                bad.extend(problems.iter().enumerate().map(|(nth, p)| (nth, check, p)));
            }
        }
    }
    if bad.len() > SHOWN {
        // Each check's first problem before any one's second: none is hidden.
        let mut order: Vec<usize> = (0..bad.len()).collect();
        order.sort_by_key(|at| bad.get(*at).map(|(nth, ..)| *nth));
        order.truncate(SHOWN - 1);
        order.sort_unstable();
        let shown = order.iter().filter_map(|at| bad.get(*at));
        lines.extend(shown.map(|(_, check, problem)| error(problem, check, paths)));
        let more = bad.len() - order.len();
        lines.push(format!(
            "::error title=sysroot verify::{more} more; `sysroot verify` lists them"
        ));
    } else {
        lines.extend(
            bad.iter()
                .map(|(_, check, problem)| error(problem, check, paths)),
        );
    }
    let code = super::exit_code(report);
    lines.push(if code == 0 {
        "sysroot verify: nothing is wrong".to_owned()
    } else {
        format!("sysroot verify: exit code {code}")
    });
    lines.join("\n")
}

fn title(check: &str) -> String {
    property(&format!("sysroot verify: {check}"))
}

fn error(problem: &Problem, check: &str, paths: &Paths) -> String {
    let place = paths.place_of(check, problem);
    let mut message = problem.message.clone();
    if let Some(hint) = &problem.hint {
        message = format!("{message}\n{hint}");
    }
    format!(
        "::error file={},line={},col={},title={}::{}",
        property(&paths.in_repository(&place.file)),
        place.spot.line,
        place.spot.column,
        title(check),
        data(&message)
    )
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
    use crate::ops::Judgement;
    use crate::types::Class;

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
    fn ten_errors_are_shown_and_more_are_counted_instead() {
        let report = |count: usize| bad(vec![problem("m", "/repo/p/f"); count]);
        let text = commands(&report(SHOWN), &paths());
        assert_eq!(text.matches("::error file=").count(), SHOWN);
        assert!(!text.contains(" more; "), "{text}");
        let mut report = report(SHOWN + 3);
        report.judgements.push(Judgement {
            check: "output",
            finding: Finding::bad(Class::CheckFailed, ["of the output", "another"]),
        });
        let text = commands(&report, &paths());
        assert_eq!(text.matches("::error ").count(), SHOWN);
        assert_eq!(text.matches("::error file=").count(), SHOWN - 1);
        assert!(text.contains("::6 more; "), "{text}");
        // The second check is among them, though the first has enough for all.
        assert!(
            text.contains("title=sysroot verify%3A output::of the output"),
            "{text}"
        );
    }
}
