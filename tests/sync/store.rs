//! The store: shared, checked, and healed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{THUMB, core, manifest, served};
use crate::support::sandbox::{Sandbox, snapshot};

/// The stored file that a target's core came from.
fn stored(sandbox: &Sandbox) -> PathBuf {
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
    let path = format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib");
    trees
        .map(|tree| tree.unwrap().path().join(&path))
        .find(|path| path.exists())
        .unwrap()
}

fn writable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn case_103_and_p23_a_second_project_needs_no_server() {
    let (sandbox, server) = served();
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let asked = server.requests().len();
    let second = sandbox.project("q", &manifest(&[THUMB]));
    fs::copy(first.join("sysroot.lock"), second.join("sysroot.lock")).unwrap();
    drop(server);
    sandbox
        .run(&second, &["sync", "--locked", "--offline"])
        .exits(0);
    assert!(asked > 0);
    assert_eq!(
        snapshot(&second.join(".sysroot/lib")),
        snapshot(&first.join(".sysroot/lib"))
    );
}

#[test]
fn offline_with_an_empty_store_names_what_is_missing() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let asked = server.requests().len();
    sandbox
        .run(&project, &["sync", "--offline"])
        .exits(4)
        .mentions("--offline");
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn case_114_and_115_damage_in_the_store_never_reaches_a_project() {
    let damages: [(&str, fn(&Path)); 6] = [
        ("a flipped bit", |p| {
            writable(p);
            let mut bytes = fs::read(p).unwrap();
            bytes[3] ^= 4;
            fs::write(p, bytes).unwrap();
        }),
        ("cut short", |p| {
            writable(p);
            let bytes = fs::read(p).unwrap();
            fs::write(p, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("emptied", |p| {
            writable(p);
            fs::write(p, "").unwrap();
        }),
        ("deleted", |p| fs::remove_file(p).unwrap()),
        ("replaced by a link", |p| {
            let copy = p.with_extension("copy");
            fs::rename(p, &copy).unwrap();
            std::os::unix::fs::symlink(&copy, p).unwrap();
        }),
        ("replaced by a directory", |p| {
            fs::remove_file(p).unwrap();
            fs::create_dir(p).unwrap();
        }),
    ];
    let (sandbox, _server) = served();
    let first = sandbox.project("first", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let want = snapshot(&first.join(".sysroot/lib"));
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        damage(&stored(&sandbox));
        let said = sandbox.run(&first, &["verify", "--deep"]);
        assert_eq!(said.code, 5, "{what}:\n{}{}", said.out, said.err);
        let project = sandbox.project(&format!("p{number}"), &manifest(&[THUMB]));
        let said = sandbox.run(&project, &["sync"]).exits(0);
        assert!(
            said.err.contains("damaged in the store"),
            "{what}: {}",
            said.err
        );
        assert_eq!(snapshot(&project.join(".sysroot/lib")), want, "{what}");
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
    }
    assert_eq!(snapshot(&first.join(".sysroot/lib")), want);
}

#[test]
fn case_116_an_edit_in_one_project_does_not_reach_another() {
    let (sandbox, _server) = served();
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let path = core(&first, THUMB);
    writable(&path);
    fs::write(&path, "mine").unwrap();
    let second = sandbox.project("q", &manifest(&[THUMB]));
    let said = sandbox.run(&second, &["sync"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    assert_ne!(fs::read(core(&second, THUMB)).unwrap(), b"mine");
}

#[test]
fn case_116_with_hard_links_an_edit_is_found_by_the_next_sync() {
    let (mut sandbox, _server) = served();
    sandbox.set("SYSROOT_LINK_MODE", "hardlink");
    let first = sandbox.project("p", &manifest(&[THUMB]));
    sandbox
        .run(&first, &["sync"])
        .exits(0)
        .mentions("by hardlink");
    let path = core(&first, THUMB);
    let good = fs::read(&path).unwrap();
    writable(&path);
    fs::write(&path, "mine").unwrap();
    let second = sandbox.project("q", &manifest(&[THUMB]));
    sandbox
        .run(&second, &["sync"])
        .exits(0)
        .mentions("damaged in the store");
    assert_eq!(fs::read(core(&second, THUMB)).unwrap(), good);
    sandbox.run(&first, &["verify"]).exits(1);
    sandbox.run(&first, &["sync"]).exits(0);
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn case_118_records_that_cannot_be_read_cost_work_and_nothing_else() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let want = snapshot(&project.join(".sysroot/lib"));
    for dir in ["components", "listings", "manifests", "roots"] {
        for bad in ["", "{", "[1]", "\u{0}\u{1}", "{\"version\": 99}"] {
            for entry in fs::read_dir(sandbox.cache().join(dir)).unwrap() {
                let path = entry.unwrap().path();
                writable(&path);
                fs::write(&path, bad).unwrap();
            }
            fs::remove_dir_all(project.join(".sysroot")).unwrap();
            sandbox.run(&project, &["sync"]).exits(0);
            assert_eq!(
                snapshot(&project.join(".sysroot/lib")),
                want,
                "{dir}: {bad:?}"
            );
        }
    }
}

#[test]
fn case_161_a_cache_that_others_can_write_to_is_refused() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    fs::create_dir(sandbox.path("cache")).unwrap();
    fs::set_permissions(sandbox.path("cache"), fs::Permissions::from_mode(0o777)).unwrap();
    sandbox
        .run(&project, &["sync"])
        .exits(6)
        .mentions("chmod go-w");
    fs::set_permissions(sandbox.path("cache"), fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.run(&project, &["sync"]).exits(0);
}

#[test]
fn the_cache_says_what_it_has() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox
        .run(&project, &["cache", "size"])
        .exits(0)
        .mentions("0 trees");
    sandbox.run(&project, &["sync"]).exits(0);
    let list = sandbox
        .run(&project, &["cache", "list", "--json"])
        .exits(0)
        .json();
    let names: Vec<&str> = list["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&format!("rust-std-{THUMB}").as_str()),
        "{names:?}"
    );
    assert_eq!(names.len(), 5);
    let size = sandbox
        .run(&project, &["cache", "size", "--json"])
        .exits(0)
        .json();
    assert_eq!(size["trees"], 5);
    assert_eq!(size["projects"], 1);
    sandbox
        .run(&project, &["cache", "size"])
        .exits(0)
        .mentions(" of 5 trees, used by 1 project\n");
    let dir = sandbox.run(&project, &["cache", "dir"]).exits(0);
    assert_eq!(Path::new(dir.out.trim()), sandbox.path("cache"));
}

/// The text of a lock with the hashes of one component in the place of another's.
fn pair(lock: &str, honest: &str, other: &str) -> String {
    let digest = |component: &str, format: &str| {
        let table = lock
            .find(&format!("[archives.rust-std.{component}]"))
            .unwrap();
        let key = format!("{format}-digest = \"");
        let at = table + lock[table..].find(&key).unwrap() + key.len();
        lock[at..at + 71].to_owned()
    };
    let table = lock.find(&format!("[archives.rust-std.{honest}]")).unwrap();
    let (before, after) = lock.split_at(table);
    let mut after = after.to_owned();
    for format in ["xz", "gz"] {
        // One format stays honest; the other one is the other component's.
        if format == "gz" {
            after = after.replacen(&digest(honest, format), &digest(other, format), 1);
        }
    }
    format!("{before}{after}")
}

#[test]
fn case_142_a_lock_cannot_make_the_store_answer_for_an_archive_nobody_unpacked() {
    let (sandbox, server) = served();
    let honest = sandbox.project("honest", &manifest(&[THUMB, super::RISCV]));
    sandbox.run(&honest, &["lock"]).exits(0);
    let lock = fs::read_to_string(honest.join("sysroot.lock")).unwrap();
    // Thumb's `.tar.xz` beside RISC-V's `.tar.gz`, which is what loopback picks.
    let mixed = pair(&lock, THUMB, super::RISCV);
    assert_ne!(mixed, lock);
    let mixed = mixed.replace(
        &format!("rust-std-nightly-{THUMB}.tar.gz"),
        &format!("rust-std-nightly-{}.tar.gz", super::RISCV),
    );
    let hostile = sandbox.project("hostile", &manifest(&[THUMB, super::RISCV]));
    fs::write(hostile.join("sysroot.lock"), mixed).unwrap();
    let said = sandbox.run(&hostile, &["sync", "--frozen"]);
    assert_ne!(said.code, 0, "{}{}", said.out, said.err);
    // Whatever the hostile lock left in the store, an honest one gets its own.
    sandbox.run(&honest, &["sync", "--locked"]).exits(0);
    let text = fs::read_to_string(core(&honest, THUMB)).unwrap();
    assert!(text.starts_with(&format!("core {THUMB}")), "{text}");
    drop(server);
}
