//! Resolves against real channel manifests: rustup leaves one in every
//! toolchain it installs.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test finds the machine's toolchains and reads their files"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sysroot::lock::{Lock, LockedSource};
use sysroot::manifest::Manifest;
use sysroot::resolve::{ChannelManifest, Source, resolve};
use sysroot::types::{Sha256, Triple};

const HOST: &str = "x86_64-unknown-linux-gnu";

/// Every channel manifest that rustup left on this machine.
fn manifests() -> Vec<Vec<u8>> {
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".rustup")))
        .expect("a home directory");
    let toolchains = std::fs::read_dir(home.join("toolchains")).expect("rustup's toolchains");
    let inside = "lib/rustlib/multirust-channel-manifest.toml";
    let found: Vec<Vec<u8>> = toolchains
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join(inside)).ok())
        .collect();
    assert!(!found.is_empty(), "no toolchain has a channel manifest");
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
