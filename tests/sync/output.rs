//! What the output holds, and what is left alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::{HOST, RISCV, THUMB, core, manifest, served};
use crate::support::sandbox::{Sandbox, snapshot};

/// All that `packages("a")` puts into an output with these targets.
fn expected(targets: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = [
        "bin/cargo",
        "bin/clippy-driver",
        "bin/rustc",
        "lib/librustc_driver-0.so",
        "lib/rustlib/etc/note.py",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("lib/rustlib/{HOST}/bin/rust-lld"));
    for target in targets.iter().chain(&[HOST]) {
        for kind in ["rlib", "rmeta"] {
            names.push(format!("lib/rustlib/{target}/lib/libcore-a.{kind}"));
        }
    }
    names.sort_unstable();
    names
}

fn files(project: &std::path::Path) -> Vec<String> {
    let all = snapshot(&project.join(".sysroot"));
    all.into_keys()
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn the_output_is_a_toolchain_directory_of_read_only_files() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(files(&project), expected(&[THUMB]));
    let mode = |path: &str| {
        fs::metadata(project.join(".sysroot").join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("bin/rustc"), 0o555);
    assert_eq!(mode("lib/librustc_driver-0.so"), 0o444);
    assert!(
        fs::read_to_string(project.join(".sysroot/.gitignore"))
            .unwrap()
            .contains("\n*\n")
    );
}

#[test]
fn a_second_sync_touches_nothing() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let stamps = |dir: &str| -> Vec<(u64, i64, i64)> {
        let walk = std::process::Command::new("find")
            .arg(project.join(dir))
            .output()
            .unwrap();
        let text = String::from_utf8(walk.stdout).unwrap();
        let stamp = |path: &str| {
            let m = fs::symlink_metadata(path).unwrap();
            (m.ino(), m.mtime(), m.mtime_nsec())
        };
        text.lines().map(stamp).collect()
    };
    let (before, asked) = (stamps("."), server.requests().len());
    let cache = fs::metadata(sandbox.cache().join("roots"))
        .unwrap()
        .mtime_nsec();
    sandbox
        .run(&project, &["sync"])
        .exits(0)
        .mentions("up to date");
    assert_eq!(stamps("."), before);
    assert_eq!(server.requests().len(), asked);
    assert_eq!(
        fs::metadata(sandbox.cache().join("roots"))
            .unwrap()
            .mtime_nsec(),
        cache
    );
    // It needs no more of the store than the key of its own state.
    for dir in ["trees", "listings", "components"] {
        fs::remove_dir_all(sandbox.cache().join(dir)).unwrap();
    }
    sandbox
        .run(&project, &["sync", "--locked"])
        .exits(0)
        .mentions("up to date");
}

#[test]
fn targets_come_and_go_and_the_others_stay() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(files(&project), expected(&[THUMB, RISCV]));
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    let (kept, driver) = (
        inode(core(&project, THUMB)),
        inode(project.join(".sysroot/lib/librustc_driver-0.so")),
    );
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB])).unwrap();
    sandbox
        .run(&project, &["sync"])
        .exits(0)
        .mentions("removed lib/rustlib/riscv32imac");
    assert_eq!(files(&project), expected(&[THUMB]));
    assert_eq!(inode(core(&project, THUMB)), kept);
    assert_eq!(
        inode(project.join(".sysroot/lib/librustc_driver-0.so")),
        driver
    );
}

