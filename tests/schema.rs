//! Holds the types, the JSON Schemas, `sysroot.toml.example` and the examples
//! together. `UPDATE_SCHEMA=1` writes the schemas anew.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads and writes the repository's own files"
)]

#[path = "schema/names.rs"]
mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sysroot::lock::Lock;
use sysroot::manifest::Manifest;
use sysroot::resolve::{Source, SystemToolchain, resolve};
use sysroot::types::{SpecDigest, TreeDigest, Triple};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn hold(file: &str, schema: &Value) {
    let path = root().join("schema").join(file);
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is not what the types say; run `UPDATE_SCHEMA=1 cargo test --test schema`"
    );
}

#[test]
fn the_schemas_are_those_of_the_types() {
    hold(
        "sysroot.schema.json",
        &sysroot::manifest::schema::manifest(),
    );
    hold("sysroot-lock.schema.json", &sysroot::lock::schema::lock());
}

/// The part of the schema that a `$ref` or an `anyOf` with null stands for.
fn resolved<'s>(top: &'s Value, schema: &'s Value) -> &'s Value {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix("#/$defs/"))
    {
        return resolved(top, &top["$defs"][name]);
    }
    match schema["anyOf"].as_array() {
        Some(choices) => resolved(top, &choices[0]),
        None => schema,
    }
}

/// Every key must be in the schema, and every value with an `enum` in it.
fn check(top: &Value, schema: &Value, value: &toml::Value, place: &str) {
    let schema = resolved(top, schema);
    if let Some(allowed) = schema["enum"].as_array() {
        let value = serde_json::to_value(value).unwrap();
        assert!(
            allowed.contains(&value),
            "{place}: {value} is not in the schema"
        );
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for value in values {
            check(top, items, value, place);
        }
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        let key = key.as_str().unwrap();
        assert!(
            value.get(key).is_some(),
            "{place}: the schema requires `{key}`"
        );
    }
    for (key, value) in value.as_table().into_iter().flatten() {
        let known = schema["properties"].get(key);
        let any = schema
            .get("additionalProperties")
            .filter(|any| any.is_object());
        let inner = known.or(any);
        let place = format!("{place}.{key}");
        check(
            top,
            inner.unwrap_or_else(|| panic!("{place} is not in the schema")),
            value,
            &place,
        );
    }
}

fn check_manifest(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    Manifest::parse(&text, path).unwrap_or_else(|error| panic!("{error}"));
    let schema = sysroot::manifest::schema::manifest();
    let value: toml::Table = text.parse().unwrap();
    check(
        &schema,
        &schema,
        &toml::Value::Table(value),
        &path.display().to_string(),
    );
}

#[test]
fn the_example_has_every_key_and_is_a_manifest() {
    let path = root().join("sysroot.toml.example");
    check_manifest(&path);
    let text = std::fs::read_to_string(path).unwrap();
    let value: toml::Table = text.parse().unwrap();
    let schema = sysroot::manifest::schema::manifest();
    let keys = |name: &str| -> BTreeSet<String> {
        schema["$defs"][name]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let toolchain: BTreeSet<String> = value["toolchain"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(toolchain, keys("Toolchain"));
    let targets = value["targets"].as_table().unwrap();
    let used: BTreeSet<String> = targets
        .values()
        .flat_map(|target| target.as_table().unwrap().keys().cloned())
        .collect();
    assert_eq!(used, keys("Target"));
}

/// The files below `dir` whose name starts with `sysroot` and ends with `suffix`.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files(&entry.path(), suffix));
        } else if name.starts_with("sysroot") && name.ends_with(suffix) {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_written_lock_follows_its_schema() {
    let text = std::fs::read_to_string(root().join("sysroot.toml.example")).unwrap();
    let text = text
        .replace("\"nightly-2026-05-20\"", "\"system\"")
        .replace("\"download\"", "\"auto\"");
    let manifest = Manifest::parse(&text, Path::new("sysroot.toml")).unwrap();
    let host: Triple = "x86_64-unknown-linux-gnu".parse().unwrap();
    let system = SystemToolchain {
        rustc: "rustc 1.96.0 (ac68faa20 2026-05-25)".to_owned(),
        commit: "ac68faa20".to_owned(),
        cargo: "cargo 1.96.0".to_owned(),
        host,
        rust_src: TreeDigest::from_bytes([1; 32]),
        shipped: BTreeSet::new(),
        known: manifest.targets.keys().cloned().collect(),
    };
    let specs = [("my-os".parse().unwrap(), SpecDigest::of(b"{}"))].into();
    let today = "2026-05-20".parse().unwrap();
    let lock = resolve(&manifest, &specs, &Source::System(&system), today).unwrap();
    let schema = sysroot::lock::schema::lock();
    let value: toml::Table = lock.to_text().parse().unwrap();
    check(&schema, &schema, &toml::Value::Table(value), "lock");
}

#[test]
fn the_examples_follow_the_schemas() {
    for path in files(&root().join("examples"), ".toml") {
        check_manifest(&path);
    }
    let schema = sysroot::lock::schema::lock();
    for path in files(&root().join("examples"), ".lock") {
        let text = std::fs::read_to_string(&path).unwrap();
        Lock::parse(&text, &path).unwrap_or_else(|error| panic!("{error}"));
        let value: toml::Table = text.parse().unwrap();
        check(
            &schema,
            &schema,
            &toml::Value::Table(value),
            &path.display().to_string(),
        );
    }
}
