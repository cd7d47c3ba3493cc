//! Surroundings that are not as usual: home directories, names, working
//! directories, terminals, languages, and what else is in the cache.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::{Said, Sandbox, said, snapshot};

/// A shell in a directory, with the binary as `$SYSROOT`.
fn shell(sandbox: &Sandbox, dir: &Path, script: &str) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir);
    command.env_clear().envs(&sandbox.env);
    command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"));
    said(&mut command)
}

#[test]
fn case_159_home_directories_of_every_kind() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.env.remove("SYSROOT_CACHE_DIR");
    let good = sandbox.path("home").to_str().unwrap().to_owned();
    let file = sandbox.path("file");
    fs::write(&file, "no directory").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let absent = sandbox.path("absent").to_str().unwrap().to_owned();
    let xdg = sandbox.path("xdg").to_str().unwrap().to_owned();
    // HOME, XDG_CACHE_HOME, exit code, and where the cache is then.
    let table: [(Option<&str>, Option<&str>, i32, Option<String>); 8] = [
        (Some(&good), None, 0, Some(format!("{good}/.cache/sysroot"))),
        (
            Some(&good),
            Some(""),
            0,
            Some(format!("{good}/.cache/sysroot")),
        ),
        (
            Some(&good),
            Some("relative"),
            0,
            Some(format!("{good}/.cache/sysroot")),
        ),
        (Some(&good), Some(&xdg), 0, Some(format!("{xdg}/sysroot"))),
        (
            Some(&absent),
            None,
            0,
            Some(format!("{absent}/.cache/sysroot")),
        ),
        (Some(&file), None, 2, None),
        (Some("relative"), None, 2, None),
        (Some(&good), Some(&file), 9, None),
    ];
    for (home, cache, code, place) in table {
        let _ = fs::remove_dir_all(project.join(".sysroot"));
        for (name, value) in [("HOME", home), ("XDG_CACHE_HOME", cache)] {
            match value {
                Some(value) => sandbox.set(name, value),
                None => drop(sandbox.env.remove(name)),
            }
        }
        let said = sandbox.run(&project, &["sync"]);
        let what = format!("{home:?} {cache:?}: {} {}", said.code, said.err);
        assert_eq!(said.code, code, "{what}");
        let is_told = said.err.contains("SYSROOT_CACHE_DIR") || said.err.contains(&file);
        assert!(code == 0 || is_told, "{what}");
        if let Some(place) = place {
            assert!(Path::new(&place).join("v1/trees").is_dir(), "{what}");
            fs::remove_dir_all(place).unwrap();
        }
    }
    // A user whom the machine does not know has no home unless HOME says so.
    let binary = sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    for home in ["-u HOME", "HOME="] {
        let script = format!(
            "chmod 711 '{0}' && exec setpriv --reuid 4712 --regid 4712 --clear-groups \
             env -u XDG_CACHE_HOME {home} '{0}/sysroot' sync",
            sandbox.path("").display()
        );
        let said = shell(&sandbox, &project, &script).exits(2);
        said.mentions("SYSROOT_CACHE_DIR");
    }
    // With a cache of one's own no home is needed.
    sandbox.env.remove("HOME");
    sandbox.env.remove("XDG_CACHE_HOME");
    let cache = sandbox.path("cache").to_str().unwrap().to_owned();
    sandbox.set("SYSROOT_CACHE_DIR", &cache);
    sandbox.run(&project, &["sync"]).exits(0);
}

