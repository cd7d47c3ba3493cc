//! One target's table, and how the defaults fill it.

use std::collections::BTreeSet;

use toml::Spanned;

use super::parse::parse_text;
use super::schema::{RawTarget, Scalar, Text, Texts};
use super::{TargetRequest, rustflags, table_of, values};
use crate::document::{Document, Fault, shorten};
use crate::types::nearest::nearest;
use crate::types::{CrateSet, Profile, RelPath, Strategy, Triple};

/// The keys of one table; `None` means not mentioned.
#[derive(Default)]
pub(super) struct Partial {
    pub(super) strategy: Option<Strategy>,
    spec: Option<RelPath>,
    crates: Option<CrateSet>,
    features: Option<BTreeSet<String>>,
    profile: Profile,
    rustflags: Option<Vec<String>>,
}

impl Partial {
    /// Reads one table; `name` is the target's, none for the defaults.
    pub(super) fn read(
        doc: &Document<'_>,
        raw: RawTarget,
        name: Option<&Triple>,
    ) -> Result<Self, Fault> {
        let RawTarget {
            strategy,
            spec,
            crates,
            features,
            opt_level,
            debug,
            panic,
            codegen_units,
            embed_bitcode,
            rustflags,
        } = raw;
        let profile = Profile {
            opt_level: scalar(doc, opt_level, values::opt_level, "0 to 3, \"s\" or \"z\"")?,
            debug: scalar(doc, debug, values::debug, DEBUG_VALUES)?,
            panic: one_of(doc, panic.as_ref(), &values::PANICS)?,
            codegen_units: scalar(doc, codegen_units, values::codegen_units, "1 to 256")?,
            embed_bitcode: embed_bitcode.map(Spanned::into_inner),
        };
        Ok(Self {
            strategy: one_of(doc, strategy.as_ref(), &values::STRATEGIES)?,
            spec: spec.map(|spec| read_spec(doc, &spec, name)).transpose()?,
            crates: crates.map(|crates| read_crates(doc, &crates)).transpose()?,
            features: features
                .map(|features| read_features(doc, features))
                .transpose()?,
            profile,
            rustflags: rustflags
                .map(|flags| read_rustflags(doc, flags.get_ref()))
                .transpose()?,
        })
    }

    /// Fills what is not mentioned here from `defaults`. A download honours no
    /// build-only key, so it takes none from them.
    pub(super) fn or(self, defaults: &Self) -> TargetRequest {
        let strategy = self.strategy.or(defaults.strategy).unwrap_or_default();
        let nothing = Self::default();
        let defaults = if strategy == Strategy::Download {
            &nothing
        } else {
            defaults
        };
        let (own, other) = (self.profile, defaults.profile);
        TargetRequest {
            strategy,
            spec: self.spec,
            crates: self.crates.or(defaults.crates),
            features: self
                .features
                .or_else(|| defaults.features.clone())
                .unwrap_or_default(),
            profile: Profile {
                opt_level: own.opt_level.or(other.opt_level),
                debug: own.debug.or(other.debug),
                panic: own.panic.or(other.panic),
                codegen_units: own.codegen_units.or(other.codegen_units),
                embed_bitcode: own.embed_bitcode.or(other.embed_bitcode),
            },
            rustflags: self
                .rustflags
                .or_else(|| defaults.rustflags.clone())
                .unwrap_or_default(),
        }
    }
}

const DEBUG_VALUES: &str =
    "a boolean, 0 to 2, \"none\", \"line-tables-only\", \"limited\" or \"full\"";

fn scalar<T>(
    doc: &Document<'_>,
    value: Option<Spanned<Scalar>>,
    read: impl Fn(&Scalar) -> Option<T>,
    expected: &str,
) -> Result<Option<T>, Fault> {
    let Some(value) = value else { return Ok(None) };
    if let Some(read) = read(value.get_ref()) {
        return Ok(Some(read));
    }
    let fault = doc.fault(value.span(), format!("expected {expected}"));
    let meant = unquoted(value.get_ref()).filter(|meant| read(meant).is_some());
    Err(match (meant, value.get_ref()) {
        (Some(_), Scalar::Text(text)) => {
            fault.with_hint(format!("write it without quotes: `{text}`"))
        }
        _ => fault,
    })
}

