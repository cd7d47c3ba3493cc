//! `cache export`, `cache import` and `key`.

use std::fs;
use std::path::Path;

use sysroot::lock::{Lock, LockedBuild, LockedSource};
use sysroot::store::{RecipeRecord, Store};
use sysroot::types::{Entry, FileDigest, Listing, TreeDigest};

use super::{HOST, RISCV, THUMB, core, manifest, served};
use crate::support::sandbox::{Sandbox, snapshot};
use crate::support::serve::FileServer;

/// A project with a downloaded target and one that would have to be compiled.
fn project(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let text = manifest(&[THUMB, RISCV]) + "strategy = \"build\"\n";
    sandbox.project(name, &text)
}

/// Puts a tree into the store as what a recipe gave.
fn compiled(sandbox: &Sandbox, project: &Path, content: &[u8]) -> TreeDigest {
    let store = Store::open(&sandbox.path("cache")).unwrap();
    let path = format!("lib/rustlib/{RISCV}/lib/libcore-a.rlib");
    let staging = store
        .stage(
            &sysroot::events::Silent,
            &sysroot::events::Cancel::default(),
        )
        .unwrap();
    let file = staging.path().join(&path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
    let listing = Listing::new(vec![Entry {
        path: path.parse().unwrap(),
        executable: false,
        size: content.len() as u64,
        digest: FileDigest::of(content),
    }]);
    let tree = store.publish(&staging, &listing.unwrap()).unwrap();
    let record = RecipeRecord {
        key: build(project).key,
        target: RISCV.parse().unwrap(),
        host: HOST.parse().unwrap(),
        rustc: "rustc 1.97.0-nightly".to_owned(),
        tree,
    };
    store.record_recipe(&record).unwrap();
    tree
}

/// What the lock says of the compiled target.
fn build(project: &Path) -> LockedBuild {
    let path = project.join("sysroot.lock");
    let lock = Lock::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
    match &lock.targets[&RISCV.parse().unwrap()].source {
        LockedSource::Build { hosts, .. } => hosts[&HOST.parse().unwrap()],
        LockedSource::Download | LockedSource::System => unreachable!("it is compiled"),
    }
}

/// A synced project, its file of the store, and the tree that it pins.
fn exported() -> (Sandbox, FileServer, TreeDigest) {
    let (sandbox, server) = served();
    let project = project(&sandbox, "p");
    sandbox.run(&project, &["lock"]).exits(0);
    let tree = compiled(&sandbox, &project, b"compiled");
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(build(&project).pin, Some(tree));
    let said = sandbox.run(&project, &["cache", "export", "../file", "--json"]);
    let json = said.exits(0).json();
    assert_eq!(json["trees"], 6);
    assert_eq!(
        json["bytes"],
        fs::metadata(sandbox.path("file")).unwrap().len()
    );
    (sandbox, server, tree)
}

/// Forgets the store, as a new machine has none.
fn forget(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
}

#[test]
fn a_new_machine_needs_no_server_after_an_import() {
    let (sandbox, server, tree) = exported();
    let first = sandbox.path("p");
    let want = snapshot(&first.join(".sysroot/lib"));
    // The lock without its pin: the file's own records have to say it.
    let text = fs::read_to_string(first.join("sysroot.lock")).unwrap();
    let unpinned: Vec<&str> = text.lines().filter(|l| !l.contains("pin")).collect();
    forget(&sandbox);
    drop(server);
    let second = project(&sandbox, "q");
    fs::write(second.join("sysroot.lock"), unpinned.join("\n") + "\n").unwrap();
    assert_eq!(build(&second).pin, None);
    let said = sandbox.run(
        &second,
        &["cache", "import", "../file", "--trust", "--json"],
    );
    let json = said.exits(0).json();
    assert_eq!(json["taken"].as_array().unwrap().len(), 6);
    assert_eq!(json["authority"], "user");
    sandbox
        .run(&second, &["sync", "--locked", "--offline"])
        .exits(0);
    assert_eq!(snapshot(&second.join(".sysroot/lib")), want);
    sandbox.run(&second, &["verify", "--deep"]).exits(0);
    // The second time there is nothing to do.
    let said = sandbox.run(
        &second,
        &["cache", "import", "../file", "--trust", "--json"],
    );
    let json = said.exits(0).json();
    assert_eq!(json["taken"].as_array().unwrap().len(), 0);
    assert_eq!(json["present"].as_array().unwrap().len(), 6);
    assert!(
        json["present"]
            .as_array()
            .unwrap()
            .contains(&tree.to_string().into())
    );
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let (sandbox, _server, _) = exported();
    let first = fs::read(sandbox.path("file")).unwrap();
    forget(&sandbox);
    let project = sandbox.path("p");
    sandbox
        .run(&project, &["cache", "import", "../file", "--trust"])
        .exits(0);
    sandbox
        .run(&project, &["cache", "export", "../again"])
        .exits(0);
    assert!(fs::read(sandbox.path("again")).unwrap() == first);
}

#[test]
fn case_126_without_trust_only_what_the_lock_pins_is_taken() {
    let (sandbox, _server, tree) = exported();
    let project = sandbox.path("p");
    forget(&sandbox);
    let said = sandbox.run(&project, &["cache", "import", "../file"]);
    said.exits(0)
        .mentions("5 trees of `../file` were left alone");
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
    let trees: Vec<_> = trees.map(|tree| tree.unwrap().file_name()).collect();
    assert_eq!(trees, [tree.to_hex().as_str()]);
    // Another project with the same recipe and no pin must not get it.
    let store = Store::open(&sandbox.path("cache")).unwrap();
    assert_eq!(store.recipe(build(&project).key), None);
    assert_eq!(store.all_components().unwrap(), []);
    sandbox.run(&project, &["sync", "--locked"]).exits(0);
}

#[test]
fn a_file_signed_by_a_trusted_key_needs_no_flag() {
    let (mut sandbox, _server, _) = exported();
    let project = sandbox.path("p");
    let said = sandbox.run(&project, &["cache", "keygen", "../key"]);
    let public = said.exits(0).out.trim().to_owned();
    let arguments = ["cache", "export", "../file", "--sign", "../key"];
    sandbox.run(&project, &arguments).exits(0);
    forget(&sandbox);
    // Signed, but by nobody we know.
    let import = ["cache", "import", "../file", "--json"];
    let said = sandbox.run(&project, &import).exits(0);
    assert_eq!(said.json()["authority"], "pins");
    assert_eq!(said.json()["refused"].as_array().unwrap().len(), 5);
    let config = sandbox.path("config.toml");
    fs::write(&config, format!("[trust]\nkeys = [\"{public}\"]\n")).unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    let said = sandbox.run(&project, &import).exits(0);
    assert_eq!(said.json()["authority"], "key");
    assert_eq!(said.json()["key"], *public);
    assert_eq!(said.json()["taken"].as_array().unwrap().len(), 5);
    sandbox
        .run(&project, &["sync", "--locked", "--offline"])
        .exits(0);
}

#[test]
fn case_126_a_hostile_file_gives_nothing() {
    let (sandbox, _server, _) = exported();
    let honest = sandbox.path("p");
    let pinned = fs::read(honest.join("sysroot.lock")).unwrap();
    // The same recipe, with a tree of the attacker's.
    let evil = compiled(&sandbox, &honest, b"malware");
    let text = fs::read_to_string(honest.join("sysroot.lock")).unwrap();
    let own = build(&honest).pin.unwrap().to_string();
    fs::write(
        honest.join("sysroot.lock"),
        text.replace(&own, &evil.to_string()),
    )
    .unwrap();
    sandbox
        .run(&honest, &["cache", "export", "../evil"])
        .exits(0);
    forget(&sandbox);
    fs::write(honest.join("sysroot.lock"), pinned).unwrap();
    sandbox
        .run(&honest, &["cache", "import", "../evil"])
        .exits(6)
        .mentions("--trust");
    assert!(!sandbox.cache().join("trees").exists());
    // Even if the user trusts it, the pin does not give way.
    sandbox
        .run(&honest, &["cache", "import", "../evil", "--trust"])
        .exits(0);
    // The small dist tree has no compiler: that it is looked for is the point.
    let said = sandbox.run(&honest, &["sync", "--locked"]);
    said.exits(2).mentions("there are no library sources");
    assert!(
        !core(&honest, RISCV).exists() || fs::read(core(&honest, RISCV)).unwrap() != b"malware"
    );
}

#[test]
fn case_132_a_damaged_file_leaves_whole_trees_only() {
    let (sandbox, _server, _) = exported();
    let project = sandbox.path("p");
    let whole = fs::read(sandbox.path("file")).unwrap();
    let step = whole.len() / 23;
    let broken = (0..23).flat_map(|part| {
        let mut flipped = whole.clone();
        flipped[part * step + 5] ^= 0x10;
        [whole[..part * step].to_vec(), flipped]
    });
    for bytes in broken {
        forget(&sandbox);
        fs::write(sandbox.path("broken"), &bytes).unwrap();
        let arguments = ["cache", "import", "../broken", "--trust"];
        let said = sandbox.run(&project, &arguments).exits(5);
        assert!(said.err.contains("broken"), "{}", said.err);
        let store = Store::open(&sandbox.path("cache")).unwrap();
        let trees = fs::read_dir(sandbox.cache().join("trees"));
        for tree in trees.into_iter().flatten() {
            let tree = tree.unwrap().file_name().into_string().unwrap();
            let listing = store.listing(TreeDigest::from_hex(&tree).unwrap()).unwrap();
            let found = snapshot(&sandbox.cache().join("trees").join(&tree));
            assert_eq!(found.len(), listing.entries().len());
            for entry in listing.entries() {
                let (content, _) = &found[entry.path.as_str()];
                assert_eq!(FileDigest::of(content), entry.digest);
            }
        }
        let left = fs::read_dir(sandbox.cache().join("tmp"));
        assert_eq!(left.map_or(0, Iterator::count), 0);
    }
}

#[test]
fn an_export_with_holes_is_refused_and_leaves_no_file() {
    let (sandbox, _server) = served();
    let project = project(&sandbox, "p");
    sandbox
        .run(&project, &["cache", "export", "../file"])
        .exits(1)
        .mentions("sysroot.lock");
    sandbox.run(&project, &["lock"]).exits(0);
    sandbox
        .run(&project, &["cache", "export", "../file"])
        .exits(1)
        .mentions(RISCV)
        .mentions("sysroot sync");
    // A part of the targets can be whole on its own.
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    sandbox
        .run(&project, &["cache", "export", "../file"])
        .exits(1);
    assert!(!sandbox.path("file").exists());
    let arguments = ["cache", "export", "../file", "--target", THUMB];
    sandbox.run(&project, &arguments).exits(0);
    assert!(sandbox.path("file").exists());
    let hidden = fs::read_dir(sandbox.path("")).unwrap();
    let mut hidden = hidden.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!hidden.any(|name| name.starts_with(".file")));
}

