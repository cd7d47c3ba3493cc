//! Objects at rest: every kind of damage is found, told, and made good.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::collect::names;
use super::{THUMB, core, manifest, served};
use crate::support::sandbox::{Sandbox, snapshot};

/// A stored file of the compiler, and one of a target.
fn stored_files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let trees = sandbox.cache().join("trees");
    let mut files: Vec<PathBuf> = snapshot(&trees)
        .into_keys()
        .map(|n| trees.join(n))
        .collect();
    files.sort();
    files
}

fn stored_core(sandbox: &Sandbox) -> PathBuf {
    let mut files = stored_files(sandbox).into_iter();
    let end = format!("{THUMB}/lib/libcore-a.rlib");
    files.find(|path| path.ends_with(&end)).unwrap()
}

fn change(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

/// Damages the store, and expects `verify`, a repair, and the next sync to deal
/// with it.
fn heals(what: &str, damage: fn(&Path)) {
    let (sandbox, server) = served();
    let first = sandbox.project("first", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let want = snapshot(&first.join(".sysroot/lib"));
    sandbox.run(&first, &["cache", "verify"]).exits(0);
    let damaged = stored_core(&sandbox);
    damage(&damaged);
    let found = sandbox
        .run(&first, &["cache", "verify", "--json"])
        .exits(5)
        .json();
    assert_eq!(found["ok"], false, "{what}");
    assert_eq!(
        found["damaged"].as_array().unwrap().len(),
        1,
        "{what}: {found}"
    );
    let name = &found["damaged"][0]["names"][0];
    assert_eq!(name, &format!("rust-std-{THUMB}"), "{what}");
    // Nothing wrong reaches a project before the repair...
    let second = sandbox.project("second", &manifest(&[THUMB]));
    sandbox.run(&second, &["sync"]).exits(0);
    assert_eq!(snapshot(&second.join(".sysroot/lib")), want, "{what}");
    // ... nor after it.
    if sandbox.run(&first, &["cache", "verify"]).code == 0 {
        damage(&stored_core(&sandbox));
    }
    let asked = server.requests().len();
    let repaired = sandbox
        .run(&first, &["cache", "verify", "--repair"])
        .exits(0);
    assert!(
        repaired.out.starts_with("repaired"),
        "{what}: {}",
        repaired.out
    );
    sandbox.run(&first, &["cache", "verify"]).exits(0);
    assert_eq!(names(&sandbox, "components").len(), 4, "{what}");
    let third = sandbox.project("third", &manifest(&[THUMB]));
    sandbox.run(&third, &["sync"]).exits(0);
    assert!(server.requests().len() > asked, "{what}");
    assert_eq!(snapshot(&third.join(".sysroot/lib")), want, "{what}");
    assert!(!names(&sandbox, "quarantine").is_empty(), "{what}");
}

#[test]
fn case_115_a_truncated_file_is_found_and_made_anew() {
    heals("cut", |path| {
        let bytes = fs::read(path).unwrap();
        change(path, &bytes[..bytes.len() / 2]);
    });
}

#[test]
fn case_115_an_emptied_file_is_found_and_made_anew() {
    heals("emptied", |path| change(path, b""));
}

#[test]
fn case_115_a_deleted_file_is_found_and_made_anew() {
    heals("deleted", |path| fs::remove_file(path).unwrap());
}

#[test]
fn case_115_an_added_file_is_found_and_never_reaches_a_project() {
    heals("added", |path| {
        fs::write(path.with_extension("more"), "x").unwrap();
    });
}

#[test]
fn case_115_a_link_in_place_of_a_file_is_found_and_not_followed() {
    heals("link", |path| {
        let away = path.ancestors().nth(8).unwrap().join("away");
        fs::rename(path, &away).unwrap();
        std::os::unix::fs::symlink(&away, path).unwrap();
    });
}

#[test]
fn case_115_a_changed_mode_is_found_and_never_reaches_a_project() {
    heals("mode", |path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    });
}

#[test]
fn case_124_an_edit_by_root_past_the_mode_bits_is_found() {
    heals("edit", |path| {
        // As root this needs no change of the mode; hashes are the proof.
        if fs::OpenOptions::new().write(true).open(path).is_err() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let mut bytes = fs::read(path).unwrap();
        bytes[0] ^= 1;
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn case_114_a_flipped_bit_is_found_at_two_hundred_places() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let files = stored_files(&sandbox);
    // A fixed sequence: a failure can be repeated.
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    for round in 0..200 {
        let path = &files[next(files.len())];
        let good = fs::read(path).unwrap();
        let mode = fs::metadata(path).unwrap().permissions();
        let mut bytes = good.clone();
        let at = next(bytes.len());
        bytes[at] ^= 1 << next(8);
        fs::write(path, &bytes).unwrap();
        let said = sandbox.run(&project, &["cache", "verify"]);
        assert_eq!(said.code, 5, "round {round}, {}: byte {at}", path.display());
        fs::write(path, &good).unwrap();
        fs::set_permissions(path, mode).unwrap();
    }
    sandbox.run(&project, &["cache", "verify"]).exits(0);
}

#[test]
fn case_097_what_stands_under_a_trees_name_already() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let want = snapshot(&project.join(".sysroot/lib"));
    let tree = |sandbox: &Sandbox| {
        let path = stored_core(sandbox);
        path.ancestors().nth(5).unwrap().to_owned()
    };
    let place = tree(&sandbox);
    let again = || {
        let _ = fs::remove_dir_all(project.join(".sysroot"));
        sandbox.run(&project, &["sync"])
    };
    // The same content, of which no record knows.
    for record in names(&sandbox, "components") {
        fs::remove_file(sandbox.cache().join("components").join(record)).unwrap();
    }
    let said = again().exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    // Other content.
    change(&stored_core(&sandbox), b"other");
    for record in names(&sandbox, "components") {
        fs::remove_file(sandbox.cache().join("components").join(record)).unwrap();
    }
    again().exits(0).mentions("damaged in the store");
    assert_eq!(snapshot(&project.join(".sysroot/lib")), want);
    // A file.
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "a file").unwrap();
    again().exits(0).mentions("it is kept in");
    assert_eq!(snapshot(&project.join(".sysroot/lib")), want);
    // A link, even to the right content, is nobody's doing but an attacker's.
    let away = sandbox.path("away");
    fs::rename(&place, &away).unwrap();
    std::os::unix::fs::symlink(&away, &place).unwrap();
    again().exits(6).mentions("no directory");
    assert_eq!(snapshot(&away).len(), 2, "the link was followed");
    fs::remove_file(&place).unwrap();
    again().exits(0);
    assert_eq!(snapshot(&project.join(".sysroot/lib")), want);
}

#[test]
fn case_103_what_a_cleaner_removes_is_fetched_again() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let want = snapshot(&project.join(".sysroot/lib"));
    let mut removals: Vec<PathBuf> = ["listings", "components", "index", "locks", "tmp", "roots"]
        .map(|dir| sandbox.cache().join(dir))
        .into();
    removals.push(stored_core(&sandbox));
    removals.push(sandbox.cache().join("trees"));
    removals.push(sandbox.cache().join("state-key"));
    removals.push(sandbox.cache());
    removals.push(sandbox.path("cache"));
    for path in removals {
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        let _ = fs::remove_dir_all(project.join(".sysroot"));
        let said = sandbox.run(&project, &["sync"]);
        assert_eq!(said.code, 0, "{}: {}", path.display(), said.err);
        assert_eq!(
            snapshot(&project.join(".sysroot/lib")),
            want,
            "{}",
            path.display()
        );
        sandbox.run(&project, &["cache", "verify"]).exits(0);
    }
    assert!(core(&project, THUMB).exists());
}
