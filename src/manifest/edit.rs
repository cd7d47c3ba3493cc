//! Changes of a manifest's text that leave everything else as it was.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::{ManifestError, values};
use crate::document::{Document, key_span, subtable};
use crate::types::{Channel, CrateSet, RelPath, Strategy, Triple};

/// The same text with another channel. Comments, order, quotes of other
/// values and line ends stay.
pub fn with_channel(text: &str, file: &Path, channel: Channel) -> Result<String, ManifestError> {
    let doc = Document::new(file, text);
    let table = doc.table()?;
    let toolchain = subtable(table.get_ref(), "toolchain");
    let Some(value) = toolchain.and_then(|toolchain| toolchain.get("channel")) else {
        return Err(doc
            .fault(0..0, "there is no `channel` in `[toolchain]`")
            .into());
    };
    // Positions count from behind a byte order mark.
    let mark = text.len() - doc.text().len();
    let span = value.span();
    let mut edited = text.to_owned();
    edited.replace_range(
        span.start + mark..span.end + mark,
        &format!("\"{channel}\""),
    );
    Ok(edited)
}

/// The keys of a new target's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTarget {
    /// Download, build, or whichever fits.
    pub strategy: Option<Strategy>,
    /// The crates to build.
    pub crates: Option<CrateSet>,
    /// A custom target spec, relative to the manifest's directory.
    pub spec: Option<RelPath>,
}

impl NewTarget {
    /// The keys and values in the order in which they are written.
    fn entries(&self) -> Vec<(&'static str, Value)> {
        let Self {
            strategy,
            crates,
            spec,
        } = self;
        let mut entries = Vec::new();
        if let Some(spec) = spec {
            entries.push(("spec", spec.as_str().into()));
        }
        let named = |s: &Strategy| values::STRATEGIES.iter().find(|(_, known)| known == s);
        if let Some((name, _)) = strategy.as_ref().and_then(named) {
            entries.push(("strategy", (*name).into()));
        }
        if let Some(crates) = crates {
            let names: Array = crates.names().iter().copied().collect();
            entries.push(("crates", names.into()));
        }
        entries
    }
}

/// The same text with one more target, behind the others. Comments, order and
/// line ends stay. A target that is there already is a fault at its place.
pub fn with_target(
    text: &str,
    file: &Path,
    target: &Triple,
    new: &NewTarget,
) -> Result<String, ManifestError> {
    let doc = Document::new(file, text);
    let table = doc.table()?;
    let targets = subtable(table.get_ref(), "targets");
    if let Some(span) = targets.and_then(|targets| key_span(targets, target.as_str())) {
        return Err(doc
            .fault(span, format!("target `{target}` is there already"))
            .with_hint(format!(
                "edit its table, or take it out first with `sysroot remove {target}`"
            ))
            .into());
    }
    rewritten(text, &doc, |root| {
        let targets = root.entry("targets").or_insert_with(|| {
            let mut targets = Table::new();
            targets.set_implicit(true);
            Item::Table(targets)
        });
        let entries = new.entries().into_iter();
        match targets {
            Item::Table(targets) => {
                let mut table = Table::new();
                table.extend(entries);
                table.decor_mut().set_prefix("\n");
                targets.insert(target.as_str(), Item::Table(table));
            }
            Item::Value(Value::InlineTable(targets)) => {
                let table: InlineTable = entries.collect();
                targets.insert(target.as_str(), table.into());
                // One line, in which the space between entries is the only order.
                targets.fmt();
            }
            // No manifest has another kind of value there.
            Item::None | Item::Value(_) | Item::ArrayOfTables(_) => {}
        }
    })
}

