//! What real rustup installs from the same server is what `sync` makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::linked::{links_and_unlinks, with_rustup};
use super::{HOST, HOSTED, served, use_output, user, write_crate};
use crate::support::dist::{FOREIGN, REAL_DATES};
use crate::support::rustup::{Rustup, is_bookkeeping};
use crate::support::sandbox::snapshot;

type Files = BTreeMap<String, (Vec<u8>, bool)>;

/// The files of a toolchain, rustup's own notes left out.
fn toolchain_files(directory: &Path) -> Files {
    let mut files = Files::new();
    for below in ["bin", "lib"] {
        for (name, file) in snapshot(&directory.join(below)) {
            let name = format!("{below}/{name}");
            if !is_bookkeeping(&name) {
                files.insert(name, file);
            }
        }
    }
    files
}

fn manifest() -> String {
    format!(
        "[toolchain]\nchannel = \"nightly-{}\"\nhosts = [\"{HOST}\"]\n\
         components = [\"rust-src\"]\n\n[targets.{FOREIGN}]\n",
        REAL_DATES[0]
    )
}

#[test]
fn what_is_synced_is_what_rustup_installs_and_it_compiles() {
    let (mut sandbox, server) = served();
    let project = sandbox.project("p", &manifest());
    sandbox.run(&project, &["sync"]).exits(0);

    let rustup = Rustup::new(&sandbox.path("oracle"), &server.url());
    let name = format!("nightly-{}", REAL_DATES[0]);
    rustup.install(&name).unwrap();
    for words in [["component", "add", "rust-src"], ["target", "add", FOREIGN]] {
        let arguments = [&words[..], &["--toolchain", &name]].concat();
        rustup.run(&arguments).unwrap();
    }
    let want = toolchain_files(&rustup.toolchain(&format!("{name}-{HOST}")));
    let found = toolchain_files(&project.join(".sysroot"));
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&want));
    assert!(found.len() > 1000, "{}", found.len());
    for (name, (content, executable)) in &want {
        assert!(found[name].0 == *content, "{name} has other bytes");
        assert_eq!(found[name].1, *executable, "{name}");
    }

    use_output(&project);
    write_crate(&project, "hosted", HOSTED);
    // Plain cargo, whichever: the compiler is the output's.
    let plain = |arguments: &[&str]| user(&sandbox, &project, "/usr/bin/cargo", arguments);
    let sysroot = fs::canonicalize(project.join(".sysroot")).unwrap();
    plain(&["rustc", "--quiet", "--", "--print", "sysroot"])
        .exits(0)
        .mentions(sysroot.to_str().unwrap());
    plain(&["run"]).exits(0).mentions("42 on x86_64");
    plain(&["test"]).exits(0).mentions("1 passed");
    plain(&["run", "--target", FOREIGN])
        .exits(0)
        .mentions("42 on aarch64");

    // The same by `sysroot run`, without the committed configuration.
    let bare = sandbox.project("bare", &manifest());
    fs::copy(project.join("sysroot.lock"), bare.join("sysroot.lock")).unwrap();
    write_crate(&bare, "hosted", HOSTED);
    let lto = "profile.release.lto=true";
    let run = ["run", "--", "cargo", "run", "--release", "--config", lto];
    sandbox.run(&bare, &run).exits(0).mentions("42 on x86_64");
    with_rustup(&mut sandbox);
    links_and_unlinks(&sandbox, &bare);
}
