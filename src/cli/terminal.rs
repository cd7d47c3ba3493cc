//! What is printed: results on standard output, everything else on standard
//! error. A closed pipe ends the output, not the work, and never panics.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::args::{ColorWhen, Global};
use super::error::CliError;
use super::settings;
use crate::types::Diagnostic;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// How much and in which form to print.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and all of them go together"
)]
pub(super) struct Terminal {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    /// Whether a GitHub runner reads along, and obeys lines that look like
    /// its commands.
    github: bool,
}

impl Terminal {
    pub(super) fn new(global: &Global) -> Self {
        let choice = match global.color {
            ColorWhen::Always => anstream::ColorChoice::Always,
            ColorWhen::Never => anstream::ColorChoice::Never,
            ColorWhen::Auto if settings::no_color() => anstream::ColorChoice::Never,
            ColorWhen::Auto => anstream::ColorChoice::Auto,
        };
        choice.write_global();
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            github: settings::on_github(),
        }
    }

    /// A text for people, which no runner obeys.
    fn plain(self, text: &str) -> Cow<'_, str> {
        if self.github {
            Cow::Owned(inert(text))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Prints a result: what scripts read. Not with `--json`, which prints
    /// one object instead.
    pub(super) fn result(self, text: &str) {
        if !self.json {
            write_out(&self.plain(text));
        }
    }

    /// The same for lines that may not be text, such as paths. They cannot be
    /// changed, so none is printed if a GitHub runner would obey one.
    pub(super) fn raw_result(self, lines: &[Vec<u8>]) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        if let Some(line) = lines.iter().find(|line| self.github && is_command(line)) {
            let line = String::from_utf8_lossy(line).into_owned();
            return Err(CliError::RunnerCommand(line));
        }
        let mut out = std::io::stdout().lock();
        for line in lines {
            let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
        }
        Ok(())
    }

    /// Prints the object of `--json`.
    pub(super) fn object(self, value: &serde_json::Value) {
        if self.json {
            write_json(value);
        }
    }

    /// Prints a line for people.
    pub(super) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            write_err(&self.plain(text));
        }
    }

    /// Prints a line for people who asked for more.
    pub(super) fn detail(self, text: &str) {
        if self.verbose && !self.json {
            write_err(&self.plain(text));
        }
    }

    /// Prints something that needs attention although work goes on.
    pub(super) fn warning(self, text: &str) {
        if !self.quiet {
            let text = self.plain(text);
            write_err(&format!("{WARNING}warning:{WARNING:#} {text}"));
        }
    }

    /// Prints what can be done about a [`failure`](Self::failure).
    pub(super) fn hint(self, text: &str) {
        write_err(&format!("\n{HINT}hint:{HINT:#} {}", self.plain(text)));
    }

    /// Prints one of several things that failed; the exit code tells, too.
    pub(super) fn failure(self, text: &str) {
        write_err(&format!("{ERROR}error:{ERROR:#} {}", self.plain(text)));
    }
}

pub(super) fn write_out(text: &str) {
    let mut out = anstream::stdout().lock();
    // The reader may have gone; what remains is the exit code.
    let _ = writeln!(out, "{text}");
}

/// Prints a JSON document. `##[`, which a GitHub runner may obey wherever it
/// stands, can only be in a string, where an escape means the same.
pub(super) fn write_json(value: &serde_json::Value) {
    write_out(&format!("{value:#}").replace("##[", "\\u0023#["));
}

pub(super) fn write_err(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// Prints an error: what failed, its causes, and the next command to type.
pub(super) fn print_error(error: &dyn Diagnostic, terminal: Terminal) {
    terminal.object(&error_object(error));
    let mut text = match error.excerpt() {
        Some(excerpt) => excerpt.trim_end().to_owned(),
        None => format!("{ERROR}error:{ERROR:#} {}", indent(&error.to_string())),
    };
    let mut cause = error.source();
    while let Some(e) = cause {
        text += "\n  caused by: ";
        text += &indent(&e.to_string());
        cause = e.source();
    }
    if let Some(hint) = error.hint() {
        text = format!("{text}\n\n{HINT}hint:{HINT:#} {hint}");
    }
    write_err(&terminal.plain(&text));
}

/// Takes the force out of what a GitHub runner would obey: `::` at the start
/// of a line, spaces aside, and `##[` anywhere.
fn inert(text: &str) -> String {
    let line = |line: &str| {
        let words = line.trim_start();
        let indent = line.strip_suffix(words).unwrap_or_default();
        let words = match words.strip_prefix("::") {
            Some(rest) => format!(": :{rest}"),
            None => words.to_owned(),
        };
        format!("{indent}{}", words.replace("##[", "## ["))
    };
    // A lone carriage return may end a line, too.
    let lines = text.split_inclusive(['\n', '\r']);
    lines.map(line).collect()
}

/// Whether a line that starts with a path or a shell's word is more than one
/// line, or has something else in it that a GitHub runner may obey.
fn is_command(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
        || line.windows(3).any(|bytes| bytes == b"##[")
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// The object that `--json` prints for an error.
fn error_object(error: &dyn Diagnostic) -> serde_json::Value {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(e) = cause {
        causes.push(e.to_string());
        cause = e.source();
    }
    serde_json::json!({
        "error": {
            "message": error.to_string(),
            "causes": causes,
            "hint": error.hint(),
            "exit_code": error.class().exit_code(),
        }
    })
}

/// A path for scripts: a string, or its bytes where it is not UTF-8.
pub(super) fn path_value(path: &std::path::Path) -> serde_json::Value {
    match path.to_str() {
        Some(text) => text.into(),
        None => serde_json::json!({ "bytes": path.as_os_str().as_encoded_bytes() }),
    }
}

/// Bytes in the unit people read.
pub(super) fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}

/// A time in the unit people read.
pub(super) fn seconds(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(1) {
        format!("{:.0} ms", elapsed.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_for_people_is_a_command_for_a_github_runner() {
        for (text, want) in [
            ("plain :: text\n", "plain :: text\n"),
            ("::error::x", ": :error::x"),
            ("a\n  \t::add-mask::x\nb", "a\n  \t: :add-mask::x\nb"),
            ("a\r::x\r\n::y", "a\r: :x\r\n: :y"),
            ("3 | ##[error]x ##[warning]", "3 | ## [error]x ## [warning]"),
            ("::##[x]", ": :## [x]"),
        ] {
            assert_eq!(inert(text), want, "{text:?}");
        }
    }
}
