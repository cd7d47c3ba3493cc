//! Two processes at the worst moment: one is stopped between two of its file
//! operations while the other one works.

use std::fs;
use std::path::PathBuf;

use super::THUMB;
use super::crash::{BUILT, Bed, DOWNLOADED, OTHER, erase};
use super::waiting::{Running, compilations, eventually, go, is_stopped, output, start, waiting};
use crate::support::sandbox::{said, snapshot};

/// The collection that removes whatever nobody uses.
const GC: &[&str] = &["cache", "gc", "--max-age", "0s"];
/// How long to wait for others, in seconds.
const SHORT: [(&str, &str); 1] = [("SYSROOT_FAULT_WAIT", "1")];

/// The labels of a command's file operations, in order.
fn labels(bed: &Bed, project: &str, arguments: &[&str]) -> Vec<String> {
    let count = bed.sandbox.path("count");
    let env = [("SYSROOT_FAULT_COUNT", count.to_str().unwrap())];
    bed.run(project, arguments, &env).exits(0);
    let text = fs::read_to_string(&count).unwrap();
    fs::remove_file(count).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Starts a command that stops before the operation of this label.
fn stopped(bed: &Bed, project: &str, arguments: &[&str], label: &str) -> Running {
    let fault = format!("stop@{label}");
    let running = start(bed, project, arguments, &[("SYSROOT_FAULT", &fault)]);
    eventually("stops", || is_stopped(&running.child));
    running
}

/// Which kept tree a recipe has: the first one's directory in the quarantine.
fn kept(bed: &Bed) -> PathBuf {
    bed.sandbox
        .cache()
        .join("quarantine")
        .join(format!("differs-{}", "5d".repeat(32)))
}

#[test]
fn case_106_a_differing_tree_that_is_kept_beside_a_collector_stays() {
    let bed = Bed::new();
    let prepare = || {
        bed.cache_after("one", &[DOWNLOADED]);
        bed.locked("p", DOWNLOADED);
        fs::create_dir_all(kept(&bed)).unwrap();
        fs::write(kept(&bed).join("listing"), "old").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 30);
        let dir = fs::File::open(kept(&bed)).unwrap();
        dir.set_modified(long_ago).unwrap();
    };
    prepare();
    let all = labels(&bed, "p", GC);
    assert!(!kept(&bed).exists(), "{all:#?}");
    let is_removal = |label: &&String| label.starts_with("remove ") && label.contains("/listing #");
    let removal = all.iter().find(is_removal).unwrap();
    prepare();
    let collector = stopped(&bed, "p", GC, removal);
    // A build of that recipe goes on now, and keeps another tree there.
    let fence = fs::File::open(bed.sandbox.cache().join("locks/use")).unwrap();
    assert!(fence.try_lock_shared().is_ok(), "nobody can work");
    erase(&kept(&bed));
    fs::create_dir_all(kept(&bed)).unwrap();
    fs::write(kept(&bed).join("listing"), "new").unwrap();
    drop(fence);
    collector.signal("CONT");
    collector.end().exits(0);
    assert_eq!(
        fs::read_to_string(kept(&bed).join("listing")).unwrap(),
        "new"
    );
}

/// A bed with a remote and a key that its user trusts.
fn with_remote() -> (Bed, String) {
    let mut bed = Bed::new();
    fs::create_dir(bed.sandbox.path("remote")).unwrap();
    bed.cache_after("built", &[BUILT]);
    bed.locked("p", BUILT);
    let key = bed.sandbox.path("home/key").to_str().unwrap().to_owned();
    let said = bed.run("p", &["cache", "keygen", &key, "--json"], &[]);
    let public = said.exits(0).json()["public"].as_str().unwrap().to_owned();
    let config = bed.sandbox.path("home/config.toml");
    fs::write(&config, format!("[trust]\nkeys = [\"{public}\"]\n")).unwrap();
    let remote = format!("file://{}", bed.sandbox.path("remote").display());
    bed.sandbox.set("SYSROOT_REMOTE", &remote);
    bed.sandbox.set("SYSROOT_REMOTE_ACCESS", "read-write");
    bed.sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    (bed, key)
}

