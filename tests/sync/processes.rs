//! Several processes, closed pipes, and environments that are not as usual.

use std::fs;
use std::process::Stdio;

use super::{THUMB, manifest, served};
use crate::support::sandbox::{said, snapshot};

#[test]
fn case_104_many_processes_download_each_object_once() {
    let (sandbox, server) = served();
    let projects: Vec<_> = (0..16)
        .map(|n| sandbox.project(&format!("p{n}"), &manifest(&[THUMB])))
        .collect();
    sandbox.run(&projects[0], &["lock"]).exits(0);
    for project in &projects[1..] {
        fs::copy(
            projects[0].join("sysroot.lock"),
            project.join("sysroot.lock"),
        )
        .unwrap();
    }
    let children: Vec<_> = projects
        .iter()
        .map(|project| {
            let mut command = sandbox.command(project, &["sync", "--locked"]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let requests = server.requests();
    let archives: Vec<_> = requests.iter().filter(|r| r.contains(".tar.")).collect();
    assert_eq!(archives.len(), 5, "{archives:?}");
    let want = snapshot(&projects[0].join(".sysroot/lib"));
    for project in &projects {
        assert_eq!(snapshot(&project.join(".sysroot/lib")), want);
    }
    assert_eq!(
        fs::read_dir(sandbox.cache().join("tmp")).unwrap().count(),
        0
    );
}

#[test]
fn two_syncs_of_one_project_at_once_agree() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let start = || {
        let mut command = sandbox.command(&project, &["sync"]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [start(), start(), start(), start()] {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
}

#[test]
fn case_083_closed_outputs_end_the_output_and_not_in_a_panic() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let binary = env!("CARGO_BIN_EXE_sysroot");
    for script in [
        format!("{binary} schema | head -c 1"),
        format!("{binary} completions bash | head -c 1"),
        format!("{binary} sync <&- >&- 2>&-"),
        format!("{binary} status >&-"),
    ] {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &format!("set -o pipefail; {script}")]);
        command.env_clear().envs(&sandbox.env).current_dir(&project);
        let said = said(&mut command);
        assert!(!said.err.contains("panicked"), "{script}: {}", said.err);
        assert_ne!(said.code, 70, "{script}: {}", said.err);
        assert_ne!(said.code, 101, "{script}: {}", said.err);
    }
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
}

#[test]
fn case_159_a_home_that_is_none_is_told_by_name() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.env.remove("SYSROOT_CACHE_DIR");
    sandbox.env.insert("HOME".to_owned(), "relative".to_owned());
    sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("SYSROOT_CACHE_DIR");
    sandbox.set("SYSROOT_CACHE_DIR", "relative");
    sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("SYSROOT_CACHE_DIR");
    sandbox.set(
        "SYSROOT_CACHE_DIR",
        sandbox.path("cache").to_str().unwrap().to_owned().as_str(),
    );
    sandbox.set("SYSROOT_JOBS", "many");
    sandbox
        .run(&project, &["sync"])
        .exits(2)
        .mentions("SYSROOT_JOBS");
}

#[test]
fn case_160_any_directory_name_works() {
    let (sandbox, _server) = served();
    for name in [
        "with space",
        "-leading",
        "quote'\"",
        "$(touch x)",
        "new\nline",
        "\u{1f600}",
        "caf\u{e9}",
    ] {
        let project = sandbox.project(name, &manifest(&[THUMB]));
        sandbox.run(&project, &["sync", "--json"]).exits(0).json();
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
        let said = sandbox.run(&project, &["path"]).exits(0);
        assert!(said.out.contains(name), "{}", said.out);
        let env = sandbox.run(&project, &["env"]).exits(0).out;
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("{env}\n\"$RUSTC\"")]);
        said_rustc(&mut command);
    }
}

