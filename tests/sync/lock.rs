//! When a lock is written, when it is refused, and what is said about it.

use std::fs;

use super::{RISCV, THUMB, core, dist, manifest, packages, served};
use crate::support::dist::Release;

#[test]
fn a_lock_is_reproducible_and_answers_without_the_network() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let first = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    assert!(
        !first.contains(&server.url()) && !first.contains("127.0.0.1"),
        "{first}"
    );
    let asked = server.requests().len();
    sandbox.run(&project, &["lock", "--check"]).exits(0);
    sandbox
        .run(&project, &["lock"])
        .exits(0)
        .mentions("already");
    assert_eq!(server.requests().len(), asked);
    // The same request elsewhere gives the same bytes.
    let other = sandbox.project("q", &manifest(&[THUMB]));
    sandbox.run(&other, &["lock"]).exits(0);
    assert_eq!(
        fs::read_to_string(other.join("sysroot.lock")).unwrap(),
        first
    );
}

#[test]
fn case_140_without_a_lock_ci_says_which_command_makes_one() {
    let (mut sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    for flag in ["--locked", "--frozen"] {
        sandbox
            .run(&project, &["sync", flag])
            .exits(1)
            .mentions("sysroot lock");
    }
    sandbox.run(&project, &["verify"]).exits(1);
    sandbox.set("CI", "true");
    sandbox
        .run(&project, &["sync"])
        .exits(1)
        .mentions("sysroot lock");
    assert!(!project.join("sysroot.lock").exists());
    assert!(server.requests().is_empty());
}

#[test]
fn case_141_a_stale_lock_is_refused_by_field_without_the_network() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let before = fs::read(project.join("sysroot.lock")).unwrap();
    let asked = server.requests().len();
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB, RISCV])).unwrap();
    for command in [&["sync", "--locked"][..], &["lock", "--check"], &["verify"]] {
        sandbox.run(&project, command).exits(1).mentions(RISCV);
    }
    assert_eq!(server.requests().len(), asked);
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), before);
    // Frozen does not look.
    sandbox.run(&project, &["sync", "--frozen"]).exits(0);
    assert!(!core(&project, RISCV).exists());
    // And without a flag it is renewed.
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, RISCV).exists());
}

#[test]
fn case_142_a_warm_cache_does_not_hide_an_edited_hash() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let path = project.join("sysroot.lock");
    let text = fs::read_to_string(&path).unwrap();
    // Every hash of the lock, one after the other.
    let mut refused = 0;
    for (at, _) in text.match_indices("sha256:") {
        let digit = &text[at + 7..at + 8];
        let other = if digit == "0" { "1" } else { "0" };
        let mut edited = text.clone();
        edited.replace_range(at + 7..at + 8, other);
        fs::write(&path, &edited).unwrap();
        let said = sandbox.run(&project, &["sync", "--locked"]);
        if said.code == 5 {
            refused += 1;
            assert!(said.err.contains("sha256:"), "{}", said.err);
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            edited,
            "the lock was rewritten"
        );
    }
    // One a component: the format that would be downloaded is the one checked.
    assert!(refused >= 5, "only {refused} edits were refused");
}

#[test]
fn case_145_conflict_markers_are_named_and_locked_anew() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let path = project.join("sysroot.lock");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("<<<<<<< ours\n{good}=======\n{good}>>>>>>> theirs\n"),
    )
    .unwrap();
    sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("sysroot lock");
    sandbox.run(&project, &["verify"]).exits(2);
    let asked = server.requests().len();
    // Both sides agree on everything, so nobody is asked.
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    sandbox
        .run(&project, &["lock"])
        .exits(0)
        .mentions("is kept: 1 target, 0 pins");
    assert_eq!(server.requests().len(), asked);
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    // The sides are of two days' requests; a hash that both have still binds.
    let theirs = good.replacen("\"clippy\"", "\"rustfmt\"", 1);
    let conflict = format!("<<<<<<< ours\n{good}||||||| base\n=======\n{theirs}>>>>>>> theirs\n");
    fs::write(&path, &conflict).unwrap();
    let days = dist(
        &sandbox,
        Release::nightly(super::DATE).packages(packages("b")),
    );
    assert!(days.exists());
    sandbox.run(&project, &["lock", "--check"]).exits(2);
    sandbox.run(&project, &["lock"]).exits(5).mentions("sha256");
    assert_eq!(fs::read_to_string(&path).unwrap(), conflict);
    dist(
        &sandbox,
        Release::nightly(super::DATE).packages(packages("a")),
    );
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    sandbox.run(&project, &["lock"]).exits(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
}

