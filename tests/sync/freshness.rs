//! Going back in time, mixing, and dates.

use std::fs;
use std::path::Path;

use super::{DATE, HOST, RISCV, THUMB, dist, manifest, packages, served};
use crate::support::dist::Release;
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

fn lock_text(project: &Path) -> String {
    fs::read_to_string(project.join("sysroot.lock")).unwrap()
}

/// A sandbox and server with one release, and a project that wants it.
fn released(date: &str) -> (Sandbox, FileServer, std::path::PathBuf) {
    let mut sandbox = Sandbox::new();
    let root = dist(
        &sandbox,
        Release::new("1.97.0", date).packages(packages("a")),
    );
    let server = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let text = manifest(&[THUMB]).replace(&format!("nightly-{DATE}"), "1.97.0");
    let project = sandbox.project("p", &text);
    (sandbox, server, project)
}

/// Puts a changed channel manifest on the server, with a fitting hash.
fn republish(sandbox: &Sandbox, name: &str, change: impl Fn(&str) -> String) {
    use sysroot::types::Sha256;
    let path = sandbox.path(&format!("dist-root/dist/{name}"));
    let text = change(&fs::read_to_string(&path).unwrap());
    fs::write(&path, &text).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    let sum = format!("{}  {file}\n", Sha256::of(text.as_bytes()).to_hex());
    fs::write(path.with_file_name(format!("{file}.sha256")), sum).unwrap();
}

#[test]
fn case_040_an_older_manifest_is_refused_with_both_dates_unless_told() {
    let (sandbox, _server, project) = released("2026-05-20");
    sandbox.run(&project, &["lock"]).exits(0);
    let before = lock_text(&project);
    republish(&sandbox, "channel-rust-1.97.0.toml", |text| {
        text.replace("date = \"2026-05-20\"", "date = \"2026-05-10\"")
    });
    let said = sandbox.run(&project, &["lock", "--refresh"]).exits(5);
    for word in ["2026-05-10", "2026-05-20", "--allow-downgrade"] {
        assert!(said.err.contains(word), "{}", said.err);
    }
    assert_eq!(lock_text(&project), before);
    sandbox
        .run(&project, &["lock", "--refresh", "--allow-downgrade"])
        .exits(0)
        .mentions("2026-05-20");
    assert!(lock_text(&project).contains("date = \"2026-05-10\""));
}

#[test]
fn case_041_the_age_is_told_and_too_old_is_refused_with_both_values() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["--json", "lock"]).exits(0);
    let days = said.json()["age_in_days"].as_i64().unwrap();
    let elsewhere = sandbox.project("q", &manifest(&[THUMB]));
    let age = format!("the channel manifest is {days} day");
    sandbox.run(&elsewhere, &["lock"]).exits(0).mentions(&age);
    let synced = sandbox.project("s", &manifest(&[THUMB]));
    sandbox.run(&synced, &["sync"]).exits(0).mentions(&age);
    let config = sandbox.path("config.toml");
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    // The manifest's day is over, so it is at least one day old by then.
    assert!(days > 1, "this machine's clock is before {DATE}");
    fs::write(&config, format!("[dist]\nmax-age = \"{}d\"\n", days - 1)).unwrap();
    let third = sandbox.project("r", &manifest(&[THUMB]));
    let said = sandbox.run(&third, &["lock"]).exits(5);
    for word in [
        DATE,
        &format!("{days} days"),
        &format!("{}d", days - 1),
        "max-age",
    ] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    assert!(!third.join("sysroot.lock").exists());
    // What is locked already stays usable.
    sandbox.run(&project, &["sync", "--locked"]).exits(0);
    fs::write(&config, format!("[dist]\nmax-age = \"{}d\"\n", days + 1)).unwrap();
    sandbox.run(&third, &["lock"]).exits(0);
}

#[test]
fn case_042_an_answer_for_another_day_is_refused_with_both() {
    let (sandbox, _server) = served();
    republish(
        &sandbox,
        &format!("{DATE}/channel-rust-nightly.toml"),
        |text| text.replace(&format!("date = \"{DATE}\""), "date = \"2026-05-19\""),
    );
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox
        .run(&project, &["lock"])
        .exits(5)
        .mentions("the server answered for 2026-05-19, and 2026-05-20 was asked for");
    assert!(!project.join("sysroot.lock").exists());
}

#[test]
fn case_043_mixed_commits_are_refused_by_the_lock_with_both() {
    let (sandbox, _server) = served();
    let (version, other) = (
        "1.97.0-nightly (e50aa6fba 2026-05-19)",
        "1.97.0-nightly (ffffffff0 2026-05-18)",
    );
    republish(
        &sandbox,
        &format!("{DATE}/channel-rust-nightly.toml"),
        |text| {
            let table = text.find("[pkg.rust-std]").unwrap();
            let (head, tail) = text.split_at(table);
            head.to_owned() + &tail.replacen(version, other, 1)
        },
    );
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["lock"]).exits(5);
    assert!(
        said.err.contains(version) && said.err.contains(other),
        "{}",
        said.err
    );
    assert!(!project.join("sysroot.lock").exists());
}

