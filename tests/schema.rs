//! Holds the types, the JSON Schemas, `sysroot.toml.example` and the examples
//! together, by a validator as editors have one. `UPDATE_SCHEMA=1` writes the schemas anew.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads and writes the repository's own files"
)]

#[path = "schema/cases.rs"]
mod cases;
#[path = "schema/names.rs"]
mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;
use sysroot::lock::Lock;
use sysroot::manifest::Manifest;
use sysroot::resolve::{ChannelManifest, Source, SystemToolchain, resolve};
use sysroot::types::{Sha256, SpecDigest, TreeDigest, Triple};

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

/// Compiles a schema as an editor does.
fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).unwrap()
}

/// What a TOML text is to a validator.
fn json(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap();
    serde_json::to_value(table).unwrap()
}

#[track_caller]
fn follows(schema: &Value, text: &str, place: &str) {
    let errors: Vec<String> = validator(schema)
        .iter_errors(&json(text))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{place}: {errors:#?}");
}

fn check_manifest(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    Manifest::parse(&text, path).unwrap_or_else(|error| panic!("{error}"));
    let schema = sysroot::manifest::schema::manifest();
    follows(&schema, &text, &path.display().to_string());
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

/// The lock of the example with the system's toolchain.
fn system_lock() -> String {
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
    locked(&manifest, &Source::System(&system))
}

/// The lock of the example with what upstream published on its day.
fn dist_lock() -> String {
    let text = std::fs::read_to_string(root().join("sysroot.toml.example")).unwrap();
    let manifest = Manifest::parse(&text, Path::new("sysroot.toml")).unwrap();
    let path = root().join("tests/data/channel-rust-nightly-2026-05-20.toml");
    let bytes = std::fs::read(path).unwrap();
    let source = Source::Dist {
        manifest: &ChannelManifest::parse(&bytes).unwrap(),
        path: "dist/2026-05-20/channel-rust-nightly.toml".parse().unwrap(),
        sha256: Sha256::of(&bytes),
    };
    locked(&manifest, &source)
}

fn locked(manifest: &Manifest, source: &Source<'_>) -> String {
    let specs = [("my-os".parse().unwrap(), SpecDigest::of(b"{}"))].into();
    let today = "2026-05-20".parse().unwrap();
    resolve(manifest, &specs, source, today).unwrap().to_text()
}

#[test]
fn written_locks_follow_their_schema() {
    let schema = sysroot::lock::schema::lock();
    follows(&schema, &system_lock(), "system");
    follows(&schema, &dist_lock(), "dist");
}

#[test]
fn the_examples_follow_the_schemas() {
    let examples = root().join("examples");
    let manifests = files(&examples, ".toml");
    assert_eq!(manifests.len(), 2, "{manifests:?}");
    for path in manifests {
        check_manifest(&path);
    }
    let schema = sysroot::lock::schema::lock();
    let locks = files(&examples, ".lock");
    assert_eq!(locks.len(), 1, "{locks:?}");
    for path in locks {
        let text = std::fs::read_to_string(&path).unwrap();
        Lock::parse(&text, &path).unwrap_or_else(|error| panic!("{error}"));
        follows(&schema, &text, &path.display().to_string());
    }
}

/// Texts that are no manifests, by what is wrong with them.
const NO_MANIFESTS: [(&str, &str); 29] = [
    ("nothing", ""),
    ("no channel", "[toolchain]\nhosts = []\n"),
    ("a key at the top", "name = 1\nTOOLCHAIN"),
    ("a table at the top", "TOOLCHAIN[remotes]\n"),
    (
        "a key of the toolchain",
        "[toolchain]\nchannel = \"system\"\nserver = \"x\"\n",
    ),
    ("a number for a channel", "[toolchain]\nchannel = 1\n"),
    (
        "a channel without its day",
        "[toolchain]\nchannel = \"nightly\"\n",
    ),
    (
        "a day of one digit",
        "[toolchain]\nchannel = \"nightly-2026-5-20\"\nhosts = [\"x\"]\n",
    ),
    (
        "a month that is none",
        "[toolchain]\nchannel = \"nightly-2026-13-20\"\nhosts = [\"x\"]\n",
    ),
    (
        "one host",
        "[toolchain]\nchannel = \"system\"\nhosts = \"x86_64-unknown-linux-gnu\"\n",
    ),
    (
        "a host that is a path",
        "[toolchain]\nchannel = \"system\"\nhosts = [\"../x\"]\n",
    ),
    (
        "a component that is a number",
        "[toolchain]\nchannel = \"system\"\ncomponents = [1]\n",
    ),
    ("a key of a target", "TARGETlinker = \"cc\"\n"),
    ("a target that is a path", "TOOLCHAIN[targets.\"a/b\"]\n"),
    ("a target that is a list", "TOOLCHAINtargets = []\n"),
    (
        "a spec for all targets",
        "TOOLCHAIN[defaults]\nspec = \"x.json\"\n",
    ),
    ("a strategy", "TARGETstrategy = \"fetch\"\n"),
    ("no crates", "TARGETcrates = []\n"),
    ("another crate", "TARGETcrates = [\"kernel\"]\n"),
    ("a feature", "TARGETfeatures = [\"Mem!\"]\n"),
    ("a level", "TARGETopt-level = 4\n"),
    ("a level's letter", "TARGETopt-level = \"q\"\n"),
    ("debug information", "TARGETdebug = \"some\"\n"),
    ("a panic strategy", "TARGETpanic = \"explode\"\n"),
    ("no units", "TARGETcodegen-units = 0\n"),
    ("too many units", "TARGETcodegen-units = 257\n"),
    ("a word for a boolean", "TARGETembed-bitcode = \"yes\"\n"),
    ("one flag", "TARGETrustflags = \"-Ctarget-cpu=cortex-m3\"\n"),
    ("a spec of another name", "TARGETspec = \"x86_64.toml\"\n"),
];

#[test]
fn what_the_parser_refuses_in_a_manifest_the_schema_refuses_too() {
    let toolchain = "[toolchain]\nchannel = \"system\"\n";
    let target = format!("{toolchain}[targets.thumbv7m-none-eabi]\n");
    let schema = validator(&sysroot::manifest::schema::manifest());
    // What the texts are made of is right.
    for text in [toolchain, &target] {
        Manifest::parse(text, Path::new("sysroot.toml")).unwrap();
        assert!(schema.is_valid(&json(text)));
    }
    for (what, text) in NO_MANIFESTS {
        let text = text
            .replace("TOOLCHAIN", toolchain)
            .replace("TARGET", &target);
        let parsed = Manifest::parse(&text, Path::new("sysroot.toml"));
        assert!(parsed.is_err(), "{what}: the parser takes it");
        assert!(
            !schema.is_valid(&json(&text)),
            "{what}: the schema takes it"
        );
    }
}

/// What makes a good lock a bad one: what is wrong then, what is replaced, by
/// what.
const BAD_LOCKS: [(&str, &str, &str); 17] = [
    ("a newer version", "version = 1\n", "version = 2\n"),
    (
        "a version that is a text",
        "version = 1\n",
        "version = \"1\"\n",
    ),
    ("no version", "version = 1\n", ""),
    ("a revision", "revision = 1\n", "revision = -1\n"),
    (
        "a key at the top",
        "revision = 1\n",
        "revision = 1\nname = 1\n",
    ),
    (
        "a channel without its day",
        "\nchannel = \"nightly-2026-05-20\"",
        "\nchannel = \"nightly\"",
    ),
    (
        "a day of one digit",
        "date = \"2026-05-20\"",
        "date = \"2026-5-20\"",
    ),
    (
        "a month that is none",
        "date = \"2026-05-20\"",
        "date = \"2026-13-20\"",
    ),
    ("no compiler", "\nrustc = ", "\nmirror = "),
    (
        "a digest of another kind",
        "xz-digest = \"sha256:",
        "xz-digest = \"md5:",
    ),
    (
        "a digest with a letter too many",
        "gz-digest = \"sha256:",
        "gz-digest = \"sha256:0",
    ),
    ("a source", "source = \"download\"", "source = \"mirror\""),
    ("a strategy", "strategy = \"build\"", "strategy = \"fetch\""),
    ("no units", "codegen-units = 1\n", "codegen-units = 0\n"),
    (
        "a word for a boolean",
        "embed-bitcode = true",
        "embed-bitcode = \"true\"",
    ),
    ("a key of a build", "\nkey = ", "\nowner = "),
    ("a key that is no digest", "\nkey = \"blake3:", "\nkey = \""),
];

#[test]
fn what_the_parser_refuses_in_a_lock_the_schema_refuses_too() {
    let good = dist_lock();
    let schema = validator(&sysroot::lock::schema::lock());
    Lock::parse(&good, Path::new("sysroot.lock")).unwrap();
    assert!(schema.is_valid(&json(&good)));
    for (what, from, to) in BAD_LOCKS {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{what}: nothing was replaced in\n{good}");
        let parsed = Lock::parse(&text, Path::new("sysroot.lock"));
        assert!(parsed.is_err(), "{what}: the parser takes it");
        assert!(
            !schema.is_valid(&json(&text)),
            "{what}: the schema takes it"
        );
    }
}
