//! Surroundings that would have us take one thing for another: our own output
//! for the system's toolchain, a checkout's files for settings, one server's
//! word for another's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::tracing::{Call, REACHES, plant, traced};
use super::{COMMIT, DATE, HOST, THUMB, core, dist, manifest, packages, publish, served};
use crate::support::compiler::{FakeCompiler, manifest as compiled};
use crate::support::dist::Release;
use crate::support::sandbox::Sandbox;
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
    // One that has no sources is still another one first of all.
    let script = fs::read_to_string(tool.join("bin/rustc")).unwrap();
    program(
        &tool.join("bin/rustc"),
        &script.replace("1.97.0 (", "1.98.0 ("),
    );
    fs::rename(tool.join("lib/rustlib/src"), tool.join("src")).unwrap();
    let said = sandbox.run(&project, &["sync"]).exits(7);
    said.mentions("lock \"rustc 1.97.0 (test)\", machine \"rustc 1.98.0 (test)\"");
}

/// What sysroot may open in a checkout: its own files, and those of its output.
fn is_own(below: &Path) -> bool {
    let first = below.components().next();
    let first = first.map_or("", |part| part.as_os_str().to_str().unwrap());
    let whole = below.to_str().unwrap();
    // A lock is replaced by way of a file beside it.
    let beside = first.starts_with(".sysroot.lock");
    beside
        || first == ".sysroot"
        || ["", "sysroot.toml", "sysroot.lock", "targets/my-os.json"].contains(&whole)
}

/// The calls of a run in a hostile checkout that start a program, open a file
/// or a connection; each is checked against what the run is allowed.
fn check_calls(calls: &[Call], project: &Path, server: &str) {
    for call in calls {
        if call.starts_a_program() {
            let path = &call.paths[0];
            assert!(!path.starts_with(project), "started: {}", call.text);
        } else if call.name == "connect" {
            let port = server.rsplit(':').next().unwrap().trim_end_matches('/');
            let text = &call.text;
            let allowed = text.contains("AF_UNIX") || text.contains(&format!("htons({port})"));
            assert!(allowed, "connected: {text}");
        } else if call.opens() {
            let mut below = (call.paths.iter()).filter_map(|path| path.strip_prefix(project).ok());
            assert!(below.all(is_own), "opened: {}", call.text);
        }
    }
}

#[test]
fn case_157_p18_a_checkouts_files_are_never_run_nor_even_opened() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let marker = sandbox.path("marker");
    plant(&project, &marker);
    for command in [
        &["lock"][..],
        &["sync"],
        &["sync", "--locked"],
        &["verify"],
        &["verify", "--deep"],
        &["status"],
    ] {
        let (said, calls) = traced(&sandbox, &project, REACHES, command);
        said.exits(0);
        check_calls(&calls, &project, &server.url());
        assert!(!marker.exists(), "{command:?}");
    }
}

/// A project whose targets are compiled, one of them by a spec of its own, in
/// a checkout full of traps; and its compiler.
fn compiles() -> (Sandbox, FakeCompiler, PathBuf) {
    let mut sandbox = Sandbox::new();
    let (compiler, root) = FakeCompiler::write_with(&sandbox.path(""), &[]);
    sandbox.set("SYSROOT_DIST_SERVER", &format!("file://{}", root.display()));
    let text = compiled(&[THUMB]) + "[targets.my-os]\nspec = \"targets/my-os.json\"\n";
    let project = sandbox.project("p", &text);
    plant(&project, &sandbox.path("marker"));
    let spec = "{\"llvm-target\": \"thumbv7em-none-eabi\", \"arch\": \"arm\"}";
    fs::write(project.join("targets/my-os.json"), spec).unwrap();
    (sandbox, compiler, project)
}

