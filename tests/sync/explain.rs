//! `why` and `diff`: reasons and changes in words.

use std::fs;
use std::path::Path;

use super::{DATE, RISCV, THUMB, dist, manifest, packages, served};
use crate::support::dist::Release;
use crate::support::sandbox::{Sandbox, said};
use crate::support::serve::FileServer;

/// Runs git with a name of its own.
pub(crate) fn git(sandbox: &Sandbox, dir: &Path, words: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]);
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    said(command.args(words)).exits(0);
}

#[test]
fn why_tells_how_a_target_is_obtained_and_what_is_next() {
    let (sandbox, _server) = served();
    let all = format!(
        "{}[targets.aarch64-unknown-none]\n",
        manifest(&[THUMB, RISCV])
    );
    let all = all.replace(
        &format!("[targets.{RISCV}]\n"),
        &format!("[targets.{RISCV}]\nopt-level = \"s\"\n"),
    );
    let project = sandbox.project("p", &all);
    let why = |target: &str| sandbox.run(&project, &["why", target]).exits(0).out;
    let text = why(THUMB);
    assert!(
        text.contains("is not locked yet") && text.contains("next sync: resolve"),
        "{text}"
    );
    sandbox.run(&project, &["lock"]).exits(0);
    let text = why(THUMB);
    let shipped = format!(
        "{THUMB} is downloaded: upstream's nightly-{DATE} has it, and nothing asks for a build\n"
    );
    assert!(text.starts_with(&shipped), "{text}");
    assert!(text.contains(&format!(
        "  archive: dist/{DATE}/rust-std-nightly-{THUMB}.tar.xz ("
    )));
    let next = format!("  next sync: download rust-std-{THUMB}: it is not in the store");
    assert!(text.ends_with(&format!("{next}\n")), "{text}");
    let text = why(RISCV);
    assert!(
        text.contains("is compiled: `opt-level` asks for a build"),
        "{text}"
    );
    assert!(text.contains("  recipe: "), "{text}");
    assert!(
        text.contains("next sync: download rust-src: it compiles the target"),
        "{text}"
    );
    assert!(
        text.contains("next sync: compile it: its recipe is not in the store"),
        "{text}"
    );
    let text = why("aarch64-unknown-none");
    let reason = format!("is compiled: upstream's nightly-{DATE} does not have it");
    assert!(text.contains(&reason), "{text}");
    // What the manifest says now, and the lock does not.
    fs::write(project.join("sysroot.toml"), all.replace("\"s\"", "3")).unwrap();
    let text = why(RISCV);
    let stale = format!("  stale: targets.{RISCV}.opt-level: manifest 3, lock \"s\"");
    assert!(
        text.contains(&stale) && text.contains("next sync: resolve"),
        "{text}"
    );
    let text = why(THUMB);
    assert!(!text.contains("stale"), "{text}");
    sandbox
        .run(&project, &["why", "thumbv7em-none-eabihff"])
        .exits(2)
        .mentions(&format!("did you mean `{THUMB}`?"));
}

#[test]
fn why_knows_what_is_in_the_output() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let why = || sandbox.run(&project, &["why", THUMB]).exits(0);
    why()
        .mentions("state: materialized")
        .mentions("nothing: it is in the output");
    fs::remove_file(super::core(&project, THUMB)).unwrap();
    why().mentions("in place of what is there");
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    why().mentions("put it into the output: it is in the store");
}

