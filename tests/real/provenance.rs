//! Statements about compiled trees, and the bill of materials, by the binary.

use std::fs;

use super::HOST;
use super::fake::{Fake, manifest, pins};
use crate::support::cyclonedx::{is_cyclonedx, named};
use crate::support::intoto::is_statement;
use crate::support::sandbox::{Sandbox, snapshot};

const THUMB: &str = "thumbv7m-none-eabi";

fn no_path(text: &str, sandbox: &Sandbox) {
    for secret in [sandbox.path("").to_str().unwrap(), "/tmp", "/usr", "/home"] {
        assert!(!text.contains(secret), "`{secret}` is in {text}");
    }
}

#[test]
fn attest_states_what_a_tree_was_compiled_from() {
    let mut sandbox = Sandbox::new();
    let _fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let said = sandbox.run(&project, &["attest", THUMB]).exits(1);
    said.mentions("has not been compiled")
        .mentions("lock --pin");
    sandbox.run(&project, &["lock", "--pin"]).exits(0);
    let said = sandbox
        .run(&project, &["attest", THUMB, "--offline"])
        .exits(0);
    let statement = said.json();
    let pin = pins(&project).remove(0);
    is_statement(&statement);
    let (tree, files) = statement["subject"]
        .as_array()
        .unwrap()
        .split_first()
        .unwrap();
    assert_eq!(tree["name"], THUMB);
    assert_eq!(
        tree["digest"]["sysrootTreeV1"],
        pin.trim_start_matches("blake3:")
    );
    // Each file as another program hashes it, and all of them as in-toto says.
    let stored = sandbox
        .cache()
        .join("trees")
        .join(pin.trim_start_matches("blake3:"));
    let script = "find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum";
    let sums = |script: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script]).current_dir(&stored);
        crate::support::sandbox::said(&mut shell).exits(0).out
    };
    let line = |file: &serde_json::Value| {
        let (name, sha256) = (&file["name"], &file["digest"]["sha256"]);
        format!("{}  {}\n", sha256.as_str().unwrap(), name.as_str().unwrap())
    };
    let named = files.iter().map(line).collect::<Vec<_>>().concat();
    assert_eq!(named, sums(script));
    assert!(named.contains("libcore-"), "{named}");
    let whole = sums(&format!("{script} | sha256sum"));
    assert!(
        whole.starts_with(tree["digest"]["dirHash"].as_str().unwrap()),
        "{whole}"
    );
    let predicate = &statement["predicate"];
    assert_eq!(predicate["listing"], pin);
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    for part in [
        "/key",
        "/recipe/inputs/rust-src",
        "/recipe/inputs/cargo",
        "/compiler/commit",
    ] {
        let value = predicate.pointer(part).unwrap().as_str().unwrap();
        assert!(!value.is_empty() && lock.contains(value), "{part}: {value}");
    }
    assert_eq!(predicate["recipe"]["target"], THUMB);
    assert_eq!(
        predicate["recipe"]["options"]["crates"],
        serde_json::json!(["core"])
    );
    assert_eq!(predicate["builder"]["version"], env!("CARGO_PKG_VERSION"));
    no_path(&said.out, &sandbox);
    // The same with `--json`, and from another store of another user.
    let again = sandbox.run(&project, &["--json", "attest", THUMB]).exits(0);
    assert_eq!(again.out, said.out);
    let mut other = Sandbox::new();
    let _fake = Fake::new(&mut other);
    let elsewhere = other.project("q", &manifest(&[THUMB]));
    other.run(&elsewhere, &["sync"]).exits(0);
    assert_eq!(
        other.run(&elsewhere, &["attest", THUMB]).exits(0).out,
        said.out
    );
}

