//! What `sysroot.lock` says: serde types, and the source of the JSON Schema.
//! What it means is [`Lock`](super::Lock).
//!
//! `version` rises when an older sysroot would misread the file; `revision`
//! rises when keys are added that it may ignore.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::manifest::schema::{
    NAME_PATTERN, Scalar, channel_schema, codegen_units_schema, crates_schema, date_schema,
    debug_schema, features_schema, opt_level_schema,
};
use crate::signature::{Detached, Fingerprint};
use crate::types::{
    Channel, ComponentName, Date, Panic, RecipeKey, RelPath, Sha256, SpecDigest, Strategy,
    TreeDigest, Triple,
};

/// The version that this sysroot writes, and the newest it reads.
pub const VERSION: i64 = 1;
/// The revision that this sysroot writes.
pub const REVISION: i64 = 1;

/// The JSON Schema of `sysroot.lock`.
pub fn lock() -> serde_json::Value {
    schemars::schema_for!(RawLock).to_value()
}

/// What a manifest was resolved to. Written by `sysroot lock`; commit it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "sysroot.lock", deny_unknown_fields)]
pub(super) struct RawLock {
    /// The format's version; a newer one is refused.
    #[schemars(extend("const" = 1))]
    #[expect(
        dead_code,
        reason = "it is read before the rest, which it decides about"
    )]
    pub(super) version: i64,
    /// The format's revision within the version; a newer one only adds keys.
    #[schemars(range(min = 0))]
    #[expect(
        dead_code,
        reason = "it is read before the rest, which it decides about"
    )]
    pub(super) revision: i64,
    /// The channel asked for.
    #[schemars(schema_with = "channel_schema")]
    pub(super) channel: Channel,
    /// The hosts asked for.
    #[schemars(schema_with = "names_schema")]
    pub(super) hosts: Vec<Triple>,
    /// The components asked for.
    #[schemars(schema_with = "names_schema")]
    pub(super) components: Vec<ComponentName>,
    /// The compiler that the channel was resolved to.
    pub(super) toolchain: RawToolchain,
    /// Every archive that any host needs: by component, then by the triple it
    /// is for, or `*`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BTreeMap<String, RawArchive>>")]
    pub(super) archives: BTreeMap<ComponentName, BTreeMap<String, RawArchive>>,
    /// The targets by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawTarget>")]
    pub(super) targets: BTreeMap<Triple, RawTarget>,
}

/// The compiler: one of upstream's archive has `date`, `manifest` and
/// `manifest-digest`; the system's has `commit`, `cargo` and `rust-src`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Toolchain", deny_unknown_fields, extend("required" = ["rustc"]))]
pub(super) struct RawToolchain {
    /// The day of the channel manifest.
    #[schemars(schema_with = "date_schema")]
    pub(super) date: Option<Date>,
    /// The compiler's version.
    pub(super) rustc: String,
    /// The compiler's commit hash, where known.
    pub(super) commit: Option<String>,
    /// The channel manifest's path below the dist server's root.
    #[schemars(with = "Option<String>")]
    pub(super) manifest: Option<RelPath>,
    /// Digest of the channel manifest; informative, mirrors rewrite it.
    #[schemars(schema_with = "sha256_schema")]
    pub(super) manifest_digest: Option<Sha256>,
    /// Fingerprint of the OpenPGP key that signed the channel manifest.
    #[schemars(schema_with = "fingerprint_schema")]
    pub(super) signer: Option<Fingerprint>,
    /// The channel manifest's detached OpenPGP signature, without armor, in
    /// base64; or `none`, where the server had none.
    #[schemars(schema_with = "signature_schema")]
    pub(super) signature: Option<RawSignature>,
    /// The system's cargo, as it names itself.
    pub(super) cargo: Option<String>,
    /// Tree digest of the system's rust-src.
    #[schemars(schema_with = "blake3_schema")]
    pub(super) rust_src: Option<TreeDigest>,
}

/// What is known about the channel manifest's signature.
pub(super) enum RawSignature {
    /// The server had none.
    None,
    /// The signature.
    Detached(Detached),
}

impl<'de> Deserialize<'de> for RawSignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == NO_SIGNATURE {
            return Ok(Self::None);
        }
        let detached = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self::Detached(detached))
    }
}

/// What stands for a signature that the server did not have.
pub(super) const NO_SIGNATURE: &str = "none";

/// One archive in the formats that upstream offers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Archive", deny_unknown_fields, extend("required" = []))]
pub(super) struct RawArchive {
    /// Path of the `.tar.xz` below the dist server's root.
    #[schemars(with = "Option<String>")]
    pub(super) xz_path: Option<RelPath>,
    /// Digest of the `.tar.xz`.
    #[schemars(schema_with = "sha256_schema")]
    pub(super) xz_digest: Option<Sha256>,
    /// Path of the `.tar.gz` below the dist server's root.
    #[schemars(with = "Option<String>")]
    pub(super) gz_path: Option<RelPath>,
    /// Digest of the `.tar.gz`.
    #[schemars(schema_with = "sha256_schema")]
    pub(super) gz_digest: Option<Sha256>,
}

/// One target: what was asked for, and what it was resolved to.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Target", deny_unknown_fields, extend("required" = ["source", "request"]))]
pub(super) struct RawTarget {
    /// How the target is obtained.
    pub(super) source: RawSource,
    /// Digest of a custom target spec's raw bytes.
    #[schemars(schema_with = "sha256_schema")]
    pub(super) spec_digest: Option<SpecDigest>,
    /// What the manifest asked for.
    pub(super) request: RawRequest,
    /// For a build, every option with its default filled in.
    pub(super) options: Option<RawOptions>,
    /// For a build, its key and its pin on each host.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawBuild>")]
    pub(super) hosts: BTreeMap<Triple, RawBuild>,
}

