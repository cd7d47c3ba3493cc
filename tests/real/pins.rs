//! Pins: written once, held against every build, changed only when asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::HOST;
use super::fake::{Fake, manifest, pins};
use crate::support::dist::DistTree;
use crate::support::pack::Packer;
use crate::support::sandbox::{Sandbox, snapshot};
use crate::support::serve::FileServer;

const THUMB: &str = "thumbv7m-none-eabi";
const RISCV: &str = "riscv32imac-unknown-none-elf";

/// A project whose target was compiled and pinned.
fn pinned() -> (Sandbox, Fake, PathBuf) {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    sandbox.set("SYSROOT_JOBS", "2");
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["sync"]).exits(0);
    said.mentions("sysroot.lock has new pins");
    assert_eq!(pins(&project).len(), 1);
    (sandbox, fake, project)
}

/// Removes the compiled trees, as a collector may.
fn forget_trees(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.cache().join("trees")).unwrap();
}

#[test]
fn case_123_a_build_that_gives_another_tree_is_told_and_not_pinned_anew() {
    let (sandbox, fake, project) = pinned();
    let lock = fs::read(project.join("sysroot.lock")).unwrap();
    let area = project.join(".sysroot/lib/rustlib").join(THUMB);
    let output = snapshot(&area);
    let old = pins(&project).remove(0);
    forget_trees(&sandbox);
    fs::remove_dir_all(&area).unwrap();
    let left = snapshot(&project.join(".sysroot"));
    fake.drift();
    // The second time as the first: nothing of a refused tree is believed.
    for _ in 0..2 {
        let said = sandbox.run(&project, &["sync"]).exits(5);
        let said = said
            .mentions(THUMB)
            .mentions(&old)
            .mentions("computed: blake3:");
        let said = said.mentions("first difference: lib/rustlib/thumbv7m-none-eabi/lib/libcore-");
        said.mentions("sysroot lock --repin thumbv7m-none-eabi");
        assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), lock);
        assert_eq!(snapshot(&project.join(".sysroot")), left);
        assert!(!sandbox.cache().join("trees").exists());
    }
    // What was built is kept for those who want to know why; the last one.
    let kept = snapshot(&sandbox.cache().join("quarantine"));
    let is_core = |name: &&String| name.contains("/libcore-") && !name.contains(".rmeta");
    let names: Vec<&String> = kept.keys().collect();
    assert_eq!(kept.keys().filter(is_core).count(), 1, "{names:?}");
    // A compiler that gives the pinned tree again is fine again.
    fake.settle();
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), lock);
    assert_eq!(snapshot(&area), output);
}

#[test]
fn case_123_without_a_pin_a_build_that_differs_from_the_last_one_is_told() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let lock = fs::read(project.join("sysroot.lock")).unwrap();
    let sync = || {
        let _ = fs::remove_dir_all(project.join(".sysroot/lib/rustlib").join(THUMB));
        sandbox.run(&project, &["sync", "--locked"]).exits(0)
    };
    let trees = || {
        let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
        let names = trees.map(|tree| tree.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    sync();
    let old = trees().remove(0);
    // The same again is no news.
    forget_trees(&sandbox);
    let said = sync();
    assert!(!said.err.contains("another tree"), "{}", said.err);
    forget_trees(&sandbox);
    fake.drift();
    let said = sync().mentions("another tree than before");
    let new = trees().remove(0);
    assert_ne!(old, new);
    let said = said.mentions(&format!("expected: blake3:{old}"));
    let said = said.mentions(&format!("computed: blake3:{new}"));
    said.mentions("first difference: lib/rustlib/thumbv7m-none-eabi/lib/libcore-");
    // It was told, and is the one to compare with from now on.
    fake.settle();
    let said = sync();
    assert!(!said.err.contains("another tree"), "{}", said.err);
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), lock);
}