#[test]
fn one_target_alone_can_be_synced() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync", "--target", THUMB]).exits(0);
    assert_eq!(files(&project), expected(&[THUMB]));
    assert!(!server.requests().iter().any(|r| r.contains(RISCV)));
    sandbox
        .run(&project, &["sync", "--check"])
        .exits(1)
        .mentions(RISCV);
    sandbox
        .run(&project, &["sync", "--target", "nothing-known"])
        .exits(2)
        .mentions(THUMB);
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(files(&project), expected(&[THUMB, RISCV]));
    // Only what was asked for is counted.
    for run in [
        &["sync", "--target", THUMB][..],
        &["sync", "--target", THUMB, "--json"],
    ] {
        fs::remove_file(core(&project, THUMB)).unwrap();
        let said = sandbox.run(&project, run).exits(0);
        if run.contains(&"--json") {
            assert_eq!(said.json()["targets"], serde_json::json!([THUMB]));
        } else {
            said.mentions("synced 1 target in ");
        }
    }
}

/// Calls that open or change files, of a run under strace, with the paths
/// that descriptors stand for.
fn file_calls(sandbox: &Sandbox, project: &std::path::Path) -> Vec<String> {
    let trace = sandbox.path("trace");
    let mut command = std::process::Command::new("strace");
    command
        .args(["-f", "-y", "-qq", "-s", "4096", "-o"])
        .arg(&trace);
    command.args([
        "-e",
        "trace=%file,%desc",
        env!("CARGO_BIN_EXE_sysroot"),
        "sync",
    ]);
    command.env_clear().envs(&sandbox.env).current_dir(project);
    let said = crate::support::sandbox::said(&mut command).exits(0);
    assert!(said.err.contains("target"), "{}", said.err);
    let text = fs::read_to_string(&trace).unwrap();
    let call = |line: &str| Some(line.split_once(' ')?.1.trim_start().to_owned());
    text.lines().filter_map(call).collect()
}

/// Calls by which the content of a file of a tree, of the output or of the
/// store, may be read.
fn reads(calls: &[String], places: &[&str]) -> Vec<String> {
    let opens = calls.iter().filter(|call| call.starts_with("open"));
    let good = opens.filter(|call| !call.contains(" = -1 "));
    let files = good.filter(|call| !call.contains("O_DIRECTORY") && !call.contains("O_PATH"));
    // The last path is the file that was opened, whatever it was called.
    let opened = |call: &&String| {
        let path = call.rsplit_once('<').map_or("", |(_, path)| path);
        places.iter().any(|place| path.starts_with(place))
    };
    files.filter(opened).cloned().collect()
}

/// Calls that change a file or directory, whatever it is.
fn changes(calls: &[String]) -> Vec<String> {
    const CHANGING: [&str; 14] = [
        "creat",
        "mkdir",
        "rmdir",
        "rename",
        "unlink",
        "link",
        "symlink",
        "mknod",
        "truncate",
        "ftruncate",
        "chmod",
        "fchmod",
        "utime",
        "copy_file_range",
    ];
    let changes = |call: &&String| {
        let name = call.split('(').next().unwrap_or_default();
        let written = (name.starts_with("write") || name.starts_with("pwrite"))
            && call
                .split_once('<')
                .is_some_and(|(_, to)| to.starts_with('/') && !to.starts_with("/dev/"));
        let opened = name.starts_with("open")
            && ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
                .iter()
                .any(|flag| call.contains(flag))
            && !call.contains("\"/dev/");
        let named =
            CHANGING.iter().any(|other| name.starts_with(other)) && !name.starts_with("readlink");
        written || opened || named
    };
    calls.iter().filter(changes).cloned().collect()
}

