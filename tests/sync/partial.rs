//! Some targets cannot be had: the others come all the same. Some are another
//! process's: those that nobody has are taken meanwhile.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{DATE, HOST, RISCV, THUMB, core};
use crate::support::compiler::{FakeCompiler, manifest};
use crate::support::dist::{DistTree, Release};
use crate::support::fake;
use crate::support::pack::Packer;
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

/// Targets that are compiled.
const BUILT: [&str; 3] = [
    "aarch64-unknown-none",
    "riscv64gc-unknown-none-elf",
    "thumbv6m-none-eabi",
];

/// A sandbox with a fake toolchain, of which two targets are shipped.
fn shipped() -> (Sandbox, FileServer) {
    let mut sandbox = Sandbox::new();
    let packer = Packer {
        cache: sandbox.path("packed"),
        level: 1,
    };
    let packages = fake::packages(&sandbox.path("compiled"), &[THUMB, RISCV], "");
    let tree = DistTree::builder()
        .release(Release::nightly(DATE).packages(packages))
        .write(&packer, &sandbox.path("dist-root"))
        .unwrap();
    let server = FileServer::start(tree.root()).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    (sandbox, server)
}

fn text() -> String {
    format!(
        "[toolchain]\nchannel = \"nightly-{DATE}\"\nhosts = [\"{HOST}\"]\n\
         [targets.{THUMB}]\n[targets.{RISCV}]\n\
         [targets.{}]\nstrategy = \"build\"\ncrates = [\"core\"]\n",
        BUILT[0]
    )
}

/// Takes every format of a package from a dist tree.
fn withdraw(sandbox: &Sandbox, package: &str) {
    for kind in ["gz", "xz"] {
        let name = format!("dist-root/dist/{DATE}/{package}.tar.{kind}");
        fs::remove_file(sandbox.path(&name)).unwrap();
    }
}

#[test]
fn a_target_that_cannot_be_downloaded_keeps_no_other_one_out() {
    let (sandbox, _server) = shipped();
    let project = sandbox.project("p", &text());
    sandbox.run(&project, &["lock"]).exits(0);
    withdraw(&sandbox, &format!("rust-std-nightly-{RISCV}"));
    let said = sandbox.run(&project, &["sync"]).exits(4);
    let said = said.mentions(&format!("rust-std-nightly-{RISCV}"));
    let compiled = format!(".sysroot/lib/rustlib/{}/lib/libcore-0f.rlib", BUILT[0]);
    assert!(core(&project, THUMB).exists(), "{}", said.err);
    assert!(project.join(&compiled).exists(), "{}", said.err);
    assert!(!core(&project, RISCV).exists());
    // The output is not complete, and says so.
    sandbox
        .run(&project, &["sync", "--check"])
        .exits(1)
        .mentions(RISCV);
    sandbox.run(&project, &["sync"]).exits(4);
}

#[test]
fn an_archive_that_is_not_the_locked_one_keeps_no_other_target_out() {
    let (sandbox, _server) = shipped();
    let project = sandbox.project("p", &text());
    sandbox.run(&project, &["lock"]).exits(0);
    for kind in ["gz", "xz"] {
        let name = format!("dist-root/dist/{DATE}/rust-std-nightly-{RISCV}.tar.{kind}");
        fs::remove_file(sandbox.path(&name)).unwrap();
        fs::write(sandbox.path(&name), "other bytes").unwrap();
    }
    sandbox.run(&project, &["sync"]).exits(5).mentions(RISCV);
    assert!(core(&project, THUMB).exists());
}

#[test]
fn without_the_sources_only_what_is_compiled_is_missing() {
    let (sandbox, _server) = shipped();
    let project = sandbox.project("p", &text());
    sandbox.run(&project, &["lock"]).exits(0);
    withdraw(&sandbox, "rust-src-nightly");
    sandbox
        .run(&project, &["sync"])
        .exits(4)
        .mentions("rust-src");
    assert!(core(&project, THUMB).exists() && core(&project, RISCV).exists());
    assert!(
        !project
            .join(format!(".sysroot/lib/rustlib/{}", BUILT[0]))
            .exists()
    );
}

#[test]
fn without_a_component_of_the_host_there_is_no_output() {
    let (sandbox, _server) = shipped();
    let project = sandbox.project("p", &text());
    sandbox.run(&project, &["lock"]).exits(0);
    withdraw(&sandbox, &format!("cargo-nightly-{HOST}"));
    sandbox
        .run(&project, &["sync"])
        .exits(4)
        .mentions("cargo-nightly");
    assert!(!project.join(".sysroot/lib").exists());
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_second_process_takes_the_targets_that_the_first_has_not_begun() {
    let mut sandbox = Sandbox::new();
    let (compiler, root) = FakeCompiler::write_with(&sandbox.path(""), b"");
    sandbox.set("SYSROOT_DIST_SERVER", &format!("file://{}", root.display()));
    sandbox.set("SYSROOT_JOBS", "1");
    let projects = ["p", "q"].map(|name| sandbox.project(name, &manifest(&BUILT)));
    for project in &projects {
        sandbox.run(project, &["lock"]).exits(0);
    }
    let start = |project: &std::path::PathBuf| -> Child {
        let mut command = sandbox.command(project, &["sync"]);
        let said = fs::File::create(project.join("said")).unwrap();
        command.stdout(Stdio::null()).stderr(said).spawn().unwrap()
    };
    let said = |project: &std::path::PathBuf| fs::read_to_string(project.join("said")).unwrap();
    compiler.hold(BUILT[0], true);
    let mut first = start(&projects[0]);
    eventually("begins", || compiler.begun() == [BUILT[0]]);
    let mut second = start(&projects[1]);
    eventually("compiles the others", || compiler.built() == BUILT[1..]);
    let waits = format!("waiting for process {}, compiling {}", first.id(), BUILT[0]);
    eventually("waits for the first", || {
        said(&projects[1]).contains(&waits)
    });
    // The object is named by its kind and as many digits as are shown of any.
    let text = said(&projects[1]);
    let object = text.split_once(&format!("{waits} (`recipe-")).unwrap().1;
    let digits = object.split_once("`)").unwrap().0;
    assert!(digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(
        first.try_wait().unwrap().is_none(),
        "the first one still compiles"
    );
    compiler.hold(BUILT[0], false);
    assert!(first.wait().unwrap().success(), "{}", said(&projects[0]));
    assert!(second.wait().unwrap().success(), "{}", said(&projects[1]));
    let mut built = compiler.built();
    built.sort_unstable();
    assert_eq!(built, BUILT);
}
