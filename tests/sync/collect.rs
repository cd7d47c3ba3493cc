//! The collector: what goes, and what stays.

use std::fs;
use std::path::PathBuf;

use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::{Sandbox, said, snapshot};

/// The names in a directory of the store.
pub(super) fn names(sandbox: &Sandbox, dir: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(sandbox.cache().join(dir)) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut all: Vec<String> = entries.map(|e| name(e).into_string().unwrap()).collect();
    all.sort();
    all
}

/// Everything in the store but locks: what a dry run must leave alone.
fn state(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let all = snapshot(&sandbox.cache()).into_iter();
    all.filter(|(name, _)| !name.starts_with("locks/"))
        .map(|(name, (bytes, _))| (name, bytes))
        .collect()
}

/// Two projects, of which one uses a tree of its own.
pub(super) fn two_projects(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let thumb = sandbox.project("thumb", &manifest(&[THUMB]));
    let riscv = sandbox.project("riscv", &manifest(&[RISCV]));
    sandbox.run(&thumb, &["sync"]).exits(0);
    sandbox.run(&riscv, &["sync"]).exits(0);
    assert_eq!(names(sandbox, "trees").len(), 6);
    (thumb, riscv)
}

pub(super) const ALL: &[&str] = &["cache", "gc", "--max-age", "0s"];

