//! Caches of other users, and caches that a group shares. The tests run as
//! root and start the binary as users that exist only as numbers.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{RISCV, THUMB, manifest, served};
use crate::support::sandbox::{Said, Sandbox, said, snapshot};
use crate::support::serve::FileServer;

const ALICE: u32 = 4711;
const BOB: u32 = 4712;
/// In no group but his own.
const MALLORY: u32 = 4713;
const GROUP: u32 = 4700;

/// A sandbox that other users can look into, with a configuration that allows
/// group caches, and a binary that all may start.
fn shared() -> (Sandbox, FileServer) {
    let (mut sandbox, server) = served();
    mode(&sandbox.path("."), 0o755);
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), sandbox.path("sysroot")).unwrap();
    let config = sandbox.path("config.toml");
    fs::write(&config, "[cache]\nshare = \"group\"\n").unwrap();
    mode(&config, 0o644);
    sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
    (sandbox, server)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, user: u32, group: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(group)).unwrap();
}

/// A cache directory for the group.
fn group_cache(sandbox: &Sandbox, bits: u32) -> PathBuf {
    let cache = sandbox.path("cache");
    fs::create_dir(&cache).unwrap();
    give(&cache, 0, GROUP);
    mode(&cache, bits);
    cache
}

/// A user's own project.
fn project(sandbox: &Sandbox, name: &str, user: u32, target: &str) -> PathBuf {
    let dir = sandbox.project(name, &manifest(&[target]));
    mode(&dir, 0o755);
    for path in [dir.clone(), dir.join("sysroot.toml")] {
        give(&path, user, user);
    }
    dir
}

/// Runs the binary as a user, with this mask.
fn run_as(sandbox: &Sandbox, user: u32, mask: &str, dir: &Path, arguments: &[&str]) -> Said {
    said(&mut command_as(sandbox, user, mask, dir, arguments))
}

fn command_as(sandbox: &Sandbox, user: u32, mask: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    let groups = if user == MALLORY { user } else { GROUP };
    command.args([
        format!("--reuid={user}"),
        format!("--regid={user}"),
        format!("--groups={groups}"),
    ]);
    let script = format!(
        "umask {mask}; exec {} \"$@\"",
        sandbox.path("sysroot").display()
    );
    command.args(["sh", "-c", &script, "sh"]).args(arguments);
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    command
}

/// Every path below a directory with its metadata.
fn all(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        found.push((path, metadata));
    }
    found
}

#[test]
fn case_161_and_165_members_of_a_group_share_a_cache_whatever_their_masks() {
    for mask in ["000", "022", "077"] {
        let (sandbox, server) = shared();
        let cache = group_cache(&sandbox, 0o2770);
        let alices = project(&sandbox, "alice", ALICE, THUMB);
        let bobs = project(&sandbox, "bob", BOB, THUMB);
        run_as(&sandbox, ALICE, mask, &alices, &["sync"]).exits(0);
        fs::copy(alices.join("sysroot.lock"), bobs.join("sysroot.lock")).unwrap();
        give(&bobs.join("sysroot.lock"), BOB, BOB);
        let asked = server.requests().len();
        run_as(&sandbox, BOB, mask, &bobs, &["sync", "--locked"]).exits(0);
        assert_eq!(
            server.requests().len(),
            asked,
            "{mask}: it was fetched again"
        );
        run_as(&sandbox, BOB, mask, &bobs, &["verify", "--deep"]).exits(0);
        let lib = |project: &Path| snapshot(&project.join(".sysroot/lib"));
        assert_eq!(lib(&alices), lib(&bobs), "{mask}");
        for (path, found) in all(&cache) {
            let bits = found.mode() & 0o7777;
            let shown = path.display();
            assert_eq!(
                bits & 0o002,
                0,
                "{mask}: {shown} is writable by all: {bits:o}"
            );
            assert_eq!(found.gid(), GROUP, "{mask}: {shown}");
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("state-key") {
                assert_eq!(bits, 0o600, "{mask}: {shown}");
            } else if found.is_dir() && !shown.to_string().contains("/logs/") {
                assert_eq!(bits, 0o2770, "{mask}: {shown}: {bits:o}");
            } else if found.is_file() {
                assert_eq!(bits & 0o040, 0o040, "{mask}: {shown}: {bits:o}");
            }
        }
        let keys = fs::read_dir(cache.join("v1")).unwrap();
        let keys = keys.filter(|e| {
            let name = e.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("state-key-")
        });
        assert_eq!(keys.count(), 2, "{mask}: each has a key");
    }
}

