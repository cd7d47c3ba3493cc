//! Resolves against real channel manifests: the one of 2026-05-20 as rustup
//! keeps it, which is committed, and those of the toolchains on this machine.
//!
//! `UPDATE_LOCK=1` writes the example's lock anew.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test finds the machine's toolchains, reads their files, and says how many there were"
)]

#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/sandbox.rs"]
mod sandbox;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sandbox::Sandbox;
use sysroot::lock::{Lock, LockedSource};
use sysroot::manifest::Manifest;
use sysroot::resolve::{ChannelManifest, Source, resolve};
use sysroot::types::{Sha256, Triple};

const HOST: &str = "x86_64-unknown-linux-gnu";
const DATE: &str = "2026-05-20";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The channel manifest of the nightly of [`DATE`].
fn committed() -> Vec<u8> {
    fs::read(root().join(format!("tests/data/channel-rust-nightly-{DATE}.toml"))).unwrap()
}

/// The committed manifest, and every other one that rustup left on this
/// machine, which may have no toolchain of rustup's.
fn manifests() -> Vec<Vec<u8>> {
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".rustup")));
    let toolchains = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    let inside = "lib/rustlib/multirust-channel-manifest.toml";
    let mut found = vec![committed()];
    let ours = toolchains.into_iter().flatten();
    found.extend(ours.filter_map(|entry| fs::read(entry.unwrap().path().join(inside)).ok()));
    found.sort_unstable();
    found.dedup();
    println!(
        "1 committed channel manifest and {} of this machine",
        found.len() - 1
    );
    found
}

fn triple(name: &str) -> Triple {
    name.parse().unwrap()
}

#[test]
fn real_channel_manifests_are_read_in_full() {
    for bytes in manifests() {
        let channel = ChannelManifest::parse(&bytes).unwrap();
        let available = |name: &str| channel.package(name).unwrap().1.available().count();
        assert!(available("rust-std") > 80, "{}", available("rust-std"));
        assert!(available("rustc") > 20, "{}", available("rustc"));
        let (name, _) = channel.package("clippy").unwrap();
        assert_eq!(name.as_str(), "clippy-preview");
        let (_, rust_src) = channel.package("rust-src").unwrap();
        assert!(rust_src.archive(None).is_some());
    }
}

#[test]
fn the_committed_manifest_is_a_whole_one() {
    let bytes = committed();
    let text = std::str::from_utf8(&bytes).unwrap();
    let raw: toml::Table = text.parse().unwrap();
    let packages = raw["pkg"].as_table().unwrap();
    let targets = |package: &toml::Value| package["target"].as_table().unwrap().clone();
    let pairs: Vec<(String, toml::Value)> = packages.values().flat_map(targets).collect();
    let is_available = |entry: &toml::Value| entry["available"].as_bool().unwrap();
    let available = pairs.iter().filter(|(_, entry)| is_available(entry));
    assert_eq!(
        (packages.len(), pairs.len(), available.count()),
        (22, 882, 655)
    );

    let channel = ChannelManifest::parse(&bytes).unwrap();
    assert_eq!(channel.date.to_string(), DATE);
    let mut read = 0;
    for (name, package) in packages.iter().filter(|(name, _)| *name != "rust") {
        let (found, parsed) = channel.package(name).unwrap();
        assert_eq!(found.as_str(), name);
        assert_eq!(parsed.version, package["version"].as_str().unwrap());
        for (target, entry) in targets(package) {
            let target = (target != "*").then(|| triple(&target));
            let archive = parsed.archive(target.as_ref());
            assert_eq!(archive.is_some(), is_available(&entry), "{name} {target:?}");
            let Some(archive) = archive else { continue };
            for (locked, url, hash) in [
                (&archive.gz, "url", "hash"),
                (&archive.xz, "xz_url", "xz_hash"),
            ] {
                let locked = locked.as_ref().unwrap();
                let url = entry[url].as_str().unwrap();
                assert!(url.ends_with(&format!("/{}", locked.path)), "{url}");
                assert_eq!(locked.sha256.to_hex(), entry[hash].as_str().unwrap());
            }
            read += 1;
        }
    }
    let count = |name: &str| channel.package(name).unwrap().1.available().count();
    assert_eq!((count("rust-std"), count("rustc")), (110, 32));
    // `rust` itself only lists the others, once a host.
    assert_eq!(read, 655 - 32);
}

