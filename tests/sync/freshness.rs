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
fn case_041_a_frozen_newest_manifest_is_told_with_its_age_and_refused_by_max_age() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["--json", "update"]).exits(0);
    let object = said.json();
    assert_eq!(
        (&object["from"], &object["to"]),
        (&object["to"], &object["from"])
    );
    let days = object["age_in_days"].as_i64().unwrap();
    assert!(days > 1, "this machine's clock is before {DATE}");
    sandbox
        .run(&project, &["update"])
        .exits(0)
        .mentions("is the newest date")
        .mentions(&format!("its channel manifest is {days} day"));
    let config = sandbox.path("config.toml");
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    fs::write(&config, format!("[dist]\nmax-age = \"{}d\"\n", days - 1)).unwrap();
    let said = sandbox.run(&project, &["update"]).exits(5);
    for word in [
        DATE,
        &format!("{days} days"),
        &format!("{}d", days - 1),
        "max-age",
    ] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    // A step forward to what is old as well is refused in the same way.
    let older = manifest(&[THUMB]).replace(DATE, "2026-05-18");
    let behind = sandbox.project("q", &older);
    sandbox
        .run(&behind, &["update"])
        .exits(5)
        .mentions("max-age");
    assert_eq!(
        fs::read_to_string(behind.join("sysroot.toml")).unwrap(),
        older
    );
    fs::write(&config, format!("[dist]\nmax-age = \"{}d\"\n", days + 1)).unwrap();
    let said = sandbox.run(&behind, &["--json", "update"]).exits(0);
    assert_eq!(said.json()["age_in_days"].as_i64(), Some(days));
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

/// The project's lock with another channel, and the manifest to match.
fn rename_channel(project: &Path, from: &str, to: &str) {
    for file in ["sysroot.toml", "sysroot.lock"] {
        let path = project.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let line = |channel: &str| format!("channel = \"{channel}\"");
        assert!(text.contains(&line(from)), "{text}");
        fs::write(&path, text.replace(&line(from), &line(to))).unwrap();
    }
}

#[test]
fn case_042_a_mirror_that_answers_with_another_release_is_refused_with_both() {
    let (sandbox, _server, project) = released("2026-05-20");
    // What the mirror has of one release, it serves as another one.
    for other in ["1.98.0", "nightly-2026-05-20", "beta-2026-05-20"] {
        let path = |channel: &str| {
            let channel: sysroot::types::Channel = channel.parse().unwrap();
            sandbox.path(&format!("dist-root/{}", channel.manifest_path().unwrap()))
        };
        for end in ["", ".sha256"] {
            let copy = |of: &str| format!("{}{end}", path(of).display());
            let text = fs::read_to_string(copy("1.97.0")).unwrap();
            let name = path(other).file_name().unwrap().to_owned();
            let text = text.replace("channel-rust-1.97.0.toml", name.to_str().unwrap());
            fs::write(copy(other), text).unwrap();
        }
        let text = fs::read_to_string(project.join("sysroot.toml")).unwrap();
        let asked = sandbox.project("q", &text.replace("1.97.0", other));
        let said = sandbox.run(&asked, &["lock"]).exits(5);
        for value in ["1.97.0 (e50aa6fba 2026-05-19)", other] {
            assert!(said.err.contains(value), "{value}: {}", said.err);
        }
        assert!(!asked.join("sysroot.lock").exists());
    }
    // Nothing of that was kept as what it is not.
    let kept: Vec<_> = match fs::read_dir(sandbox.cache().join("manifests")) {
        Ok(entries) => entries.map(|entry| entry.unwrap().file_name()).collect(),
        Err(_) => Vec::new(),
    };
    assert!(kept.is_empty(), "{kept:?}");
    sandbox.run(&project, &["lock"]).exits(0);
}

#[test]
fn case_042_a_checkout_that_calls_one_release_another_is_refused() {
    let (sandbox, _server, project) = released("2026-05-20");
    sandbox.run(&project, &["lock"]).exits(0);
    let text = lock_text(&project);
    rename_channel(&project, "1.97.0", "1.98.0");
    // As it is, the lock's path gives it away; then its compiler does.
    for (own, other) in [
        ("channel-rust-1.97.0.toml", "channel-rust-1.98.0.toml"),
        ("1.97.0 (e50aa6fba", "1.98.0 (e50aa6fba"),
    ] {
        for command in [&["sync", "--locked"][..], &["verify"], &["lock", "--check"]] {
            let said = sandbox.run(&project, command).exits(2);
            let all = format!("{}{}", said.out, said.err);
            assert!(all.contains(own) && all.contains("1.98.0"), "{all}");
        }
        let lock = lock_text(&project);
        assert!(lock.contains(own), "{lock}");
        fs::write(project.join("sysroot.lock"), lock.replace(own, other)).unwrap();
    }
    // A lock that lies throughout is found by what the server says.
    let dist = sandbox.path("dist-root/dist");
    for end in ["", ".sha256"] {
        let file = |release: &str| dist.join(format!("channel-rust-{release}.toml{end}"));
        let text = fs::read_to_string(file("1.97.0")).unwrap();
        let text = text.replace("channel-rust-1.97.0", "channel-rust-1.98.0");
        fs::write(file("1.98.0"), text).unwrap();
    }
    let said = sandbox.run(&project, &["verify", "--upstream"]).exits(5);
    let both = "of rustc 1.97.0 (e50aa6fba 2026-05-19), lock 1.98.0";
    assert!(said.out.contains(both), "{}", said.out);
    assert_ne!(lock_text(&project), text);
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
fn case_043_a_tool_of_another_commit_is_refused_by_the_lock_with_both() {
    let (sandbox, _server) = served();
    let other = "f".repeat(40);
    let name = format!("{DATE}/channel-rust-nightly.toml");
    republish(&sandbox, &name, |text| {
        let table = text.find("[pkg.clippy-preview]").unwrap();
        let (head, tail) = text.split_at(table);
        head.to_owned() + &tail.replacen(super::COMMIT, &other, 1)
    });
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["lock"]).exits(5);
    for value in ["`clippy-preview`", super::COMMIT, &other] {
        assert!(said.err.contains(value), "{value}: {}", said.err);
    }
    assert!(!project.join("sysroot.lock").exists());
    // Who does not ask for the tool is not concerned.
    let text = manifest(&[THUMB]).replace("\"clippy\"", "");
    let without = sandbox.project("q", &text);
    sandbox.run(&without, &["lock"]).exits(0);
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