#[test]
fn case_115_a_damaged_tree_is_not_exported() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, _server, tree) = exported();
    let project = sandbox.path("p");
    let file = format!(
        "trees/{}/lib/rustlib/{RISCV}/lib/libcore-a.rlib",
        tree.to_hex()
    );
    let file = sandbox.cache().join(file);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "compilee").unwrap();
    let before = fs::read(sandbox.path("file")).unwrap();
    sandbox
        .run(&project, &["cache", "export", "../file"])
        .exits(5)
        .mentions("libcore-a.rlib");
    assert!(fs::read(sandbox.path("file")).unwrap() == before);
}

#[test]
fn the_key_changes_exactly_if_what_must_be_cached_changes() {
    let (sandbox, server) = served();
    let project = project(&sandbox, "p");
    sandbox.run(&project, &["key"]).exits(1);
    sandbox.run(&project, &["lock"]).exits(0);
    drop(server);
    let key = || {
        let said = sandbox
            .run(&project, &["key", "--json", "--offline"])
            .exits(0);
        let key = said.json()["key"].as_str().unwrap().to_owned();
        assert!(key.starts_with(said.json()["prefix"].as_str().unwrap()));
        let plain = sandbox.run(&project, &["key"]).exits(0).out;
        assert_eq!(plain.trim_end(), key);
        key
    };
    let first = key();
    assert_eq!(first, key());
    assert!(first.starts_with(&format!("sysroot-v1-{HOST}-")));
    let path = project.join("sysroot.lock");
    let lock = fs::read_to_string(&path).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(lock.contains(from), "{from}");
        fs::write(&path, lock.replace(from, to)).unwrap();
        let changed = key();
        fs::write(&path, &lock).unwrap();
        changed
    };
    let flip = |digest: &str| {
        let (head, last) = digest.split_at(digest.len() - 1);
        format!("{head}{}", if last == "0" { "1" } else { "0" })
    };
    // Informative only: a mirror may rewrite the channel manifest.
    let digest = |name: &str| {
        let line = lock.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap()
    };
    let manifest = digest("manifest-digest");
    assert_eq!(changed(manifest, &flip(manifest)), first);
    assert_ne!(
        changed(digest("xz-digest"), &flip(digest("xz-digest"))),
        first
    );
    // The recipe's key, and its pin.
    let recipe = build(&project).key.to_string();
    assert_ne!(changed(&recipe, &flip(&recipe)), first);
    let pinned = format!("key = \"{recipe}\"\npin = \"{recipe}\"");
    let line = lock.lines().find(|line| line.contains(&recipe)).unwrap();
    assert_ne!(
        changed(line, &line.replace(&format!("key = \"{recipe}\""), &pinned)),
        first
    );
    let only = ["key", "--target", THUMB];
    assert_ne!(sandbox.run(&project, &only).exits(0).out.trim_end(), first);
    let unknown = ["key", "--target", "no-such-target"];
    sandbox.run(&project, &unknown).exits(2);
}
