//! `--json`: every command prints one object, with the keys that its page names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::explain::git;
use super::{DATE, HOST, RISCV, THUMB, manifest, served};
use crate::support::sandbox::Sandbox;

/// The keys of each command's object, from the first table below the heading
/// that names the command in `docs/json.md`; `None` where there is no table.
fn documented() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let words = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let mut all = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        let rows: Vec<&str> = body
            .lines()
            .skip_while(|line| !line.starts_with("| Key |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let keys = rows
            .iter()
            .flat_map(|row| words(row.split('|').nth(1).unwrap()));
        let keys: BTreeSet<String> = keys.collect();
        for command in words(heading) {
            let keys = (!rows.is_empty()).then(|| keys.clone());
            assert!(
                all.insert(command.clone(), keys).is_none(),
                "{command} twice"
            );
        }
    }
    all
}

/// The commands that the help lists, with those of `cache`.
fn commands(sandbox: &Sandbox) -> BTreeSet<String> {
    let list = |arguments: &[&str], prefix: &str| -> BTreeSet<String> {
        let help = sandbox.run(&sandbox.path(""), arguments).exits(0).out;
        let below = help.split_once("Commands:\n").unwrap().1;
        let names = below.lines().take_while(|line| !line.is_empty());
        // Long descriptions go on in lines that are indented more.
        let names = names.filter(|line| !line[2..].starts_with(' '));
        let names = names.filter_map(|line| line.split_whitespace().next());
        names
            .filter(|name| !matches!(*name, "help" | "cache"))
            .map(|name| format!("{prefix}{name}"))
            .collect()
    };
    let mut all = list(&["-h"], "");
    all.extend(list(&["cache", "-h"], "cache "));
    all
}

/// Puts a rustup on PATH that agrees with everything.
fn agreeable_rustup(sandbox: &mut Sandbox) {
    let bin = sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("rustup"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(bin.join("rustup"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), sandbox.env["PATH"]);
    sandbox.set("PATH", &path);
}

#[test]
fn every_command_prints_one_object_with_the_keys_that_its_page_names() {
    let (mut sandbox, _server) = served();
    agreeable_rustup(&mut sandbox);
    let remote = format!("file://{}", sandbox.path("remote").display());
    fs::create_dir(sandbox.path("remote")).unwrap();
    sandbox.set("SYSROOT_REMOTE", &remote);
    sandbox.set("SYSROOT_REMOTE_ACCESS", "read-write");
    let (project, new) = (
        sandbox.project("p", &manifest(&[THUMB])),
        sandbox.path("new"),
    );
    fs::create_dir(&new).unwrap();
    let documented = documented();
    let mut seen = BTreeSet::new();
    let mut run = |dir: &Path, command: &str, more: &[&str]| {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.extend(more);
        arguments.push("--json");
        let object = sandbox.run(dir, &arguments).exits(0).json();
        let keys: BTreeSet<String> = object.as_object().unwrap().keys().cloned().collect();
        match documented.get(command) {
            Some(Some(named)) => assert_eq!(keys, *named, "{command}"),
            Some(None) => assert!(!keys.is_empty(), "{command}"),
            None => panic!("docs/json.md says nothing about `{command}`"),
        }
        seen.insert(command.to_owned());
    };
    run(&new, "init", &["--target", THUMB]);
    run(&project, "add", &[RISCV]);
    run(&project, "remove", &[RISCV]);
    run(&project, "lock", &[]);
    run(&project, "lock", &["--pin"]);
    run(&project, "update", &[DATE]);
    run(&project, "sync", &[]);
    run(&project, "sync", &[]);
    run(&project, "verify", &["--deep"]);
    run(&project, "sbom", &[]);
    for command in ["status", "env", "path", "link", "unlink", "key"] {
        run(&project, command, &[]);
    }
    run(&project, "path", &[THUMB]);
    run(&project, "why", &[THUMB]);
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "x"]] {
        git(&sandbox, &project, words);
    }
    run(&project, "diff", &[]);
    run(&project, "completions", &["fish"]);
    run(&project, "doctor", &[]);
    run(&project, "man", &["cache", "gc"]);
    run(&project, "schema", &["lock"]);
    for command in [
        "dir", "size", "list", "verify", "gc", "push", "pull", "warm",
    ] {
        run(&project, &format!("cache {command}"), &[]);
    }
    let file = sandbox.path("bundle");
    run(&project, "cache export", &[file.to_str().unwrap()]);
    run(
        &project,
        "cache import",
        &[file.to_str().unwrap(), "--trust"],
    );
    let key = sandbox.path("key");
    run(&project, "cache keygen", &[key.to_str().unwrap()]);
    run(&project, "cache evict", &["--all-unused"]);
    // `run` is its command's, and nothing is compiled here to attest to.
    let listed = commands(&sandbox);
    let rest: Vec<&String> = listed.difference(&seen).collect();
    assert_eq!(rest, ["attest", "run"], "{HOST}");
    assert!(rest.iter().all(|command| documented.contains_key(*command)));
}

#[test]
fn what_fails_prints_the_error_object() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let said = sandbox
        .run(&project, &["path", "nowhere", "--json"])
        .exits(1);
    assert_eq!(said.json()["error"]["exit_code"], 1);
    sandbox
        .run(&project, &["init"])
        .exits(2)
        .mentions("exists already");
}

#[cfg(feature = "fault-injection")]
#[test]
fn a_panic_prints_the_error_object_too() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.set("SYSROOT_FAULT", "panic:1");
    let said = sandbox.run(&project, &["sync", "--json"]).exits(70);
    let error = &said.json()["error"];
    assert_eq!(error["exit_code"], 70);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("a bug in sysroot"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("report"),
        "{error}"
    );
}