/// How a target is obtained.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Source")]
pub(super) enum RawSource {
    /// Upstream's rust-std.
    Download,
    /// The system toolchain's own copy.
    System,
    /// Compiled from rust-src.
    Build,
}

/// What the manifest asked for, its defaults merged in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Request", deny_unknown_fields, extend("required" = ["strategy"]))]
pub(super) struct RawRequest {
    /// The strategy.
    pub(super) strategy: Strategy,
    /// Path of the custom target spec.
    #[schemars(with = "Option<String>")]
    pub(super) spec: Option<RelPath>,
    /// The crates.
    #[schemars(schema_with = "crates_schema")]
    pub(super) crates: Option<Vec<String>>,
    /// Features of the library workspace.
    #[serde(default)]
    #[schemars(schema_with = "features_schema")]
    pub(super) features: Vec<String>,
    /// Optimisation level.
    #[schemars(schema_with = "opt_level_schema")]
    pub(super) opt_level: Option<Scalar>,
    /// Debug information.
    #[schemars(schema_with = "debug_schema")]
    pub(super) debug: Option<Scalar>,
    /// Panic strategy.
    pub(super) panic: Option<Panic>,
    /// Code generation units.
    #[schemars(schema_with = "codegen_units_schema")]
    pub(super) codegen_units: Option<Scalar>,
    /// Whether rlibs carry bitcode.
    pub(super) embed_bitcode: Option<bool>,
    /// Compiler flags.
    #[serde(default)]
    pub(super) rustflags: Vec<String>,
}

/// The options of a build, defaults filled in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Options", deny_unknown_fields, extend("required" = ["crates", "features", "opt-level", "debug", "codegen-units", "embed-bitcode", "rustflags"]))]
pub(super) struct RawOptions {
    /// The crates.
    #[schemars(schema_with = "crates_schema")]
    pub(super) crates: Vec<String>,
    /// Features of the library workspace.
    #[schemars(schema_with = "features_schema")]
    pub(super) features: Vec<String>,
    /// Optimisation level.
    #[schemars(schema_with = "opt_level_schema")]
    pub(super) opt_level: Scalar,
    /// Debug information.
    #[schemars(schema_with = "debug_schema")]
    pub(super) debug: Scalar,
    /// Panic strategy; absent where the target decides.
    pub(super) panic: Option<Panic>,
    /// Code generation units.
    #[schemars(schema_with = "codegen_units_schema")]
    pub(super) codegen_units: Scalar,
    /// Whether rlibs carry bitcode.
    pub(super) embed_bitcode: bool,
    /// Compiler flags.
    pub(super) rustflags: Vec<String>,
}

/// A compiled target on one host.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Build", deny_unknown_fields, extend("required" = ["key"]))]
pub(super) struct RawBuild {
    /// Key of the recipe.
    #[schemars(schema_with = "blake3_schema")]
    pub(super) key: RecipeKey,
    /// Digest of the tree that the build must give.
    #[schemars(schema_with = "blake3_schema")]
    pub(super) pin: Option<TreeDigest>,
}

/// The keys of the top level.
pub(super) const LOCK_KEYS: &[&str] = &[
    "version",
    "revision",
    "channel",
    "hosts",
    "components",
    "toolchain",
    "archives",
    "targets",
];
/// The keys of `[toolchain]`.
pub(super) const TOOLCHAIN_KEYS: &[&str] = &[
    "date",
    "rustc",
    "commit",
    "manifest",
    "manifest-digest",
    "signer",
    "signature",
    "cargo",
    "rust-src",
];
/// The keys of an archive.
pub(super) const ARCHIVE_KEYS: &[&str] = &["xz-path", "xz-digest", "gz-path", "gz-digest"];
/// The keys of a target.
pub(super) const TARGET_KEYS: &[&str] = &["source", "spec-digest", "request", "options", "hosts"];
/// The keys of a request; those of options are among them.
pub(super) const REQUEST_KEYS: &[&str] = &[
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
/// The keys of options.
pub(super) const OPTION_KEYS: &[&str] = &[
    "crates",
    "features",
    "opt-level",
    "debug",
    "panic",
    "codegen-units",
    "embed-bitcode",
    "rustflags",
];
/// The keys of a compiled target on one host.
pub(super) const BUILD_KEYS: &[&str] = &["key", "pin"];

fn names_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": NAME_PATTERN } })
}

fn fingerprint_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^([0-9A-F]{40}|[0-9A-F]{64})$" })
}

fn signature_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^(none|[A-Za-z0-9+/]+={0,2})$" })
}

fn sha256_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" })
}

fn blake3_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^blake3:[0-9a-f]{64}$" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_keys_are_those_of_the_types() {
        let schema = lock();
        let types = &schema["$defs"];
        for (schema, keys) in [
            (&schema, LOCK_KEYS),
            (&types["Toolchain"], TOOLCHAIN_KEYS),
            (&types["Archive"], ARCHIVE_KEYS),
            (&types["Target"], TARGET_KEYS),
            (&types["Request"], REQUEST_KEYS),
            (&types["Options"], OPTION_KEYS),
            (&types["Build"], BUILD_KEYS),
        ] {
            let properties = schema["properties"].as_object().unwrap();
            let mut have: Vec<&str> = properties.keys().map(String::as_str).collect();
            let mut want = keys.to_vec();
            have.sort_unstable();
            want.sort_unstable();
            assert_eq!(have, want);
        }
    }
}
