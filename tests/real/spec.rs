//! Target specs that would have the compiler run a repository's code.

use std::fs;
use std::path::Path;
use std::process::Command;

use sysroot::manifest::{SpecError, check_spec};

use super::system;

/// A library that leaves a mark as soon as it is loaded.
fn marking(dir: &Path, mark: &str) -> String {
    let source = dir.join("mark.rs");
    let text = format!(
        "extern \"C\" fn mark() {{ let _ = std::fs::write({mark:?}, \"loaded\"); }}\n\
         #[used]\n#[unsafe(link_section = \".init_array\")]\n\
         static MARK: extern \"C\" fn() = mark;\n"
    );
    fs::write(&source, text).unwrap();
    let library = dir.join("mark.so");
    let made = Command::new("/usr/bin/rustc")
        .args(["--edition=2024", "--crate-type=cdylib", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(made.success());
    library.to_str().unwrap().to_owned()
}

#[test]
fn case_153_the_library_that_a_spec_names_as_code_generator_is_never_loaded() {
    let sandbox = system();
    let text = "[toolchain]\nchannel = \"system\"\n\n[targets.x86_64-quickstart]\n\
                spec = \"x86_64-quickstart.json\"\ncrates = [\"core\"]\n";
    let project = sandbox.project("p", text);
    let mark = sandbox.path("loaded");
    let library = marking(&project, mark.to_str().unwrap());
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/quickstart/targets/x86_64-quickstart.json"
    );
    let key = format!("{{\n\"default-codegen-backend\": {library:?},");
    let spec = fs::read_to_string(example).unwrap().replacen('{', &key, 1);
    fs::write(project.join("x86_64-quickstart.json"), spec).unwrap();
    // This is what the compiler does with such a spec.
    fs::write(project.join("empty.rs"), "#![no_std]\n").unwrap();
    Command::new("/usr/bin/rustc")
        .current_dir(&project)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["-Zunstable-options", "--crate-type=lib", "empty.rs"])
        .args(["--target", "x86_64-quickstart.json"])
        .output()
        .unwrap();
    assert!(mark.exists(), "rustc itself does not load the library");
    fs::remove_file(&mark).unwrap();
    for command in [
        &["lock"][..],
        &["sync"],
        &["verify"],
        &["verify", "--rebuild"],
    ] {
        let said = sandbox.run(&project, command).exits(2);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains("`default-codegen-backend`"), "{all}");
        assert!(!mark.exists(), "{command:?}");
    }
    assert!(!project.join("sysroot.lock").exists());
}

/// What the machine's compiler prints about target specs.
fn printed(what: &str) -> serde_json::Value {
    let output = Command::new("/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["-Zunstable-options", "--print", what])
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn case_153_every_spec_that_the_compiler_prints_is_accepted_and_each_key_decided_on() {
    let specs = printed("all-target-specs-json");
    let specs = specs.as_object().unwrap();
    assert!(specs.len() > 200, "{}", specs.len());
    for (name, spec) in specs {
        check_spec(spec.to_string().as_bytes(), Path::new(name)).unwrap();
    }
    let schema = printed("target-spec-json-schema");
    let keys = schema["properties"].as_object().unwrap();
    assert!(keys.len() > 100, "{}", keys.len());
    for key in keys.keys() {
        let spec = format!("{{ {key:?}: null }}");
        match check_spec(spec.as_bytes(), Path::new("a.json")) {
            Err(SpecError::Refused { .. }) => assert_eq!(key, "default-codegen-backend"),
            result => drop(result.unwrap()),
        }
    }
}