#[test]
fn case_160_thirty_odd_names_of_directories() {
    let (sandbox, _server) = served();
    let first = sandbox.project("first", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    let want = snapshot(&first.join(".sysroot/lib"));
    let names: Vec<OsString> = [
        " ",
        "  lead",
        "trail  ",
        "tab\there",
        "new\nline",
        "cr\rhere",
        "bell\u{7}",
        "\u{1b}[31m",
        "'",
        "\"",
        "`id`",
        "$HOME",
        "$(id)",
        "a;b",
        "a&b",
        "a|b",
        "a>b",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "#",
        "%41",
        "\\",
        "a:b",
        "--help",
        "-C",
        "caf\u{65}\u{301}",
        "\u{202e}rtl",
        "\u{1f980}",
        "con",
        "a.toml",
    ]
    .iter()
    .map(OsString::from)
    .chain([
        OsString::from_vec(b"\xff\xfe".to_vec()),
        OsString::from("x".repeat(255)),
    ])
    .collect();
    assert!(names.len() >= 30);
    for name in names {
        let project = sandbox.path("odd").join(&name);
        fs::create_dir_all(&project).unwrap();
        for file in ["sysroot.toml", "sysroot.lock"] {
            fs::copy(first.join(file), project.join(file)).unwrap();
        }
        let said = sandbox.run(&project, &["sync", "--locked"]);
        assert_eq!(said.code, 0, "{name:?}: {}", said.err);
        assert_eq!(snapshot(&project.join(".sysroot/lib")), want, "{name:?}");
        let said = sandbox.run(&project, &["verify", "--deep"]);
        assert_eq!(said.code, 0, "{name:?}: {}", said.err);
        // A name must not speak to the terminal.
        let said = sandbox.run(&project, &["verify", "--deep", "-v"]);
        assert!(!said.err.contains('\u{1b}'), "{name:?}: {}", said.err);
    }
    let said = sandbox.run(&first, &["cache", "gc", "--max-age", "0s", "--json"]);
    let report = said.exits(0).json();
    assert_eq!(report["projects"].as_array().unwrap().len(), 0, "{report}");
}

#[test]
fn case_160_paths_as_long_as_the_system_allows_and_longer() {
    let (sandbox, _server) = served();
    let first = sandbox.project("first", &manifest(&[THUMB]));
    sandbox.run(&first, &["sync"]).exits(0);
    // As deep as a path can be told in one call, less more and more of what an
    // output needs below it. The shell goes there step by step.
    for length in [3500, 3900, 4000, 4090] {
        let name = "d".repeat(200);
        let script = format!(
            "cp sysroot.toml sysroot.lock ..; cd ..; rm -rf deep; mkdir deep; cd -P deep
             while [ ${{#PWD}} -lt $(({length} - 201)) ]; do mkdir {name}; cd -P {name}; done
             rest=$(({length} - ${{#PWD}} - 1)); last=$(printf \"%${{rest}}s\" | tr ' ' e)
             mkdir $last; cd -P $last; [ ${{#PWD}} = {length} ] || exit 99
             cp '{0}/sysroot.toml' '{0}/sysroot.lock' . || exit 98
             exec \"$SYSROOT\" sync --locked",
            first.display()
        );
        let said = shell(&sandbox, &first, &script);
        let what = format!("{length}: {} {}", said.code, said.err);
        assert!(matches!(said.code, 0 | 9), "{what}");
        assert!(
            said.code == 0 || said.err.contains("File name too long"),
            "{what}"
        );
        assert!(length > 3500 || said.code == 0, "{what}");
    }
}

#[test]
fn case_160_working_directories_that_are_gone_or_closed() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let gone = shell(
        &sandbox,
        &project,
        "mkdir ../gone && cd ../gone && rmdir ../gone && exec \"$SYSROOT\" sync",
    );
    assert!(matches!(gone.code, 2 | 9), "{} {}", gone.code, gone.err);
    assert!(gone.err.contains("error:"), "{}", gone.err);
    // From there another directory can be named.
    let named = format!(
        "mkdir ../gone && cd ../gone && rmdir ../gone && exec \"$SYSROOT\" -C '{}' sync",
        project.display()
    );
    shell(&sandbox, &project, &named).exits(0);
    // A directory that its user may search and not list.
    let binary = sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    let script = format!(
        "chmod 711 '{0}' && chown -R 4712 . '{0}/home' && chmod 300 . && \
         exec setpriv --reuid 4712 --regid 4712 --clear-groups env HOME='{0}/home' \
         SYSROOT_CACHE_DIR='{0}/home/cache' '{0}/sysroot' sync",
        sandbox.path("").display()
    );
    shell(&sandbox, &project, &script).exits(0);
    assert!(super::core(&project, THUMB).exists());
}

#[test]
fn case_162_a_link_that_is_swapped_while_it_is_used_changes_nothing() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let (cache, real, other) = (
        sandbox.path("cache"),
        sandbox.path("real"),
        sandbox.path("other"),
    );
    for dir in [&real, &other] {
        fs::create_dir(dir).unwrap();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    symlink(&real, &cache).unwrap();
    let mut swaps = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..12 {
                let _ = fs::remove_dir_all(project.join(".sysroot"));
                sandbox.run(&project, &["sync"]).exits(0);
            }
        });
        let staged = sandbox.path("staged");
        while !writer.is_finished() {
            let to = if swaps % 2 == 0 { &other } else { &real };
            symlink(to, &staged).unwrap();
            fs::rename(&staged, &cache).unwrap();
            swaps += 1;
        }
        writer.join().unwrap();
    });
    assert!(swaps > 24, "{swaps}");
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
    for dir in [&real, &other] {
        fs::remove_file(&cache).unwrap();
        symlink(dir, &cache).unwrap();
        sandbox.run(&project, &["cache", "verify"]).exits(0);
    }
}

#[test]
fn case_167_a_project_that_can_only_be_read() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let read_only = |script: &str| {
        let script = format!(
            "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" && ! touch x 2>/dev/null \
             && {script}"
        );
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", &script])
            .current_dir(&project);
        command.env_clear().envs(&sandbox.env);
        command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"));
        said(&mut command)
    };
    let said = read_only("exec \"$SYSROOT\" sync").exits(9);
    said.mentions("Read-only file system")
        .mentions("sysroot.lock");
    sandbox.run(&project, &["lock"]).exits(0);
    read_only("exec \"$SYSROOT\" sync --locked")
        .exits(9)
        .mentions(".sysroot");
    sandbox.run(&project, &["sync"]).exits(0);
    let before = snapshot(&project);
    // With everything in place there is nothing to write.
    for command in [
        "sync",
        "sync --locked",
        "verify --deep",
        "status",
        "path",
        "env",
    ] {
        read_only(&format!("exec \"$SYSROOT\" {command}")).exits(0);
    }
    assert_eq!(snapshot(&project), before);
}

#[test]
fn case_168_without_links_files_are_copied_and_that_is_said() {
    for error in ["EPERM", "EXDEV", "EMLINK", "EOPNOTSUPP"] {
        let (mut sandbox, _server) = served();
        let project = sandbox.project("p", &manifest(&[THUMB]));
        sandbox.set("SYSROOT_LINK_MODE", "hardlink");
        let script = format!(
            "exec strace -f -qq -o /dev/null -e trace=link,linkat \
             -e inject=link,linkat:error={error} \"$SYSROOT\" sync"
        );
        let said = shell(&sandbox, &project, &script).exits(0);
        said.mentions("by copy");
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
        let store = snapshot(&sandbox.cache().join("trees"));
        assert!(!store.is_empty());
    }
}

#[test]
fn case_168_a_terminal_that_is_none_and_languages_nobody_speaks() {
    let (sandbox, _server) = served();
    let mut plain: Option<String> = None;
    for (n, env) in [
        &[][..],
        &[("NO_COLOR", "1")],
        &[("TERM", "dumb")],
        &[("TERM", "xterm-256color"), ("NO_COLOR", "1")],
        &[("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR")],
        &[("LC_ALL", "xx_YY.weird"), ("TZ", "Nowhere/Land")],
        &[("COLUMNS", "1"), ("LINES", "0")],
    ]
    .into_iter()
    .enumerate()
    {
        let project = sandbox.project(&format!("p{n}"), &manifest(&[THUMB]));
        let run = |arguments: &[&str]| {
            let mut command = sandbox.command(&project, arguments);
            said(command.envs(env.iter().copied()))
        };
        let synced = run(&["sync"]).exits(0);
        let all = format!("{}{}", synced.out, synced.err);
        assert!(!all.contains('\u{1b}'), "{env:?}: {all:?}");
        let checked = run(&["verify", "--deep"]).exits(0);
        let text = format!("{}{}", checked.out, checked.err).replace(&format!("/p{n}"), "/p");
        assert_eq!(*plain.get_or_insert_with(|| text.clone()), text, "{env:?}");
    }
}

#[cfg(feature = "fault-injection")]
#[test]
fn case_168_a_file_system_from_which_no_program_may_be_started() {
    let bed = super::crash::Bed::new();
    bed.locked("p", super::crash::BUILT);
    let cache = bed.sandbox.path("cache");
    fs::create_dir(&cache).unwrap();
    let (sandbox, project) = (&bed.sandbox, bed.dir("p"));
    let mounted = |place: &Path, script: &str| {
        let script = format!(
            "mount -t tmpfs -o mode=700,noexec none '{}' && cd \"$PWD\" && {script}",
            place.display()
        );
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", &script])
            .current_dir(&project);
        command.env_clear().envs(&sandbox.env);
        command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"));
        said(&mut command)
    };
    // The compiler is in the cache.
    let told = mounted(&cache, "exec \"$SYSROOT\" sync").exits(7);
    told.mentions("Permission denied")
        .mentions("noexec")
        .mentions("SYSROOT_CACHE_DIR");
    // An output is only written to, and its programs are the user's to start.
    bed.run("p", &["sync"], &[]).exits(0);
    let output = project.join(".sysroot");
    fs::remove_dir_all(&output).unwrap();
    fs::create_dir(&output).unwrap();
    let script = "\"$SYSROOT\" sync --locked && \"$SYSROOT\" verify --deep && \
                  exec \"$SYSROOT\" run -- rustc";
    let told = mounted(&output, script).exits(2);
    told.mentions("Permission denied").mentions("rustc");
}

#[test]
fn case_119_what_another_version_keeps_beside_ours_is_left_alone() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    let size = || {
        sandbox
            .run(&project, &["cache", "size", "--json"])
            .exits(0)
            .out
    };
    let before = size();
    let other = sandbox.path("cache/v2");
    // Names as ours are, with what we would take for damage or garbage.
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap();
    for tree in trees {
        let name = tree.unwrap().file_name();
        fs::create_dir_all(other.join("trees").join(&name)).unwrap();
        fs::write(other.join("trees").join(&name).join("file"), "of v2").unwrap();
        fs::create_dir_all(other.join("listings")).unwrap();
        fs::write(other.join("listings").join(&name), "sysroot-tree-v2\n").unwrap();
    }
    for (file, text) in [
        ("locks/use", "v2"),
        ("tmp/stage-0a1b2c3d.lock", ""),
        ("tmp/stage-0a1b2c3d/file", "staged"),
        ("roots/read.me", "not a record"),
        ("last-gc", "0"),
        (".hidden.new", "temporary"),
    ] {
        let path: PathBuf = other.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("/nowhere", other.join("link")).unwrap();
    fs::write(sandbox.path("cache/notes"), "of somebody").unwrap();
    let foreign = || {
        let all = snapshot(&sandbox.path("cache")).into_iter();
        let of_others = all.filter(|(name, _)| !name.starts_with("v1/"));
        of_others.collect::<Vec<_>>()
    };
    let kept = foreign();
    assert_eq!(size(), before);
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    for arguments in [
        &["sync"][..],
        &["cache", "verify"],
        &["cache", "verify", "--repair"],
        &["cache", "gc", "--max-age", "0s", "--max-size", "0"],
        &["cache", "evict", "--all-unused"],
        &["cache", "list"],
        &["sync", "--locked"],
        &["verify", "--deep"],
    ] {
        let said = sandbox.run(&project, arguments).exits(0);
        assert!(!said.err.contains("v2"), "{arguments:?}: {}", said.err);
        assert_eq!(foreign(), kept, "{arguments:?}");
    }
}