#[test]
fn case_157_p18_a_build_that_succeeds_runs_and_opens_nothing_of_the_checkout_either() {
    let (sandbox, compiler, project) = compiles();
    let (said, calls) = traced(&sandbox, &project, REACHES, &["sync"]);
    said.exits(0);
    check_calls(&calls, &project, ":0");
    // It was a real run: both were compiled, and what is there is the result.
    assert_eq!(compiler.built().len(), 2);
    // They are put together in the cache.
    let own = sandbox.cache().join("tmp");
    let programs: Vec<&Path> = (calls.iter())
        .filter(|call| call.starts_a_program())
        .map(|call| call.paths[0].as_path())
        .collect();
    let ours = programs.iter().filter(|path| path.starts_with(&own));
    assert!(ours.count() >= 4, "{programs:?}");
    for target in [THUMB, "my-os"] {
        let lib = project.join(format!(".sysroot/lib/rustlib/{target}/lib"));
        assert_eq!(fs::read_dir(lib).unwrap().count(), 3);
    }
    // The programs of the output belong to the project, and nobody ran them.
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
    let (said, calls) = traced(&sandbox, &project, REACHES, &["verify", "--rebuild"]);
    said.exits(0);
    check_calls(&calls, &project, ":0");
    assert_eq!(compiler.built().len(), 4);
    assert!(!sandbox.path("marker").exists());
}

#[test]
fn p17_everything_that_a_run_changes_is_below_cache_output_and_lock() {
    let (built, compiler, one) = compiles();
    let (downloaded, _server) = served();
    let two = downloaded.project("p", &manifest(&[THUMB]));
    plant(&two, &downloaded.path("marker"));
    for (sandbox, project) in [(&built, &one), (&downloaded, &two)] {
        let own = |path: &Path| {
            let below = path.strip_prefix(project).ok();
            let own = below.is_some_and(|below| {
                let first = below.components().next();
                let name = first.and_then(|part| part.as_os_str().to_str());
                name.is_some_and(|n| {
                    n == ".sysroot" || n == "sysroot.lock" || n.starts_with(".sysroot.lock")
                })
            });
            own || path.starts_with(sandbox.path("cache"))
                || path.starts_with("/dev/null")
                || path.starts_with("/dev/tty")
                // What the fake compiler counts in is not sysroot's doing.
                || path.starts_with(sandbox.path("compiler"))
        };
        for command in [
            &["lock"][..],
            &["sync"],
            &["sync"],
            &["verify", "--deep"],
            &["cache", "gc"],
        ] {
            let (said, calls) = traced(sandbox, project, "%file", command);
            said.exits(0);
            let changes = calls.iter().filter(|call| call.changes());
            for call in changes {
                assert!(
                    call.paths.iter().all(|path| own(path)),
                    "{command:?}: {}",
                    call.text
                );
            }
        }
        assert!(project.join(".sysroot/lib").exists());
    }
    assert_eq!(compiler.built().len(), 2);
}

