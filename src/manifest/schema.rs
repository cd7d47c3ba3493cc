//! What `sysroot.toml` says: serde types with positions, and the source of the
//! JSON Schema. What it means is [`Manifest`](super::Manifest).

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use toml::Spanned;

use crate::types::{Panic, Strategy};

// schemars takes an optional field with a schema of its own for a required one,
// so every type says itself what is required.

/// The JSON Schema of `sysroot.toml`.
pub fn manifest() -> serde_json::Value {
    schemars::schema_for!(RawManifest).to_value()
}

pub(super) type Text = Spanned<String>;
pub(super) type Texts = Spanned<Vec<Text>>;

/// What a project asks for: its compiler, and the targets it is built for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "sysroot.toml", deny_unknown_fields, extend("required" = ["toolchain"]))]
pub(super) struct RawManifest {
    /// Which compiler, on which machines.
    pub(super) toolchain: Option<RawToolchain>,
    /// Any key of a target except `spec`: used for every target that does not
    /// have the key itself.
    #[schemars(default, with = "RawDefaults")]
    pub(super) defaults: Option<RawTarget>,
    /// The targets by name: a triple that rustc knows, or the file stem of a
    /// custom target spec.
    #[serde(default)]
    #[schemars(schema_with = "targets_schema")]
    pub(super) targets: BTreeMap<Text, RawTarget>,
}

/// Which compiler, on which machines.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Toolchain", deny_unknown_fields, extend("required" = ["channel"]))]
pub(super) struct RawToolchain {
    /// A dated nightly or beta, a release, or `system` for the toolchain that
    /// is already on the machine.
    #[schemars(schema_with = "channel_schema")]
    pub(super) channel: Option<Text>,
    /// The machines the project is built on. All of them are locked from any
    /// one machine. May be left out for the channel `system`.
    #[schemars(schema_with = "triples_schema")]
    pub(super) hosts: Option<Texts>,
    /// Components beside rustc, cargo and the host's rust-std, such as
    /// `clippy`, `rustfmt` or `rust-src`.
    #[schemars(schema_with = "triples_schema")]
    pub(super) components: Option<Texts>,
}

