//! How many targets are compiled at once: as many as there are jobs and as fit
//! into the memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{RISCV, THUMB};
use crate::support::compiler::{FakeCompiler, manifest};
use crate::support::sandbox::Sandbox;

/// A sandbox whose nightly's compiler holds both targets until it is told.
fn held() -> (Sandbox, FakeCompiler, PathBuf) {
    let mut sandbox = Sandbox::new();
    let (compiler, root) = FakeCompiler::write_with(&sandbox.path(""), b"");
    sandbox.set("SYSROOT_DIST_SERVER", &format!("file://{}", root.display()));
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["lock"]).exits(0);
    for target in [THUMB, RISCV] {
        compiler.hold(target, true);
    }
    (sandbox, compiler, project)
}

/// Waits until this many compilations have begun; the bound is for hangs.
fn wait_for(compiler: &FakeCompiler, count: usize) -> Vec<String> {
    let since = Instant::now();
    loop {
        let begun = compiler.begun();
        if begun.len() >= count {
            return begun;
        }
        assert!(since.elapsed() < Duration::from_mins(2), "{begun:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(sandbox: &Sandbox, project: &Path, jobs: &str) -> Child {
    let mut command = sandbox.command(project, &["sync", "--locked", "--jobs", jobs]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn ends(mut sync: Child, project: &Path) {
    assert!(sync.wait().unwrap().success());
    for target in [THUMB, RISCV] {
        let library = project.join(format!(".sysroot/lib/rustlib/{target}/lib"));
        assert_eq!(fs::read_dir(library).unwrap().count(), 3);
    }
}

/// With `jobs`, and whatever else is in the sandbox, the second target begins
/// only after the first has ended.
fn one_after_the_other(
    (sandbox, compiler, project): &(Sandbox, FakeCompiler, PathBuf),
    jobs: &str,
) {
    let sync = start(sandbox, project, jobs);
    let first = wait_for(compiler, 1).remove(0);
    // Time enough for a second one to begin, if it is let.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(compiler.begun(), std::slice::from_ref(&first));
    compiler.hold(&first, false);
    let begun = wait_for(compiler, 2);
    assert_eq!(compiler.built(), [first]);
    compiler.hold(&begun[1], false);
    ends(sync, project);
}

#[test]
fn two_jobs_compile_two_targets_at_once() {
    let (sandbox, compiler, project) = held();
    let sync = start(&sandbox, &project, "2");
    // Neither ends before the other has begun.
    let mut begun = wait_for(&compiler, 2);
    assert!(compiler.built().is_empty());
    begun.sort();
    assert_eq!(begun, [RISCV, THUMB]);
    for target in [THUMB, RISCV] {
        compiler.hold(target, false);
    }
    ends(sync, &project);
}

#[test]
fn one_job_compiles_one_target_after_the_other() {
    one_after_the_other(&held(), "1");
}

#[cfg(feature = "fault-injection")]
#[test]
fn little_memory_compiles_one_target_after_the_other() {
    let mut held = held();
    // Enough for one compiler and not for two.
    held.0.set("SYSROOT_FAULT_MEMORY", "2000000000");
    one_after_the_other(&held, "2");
}
