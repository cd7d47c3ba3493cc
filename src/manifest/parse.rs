//! From the text of `sysroot.toml` to a [`Manifest`], or to a fault with its
//! place.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::schema::{
    BUILD_KEYS, MANIFEST_KEYS, RawManifest, RawToolchain, TARGET_KEYS, TOOLCHAIN_KEYS, Texts,
};
use super::target::Partial;
use super::{Manifest, TargetRequest, table_of};
use crate::document::{Document, Fault, key_span, shorten, subtable};
use crate::types::{Channel, Class, Diagnostic, Strategy, Triple};

/// The largest accepted `sysroot.toml`, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// The largest accepted number of targets.
pub const MAX_TARGETS: usize = 4096;

/// Why a text is no `sysroot.toml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Over [`MAX_SIZE`].
    #[error("{file} has {size} bytes; at most {MAX_SIZE} are accepted")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        size: usize,
    },
    /// Over [`MAX_TARGETS`].
    #[error("{file} has {count} targets; at most {MAX_TARGETS} are accepted")]
    TooManyTargets {
        /// The file.
        file: String,
        /// The number of targets.
        count: usize,
    },
    /// Something at one place is wrong.
    #[error("{0}")]
    Invalid(Box<Fault>),
}

impl From<Fault> for ManifestError {
    fn from(fault: Fault) -> Self {
        Self::Invalid(Box::new(fault))
    }
}

impl Diagnostic for ManifestError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } | Self::TooManyTargets { .. } | Self::Invalid(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::TooManyTargets { .. } => None,
            Self::Invalid(fault) => fault.hint().map(str::to_owned),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::TooManyTargets { .. } => None,
            Self::Invalid(fault) => Some(fault.excerpt().to_owned()),
        }
    }
}

impl Manifest {
    /// Reads the text of a `sysroot.toml`; `file_name` is how errors call it.
    pub fn parse(text: &str, file_name: &Path) -> Result<Self, ManifestError> {
        if text.len() > MAX_SIZE {
            return Err(ManifestError::TooLarge {
                file: file_name.display().to_string(),
                size: text.len(),
            });
        }
        let doc = Document::new(file_name, text);
        let table = doc.table().map_err(|fault| conflict_or(&doc, fault))?;
        check_keys(&doc, table.get_ref())?;
        let count = subtable(table.get_ref(), "targets").map_or(0, DeTable::len);
        if count > MAX_TARGETS {
            return Err(ManifestError::TooManyTargets {
                file: file_name.display().to_string(),
                count,
            });
        }
        let raw: RawManifest = doc.read(table.clone())?;
        Ok(interpret(&doc, raw, table.get_ref())?)
    }
}

/// The conflict that git left in a text that is no TOML; else what else is wrong.
fn conflict_or(doc: &Document<'_>, fault: Fault) -> Fault {
    match doc.conflict("the manifest") {
        Some(conflict) => {
            conflict.with_hint("resolve the conflict in the file, then run `sysroot lock`")
        }
        None => fault,
    }
}

fn check_keys(doc: &Document<'_>, top: &DeTable<'_>) -> Result<(), Fault> {
    refuse_displaced(doc, top)?;
    doc.only_known(top, "the manifest", MANIFEST_KEYS)?;
    if let Some(toolchain) = subtable(top, "toolchain") {
        if let Some(span) = key_span(toolchain, "targets") {
            return Err(doc
                .fault(span, "unknown key `targets` in `[toolchain]`")
                .with_hint("each target has a table of its own: `[targets.NAME]`"));
        }
        doc.only_known(toolchain, "`[toolchain]`", TOOLCHAIN_KEYS)?;
    }
    if let Some(defaults) = subtable(top, "defaults") {
        if let Some(span) = key_span(defaults, "spec") {
            return Err(doc
                .fault(span, "`spec` cannot be a default")
                .with_hint("a spec names one target; put it into that target's table"));
        }
        doc.only_known(defaults, "`[defaults]`", TARGET_KEYS)?;
    }
    for (name, target) in subtable(top, "targets").into_iter().flatten() {
        if let Some(target) = target.get_ref().as_table() {
            refuse_unquoted(doc, name.get_ref(), target)?;
            let place = format!("`{}`", table_of(&shorten(name.get_ref())));
            doc.only_known(target, &place, TARGET_KEYS)?;
        } else {
            let (span, name) = (target.span(), shorten(name.get_ref()));
            return Err(doc
                .fault(span, format!("target `{name}` is not a table"))
                .with_hint(format!("write `{}`, with its keys below", table_of(&name))));
        }
    }
    Ok(())
}

