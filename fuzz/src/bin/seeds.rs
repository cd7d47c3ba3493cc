//! Writes inputs to start from below a directory: `seeds DIR`.
//!
//! Texts come from the repository; archives are made here, because no binary
//! file is kept in it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sysroot_fuzz::{COMPONENT, TARGET};

fn main() {
    let out = std::env::args_os().nth(1).expect("usage: seeds DIR");
    let out = Path::new(&out);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (target, file) in [
        ("manifest", "sysroot.toml.example"),
        ("manifest", "examples/quickstart/sysroot.toml"),
        ("lockfile", "examples/quickstart/sysroot.lock"),
        ("spec", "examples/quickstart/targets/x86_64-quickstart.json"),
    ] {
        let bytes = fs::read(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        seed(out, target, &file.replace('/', "-"), &bytes);
    }
    seed(out, "channel_manifest", "small", CHANNEL.as_bytes());
    seed(
        out,
        "config",
        "small",
        b"dist-servers = [\"https://localhost/\"]\nsignature = \"require\"\n",
    );
    let digest = "0".repeat(64);
    let listing = format!("sysroot-tree-v1\n- 3 {digest} lib/a.rlib\n");
    seed(out, "listing", "small", listing.as_bytes());
    seed(
        out,
        "signature",
        "empty",
        b"-----BEGIN PGP SIGNATURE-----\n\n=twTO\n-----END PGP SIGNATURE-----\n",
    );
    seed(
        out,
        "record",
        "small",
        b"{\"version\":1,\"namespace\":\"fuzz\"}",
    );
    seed(
        out,
        "bundle_index",
        "small",
        b"{\"version\":1,\"components\":[],\"recipes\":[],\"trees\":[]}",
    );
    let tar = tar();
    let mut gz = GzEncoder::new(vec![1], Compression::best());
    gz.write_all(&tar).expect("memory");
    seed(out, "archive", "gz", &gz.finish().expect("memory"));
    seed(out, "tar", "whole", &tar);
    let pack = sysroot::pack::write_text("sysroot-tree.json", "{}", Vec::new()).expect("memory");
    seed(out, "pack", "text", &pack);
}

fn seed(out: &Path, target: &str, name: &str, bytes: &[u8]) {
    let dir = out.join(target);
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join(name), bytes).expect("written");
}

/// A component that is read without an error.
fn tar() -> Vec<u8> {
    let top = format!("{COMPONENT}-nightly-{TARGET}");
    let component = format!("{COMPONENT}-{TARGET}");
    let library = format!("lib/rustlib/{TARGET}/lib/libcore.rlib");
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: String, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes).expect("memory");
    };
    add(format!("{top}/rust-installer-version"), b"3\n");
    add(
        format!("{top}/components"),
        format!("{component}\n").as_bytes(),
    );
    add(format!("{top}/version"), b"1.97.0-nightly\n");
    add(
        format!("{top}/{component}/manifest.in"),
        format!("file:{library}\n").as_bytes(),
    );
    add(format!("{top}/{component}/{library}"), b"core");
    tar.into_inner().expect("memory")
}

const CHANNEL: &str = r#"manifest-version = "2"
date = "2026-05-20"
[pkg.rustc]
version = "1.97.0-nightly (0123456789 2026-05-19)"
git_commit_hash = "0123456789012345678901234567890123456789"
[pkg.rustc.target.x86_64-unknown-linux-gnu]
available = true
url = "https://localhost/dist/2026-05-20/rustc-nightly-x86_64-unknown-linux-gnu.tar.gz"
hash = "0000000000000000000000000000000000000000000000000000000000000000"
[pkg.rust-std]
version = "1.97.0-nightly (0123456789 2026-05-19)"
[pkg.rust-std.target.thumbv7em-none-eabihf]
available = true
url = "https://localhost/dist/2026-05-20/rust-std-nightly-thumbv7em-none-eabihf.tar.gz"
hash = "0000000000000000000000000000000000000000000000000000000000000001"
[renames]
clippy = { to = "clippy-preview" }
"#;
