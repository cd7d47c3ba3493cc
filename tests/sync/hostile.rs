//! Surroundings that would have us take one thing for another: our own output
//! for the system's toolchain, a checkout's files for settings, one server's
//! word for another's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{COMMIT, DATE, HOST, THUMB, dist, manifest, packages, served};
use crate::support::dist::Release;
use crate::support::sandbox::{Sandbox, said};
use crate::support::serve::FileServer;

/// A program of the sandbox.
fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A compiler that answers as one does, sysroot included; it compiles nothing.
fn rustc(root: &Path, commit: &str) {
    let script = format!(
        "root={}\n[ \"$1\" = --sysroot ] && {{ root=$2; shift 2; }}\n\
         case \"$*\" in\n\
         '--print sysroot') echo \"$root\";;\n\
         '--print target-list') echo {HOST}; echo {THUMB};;\n\
         -vV) echo 'rustc 1.97.0 (test)'; echo release: 1.97.0; echo commit-hash: {commit}; echo host: {HOST};;\n\
         *) echo \"$*\" >> {}; exit 1;;\nesac\n",
        root.display(),
        root.join("asked").display()
    );
    program(&root.join("bin/rustc"), &script);
}

/// A system toolchain that has the host's library and the sources.
fn system(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path("tool");
    rustc(&root, COMMIT);
    let asked = root.join("asked");
    let script = format!(
        "[ \"$*\" = -V ] && {{ echo 'cargo 1.97.0'; exit; }}\necho \"$*\" >> {}\nexit 1\n",
        asked.display()
    );
    program(&root.join("bin/cargo"), &script);
    for (path, text) in [
        (
            "lib/rustlib/src/rust/library/Cargo.lock".to_owned(),
            "version = 4\n",
        ),
        (
            "lib/rustlib/src/rust/library/core/src/lib.rs".to_owned(),
            "",
        ),
        (format!("lib/rustlib/{HOST}/lib/libcore-1.rlib"), "core"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn of_system(targets: &[&str]) -> String {
    let tables = targets.iter().map(|target| format!("[targets.{target}]\n"));
    format!(
        "[toolchain]\nchannel = \"system\"\n{}",
        tables.collect::<String>()
    )
}

#[test]
fn the_output_is_never_taken_for_the_systems_toolchain() {
    let mut sandbox = Sandbox::new();
    let tool = system(&sandbox);
    let project = sandbox.project("p", &of_system(&[HOST]));
    let path = |dirs: &[&Path]| {
        let dirs = dirs.iter().map(|dir| dir.to_str().unwrap());
        dirs.chain(["/usr/bin:/bin"]).collect::<Vec<_>>().join(":")
    };
    let (own, bin) = (project.join(".sysroot/bin"), tool.join("bin"));
    sandbox.set("PATH", &path(&[&bin]));
    sandbox.run(&project, &["sync"]).exits(0);
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let script = fs::read_to_string(own.join("rustc")).unwrap();
    assert!(script.contains("/tool/bin/rustc"), "{script}");
    // What stands for a linked toolchain, as rustup's proxy does.
    let proxy = sandbox.path("proxy");
    let script = format!("exec '{}' \"$@\"\n", own.join("rustc").display());
    program(&proxy.join("rustc"), &script);
    sandbox.set("RUSTUP_TOOLCHAIN", "linked");
    sandbox.set("RUSTC", own.join("rustc").to_str().unwrap());
    for first in [&own, &proxy] {
        sandbox.set("PATH", &path(&[first, &bin]));
        sandbox.run(&project, &["lock"]).exits(0);
        fs::remove_dir_all(project.join(".sysroot/bin")).unwrap();
        program(&own.join("rustc"), "exec /nonexistent\n");
        if *first == own {
            sandbox.run(&project, &["sync"]).exits(0);
        } else {
            // The proxy needs what it stands for.
            sandbox.set("PATH", &path(&[&bin]));
            sandbox.run(&project, &["sync"]).exits(0);
        }
        let now = fs::read_to_string(project.join("sysroot.lock")).unwrap();
        assert_eq!(now, lock);
        let script = fs::read_to_string(own.join("rustc")).unwrap();
        assert!(script.contains("/tool/bin/rustc"), "{script}");
    }
    for only in [&own, &proxy] {
        // An empty directory instead of the system's, which may have a compiler.
        sandbox.set("PATH", only.to_str().unwrap());
        sandbox
            .run(&project, &["lock"])
            .exits(2)
            .mentions("SYSROOT_RUSTC");
        sandbox.set("PATH", &path(&[&bin]));
        sandbox.set("SYSROOT_RUSTC", only.join("rustc").to_str().unwrap());
        sandbox
            .run(&project, &["lock"])
            .exits(2)
            .mentions("project's output");
        sandbox.env.remove("SYSROOT_RUSTC");
    }
}

#[test]
fn case_156_another_compiler_than_the_locked_one_compiles_nothing() {
    let mut sandbox = Sandbox::new();
    let tool = system(&sandbox);
    sandbox.set("SYSROOT_RUSTC", tool.join("bin/rustc").to_str().unwrap());
    let project = sandbox.project("p", &of_system(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    sandbox.run(&project, &["lock", "--check"]).exits(0);
    let before = fs::read(project.join("sysroot.lock")).unwrap();
    let other = COMMIT.replace('e', "f");
    rustc(&tool, &other);
    for command in [&["sync"][..], &["sync", "--locked"], &["sync", "--frozen"]] {
        sandbox.run(&project, command).exits(7).mentions(&other);
    }
    assert!(!tool.join("asked").exists(), "something was compiled");
    // A check asks the machine, too.
    sandbox
        .run(&project, &["lock", "--check"])
        .exits(1)
        .mentions("would change");
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), before);
}

#[test]
fn case_157_a_checkouts_files_are_never_run() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let marker = sandbox.path("marker");
    let touch = format!("touch '{}'\nexec \"$@\"\n", marker.display());
    program(&project.join("wrapper"), &touch);
    fs::create_dir(project.join(".cargo")).unwrap();
    let wrapper = project.join("wrapper").display().to_string();
    let config = format!(
        "[build]\nrustc = \"{wrapper}\"\nrustc-wrapper = \"{wrapper}\"\n[alias]\nbuild = \"run\"\n"
    );
    fs::write(project.join(".cargo/config.toml"), config).unwrap();
    let path = format!("[toolchain]\npath = \"{}\"\n", project.display());
    fs::write(project.join("rust-toolchain.toml"), path).unwrap();
    program(&project.join("bin/rustc"), &touch);
    fs::write(
        project.join("build.rs"),
        format!("fn main() {{ std::fs::write({marker:?}, \"\").unwrap() }}"),
    )
    .unwrap();
    for command in [&["sync"][..], &["verify"], &["verify", "--deep"]] {
        sandbox.run(&project, command).exits(0);
        assert!(!marker.exists(), "{command:?}");
    }
}

#[test]
fn case_157_verify_starts_nothing_connects_nowhere_and_writes_nothing() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let trace = sandbox.path("trace");
    for arguments in [&["verify"][..], &["verify", "--deep"]] {
        let mut command = std::process::Command::new("strace");
        command
            .args(["-f", "-e", "trace=network,openat,execve,creat", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_sysroot"))
            .args(arguments);
        command.env_clear().envs(&sandbox.env).current_dir(&project);
        said(&mut command).exits(0);
        let text = fs::read_to_string(&trace).unwrap();
        let calls = |what: &str| text.lines().filter(|l| l.contains(what)).count();
        assert!(calls("openat(") > 5, "nothing was traced:\n{text}");
        assert_eq!(calls("connect("), 0, "{text}");
        assert_eq!(calls("execve("), 1, "{text}");
        let ours = [&project, &sandbox.path("cache")].map(|dir| dir.to_str().unwrap().to_owned());
        for line in text.lines() {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("];
            let relative = line.contains("openat(") && !line.contains("\"/");
            let inside = relative || ours.iter().any(|dir| line.contains(dir));
            let opens = inside && writes.iter().any(|flag| line.contains(flag));
            assert!(!opens, "{line}");
        }
    }
}

#[test]
fn one_servers_manifest_does_not_answer_for_another() {
    let (mut sandbox, _first) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    let text = |project: &Path| fs::read_to_string(project.join("sysroot.lock")).unwrap();
    // A mirror of the same day with other bytes.
    let elsewhere = Sandbox::new();
    let root = dist(&elsewhere, Release::nightly(DATE).packages(packages("b")));
    let second = FileServer::start(&root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &format!("{}/", second.url()));
    let other = sandbox.project("q", &manifest(&[THUMB]));
    sandbox.run(&other, &["lock"]).exits(0);
    assert_ne!(text(&other), text(&project));
    let asked = second.requests().len();
    // With and without the slash it is one server.
    sandbox.set("SYSROOT_DIST_SERVER", &second.url());
    let third = sandbox.project("r", &manifest(&[THUMB]));
    sandbox.run(&third, &["lock"]).exits(0);
    assert_eq!(text(&third), text(&other));
    assert_eq!(second.requests().len(), asked);
}

#[test]
fn many_processes_heal_one_damaged_tree_together() {
    let (sandbox, _server) = served();
    let projects: Vec<_> = (0..4)
        .map(|n| sandbox.project(&format!("p{n}"), &manifest(&[THUMB])))
        .collect();
    for round in 1..=3 {
        for project in &projects {
            sandbox.run(project, &["sync"]).exits(0);
            fs::remove_dir_all(project.join(".sysroot")).unwrap();
        }
        let name = format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib");
        let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
        let mut files = trees.map(|tree| tree.unwrap().path().join(&name));
        let file = files.find(|file| file.exists()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let size = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![b'?'; usize::try_from(size).unwrap()]).unwrap();
        let start = |project: &PathBuf| {
            let mut command = sandbox.command(project, &["sync"]);
            command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let children: Vec<_> = projects.iter().map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
        }
        for project in &projects {
            sandbox.run(project, &["verify", "--deep"]).exits(0);
        }
        let kept = fs::read_dir(sandbox.cache().join("quarantine")).unwrap();
        assert_eq!(kept.count(), round, "a whole tree was taken away");
    }
}