#[test]
fn case_123_only_repin_changes_a_pin_and_it_tells_both() {
    let (sandbox, fake, project) = pinned();
    let old = pins(&project).remove(0);
    // The same tree again: nothing to change.
    let said = sandbox.run(&project, &["lock", "--repin", THUMB]).exits(0);
    said.mentions("compiled to the tree that is pinned");
    assert_eq!(pins(&project)[0], old);
    fake.drift();
    // A pin that is there is enough, and nothing is compiled for it.
    let before = fake.compiled("core");
    sandbox.run(&project, &["lock", "--pin"]).exits(0);
    assert_eq!(
        (pins(&project), fake.compiled("core")),
        (vec![old.clone()], before)
    );
    let said = sandbox
        .run(&project, &["--json", "lock", "--repin", THUMB])
        .exits(0);
    let new = pins(&project).remove(0);
    assert_ne!(new, old);
    let object = said.json();
    assert_eq!(object["written"], true);
    let expected = serde_json::json!([
        { "target": THUMB, "status": "repinned", "old": old, "new": new }
    ]);
    assert_eq!(object["pins"], expected);
    // The new tree is in the store: the next sync compiles nothing.
    let compiled = fake.compiled("core");
    sandbox
        .run(&project, &["sync", "--locked", "--offline"])
        .exits(0);
    assert_eq!(fake.compiled("core"), compiled);
    assert_eq!(pins(&project)[0], new);
    // In words, once more.
    let said = sandbox.run(&project, &["lock", "--repin", THUMB]).exits(0);
    let newest = pins(&project).remove(0);
    said.mentions(&format!("old: {new}"))
        .mentions(&format!("new: {newest}"));
    // Another lock still has the old pin: it gets the old tree, and where that
    // is gone no other one, although the store's record names one.
    let text = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let other = sandbox.project("other", &manifest(&[THUMB]));
    fs::write(other.join("sysroot.lock"), text.replace(&newest, &old)).unwrap();
    let sync = ["sync", "--locked", "--offline"];
    sandbox.run(&other, &sync).exits(0);
    let area = other.join(".sysroot/lib/rustlib").join(THUMB);
    let content = snapshot(&area);
    let tree = sandbox
        .cache()
        .join("trees")
        .join(old.trim_start_matches("blake3:"));
    fs::remove_dir_all(tree).unwrap();
    fs::remove_dir_all(&area).unwrap();
    sandbox.run(&other, &sync).exits(5).mentions(&old);
    assert!(!area.exists());
    fake.settle();
    sandbox.run(&other, &sync).exits(0);
    assert_eq!((pins(&other), snapshot(&area)), (vec![old], content));
}

#[test]
fn lock_pin_compiles_what_is_not_pinned_and_touches_no_output() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    let check = ["lock", "--check", "--pin"];
    sandbox.run(&project, &["lock"]).exits(0);
    let said = sandbox.run(&project, &check).exits(1);
    said.mentions(THUMB)
        .mentions(RISCV)
        .mentions("sysroot lock --pin");
    let said = sandbox
        .run(&project, &["--json", "lock", "--pin", "--dry-run"])
        .exits(0);
    assert_eq!(said.json()["pins"][0]["status"], "missing");
    assert_eq!((pins(&project).len(), fake.compiled("core")), (0, 0));
    sandbox
        .run(&project, &["lock", "--pin"])
        .exits(0)
        .mentions("pinned");
    assert_eq!((pins(&project).len(), fake.compiled("core")), (2, 2));
    assert!(!project.join(".sysroot").exists());
    sandbox.run(&project, &check).exits(0);
    // A second checkout pins from the store.
    let second = sandbox.project("second", &manifest(&[THUMB, RISCV]));
    sandbox
        .run(&second, &["lock", "--pin", "--offline"])
        .exits(0);
    assert_eq!((pins(&second), fake.compiled("core")), (pins(&project), 2));
    // Only what is compiled can be pinned anew.
    for (target, reason) in [
        ("x86_64-unknown-none", "no target"),
        ("nonsense", "no target"),
    ] {
        sandbox
            .run(&project, &["lock", "--repin", target])
            .exits(2)
            .mentions(reason);
    }
    let host = sandbox.project(
        "host",
        "[toolchain]\nchannel = \"system\"\n[targets.x86_64-unknown-linux-gnu]\n",
    );
    sandbox.set("SYSROOT_RUSTC", "/usr/bin/rustc");
    let said = sandbox
        .run(&host, &["lock", "--repin", "x86_64-unknown-linux-gnu"])
        .exits(2);
    said.mentions("is not compiled");
}

