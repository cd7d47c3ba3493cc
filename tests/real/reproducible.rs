//! The same recipe gives the same bytes: real builds, each of which differs
//! from the first in as much as it can. Where such a build equals the first,
//! none of the differences matters.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fake::pins;
use super::system;
use crate::support::clock::other_clock;
use crate::support::sandbox::{Said, Sandbox, said, snapshot};
use crate::support::sources::{debian_driver, relocated};

const TARGET: &str = "thumbv6m-none-eabi";
const OTHER: &str = "thumbv7m-none-eabi";

fn manifest(targets: &[&str]) -> String {
    let head = super::fake::manifest(&[]) + "features = [\"compiler-builtins-mem\"]\n";
    let tables = targets.iter().map(|target| format!("[targets.{target}]\n"));
    tables.fold(head, |text, table| text + &table)
}

fn run(command: &mut Command) -> String {
    said(command).exits(0).out
}

/// The system's toolchain in another place, with sources of another time, and
/// programs that live ten years from now.
fn other_toolchain(dir: &Path, clock: &Path) -> PathBuf {
    for part in ["bin", "lib/rustlib/src/rust", "scratch"] {
        fs::create_dir_all(dir.join(part)).unwrap();
    }
    let driver = debian_driver().unwrap();
    fs::copy(&driver, dir.join("lib").join(driver.file_name().unwrap())).unwrap();
    let rustlib = Path::new("/usr/lib/rustlib");
    let host = "x86_64-unknown-linux-gnu";
    symlink(rustlib.join(host), dir.join("lib/rustlib").join(host)).unwrap();
    let sources = dir.join("lib/rustlib/src/rust");
    let mut copy = Command::new("cp");
    run(copy
        .args(["-rL", "--preserve=mode"])
        .arg(rustlib.join("src/rust/library"))
        .arg(&sources));
    let mut touch = Command::new("find");
    run(touch
        .arg(&sources)
        .args(["-exec", "touch", "-d", "2001-02-03", "{}", "+"]));
    let rustc = relocated(
        Path::new("/usr/bin/rustc"),
        &dir.join("scratch"),
        "$ORIGIN/../lib",
    )
    .unwrap();
    fs::rename(rustc, dir.join("bin/rustc.real")).unwrap();
    for (name, program) in [
        ("rustc", dir.join("bin/rustc.real")),
        ("cargo", "/usr/bin/cargo".into()),
    ] {
        let (clock, program) = (clock.display(), program.display());
        let script = format!("#!/bin/sh\nLD_PRELOAD='{clock}' exec '{program}' \"$@\"\n");
        let path = dir.join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir.join("bin/rustc")
}

/// Runs the binary with a mask that leaves the others nothing.
fn masked(sandbox: &Sandbox, dir: &Path, arguments: &[&str]) -> Said {
    let inner = sandbox.command(dir, arguments);
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    command
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args());
    said(&mut command)
}

fn keys(project: &Path) -> Vec<String> {
    let text = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("key = "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn reproducible_in_every_respect_that_is_promised() {
    // One target, two jobs, two threads in the compiler's front end.
    let first = system();
    let project = first.project("p", &manifest(&[TARGET]));
    first.run(&project, &["sync", "--jobs", "2"]).exits(0);

    // Another place, toolchain, sources, cache, home, clock, time zone,
    // locale, mask, number of jobs; and another target beside it.
    let mut second = Sandbox::new();
    let deep = "another home/of somebody/else";
    // A space would end the name where it is loaded.
    fs::create_dir(second.path("clock")).unwrap();
    let clock = other_clock(&second.path("clock"));
    let rustc = other_toolchain(&second.path("opt/another toolchain/1.2.3"), &clock);
    for (name, value) in [
        (
            "SYSROOT_CACHE_DIR",
            second.path(&format!("{deep}/.cache/with a longer name")),
        ),
        ("HOME", second.path(deep)),
        ("SYSROOT_RUSTC", rustc),
    ] {
        second.set(name, value.to_str().unwrap());
    }
    fs::create_dir_all(second.path(deep)).unwrap();
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("USER", "somebody-else"),
        ("SOURCE_DATE_EPOCH", "86400"),
    ] {
        second.set(name, value);
    }
    let other = second.project(
        "src/of/somebody else/a project",
        &manifest(&[TARGET, OTHER]),
    );
    masked(&second, &other, &["sync", "--jobs", "3"]).exits(0);

    let lib = format!(".sysroot/lib/rustlib/{TARGET}/lib");
    let libraries = snapshot(&project.join(&lib));
    let names: Vec<&String> = libraries.keys().collect();
    assert!(
        names.iter().any(|name| name.starts_with("libcore-")),
        "{names:?}"
    );
    assert_eq!(
        keys(&project)[0],
        keys(&other)[0],
        "two recipes, so nothing to compare"
    );
    let pin = pins(&project).remove(0);
    if pins(&other)[0] != pin {
        for (name, (content, _)) in snapshot(&other.join(&lib)) {
            let (expected, _) = &libraries[&name];
            if let Some(place) = sysroot::diff::compare(expected, &content) {
                eprintln!("{name}: {place}");
            }
        }
    }
    assert_eq!(pins(&other)[0], pin);
    assert_eq!(snapshot(&other.join(&lib)), libraries);
    for (name, (content, _)) in &libraries {
        for secret in [first.path(""), second.path(""), "/usr/src/".into()] {
            let secret = secret.to_str().unwrap().as_bytes();
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{name} has a path of this machine");
        }
    }

    // Once more below the store, with one job and one thread.
    let mut first = first;
    first.set("SYSROOT_JOBS", "2");
    let said = first.run(&project, &["verify", "--rebuild"]).exits(0);
    said.mentions("compiled again to the pinned tree")
        .mentions(&pin);
}