#[test]
fn attest_believes_no_record_that_says_something_else() {
    let mut sandbox = Sandbox::new();
    let _fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let attest = ["attest", THUMB];
    let whole = sandbox.run(&project, &attest).exits(0).json();
    let dir = sandbox.cache().join("statements");
    let record = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&record).unwrap();
    let mut derived = whole.clone();
    derived["predicate"]
        .as_object_mut()
        .unwrap()
        .remove("builder");
    let other_key = text.replace("\"opt-level\": \"3\"", "\"opt-level\": \"0\"");
    assert_ne!(other_key, text);
    for bad in ["", "{}", &text[..text.len() / 2], &other_key, "[1]"] {
        fs::write(&record, bad).unwrap();
        let said = sandbox.run(&project, &attest).exits(0);
        assert_eq!(said.json(), derived, "{bad}");
        said.mentions("made from the lock");
    }
    // What is damaged in the store is not vouched for.
    let mut bare = derived.clone();
    bare["subject"].as_array_mut().unwrap().truncate(1);
    let digest = bare["subject"][0]["digest"].as_object_mut().unwrap();
    digest.remove("dirHash").unwrap();
    is_statement(&bare);
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
    let tree = trees.map(|tree| tree.unwrap().path()).next().unwrap();
    let mut libraries = snapshot(&tree).into_keys();
    let library = tree.join(libraries.find(|name| name.contains("libcore-")).unwrap());
    let whole = fs::read(&library).unwrap();
    fs::remove_file(&library).unwrap();
    fs::write(&library, [b"x", &whole[1..]].concat()).unwrap();
    let said = sandbox.run(&project, &attest).exits(0);
    assert_eq!(said.json(), bare);
    said.mentions("does not name the tree's files")
        .mentions("damaged");
    // The pin alone is enough, on any machine that has the lock.
    fs::remove_dir_all(sandbox.cache()).unwrap();
    assert_eq!(sandbox.run(&project, &attest).exits(0).json(), bare);
    let said = sandbox.run(
        &project,
        &["attest", THUMB, "--host", "aarch64-unknown-linux-gnu"],
    );
    said.exits(2).mentions("aarch64-unknown-linux-gnu");
    sandbox
        .run(&project, &["attest", "thumbv6m-none-eabi"])
        .exits(2)
        .mentions("no target");
}

#[test]
fn sbom_of_the_systems_toolchain_lists_what_is_compiled_and_the_crates_of_std() {
    let mut sandbox = Sandbox::new();
    let _fake = Fake::new(&mut sandbox);
    let text = manifest(&[THUMB]) + "[targets.aarch64-unknown-linux-gnu]\ncrates = [\"std\"]\n";
    let project = sandbox.project("p", &text);
    sandbox.run(&project, &["lock"]).exits(0);
    let unpinned = sandbox.run(&project, &["sbom"]).exits(0);
    is_cyclonedx(&unpinned.json());
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    let said = sandbox.run(&project, &["sbom"]).exits(0);
    let document = said.json();
    is_cyclonedx(&document);
    assert_ne!(document["serialNumber"], unpinned.json()["serialNumber"]);
    let thumb = named(&document, &format!("compiled/{THUMB}/{HOST}"));
    let property = |name: &str| {
        let all = thumb["properties"].as_array().unwrap();
        let found = all
            .iter()
            .find(|one| one["name"] == format!("sysroot:{name}"));
        found.unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(property("pin"), pins(&project)[0]);
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    assert!(lock.contains(&property("recipe-key")));
    assert_eq!(thumb["licenses"][0]["expression"], "MIT OR Apache-2.0");
    // What the library's own lock names for std, with its checksums.
    let all = document["components"].as_array().unwrap();
    let crates = || {
        all.iter()
            .filter(|one| one["bom-ref"].as_str().unwrap().starts_with("crate/"))
    };
    assert!(crates().any(|one| one["name"] == "hashbrown" && one["scope"] == "optional"));
    assert!(crates().all(|one| one["hashes"].is_array()));
    no_path(&said.out, &sandbox);
    // The same text again.
    assert_eq!(
        sandbox.run(&project, &["--json", "sbom"]).exits(0).out,
        said.out
    );
    // Without the locked sources it says what it leaves out.
    sandbox.set("SYSROOT_RUSTC", "/nonexistent/rustc");
    let said = sandbox.run(&project, &["sbom"]).exits(0);
    is_cyclonedx(&said.json());
    said.mentions("left out");
}
