//! An interrupt while compilers run.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::system;
use crate::support::sandbox::Sandbox;

/// The limit of every wait below; reached only when something hangs.
const LIMIT: Duration = Duration::from_mins(2);

/// The processes whose command line or working directory is below `directory`.
fn working_in(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Ok(line) = fs::read(path.join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let place = fs::read_link(path.join("cwd")).unwrap_or_default();
        if line.contains(directory) || place.starts_with(directory) {
            found.push(line);
        }
    }
    found
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "never {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Starts a sync and waits until it compiles `core`.
fn compiling(sandbox: &Sandbox, project: &Path) -> Child {
    let mut command = sandbox.command(project, &["sync"]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let core = |line: &String| line.contains("--crate-name core ");
    wait_until("compiles core", || {
        working_in(&sandbox.path("cache")).iter().any(core)
    });
    child
}

/// Interrupts it as a terminal's Ctrl-C does and sees how it ends.
fn interrupt(sandbox: &Sandbox, child: Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    wait_until("ends its compilers", || {
        working_in(&sandbox.path("cache")).is_empty()
    });
}

#[test]
fn case_082_an_interrupt_leaves_no_compiler_and_the_next_sync_starts_afresh() {
    let sandbox = system();
    let project = sandbox.project(
        "p",
        "[toolchain]\nchannel = \"system\"\n\n[targets.thumbv6m-none-eabi]\n\
         strategy = \"build\"\ncrates = [\"core\"]\n",
    );
    for _ in 0..2 {
        let child = compiling(&sandbox, &project);
        interrupt(&sandbox, child);
        assert!(!project.join(".sysroot").join("lib").exists());
        let left = fs::read_dir(sandbox.cache().join("tmp")).unwrap();
        assert_eq!(left.count(), 0);
    }
}
