//! `doctor`: each thing that can be wrong is found, with what to do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{THUMB, served};
use crate::support::compiler::FakeCompiler;
use crate::support::sandbox::{Said, Sandbox};

fn doctor(sandbox: &Sandbox) -> Said {
    sandbox.run(&sandbox.path("home"), &["doctor"])
}

/// The verdict of a check, and its text with the remedy.
#[track_caller]
fn verdict(sandbox: &Sandbox, check: &str) -> (String, String) {
    verdict_in(sandbox, &sandbox.path("home"), check)
}

/// The same in a project's directory.
#[track_caller]
fn verdict_in(sandbox: &Sandbox, dir: &Path, check: &str) -> (String, String) {
    let said = sandbox.run(dir, &["doctor", "--json"]);
    let object = said.json();
    assert_eq!(object["ok"].as_bool().unwrap(), said.code == 0, "{object}");
    let all = object["checks"].as_array().unwrap();
    let one = all.iter().find(|one| one["check"] == check);
    let one = one.unwrap_or_else(|| panic!("no {check} in {object}"));
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (
        text("verdict"),
        format!("{} {}", text("found"), text("remedy")),
    )
}

#[test]
fn a_good_machine_has_nothing_bad() {
    let (sandbox, server) = served();
    let said = doctor(&sandbox).exits(0);
    for line in [
        "good  configuration: ",
        "good  cache: ",
        "good  locks: ",
        &format!("good  dist server: `{}` answers", server.url()),
        "good  cargo: cargo ",
        "good  cc: ",
        "  space: ",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    // Nothing is left of what was tried.
    assert_eq!(
        fs::read_dir(sandbox.cache().join("tmp")).unwrap().count(),
        0
    );
}

#[test]
fn what_is_wrong_is_told_with_a_remedy() {
    let (mut sandbox, server) = served();
    let url = server.url();
    drop(server);
    sandbox.set("SYSROOT_DIST_SERVER", "file:///no/such/mirror");
    let (word, text) = verdict(&sandbox, "dist server");
    assert!(
        word == "bad" && text.contains("SYSROOT_DIST_SERVER"),
        "{word} {text}"
    );
    sandbox.set("SYSROOT_DIST_SERVER", &url);
    let (word, text) = verdict(&sandbox, "dist server");
    assert!(
        word == "bad" && text.contains("check the network"),
        "{word} {text}"
    );
    // Nobody is asked when the network is off.
    sandbox.set("SYSROOT_OFFLINE", "1");
    let (word, _) = verdict(&sandbox, "dist server");
    assert_eq!(word, "note");
    sandbox.set("PATH", "/nonexistent");
    for program in ["cargo", "rustup"] {
        let (word, text) = verdict(&sandbox, program);
        assert!(
            word == "note" && text.contains("not on PATH"),
            "{word} {text}"
        );
    }
    // A cache that others may write to.
    let cache = sandbox.path("cache");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let (word, text) = verdict(&sandbox, "cache");
    assert!(word == "bad" && text.contains("chmod"), "{word} {text}");
    // Not even the settings can be read.
    let config = sandbox.path("config.toml");
    fs::write(&config, "[cahce]\n").unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    let (word, text) = verdict(&sandbox, "configuration");
    assert!(
        word == "bad" && text.contains("did you mean `cache`?"),
        "{word} {text}"
    );
}

#[test]
fn what_the_systems_toolchain_lacks_is_found_where_a_project_needs_it() {
    let (mut sandbox, _server) = served();
    let (_compiler, rustc) = FakeCompiler::system(&sandbox.path(""));
    let bin = rustc.parent().unwrap().to_owned();
    let text = format!("[toolchain]\nchannel = \"system\"\n[targets.{THUMB}]\n");
    let project = sandbox.project("p", &text);
    let bad = |sandbox: &Sandbox, what: &str| {
        let (word, text) = verdict_in(sandbox, &project, "system toolchain");
        assert!(word == "bad" && text.contains(what), "{word} {text}");
        assert_ne!(sandbox.run(&project, &["sync"]).code, 0, "{what}");
    };
    sandbox.set("PATH", "/nonexistent");
    bad(&sandbox, "install a toolchain with rust-src");
    // Elsewhere nobody needs one.
    let home = sandbox.run(&sandbox.path("home"), &["doctor"]).exits(0);
    assert!(!home.out.contains("system toolchain"), "{}", home.out);
    sandbox.set("SYSROOT_RUSTC", "/nope");
    bad(&sandbox, "`/nope`");
    sandbox.env.remove("SYSROOT_RUSTC");
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    let (word, text) = verdict_in(&sandbox, &project, "system toolchain");
    assert!(
        word == "good" && text.starts_with("rustc 1.97.0-nightly "),
        "{word} {text}"
    );
    sandbox.run(&project, &["lock"]).exits(0);
    let sources = bin.join("../lib/rustlib/src/rust/library");
    fs::write(sources.join("core/src/lib.rs"), "changed").unwrap();
    bad(&sandbox, "rust-src: lock");
    fs::remove_dir_all(sources).unwrap();
    bad(&sandbox, "rust-src");
    // What a project needs that cannot be read is not known.
    fs::write(project.join("sysroot.toml"), "[toolchian]\n").unwrap();
    let (word, text) = verdict_in(&sandbox, &project, "project");
    assert!(
        word == "note" && text.contains("toolchian"),
        "{word} {text}"
    );
}

#[test]
fn of_two_servers_one_is_enough() {
    let (mut sandbox, server) = served();
    let config = sandbox.path("config.toml");
    let servers = [server.url(), "http://127.0.0.1:9".to_owned()];
    fs::write(&config, format!("[dist]\nservers = {servers:?}\n")).unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    sandbox.env.remove("SYSROOT_DIST_SERVER");
    let said = doctor(&sandbox).exits(0);
    said.mentions("note  dist server: cannot fetch");
}

#[test]
fn help_tells_a_commands_own_options_from_those_of_every_command() {
    let (sandbox, _server) = served();
    for words in [&["sync"][..], &["lock"], &["cache", "gc"]] {
        let arguments = [words, &["--help"]].concat();
        let said = sandbox.run(&sandbox.path("home"), &arguments).exits(0);
        let (own, global) = said.out.split_once("\nGlobal options:\n").unwrap();
        assert!(
            own.contains("Options:") && own.contains("--dry-run"),
            "{own}"
        );
        for option in ["-C <DIR>", "--manifest-path", "--json", "--offline"] {
            assert!(global.contains(option) && !own.contains(option), "{option}");
        }
        assert!(!global.contains("--dry-run"), "{global}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let (sandbox, _server) = served();
    let home = sandbox.path("home");
    let page = |words: &[&str]| sandbox.run(&home, &[&["man"], words].concat());
    let whole = page(&[]).exits(0);
    assert!(whole.out.contains(".TH sysroot 1"), "{}", whole.out);
    whole.mentions("sysroot\\-sync").mentions("Exit codes");
    let sync = page(&["sync"]).exits(0);
    let sync = sync.mentions(".TH sysroot-sync 1").mentions("dry\\-run");
    let (own, global) = sync.out.split_once(".SH \"GLOBAL OPTIONS\"").unwrap();
    assert!(own.contains("\\-\\-frozen\\fR\n"), "{own}");
    assert!(global.contains("\\-\\-offline\\fR\n"), "{global}");
    assert!(!global.contains("\\-\\-frozen"), "{global}");
    page(&["cache", "gc"])
        .exits(0)
        .mentions(".TH sysroot-cache-gc 1");
    page(&["snyc"]).exits(2).mentions("did you mean `sync`?");
}

#[test]
fn programs_tell_their_version_far_from_what_a_checkout_says() {
    let (mut sandbox, _server) = served();
    let bin = sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["cargo", "rustup"] {
        fs::write(bin.join(name), "#!/bin/sh\necho \"ran in $(pwd).\"\n").unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    for name in ["cargo", "rustup"] {
        let (word, text) = verdict(&sandbox, name);
        assert!(
            word == "good" && text.starts_with("ran in /. "),
            "{word} {text}"
        );
    }
}

#[test]
fn a_mirror_in_a_directory_need_not_have_a_name_in_utf8() {
    use std::os::unix::ffi::OsStrExt as _;
    let (mut sandbox, _server) = served();
    let dir = sandbox.path("mirror");
    let name = [dir.as_os_str().as_bytes(), b"\xff"].concat();
    fs::create_dir(std::ffi::OsStr::from_bytes(&name)).unwrap();
    let url = format!("file://{}%FF", dir.display());
    sandbox.set("SYSROOT_DIST_SERVER", &url);
    let (word, text) = verdict(&sandbox, "dist server");
    assert!(
        word == "good" && text.contains("is a directory"),
        "{word} {text}"
    );
}
