//! The store under clocks that jump, and what the daily collection does.

use std::fs;

use super::collect::names;
use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::Sandbox;

const DAY: u64 = 24 * 60 * 60;
/// 2026-11-24.
const TODAY: u64 = 1_795_478_400;

fn turn(sandbox: &mut Sandbox, now: u64) {
    sandbox.set("SYSROOT_FAULT_NOW", &now.to_string());
}

#[test]
fn the_first_sync_of_a_day_collects_what_nothing_has_used_for_long() {
    let (mut sandbox, _server) = served();
    let thumb = sandbox.project("thumb", &manifest(&[THUMB]));
    let riscv = sandbox.project("riscv", &manifest(&[RISCV]));
    turn(&mut sandbox, TODAY);
    sandbox.run(&thumb, &["sync"]).exits(0);
    sandbox.run(&riscv, &["sync"]).exits(0);
    fs::remove_dir_all(&riscv).unwrap();
    let mut sync_on = |day: u64| {
        turn(&mut sandbox, TODAY + day * DAY);
        fs::remove_dir_all(thumb.join(".sysroot")).unwrap();
        let said = sandbox.run(&thumb, &["sync"]).exits(0);
        (
            names(&sandbox, "roots").len(),
            names(&sandbox, "trees").len(),
            said.err,
        )
    };
    let (roots, trees, _) = sync_on(0);
    assert_eq!((roots, trees), (2, 6), "once a day");
    // That the project is gone is noticed now, and its tree's age counts from now.
    let (roots, trees, _) = sync_on(200);
    assert_eq!((roots, trees), (1, 6));
    let (_, trees, _) = sync_on(289);
    assert_eq!(trees, 6);
    let (_, trees, said) = sync_on(290);
    assert_eq!(trees, 5, "{said}");
    assert!(said.contains("collected garbage: 1 tree"), "{said}");
    sandbox.run(&thumb, &["verify", "--deep"]).exits(0);
}

#[test]
fn the_daily_collection_can_be_switched_off() {
    let (mut sandbox, _server) = served();
    let config = sandbox.path("config.toml");
    fs::write(&config, "[cache]\ncollect = \"never\"\nmax-age = \"0s\"\n").unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    let thumb = sandbox.project("thumb", &manifest(&[THUMB]));
    let riscv = sandbox.project("riscv", &manifest(&[RISCV]));
    sandbox.run(&riscv, &["sync"]).exits(0);
    fs::remove_dir_all(&riscv).unwrap();
    sandbox.run(&thumb, &["sync"]).exits(0);
    assert_eq!(names(&sandbox, "trees").len(), 6);
    assert!(!sandbox.cache().join("last-gc").exists());
    fs::write(&config, "[cache]\nmax-age = \"0s\"\n").unwrap();
    fs::remove_dir_all(thumb.join(".sysroot")).unwrap();
    sandbox.run(&thumb, &["sync"]).exits(0);
    assert_eq!(names(&sandbox, "trees").len(), 5);
}

#[test]
fn case_099_a_jumping_clock_costs_nothing_that_is_in_use() {
    let (mut sandbox, _server) = served();
    let thumb = sandbox.project("thumb", &manifest(&[THUMB]));
    let riscv = sandbox.project("riscv", &manifest(&[RISCV]));
    // 1970, 2106, ten years back, and today.
    let clocks = [
        1,
        4_291_747_200,
        TODAY - 3650 * DAY,
        TODAY,
        4_291_747_200,
        1,
        TODAY,
    ];
    for now in clocks {
        turn(&mut sandbox, now);
        for project in [&thumb, &riscv] {
            let _ = fs::remove_dir_all(project.join(".sysroot"));
            sandbox.run(project, &["sync"]).exits(0);
            sandbox.run(project, &["cache", "gc"]).exits(0);
        }
        assert_eq!(names(&sandbox, "trees").len(), 6, "at {now}");
        sandbox.run(&thumb, &["verify", "--deep"]).exits(0);
        sandbox.run(&thumb, &["cache", "list"]).exits(0);
    }
    // A use that was noted in 2106 does not keep a tree until then.
    turn(&mut sandbox, 4_291_747_200);
    fs::remove_dir_all(thumb.join(".sysroot")).unwrap();
    sandbox.run(&thumb, &["sync"]).exits(0);
    fs::remove_dir_all(&riscv).unwrap();
    for (days, trees) in [(0, 6), (89, 6), (91, 5)] {
        turn(&mut sandbox, TODAY + days * DAY);
        sandbox.run(&thumb, &["cache", "gc"]).exits(0);
        assert_eq!(names(&sandbox, "trees").len(), trees, "after {days} days");
    }
}
