//! Whether a document is an in-toto statement in the form of ours.
#![expect(
    clippy::unwrap_used,
    reason = "a document that is not is a failed test"
)]

use std::collections::BTreeSet;

use serde_json::Value;

/// The keys of an object.
fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn is_hex(value: &Value, digits: usize) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// What in-toto's Statement v1 asks of its form, and `docs/reproducibility.md`
/// of the predicate.
pub(crate) fn is_statement(document: &Value) {
    let form = ["_type", "subject", "predicateType", "predicate"];
    assert_eq!(keys(document), form.into());
    assert_eq!(document["_type"], "https://in-toto.io/Statement/v1");
    // A type is a URI (RFC 3986) with a version and without what changes.
    let kind = document["predicateType"].as_str().unwrap();
    let (scheme, rest) = kind.split_once("://").unwrap();
    assert_eq!(scheme, "https");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    assert!(rest.chars().all(plain), "{kind}");
    let (_, version) = kind.rsplit_once("/v").unwrap();
    assert!(version.parse::<u32>().is_ok(), "{kind}");

    let subjects = document["subject"].as_array().unwrap();
    let (tree, files) = subjects.split_first().unwrap();
    let mut names = BTreeSet::new();
    for subject in subjects {
        assert_eq!(keys(subject), ["name", "digest"].into());
        let name = subject["name"].as_str().unwrap();
        assert!(!name.is_empty() && names.insert(name), "{name}");
    }
    let of_tree = keys(&tree["digest"]);
    if files.is_empty() {
        assert_eq!(of_tree, ["sysrootTreeV1"].into());
    } else {
        assert_eq!(of_tree, ["dirHash", "sysrootTreeV1"].into());
    }
    for file in files {
        assert_eq!(keys(&file["digest"]), ["sha256"].into());
    }
    let digests = subjects
        .iter()
        .flat_map(|s| s["digest"].as_object().unwrap().values());
    for digest in digests {
        assert!(is_hex(digest, 64), "{digest}");
    }

    let predicate = &document["predicate"];
    let known = ["key", "listing", "compiler", "recipe", "builder"];
    assert!(keys(predicate).is_subset(&known.into()), "{predicate}");
    for (name, prefix) in [("key", ""), ("listing", "blake3:")] {
        let text = predicate[name].as_str().unwrap();
        let digits = text.rsplit(':').next().unwrap();
        assert!(
            text.starts_with(prefix) && is_hex(&digits.into(), 64),
            "{name}: {text}"
        );
    }
    assert_eq!(
        predicate["listing"]
            .as_str()
            .unwrap()
            .trim_start_matches("blake3:"),
        tree["digest"]["sysrootTreeV1"]
    );
    let recipe = [
        "version",
        "inputs",
        "host",
        "target",
        "spec-digest",
        "options",
    ];
    assert_eq!(keys(&predicate["recipe"]), recipe.into());
    assert_eq!(predicate["recipe"]["target"], tree["name"]);
    let kind = predicate["recipe"]["inputs"]["kind"].as_str();
    assert!(matches!(kind, Some("dist" | "system")), "{kind:?}");
    if let Some(builder) = predicate.get("builder") {
        assert_eq!(keys(builder), ["name", "version"].into());
    }
    no_null(document, "");
}

/// Nothing is said without a value, but for what a recipe need not have.
fn no_null(value: &Value, at: &str) {
    match value {
        Value::Null => {
            let optional = ["spec-digest", "codegen-units", "panic", "embed-bitcode"];
            let name = at.rsplit('/').next().unwrap();
            assert!(optional.contains(&name), "{at} is null");
        }
        Value::Array(all) => all.iter().for_each(|one| no_null(one, at)),
        Value::Object(all) => all
            .iter()
            .for_each(|(key, one)| no_null(one, &format!("{at}/{key}"))),
        Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            // The system's rustc is told in two lines.
            let plain = text.chars().all(|c| !c.is_control() || c == '\n');
            assert!(plain, "{at}: {text:?}");
        }
    }
}
