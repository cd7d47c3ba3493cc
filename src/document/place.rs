//! Where a key stands in a TOML text, for those who have a key and want its
//! line: annotations of a pull request, for one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Document;

/// A place in a text. Both numbers count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The places of all keys of one text. Of a text that is no TOML it knows none.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, Key>);

/// A key, and those of its table.
#[derive(Clone, Debug)]
struct Key {
    spot: Spot,
    below: Places,
}

impl Places {
    /// Reads a text; a byte order mark does not count as a column.
    pub fn new(text: &str) -> Self {
        let doc = Document::new(Path::new(""), text);
        let Ok(table) = doc.table() else {
            return Self::default();
        };
        let newlines = doc.text().match_indices('\n').map(|(at, _)| at + 1);
        let lines: Vec<usize> = std::iter::once(0).chain(newlines).collect();
        Self::of_table(table.get_ref(), &|span| spot(doc.text(), &lines, &span))
    }

    // No deeper than a document may nest.
    fn of_table(table: &DeTable<'_>, spot: &dyn Fn(Range<usize>) -> Spot) -> Self {
        let key = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let below = value.get_ref().as_table();
            let key_here = Key {
                spot: spot(key.span()),
                below: below.map_or_else(Self::default, |table| Self::of_table(table, spot)),
            };
            (key.get_ref().clone().into_owned(), key_here)
        };
        Self(table.iter().map(key).collect())
    }

    /// The place of the key at the end of a path of table names; `None` where
    /// the text has no such key.
    pub fn key(&self, path: &[&str]) -> Option<Spot> {
        let (first, rest) = path.split_first()?;
        let key = self.0.get(*first)?;
        if rest.is_empty() {
            return Some(key.spot);
        }
        key.below.key(rest)
    }
}

fn spot(text: &str, lines: &[usize], span: &Range<usize>) -> Spot {
    let line = lines.partition_point(|start| *start <= span.start);
    let start = lines.get(line - 1).copied().unwrap_or(0);
    let before = text.get(start..span.start).unwrap_or_default();
    Spot {
        line,
        column: before.chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_their_tables_are_written() {
        let text = "\u{feff}a = 1\n[targets.x]\r\nopt-level = 1\n[targets.\"y.z\"]\n  panic = \"abort\"\n\
                    [targets]\nw = { debug = 1 }\n\u{e9}q.r = 1\n";
        let text = text.replace("\u{e9}q", "'\u{e9}q'");
        let places = Places::new(&text);
        for (path, line, column) in [
            (&["a"][..], 1, 1),
            (&["targets", "x"], 2, 10),
            (&["targets", "x", "opt-level"], 3, 1),
            (&["targets", "y.z"], 4, 10),
            (&["targets", "y.z", "panic"], 5, 3),
            (&["targets", "w", "debug"], 7, 7),
            (&["targets", "\u{e9}q", "r"], 8, 6),
        ] {
            assert_eq!(places.key(path), Some(Spot { line, column }), "{path:?}");
        }
        for path in [&["b"][..], &[], &["a", "b"], &["targets", "x", "panic"]] {
            assert_eq!(places.key(path), None, "{path:?}");
        }
        assert_eq!(Places::new("a = [").key(&["a"]), None);
    }
}
