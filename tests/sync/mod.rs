//! A small dist tree, and what `sync` does with it.

mod beside;
mod bundle;
mod ci;
#[cfg(feature = "fault-injection")]
mod clock;
mod collect;
#[cfg(feature = "fault-injection")]
mod crash;
mod damage;
#[cfg(feature = "fault-injection")]
mod decoders;
mod doctor;
mod edit;
mod explain;
mod formats;
mod fresh;
mod freshness;
mod group;
mod hostile;
mod jobs;
mod json;
mod lock;
mod mirrors;
#[path = "../support/openpgp.rs"]
mod openpgp;
mod output;
mod partial;
mod processes;
mod provenance;
#[cfg(feature = "fault-injection")]
mod races;
mod read_only;
mod rest;
mod shown;
#[cfg(feature = "fault-injection")]
mod signals;
mod signature;
mod store;
mod surroundings;
mod tracing;
mod update;
mod verify;
mod verify_formats;
#[cfg(feature = "fault-injection")]
mod waiting;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::dist::{DistTree, Release};
use crate::support::pack::{Package, Packer, sha256};
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

pub(crate) const HOST: &str = "x86_64-unknown-linux-gnu";
pub(crate) const THUMB: &str = "thumbv7em-none-eabihf";
pub(crate) const RISCV: &str = "riscv32imac-unknown-none-elf";
pub(crate) const DATE: &str = "2026-05-20";
pub(crate) const COMMIT: &str = "e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a";

/// The usual components with a few bytes each; `mark` makes two days differ.
pub(crate) fn packages(mark: &str) -> Vec<Package> {
    let version = "1.97.0-nightly (e50aa6fba 2026-05-19)";
    let package =
        |name: &str, target: Option<&str>| Package::new(name, target).version(version, COMMIT);
    let std = |target: &str| {
        let lib = format!("lib/rustlib/{target}/lib");
        package("rust-std", Some(target))
            .bytes(
                &format!("{lib}/libcore-{mark}.rlib"),
                format!("core {target} {mark}").as_bytes(),
                false,
            )
            .bytes(&format!("{lib}/libcore-{mark}.rmeta"), b"meta", false)
    };
    vec![
        package("rustc", Some(HOST))
            .bytes("bin/rustc", b"#!/bin/sh\necho rustc\n", true)
            .bytes("lib/librustc_driver-0.so", &vec![7; 3 << 20], false)
            .bytes("lib/rustlib/etc/note.py", b"note", false)
            .bytes(&format!("lib/rustlib/{HOST}/bin/rust-lld"), b"lld", true),
        package("cargo", Some(HOST)).bytes("bin/cargo", b"#!/bin/sh\necho cargo\n", true),
        package("clippy-preview", Some(HOST)).bytes("bin/clippy-driver", b"clippy", true),
        package("rust-src", None).bytes(
            "lib/rustlib/src/rust/library/core/src/lib.rs",
            b"#![no_core]",
            false,
        ),
        std(HOST),
        std(THUMB),
        std(RISCV),
    ]
}

/// A dist tree below a sandbox.
pub(crate) fn dist(sandbox: &Sandbox, release: Release) -> PathBuf {
    let packer = Packer {
        cache: sandbox.path("packed"),
        level: 1,
    };
    let root = sandbox.path("dist-root");
    let tree = DistTree::builder()
        .release(release)
        .write(&packer, &root)
        .unwrap();
    tree.root().to_owned()
}

/// Puts other bytes in the place of the day's manifest of a dist tree.
pub(crate) fn publish(root: &Path, bytes: &[u8]) {
    let name = "channel-rust-nightly.toml";
    let path = root.join("dist").join(DATE).join(name);
    fs::write(&path, bytes).unwrap();
    let sum = format!("{}  {name}\n", sha256(bytes));
    fs::write(path.with_extension("toml.sha256"), sum).unwrap();
}

/// A sandbox whose dist server has one day, and that server.
pub(crate) fn served() -> (Sandbox, FileServer) {
    let mut sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    let server = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    (sandbox, server)
}

/// A manifest with these targets.
pub(crate) fn manifest(targets: &[&str]) -> String {
    let mut text = format!(
        "[toolchain]\nchannel = \"nightly-{DATE}\"\nhosts = [\"{HOST}\"]\ncomponents = [\"clippy\"]\n"
    );
    for target in targets {
        text.push_str(&format!("[targets.{target}]\n"));
    }
    text
}

/// A library of a target in an output.
pub(crate) fn core(project: &Path, target: &str) -> PathBuf {
    project.join(format!(".sysroot/lib/rustlib/{target}/lib/libcore-a.rlib"))
}