/// Refuses a key of a table that stands above all tables.
fn refuse_displaced(doc: &Document<'_>, top: &DeTable<'_>) -> Result<(), Fault> {
    for key in top.keys() {
        let name = key.get_ref().as_ref();
        let place = if TOOLCHAIN_KEYS.contains(&name) {
            "`[toolchain]`"
        } else if TARGET_KEYS.contains(&name) {
            "a target's table, or into `[defaults]`"
        } else {
            continue;
        };
        let message = format!("unknown key `{name}` in the manifest");
        return Err(doc
            .fault(key.span(), message)
            .with_hint(format!("it belongs into {place}")));
    }
    Ok(())
}

/// Refuses a target whose name has a dot and no quotes: to TOML the part behind
/// the dot is a table in the target's.
fn refuse_unquoted(doc: &Document<'_>, name: &str, target: &DeTable<'_>) -> Result<(), Fault> {
    let part = target.iter().find(|(key, value)| {
        let known = TARGET_KEYS.contains(&key.get_ref().as_ref());
        !known && key.get_ref().contains('-') && value.get_ref().is_table()
    });
    let Some((key, _)) = part else { return Ok(()) };
    let (name, part) = (shorten(name), shorten(key.get_ref()));
    let message = format!("unknown key `{part}` in `{}`", table_of(&name));
    let whole = table_of(&format!("{name}.{part}"));
    let hint = format!("a name with a dot is quoted: `{whole}`");
    Err(doc.fault(key.span(), message).with_hint(hint))
}

fn interpret(doc: &Document<'_>, raw: RawManifest, top: &DeTable<'_>) -> Result<Manifest, Fault> {
    let Some(toolchain) = raw.toolchain else {
        return Err(doc
            .fault(0..0, "the table `[toolchain]` is missing")
            .with_hint("add `[toolchain]` with `channel` and `hosts`"));
    };
    let mut manifest = read_toolchain(doc, &toolchain, top)?;
    let defaults = match raw.defaults {
        Some(defaults) => Partial::read(doc, defaults, None)?,
        None => Partial::default(),
    };
    for (name, target) in raw.targets {
        let triple: Triple = parse_text(doc, &name)?;
        let own = Partial::read(doc, target, Some(&triple))?;
        if own.strategy.or(defaults.strategy) == Some(Strategy::Download) {
            let table = subtable(top, "targets").and_then(|all| subtable(all, name.get_ref()));
            refuse_build_keys(doc, &triple, table)?;
        }
        let request: TargetRequest = own.or(&defaults);
        manifest.targets.insert(triple, request);
    }
    Ok(manifest)
}

fn read_toolchain(
    doc: &Document<'_>,
    raw: &RawToolchain,
    top: &DeTable<'_>,
) -> Result<Manifest, Fault> {
    let table = key_span(top, "toolchain").unwrap_or(0..0);
    let Some(channel) = &raw.channel else {
        return Err(doc
            .fault(table, "the key `channel` is missing in `[toolchain]`")
            .with_hint("add `channel = \"nightly-YYYY-MM-DD\"`, a release, or \"system\""));
    };
    let channel: Channel = parse_text(doc, channel)?;
    let hosts = parse_texts(doc, raw.hosts.as_ref())?;
    if channel != Channel::System && hosts.is_empty() {
        let place = raw.hosts.as_ref().map_or(table, Spanned::span);
        return Err(doc
            .fault(place, "`hosts` must name at least one machine")
            .with_hint("add `hosts = [\"x86_64-unknown-linux-gnu\"]`; `rustc -vV` prints yours"));
    }
    Ok(Manifest {
        channel,
        hosts,
        components: parse_texts(doc, raw.components.as_ref())?,
        targets: std::collections::BTreeMap::new(),
    })
}

/// A target's own build-only key contradicts `download`; one that came from
/// the defaults is for the other targets.
fn refuse_build_keys(
    doc: &Document<'_>,
    triple: &Triple,
    own: Option<&DeTable<'_>>,
) -> Result<(), Fault> {
    let own = own.into_iter().flat_map(DeTable::keys);
    let culprit = own
        .into_iter()
        .find(|key| BUILD_KEYS.contains(&key.get_ref().as_ref()));
    let Some(key) = culprit else { return Ok(()) };
    let message = format!(
        "`{}` needs a build, and the strategy of `{triple}` is `download`",
        key.get_ref()
    );
    Err(doc
        .fault(key.span(), message)
        .with_hint("use `strategy = \"build\"`, or remove the key"))
}

/// Reads a text of a checked type.
pub(super) fn parse_text<T>(doc: &Document<'_>, text: &Spanned<String>) -> Result<T, Fault>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.get_ref()
        .parse()
        .map_err(|error: T::Err| doc.fault(text.span(), error.to_string()))
}

/// Reads a list of texts of a checked type.
fn parse_texts<T>(
    doc: &Document<'_>,
    texts: Option<&Texts>,
) -> Result<std::collections::BTreeSet<T>, Fault>
where
    T: std::str::FromStr + Ord,
    T::Err: std::fmt::Display,
{
    texts
        .into_iter()
        .flat_map(Spanned::get_ref)
        .map(|text| parse_text(doc, text))
        .collect()
}
