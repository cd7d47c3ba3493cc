//! What is told of a lock whose toolchain is a dated one.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{HOST, THUMB, manifest, served};
use crate::support::cyclonedx::{is_cyclonedx, named};
use crate::support::intoto::is_statement;

#[test]
fn a_dated_toolchain_is_told_with_every_archive_and_its_hashes() {
    let (sandbox, _server) = served();
    let text = manifest(&[THUMB]) + "strategy = \"build\"\n";
    let project = sandbox.project("p", &text);
    sandbox.run(&project, &["lock"]).exits(0);
    let said = sandbox.run(&project, &["sbom", "--offline"]).exits(0);
    let document = said.json();
    is_cyclonedx(&document);
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let locked = lock
        .lines()
        .filter_map(|line| line.split_once("-digest = \"sha256:"));
    let locked: BTreeSet<&str> = (locked.filter(|(key, _)| *key != "manifest"))
        .map(|(_, hash)| hash.trim_end_matches('"'))
        .collect();
    let all = document["components"].as_array().unwrap();
    // Each hash stands at the one file that it is of.
    assert!(all.iter().all(|one| one.get("hashes").is_none()));
    let links = all
        .iter()
        .flat_map(|one| one["externalReferences"].as_array().into_iter().flatten());
    let listed: BTreeSet<&str> = links
        .map(|link| {
            let [hash] = &link["hashes"].as_array().unwrap()[..] else {
                panic!("{link}");
            };
            hash["content"].as_str().unwrap()
        })
        .collect();
    assert_eq!(listed, locked);
    let rustc = named(&document, &format!("component/rustc-{HOST}"));
    assert_eq!(rustc["type"], "application");
    let purl = rustc["purl"].as_str().unwrap();
    assert!(
        purl.starts_with("pkg:generic/rustc@") && purl.contains("checksum=sha256:"),
        "{purl}"
    );
    let needs = document["dependencies"].as_array().unwrap().iter();
    let reference = format!("compiled/{THUMB}/{HOST}");
    let needs = needs.clone().find(|one| one["ref"] == reference).unwrap();
    let expected = [
        format!("component/rustc-{HOST}"),
        format!("component/cargo-{HOST}"),
        "component/rust-src".into(),
    ];
    assert_eq!(needs["dependsOn"], serde_json::json!(expected));
    assert!(!said.out.contains("127.0.0.1"), "{}", said.out);

    // A statement by the lock alone names the archives that compile.
    let pin = format!("blake3:{}", "5".repeat(64));
    let key = lock
        .lines()
        .find(|line| line.starts_with("key = "))
        .unwrap();
    let pinned = lock.replace(key, &format!("{key}\npin = \"{pin}\""));
    fs::write(project.join("sysroot.lock"), pinned).unwrap();
    let statement = sandbox.run(&project, &["attest", THUMB]).exits(0).json();
    is_statement(&statement);
    assert_eq!(
        statement["subject"].as_array().unwrap().len(),
        1,
        "there is no tree"
    );
    assert_eq!(statement["predicate"]["listing"], pin);
    let inputs = &statement["predicate"]["recipe"]["inputs"];
    assert_eq!(inputs["kind"], "dist");
    for part in ["rustc", "cargo", "rust-src"] {
        let hashes = inputs[part].as_array().unwrap();
        let known =
            |hash: &Value| locked.contains(hash.as_str().unwrap().trim_start_matches("sha256:"));
        assert!(!hashes.is_empty() && hashes.iter().all(known), "{part}");
    }
}