#[test]
fn case_161_a_member_heals_and_collects_what_another_one_made() {
    let (sandbox, _server) = shared();
    let cache = group_cache(&sandbox, 0o2770);
    let alices = project(&sandbox, "alice", ALICE, THUMB);
    let bobs = project(&sandbox, "bob", BOB, RISCV);
    run_as(&sandbox, ALICE, "077", &alices, &["sync"]).exits(0);
    let trees = cache.join("v1/trees");
    let damaged = snapshot(&trees)
        .into_keys()
        .find(|name| name.ends_with("bin/rustc"));
    fs::write(trees.join(damaged.unwrap()), "damaged").unwrap();
    run_as(&sandbox, BOB, "077", &bobs, &["sync"])
        .exits(0)
        .mentions("damaged in the store");
    run_as(&sandbox, BOB, "077", &bobs, &["cache", "verify"]).exits(0);
    // Alice's home may not be read: what she uses stays.
    mode(&alices, 0o700);
    let gc = ["cache", "gc", "--max-age", "0s"];
    run_as(&sandbox, BOB, "077", &bobs, &gc)
        .exits(0)
        .mentions("removed 0 trees");
    mode(&alices, 0o755);
    fs::remove_dir_all(alices.join(".sysroot")).unwrap();
    run_as(&sandbox, BOB, "077", &bobs, &gc)
        .exits(0)
        .mentions("removed 1 tree");
    run_as(&sandbox, ALICE, "077", &alices, &["sync"]).exits(0);
    run_as(&sandbox, ALICE, "077", &alices, &["verify", "--deep"]).exits(0);
}

#[test]
fn case_161_who_is_not_in_the_group_or_did_not_opt_in_is_refused() {
    let (mut sandbox, _server) = shared();
    let cache = group_cache(&sandbox, 0o2775);
    let alices = project(&sandbox, "alice", ALICE, THUMB);
    let mallorys = project(&sandbox, "mallory", MALLORY, THUMB);
    run_as(&sandbox, ALICE, "022", &alices, &["sync"]).exits(0);
    run_as(&sandbox, MALLORY, "022", &mallorys, &["sync"])
        .exits(6)
        .mentions("not in it");
    // World-writable is refused whatever the configuration says.
    for bits in [0o2777, 0o2772, 0o777] {
        mode(&cache, bits);
        run_as(&sandbox, ALICE, "022", &alices, &["cache", "list"]).exits(6);
    }
    mode(&cache, 0o775);
    run_as(&sandbox, ALICE, "022", &alices, &["cache", "list"])
        .exits(6)
        .mentions("chmod g+s");
    mode(&cache, 0o2775);
    run_as(&sandbox, ALICE, "022", &alices, &["cache", "list"]).exits(0);
    sandbox.env.remove("SYSROOT_CONFIG");
    fs::remove_dir_all(alices.join(".sysroot")).unwrap();
    run_as(&sandbox, ALICE, "022", &alices, &["sync"]).exits(6);
    // One's own directory that the group may write to needs the opt-in, too.
    give(&cache, ALICE, GROUP);
    run_as(&sandbox, ALICE, "022", &alices, &["sync"])
        .exits(6)
        .mentions("share = \"group\"");
}

