//! Killed, or refused by the file system, at every mutating file operation:
//! nothing wrong is left, and the same command finishes the job.
//!
//! Complete by construction: a first run counts the operations, and each of
//! them is then the one that fails.

use std::fs;
use std::path::Path;

use super::{THUMB, core, manifest, served};
use crate::support::sandbox::{Sandbox, snapshot};

/// The names of all mutating file operations of a fresh `sync`.
fn operations(sandbox: &mut Sandbox) -> Vec<String> {
    let project = sandbox.project("counted", &manifest(&[THUMB]));
    let count = sandbox.path("count");
    sandbox.set("SYSROOT_FAULT_COUNT", count.to_str().unwrap());
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox.env.remove("SYSROOT_FAULT_COUNT");
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
    let text = fs::read_to_string(count).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// No object under a final name is partial, whatever happened.
fn check_store(sandbox: &Sandbox, operation: &str) {
    let trees = sandbox.cache().join("trees");
    let Ok(entries) = fs::read_dir(&trees) else {
        return;
    };
    for entry in entries {
        let tree = entry.unwrap().path();
        let name = tree.file_name().unwrap().to_str().unwrap();
        let listing = fs::read_to_string(sandbox.cache().join("listings").join(name)).unwrap();
        assert_eq!(
            blake3::hash(listing.as_bytes()).to_hex().as_str(),
            name,
            "{operation}"
        );
        let listing = sysroot::types::Listing::parse(&listing).unwrap();
        let found = snapshot(&tree);
        assert_eq!(found.len(), listing.entries().len(), "{operation}: {name}");
        for file in listing.entries() {
            let (bytes, executable) = &found[file.path.as_str()];
            assert_eq!(
                blake3::hash(bytes).as_bytes(),
                file.digest.as_bytes(),
                "{operation}"
            );
            assert_eq!(*executable, file.executable, "{operation}");
        }
    }
}

/// The same command finishes the job and leaves nothing behind.
fn check_healed(sandbox: &Sandbox, project: &Path, want: &Snapshot, operation: &str) {
    let said = sandbox.run(project, &["sync"]);
    assert_eq!(said.code, 0, "after {operation}: {}", said.err);
    assert_eq!(
        &snapshot(&project.join(".sysroot/lib")),
        want,
        "after {operation}"
    );
    let staged = || fs::read_dir(sandbox.cache().join("tmp")).unwrap().count();
    if staged() > 0 {
        // The job was done already, and only the cleaning was not: the next
        // sync that has anything to do catches up on it.
        fs::remove_file(core(project, THUMB)).unwrap();
        sandbox.run(project, &["sync"]).exits(0);
    }
    assert_eq!(staged(), 0, "after {operation}: staging is left");
    let strays: Vec<_> = fs::read_dir(project.join(".sysroot"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".stage-"))
        .collect();
    assert!(strays.is_empty(), "after {operation}: {strays:?}");
}

type Snapshot = std::collections::BTreeMap<String, (Vec<u8>, bool)>;

/// Runs `sync` with each operation failing in this way, from nothing each time.
fn enumerate(how: &str, check_code: fn(i32, &str) -> bool) {
    let (mut sandbox, _server) = served();
    let operations = operations(&mut sandbox);
    assert!(
        operations.len() > 60,
        "only {} operations are counted",
        operations.len()
    );
    let good = sandbox.project("good", &manifest(&[THUMB]));
    sandbox.run(&good, &["sync"]).exits(0);
    let want = snapshot(&good.join(".sysroot/lib"));
    for (index, operation) in operations.iter().enumerate() {
        fs::remove_dir_all(sandbox.path("cache")).unwrap();
        let project = sandbox.project("p", &manifest(&[THUMB]));
        sandbox.set("SYSROOT_FAULT", &format!("{how}:{}", index + 1));
        let said = sandbox.run(&project, &["sync"]);
        sandbox.env.remove("SYSROOT_FAULT");
        assert!(
            check_code(said.code, &said.err),
            "{operation}: {} {}",
            said.code,
            said.err
        );
        check_store(&sandbox, operation);
        check_healed(&sandbox, &project, &want, operation);
        assert!(core(&project, THUMB).exists());
        fs::remove_dir_all(&project).unwrap();
    }
}

#[test]
fn case_079_killed_before_every_file_operation() {
    // Threads do not always reach the same operation as the n-th, so a run may
    // also get to its end before it.
    enumerate("kill", |code, _| code == -1 || code == 0);
}

#[test]
fn case_088_no_space_at_every_file_operation() {
    let enospc = "28";
    enumerate(enospc, |code, text| match code {
        0 => true,
        9 => text.contains("No space left") && text.contains("free some space"),
        _ => false,
    });
}