#[test]
fn case_155_and_157_p18_compilers_see_nothing_of_the_checkout_or_the_surroundings() {
    let mut sandbox = Sandbox::new();
    let tool = system(&sandbox);
    let seen = sandbox.path("seen");
    // Programs that tell where and with what they were started.
    let tells = |what: &str| {
        format!(
            "{{ {what} echo \"cwd $(pwd)\"; }} >> '{}'\n",
            seen.display()
        )
    };
    let script = format!(
        "[ \"$*\" = -V ] && echo 'cargo 1.97.0'\n{}[ \"$*\" = -V ] && exit 0\nexit 1\n",
        tells("env;")
    );
    program(&tool.join("bin/cargo"), &script);
    let rustc = fs::read_to_string(tool.join("bin/rustc")).unwrap();
    // The user's own compiler is asked where it stands in the user's
    // environment, which a proxy needs; all else is asked in an empty one.
    let asked = format!(
        "case \"$*\" in *'print sysroot') {};; *) {};; esac\n",
        tells("").trim_end(),
        tells("env;").trim_end()
    );
    let rustc = rustc.strip_prefix("#!/bin/sh\n").unwrap();
    program(&tool.join("bin/rustc"), &format!("{asked}{rustc}"));
    for name in [
        "core",
        "alloc",
        "std",
        "compiler-builtins/compiler-builtins",
        "sysroot",
    ] {
        let dir = tool.join("lib/rustlib/src/rust/library").join(name);
        fs::create_dir_all(&dir).unwrap();
        let name = name.rsplit('/').next().unwrap();
        let text = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\n");
        fs::write(dir.join("Cargo.toml"), text).unwrap();
    }
    let workspace = tool.join("lib/rustlib/src/rust/library/Cargo.toml");
    fs::write(workspace, "[workspace]\nmembers = [\"std\", \"sysroot\"]\n").unwrap();
    sandbox.set("SYSROOT_RUSTC", tool.join("bin/rustc").to_str().unwrap());
    let parent = sandbox.path("above");
    let project = sandbox.project("above/p", &of_system(&[THUMB]));
    let marker = sandbox.path("marker");
    plant(&project, &marker);
    plant(&parent, &marker);
    plant(&sandbox.path("home"), &marker);
    let hostile = [
        ("RUSTFLAGS", "-Clinker=/marked"),
        ("CARGO_ENCODED_RUSTFLAGS", "-Clinker=/marked"),
        ("CARGO_BUILD_RUSTFLAGS", "-Clinker=/marked"),
        ("RUSTC", "/marked"),
        ("RUSTC_WRAPPER", "/marked"),
        ("RUSTC_WORKSPACE_WRAPPER", "/marked"),
        ("CARGO_BUILD_RUSTC_WRAPPER", "/marked"),
        ("CARGO_HOME", "/marked"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "/marked"),
        ("CARGO_TARGET_DIR", "/marked"),
        ("RUSTUP_TOOLCHAIN", "/marked"),
        ("RUSTUP_HOME", "/marked"),
        ("RUST_TARGET_PATH", "/marked"),
        ("LD_PRELOAD", "/marked.so"),
        ("LD_LIBRARY_PATH", "/marked"),
        ("LD_AUDIT", "/marked.so"),
        ("CC", "/marked"),
        ("MAKEFLAGS", "/marked"),
    ];
    sandbox.run(&project, &["lock"]).exits(0);
    let lock = fs::read(project.join("sysroot.lock")).unwrap();
    fs::remove_file(project.join("sysroot.lock")).unwrap();
    for (name, value) in hostile {
        sandbox.set(name, value);
    }
    // The key, which is in the lock, does not depend on any of it.
    sandbox.run(&project, &["lock"]).exits(0);
    assert_eq!(fs::read(project.join("sysroot.lock")).unwrap(), lock);
    let (said, calls) = traced(&sandbox, &project, REACHES, &["sync"]);
    said.exits(7);
    // The fake programs stand beside the project, so its own path is what counts.
    check_calls(&calls, &project, ":0");
    let text = fs::read_to_string(&seen).unwrap();
    assert!(
        text.matches("cwd ").count() >= 2,
        "no compiler was started:\n{text}"
    );
    assert!(!text.contains("/marked"), "{text}");
    assert!(!text.contains(parent.to_str().unwrap()), "{text}");
    assert!(!marker.exists());
}