#[test]
fn case_166_a_cache_that_root_made_is_refused_to_a_user() {
    let (sandbox, _server) = shared();
    let roots = sandbox.project("root", &manifest(&[THUMB]));
    sandbox.run(&roots, &["sync"]).exits(0);
    mode(&sandbox.path("cache"), 0o755);
    let before = snapshot(&sandbox.path("cache"));
    let alices = project(&sandbox, "alice", ALICE, THUMB);
    for command in [&["sync"][..], &["cache", "gc"], &["cache", "verify"]] {
        run_as(&sandbox, ALICE, "022", &alices, command)
            .exits(6)
            .mentions("owned by root");
    }
    assert_eq!(snapshot(&sandbox.path("cache")), before);
    // And the other way round.
    let other = sandbox.path("alices-cache");
    fs::create_dir(&other).unwrap();
    give(&other, ALICE, ALICE);
    let mut command = sandbox.command(&roots, &["cache", "list"]);
    fs::create_dir(other.join("v1")).unwrap();
    command.env("SYSROOT_CACHE_DIR", &other);
    said(&mut command).exits(6).mentions("owned by user 4711");
}

#[test]
fn case_162_a_cache_that_is_a_link() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let (cache, real) = (sandbox.path("cache"), sandbox.path("real"));
    let link = |to: &Path| {
        let _ = fs::remove_file(&cache);
        std::os::unix::fs::symlink(to, &cache).unwrap();
    };
    link(&sandbox.path("nowhere"));
    sandbox
        .run(&project, &["sync"])
        .exits(9)
        .mentions("not a directory");
    link(&cache);
    sandbox.run(&project, &["sync"]).exits(9);
    fs::create_dir(&real).unwrap();
    mode(&real, 0o700);
    link(&real);
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(real.join("v1/trees").is_dir());
    // Another user's link leads wherever that user likes.
    give(&cache, ALICE, ALICE);
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    sandbox.run(&project, &["sync"]).exits(6).mentions("4711");
}

#[test]
fn case_163_names_that_a_member_took_beforehand_lead_nowhere() {
    for kind in ["link", "fifo", "directory"] {
        let (sandbox, _server) = shared();
        let cache = group_cache(&sandbox, 0o2770);
        let (alices, bobs) = (
            project(&sandbox, "alice", ALICE, THUMB),
            project(&sandbox, "bob", BOB, THUMB),
        );
        run_as(&sandbox, ALICE, "022", &alices, &["sync"]).exits(0);
        let victim = sandbox.path("victim");
        fs::write(&victim, "Bob's own").unwrap();
        give(&victim, BOB, BOB);
        let root = cache.join("v1");
        let mut names: Vec<PathBuf> = fs::read_dir(root.join("locks"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        for record in fs::read_dir(root.join("components")).unwrap() {
            let hash = record.unwrap().file_name().into_string().unwrap();
            names.push(root.join(format!("partials/{hash}-{BOB}")));
        }
        names.push(root.join(format!("state-key-{BOB}")));
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let _ = fs::remove_file(&name);
            match kind {
                "link" => std::os::unix::fs::symlink(&victim, &name).unwrap(),
                "fifo" => {
                    let made = Command::new("mkfifo").arg(&name).status().unwrap();
                    assert!(made.success());
                }
                _ => fs::create_dir(&name).unwrap(),
            }
            give(&name, ALICE, GROUP);
            for dir in ["components", "trees"] {
                fs::remove_dir_all(root.join(dir)).unwrap();
                fs::create_dir(root.join(dir)).unwrap();
                give(&root.join(dir), ALICE, GROUP);
                mode(&root.join(dir), 0o2770);
            }
            let _ = fs::remove_dir_all(bobs.join(".sysroot"));
            let said = run_as(&sandbox, BOB, "022", &bobs, &["sync"]);
            let shown = name.display();
            assert!(
                [0, 6, 9].contains(&said.code),
                "{kind} {shown}: {}",
                said.err
            );
            assert_eq!(fs::read(&victim).unwrap(), b"Bob's own", "{kind} {shown}");
            let _ = fs::remove_file(&name).or_else(|_| fs::remove_dir_all(&name));
        }
        run_as(&sandbox, BOB, "022", &bobs, &["sync"]).exits(0);
    }
}

#[test]
fn case_164_a_directory_that_is_swapped_for_a_link_while_it_is_removed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::create_dir(&victim).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(victim.join(name), "mine").unwrap();
    }
    mode(&victim, 0o750);
    let work = dir.path().join("work");
    let (inner, aside) = (work.join("inner"), dir.path().join("aside"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if fs::rename(&inner, &aside).is_ok() {
                    let _ = std::os::unix::fs::symlink(&victim, &inner);
                    let _ = fs::remove_dir_all(&aside);
                }
            }
        });
        for _ in 0..5_000 {
            let fresh = dir.path().join("fresh");
            fs::create_dir_all(fresh.join("deeper")).unwrap();
            fs::write(fresh.join("file"), "x").unwrap();
            let _ = fs::create_dir_all(&work);
            // Where the link stands now this fails, and the link is removed.
            let _ = fs::rename(&fresh, &inner);
            // It may fail; it may not reach through the link.
            let _ = sysroot::sys::fs::remove_dir_all(&work);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(snapshot(&victim).len(), 3);
    let bits = fs::metadata(&victim).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits, 0o750);
}

