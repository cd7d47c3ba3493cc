//! A place in a text and what is wrong there.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// What is wrong at one place of a text file, with the line quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    file: String,
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
    excerpt: String,
}

impl Fault {
    pub(super) fn new(file: &str, text: &str, span: Range<usize>, message: String) -> Self {
        let start = floor_boundary(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let rest = text.get(line_start..).unwrap_or_default();
        let quoted = rest.lines().next().unwrap_or_default();
        let first = (start - line_start).min(quoted.len());
        // A value over several lines is marked to the end of its first.
        let last = floor_boundary(quoted, span.end.saturating_sub(line_start)).max(first);
        let column = quoted.get(..first).unwrap_or_default().chars().count() + 1;
        let snippet = Snippet::source(quoted)
            .line_start(line)
            .path(file)
            .annotation(AnnotationKind::Primary.span(first..last));
        let report = &[Level::ERROR
            .primary_title(message.as_str())
            .element(snippet)];
        Self {
            excerpt: Renderer::plain().render(report),
            file: file.to_owned(),
            line,
            column,
            message,
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message over the quoted line with a caret below the place.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            ..
        } = self;
        write!(
            f,
            "{file}:{line}:{column}: {}",
            super::escape_controls(message)
        )
    }
}

/// The last character boundary that is not after `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_counted_in_lines_and_characters() {
        let fault = Fault::new("f.toml", "a = 1\nb = \"\u{e9}\" x\n", 15..16, "no".into());
        assert_eq!(fault.to_string(), "f.toml:2:9: no");
        assert!(
            fault.excerpt().contains("f.toml:2:9"),
            "{}",
            fault.excerpt()
        );
        assert!(fault.excerpt().contains('^'), "{}", fault.excerpt());
    }

    #[test]
    fn any_place_of_any_text_can_be_marked() {
        for text in ["", "\n", "\r\n", "\u{e9}\n\u{1b}[31m", "x"] {
            for start in 0..8 {
                for end in 0..8 {
                    let fault = Fault::new("f\u{7}", text, start..end, "m\u{1b}".into());
                    assert!(!fault.excerpt().contains('\u{1b}'), "{:?}", fault.excerpt());
                }
            }
        }
    }
}