#[test]
fn case_106_a_collector_waits_for_what_push_and_pull_have_found() {
    let (bed, key) = with_remote();
    let push = ["cache", "push", "--sign", &key];
    let all = labels(&bed, "p", &push);
    let fence = |label: &&String| label.starts_with("lock cache/v1/locks/use ");
    let last = all.iter().rfind(fence).unwrap();
    erase(&bed.sandbox.path("remote"));
    fs::create_dir(bed.sandbox.path("remote")).unwrap();
    // No project uses the tree: the record that says so is of another one.
    erase(&bed.sandbox.cache().join("roots"));
    let pushing = stopped(&bed, "p", &push, last);
    bed.run("p", GC, &SHORT).exits(8);
    pushing.signal("CONT");
    pushing.end().exits(0);
    assert!(!snapshot(&bed.sandbox.path("remote")).is_empty());

    let forget = || {
        erase(&bed.sandbox.path("cache"));
        bed.locked("p", BUILT);
    };
    forget();
    let all = labels(&bed, "p", &["cache", "pull"]);
    let record = |label: &&String| label.starts_with("replace cache/v1/recipes/");
    let record = all.iter().find(record).unwrap();
    forget();
    let pulling = stopped(&bed, "p", &["cache", "pull"], record);
    bed.run("p", GC, &SHORT).exits(8);
    pulling.signal("CONT");
    pulling.end().exits(0);
    super::crash::check_store(&bed, "a pull beside a collector");
}

#[test]
fn case_106_what_a_collector_takes_away_while_it_is_checked_is_no_damage() {
    let bed = Bed::new();
    bed.cache_after("both", &[DOWNLOADED, OTHER]);
    bed.locked("p", DOWNLOADED);
    let trees = bed.sandbox.cache().join("trees");
    let tree = fs::read_dir(&trees).unwrap().next().unwrap().unwrap();
    let listing = bed.sandbox.cache().join("listings").join(tree.file_name());
    // The check has found the tree, and waits before it reads the listing.
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-P"]);
    command.arg(&listing);
    command.args(["-e", "inject=openat:delay_enter=5000000"]);
    command.args([env!("CARGO_BIN_EXE_sysroot"), "cache", "verify", "--json"]);
    command
        .env_clear()
        .envs(&bed.sandbox.env)
        .current_dir(bed.dir("p"));
    let command = command.stdout(std::process::Stdio::piped());
    let check = command.spawn().unwrap();
    eventually("waits", || is_held_by(check.id()));
    fs::rename(tree.path(), bed.sandbox.path("packed/gone")).unwrap();
    fs::remove_file(&listing).unwrap();
    let output = check.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
}

/// Whether a thread of what strace runs is stopped by it for longer than the
/// time it takes to look at a call.
fn is_held_by(strace: u32) -> bool {
    let children = format!("/proc/{strace}/task/{strace}/children");
    let stopped = || {
        let children = fs::read_to_string(&children).unwrap_or_default();
        let tasks = children.split_whitespace().flat_map(|child| {
            let tasks = fs::read_dir(format!("/proc/{child}/task"));
            tasks.into_iter().flatten().flatten()
        });
        let state = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
        tasks
            .filter_map(state)
            .any(|status| status.contains("State:\tt"))
    };
    (0..10).all(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        stopped()
    })
}

#[test]
fn case_112_a_fence_that_is_deleted_lets_no_collector_in() {
    let bed = waiting(&["a", "b"]);
    let fence = bed.sandbox.cache().join("locks/use");
    let first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    // Deleted under a build: what is staged shows that somebody works.
    fs::remove_file(&fence).unwrap();
    let said = bed.run("a", GC, &SHORT).exits(8);
    let holder = format!("process {}, compiling", first.child.id());
    said.mentions(&holder);
    go(&bed);
    first.end().exits(0);
    bed.run("a", GC, &SHORT).exits(0);
    bed.run("a", &["verify", "--deep"], &[]).exits(0);
    // Deleted while nobody stages: the first look finds it missing.
    fs::remove_file(&fence).unwrap();
    fs::remove_file(bed.sandbox.cache().join("last-gc")).unwrap();
    let old = output(&bed, "a");
    erase(&bed.dir("a").join(".sysroot"));
    bed.run("a", &["sync"], &[]).exits(0);
    assert_eq!(output(&bed, "a"), old);
}