#[test]
fn what_no_project_uses_goes_with_its_records_and_can_be_had_again() {
    let (sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    let want = snapshot(&riscv.join(".sysroot/lib"));
    sandbox
        .run(&thumb, ALL)
        .exits(0)
        .mentions("removed 0 trees");
    fs::remove_dir_all(riscv.join(".sysroot")).unwrap();
    let before = state(&sandbox);
    // By age it stays: the project was there until now.
    let plan = sandbox.run(&thumb, &["cache", "gc", "--dry-run", "--json"]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["projects"].as_array().unwrap().len(), 1, "{plan}");
    assert_eq!(plan["trees"].as_array().unwrap().len(), 0, "{plan}");
    let dry = [ALL, &["--dry-run"]].concat();
    let said = sandbox.run(&thumb, &dry).exits(0);
    let said = said
        .mentions("would remove 1 tree")
        .mentions("its output is gone");
    assert!(said.out.contains("tree "), "{}", said.out);
    assert_eq!(state(&sandbox), before, "a dry run changed something");
    sandbox.run(&thumb, ALL).exits(0).mentions("removed 1 tree");
    for dir in ["trees", "listings", "index", "components"] {
        assert_eq!(names(&sandbox, dir).len(), 5, "{dir}");
    }
    assert_eq!(names(&sandbox, "roots").len(), 1);
    assert_eq!(names(&sandbox, "tmp").len(), 0);
    sandbox.run(&thumb, &["verify", "--deep"]).exits(0);
    sandbox.run(&thumb, &["cache", "verify"]).exits(0);
    sandbox.run(&riscv, &["sync"]).exits(0);
    assert_eq!(snapshot(&riscv.join(".sysroot/lib")), want);
}

#[test]
fn over_a_size_only_what_projects_use_is_left() {
    let (sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    fs::remove_dir_all(riscv).unwrap();
    let gc = |size: &str| sandbox.run(&thumb, &["cache", "gc", "--max-size", size]);
    gc("1G").exits(0).mentions("removed 0 trees");
    gc("1").exits(0).mentions("removed 1 tree");
    assert_eq!(names(&sandbox, "trees").len(), 5);
    gc("x").exits(2);
}

#[test]
fn what_cannot_be_removed_is_named_and_the_rest_goes() {
    let (mut sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    fs::remove_dir_all(riscv).unwrap();
    let gc = ["cache", "gc", "--max-size", "1"];
    // Read-only, as far as the tree's own name goes.
    sandbox.set("SYSROOT_FAULT", "30%rename to");
    let said = sandbox.run(&thumb, &gc).exits(9);
    said.mentions("Read-only file system")
        .mentions("error: 1 thing could not be removed")
        .mentions("hint: set SYSROOT_CACHE_DIR");
    assert_eq!(names(&sandbox, "trees").len(), 6);
    sandbox.env.remove("SYSROOT_FAULT");
    sandbox.run(&thumb, &gc).exits(0);
    assert_eq!(names(&sandbox, "trees").len(), 5);
}

#[test]
fn a_project_whose_file_system_is_not_mounted_keeps_its_trees() {
    let (sandbox, _server) = served();
    let binary = env!("CARGO_BIN_EXE_sysroot");
    let script = format!(
        "set -e; mkdir stick; mount -t tmpfs none stick; mkdir stick/p; cp sysroot.toml stick/p; \
         (cd stick/p; {binary} sync -q); umount stick; {binary} cache gc --max-age 0s --json; \
         rmdir stick; {binary} cache gc --max-age 0s --json >&2"
    );
    let dir = sandbox.project("mounts", &manifest(&[THUMB]));
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    command.env_clear().envs(&sandbox.env).current_dir(&dir);
    let said = said(&mut command).exits(0);
    let plan = said.json();
    assert_eq!(
        plan["unknown_projects"].as_array().unwrap().len(),
        1,
        "{plan}"
    );
    assert_eq!(plan["removed_trees"], 0, "{plan}");
    // Also where the mount point is gone with it, as with removable disks.
    assert!(said.err.contains("unknown_projects\": [\n"), "{}", said.err);
    assert_eq!(names(&sandbox, "trees").len(), 5);
    // A directory that was removed on the same file system is another matter.
    let project = sandbox.project("above/below/p", &manifest(&[RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    fs::remove_dir_all(sandbox.path("above")).unwrap();
    sandbox.run(&dir, ALL).exits(0).mentions("removed 1 tree");
}

#[test]
fn evict_takes_what_it_is_told_to() {
    let (sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    let name = format!("rust-std-{THUMB}");
    let evict = |what: &str| sandbox.run(&thumb, &["cache", "evict", what]);
    evict("no-such-thing").exits(1).mentions("cache list");
    evict(&name).exits(0).mentions("removed 1 tree");
    assert_eq!(names(&sandbox, "trees").len(), 5);
    assert_eq!(names(&sandbox, "roots").len(), 2, "projects stay known");
    let list = sandbox.run(&thumb, &["cache", "list"]).exits(0);
    assert!(!list.out.contains(&name), "{}", list.out);
    // The output does not need the store.
    sandbox.run(&thumb, &["verify"]).exits(0);
    // Without its record the compiler's tree has only its digits for a name.
    let found = list.out.lines().find(|line| line.contains("  rustc-"));
    let digits = found.unwrap()[..12].to_owned();
    fs::remove_dir_all(sandbox.cache().join("components")).unwrap();
    let list = sandbox.run(&thumb, &["cache", "list"]).exits(0).out;
    assert!(list.contains(&format!("  tree       {digits}\n")), "{list}");
    assert!(list.contains(&format!("  tree       {RISCV}\n")), "{list}");
    evict(&digits).exits(0).mentions("removed 1 tree");
    let tree = names(&sandbox, "trees").remove(0);
    evict(&tree[..11]).exits(1);
    evict(&tree[..12]).exits(0).mentions("removed 1 tree");
    fs::remove_dir_all(riscv).unwrap();
    sandbox
        .run(&thumb, &["cache", "evict", "--all-unused"])
        .exits(0);
    fs::remove_dir_all(thumb.join(".sysroot")).unwrap();
    sandbox.run(&thumb, &["sync"]).exits(0);
    sandbox.run(&thumb, &["verify", "--deep"]).exits(0);
    sandbox.run(&thumb, &["cache", "evict"]).exits(2);
}

#[test]
fn case_098_dead_staging_goes_live_staging_and_strangers_stay() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let tmp = sandbox.cache().join("tmp");
    for name in ["stage-dead", "stage-live"] {
        fs::create_dir(tmp.join(name)).unwrap();
        fs::write(tmp.join(name).join("file"), "x").unwrap();
        fs::write(tmp.join(format!("{name}.lock")), "").unwrap();
    }
    let strangers = ["trees/mine", "notes.txt", "tmp/other", "roots/read.me"];
    for stranger in strangers {
        fs::write(sandbox.cache().join(stranger), "mine").unwrap();
    }
    // Another collector's, which still removes what it took away.
    fs::write(tmp.join("stage-live.lock"), "trash").unwrap();
    let live = fs::File::open(tmp.join("stage-live.lock")).unwrap();
    live.lock().unwrap();
    let said = sandbox.run(&project, ALL).exits(0);
    for stranger in strangers {
        let path = sandbox.cache().join(stranger);
        assert_eq!(fs::read(&path).unwrap(), b"mine", "{stranger}");
        assert!(said.err.contains(path.to_str().unwrap()), "{}", said.err);
    }
    assert!(!tmp.join("stage-dead").exists());
    assert!(!tmp.join("stage-dead.lock").exists());
    assert!(tmp.join("stage-live/file").exists());
    let listed = sandbox.run(&project, &["cache", "verify"]).exits(0);
    assert!(listed.err.contains("trees/mine"), "{}", listed.err);
}

#[test]
fn case_118_twenty_bad_index_files_change_no_answer() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let size = || sandbox.run(&project, &["cache", "size"]).exits(0).out;
    let sizes = || {
        let list = sandbox.run(&project, &["cache", "list", "--json"]).exits(0);
        let entries = list.json()["entries"].as_array().unwrap().clone();
        let one =
            |e: &serde_json::Value| (e["tree"].clone(), e["bytes"].clone(), e["files"].clone());
        entries.iter().map(one).collect::<Vec<_>>()
    };
    let (size_before, sizes_before) = (size(), sizes());
    let index = sandbox.cache().join("index");
    let records = names(&sandbox, "index");
    assert_eq!(records.len(), 5);
    let good = fs::read_to_string(index.join(&records[0])).unwrap();
    let long = good.repeat(100);
    let no_end = good.trim_end().to_owned();
    let bad: [&[u8]; 20] = [
        b"",
        b"\n",
        b" ",
        b"{}",
        b"[1, 2]",
        b"\x00\x01\x02",
        b"\xff\xfe",
        b"sysroot-index-v1",
        b"sysroot-index-v1 1 1 - \n",
        b"sysroot-index-v1 0 0 0 00000000000000000000000000000000\n",
        b"sysroot-index-v2 99 1 - 00000000000000000000000000000000\n",
        b"sysroot-index-v1 -1 -1 -1 00000000000000000000000000000000\n",
        b"sysroot-index-v1 99999999999999999999999 1 - 0000\n",
        b"{\"version\": 99, \"bytes\": 1}",
        &good.as_bytes()[..good.len() / 2],
        no_end.as_bytes(),
        long.as_bytes(),
        b"SYSROOT-INDEX-V1 1 1 1 1\n",
        b"sysroot-index-v1\t1\t1\t1\t1\n",
        // Another tree's: right in itself, and not this one's.
        good.as_bytes(),
    ];
    for (number, bytes) in bad.into_iter().enumerate() {
        for record in &records[1..] {
            fs::write(index.join(record), bytes).unwrap();
        }
        assert_eq!(size(), size_before, "{number}");
        assert_eq!(sizes(), sizes_before, "{number}");
        sandbox
            .run(&project, &["cache", "gc"])
            .exits(0)
            .mentions("removed 0");
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
    }
    fs::remove_dir_all(&index).unwrap();
    assert_eq!((size(), sizes()), (size_before, sizes_before));
    fs::write(&index, "a file").unwrap();
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    sandbox.run(&project, &["sync"]).exits(0);
}
