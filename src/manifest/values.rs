//! The values of single keys: from text, integer or boolean to their types.
//!
//! Shared by the manifest and the lock, which spell a request in the same way.

use super::schema::Scalar;
use crate::types::{CrateSet, DebugInfo, OptLevel, Panic, Strategy};

/// The spellings of `strategy`.
pub(crate) const STRATEGIES: [(&str, Strategy); 3] = [
    ("auto", Strategy::Auto),
    ("download", Strategy::Download),
    ("build", Strategy::Build),
];

/// The spellings of `panic`.
pub(crate) const PANICS: [(&str, Panic); 3] = [
    ("unwind", Panic::Unwind),
    ("abort", Panic::Abort),
    ("immediate-abort", Panic::ImmediateAbort),
];

/// Reads `opt-level`.
pub(crate) fn opt_level(value: &Scalar) -> Option<OptLevel> {
    match value {
        Scalar::Int(number @ 0..=3) => u8::try_from(*number).ok().map(OptLevel::Number),
        Scalar::Text(text) => match text.as_str() {
            "s" => Some(OptLevel::Size),
            "z" => Some(OptLevel::SizeMin),
            _ => None,
        },
        Scalar::Int(_) | Scalar::Bool(_) => None,
    }
}

/// Reads `debug`, in any of cargo's spellings.
pub(crate) fn debug(value: &Scalar) -> Option<DebugInfo> {
    match value {
        Scalar::Bool(false) | Scalar::Int(0) => Some(DebugInfo::None),
        Scalar::Int(1) => Some(DebugInfo::Limited),
        Scalar::Bool(true) | Scalar::Int(2) => Some(DebugInfo::Full),
        Scalar::Int(_) => None,
        Scalar::Text(text) => [
            DebugInfo::None,
            DebugInfo::LineTablesOnly,
            DebugInfo::Limited,
            DebugInfo::Full,
        ]
        .into_iter()
        .find(|known| known.as_str() == text),
    }
}

/// Reads `codegen-units`.
pub(crate) fn codegen_units(value: &Scalar) -> Option<u16> {
    match value {
        Scalar::Int(number @ 1..=256) => u16::try_from(*number).ok(),
        Scalar::Int(_) | Scalar::Bool(_) | Scalar::Text(_) => None,
    }
}

/// The smallest set with every crate of the list; the index of an unknown one
/// is the error. An empty list is the set `core`, which is why callers refuse
/// it before.
pub(crate) fn crate_set<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<CrateSet, usize> {
    let mut set = CrateSet::Core;
    for (index, name) in names.into_iter().enumerate() {
        set = set.max(match name {
            "core" => CrateSet::Core,
            "alloc" => CrateSet::Alloc,
            "std" => CrateSet::Std,
            _ => return Err(index),
        });
    }
    Ok(set)
}

/// Whether a text can be the name of a feature, with the crate before it or not.
pub(crate) fn is_feature(name: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'/');
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !name.ends_with('/')
        && name.bytes().all(allowed)
        && name.matches('/').count() <= 1
}