#[test]
fn diff_tells_what_a_change_of_the_lock_means() {
    let mut sandbox = Sandbox::new();
    let next = "2026-05-21";
    let day = |date: &str, mark: &str| Release::nightly(date).packages(packages(mark));
    let root = dist(&sandbox, day(DATE, "a"));
    let server = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let diff = |rev: &[&str]| sandbox.run(&project, &[&["diff"], rev].concat());
    diff(&[]).exits(1).mentions("sysroot lock");
    sandbox.run(&project, &["lock"]).exits(0);
    diff(&[]).exits(2).mentions("git has no lock in `HEAD`");
    git(&sandbox, &project, &["init", "-q"]);
    diff(&[]).exits(2).mentions("name a revision");
    git(&sandbox, &project, &["add", "."]);
    git(&sandbox, &project, &["commit", "-qm", "one"]);
    let same = diff(&[]).exits(0);
    assert_eq!(same.out, "");
    same.mentions("the lock means the same as in `HEAD`");
    dist(&sandbox, day(next, "b"));
    let text = manifest(&[RISCV]).replace(DATE, next);
    fs::write(project.join("sysroot.toml"), text).unwrap();
    sandbox.run(&project, &["lock"]).exits(0);
    let expected = format!(
        "the channel is `nightly-{next}` instead of `nightly-{DATE}`\n\
         target `{RISCV}` is new; it is downloaded\n\
         target `{THUMB}` is gone\n"
    );
    assert_eq!(diff(&[]).exits(0).out, expected);
    git(&sandbox, &project, &["commit", "-qam", "two"]);
    assert_eq!(diff(&["HEAD~1"]).exits(0).out, expected);
    assert_eq!(diff(&[]).exits(0).out, "");
    for rev in ["no-such", "--help", "-C/", ""] {
        let said = sandbox.run(&project, &["diff", "--", rev]).exits(2);
        assert!(said.err.contains("git has no lock in"), "{}", said.err);
    }
}

#[test]
fn diff_bounds_what_a_revision_holds_and_names_it() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let lock = project.join("sysroot.lock");
    let own = fs::read(&lock).unwrap();
    git(&sandbox, &project, &["init", "-q"]);
    let diff = |old: &[u8]| {
        fs::write(&lock, old).unwrap();
        git(&sandbox, &project, &["add", "."]);
        git(&sandbox, &project, &["commit", "-qm", "old"]);
        fs::write(&lock, &own).unwrap();
        sandbox.run(&project, &["diff"]).exits(2)
    };
    diff(&vec![b'#'; 17 << 20]).mentions("it has more than 16777216 bytes");
    diff(b"\xff").mentions("it is not UTF-8");
    let said = diff(b"version = 1\n").mentions(" HEAD:sysroot.lock:");
    said.mentions("name a revision whose lock is well-formed");
}

#[test]
fn diff_fetches_nothing_into_a_partial_clone() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    git(&sandbox, &project, &["init", "-q"]);
    git(&sandbox, &project, &["add", "."]);
    git(&sandbox, &project, &["commit", "-qm", "one"]);
    // All objects but the commit and its tree are the promise of a remote,
    // which is reached by a program of the repository's choice.
    let ran = sandbox.path("ran");
    let program = format!("touch '{}'; false", ran.display());
    for (key, value) in [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialclone", "origin"),
        ("remote.origin.url", "ssh://host/repository"),
        ("remote.origin.promisor", "true"),
        ("core.sshCommand", &program),
    ] {
        git(&sandbox, &project, &["config", key, value]);
    }
    let mut command = std::process::Command::new("git");
    command.env_clear().envs(&sandbox.env).current_dir(&project);
    let blob = said(command.args(["rev-parse", "HEAD:sysroot.lock"])).exits(0);
    let (dir, name) = blob.out.trim().split_at(2);
    fs::remove_file(project.join(".git/objects").join(dir).join(name)).unwrap();
    let said = sandbox.run(&project, &["diff"]).exits(2);
    assert!(!ran.exists(), "{}", said.err);
    said.mentions("git has no lock in `HEAD`");
}

#[test]
fn a_target_that_is_in_the_output_otherwise_than_locked_is_outdated() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    let states = || {
        let said = sandbox.run(&project, &["status", "--json"]).exits(0);
        let targets = said.json()["targets"].clone();
        let states = targets.as_array().unwrap().iter();
        let states = states.map(|target| target["state"].as_str().unwrap().to_owned());
        states.collect::<Vec<_>>()
    };
    assert_eq!(states(), ["materialized", "materialized"]);
    // A file of one of them changes; the other one is what it was.
    let file = super::core(&project, RISCV);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "changed").unwrap();
    assert_eq!(states(), ["outdated", "materialized"]);
    let said = sandbox.run(&project, &["why", RISCV]).exits(0);
    said.mentions("state: outdated");
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(states(), ["materialized", "materialized"]);
    // What is evicted stays in the output.
    let name = format!("rust-std-{THUMB}");
    sandbox.run(&project, &["cache", "evict", &name]).exits(0);
    assert_eq!(states(), ["materialized", "materialized"]);
}
