//! Target specs that would have the compiler run a repository's code.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::system;

/// A library that leaves a mark as soon as it is loaded.
fn marking(dir: &Path, mark: &Path) -> String {
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
    let library = marking(&project, &mark);
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