#[test]
fn a_sync_with_nothing_to_do_opens_no_file_of_a_tree_and_writes_nothing() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    let output = project.join(".sysroot");
    let trees = ["bin", "lib"].map(|dir| format!("{}/", output.join(dir).display()));
    let store = ["trees", "listings", "components", "recipes", "roots"]
        .map(|dir| format!("{}/", sandbox.cache().join(dir).display()));
    let places: Vec<&str> = trees.iter().chain(&store).map(String::as_str).collect();
    // The first one reads and writes, so that we know what that looks like.
    let first = file_calls(&sandbox, &project);
    assert!(!reads(&first, &places).is_empty() && changes(&first).len() > 20);
    let second = file_calls(&sandbox, &project);
    assert_eq!(reads(&second, &places), [""; 0]);
    assert_eq!(changes(&second), [""; 0]);
    // What it does read is the project's own, and it does look at the trees.
    let whole = [output.to_str().unwrap()];
    assert_eq!(reads(&second, &whole).len(), 1, "the state");
    let looked = second.iter().filter(|call| call.contains("libcore-a.rlib"));
    assert!(looked.count() >= 3);
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox
        .run(&project, &["sync", "--dry-run", "--json"])
        .exits(0);
    let fetch = said.json()["planned"]["fetch"].as_array().unwrap().len();
    assert_eq!(fetch, 5, "{}", said.out);
    assert!(!project.join("sysroot.lock").exists() && !project.join(".sysroot").exists());
    assert!(!server.requests().iter().any(|r| r.contains(".tar.")));
}

#[test]
fn case_117_edits_of_the_output_are_found_and_undone() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let want = snapshot(&project.join(".sysroot/lib"));
    let edits: [(&str, fn(&std::path::Path)); 5] = [
        ("edited", |p| {
            fs::set_permissions(p, fs::Permissions::from_mode(0o644)).unwrap();
            let mut bytes = fs::read(p).unwrap();
            bytes[0] ^= 1;
            fs::write(p, bytes).unwrap();
        }),
        ("deleted", |p| fs::remove_file(p).unwrap()),
        ("made executable", |p| {
            fs::set_permissions(p, fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("replaced by a link", |p| {
            let copy = p.with_extension("copy");
            fs::rename(p, &copy).unwrap();
            std::os::unix::fs::symlink(&copy, p).unwrap();
        }),
        ("joined by a stranger", |p| {
            fs::write(p.with_file_name("libextra.rlib"), "x").unwrap();
        }),
    ];
    for (what, edit) in edits {
        edit(&core(&project, THUMB));
        for check in [&["verify"][..], &["verify", "--deep"], &["sync", "--check"]] {
            let said = sandbox.run(&project, check);
            assert_eq!(said.code, 1, "{what}: {check:?}\n{}{}", said.out, said.err);
        }
        sandbox.run(&project, &["sync"]).exits(0);
        assert_eq!(snapshot(&project.join(".sysroot/lib")), want, "{what}");
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
    }
}

#[test]
fn case_157_an_output_that_the_checkout_brings_along_is_not_followed() {
    let (sandbox, _server) = served();
    let victim = sandbox.path("victim");
    fs::create_dir_all(victim.join("lib/rustlib")).unwrap();
    fs::write(victim.join("precious"), "data").unwrap();
    let want = snapshot(&victim);
    // The whole output is a link to somewhere else.
    let project = sandbox.project("p", &manifest(&[THUMB]));
    std::os::unix::fs::symlink(&victim, project.join(".sysroot")).unwrap();
    sandbox
        .run(&project, &["sync"])
        .exits(9)
        .mentions("was not made by sysroot");
    // An output with our mark, whose `lib` is a link to somewhere else.
    let project = sandbox.project("q", &manifest(&[THUMB]));
    fs::create_dir(project.join(".sysroot")).unwrap();
    fs::write(project.join(".sysroot/.gitignore"), "*\n").unwrap();
    std::os::unix::fs::symlink(victim.join("lib"), project.join(".sysroot/lib")).unwrap();
    sandbox.run(&project, &["sync"]).exits(9);
    assert_eq!(snapshot(&victim), want);
    // A directory of the user's own.
    let project = sandbox.project("r", &manifest(&[THUMB]));
    fs::create_dir(project.join(".sysroot")).unwrap();
    fs::write(project.join(".sysroot/mine"), "data").unwrap();
    sandbox.run(&project, &["sync"]).exits(9);
    assert_eq!(
        fs::read_to_string(project.join(".sysroot/mine")).unwrap(),
        "data"
    );
}

#[test]
fn case_165_the_umask_narrows_and_never_widens() {
    let (sandbox, _server) = served();
    for (mask, file, dir) in [("000", 0o444, 0o755), ("077", 0o400, 0o700)] {
        let project = sandbox.project(mask, &manifest(&[THUMB]));
        let script = format!("umask {mask}; exec {} sync", env!("CARGO_BIN_EXE_sysroot"));
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &script])
            .env_clear()
            .envs(&sandbox.env)
            .current_dir(&project);
        crate::support::sandbox::said(&mut command).exits(0);
        let mode = |p: &std::path::Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&core(&project, THUMB)), file, "umask {mask}");
        let found = mode(core(&project, THUMB).parent().unwrap());
        assert_eq!(found & 0o022, 0, "umask {mask}: {found:o}");
        assert_eq!(found & dir, found, "umask {mask}: {found:o}");
        let cache = mode(&sandbox.path("cache"));
        assert_eq!(cache & 0o077, 0, "umask {mask}: {cache:o}");
    }
}

