//! The report as XML in the form of `JUnit`: one test case a check, which is what the test
//! reports of most CI services read. No times: the same bytes give the same
//! document.

use super::paths::Paths;
use crate::ops::{Finding, Judgement, Problem, VerifyReport};

pub(super) fn document(report: &VerifyReport, paths: &Paths) -> String {
    let count = |is: fn(&Finding) -> bool| {
        let all = report.judgements.iter();
        all.filter(|judgement| is(&judgement.finding)).count()
    };
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\"",
        report.judgements.len(),
        count(|finding| matches!(finding, Finding::Bad(..))),
        count(|finding| matches!(finding, Finding::NotJudged(_))),
    );
    let cases: String = report.judgements.iter().map(|j| case(j, paths)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sysroot verify\" {totals}>\n  \
         <testsuite name=\"sysroot verify\" {totals}>\n{cases}  </testsuite>\n</testsuites>"
    )
}

fn case(judgement: &Judgement, paths: &Paths) -> String {
    let name = format!(
        "classname=\"sysroot.verify\" name=\"{}\"",
        escape(judgement.check)
    );
    match &judgement.finding {
        Finding::Good(text) => format!(
            "    <testcase {name}>\n      <system-out>{}</system-out>\n    </testcase>\n",
            escape(text)
        ),
        Finding::NotJudged(text) => format!(
            "    <testcase {name}>\n      <skipped message=\"{}\"/>\n    </testcase>\n",
            escape(text)
        ),
        Finding::Bad(class, problems) => {
            let place = problems.iter().find_map(|problem| problem.places.first());
            let place = place.map(|place| {
                let file = escape(&paths.in_repository(&place.file));
                format!(" file=\"{file}\" line=\"{}\"", place.spot.line)
            });
            let lines: Vec<String> = problems.iter().map(|p| line(p, paths)).collect();
            let message = match problems.as_slice() {
                [one] => one.message.clone(),
                all => format!("{} problems", all.len()),
            };
            format!(
                "    <testcase {name}{}>\n      <failure message=\"{}\" type=\"exit code {}\">{}\
                 </failure>\n    </testcase>\n",
                place.unwrap_or_default(),
                escape(&message),
                class.exit_code(),
                escape(&lines.join("\n"))
            )
        }
    }
}

fn line(problem: &Problem, paths: &Paths) -> String {
    let mut line = problem.message.clone();
    if let Some(place) = problem.places.first() {
        let file = paths.in_repository(&place.file);
        line = format!("{file}:{}:{}: {line}", place.spot.line, place.spot.column);
    }
    match &problem.hint {
        Some(hint) => format!("{line} ({hint})"),
        None => line,
    }
}

/// Text for an element or an attribute. What no XML document may hold, escaped
/// or not, is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // What a GitHub runner takes for a command begins with two of them.
            '#' => out.push_str("&#35;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples::{bad, paths, problem};
    use super::*;

    #[test]
    fn nothing_of_a_message_is_taken_for_markup() {
        let hostile = "]]></failure><x a='1' b=\"2\">&\u{0}\u{1b}\u{ffff}\r\n##[error]";
        let text = document(
            &bad(vec![problem(hostile, "/repo/p/<f>&\".toml")]),
            &paths(),
        );
        assert!(!text.contains("<x") && !text.contains("]]>"), "{text}");
        assert!(!text.contains("##["), "{text}");
        assert!(
            text.contains("file=\"p/&lt;f&gt;&amp;&quot;.toml\" line=\"3\""),
            "{text}"
        );
        assert_eq!(text.matches("</failure>").count(), 1);
        let bad = |c: char| c.is_control() && c != '\n';
        assert!(!text.chars().any(|c| bad(c) || c == '\u{ffff}'), "{text}");
    }
}