#[test]
fn case_160_a_directory_name_that_is_not_utf8_works_and_is_told_by_its_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let (sandbox, _server) = served();
    let project = sandbox
        .path(".")
        .join(std::ffi::OsStr::from_bytes(b"bad\xffname"));
    fs::create_dir(&project).unwrap();
    fs::write(project.join("sysroot.toml"), manifest(&[THUMB])).unwrap();
    for command in ["lock", "sync", "path", "env", "verify", "status"] {
        sandbox.run(&project, &[command]).exits(0);
        sandbox.run(&project, &[command, "--json"]).exits(0).json();
    }
    // The bytes are the path's, so that what is printed leads to the compiler.
    let binary = env!("CARGO_BIN_EXE_sysroot");
    let scripts = [
        format!("eval \"$({binary} env)\" && \"$RUSTC\""),
        format!("\"$({binary} path)\"/bin/rustc"),
    ];
    for script in scripts {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).env_clear();
        said_rustc(command.envs(&sandbox.env).current_dir(&project));
    }
    let path = sandbox.run(&project, &["path", "--json"]).json();
    let bytes = path["path"]["bytes"].as_array().unwrap();
    assert!(bytes.iter().any(|byte| byte == 0xff), "{path}");
}

fn said_rustc(command: &mut std::process::Command) {
    said(command).exits(0).mentions("rustc");
}

#[test]
fn run_gives_the_command_the_toolchain_and_its_exit_code() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox
        .run(&project, &["run", "--", "rustc"])
        .exits(0)
        .mentions("rustc");
    sandbox
        .run(&project, &["run", "--", "sh", "-c", "exit 37"])
        .exits(37);
    let said = sandbox
        .run(&project, &["run", "sh", "-c", "echo $RUSTC"])
        .exits(0);
    assert!(said.out.contains("/.sysroot/bin/rustc"), "{}", said.out);
    sandbox
        .run(&project, &["run", "no-such-program"])
        .exits(2)
        .mentions("no-such-program");
    // What stands before the command is for `run`, which has few options.
    sandbox
        .run(&project, &["run", "--locked", "--", "true"])
        .exits(2)
        .mentions("unexpected argument '--locked'")
        .mentions("sysroot run [OPTIONS] <CMD>...");
    let said = sandbox
        .run(&project, &["run", "sh", "-c", "echo $1", "sh", "--quiet"])
        .exits(0);
    assert_eq!(said.out.trim(), "--quiet");
}

#[test]
fn case_158_a_manifest_above_that_another_user_owns_is_refused() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let below = project.join("below");
    fs::create_dir(&below).unwrap();
    // Tests run as root in a container, and root may trust anybody's file:
    // so another user looks at one that belongs to a third.
    let binary = sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    let script = "chmod 755 \"$0\" . .. ; cd below && exec setpriv --reuid 4712 --clear-groups \"$1\" lock --check";
    let look = || {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", script])
            .arg(sandbox.path("."))
            .arg(&binary);
        command.env_clear().envs(&sandbox.env).current_dir(&project);
        command.env("SYSROOT_CACHE_DIR", "/nonexistent/cache");
        said(&mut command)
    };
    // Root's is trusted, and there is no lock.
    look().exits(1);
    let (manifest, lock) = (project.join("sysroot.toml"), project.join("sysroot.lock"));
    std::os::unix::fs::chown(&manifest, Some(4711), None).unwrap();
    look().exits(6).mentions("4711");
    std::os::unix::fs::chown(&manifest, Some(0), None).unwrap();
    // A link by somebody else chose the file, whoever owns that.
    fs::rename(&manifest, project.join("real.toml")).unwrap();
    std::os::unix::fs::symlink("real.toml", &manifest).unwrap();
    look().exits(1);
    std::os::unix::fs::lchown(&manifest, Some(4711), None).unwrap();
    look().exits(6).mentions("4711");
    fs::remove_file(&manifest).unwrap();
    fs::rename(project.join("real.toml"), &manifest).unwrap();
    fs::write(&lock, "").unwrap();
    std::os::unix::fs::chown(&lock, Some(4711), None).unwrap();
    look().exits(6).mentions("sysroot.lock");
}