#[test]
fn lock_pin_of_a_dated_toolchain_downloads_only_what_compiles() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let tree = DistTree::builder()
        .release(fake.release("2026-05-20"))
        .write(&Packer::shared(), &sandbox.path("dist-root"))
        .unwrap();
    let server = FileServer::start(tree.root()).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let text = format!(
        "[toolchain]\nchannel = \"nightly-2026-05-20\"\nhosts = [\"{HOST}\"]\n\
         components = [\"clippy\"]\n[targets.{RISCV}]\n[targets.{THUMB}]\nstrategy = \"build\"\n"
    );
    let project = sandbox.project("p", &text);
    sandbox.run(&project, &["lock", "--pin"]).exits(0);
    assert_eq!((pins(&project).len(), fake.compiled("alloc")), (1, 1));
    assert!(!project.join(".sysroot").exists());
    let list = sandbox
        .run(&project, &["--json", "cache", "list"])
        .exits(0)
        .json();
    let entries = list["entries"].as_array().unwrap().iter();
    let names: Vec<&str> = entries
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let inputs = ["cargo", "rust-std", "rustc"].map(|name| format!("{name}-{HOST}"));
    let expected = [&inputs[0], "rust-src", &inputs[1], &inputs[2], THUMB];
    assert_eq!(names, expected);
    // The rebuild needs those inputs, and nothing of the network.
    let asked = server.requests().len();
    let rebuild = ["verify", "--rebuild"];
    let said = sandbox.run(&project, &rebuild).exits(0);
    said.mentions("compiled again to the pinned tree");
    assert_eq!(fake.compiled("alloc"), 2);
    assert_eq!(server.requests().len(), asked);
    fs::remove_dir_all(sandbox.cache()).unwrap();
    let said = sandbox.run(&project, &rebuild).exits(1);
    said.mentions("rust-src: not in the store")
        .mentions("sysroot sync");
    assert_eq!(fake.compiled("alloc"), 2);
}

#[test]
fn lock_pin_takes_a_signed_tree_of_a_remote_instead_of_compiling() {
    let (mut sandbox, fake, project) = pinned();
    let pin = pins(&project).remove(0);
    let remote = sandbox.path("remote");
    fs::create_dir(&remote).unwrap();
    sandbox.set("SYSROOT_REMOTE", &format!("file://{}", remote.display()));
    sandbox.set("SYSROOT_REMOTE_ACCESS", "read-write");
    let key = sandbox.path("key");
    let key = key.to_str().unwrap();
    let public = sandbox
        .run(&project, &["cache", "keygen", key])
        .exits(0)
        .out;
    sandbox
        .run(&project, &["cache", "push", "--sign", key])
        .exits(0);
    // A machine without anything, whose user trusts that key.
    let config = sandbox.path("config.toml");
    fs::write(
        &config,
        format!("[trust]\nkeys = [\"{}\"]\n", public.trim()),
    )
    .unwrap();
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    let cache = sandbox.path("other-cache");
    sandbox.set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    let other = sandbox.project("other", &manifest(&[THUMB]));
    sandbox.run(&other, &["lock", "--pin"]).exits(0);
    assert_eq!(
        (pins(&other), fake.compiled("core")),
        (vec![pin.clone()], 1)
    );
    // To pin anew means to compile, whatever a remote has.
    fake.drift();
    sandbox.run(&other, &["lock", "--repin", THUMB]).exits(0);
    assert_eq!(fake.compiled("core"), 2);
    assert_ne!(pins(&other)[0], pin);
}

#[test]
fn a_collector_knows_statements_and_takes_those_of_no_recipe() {
    let (sandbox, _fake, project) = pinned();
    let statements = sandbox.cache().join("statements");
    let count = || fs::read_dir(&statements).unwrap().count();
    let said = sandbox.run(&project, &["cache", "gc"]).exits(0);
    assert!(
        !format!("{}{}", said.out, said.err).contains("statements"),
        "{said:?}"
    );
    assert_eq!(count(), 1);
    fs::remove_dir_all(sandbox.cache().join("recipes")).unwrap();
    sandbox.run(&project, &["cache", "gc"]).exits(0);
    assert_eq!(count(), 0);
}

#[test]
fn lock_pin_makes_a_damaged_tree_anew_before_it_pins_it() {
    let (sandbox, fake, project) = pinned();
    let pin = pins(&project).remove(0);
    let tree = sandbox
        .cache()
        .join("trees")
        .join(pin.trim_start_matches("blake3:"));
    let files = snapshot(&tree);
    let core = files.keys().find(|name| name.contains("libcore-")).unwrap();
    let path = tree.join(core);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    fs::remove_file(project.join("sysroot.lock")).unwrap();
    sandbox
        .run(&project, &["lock", "--pin"])
        .exits(0)
        .mentions("damaged");
    assert_eq!((pins(&project), fake.compiled("core")), (vec![pin], 2));
    assert_eq!(snapshot(&tree), files);
}

