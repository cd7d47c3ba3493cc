//! Which of an archive's two formats is asked for, and how many at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{DATE, HOST, RISCV, THUMB, core, dist, manifest, packages, publish};
use crate::http::{self, Server, Step};
use crate::support::dist::Release;
use crate::support::sandbox::Sandbox;
use crate::support::serve::FileServer;

/// More of each archive than the bytes that tell a server's rate.
const BALLAST: usize = 5 << 18;
/// How many archives the manifest's two targets need.
const ARCHIVES: usize = 6;

/// Bytes that no format makes fewer.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..BALLAST).map(next).collect()
}

/// A sandbox with a dist tree whose archives are all large, not yet served.
fn large() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let mut seed = 0x2545_f491;
    let packages = packages("a").into_iter().map(|package| {
        seed += 1;
        // No two components may have a file of one name.
        let target = package.target.as_deref().unwrap_or(HOST);
        let path = format!("lib/rustlib/{target}/lib/ballast-{}", package.name);
        package.bytes(&path, &noise(seed), false)
    });
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages));
    (sandbox, root)
}

/// Leaves the keys that begin with one of these out of the channel manifest.
fn without(root: &Path, keys: [&str; 2]) {
    let path = root
        .join("dist")
        .join(DATE)
        .join("channel-rust-nightly.toml");
    let text = fs::read_to_string(path).unwrap();
    let is_kept = |line: &&str| !keys.iter().any(|key| line.starts_with(key));
    let kept: Vec<&str> = text.lines().filter(is_kept).collect();
    let kept = kept.join("\n") + "\n";
    assert_ne!(kept, text);
    publish(root, kept.as_bytes());
}

/// The ends of the archives' names in the order in which they were asked for,
/// each archive once.
fn formats(paths: impl Iterator<Item = String>) -> Vec<String> {
    let archives: Vec<String> = paths.filter(|path| path.contains(".tar.")).collect();
    let mut names: Vec<&str> = archives
        .iter()
        .map(|path| path.split(".tar.").next().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        (names.len(), archives.len()),
        (ARCHIVES, ARCHIVES),
        "{archives:?}"
    );
    let end = |path: &String| path.rsplit('.').next().unwrap().to_owned();
    archives.iter().map(end).collect()
}

/// Syncs from a server on this machine.
fn asked_of_loopback(mut sandbox: Sandbox, root: &Path) -> Vec<String> {
    let server = FileServer::start(root).unwrap();
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, THUMB).exists());
    let requests = server.requests().into_iter();
    formats(requests.map(|line| line.split(' ').nth(1).unwrap().to_owned()))
}

/// Syncs from a server somewhere else, behind a proxy that sends pieces of
/// this size and pauses between them.
fn asked_of_another(
    mut sandbox: Sandbox,
    root: PathBuf,
    piece: usize,
    pause: Duration,
) -> Vec<String> {
    let proxy = Server::start(move |request| {
        let path = request.path.strip_prefix("http://dist.invalid/").unwrap();
        let Ok(body) = fs::read(root.join(path)) else {
            return http::answer("404 Not Found", &[], b"");
        };
        let mut steps = vec![Step::Bytes(http::head("200 OK", &[], body.len() as u64))];
        for piece in body.chunks(piece) {
            steps.push(Step::Bytes(piece.to_vec()));
            steps.push(Step::Pause(pause));
        }
        steps
    });
    sandbox.set("SYSROOT_DIST_SERVER", "http://dist.invalid");
    sandbox.set("http_proxy", &proxy.url());
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, THUMB).exists());
    formats(proxy.requests().into_iter().map(|request| request.path))
}

#[test]
fn this_machine_is_asked_for_what_is_quick_to_decode() {
    let sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    assert_eq!(asked_of_loopback(sandbox, &root), ["gz"; ARCHIVES]);
}

#[test]
fn a_server_is_asked_for_what_is_quick_to_decode_once_it_is_known_to_be_fast() {
    let (sandbox, root) = large();
    let asked = asked_of_another(sandbox, root, usize::MAX, Duration::ZERO);
    assert_eq!(asked[0], "xz", "{asked:?}");
    assert_eq!(asked[ARCHIVES - 1], "gz", "{asked:?}");
}

#[test]
fn a_slow_server_is_asked_for_what_has_fewer_bytes() {
    let (sandbox, root) = large();
    // 4 MB a second at most, if four archives come at once.
    let asked = asked_of_another(sandbox, root, 50_000, Duration::from_millis(50));
    assert_eq!(asked, ["xz"; ARCHIVES]);
}

#[test]
fn what_a_server_has_in_one_format_is_asked_for_in_that_one() {
    let tree = |keys| {
        let sandbox = Sandbox::new();
        let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
        without(&root, keys);
        (sandbox, root)
    };
    let (sandbox, root) = tree(["url = ", "hash = "]);
    assert_eq!(asked_of_loopback(sandbox, &root), ["xz"; ARCHIVES]);
    let (sandbox, root) = tree(["xz_url = ", "xz_hash = "]);
    let asked = asked_of_another(sandbox, root, usize::MAX, Duration::ZERO);
    assert_eq!(asked, ["gz"; ARCHIVES]);
}

#[test]
fn archives_are_downloaded_several_at_once() {
    let mut sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    let arrived = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let server = Server::start(move |request| {
        let path = request.path.trim_start_matches('/');
        let Ok(body) = fs::read(root.join(path)) else {
            return http::answer("404 Not Found", &[], b"");
        };
        if request.path.contains(".tar.") {
            // Nobody gets an archive before a second one was asked for.
            let (count, changed) = &*arrived;
            let mut count = count.lock().unwrap();
            *count += 1;
            changed.notify_all();
            let alone = |count: &mut usize| *count < 2;
            let limit = Duration::from_mins(1);
            let (count, waited) = changed.wait_timeout_while(count, limit, alone).unwrap();
            drop(count);
            if waited.timed_out() {
                return http::answer("500 Nobody Else Came", &[], b"");
            }
        }
        http::ok(&body)
    });
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(core(&project, HOST).exists() && core(&project, THUMB).exists());
    let requests = server.requests();
    let archives = requests.iter().filter(|r| r.path.contains(".tar."));
    assert!(archives.clone().all(|request| request.earlier == 0));
    let connections: std::collections::BTreeSet<u64> = archives.map(|r| r.connection).collect();
    assert!(connections.len() >= 2, "{connections:?}");
}
