//! A cache that can only be read, and a machine without any network.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::{Said, Sandbox, said, snapshot};

/// Runs the binary where the cache is mounted read-only: mode bits would not
/// stop root.
fn read_only(sandbox: &Sandbox, dir: &Path, arguments: &str) -> Said {
    let cache = sandbox.path("cache");
    let (cache, binary) = (cache.to_str().unwrap(), env!("CARGO_BIN_EXE_sysroot"));
    let script = format!(
        "mount --bind {cache} {cache} && mount -o remount,ro,bind {cache} && ! touch {cache}/x \
         2>/dev/null && exec {binary} {arguments}"
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    said(&mut command)
}

/// Name, inode and times of everything below a directory, so that any write at
/// all is seen.
fn traces(dir: &Path) -> Vec<(PathBuf, u64, i64, i64, i64)> {
    let mut all = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        let times = (found.mtime(), found.mtime_nsec(), found.ctime_nsec());
        all.push((path, found.ino(), times.0, times.1, times.2));
    }
    all.sort();
    all
}

#[test]
fn case_167_and_p23_a_read_only_cache_with_everything_in_it_is_enough() {
    let (sandbox, server) = served();
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let before = traces(&sandbox.path("cache"));
    let asked = server.requests().len();
    for (number, flags) in ["--locked", "--frozen", "", "--locked --offline"]
        .iter()
        .enumerate()
    {
        let project = sandbox.project(&format!("q{number}"), &manifest(&[THUMB]));
        fs::copy(first.join("sysroot.lock"), project.join("sysroot.lock")).unwrap();
        let said = read_only(&sandbox, &project, &format!("sync {flags}")).exits(0);
        assert!(!said.err.contains("warning"), "{}", said.err);
        let lib = |project: &Path| snapshot(&project.join(".sysroot/lib"));
        assert_eq!(lib(&project), lib(&first));
        // A second one, with nothing to do, and what only looks.
        for command in [
            "sync",
            "verify --deep",
            "status",
            "cache size",
            "cache list",
            "cache verify",
            "cache gc --dry-run",
        ] {
            read_only(&sandbox, &project, command).exits(0);
        }
        let doctor = read_only(&sandbox, &project, "doctor --offline")
            .exits(0)
            .out;
        let cache: Vec<&str> = (doctor.lines())
            .filter(|line| line.contains("  cache: "))
            .collect();
        assert_eq!(cache.len(), 1, "{doctor}");
        assert!(cache[0].starts_with("note ") && cache[0].contains("can only be read"));
    }
    assert_eq!(traces(&sandbox.path("cache")), before);
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn case_167_what_a_read_only_cache_lacks_is_a_file_system_error() {
    let (sandbox, _server) = served();
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let before = traces(&sandbox.path("cache"));
    let second = sandbox.project("q", &manifest(&[RISCV]));
    read_only(&sandbox, &second, "sync")
        .exits(9)
        .mentions("Read-only file system")
        .mentions("SYSROOT_CACHE_DIR");
    let said = read_only(&sandbox, &first, "cache gc --max-age 0s").exits(9);
    said.mentions("nothing can be removed");
    assert_eq!(traces(&sandbox.path("cache")), before);
}

#[test]
fn p23_a_warm_cache_and_a_fresh_lock_need_no_network_at_all() {
    let (sandbox, server) = served();
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let second = sandbox.project("q", &manifest(&[THUMB]));
    fs::copy(first.join("sysroot.lock"), second.join("sysroot.lock")).unwrap();
    // A network namespace of its own: not even loopback is up.
    let run = |dir: &Path, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-n", env!("CARGO_BIN_EXE_sysroot")]);
        command.args(arguments);
        command.env_clear().envs(&sandbox.env).current_dir(dir);
        said(&mut command)
    };
    run(&second, &["sync"]).exits(0);
    run(&second, &["sync", "--locked"]).exits(0);
    run(&second, &["verify", "--deep"]).exits(0);
    assert_eq!(
        snapshot(&second.join(".sysroot/lib")),
        snapshot(&first.join(".sysroot/lib"))
    );
    // The same without the cache shows that there really is no network.
    let third = sandbox.project("r", &manifest(&[RISCV]));
    run(&third, &["lock"]);
    run(&third, &["sync"]).exits(4);
    drop(server);
}