/// The same text without a target: its table goes with the comment that
/// stands directly above it. `None` if there is no such target.
pub fn without_target(
    text: &str,
    file: &Path,
    target: &Triple,
) -> Result<Option<String>, ManifestError> {
    let doc = Document::new(file, text);
    let table = doc.table()?;
    let targets = subtable(table.get_ref(), "targets");
    let key = targets.and_then(|targets| key_span(targets, target.as_str()));
    let own = targets.and_then(|targets| subtable(targets, target.as_str()));
    let (Some(key), Some(own)) = (key, own) else {
        return Ok(None);
    };
    if let Some(lines) = lines_of_table(doc.text(), key, own) {
        let mark = text.len() - doc.text().len();
        let mut edited = text.to_owned();
        edited.replace_range(lines.start + mark..lines.end + mark, "");
        return Ok(Some(edited));
    }
    let edited = rewritten(text, &doc, |root| match root.get_mut("targets") {
        Some(Item::Value(Value::InlineTable(targets))) => {
            targets.remove(target.as_str());
            targets.fmt();
        }
        Some(Item::Table(targets)) => drop(targets.remove(target.as_str())),
        _ => {}
    });
    edited.map(Some)
}

/// The lines of a table that begins with a header: from the comment directly
/// above it to its last value, and the empty lines behind. `None` for a table
/// that is written in another way.
fn lines_of_table(text: &str, key: Range<usize>, table: &DeTable<'_>) -> Option<Range<usize>> {
    let line_start = |at: usize| text.get(..at)?.rfind('\n').map_or(Some(0), |n| Some(n + 1));
    let line_end = |at: usize| {
        Some(
            text.get(at..)?
                .find('\n')
                .map_or(text.len(), |n| at + n + 1),
        )
    };
    let mut start = line_start(key.start)?;
    if !text.get(start..key.start)?.trim_start().starts_with('[') {
        return None;
    }
    let last = table.values().map(|value| value.span().end);
    let mut end = line_end(last.max().unwrap_or(key.end).max(key.end))?;
    while let Some(above) = start.checked_sub(1).and_then(line_start) {
        // A comment at the top of the file is about all of it.
        if above == 0 || !text.get(above..start)?.trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    while end < text.len() && text.get(end..line_end(end)?)?.trim().is_empty() {
        end = line_end(end)?;
    }
    // The empty line above parted it from what stays, if nothing follows.
    while end == text.len() && text.get(..start)?.ends_with("\n\n") {
        start -= 1;
    }
    Some(start..end)
}

/// Changes a text by its syntax tree.
fn rewritten(
    text: &str,
    doc: &Document<'_>,
    change: impl FnOnce(&mut Table),
) -> Result<String, ManifestError> {
    let mark = text
        .get(..text.len() - doc.text().len())
        .unwrap_or_default();
    let mut tree: DocumentMut = doc
        .text()
        .parse()
        .map_err(|e: toml_edit::TomlError| doc.fault(e.span().unwrap_or(0..0), e.message()))?;
    change(tree.as_table_mut());
    let mut edited = tree.to_string();
    if text.contains('\n') && !text.replace("\r\n", "").contains('\n') {
        edited = edited.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    Ok(format!("{mark}{edited}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_channel_changes() {
        let channel: Channel = "nightly-2026-06-01".parse().unwrap();
        for (before, after) in [
            (
                "# mine\n[toolchain]\nchannel = \"nightly-2026-05-20\" # why\nhosts = []\n",
                "# mine\n[toolchain]\nchannel = \"nightly-2026-06-01\" # why\nhosts = []\n",
            ),
            (
                "\u{feff}toolchain = { channel = 'nightly-2026-05-20' }\r\n",
                "\u{feff}toolchain = { channel = \"nightly-2026-06-01\" }\r\n",
            ),
            (
                "toolchain.hosts = [ ]\ntoolchain.\"channel\" = \"\"\"beta\"\"\"",
                "toolchain.hosts = [ ]\ntoolchain.\"channel\" = \"nightly-2026-06-01\"",
            ),
        ] {
            assert_eq!(
                with_channel(before, Path::new("m"), channel).unwrap(),
                after
            );
        }
        for bad in ["", "[toolchain]\n", "channel = \"x\"", "[toolchain"] {
            assert!(with_channel(bad, Path::new("m"), channel).is_err(), "{bad}");
        }
    }

    fn added(text: &str, target: &str, new: &NewTarget) -> String {
        let target = target.parse().unwrap();
        with_target(text, Path::new("m"), &target, new).unwrap()
    }

    #[test]
    fn a_new_target_comes_behind_the_others_and_nothing_else_changes() {
        let new = NewTarget {
            strategy: Some(Strategy::Build),
            crates: Some(CrateSet::Alloc),
            spec: None,
        };
        let table = "strategy = \"build\"\ncrates = [\"core\", \"alloc\"]\n";
        let start = "# mine\n[toolchain]\nchannel   = 'system' # why\n";
        for (before, after) in [
            (
                start.to_owned(),
                format!("{start}\n[targets.b-none]\n{table}"),
            ),
            (
                format!("{start}\n[targets.a-none]  # first\n\n# other\n[defaults]\n# end\n"),
                format!(
                    "{start}\n[targets.a-none]  # first\n\n[targets.b-none]\n{table}\n\
                     # other\n[defaults]\n# end\n"
                ),
            ),
            (
                format!("{start}[targets]\na-none = {{}}\n"),
                format!("{start}[targets]\na-none = {{}}\n\n[targets.b-none]\n{table}"),
            ),
            (
                "targets = { a-none = {} } # all\n".to_owned(),
                "targets = { a-none = {}, b-none = { strategy = \"build\", crates = [\"core\", \
                 \"alloc\"] } } # all\n"
                    .to_owned(),
            ),
            (
                "\u{feff}[defaults]\r\n# x\r\n".to_owned(),
                format!("\u{feff}[defaults]\n\n[targets.b-none]\n{table}# x\n")
                    .replace('\n', "\r\n"),
            ),
        ] {
            assert_eq!(added(&before, "b-none", &new), after, "{before}");
        }
        // A name with a dot is quoted.
        let text = added("", "thumbv8m.main-none-eabi", &NewTarget::default());
        assert!(
            text.contains("[targets.\"thumbv8m.main-none-eabi\"]"),
            "{text}"
        );
    }

    #[test]
    fn a_target_that_is_there_is_told_with_its_place() {
        let text = "[defaults]\n[targets.a-none]\n";
        let (file, target) = (Path::new("m"), "a-none".parse().unwrap());
        let error = with_target(text, file, &target, &NewTarget::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m:2:10: target `a-none` is there already"
        );
    }

    #[test]
    fn a_target_goes_with_its_own_comment_and_no_other() {
        let target = "b-none".parse().unwrap();
        for (before, after) in [
            (
                "# top\n\n[targets.a-none] # a\n\n# about b\n[targets.b-none] # b\ncrates = [\n \
                 \"core\",\n] # c\n\n# about d\n[targets.d-none]\n",
                "# top\n\n[targets.a-none] # a\n\n# about d\n[targets.d-none]\n",
            ),
            ("# top\n[targets.b-none]\nstrategy = \"build\"\n", "# top\n"),
            (
                "[defaults]\n\n# boards\n\n[targets.b-none]\n\n# end\n",
                "[defaults]\n\n# boards\n\n# end\n",
            ),
            (
                "[targets.a-none]\n\n[targets.b-none]\n",
                "[targets.a-none]\n",
            ),
            (
                "targets = { a-none = {}, b-none = {} } # all\n",
                "targets = { a-none = {} } # all\n",
            ),
            (
                "targets.a-none = {}\ntargets.b-none.crates = [\"core\"]\n",
                "targets.a-none = {}\n",
            ),
            (
                "\u{feff}[defaults]\r\n\r\n[targets.b-none]\r\n",
                "\u{feff}[defaults]\r\n\r\n",
            ),
        ] {
            let edited = without_target(before, Path::new("m"), &target).unwrap();
            assert_eq!(edited.as_deref(), Some(after), "{before}");
        }
        let none = without_target("[targets.a-none]\n", Path::new("m"), &target).unwrap();
        assert_eq!(none, None);
    }
}
