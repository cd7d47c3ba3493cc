//! Projects whose output plain cargo uses.

mod build_std;
mod compiled;
mod failed;
mod fake;
mod interrupted;
mod linked;
mod options;
mod oracle;
mod pins;
mod provenance;
mod reproducible;
mod spec;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::dist::DistTree;
use crate::support::sandbox::{Said, Sandbox, said};
use crate::support::serve::FileServer;

pub(crate) const HOST: &str = "x86_64-unknown-linux-gnu";

/// A sandbox whose dist server has the machine's compiler as nightlies.
pub(crate) fn served() -> (Sandbox, FileServer) {
    let mut sandbox = Sandbox::new();
    let tree = DistTree::real(&sandbox.path("dist-root")).unwrap();
    let server = FileServer::start(tree.root()).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    (sandbox, server)
}

/// What a project commits so that plain cargo uses its output.
const CARGO_CONFIG: &str = "[build]
rustc = \".sysroot/bin/rustc\"
rustdoc = \".sysroot/bin/rustdoc\"

[target.aarch64-unknown-linux-gnu]
linker = \"aarch64-linux-gnu-gcc\"
runner = \"qemu-aarch64-static\"
rustflags = [\"-Ctarget-feature=+crt-static\"]
";

pub(crate) fn use_output(project: &Path) {
    fs::create_dir(project.join(".cargo")).unwrap();
    fs::write(project.join(".cargo/config.toml"), CARGO_CONFIG).unwrap();
}

/// Writes a crate with one dependency from the registry and this `main.rs`.
pub(crate) fn write_crate(dir: &Path, name: &str, main: &str) {
    fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nitoa = \"1\"\n\n\
         [profile.dev]\npanic = \"{0}\"\n\n[profile.release]\npanic = \"{0}\"\n",
        if main.contains("no_std") {
            "abort"
        } else {
            "unwind"
        }
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.join("src/main.rs"), main).unwrap();
}

/// A program with the whole standard library that says where it runs.
pub(crate) const HOSTED: &str = "use std::collections::HashMap;

fn answer() -> String {
    let known = HashMap::from([(\"answer\", 42_u32)]);
    let text = std::thread::spawn(move || itoa::Buffer::new().format(known[\"answer\"]).to_owned());
    text.join().unwrap()
}

fn main() {
    println!(\"{} on {}\", answer(), std::env::consts::ARCH);
}

#[test]
fn it_is_right() {
    assert_eq!(answer(), \"42\");
    assert!(std::panic::catch_unwind(|| [0_u8; 0][answer().len()]).is_err());
}
";

/// Runs a program as a user of the sandbox does in a directory.
pub(crate) fn user(sandbox: &Sandbox, dir: &Path, program: &str, arguments: &[&str]) -> Said {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(&sandbox.env)
        .current_dir(dir)
        .args(arguments);
    said(&mut command)
}

/// A sandbox for the machine's own compiler.
pub(crate) fn system() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("SYSROOT_RUSTC", "/usr/bin/rustc");
    sandbox
}
