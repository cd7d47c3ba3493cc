//! The dist trees that the other tests use are what rustup takes for real.
//!
//! A tree that only our own reader understands would prove nothing, so real
//! rustup installs from one.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail as tests do, and make files as they like"
)]

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use support::dist::{DistTree, FOREIGN, REAL_DATES, Release};
use support::pack::{Package, Packer, sha256};
use support::rustup::Rustup;
use support::serve::FileServer;

const HOST: &str = "x86_64-unknown-linux-gnu";
const DATE: &str = "2026-05-20";

/// A toolchain of scripts: small, and enough for rustup.
fn packages() -> Vec<Package> {
    let script = b"#!/bin/sh\necho 'rustc 1.97.0-nightly (e50aa6fba 2026-05-19)'\n";
    let std = |target: &str| {
        let file = format!("lib/rustlib/{target}/lib/libcore-0123456789abcdef.rlib");
        Package::new("rust-std", Some(target)).bytes(&file, target.as_bytes(), false)
    };
    vec![
        Package::new("rustc", Some(HOST)).bytes("bin/rustc", script, true),
        Package::new("cargo", Some(HOST)).bytes("bin/cargo", script, true),
        Package::new("clippy-preview", Some(HOST)).bytes("bin/clippy-driver", script, true),
        std(HOST),
        std("thumbv7m-none-eabi"),
        Package::new("rust-src", None).bytes("lib/rustlib/src/rust/library/Cargo.toml", b"", false),
    ]
}

fn tree(root: &Path) -> DistTree {
    let packer = Packer {
        cache: root.join("cache"),
        level: 0,
    };
    let release = Release::nightly(DATE)
        .packages(packages())
        .unavailable("miri-preview", HOST);
    let tree = DistTree::builder().release(release).write(&packer, root);
    tree.unwrap()
}

fn manifest(tree: &DistTree) -> toml::Table {
    let text = std::fs::read_to_string(tree.nightly_manifest(DATE));
    text.unwrap().parse().unwrap()
}

/// Every member of a tar, by name: the executable bit and the bytes.
fn members(tar: impl Read) -> BTreeMap<String, (bool, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let executable = entry.header().mode().unwrap() & 0o100 != 0;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, (executable, bytes))
    });
    entries.collect()
}

#[test]
fn the_manifest_names_what_lies_there_by_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let manifest = manifest(&tree);
    let rustc = &manifest["pkg"]["rustc"]["target"][HOST];
    for (url, hash) in [("url", "hash"), ("xz_url", "xz_hash")] {
        let path = rustc[url].as_str().unwrap();
        let path = path.strip_prefix(support::dist::UPSTREAM).unwrap();
        let bytes = std::fs::read(tree.root().join(path.trim_start_matches('/'))).unwrap();
        assert_eq!(sha256(&bytes), rustc[hash].as_str().unwrap());
    }
    assert_eq!(
        manifest["renames"]["clippy"]["to"].as_str(),
        Some("clippy-preview")
    );
    let miri = &manifest["pkg"]["miri-preview"]["target"][HOST];
    assert_eq!(miri["available"].as_bool(), Some(false));
}

#[test]
fn both_archives_hold_the_identical_tar_with_directories_first() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let open = |extension: &str| {
        let name = format!("dist/{DATE}/rustc-nightly-{HOST}.tar.{extension}");
        std::fs::File::open(tree.root().join(name)).unwrap()
    };
    let mut gz = Vec::new();
    let mut xz = Vec::new();
    flate2::read::GzDecoder::new(open("gz"))
        .read_to_end(&mut gz)
        .unwrap();
    xz2::read::XzDecoder::new(open("xz"))
        .read_to_end(&mut xz)
        .unwrap();
    assert!(gz == xz);
    // The stream flags of an xz file, which name its check: none, as upstream.
    let mut start = [0; 8];
    open("xz").read_exact(&mut start).unwrap();
    assert_eq!(start, *b"\xfd7zXZ\0\0\0");

    let members = members(&*gz);
    let top = format!("rustc-nightly-{HOST}");
    assert_eq!(members[&format!("{top}/rust-installer-version")].1, b"3\n");
    assert_eq!(members[&format!("{top}/components")].1, b"rustc\n");
    assert_eq!(
        members[&format!("{top}/rustc/manifest.in")].1,
        b"file:bin/rustc\n"
    );
    assert!(members[&format!("{top}/rustc/bin/rustc")].0);
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = |tree: &DistTree| std::fs::read(tree.nightly_manifest(DATE)).unwrap();
    assert_eq!(text(&tree(one.path())), text(&tree(two.path())));
}

