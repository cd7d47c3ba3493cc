//! One target of several that does not compile.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::fake::{Fake, manifest, pins};
use crate::support::sandbox::Sandbox;

const THUMB: &str = "thumbv7em-none-eabihf";
const RISCV: &str = "riscv32imac-unknown-none-elf";

/// The libraries of a target in an output.
fn library(project: &Path, target: &str) -> PathBuf {
    project.join(format!(".sysroot/lib/rustlib/{target}/lib"))
}

#[test]
fn case_122_a_failing_target_keeps_no_other_one_out_of_the_output() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    fake.fail(Some(RISCV));
    let said = sandbox.run(&project, &["sync"]).exits(7);
    assert!(said.err.contains(RISCV), "{}", said.err);
    assert!(said.err.contains("not this one"), "{}", said.err);
    // The good one can be used and is pinned; of the other there is nothing.
    assert!(library(&project, THUMB).is_dir());
    assert!(project.join(".sysroot/bin/rustc").is_file());
    assert!(!library(&project, RISCV).exists());
    assert_eq!((pins(&project).len(), fake.compiled("core")), (1, 1));
    // It is no success that a second run could take for one.
    sandbox.run(&project, &["verify"]).exits(1);
    sandbox.run(&project, &["sync"]).exits(7);
    assert_eq!(fake.compiled("core"), 1);
    fake.fail(None);
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(library(&project, RISCV).is_dir());
    assert_eq!((pins(&project).len(), fake.compiled("core")), (2, 2));
    sandbox
        .run(&project, &["sync"])
        .exits(0)
        .mentions("up to date");
}

#[test]
fn case_122_what_was_there_of_a_failing_target_stays() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    let stamps = |target: &str| -> Vec<(u64, i64)> {
        let entries = fs::read_dir(library(&project, target)).unwrap();
        let metadata = entries.map(|entry| entry.unwrap().metadata().unwrap());
        metadata.map(|m| (m.ino(), m.mtime_nsec())).collect()
    };
    let (thumb, riscv) = (stamps(THUMB), stamps(RISCV));
    // Both are asked for otherwise, and one of them fails.
    let changed = manifest(&[THUMB, RISCV]).replace("[defaults]", "[defaults]\nopt-level = 2");
    fs::write(project.join("sysroot.toml"), changed).unwrap();
    fake.fail(Some(RISCV));
    sandbox.run(&project, &["sync"]).exits(7);
    assert_eq!(stamps(RISCV), riscv);
    assert_eq!(fake.compiled("core"), 3);
    // The one that compiled is the new one.
    assert_ne!(stamps(THUMB), thumb);
    fake.fail(None);
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
}

#[test]
fn the_systems_toolchain_is_looked_for_once_for_the_lock_and_once_for_the_rest() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let asked = fake.asked();
    sandbox.run(&project, &["sync", "--locked"]).exits(0);
    assert_eq!(fake.asked(), asked + 1);
    sandbox.run(&project, &["sync", "--locked"]).exits(0);
    assert_eq!(fake.asked(), asked + 1);
}
