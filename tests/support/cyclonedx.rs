//! Whether a document keeps to the CycloneDX 1.6 schema.
#![expect(
    clippy::unwrap_used,
    reason = "a document that does not is a failed test"
)]

use std::collections::BTreeSet;

use serde_json::Value;

/// The parts of the CycloneDX 1.6 schema that a document of ours can break.
pub(crate) fn is_cyclonedx(document: &Value) {
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["specVersion"], "1.6");
    assert_eq!(document["version"], 1);
    let known = [
        "bomFormat",
        "specVersion",
        "serialNumber",
        "version",
        "metadata",
        "components",
        "dependencies",
    ];
    assert!(
        document
            .as_object()
            .unwrap()
            .keys()
            .all(|key| known.contains(&key.as_str()))
    );
    let serial = document["serialNumber"]
        .as_str()
        .unwrap()
        .strip_prefix("urn:uuid:")
        .unwrap();
    let groups: Vec<usize> = serial.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(
        serial
            .bytes()
            .all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let mut references = BTreeSet::new();
    component(&document["metadata"]["component"], &mut references);
    for tool in document["metadata"]["tools"]["components"]
        .as_array()
        .unwrap()
    {
        assert!(tool["type"].is_string() && tool["name"].is_string());
    }
    for one in document["components"].as_array().unwrap() {
        component(one, &mut references);
    }
    let mut depending = BTreeSet::new();
    for one in document["dependencies"].as_array().unwrap() {
        let reference = one["ref"].as_str().unwrap();
        assert!(references.contains(reference), "{reference}");
        assert!(depending.insert(reference), "{reference} twice");
        let needs = one["dependsOn"].as_array().unwrap();
        let unique: BTreeSet<&str> = needs.iter().map(|need| need.as_str().unwrap()).collect();
        assert_eq!(unique.len(), needs.len(), "{reference}");
        assert!(
            unique.iter().all(|need| references.contains(*need)),
            "{unique:?}"
        );
    }
    assert_eq!(depending.len(), references.len());
}

/// One component: its required keys, and the form of the others.
fn component<'d>(one: &'d Value, references: &mut BTreeSet<&'d str>) {
    let known = [
        "type",
        "bom-ref",
        "group",
        "name",
        "version",
        "description",
        "scope",
        "hashes",
        "licenses",
        "purl",
        "externalReferences",
        "properties",
    ];
    for key in one.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "{key}");
    }
    let kind = one["type"].as_str().unwrap();
    assert!(["application", "library", "file"].contains(&kind), "{kind}");
    assert!(!one["name"].as_str().unwrap().is_empty());
    assert!(references.insert(one["bom-ref"].as_str().unwrap()), "{one}");
    let list = |value: &'d Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let hashes = |value: &'d Value| {
        for hash in list(value, "hashes") {
            assert_eq!(hash["alg"], "SHA-256");
            assert_eq!(hash["content"].as_str().unwrap().len(), 64);
        }
    };
    hashes(one);
    // Two hashes of one kind are of two files, and would be of neither.
    assert!(list(one, "hashes").len() <= 1, "{one}");
    for link in one["externalReferences"].as_array().into_iter().flatten() {
        assert_eq!(link["type"], "distribution");
        assert!(link["url"].is_string());
        hashes(link);
    }
    for licence in list(one, "licenses") {
        assert!(licence["expression"].is_string() && licence.as_object().unwrap().len() == 1);
    }
    for property in list(one, "properties") {
        assert!(property["name"].is_string() && property["value"].is_string());
    }
    if let Some(scope) = one.get("scope") {
        assert!(["required", "optional", "excluded"].contains(&scope.as_str().unwrap()));
    }
    if let Some(purl) = one.get("purl") {
        let purl = purl.as_str().unwrap();
        assert!(
            purl.starts_with("pkg:") && !purl.contains([' ', '+', '"']),
            "{purl}"
        );
    }
}

/// The component with this reference.
pub(crate) fn named<'d>(document: &'d Value, reference: &str) -> &'d Value {
    let all = document["components"].as_array().unwrap();
    all.iter().find(|one| one["bom-ref"] == reference).unwrap()
}