/// The number or boolean that stands in quotes.
fn unquoted(value: &Scalar) -> Option<Scalar> {
    let Scalar::Text(text) = value else {
        return None;
    };
    let number = text.parse().map(Scalar::Int);
    number.or_else(|_| text.parse().map(Scalar::Bool)).ok()
}

fn one_of<T: Copy>(
    doc: &Document<'_>,
    text: Option<&Text>,
    known: &[(&'static str, T)],
) -> Result<Option<T>, Fault> {
    let Some(text) = text else { return Ok(None) };
    if let Some((_, value)) = known.iter().find(|(name, _)| name == text.get_ref()) {
        return Ok(Some(*value));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = format!(
        "`{}` is none of {}",
        shorten(text.get_ref()),
        names.join(", ")
    );
    let fault = doc.fault(text.span(), message);
    Err(
        match nearest(text.get_ref(), known.iter().map(|(name, _)| *name)) {
            Some(near) => fault.with_hint(format!("did you mean `{near}`?")),
            None => fault,
        },
    )
}

fn read_spec(doc: &Document<'_>, spec: &Text, name: Option<&Triple>) -> Result<RelPath, Fault> {
    let path: RelPath = parse_text(doc, spec).map_err(|fault| {
        fault.with_hint("name it relative to the manifest, such as `targets/NAME.json`")
    })?;
    let file = path.components().next_back().unwrap_or_default();
    let Some(stem) = file.strip_suffix(".json") else {
        let message = format!("a target spec must be a `.json` file, and `{path}` is none");
        return Err(doc.fault(spec.span(), message));
    };
    match name {
        // rustc and cargo take the stem for the target's name.
        Some(name) if name.as_str() != stem => {
            let message =
                format!("the spec's file stem `{stem}` is not the target's name `{name}`");
            let table = table_of(stem);
            let hint = format!("rename the file to `{name}.json`, or the table to `{table}`");
            Err(doc.fault(spec.span(), message).with_hint(hint))
        }
        _ => Ok(path),
    }
}

fn read_crates(doc: &Document<'_>, crates: &Texts) -> Result<CrateSet, Fault> {
    let names = crates.get_ref();
    if names.is_empty() {
        return Err(doc
            .fault(crates.span(), "`crates` is empty")
            .with_hint("name `core`, `alloc` or `std`"));
    }
    values::crate_set(names.iter().map(|name| name.get_ref().as_str())).map_err(|index| {
        let (span, name) = names
            .get(index)
            .map_or((crates.span(), ""), |name| (name.span(), name.get_ref()));
        let message = format!("`{}` is none of `core`, `alloc`, `std`", shorten(name));
        doc.fault(span, message)
            .with_hint("compiler_builtins always comes with them; `std` builds everything")
    })
}

fn read_features(doc: &Document<'_>, features: Texts) -> Result<BTreeSet<String>, Fault> {
    features
        .into_inner()
        .into_iter()
        .map(|feature| {
            if values::is_feature(feature.get_ref()) {
                return Ok(feature.into_inner());
            }
            let message = format!("`{}` is not a feature name", shorten(feature.get_ref()));
            Err(doc.fault(feature.span(), message))
        })
        .collect()
}

fn read_rustflags(doc: &Document<'_>, flags: &[Text]) -> Result<Vec<String>, Fault> {
    let texts = flags.iter().map(|flag| flag.get_ref().as_str());
    rustflags::normalise(texts).map_err(|(index, error)| {
        let span = flags.get(index).map_or(0..0, Spanned::span);
        let fault = doc.fault(span, error.to_string());
        match error.hint() {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    })
}