#[test]
fn case_158_root_uses_its_own_files_the_sudo_users_and_those_of_its_directory() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let below = project.join("below");
    fs::create_dir(&below).unwrap();
    let own = |file: &str, user: u32| {
        std::os::unix::fs::chown(project.join(file), Some(user), None).unwrap();
    };
    sandbox.run(&below, &["lock"]).exits(0);
    for file in ["sysroot.toml", "sysroot.lock"] {
        own(file, 4711);
        for command in [
            &["lock", "--check"][..],
            &["sync"],
            &["run", "true"],
            &["verify"],
        ] {
            sandbox
                .run(&below, command)
                .exits(6)
                .mentions("4711")
                .mentions(file);
        }
        let said = sandbox
            .run(&below, &["verify", "--format", "json"])
            .exits(6);
        assert!(
            said.out.contains("4711") || said.err.contains("4711"),
            "{}",
            said.err
        );
        // Where root stands, and where it points to, it was root's choice.
        sandbox.run(&project, &["lock", "--check"]).exits(0);
        let named = ["lock", "--check", "--manifest-path", "../sysroot.toml"];
        sandbox.run(&below, &named).exits(0);
        // Who became root may use the own files, and nobody else's.
        for (sudo, code) in [("4711", 0), ("4712", 6), ("x", 6), ("", 6)] {
            sandbox.set("SUDO_UID", sudo);
            sandbox.run(&below, &["lock", "--check"]).exits(code);
        }
        sandbox.set("SUDO_UID", "");
        own(file, 0);
    }
    // The variable says nothing to a user who is not root.
    own("sysroot.toml", 4711);
    let binary = sandbox.path("sysroot");
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), &binary).unwrap();
    let script = "chmod 755 \"$0\" . .. ; cd below && SUDO_UID=4711 exec setpriv --reuid 4712 \
                  --clear-groups \"$1\" lock --check";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script])
        .arg(sandbox.path("."))
        .arg(&binary);
    command.env_clear().envs(&sandbox.env).current_dir(&project);
    command.env("SYSROOT_CACHE_DIR", "/nonexistent/cache");
    said(&mut command).exits(6).mentions("4711");
}

#[test]
fn case_100_equal_process_numbers_decide_nothing() {
    let (sandbox, server) = served();
    let projects: Vec<_> = (0..4)
        .map(|n| sandbox.project(&format!("p{n}"), &manifest(&[THUMB])))
        .collect();
    // Each is process 1 of a namespace of its own, on one host with one name.
    let start = |project: &std::path::PathBuf| {
        let mut command = std::process::Command::new("unshare");
        command.args(["-p", "-f", env!("CARGO_BIN_EXE_sysroot"), "sync"]);
        command.env_clear().envs(&sandbox.env).current_dir(project);
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = projects.iter().map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    let requests = server.requests();
    let archives = requests.iter().filter(|r| r.contains(".tar.")).count();
    assert_eq!(archives, 5);
    sandbox.run(&projects[0], &["cache", "verify"]).exits(0);
}

#[test]
fn case_102_a_cache_that_is_removed_while_it_is_used() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let want = snapshot(&project.join(".sysroot/lib"));
    let mut failed = 0;
    for round in 0..24 {
        let _ = fs::remove_dir_all(project.join(".sysroot"));
        let _ = fs::remove_dir_all(sandbox.path("cache"));
        let mut command = sandbox.command(&project, &["sync"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(4 * round));
        let _ = fs::rename(sandbox.path("cache"), sandbox.path("away"));
        let output = child.wait_with_output().unwrap();
        let _ = fs::remove_dir_all(sandbox.path("away"));
        let text = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().unwrap();
        assert!([0, 9].contains(&code), "round {round}: {code} {text}");
        failed += u32::from(code != 0);
        sandbox.run(&project, &["sync"]).exits(0);
        assert_eq!(
            snapshot(&project.join(".sysroot/lib")),
            want,
            "round {round}"
        );
        sandbox.run(&project, &["verify", "--deep"]);
    }
    // Else the removals came too early or too late to mean anything.
    assert!(failed > 0);
}
