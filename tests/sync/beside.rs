//! The collector beside others: who keeps it away, and what is left when it
//! is killed.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::collect::{ALL, names, two_projects};
use super::{RISCV, THUMB, core, manifest, served};
use crate::support::sandbox::said;
#[cfg(feature = "fault-injection")]
use crate::support::sandbox::{Sandbox, snapshot};

#[test]
fn case_106_a_collector_waits_for_a_running_sync_and_the_daily_one_does_not() {
    let (sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    fs::remove_dir_all(riscv).unwrap();
    let running = fs::File::open(sandbox.cache().join("locks/use")).unwrap();
    running.lock_shared().unwrap();
    let mut command = sandbox.command(&thumb, ALL);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut collector = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(collector.try_wait().unwrap().is_none(), "it did not wait");
    assert_eq!(names(&sandbox, "trees").len(), 6);
    // A sync whose collection is due, too: it gives that up and is done.
    let _ = fs::remove_file(sandbox.cache().join("last-gc"));
    fs::remove_dir_all(thumb.join(".sysroot")).unwrap();
    sandbox.run(&thumb, &["sync"]).exits(0);
    assert_eq!(names(&sandbox, "trees").len(), 6);
    drop(running);
    let output = collector.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("being synchronised"), "{text}");
    assert_eq!(names(&sandbox, "trees").len(), 5);
}