#[test]
fn case_157_an_output_that_vouches_for_itself_is_not_believed() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let lock = fs::read(project.join("sysroot.lock")).unwrap();
    let state = fs::read(project.join(".sysroot/.state")).unwrap();
    // What a hostile repository can bring along: our lock, a marked output, a
    // planted program, and any state but one with the right code.
    let body = &state[32..];
    let (foreign, _their_server) = served();
    let theirs = foreign.project("p", &manifest(&[THUMB]));
    foreign.run(&theirs, &["sync"]).exits(0);
    let theirs = fs::read(theirs.join(".sysroot/.state")).unwrap();
    for (name, state) in [
        ("a", [&[0; 32], body].concat()),
        ("b", body.to_vec()),
        ("c", theirs),
        ("d", state[..31].to_vec()),
    ] {
        let hostile = sandbox.project(name, &manifest(&[THUMB]));
        fs::write(hostile.join("sysroot.lock"), &lock).unwrap();
        fs::create_dir_all(hostile.join(".sysroot/bin")).unwrap();
        fs::write(hostile.join(".sysroot/.gitignore"), "*\n").unwrap();
        fs::write(hostile.join(".sysroot/.state"), state).unwrap();
        fs::write(
            hostile.join(".sysroot/bin/rustc"),
            "#!/bin/sh\necho planted\n",
        )
        .unwrap();
        sandbox.run(&hostile, &["verify"]).exits(1);
        sandbox.run(&hostile, &["sync", "--check"]).exits(1);
        let said = sandbox.run(&hostile, &["run", "--", "rustc"]).exits(0);
        assert!(!said.out.contains("planted"), "{}", said.out);
        sandbox.run(&hostile, &["verify", "--deep"]).exits(0);
    }
}

#[test]
fn strangers_between_the_areas_are_found_and_removed() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    for stranger in [
        "lib/evil.so",
        "lib/rustlib/other/lib/libcore.rlib",
        "extra/file",
    ] {
        let path = project.join(".sysroot").join(stranger);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        for check in [&["verify"][..], &["verify", "--deep"], &["sync", "--check"]] {
            sandbox.run(&project, check).exits(1);
        }
        sandbox.run(&project, &["sync"]).exits(0);
        assert!(!path.exists(), "{stranger}");
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
    }
}

#[test]
fn verify_deep_without_a_store_is_no_success() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    for dir in ["trees", "listings"] {
        fs::remove_dir_all(sandbox.cache().join(dir)).unwrap();
    }
    sandbox
        .run(&project, &["verify", "--deep"])
        .exits(1)
        .mentions("sysroot sync");
}

#[test]
fn an_unknown_target_is_refused_also_when_nothing_is_to_do() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox
        .run(&project, &["sync", "--target", "nonsense"])
        .exits(2)
        .mentions(THUMB);
}