#[test]
fn case_044_a_day_published_anew_is_told_and_not_taken_over() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let before = fs::read(project.join("sysroot.lock")).unwrap();
    dist(
        &sandbox,
        Release::nightly(super::DATE).packages(packages("b")),
    );
    // The archives are not what the lock says.
    sandbox.run(&project, &["sync"]).exits(5);
    // Another machine, which has no copy of the old manifest, is told as well.
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB, RISCV])).unwrap();
    sandbox.run(&project, &["lock"]).exits(5).mentions("sha256");
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), before);
    sandbox.run(&project, &["lock", "--refresh"]).exits(0);
    assert_ne!(fs::read(project.join("sysroot.lock")).unwrap(), before);
}

#[test]
fn case_045_what_upstream_lacks_is_a_resolve_error_with_the_nearest_name() {
    let (sandbox, _server) = served();
    let bad = manifest(&[]) + "[targets.thumbv7em-none-eabi]\nstrategy = \"download\"\n";
    let project = sandbox.project("p", &bad);
    sandbox.run(&project, &["lock"]).exits(3).mentions(THUMB);
    let bad = manifest(&[]).replace("clippy", "clipy");
    let project = sandbox.project("q", &bad);
    sandbox.run(&project, &["lock"]).exits(3).mentions("clippy");
    let bad = manifest(&[]).replace("2026-05-20", "2026-05-21");
    let project = sandbox.project("r", &bad);
    sandbox
        .run(&project, &["lock"])
        .exits(3)
        .mentions("2026-05-21");
    assert!(!project.join("sysroot.lock").exists());
}

#[test]
fn case_149_a_typing_error_points_at_its_place() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &(manifest(&[THUMB]) + "stratgy = \"build\"\n"));
    let said = sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("strategy");
    assert!(said.err.contains("sysroot.toml:6:1"), "{}", said.err);
    assert!(said.err.contains('^'), "{}", said.err);
}

#[test]
fn case_147_what_is_no_regular_file_is_refused_without_hanging() {
    let (sandbox, _server) = served();
    let project = sandbox.path("p");
    fs::create_dir(&project).unwrap();
    let manifest = manifest(&[THUMB]) + "[targets.my-os]\nspec = \"my-os.json\"\n";
    fs::write(project.join("sysroot.toml"), &manifest).unwrap();
    // A missing spec is the manifest's fault.
    let said = sandbox.run(&project, &["sync"]).exits(2);
    assert!(said.err.contains("my-os.json"), "{}", said.err);
    fs::write(project.join("my-os.json"), "{}").unwrap();
    for name in ["my-os.json", "sysroot.lock", "sysroot.toml"] {
        let path = project.join(name);
        let text = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        let refused = |what: &str| {
            let said = sandbox.run(&project, &["sync"]);
            assert_eq!(said.code, 2, "{name} as {what}: {}", said.err);
            assert!(said.err.contains(name), "{name} as {what}: {}", said.err);
        };
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        refused("a pipe");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("a directory");
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(name, &path).unwrap();
        refused("a link to itself");
        fs::remove_file(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        file.set_len(17 << 20).unwrap();
        refused("a large file");
        fs::write(&path, b"\xff\xfe").unwrap();
        refused("another encoding");
        fs::remove_file(&path).unwrap();
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
    }
}

#[test]
fn case_151_a_spec_that_a_link_takes_out_of_the_project_is_refused() {
    let (sandbox, _server) = served();
    let manifest = manifest(&[THUMB]) + "[targets.my-os]\nspec = \"my-os.json\"\n";
    let project = sandbox.project("p", &manifest);
    let outside = sandbox.path("outside.json");
    fs::write(&outside, "{}").unwrap();
    std::os::unix::fs::symlink(&outside, project.join("my-os.json")).unwrap();
    sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("outside of the project");
    assert!(!project.join("sysroot.lock").exists());
}