#[test]
fn case_112_a_fence_that_is_exchanged_before_it_is_locked_is_opened_again() {
    let bed = Bed::new();
    bed.cache_after("one", &[DOWNLOADED]);
    bed.locked("p", DOWNLOADED);
    let fence = bed.sandbox.cache().join("locks/use");
    let lock = "lock cache/v1/locks/use #1";
    for (arguments, others) in [(&["sync"][..], false), (GC, true)] {
        let running = stopped(&bed, "p", arguments, lock);
        fs::remove_file(&fence).unwrap();
        let new = fs::File::create(&fence).unwrap();
        if others {
            new.lock_shared().unwrap();
        } else {
            new.lock().unwrap();
        }
        running.signal("CONT");
        eventually("waits", || running.said().contains("waiting for"));
        drop(new);
        running.end().exits(0);
    }
    bed.run("p", &["verify", "--deep"], &[]).exits(0);
}

#[test]
fn case_106_two_builds_of_one_target_at_once_have_a_log_each() {
    let bed = waiting(&["a", "b"]);
    go(&bed);
    for project in ["a", "b"] {
        bed.run(project, &["sync"], &[]).exits(0);
    }
    let again = ["lock", "--repin", THUMB];
    let all = labels(&bed, "a", &again);
    let create = |label: &&String| {
        label.starts_with("create ") && label.contains(&format!("/logs/{THUMB}-"))
    };
    fs::remove_file(bed.sandbox.path("go")).unwrap();
    let before = compilations(&bed);
    let first = stopped(&bed, "a", &again, all.iter().find(create).unwrap());
    let second = start(&bed, "b", &again, &[]);
    eventually("compiles", || compilations(&bed) == before + 1);
    first.signal("CONT");
    eventually("compiles as well", || compilations(&bed) == before + 2);
    go(&bed);
    first.end().exits(0);
    second.end().exits(0);
}

#[test]
fn a_collection_tells_its_plan_before_it_removes_anything() {
    let bed = Bed::new();
    let prepare = || {
        bed.cache_after("both", &[DOWNLOADED, OTHER]);
        bed.locked("p", DOWNLOADED);
        bed.run("p", &["sync"], &[]).exits(0);
    };
    for (gc, words) in [
        (
            &["cache", "gc", "--max-age", "0s"][..],
            &["removing 1 tree and "][..],
        ),
        (
            &["cache", "gc", "--max-age", "0s", "-v"],
            &["removing 1 tree and ", "\ntree "],
        ),
        (
            &["cache", "evict", "--all-unused"],
            &["removing 1 tree and "],
        ),
    ] {
        prepare();
        let all = labels(&bed, "p", gc);
        let changes = |label: &&String| label.contains("/components/") || label.contains("/roots/");
        let first = all.iter().find(changes).unwrap();
        prepare();
        let collector = stopped(&bed, "p", gc, first);
        let said = format!("\n{}", collector.said());
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{gc:?}: {said}"
        );
        assert!(!said.contains("removed"), "{gc:?}: {said}");
        collector.signal("CONT");
        collector.end().exits(0).mentions("removed 1 tree");
    }
}

#[test]
fn case_106_builds_beside_a_busy_collector_all_succeed() {
    let rounds = if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        40
    } else {
        6
    };
    let bed = Bed::new();
    let names: Vec<String> = (0..4).map(|n| format!("p{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        bed.locked(name, &format!("{BUILT}codegen-units = {}\n", n % 2 + 1));
    }
    let again =
        |project: &PathBuf, env: &std::collections::BTreeMap<String, String>, args: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sysroot"));
            command
                .env_clear()
                .envs(env)
                .current_dir(project)
                .args(args);
            let said = said(&mut command);
            assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        };
    let env = bed.sandbox.env.clone();
    let (dirs, home) = (
        names.iter().map(|name| bed.dir(name)).collect::<Vec<_>>(),
        bed.sandbox.path("home"),
    );
    for round in 0..rounds {
        for dir in &dirs {
            let _ = fs::remove_dir_all(dir.join(".sysroot"));
        }
        std::thread::scope(|scope| {
            // Nothing is used now; the later the others come, the more is gone.
            let evict = if round % 2 == 0 {
                GC
            } else {
                &["cache", "evict", "--all-unused"]
            };
            scope.spawn(|| again(&home, &env, evict));
            std::thread::sleep(std::time::Duration::from_millis(round % 6 * 40));
            for dir in &dirs {
                scope.spawn(|| again(dir, &env, &["sync"]));
            }
        });
    }
    // Some were compiled more than once, because they were collected between.
    assert!(compilations(&bed) > 2, "{}", compilations(&bed));
    for name in &names {
        bed.run(name, &["verify", "--deep"], &[]).exits(0);
    }
    super::crash::check_store(&bed, "builds beside a collector");
}