#[test]
fn case_043_a_compiler_of_another_commit_compiles_nothing() {
    let mut sandbox = Sandbox::new();
    let other = "f".repeat(40);
    let says = format!(
        "#!/bin/sh\nprintf 'rustc 1.97.0-nightly (ffffffff0 2026-05-18)\\nbinary: rustc\\n\
         commit-hash: {other}\\ncommit-date: 2026-05-18\\nhost: {HOST}\\nrelease: 1.97.0-nightly\\n'\n"
    );
    let packages = packages("a").into_iter().map(|package| {
        if package.name == "rustc" {
            package.bytes("bin/rustc", says.as_bytes(), true)
        } else if package.name == "cargo" {
            package.bytes("bin/cargo", b"#!/bin/sh\necho cargo 0.98.0\n", true)
        } else if package.name == "rust-src" {
            let lock = "lib/rustlib/src/rust/library/Cargo.lock";
            package.bytes(lock, b"version = 4\n", false)
        } else {
            package
        }
    });
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages));
    let server = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let text = manifest(&[THUMB]) + "strategy = \"build\"\n";
    let project = sandbox.project("p", &text);
    let said = sandbox.run(&project, &["sync"]).exits(5);
    for commit in [super::COMMIT, &other] {
        assert!(said.err.contains(commit), "{}", said.err);
    }
}

#[test]
fn case_044_a_check_of_a_republished_day_tells_both_hashes_and_fails() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let before = lock_text(&project);
    dist(&sandbox, Release::nightly(DATE).packages(packages("b")));
    let said = sandbox
        .run(&project, &["lock", "--check", "--refresh"])
        .exits(5);
    assert!(
        said.err.contains("was republished with other bytes"),
        "{}",
        said.err
    );
    assert!(said.err.contains("locked sha256:") && said.err.contains("served sha256:"));
    assert_eq!(lock_text(&project), before);
    // Taking it over tells the same.
    let said = sandbox.run(&project, &["lock", "--refresh"]).exits(0);
    assert!(said.err.contains("locked sha256:") && said.err.contains("served sha256:"));
    assert_ne!(lock_text(&project), before);
    sandbox
        .run(&project, &["lock", "--check", "--refresh"])
        .exits(0);
}

#[test]
fn case_046_a_day_that_has_not_come_is_refused_with_today() {
    let (sandbox, _server, project) = released("2026-05-20");
    republish(&sandbox, "channel-rust-1.97.0.toml", |text| {
        text.replace("date = \"2026-05-20\"", "date = \"9999-01-01\"")
    });
    let said = sandbox.run(&project, &["lock"]).exits(5);
    assert!(
        said.err.contains("9999-01-01") && said.err.contains("today"),
        "{}",
        said.err
    );
    assert!(!project.join("sysroot.lock").exists());
}

/// A dist server with several days; only the last of these has the target.
fn days(of: impl Fn(&str) -> Release, lacking: &[&str], having: &str) -> (Sandbox, FileServer) {
    let mut sandbox = Sandbox::new();
    let mut root = None;
    for day in lacking.iter().chain([&having]) {
        let all = packages("a").into_iter();
        let with = all.filter(|p| *day == having || p.target.as_deref() != Some(RISCV));
        let release = of(day).packages(with);
        root = Some(dist(
            &sandbox,
            release.unavailable("rust-std", "riscv64-none"),
        ));
    }
    let server = FileServer::start(&root.unwrap()).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    (sandbox, server)
}

fn wants(channel: &str, target: &str) -> String {
    let text = manifest(&[target]) + "strategy = \"download\"\n";
    text.replace(&format!("nightly-{DATE}"), channel)
}

#[test]
fn case_045_a_download_that_is_not_there_names_the_nearest_date_that_has_it() {
    let lacking = [DATE, "2026-05-19", "2026-05-21"];
    let (sandbox, server) = days(Release::nightly, &lacking, "2026-05-18");
    let project = sandbox.project("p", &wants("nightly-2026-05-20", RISCV));
    let said = sandbox.run(&project, &["lock"]).exits(3);
    assert!(
        said.err.contains("`nightly-2026-05-18` has it"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("2026-05-20 has no rust-std"),
        "{}",
        said.err
    );
    // The search ended at the first hit.
    let looked = |day: &str| server.requests().iter().any(|r| r.contains(day));
    assert!(looked("2026-05-21") && looked("2026-05-18"));
    assert!(!looked("2026-05-22") && !looked("2026-05-17"));
    // Offline, nothing is asked.
    let asked = server.requests().len();
    let said = sandbox.run(&project, &["--offline", "lock"]).exits(3);
    assert!(said.err.contains("choose another date"), "{}", said.err);
    assert_eq!(server.requests().len(), asked);
    assert!(!project.join("sysroot.lock").exists());
}

#[test]
fn case_045_that_no_near_date_has_it_is_told_and_the_search_is_bounded() {
    let (sandbox, server) = days(Release::nightly, &[DATE, "2026-05-12"], "2026-05-25");
    let project = sandbox.project("p", &wants("nightly-2026-05-20", "riscv64-none"));
    let said = sandbox.run(&project, &["lock"]).exits(3);
    assert!(
        said.err.contains("none of the 2 nearest has it"),
        "{}",
        said.err
    );
    let hashes = server
        .requests()
        .iter()
        .filter(|r| r.contains(".sha256"))
        .count();
    assert_eq!(hashes, 29, "the day itself, and 14 either way");
}

#[test]
fn case_045_of_a_release_the_nearest_release_is_named() {
    let of = |name: &str| Release::new(name, "2026-05-20");
    let (sandbox, _server) = days(of, &["1.97.0", "1.96.0"], "1.98.0");
    let project = sandbox.project("p", &wants("1.97.0", RISCV));
    let said = sandbox.run(&project, &["lock"]).exits(3);
    assert!(said.err.contains("`1.98.0` has it"), "{}", said.err);
}
