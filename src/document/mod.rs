//! TOML texts from outside: bounded before they are parsed, and every fault in
//! them told with line, column and caret.
//!
//! Nothing here knows what a text means. Limits hold before the parser runs,
//! because a parser's own recursion is what a hostile text aims at.

mod depth;
mod fault;
mod place;
mod words;

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::types::nearest::nearest;

pub use fault::Fault;
pub use place::{Places, Spot};

/// One TOML text and the name it is quoted under.
pub(crate) struct Document<'a> {
    file: String,
    text: &'a str,
}

impl<'a> Document<'a> {
    /// Takes a text whose size was checked; a byte order mark is dropped.
    pub(crate) fn new(file: &Path, text: &'a str) -> Self {
        Self {
            file: escape_controls(&file.display().to_string()),
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        }
    }

    /// The text, without byte order mark.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// A fault at a byte range of the text.
    pub(crate) fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault::new(&self.file, self.text, span, message.into())
    }

    /// Parses the text into a table with positions, once its nesting is known
    /// to be shallow.
    pub(crate) fn table(&self) -> Result<Spanned<DeTable<'a>>, Fault> {
        if let Some(place) = depth::too_deep(self.text) {
            let message = format!("nested deeper than {} levels", depth::MAX_DEPTH);
            return Err(self.fault(place..place + 1, message));
        }
        DeTable::parse(self.text).map_err(|error| self.parse_fault(&error))
    }

    /// Finds git's conflict markers, which no line of TOML starts with outside
    /// of a text over several lines. `what` is how the message calls the file.
    pub(crate) fn conflict(&self, what: &str) -> Option<Fault> {
        let markers = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let bare = line.trim_end();
            if markers.iter().any(|marker| bare.starts_with(marker)) {
                let message = format!("{what} has git's conflict markers");
                return Some(self.fault(at..at + bare.len(), message));
            }
            at += line.len();
        }
        None
    }

    /// Turns a parsed table into a typed value.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        table: Spanned<DeTable<'a>>,
    ) -> Result<T, Fault> {
        T::deserialize(toml::de::Deserializer::from(table))
            .map_err(|error| self.parse_fault(&error))
    }

    /// Parses the text into a typed value that may borrow from nothing.
    pub(crate) fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Fault> {
        let table = self.table()?;
        self.read(table)
    }

    fn parse_fault(&self, error: &toml::de::Error) -> Fault {
        let message = error.message().trim().replace('\n', ", ");
        let span = error.span().unwrap_or(0..0);
        let at = self.text.get(span.start..).unwrap_or_default();
        let near = nearest_known(&message).map(|near| format!("did you mean `{near}`?"));
        let hint = near.or_else(|| words::hint(&message, at));
        let fault = self.fault(span, words::plain(&message));
        match hint {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }

    /// Refuses a key that is not in `known`, naming the nearest one. `place`
    /// is the table's name as the user would write it, such as `[defaults]`.
    pub(crate) fn only_known(
        &self,
        table: &DeTable<'_>,
        place: &str,
        known: &[&'static str],
    ) -> Result<(), Fault> {
        let unknown = table
            .keys()
            .find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown else { return Ok(()) };
        let name = key.get_ref().as_ref();
        let message = format!("unknown key `{}` in {place}", shorten(name));
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", known.join(", ")),
        };
        Err(self.fault(key.span(), message).with_hint(hint))
    }
}

/// What was meant, if a message of the deserializer says that a name is none
/// of those it lists: ``unknown field `x`, expected one of `y`, `z` ``.
fn nearest_known(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown ")?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let name = names.next()?;
    nearest(name, names)
}

/// The table under `key`, if the key is there and holds a table.
pub(crate) fn subtable<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t DeTable<'i>> {
    table.get(key).and_then(|value| value.get_ref().as_table())
}

/// The position of `key` in its table.
pub(crate) fn key_span(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    table
        .keys()
        .find(|candidate| candidate.get_ref() == key)
        .map(Spanned::span)
}

/// The integer under `key`, with its position; `None` where there is none.
pub(crate) fn integer(table: &DeTable<'_>, key: &str) -> Option<(i64, Range<usize>)> {
    let value = table.get(key)?;
    let DeValue::Integer(number) = value.get_ref() else {
        return None;
    };
    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
    Some((parsed, value.span()))
}

/// Text from outside, short enough to quote, with control characters escaped.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escape_controls(&short)
}

pub(crate) fn escape_controls(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) = if c.is_control() {
                (Some(c.escape_debug()), None)
            } else {
                (None, Some(c))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
