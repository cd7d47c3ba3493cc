//! When a sync may say "up to date" without reading what the files mean.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{RISCV, THUMB, core, manifest, served};
use crate::support::sandbox::Sandbox;

/// What `sync --json` had to do: the plan is null if that was nothing.
fn planned(sandbox: &Sandbox, project: &Path, flags: &[&str]) -> serde_json::Value {
    let arguments = [&["sync", "--json"], flags].concat();
    let said = sandbox.run(project, &arguments).exits(0);
    said.json()["planned"].clone()
}

#[test]
fn every_way_to_ask_is_up_to_date_and_names_the_targets() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    let ways: [&[&str]; 5] = [
        &["sync"],
        &["sync", "--locked"],
        &["sync", "--frozen"],
        &["sync", "--check"],
        &["sync", "--dry-run"],
    ];
    for way in ways {
        sandbox
            .run(&project, way)
            .exits(0)
            .mentions("up to date: 2 targets");
        let said = sandbox.run(&project, &[way, &["--json"]].concat()).exits(0);
        let object = said.json();
        assert_eq!(object["targets"], serde_json::json!([RISCV, THUMB]));
        assert!(object["planned"].is_null() && object["lock"].is_null());
    }
}

#[test]
fn case_117_a_change_in_any_directory_is_found_after_a_sync_with_nothing_to_do() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let mut directories = vec![project.join(".sysroot")];
    let mut tried = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
        }
        assert!(planned(&sandbox, &project, &[]).is_null());
        let stranger = directory.join("stranger");
        fs::write(&stranger, "x").unwrap();
        assert!(
            planned(&sandbox, &project, &[]).is_object(),
            "{directory:?}"
        );
        assert!(!stranger.exists(), "{directory:?}");
        tried += 1;
    }
    assert!(tried > 8, "{tried}");
}

#[test]
fn another_manifest_that_means_the_same_changes_nothing() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let inode = fs::metadata(core(&project, THUMB)).unwrap().ino();
    let asked = server.requests().len();
    let text = format!("# A remark.\n{}", manifest(&[THUMB]));
    fs::write(project.join("sysroot.toml"), text).unwrap();
    for _ in 0..2 {
        assert!(planned(&sandbox, &project, &["--locked"]).is_null());
    }
    assert_eq!(fs::metadata(core(&project, THUMB)).unwrap().ino(), inode);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn case_149_a_manifest_that_became_wrong_is_told_although_the_output_is_right() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    fs::write(project.join("sysroot.toml"), "[toolchain").unwrap();
    sandbox.run(&project, &["sync"]).exits(2);
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB])).unwrap();
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    fs::write(project.join("sysroot.lock"), &lock[..lock.len() / 2]).unwrap();
    sandbox.run(&project, &["sync"]).exits(2);
    fs::write(project.join("sysroot.lock"), lock).unwrap();
    assert!(planned(&sandbox, &project, &[]).is_null());
}

#[test]
fn case_141_a_frozen_sync_vouches_for_no_manifest() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB, RISCV])).unwrap();
    sandbox.run(&project, &["sync", "--frozen"]).exits(0);
    sandbox
        .run(&project, &["sync", "--locked"])
        .exits(1)
        .mentions(RISCV);
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, RISCV).exists());
}

#[test]
fn a_sync_of_one_target_does_not_vouch_for_the_others() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    assert!(planned(&sandbox, &project, &[]).is_object());
    assert!(core(&project, RISCV).exists());
    // Nor does one that found nothing to do for the selected one.
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB])).unwrap();
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    assert!(planned(&sandbox, &project, &[]).is_object());
    assert!(!core(&project, RISCV).exists());
}

#[test]
fn a_project_that_was_moved_is_known_to_the_collector_after_a_sync() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let moved = project.with_file_name("moved");
    fs::rename(&project, &moved).unwrap();
    let before = fs::metadata(core(&moved, THUMB)).unwrap();
    sandbox.run(&moved, &["sync"]).exits(0);
    let after = fs::metadata(core(&moved, THUMB)).unwrap();
    assert_eq!((after.ino(), after.ctime()), (before.ino(), before.ctime()));
    let collect = ["cache", "gc", "--max-age", "0s"];
    let said = sandbox.run(&moved, &collect).exits(0);
    said.mentions("removed 0 trees");
    let said = sandbox.run(&moved, &["sync"]).exits(0);
    said.mentions("up to date");
    // The same where somebody removed all records.
    fs::remove_dir_all(sandbox.cache().join("roots")).unwrap();
    sandbox.run(&moved, &["sync"]).exits(0);
    let said = sandbox.run(&moved, &collect).exits(0);
    said.mentions("removed 0 trees");
}

#[test]
fn an_output_of_another_cache_is_told_from_none() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    fs::rename(sandbox.path("cache"), sandbox.path("gone")).unwrap();
    let use_it: [&[&str]; 3] = [&["path"], &["env"], &["run", "--no-sync", "--", "true"]];
    for command in use_it {
        let said = sandbox.run(&project, command).exits(1);
        said.mentions("nothing vouches for the output")
            .mentions("run `sysroot sync`");
    }
    sandbox.run(&project, &["sync"]).exits(0);
    for command in use_it {
        sandbox.run(&project, command).exits(0);
    }
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    for command in use_it {
        let said = sandbox.run(&project, command).exits(1);
        said.mentions("there is no output");
    }
}
