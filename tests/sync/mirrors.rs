//! Several dist servers in order.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use super::{DATE, THUMB, core, dist, manifest, packages};
use crate::support::dist::Release;
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

/// Copies a tree; archives are hard links to one packed file, which a damaged
/// copy must not reach.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A sandbox with a good server, and a second directory with the same files.
fn two() -> (Sandbox, FileServer, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    let other = sandbox.path("other-root");
    copy(&root, &other);
    (sandbox, FileServer::start(&root).unwrap(), other)
}

/// Names the servers in the user's configuration only.
fn configure(sandbox: &mut Sandbox, servers: &[&str]) {
    let path = sandbox.path("config.toml");
    fs::write(&path, format!("[dist]\nservers = {servers:?}\n")).unwrap();
    sandbox.set("SYSROOT_CONFIG", path.to_str().unwrap());
    sandbox.env.remove("SYSROOT_DIST_SERVER");
}

/// Damages every archive of a tree.
fn damage(root: &Path) {
    let day = root.join("dist").join(DATE);
    for entry in fs::read_dir(day).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains(".tar.") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn case_030_a_lying_server_is_left_for_the_next_one_and_not_asked_again() {
    let (mut sandbox, good, other) = two();
    damage(&other);
    let liar = FileServer::start(&other).unwrap();
    configure(&mut sandbox, &[&liar.url(), &good.url()]);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, THUMB).exists());
    assert!(
        said.err.contains("is not the expected file"),
        "{}",
        said.err
    );
    assert_eq!(
        said.err.matches("is not asked again in this run").count(),
        1,
        "{}",
        said.err
    );
    // Six archives were wanted. Those asked for at once before the first lie
    // showed may have been asked of the liar; no others.
    let archives = |server: &FileServer| {
        let requests = server.requests();
        let mut asked: Vec<String> = requests
            .into_iter()
            .filter(|r| r.contains(".tar."))
            .collect();
        asked.sort();
        asked.dedup();
        asked.len()
    };
    assert!(archives(&liar) <= 4, "{:?}", liar.requests());
    assert!(archives(&good) >= 5, "{:?}", good.requests());
}

#[test]
fn case_030_a_server_that_is_down_is_left_for_the_next_one() {
    let (mut sandbox, good, _other) = two();
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    configure(&mut sandbox, &[&format!("http://{port}"), &good.url()]);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["lock"]).exits(0);
    assert!(said.err.contains("cannot connect"), "{}", said.err);
    assert!(said.err.contains("is not asked again"), "{}", said.err);
    // The environment's server goes first, and no upstream is asked behind it.
    sandbox.set("SYSROOT_DIST_SERVER", &good.url());
    let project = sandbox.project("q", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["lock", "--refresh"]).exits(0);
    assert!(!said.err.contains("is not asked again"), "{}", said.err);
}

#[test]
fn case_030_a_lie_about_the_manifest_is_left_for_the_next_server() {
    let (mut sandbox, good, other) = two();
    let path = other.join(format!("dist/{DATE}/channel-rust-nightly.toml"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("available = true", "available = false", 1),
    )
    .unwrap();
    let liar = FileServer::start(&other).unwrap();
    configure(&mut sandbox, &[&liar.url(), &good.url()]);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["lock"]).exits(0);
    assert!(
        said.err.contains("does not match its `.sha256`"),
        "{}",
        said.err
    );
    assert!(said.err.contains(&liar.url()), "{}", said.err);
}

#[test]
fn case_030_the_last_server_is_asked_for_everything_and_its_failure_is_told() {
    let (mut sandbox, good, other) = two();
    damage(&other);
    let liar = FileServer::start(&other).unwrap();
    configure(&mut sandbox, &[&good.url(), &liar.url()]);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    drop(good);
    sandbox
        .run(&project, &["sync"])
        .exits(4)
        .mentions("cannot connect");
    // A partial mirror is no liar: what it lacks comes from the next one.
    for entry in fs::read_dir(other.join("dist").join(DATE)).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let root = sandbox.path("dist-root");
    let good = FileServer::start(&root).unwrap();
    configure(&mut sandbox, &[&liar.url(), &good.url()]);
    let said = sandbox.run(&project, &["sync"]).exits(0);
    assert!(!said.err.contains("is not asked again"), "{}", said.err);
}