#[test]
fn case_106_syncs_beside_a_busy_collector_all_succeed() {
    let (sandbox, _server) = served();
    let targets = [THUMB, RISCV];
    let projects: Vec<PathBuf> = (0..6)
        .map(|n| sandbox.project(&format!("p{n}"), &manifest(&[targets[n % 2]])))
        .collect();
    let again = |project: &Path, command: &[&str]| {
        let said = sandbox.run(project, command);
        assert_eq!(said.code, 0, "{command:?}: {}", said.err);
    };
    std::thread::scope(|scope| {
        for project in &projects {
            scope.spawn(|| {
                for _ in 0..4 {
                    let _ = fs::remove_dir_all(project.join(".sysroot"));
                    again(project, &["sync"]);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..25 {
                again(&sandbox.path("."), ALL);
                again(&sandbox.path("."), &["cache", "evict", "--all-unused"]);
            }
        });
    });
    for project in &projects {
        again(project, &["verify", "--deep"]);
    }
    again(&projects[0], &["cache", "verify"]);
    assert!(core(&projects[0], THUMB).exists());
}

#[test]
fn case_110_without_file_locks_work_goes_on_and_nothing_is_removed() {
    let (sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    fs::remove_dir_all(&riscv).unwrap();
    let third = sandbox.project("third", &manifest(&[RISCV, THUMB]));
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let _ = fs::remove_dir_all(third.join(".sysroot"));
        let _ = fs::remove_file(sandbox.cache().join("last-gc"));
        let traced = |dir: &Path, arguments: &[&str]| {
            let mut command = std::process::Command::new("strace");
            command.args(["-f", "-o", "/dev/null", "-e", "trace=flock"]);
            command.args(["-e", &format!("inject=flock:error={error}")]);
            command.arg(env!("CARGO_BIN_EXE_sysroot")).args(arguments);
            command.env_clear().envs(&sandbox.env).current_dir(dir);
            said(&mut command)
        };
        let synced = traced(&third, &["sync"]).exits(0);
        let warnings = synced.err.matches("file locks").count();
        assert_eq!(warnings, 1, "{error}: {}", synced.err);
        sandbox.run(&third, &["verify", "--deep"]).exits(0);
        fs::remove_dir_all(third.join(".sysroot")).unwrap();
        let refused = traced(&thumb, ALL).exits(9);
        refused.mentions("nothing can be removed");
        assert_eq!(names(&sandbox, "trees").len(), 6, "{error}");
    }
}

/// Invariants of a store at rest: each tree is whole and has its listing, and
/// each record names a tree that is there.
#[cfg(feature = "fault-injection")]
fn check_whole(sandbox: &Sandbox, dir: &Path, what: &str) {
    let said = sandbox.run(dir, &["cache", "verify"]);
    assert_eq!(said.code, 0, "{what}: {}{}", said.out, said.err);
    let trees = names(sandbox, "trees");
    for record in names(sandbox, "components") {
        if record.starts_with('.') {
            continue;
        }
        let path = sandbox.cache().join("components").join(record);
        let record: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let tree = record["tree"]
            .as_str()
            .unwrap()
            .trim_start_matches("blake3:");
        assert!(trees.iter().any(|name| name == tree), "{what}: {record}");
    }
}

#[cfg(feature = "fault-injection")]
#[test]
fn case_107_a_collector_killed_or_refused_at_every_operation() {
    let (mut sandbox, _server) = served();
    let (thumb, riscv) = two_projects(&sandbox);
    let want = snapshot(&riscv.join(".sysroot/lib"));
    let (cache, kept) = (sandbox.path("cache"), sandbox.path("kept"));
    fs::rename(riscv.join(".sysroot"), sandbox.path("output")).unwrap();
    fs::write(sandbox.cache().join("tmp/stage-dead.lock"), "").unwrap();
    fs::create_dir(sandbox.cache().join("tmp/stage-dead")).unwrap();
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        let done = std::process::Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status();
        assert!(done.unwrap().success());
    };
    copy(&cache, &kept);
    let count = sandbox.path("count");
    sandbox.set("SYSROOT_FAULT_COUNT", count.to_str().unwrap());
    sandbox.run(&thumb, ALL).exits(0).mentions("removed 1 tree");
    sandbox.env.remove("SYSROOT_FAULT_COUNT");
    let operations = fs::read_to_string(count).unwrap();
    assert!(operations.lines().count() > 10, "{operations}");
    for (index, operation) in operations.lines().enumerate() {
        for how in ["kill", "5"] {
            let what = format!("{how} at {operation}");
            copy(&kept, &cache);
            sandbox.set("SYSROOT_FAULT", &format!("{how}:{}", index + 1));
            let said = sandbox.run(&thumb, ALL);
            sandbox.env.remove("SYSROOT_FAULT");
            assert!(
                [-1, 0, 9].contains(&said.code),
                "{what}: {} {}",
                said.code,
                said.err
            );
            check_whole(&sandbox, &thumb, &what);
            sandbox.run(&riscv, &["sync"]).exits(0);
            assert_eq!(snapshot(&riscv.join(".sysroot/lib")), want, "{what}");
            fs::remove_dir_all(riscv.join(".sysroot")).unwrap();
            // The next collector ends what this one began.
            sandbox.run(&thumb, ALL).exits(0);
            for dir in ["trees", "listings", "index", "components"] {
                assert_eq!(names(&sandbox, dir).len(), 5, "{what}: {dir}");
            }
            assert_eq!(names(&sandbox, "tmp").len(), 0, "{what}");
            sandbox.run(&thumb, &["verify", "--deep"]).exits(0);
        }
    }
}

#[test]
fn case_101_a_stopped_holder_is_waited_for_and_named_and_nothing_is_stolen() {
    let (sandbox, server) = served();
    let first = sandbox.project("first", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let component = names(&sandbox, "locks")
        .into_iter()
        .find(|n| n.starts_with("component-"));
    let lock = sandbox.cache().join("locks").join(component.unwrap());
    for dir in ["components", "trees"] {
        fs::remove_dir_all(sandbox.cache().join(dir)).unwrap();
    }
    // `flock` holds it, and is stopped as a process in a debugger is.
    let mut holder = std::process::Command::new("flock");
    let mut holder = holder
        .arg("-o")
        .arg(&lock)
        .args(["sleep", "600"])
        // A group of its own, so that the sleeper dies with it.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let signal = |signal: &str, whom: String| {
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args([signal, "--", &whom]).status();
        assert!(sent.unwrap().success());
    };
    let other = fs::File::open(&lock).unwrap();
    while other.try_lock().is_ok() {
        other.unlock().unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    signal("-STOP", holder.id().to_string());
    fs::remove_dir_all(first.join(".sysroot")).unwrap();
    let mut command = sandbox.command(&first, &["sync"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(waiting.try_wait().unwrap().is_none(), "the lock was stolen");
    signal("-KILL", format!("-{}", holder.id()));
    holder.wait().unwrap();
    let output = waiting.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("downloading"),
        "the holder is not named: {text}"
    );
    sandbox.run(&first, &["verify", "--deep"]).exits(0);
    drop(server);
}