#[test]
fn rustup_installs_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let server = FileServer::start(tree.root()).unwrap();
    let rustup = Rustup::new(dir.path(), &server.url());
    let toolchain = format!("nightly-{DATE}");
    let run = |words: &[&str]| {
        let arguments = [words, &["--toolchain", &toolchain]].concat();
        rustup.run(&arguments).unwrap();
    };
    rustup
        .install(&toolchain)
        .expect("scripts/test installs rustup");
    run(&["target", "add", "thumbv7m-none-eabi"]);
    run(&["component", "add", "rust-src", "clippy"]);

    let installed = rustup.toolchain(&format!("{toolchain}-{HOST}"));
    for package in packages() {
        for path in package.files.keys() {
            assert!(installed.join(path).is_file(), "{path} is missing");
        }
    }
    let manifests = format!("GET /dist/{DATE}/channel-rust-nightly.toml");
    assert!(server.requests().contains(&manifests));
    assert!(server.bytes_sent() > 0);
}

#[test]
fn the_server_answers_ranges_and_refuses_to_leave_its_root() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), "0123456789").unwrap();
    std::fs::write(dir.path().join("secret"), "secret").unwrap();
    let server = FileServer::start(&root).unwrap();
    let get = |path: &str, headers: &str| {
        let address = server.url().replace("http://", "");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/file", "").ends_with("\r\n\r\n0123456789"));
    let part = get("/file", "Range: bytes=4-6\r\n");
    assert!(
        part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\n456"),
        "{part}"
    );
    assert!(get("/file", "Range: bytes=7-\r\n").ends_with("\r\n\r\n789"));
    assert!(get("/file", "Range: bytes=10-\r\n").starts_with("HTTP/1.1 416 "));
    assert!(get("/../secret", "").starts_with("HTTP/1.1 404 "));
    assert!(get("/", "").starts_with("HTTP/1.1 404 "));
}

#[test]
fn the_real_toolchain_compiles_for_two_processors() {
    let dir = tempfile::tempdir().unwrap();
    let tree = DistTree::real(dir.path()).unwrap();
    let server = FileServer::start(tree.root()).unwrap();
    let rustup = Rustup::new(dir.path(), &server.url());
    let toolchain = format!("nightly-{}", REAL_DATES[0]);
    rustup.install(&toolchain).unwrap();
    let add = ["target", "add", FOREIGN, "--toolchain", &toolchain];
    rustup.run(&add).unwrap();

    let toolchain = rustup.toolchain(&format!("{toolchain}-{HOST}"));
    let source = dir.path().join("hello.rs");
    std::fs::write(
        &source,
        "fn main() { print!(\"{}\", std::env::consts::ARCH) }",
    )
    .unwrap();
    let compile = |name: &str, arguments: &[&str]| {
        let program = dir.path().join(name);
        let mut rustc = Command::new(toolchain.join("bin/rustc"));
        rustc.arg(&source).arg("-o").arg(&program).args(arguments);
        output(&mut rustc);
        program
    };
    let own = compile("own", &[]);
    assert_eq!(output(&mut Command::new(own)), "x86_64");

    let linker = [
        "-Clinker=aarch64-linux-gnu-gcc",
        "-Ctarget-feature=+crt-static",
    ];
    let foreign = compile("foreign", &[&["--target", FOREIGN], &linker[..]].concat());
    let mut qemu = Command::new("qemu-aarch64-static");
    assert_eq!(output(qemu.arg(foreign)), "aarch64");
}

#[test]
fn the_second_day_lacks_a_component() {
    let dir = tempfile::tempdir().unwrap();
    let tree = DistTree::real(dir.path()).unwrap();
    let server = FileServer::start(tree.root()).unwrap();
    let rustup = Rustup::new(dir.path(), &server.url());
    let toolchain = format!("nightly-{}", REAL_DATES[1]);
    let add = [
        "toolchain",
        "install",
        &toolchain,
        "--target",
        FOREIGN,
        "--no-self-update",
    ];
    let error = rustup.run(&add).unwrap_err().to_string();
    assert!(
        error.contains("rust-std") && error.contains(FOREIGN),
        "{error}"
    );
}

/// What a program printed; it must have succeeded.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
