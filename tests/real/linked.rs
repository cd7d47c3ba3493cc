//! `link` and `unlink`, with rustup's own proxies as witnesses.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HOSTED, system, user, write_crate};
use crate::support::sandbox::Sandbox;

/// The directory of rustup and its proxies.
fn proxies() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .find(|dir| dir.join("rustup").is_file() && dir.join("cargo").is_file())
        .unwrap()
}

/// Puts rustup first, with a home of its own whose default is the system.
pub(crate) fn with_rustup(sandbox: &mut Sandbox) {
    let path = format!("{}:/usr/bin:/bin", proxies().display());
    sandbox.set("PATH", &path);
    let home = sandbox.path("rustup-home");
    sandbox.set("RUSTUP_HOME", home.to_str().unwrap());
    let rustup = proxies().join("rustup");
    for words in [
        &["toolchain", "link", "fallback", "/usr"][..],
        &["default", "fallback"],
    ] {
        user(
            sandbox,
            &sandbox.path("home"),
            rustup.to_str().unwrap(),
            words,
        )
        .exits(0);
    }
}

/// What the proxy's compiler takes for its sysroot in a directory.
fn sysroot(sandbox: &Sandbox, dir: &Path) -> String {
    let rustc = proxies().join("rustc");
    let said = user(
        sandbox,
        dir,
        rustc.to_str().unwrap(),
        &["--print", "sysroot"],
    );
    said.exits(0).out.trim().to_owned()
}

/// Links, looks, unlinks, looks again; the project holds a crate.
pub(crate) fn links_and_unlinks(sandbox: &Sandbox, project: &Path) {
    let output = fs::canonicalize(project.join(".sysroot")).unwrap();
    let output = output.to_str().unwrap();
    assert_eq!(sysroot(sandbox, project), "/usr");
    for _ in 0..2 {
        sandbox.run(project, &["link"]).exits(0);
        assert_eq!(sysroot(sandbox, project), output);
    }
    assert_eq!(sysroot(sandbox, &project.join("src")), output);
    assert_eq!(sysroot(sandbox, &sandbox.path("home")), "/usr");
    let cargo = proxies().join("cargo");
    let cargo = cargo.to_str().unwrap();
    user(sandbox, project, cargo, &["run"])
        .exits(0)
        .mentions("42 on x86_64");
    user(
        sandbox,
        project,
        cargo,
        &["rustc", "--", "--print", "sysroot"],
    )
    .exits(0)
    .mentions(output);

    sandbox.run(project, &["unlink"]).exits(0);
    assert_eq!(sysroot(sandbox, project), "/usr");
    let rustup = proxies().join("rustup");
    let list = user(
        sandbox,
        project,
        rustup.to_str().unwrap(),
        &["toolchain", "list"],
    );
    let list = list.exits(0).out;
    assert!(!list.contains("sysroot-"), "{list}");
    let again = sandbox.run(project, &["unlink"]).exits(0);
    again.mentions("nothing was linked");
    assert!(project.join(".sysroot/bin/rustc").exists());
}

#[test]
fn rustup_uses_the_output_of_the_system_until_it_is_unlinked() {
    let mut sandbox = system();
    with_rustup(&mut sandbox);
    let project = sandbox.project("linked", "[toolchain]\nchannel = \"system\"\n");
    sandbox
        .run(&project, &["link"])
        .exits(1)
        .mentions("sysroot sync");
    sandbox.run(&project, &["sync"]).exits(0);
    write_crate(&project, "hosted", HOSTED);
    links_and_unlinks(&sandbox, &project);
}

#[test]
fn link_warns_of_what_rustup_prefers_and_of_nothing_else() {
    let mut sandbox = system();
    with_rustup(&mut sandbox);
    let project = sandbox.project("linked", "[toolchain]\nchannel = \"system\"\n");
    sandbox.run(&project, &["sync"]).exits(0);
    let below = project.join("below");
    fs::create_dir(&below).unwrap();
    let output = fs::canonicalize(project.join(".sysroot")).unwrap();
    let output = output.to_str().unwrap();
    // Beside the manifest the override of the directory comes first.
    let file = "[toolchain]\nchannel = \"fallback\"\n";
    fs::write(project.join("rust-toolchain.toml"), file).unwrap();
    for dir in [&project, &below] {
        let said = sandbox.run(dir, &["link"]).exits(0);
        assert!(!said.err.contains("warning"), "{}", said.err);
        assert_eq!(sysroot(&sandbox, dir), output);
    }
    // Nearer than it a toolchain file does.
    fs::write(below.join("rust-toolchain.toml"), file).unwrap();
    assert_eq!(sysroot(&sandbox, &below), "/usr");
    let said = sandbox.run(&below, &["link"]).exits(0);
    let said = said
        .mentions("warning")
        .mentions("below/rust-toolchain.toml");
    assert_eq!(said.err.matches("warning").count(), 1, "{}", said.err);
    assert_eq!(sysroot(&sandbox, &project), output);
    // And the variable everywhere.
    sandbox.set("RUSTUP_TOOLCHAIN", "fallback");
    assert_eq!(sysroot(&sandbox, &project), "/usr");
    let said = sandbox.run(&project, &["link"]).exits(0);
    said.mentions("warning")
        .mentions("RUSTUP_TOOLCHAIN is set to `fallback`");
}
