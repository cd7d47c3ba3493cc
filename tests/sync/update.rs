//! `update`: another date, comments kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::{DATE, HOST, RISCV, THUMB, dist, packages};
use crate::support::dist::Release;
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

/// A dist server with these days, the last of which is the newest; the second
/// of a pair says whether it ships the RISC-V target.
fn days(days: &[(&str, bool)]) -> (Sandbox, FileServer) {
    let mut sandbox = Sandbox::new();
    let mut root = PathBuf::new();
    for (day, ships) in days {
        let all = packages("a").into_iter();
        let of_day = all.filter(|p| *ships || p.target.as_deref() != Some(RISCV));
        root = dist(&sandbox, Release::nightly(day).packages(of_day));
    }
    let server = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    (sandbox, server)
}

fn text(channel: &str, strategy: &str) -> String {
    format!(
        "# ours\n[toolchain]\nchannel = \"{channel}\"  # keep\nhosts = [\"{HOST}\"]\n\n\
         [targets.{THUMB}]\n[targets.{RISCV}] # the board\nstrategy = \"{strategy}\"\n"
    )
}

fn both(project: &Path) -> (String, String) {
    let read = |name| fs::read_to_string(project.join(name)).unwrap_or_default();
    (read("sysroot.toml"), read("sysroot.lock"))
}

#[test]
fn the_newest_date_that_has_everything_is_written_and_locked() {
    let (sandbox, _server) = days(&[(DATE, true), ("2026-05-22", true), ("2026-05-24", false)]);
    for (name, strategy) in [("p", "download"), ("q", "auto")] {
        let project = sandbox.project(name, &text("nightly-2026-05-20", strategy));
        sandbox.run(&project, &["lock"]).exits(0);
        let before = both(&project);
        let said = sandbox.run(&project, &["update", "--dry-run"]).exits(0);
        assert!(said.err.contains("would update"), "{}", said.err);
        assert_eq!(both(&project), before);
        let said = sandbox.run(&project, &["--json", "update"]).exits(0);
        let object = said.json();
        assert_eq!(object["to"], "nightly-2026-05-22");
        assert_eq!(object["written"], true);
        let newest = &object["skipped"][0];
        assert_eq!(newest["channel"], "nightly-2026-05-24");
        assert!(newest["reason"].to_string().contains(RISCV), "{newest}");
        let (manifest, lock) = both(&project);
        assert_eq!(manifest, text("nightly-2026-05-22", strategy));
        assert!(lock.contains("date = \"2026-05-22\""), "{lock}");
        sandbox.run(&project, &["lock", "--check"]).exits(0);
    }
}

#[test]
fn nothing_is_written_where_no_newer_date_has_everything() {
    let (sandbox, _server) = days(&[(DATE, true), ("2026-05-21", false)]);
    let project = sandbox.project("p", &text("nightly-2026-05-20", "download"));
    sandbox.run(&project, &["lock"]).exits(0);
    let before = both(&project);
    let said = sandbox.run(&project, &["update"]).exits(3);
    assert!(
        said.err
            .contains("nightly-2026-05-21: 2026-05-21 has no rust-std"),
        "{}",
        said.err
    );
    let said = sandbox.run(&project, &["update", "2026-05-23"]).exits(3);
    assert!(said.err.contains("2026-05-23"), "{}", said.err);
    for bad in ["2026-02-30", "tomorrow"] {
        sandbox.run(&project, &["update", bad]).exits(2);
    }
    assert_eq!(both(&project), before);
    // The newest already.
    let newest = sandbox.project("q", &text("nightly-2026-05-21", "auto"));
    let said = sandbox.run(&newest, &["update"]).exits(0);
    assert!(said.err.contains("is the newest date"), "{}", said.err);
    let system = "[toolchain]\nchannel = \"system\"\n";
    let system = sandbox.project("r", system);
    sandbox
        .run(&system, &["update"])
        .exits(2)
        .mentions("has no date");
}

#[test]
fn case_040_a_newest_date_before_ours_is_refused_with_both_but_a_date_can_be_named() {
    let (sandbox, _server) = days(&[("2026-05-22", true), (DATE, true)]);
    let project = sandbox.project("p", &text("nightly-2026-05-22", "auto"));
    sandbox.run(&project, &["lock"]).exits(0);
    let before = both(&project);
    let said = sandbox.run(&project, &["update"]).exits(5);
    assert!(
        said.err.contains(DATE) && said.err.contains("2026-05-22"),
        "{}",
        said.err
    );
    assert_eq!(both(&project), before);
    // A date that is named is the user's own word.
    sandbox.run(&project, &["update", DATE]).exits(0);
    assert_eq!(both(&project).0, text("nightly-2026-05-20", "auto"));
}
