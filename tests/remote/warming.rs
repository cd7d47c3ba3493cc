//! `cache warm`: many machines fill one remote.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ONE, TWO, World, cache_server, lock_of};

/// A world with a lock and an empty directory as its remote.
fn world(targets: &[&str]) -> (World, String) {
    let mut world = World::new();
    let project = world.machine("lock", targets);
    world.run(&project, &["lock"]).exits(0);
    let share = world.sandbox.path("share");
    world.remote(&format!("file://{}", share.display()), true);
    (world, lock_of(&project))
}

/// One shard on a machine of its own.
fn shard(world: &mut World, name: &str, targets: &[&str], lock: &str, more: &[&str]) -> Command {
    let project = world.machine_with(name, targets, lock);
    let mut arguments = vec!["cache", "warm", "--json"];
    arguments.extend(more);
    let mut command = world.sandbox.command(&project, &arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for a shard that must end well, and returns its report.
fn report(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{err}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(report: &Value, field: &str) -> BTreeSet<String> {
    let list = report[field].as_array().unwrap().iter();
    list.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Stops a process at once, as the kernel does when memory is short.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Eight shards, each on a machine of its own.
fn eight(world: &mut World, targets: &[&str], lock: &str, more: &[&str]) -> Vec<Command> {
    // One target at a time each.
    world.sandbox.set("SYSROOT_JOBS", "2");
    let command = |n: usize| {
        let part = format!("{n}/8");
        let more = [&["--shard", &part], more].concat();
        shard(world, &n.to_string(), targets, lock, &more)
    };
    (1..=8).map(command).collect()
}

#[test]
fn what_one_of_eight_killed_shards_leaves_is_shared_among_the_others() {
    let all: Vec<String> = (0..64)
        .map(|n| format!("fake{n:03}-unknown-none"))
        .collect();
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let (mut world, lock) = world(&targets);
    world.compiler.pace("1");
    let commands = eight(&mut world, &targets, &lock, &["--lease", "10s"]);
    let mut children: Vec<Child> = commands
        .into_iter()
        .map(|mut c| c.spawn().unwrap())
        .collect();
    until("each shard has begun", || {
        world.compiler.begun().len() >= 16
    });
    // Whoever it is has built one of its eight, or is about to.
    kill(&mut children.remove(3));
    let reports: Vec<Value> = children.into_iter().map(report).collect();
    let mut built = world.compiler.built();
    let times = built.len();
    built.sort();
    built.dedup();
    assert_eq!(built, all);
    // Only what the killed one had under way was compiled again.
    assert!(times <= 64 + 1, "{times}");
    let shares: Vec<usize> = reports.iter().map(|r| names(r, "done").len()).collect();
    println!("64 targets, one of 8 shards killed: {shares:?}");
    assert!(shares.iter().sum::<usize>() <= 64);
    // Its part of 8 was not left to one of them.
    assert!(
        shares.iter().all(|&share| (6..=13).contains(&share)),
        "{shares:?}"
    );
}

#[test]
fn two_hundred_targets_and_eight_shards_build_each_target_once() {
    let all: Vec<String> = (0..200)
        .map(|n| format!("fake{n:03}-unknown-none"))
        .collect();
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let (mut world, lock) = world(&targets);
    // Long beside everything else, so that the machine's load does not decide
    // who is faster.
    world.compiler.pace("1");
    let commands = eight(&mut world, &targets, &lock, &[]);
    let begun = Instant::now();
    let children: Vec<Child> = commands
        .into_iter()
        .map(|mut c| c.spawn().unwrap())
        .collect();
    let reports: Vec<Value> = children.into_iter().map(report).collect();
    let mut built = world.compiler.built();
    built.sort();
    assert_eq!(built, all, "each target is compiled exactly once");
    let shares: Vec<usize> = reports.iter().map(|r| names(r, "done").len()).collect();
    println!("200 targets, 8 shards: {shares:?} in {:?}", begun.elapsed());
    assert_eq!(shares.iter().sum::<usize>(), 200);
    // Each does its own part of 25; at the end, those who are done help.
    assert!(
        shares.iter().all(|&share| (20..=30).contains(&share)),
        "{shares:?}"
    );
    for report in &reports {
        let (done, others) = (names(report, "done"), names(report, "by_others"));
        let present = names(report, "present");
        assert_eq!(done.len() + others.len() + present.len(), 200);
        assert!(names(report, "failed").is_empty());
    }
    // Nothing is left to do for whoever comes later.
    let late = report(
        shard(&mut world, "late", &targets, &lock, &[])
            .spawn()
            .unwrap(),
    );
    assert_eq!(names(&late, "present").len(), 200);
    assert_eq!(world.compiler.built().len(), 200);
}

#[test]
fn what_a_killed_shard_had_claimed_is_taken_over_after_its_lease() {
    let (mut world, lock) = world(&[ONE]);
    world.compiler.hold(ONE, true);
    let lease = ["--lease", "3s"];
    let mut first = shard(&mut world, "a", &[ONE], &lock, &lease)
        .spawn()
        .unwrap();
    until("the first begins", || world.compiler.begun().len() == 1);
    let mut second = shard(&mut world, "b", &[ONE], &lock, &lease)
        .spawn()
        .unwrap();
    // Longer than the lease: it is renewed as long as its owner lives.
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(world.compiler.begun().len(), 1);
    assert!(second.try_wait().unwrap().is_none());
    kill(&mut first);
    until("the second takes over", || {
        world.compiler.begun().len() == 2
    });
    world.compiler.hold(ONE, false);
    let report = report(second);
    assert_eq!(names(&report, "done"), BTreeSet::from([ONE.to_owned()]));
    assert_eq!(world.compiler.built(), [ONE]);
}

#[test]
fn a_shard_that_waits_for_another_does_not_build_and_leaves_at_its_end() {
    let (mut world, lock) = world(&[ONE, TWO]);
    world.compiler.hold(ONE, true);
    let only = ["--target", ONE];
    let first = shard(&mut world, "a", &[ONE, TWO], &lock, &only)
        .spawn()
        .unwrap();
    until("the first begins", || world.compiler.begun().len() == 1);
    let second = shard(&mut world, "b", &[ONE, TWO], &lock, &[])
        .spawn()
        .unwrap();
    until("the second builds the rest", || {
        world.compiler.built() == [TWO]
    });
    world.compiler.hold(ONE, false);
    assert_eq!(names(&report(first), "done").len(), 1);
    let second = report(second);
    assert_eq!(names(&second, "done"), BTreeSet::from([TWO.to_owned()]));
    assert_eq!(
        names(&second, "by_others"),
        BTreeSet::from([ONE.to_owned()])
    );
    assert_eq!(world.compiler.begun().len(), 2);
}

#[test]
fn a_target_that_cannot_be_built_stops_no_other_and_is_tried_once() {
    let (mut world, lock) = world(&[ONE, TWO]);
    world.compiler.fail(ONE);
    for name in ["a", "b"] {
        let project: PathBuf = world.machine_with(name, &[ONE, TWO], &lock);
        let said = world.run(&project, &["cache", "warm", "--json"]).exits(7);
        let report = said.json();
        assert_eq!(names(&report, "failed"), BTreeSet::from([ONE.to_owned()]));
    }
    let mut begun = world.compiler.begun();
    begun.sort();
    assert_eq!(begun, [TWO, ONE]);
    assert_eq!(world.compiler.built(), [TWO]);
}

#[test]
fn an_http_cache_is_warmed_and_signed_for_machines_without_a_pin() {
    let all: Vec<String> = (0..8).map(|n| format!("fake{n:03}-unknown-none")).collect();
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let (mut world, lock) = world(&targets);
    let (server, objects) = cache_server();
    world.remote(&server.url(), true);
    let (file, public) = world.key("signing-key");
    let sign = ["--sign", &*file, "--shard"];
    let commands: Vec<Command> = (1..=2)
        .map(|n| {
            let part = format!("{n}/2");
            let more = [&sign[..], &[&part]].concat();
            shard(&mut world, &n.to_string(), &targets, &lock, &more)
        })
        .collect();
    let children: Vec<Child> = commands
        .into_iter()
        .map(|mut c| c.spawn().unwrap())
        .collect();
    let done: usize = children
        .into_iter()
        .map(|c| names(&report(c), "done").len())
        .sum();
    assert_eq!(done, 8);
    assert_eq!(world.compiler.built().len(), 8);
    let kept = |prefix: &str| {
        let objects = objects.lock().unwrap();
        objects.keys().filter(|key| key.starts_with(prefix)).count()
    };
    // A record and at least one claim for each.
    assert!(kept("/ac/") >= 16, "{}", kept("/ac/"));
    let project = world.machine_with("reader", &targets, &lock);
    world.remote(&server.url(), false);
    world.trust(&public);
    let said = world.run(&project, &["cache", "pull", "--json"]).exits(0);
    let compiled = |name: &&Value| name["name"].as_str().unwrap().starts_with("fake");
    let pulled = said.json()["pulled"].clone();
    assert_eq!(
        pulled.as_array().unwrap().iter().filter(compiled).count(),
        8
    );
    assert_eq!(world.compiler.built().len(), 8);
}

#[test]
fn case_134_a_remote_that_is_only_read_is_not_warmed() {
    let (mut world, lock) = world(&[ONE]);
    let share = world.sandbox.path("share");
    world.remote(&format!("file://{}", share.display()), false);
    let project = world.machine_with("a", &[ONE], &lock);
    let said = world.run(&project, &["cache", "warm"]);
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(world.compiler.begun().is_empty());
    assert!(!Path::new(&share).exists());
    let said = world
        .run(&project, &["cache", "warm", "--shard", "3/2"])
        .exits(2);
    said.mentions("3/2");
}