#[test]
fn case_153_to_157_a_manifest_cannot_choose_servers_remotes_keys_policy_or_programs() {
    let (sandbox, server) = served();
    for (table, key) in [
        ("", "dist"),
        ("", "remotes"),
        ("", "trust"),
        ("", "cache"),
        ("", "signature"),
        ("[toolchain]\n", "rustc"),
        ("[toolchain]\n", "cargo"),
        ("[toolchain]\n", "server"),
        ("[toolchain]\n", "path"),
        ("[defaults]\n", "linker"),
        ("[defaults]\n", "rustc-wrapper"),
        ("[defaults]\n", "runner"),
        ("[targets.my-os]\n", "remote"),
        ("[targets.my-os]\n", "keys"),
        ("[targets.my-os]\n", "env"),
    ] {
        let text = manifest(&[THUMB]);
        let line = format!("{key} = \"http://127.0.0.1:1\"\n");
        let text = match table {
            "" => format!("{line}{text}"),
            "[toolchain]\n" => text.replacen(table, &format!("{table}{line}"), 1),
            other => format!("{text}{other}{line}"),
        };
        let project = sandbox.project("p", &text);
        for command in ["lock", "sync", "verify"] {
            let said = sandbox.run(&project, &[command]).exits(2);
            let all = format!("{}{}", said.out, said.err);
            assert!(
                all.contains(&format!("unknown key `{key}`")),
                "{command}: {all}"
            );
        }
    }
    for flag in [
        "-Clinker=/x",
        "-Zllvm-plugins=x.so",
        "-Zcodegen-backend=x.so",
        "-Cllvm-args=-load=x.so",
        "@file",
        "-ox",
        "--extern=x=y",
        "-Lx",
        "--sysroot=x",
        "--emit=link=x",
        "-Cincremental=x",
    ] {
        let text = format!("{}rustflags = [\"{flag}\"]\n", manifest(&[THUMB]));
        let project = sandbox.project("p", &text);
        for command in ["lock", "sync", "verify"] {
            sandbox.run(&project, &[command]).exits(2).mentions(flag);
        }
    }
    assert!(server.requests().is_empty());
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

/// The channel manifest names servers, but which ones are asked is the user's
/// to say; a path of this machine is none.
#[test]
fn case_019_a_manifest_names_neither_servers_nor_files() {
    let (mut sandbox, server) = served();
    let day = sandbox.path("dist-root/dist").join(DATE);
    // What would do if it were opened: the very archives, on a server that
    // nobody configured and in a directory of this machine.
    let marker = sandbox.path("marker/dist").join(DATE);
    fs::create_dir_all(&marker).unwrap();
    let archives = || {
        let entries = fs::read_dir(&day).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        let is_archive =
            |entry: &fs::DirEntry| name(entry).contains(THUMB) && name(entry).contains(".tar.");
        entries.filter(is_archive).collect::<Vec<_>>()
    };
    for archive in archives() {
        fs::copy(archive.path(), marker.join(archive.file_name())).unwrap();
    }
    let trap = FileServer::start(&sandbox.path("marker")).unwrap();
    let text = fs::read_to_string(day.join("channel-rust-nightly.toml")).unwrap();
    for (name, url) in [
        (
            "file",
            format!("file://{}", sandbox.path("marker").display()),
        ),
        ("foreign", trap.url()),
    ] {
        let changed = text.replace("https://static.rust-lang.org", &url);
        assert_ne!(changed, text);
        publish(&sandbox.path("dist-root"), changed.as_bytes());
        // The server that the user chose is asked, and by the path only.
        let cache = sandbox.path(&format!("cache-{name}"));
        sandbox.set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
        let project = sandbox.project(name, &manifest(&[THUMB]));
        let asked = server.requests().len();
        let (said, calls) = traced(&sandbox, &project, "%file", &["sync"]);
        said.exits(0);
        assert!(core(&project, THUMB).exists());
        let archive = |line: &String| line.contains(THUMB) && line.contains(".tar.");
        assert!(server.requests()[asked..].iter().any(archive));
        let touched = calls.iter().find(|call| call.text.contains("/marker/"));
        assert!(touched.is_none(), "{touched:?}");
        let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
        assert!(!lock.contains("marker") && !lock.contains("://"), "{lock}");
    }
    // If that one lacks the archive, nothing else is a substitute.
    for archive in archives() {
        fs::remove_file(archive.path()).unwrap();
    }
    let cache = sandbox.path("cache-lacking");
    sandbox.set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    let project = sandbox.project("lacking", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(4);
    assert!(!core(&project, THUMB).exists());
    assert_eq!(trap.requests(), Vec::<String>::new());
}