#[test]
fn case_123_verify_rebuild_names_the_file_the_member_and_the_section() {
    let (sandbox, fake, project) = pinned();
    let lock = fs::read(project.join("sysroot.lock")).unwrap();
    let rebuild = ["verify", "--rebuild", "--target", THUMB];
    let before = snapshot(&sandbox.cache());
    let output = snapshot(&project.join(".sysroot"));
    let said = sandbox.run(&project, &rebuild).exits(0);
    said.mentions("compiled again to the pinned tree")
        .mentions(&pins(&project)[0]);
    // In another place and with one job, so with one thread in the compiler.
    let commands = fake.commands("core");
    let threads = |command: &str| command.contains("-Zthreads=");
    assert_eq!(
        commands.iter().map(|c| threads(c)).collect::<Vec<_>>(),
        [true, false]
    );
    let place = |command: &str| -> usize {
        let mut words = command.split(' ').skip_while(|word| *word != "--out-dir");
        words.nth(1).unwrap().len()
    };
    assert_ne!(place(&commands[0]), place(&commands[1]), "{commands:?}");
    // Neither the store nor the output has anything new but logs and locks.
    let after = snapshot(&sandbox.cache());
    let news = after
        .iter()
        .filter(|(name, file)| before.get(*name) != Some(file));
    let aside = |name: &str| name.starts_with("logs/") || name.starts_with("locks/");
    let news: Vec<_> = news
        .map(|(name, _)| name)
        .filter(|name| !aside(name))
        .collect();
    assert!(news.is_empty(), "{news:?}");
    fake.drift();
    let said = sandbox
        .run(&project, &["--json", "verify", "--rebuild"])
        .exits(5);
    let object = said.json();
    let checks = object["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["check"] == "rebuild")
        .unwrap();
    assert_eq!(check["verdict"], "bad");
    let said = format!("{} {}", check["note"], check["findings"]);
    for part in [
        THUMB,
        &pins(&project)[0],
        "libcore-",
        "member `code.o`",
        "section `.text`, byte 7",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), lock);
    assert_eq!(snapshot(&project.join(".sysroot")), output);
    // The stored tree is still the pinned one.
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
}

#[test]
fn a_changed_byte_of_a_real_library_is_found_in_its_section() {
    let dir = PathBuf::from("/usr/lib/rustlib").join(HOST).join("lib");
    let mut names = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_core = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("libcore-") && path.extension().is_some_and(|e| e == "rlib")
    };
    let library = fs::read(names.find(is_core).unwrap()).unwrap();
    let mut sections = BTreeSet::new();
    for part in 1..10 {
        let mut changed = library.clone();
        changed[library.len() / 10 * part] ^= 1;
        let place = sysroot::diff::compare(&library, &changed).unwrap();
        let member = place.member.unwrap();
        assert!(
            member.contains(".rcgu.") || member == "lib.rmeta" || member.starts_with("table"),
            "{member}"
        );
        sections.extend(place.section);
    }
    let named = sections.iter().filter(|name| name.starts_with('.'));
    assert!(named.count() > 1, "{sections:?}");
}

#[test]
fn verify_rebuild_says_what_it_cannot_judge() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let said = sandbox.run(&project, &["verify", "--rebuild"]).exits(0);
    said.mentions("neither pinned nor in the store");
    assert_eq!(fake.compiled("core"), 0);
    let said = sandbox
        .run(&project, &["verify", "--rebuild", "--target", RISCV])
        .exits(2);
    said.mentions("no target");
    // Without its flag the selection means nothing.
    sandbox
        .run(&project, &["verify", "--target", THUMB])
        .exits(2);
}

#[test]
fn case_152_frozen_gives_no_key_to_a_spec_with_other_bytes() {
    let mut sandbox = Sandbox::new();
    let fake = Fake::new(&mut sandbox);
    let text = manifest(&["my-board"]) + "spec = \"my-board.json\"\n";
    let project = sandbox.project("p", &text);
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let example = example.join("examples/quickstart/targets/x86_64-quickstart.json");
    let spec = fs::read_to_string(example).unwrap();
    fs::write(project.join("my-board.json"), &spec).unwrap();
    sandbox.run(&project, &["lock"]).exits(0);
    fs::write(project.join("my-board.json"), spec + "\n").unwrap();
    let said = sandbox.run(&project, &["sync", "--frozen"]).exits(1);
    said.mentions("my-board");
    assert_eq!(fake.compiled("core"), 0);
}