macro_rules! target_keys {
    ($(#[$doc:meta])* $name:ident { $($extra:tt)* }) => {
        #[derive(Default, Deserialize, JsonSchema)]
        $(#[$doc])*
        #[serde(rename_all = "kebab-case")]
        #[schemars(deny_unknown_fields, extend("required" = []))]
        pub(super) struct $name {
            /// `download` takes upstream's rust-std, `build` compiles from
            /// rust-src, `auto` (the default) downloads where upstream ships
            /// the target and nothing in the table asks for a build.
            #[schemars(with = "Option<Strategy>")]
            pub(super) strategy: Option<Text>,
            $($extra)*
            /// The crates to compile: `core`, `alloc` (the default, with
            /// `core`), or `std` for everything.
            #[schemars(schema_with = "crates_schema")]
            pub(super) crates: Option<Texts>,
            /// Features of the library workspace, such as
            /// `compiler-builtins-mem`.
            #[schemars(schema_with = "features_schema")]
            pub(super) features: Option<Texts>,
            /// Optimisation level: 0 to 3, `"s"` or `"z"`.
            #[schemars(schema_with = "opt_level_schema")]
            pub(super) opt_level: Option<Spanned<Scalar>>,
            /// Debug information: a boolean, 0 to 2, `"none"`,
            /// `"line-tables-only"`, `"limited"` or `"full"`.
            #[schemars(schema_with = "debug_schema")]
            pub(super) debug: Option<Spanned<Scalar>>,
            /// The panic strategy that the crates are compiled for.
            #[schemars(with = "Option<Panic>")]
            pub(super) panic: Option<Text>,
            /// Code generation units of each crate.
            #[schemars(schema_with = "codegen_units_schema")]
            pub(super) codegen_units: Option<Spanned<Scalar>>,
            /// Whether the rlibs carry LLVM bitcode, which link-time
            /// optimisation reads.
            #[schemars(with = "Option<bool>")]
            pub(super) embed_bitcode: Option<Spanned<bool>>,
            /// Compiler flags that change code generation only, such as
            /// `-Ctarget-cpu=cortex-a72`.
            #[schemars(with = "Option<Vec<String>>")]
            pub(super) rustflags: Option<Texts>,
        }
    };
}

target_keys! {
    /// One target.
    #[schemars(rename = "Target")]
    RawTarget {
        /// A custom target spec: a `.json` file, relative to this file, whose
        /// stem is the target's name.
        #[schemars(schema_with = "spec_schema")]
        pub(super) spec: Option<Text>,
    }
}

target_keys! {
    /// Keys for every target that does not have them itself.
    #[schemars(rename = "Defaults")]
    #[expect(dead_code, reason = "only its schema is used")]
    RawDefaults {}
}

/// The keys of the top level.
pub(super) const MANIFEST_KEYS: &[&str] = &["toolchain", "defaults", "targets"];
/// The keys of `[toolchain]`.
pub(super) const TOOLCHAIN_KEYS: &[&str] = &["channel", "hosts", "components"];
/// The keys of `[targets.NAME]` that only a build can honour.
pub(super) const BUILD_KEYS: &[&str] = &[
    "spec",
    "crates",
    "features",
    "opt-level",
    "debug",
    "panic",
    "codegen-units",
    "embed-bitcode",
    "rustflags",
];
/// The keys of `[targets.NAME]`.
pub(super) const TARGET_KEYS: &[&str] = &[
    "strategy",
    "spec",
    "crates",
    "features",
    "opt-level",
    "debug",
    "panic",
    "codegen-units",
    "embed-bitcode",
    "rustflags",
];

/// A value of one of several simple types, as cargo's profile keys have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl serde::de::Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a boolean, an integer or a string")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Int(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }
}

/// What a target or component name looks like.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";

/// What a day looks like.
macro_rules! day {
    () => {
        "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    };
}

pub(crate) fn channel_schema(_: &mut SchemaGenerator) -> Schema {
    let pattern = concat!(
        "^((nightly|beta)-",
        day!(),
        "|[0-9]+\\.[0-9]+\\.[0-9]+|system)$"
    );
    json_schema!({ "type": "string", "pattern": pattern })
}

pub(crate) fn date_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": concat!("^", day!(), "$") })
}

fn triples_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": NAME_PATTERN } })
}

fn targets_schema(generator: &mut SchemaGenerator) -> Schema {
    let target = generator.subschema_for::<RawTarget>();
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": NAME_PATTERN },
        "additionalProperties": target,
    })
}

fn spec_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[^/\\\\:].*\\.json$" })
}

pub(crate) fn crates_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "enum": ["core", "alloc", "std"] },
        "minItems": 1,
    })
}

pub(crate) fn features_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": "^[a-z0-9][a-z0-9_/-]*$" } })
}

pub(crate) fn opt_level_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [0, 1, 2, 3, "s", "z"] })
}

pub(crate) fn debug_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, 0, 1, 2, "none", "line-tables-only", "limited", "full"] })
}

pub(crate) fn codegen_units_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(schema: &serde_json::Value) -> Vec<&str> {
        let mut keys: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys
    }

    fn sorted(keys: &[&'static str]) -> Vec<&'static str> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_lists_of_keys_are_those_of_the_types() {
        let schema = manifest();
        assert_eq!(properties(&schema), sorted(MANIFEST_KEYS));
        let types = &schema["$defs"];
        assert_eq!(properties(&types["Toolchain"]), sorted(TOOLCHAIN_KEYS));
        assert_eq!(properties(&types["Target"]), sorted(TARGET_KEYS));
        let defaults: Vec<_> = sorted(TARGET_KEYS)
            .into_iter()
            .filter(|key| *key != "spec")
            .collect();
        assert_eq!(properties(&types["Defaults"]), defaults);
        let builds: Vec<_> = TARGET_KEYS.iter().filter(|k| **k != "strategy").collect();
        assert_eq!(builds, BUILD_KEYS.iter().collect::<Vec<_>>());
    }
}