/// The example in a sandbox whose dist server is a directory with the
/// committed channel manifest. Locking needs no more than that.
fn example() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    let bytes = committed();
    let day = sandbox.path("server/dist").join(DATE);
    fs::create_dir_all(&day).unwrap();
    let name = "channel-rust-nightly.toml";
    fs::write(day.join(name), &bytes).unwrap();
    let sum = format!("{}  {name}\n", Sha256::of(&bytes).to_hex());
    fs::write(day.join(format!("{name}.sha256")), sum).unwrap();
    let server = format!("file://{}", sandbox.path("server").display());
    sandbox.set("SYSROOT_DIST_SERVER", &server);
    // What rustup keeps has no signature beside it, whatever the server had;
    // so nobody is asked for one, and the lock says that.
    let config = sandbox.path("config.toml");
    fs::write(&config, "[dist]\nsignature = \"off\"\n").unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());

    let from = root().join("examples/quickstart");
    let manifest = fs::read_to_string(from.join("sysroot.toml")).unwrap();
    let project = sandbox.project("p", &manifest);
    fs::create_dir(project.join("targets")).unwrap();
    let spec = "targets/x86_64-quickstart.json";
    fs::copy(from.join(spec), project.join(spec)).unwrap();
    (sandbox, project)
}

#[test]
fn the_lock_of_the_example_is_what_the_committed_manifest_gives() {
    let (sandbox, project) = example();
    sandbox.run(&project, &["lock"]).exits(0);
    let text = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let path = root().join("examples/quickstart/sysroot.lock");
    if std::env::var_os("UPDATE_LOCK").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "the example's lock is not what is resolved; run `UPDATE_LOCK=1 cargo test --test \
         channel_manifest`"
    );
    let lock = Lock::parse(&text, &path).unwrap();
    // rustc, cargo, rust-std; that of the target that is downloaded; rust-src.
    assert_eq!((lock.archives.len(), lock.targets.len()), (5, 3));
}

#[test]
fn the_lock_of_the_example_answers_without_a_server() {
    let (mut sandbox, project) = example();
    fs::copy(
        root().join("examples/quickstart/sysroot.lock"),
        project.join("sysroot.lock"),
    )
    .unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", "http://127.0.0.1:9");
    sandbox
        .run(&project, &["lock"])
        .exits(0)
        .mentions("already");
    sandbox.run(&project, &["lock", "--check"]).exits(0);
}

#[test]
fn a_project_of_several_hosts_is_locked_from_a_real_channel_manifest() {
    for bytes in manifests() {
        let channel = ChannelManifest::parse(&bytes).unwrap();
        let (_, rustc) = channel.package("rustc").unwrap();
        let number = rustc.version.split(' ').next().unwrap();
        let name = match number.split_once('-') {
            Some((_, "nightly")) => format!("nightly-{}", channel.date),
            Some(_) => format!("beta-{}", channel.date),
            None => number.to_owned(),
        };
        let text = format!(
            "[toolchain]\nchannel = \"{name}\"\nhosts = [\"{HOST}\", \"aarch64-apple-darwin\"]\n\
             components = [\"clippy\", \"rustfmt\", \"rust-src\"]\n\
             [targets.thumbv7em-none-eabihf]\n[targets.thumbv5te-none-eabi]\nstrategy = \"build\"\n\
             [targets.riscv32imac-unknown-none-elf]\nopt-level = \"s\"\n"
        );
        let manifest = Manifest::parse(&text, Path::new("sysroot.toml")).unwrap();
        let source = Source::Dist {
            manifest: &channel,
            path: manifest.channel.manifest_path().unwrap().parse().unwrap(),
            sha256: Sha256::of(&bytes),
        };
        let lock = resolve(&manifest, &BTreeMap::new(), &source, channel.date).unwrap();
        // rustc, cargo, rust-std, clippy and rustfmt a host; rust-src; one target.
        assert_eq!(lock.archives.len(), 2 * 5 + 2);
        let source = |name: &str| &lock.targets[&triple(name)].source;
        assert_eq!(source("thumbv7em-none-eabihf"), &LockedSource::Download);
        for built in ["thumbv5te-none-eabi", "riscv32imac-unknown-none-elf"] {
            assert!(matches!(source(built), LockedSource::Build { hosts, .. } if hosts.len() == 2));
        }
        let written = lock.to_text();
        assert_eq!(
            Lock::parse(&written, Path::new("sysroot.lock")).unwrap(),
            lock
        );
        assert!(!written.contains("://"));
    }
}