#[test]
fn case_165_new_files_of_a_project_have_the_users_mask_and_old_ones_their_mode() {
    let (sandbox, _server) = served();
    for (umask, wanted) in [
        ("077", 0o600),
        ("027", 0o640),
        ("022", 0o644),
        ("000", 0o644),
    ] {
        let dir = sandbox.project(&format!("p{umask}"), &manifest(&[THUMB]));
        let run = |script: &str| {
            let mut command = std::process::Command::new("sh");
            let script = format!("umask {umask}; {script}");
            command.args(["-c", &script]).current_dir(&dir);
            command.env_clear().envs(&sandbox.env);
            said(command.env("SYSROOT", env!("CARGO_BIN_EXE_sysroot"))).exits(0);
        };
        let mode_of = |name: &str| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777
        };
        run("$SYSROOT sync && $SYSROOT cache export bundle");
        assert_eq!(mode_of("sysroot.lock"), wanted, "{umask}");
        assert_eq!(mode_of("bundle"), wanted, "{umask}");
        // Who opened it up, or closed it, meant it.
        for name in ["sysroot.lock", "bundle"] {
            mode(&dir.join(name), 0o604);
        }
        let text = manifest(&[RISCV]);
        fs::write(dir.join("sysroot.toml"), text).unwrap();
        run("$SYSROOT sync && $SYSROOT cache export bundle");
        assert_eq!((mode_of("sysroot.lock"), mode_of("bundle")), (0o604, 0o604));
    }
}

#[test]
fn case_165_a_mask_that_forbids_everything_is_a_file_system_error() {
    let (sandbox, _server) = shared();
    let home = sandbox.path("alice-home");
    fs::create_dir(&home).unwrap();
    give(&home, ALICE, ALICE);
    let alices = project(&sandbox, "alice", ALICE, THUMB);
    let cache = home.join("cache");
    let mut other = Sandbox::new();
    mode(&other.path("."), 0o755);
    fs::copy(env!("CARGO_BIN_EXE_sysroot"), other.path("sysroot")).unwrap();
    other.env.clone_from(&sandbox.env);
    other.set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    run_as(&other, ALICE, "0777", &alices, &["sync"]).exits(9);
}

#[test]
fn case_104_members_of_a_group_at_once_fetch_each_object_once() {
    let (sandbox, server) = shared();
    group_cache(&sandbox, 0o2770);
    let users = [ALICE, BOB, ALICE, BOB, ALICE, BOB];
    let projects: Vec<(u32, PathBuf)> = users
        .into_iter()
        .enumerate()
        .map(|(n, user)| (user, project(&sandbox, &format!("p{n}"), user, THUMB)))
        .collect();
    let children: Vec<_> = projects
        .iter()
        .map(|(user, dir)| {
            let mut command = command_as(&sandbox, *user, "077", dir, &["sync"]);
            command
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    let requests = server.requests();
    let archives: Vec<_> = requests.iter().filter(|r| r.contains(".tar.")).collect();
    assert_eq!(archives.len(), 5, "{archives:?}");
    for (user, dir) in &projects {
        run_as(&sandbox, *user, "077", dir, &["verify", "--deep"]).exits(0);
    }
}
