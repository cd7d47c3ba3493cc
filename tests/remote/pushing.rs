//! `cache push`: blobs first, the record last, and nothing overwritten that
//! says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{
    ONE, Objects, Shared, TWO, World, bazel, cache_server, find, is_blob, is_record, lock_of,
    output, sha256,
};
use crate::http::{Request, Server, Step, answer};

#[test]
fn case_133_another_tree_for_a_recipe_is_a_conflict_and_changes_nothing() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    let before = shared.objects.lock().unwrap().clone();
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.sandbox.env.remove("SYSROOT_REMOTE");
    shared.world.compiler.salt("not reproducible");
    shared.world.run(&project, &["sync"]).exits(0);
    shared.world.remote(&server.url(), true);
    for sign in [false, true] {
        let mut arguments = vec!["cache", "push"];
        if sign {
            arguments.extend(["--sign", &shared.key.0]);
        }
        let said = shared.world.run(&project, &arguments).exits(1);
        said.mentions("conflict").mentions("not reproducible");
    }
    let said = shared
        .world
        .run(&project, &["cache", "push", "--json"])
        .exits(1);
    let report = said.json();
    assert_eq!(report["conflict"], true);
    assert_eq!(report["pushed"][0]["result"], "conflict");
    assert_ne!(report["pushed"][0]["theirs"], report["pushed"][0]["tree"]);
    assert_eq!(*shared.objects.lock().unwrap(), before);
}

#[test]
fn case_133_of_two_that_write_at_once_the_first_stays() {
    let mut shared = Shared::new(&[ONE]);
    let before = shared.objects.lock().unwrap().clone();
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.sandbox.env.remove("SYSROOT_REMOTE");
    shared.world.compiler.salt("not reproducible");
    shared.world.run(&project, &["sync"]).exits(0);
    // The other one's record appears between our look and our write.
    let objects = shared.objects.clone();
    let first = Mutex::new(true);
    let server = Server::start(move |request| {
        let looks = request.method == "GET" && request.path.starts_with("/ac/");
        if looks && std::mem::take(&mut *first.lock().unwrap()) {
            return answer("404 Not Found", &[], b"");
        }
        bazel(&objects, request)
    });
    shared.world.remote(&server.url(), true);
    let said = shared.world.run(&project, &["cache", "push"]).exits(1);
    said.mentions("conflict");
    let entry = find(&before, "/ac/", |_| true);
    let after = shared.objects.lock().unwrap();
    assert_eq!(after[&entry], before[&entry]);
}

#[test]
fn case_133_a_directory_keeps_the_first_of_two() {
    let (mut world, project, unpinned) = World::built(&[ONE]);
    let share = world.sandbox.path("share");
    let url = format!("file://{}", share.display());
    world.remote(&url, true);
    world.run(&project, &["cache", "push"]).exits(0);
    let before = crate::support::sandbox::snapshot(&share);
    world.compiler.salt("other");
    let other = world.machine_with("b", &[ONE], &unpinned);
    world.sandbox.env.remove("SYSROOT_REMOTE");
    world.run(&other, &["sync"]).exits(0);
    world.remote(&url, true);
    world.run(&other, &["cache", "push"]).exits(1);
    assert_eq!(crate::support::sandbox::snapshot(&share), before);
}

#[test]
fn case_134_a_remote_that_is_only_read_is_not_written_to() {
    let (mut world, project, _) = World::built(&[ONE]);
    let (server, _) = cache_server();
    world.remote(&server.url(), false);
    let said = world.run(&project, &["cache", "push"]).exits(2);
    said.mentions("access = \"read-write\"");
    world.sandbox.env.remove("SYSROOT_REMOTE");
    world.run(&project, &["cache", "push"]).exits(2);
    // A sync that builds sends nothing, even where it may.
    world.remote(&server.url(), true);
    let other = world.machine("b", &[ONE]);
    world.run(&other, &["sync"]).exits(0);
    assert!(server.requests().iter().all(|r| r.method == "GET"));
}

/// What must hold of a remote after any accident: an entry names blobs that
/// are whole.
fn whole(objects: &BTreeMap<String, Vec<u8>>) {
    for (path, bytes) in objects {
        if let Some(name) = path.strip_prefix("/cas/") {
            assert_eq!(name, sha256(bytes));
        } else {
            let named = super::named_blobs(bytes).unwrap();
            assert_eq!(named.len(), 2);
            for (hash, size) in named {
                let blob = &objects[&format!("/cas/{hash}")];
                assert_eq!(blob.len() as u64, size);
            }
        }
    }
}

#[test]
fn case_132_an_upload_that_breaks_leaves_nothing_that_is_believed() {
    let (mut world, project, _) = World::built(&[ONE]);
    let ends: [(&str, fn() -> Vec<Step>); 4] = [
        ("507", || answer("507 Insufficient Storage", &[], b"")),
        ("413", || answer("413 Payload Too Large", &[], b"")),
        ("cannot send", || vec![Step::Reset]),
        ("cannot send", || vec![Step::Close]),
    ];
    for (text, end) in ends {
        // The first, second and third thing that is written fails: the blob,
        // the record, the entry.
        for failing in 0..3 {
            let objects = Objects::default();
            let (kept, count) = (objects.clone(), Mutex::new(0));
            let server = Server::start(move |request| {
                if request.method == "PUT" {
                    let mut count = count.lock().unwrap();
                    *count += 1;
                    if *count > failing {
                        return end();
                    }
                }
                bazel(&kept, request)
            });
            world.remote(&server.url(), true);
            let said = world.run(&project, &["cache", "push"]).exits(4);
            said.mentions(text);
            let objects = objects.lock().unwrap();
            assert_eq!(objects.len(), failing);
            whole(&objects);
        }
    }
    // Work goes on without the remote.
    world.run(&project, &["sync"]).exits(0);
}

/// A server that keeps the first bytes of what is sent to it, as one whose
/// disk is full may, and breaks the connection. Everything else is refused.
struct Cutting {
    url: String,
    kept: Objects,
}

impl Cutting {
    /// Whole are so many writes; of the next one it reads this part.
    fn start(objects: &Objects, whole: usize, part: fn(usize) -> usize) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = objects.clone();
        std::thread::spawn(move || {
            let mut writes = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                while let Some((request, length)) = head_of(&mut stream) {
                    let is_put = request.method == "PUT";
                    if is_put {
                        writes += 1;
                    }
                    if is_put && writes == whole + 1 {
                        let mut body = vec![0; part(length)];
                        stream.read_exact(&mut body).unwrap();
                        kept.lock().unwrap().insert(request.path, body);
                        let linger = Some(std::time::Duration::ZERO);
                        socket2::SockRef::from(&stream).set_linger(linger).unwrap();
                        break;
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).unwrap();
                    let request = Request { body, ..request };
                    let steps = if is_put && writes > whole {
                        answer("507 Insufficient Storage", &[], b"")
                    } else {
                        bazel(&kept, &request)
                    };
                    for step in steps {
                        let Step::Bytes(bytes) = step else {
                            unreachable!()
                        };
                        stream.write_all(&bytes).unwrap();
                    }
                }
            }
        });
        Self {
            url,
            kept: objects.clone(),
        }
    }
}

/// The head of the next request, and the length of its body.
fn head_of(stream: &mut std::net::TcpStream) -> Option<(Request, usize)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
    let request = Request {
        at: std::time::Instant::now(),
        method,
        path,
        headers: headers.collect(),
        body: Vec::new(),
        connection: 0,
        earlier: 0,
    };
    let length = request.header("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    Some((request, length))
}

#[test]
fn case_132_an_upload_that_breaks_within_a_body_leaves_nothing_that_is_believed() {
    let (mut world, project, _) = World::built(&[ONE]);
    let lock = lock_of(&project);
    let files = output(&project, ONE);
    let cache = world.sandbox.path("cache-a");
    let parts: [fn(usize) -> usize; 3] = [|_| 1, |length| length / 2, |length| length - 1];
    // The blob, the record, the entry.
    for (round, whole_ones) in (0..3).flat_map(|n| [n; 3]).enumerate() {
        let objects = Objects::default();
        let server = Cutting::start(&objects, whole_ones, parts[round % 3]);
        world
            .sandbox
            .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
        world.remote(&server.url, true);
        world.run(&project, &["cache", "push"]).exits(4);
        let left = server.kept.lock().unwrap().len();
        assert_eq!(left, whole_ones + 1, "the first part of the last is kept");
        // Whoever reads it compiles; nobody gets a wrong byte.
        let before = world.compiler.built().len();
        let honest = super::serving(server.kept.lock().unwrap().clone());
        world.remote(&honest.url(), false);
        let other = world.machine_with(&format!("b{round}"), &[ONE], &lock);
        world.run(&other, &["sync"]).exits(0);
        // Half of an entry may be an entry, of a whole record.
        let compiled = world.compiler.built().len() - before;
        assert!(compiled == 1 || whole_ones == 2, "round {round}");
        assert_eq!(output(&other, ONE), files);
        // The next push replaces what was cut.
        world
            .sandbox
            .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
        world.remote(&honest.url(), true);
        world.run(&project, &["cache", "push"]).exits(0);
        world.remote(&honest.url(), false);
        let third = world.machine_with(&format!("c{round}"), &[ONE], &lock);
        world.run(&third, &["sync"]).exits(0);
        let again = world.compiler.built().len() - before - compiled;
        assert_eq!(again, 0, "round {round}");
        assert_eq!(output(&third, ONE), files);
    }
}

#[test]
fn case_132_a_blob_that_was_cut_or_lost_is_sent_again() {
    let (mut world, project, _) = World::built(&[ONE]);
    let share = world.sandbox.path("share");
    world.remote(&format!("file://{}", share.display()), true);
    world.run(&project, &["cache", "push"]).exits(0);
    let before = crate::support::sandbox::snapshot(&share);
    let blob = fs::read_dir(share.join("v1/blobs")).unwrap().next();
    let blob = blob.unwrap().unwrap().path();
    let bytes = fs::read(&blob).unwrap();
    for damage in ["cut", "gone"] {
        match damage {
            "cut" => fs::write(&blob, &bytes[..bytes.len() / 2]).unwrap(),
            _ => fs::remove_file(&blob).unwrap(),
        }
        world
            .run(&project, &["cache", "push"])
            .exits(0)
            .mentions("new");
        assert_eq!(crate::support::sandbox::snapshot(&share), before);
    }
    // So is a record that is none.
    let record = fs::read_dir(share.join("v1/recipes")).unwrap().next();
    let record = record.unwrap().unwrap().path();
    for text in ["", "{", "null"] {
        fs::write(&record, text).unwrap();
        world.run(&project, &["cache", "push"]).exits(0);
        assert_eq!(crate::support::sandbox::snapshot(&share), before);
    }
    // But not one of a newer version.
    fs::write(&record, "{\"version\":2}").unwrap();
    world
        .run(&project, &["cache", "push"])
        .exits(5)
        .mentions("version 2");
    assert_eq!(fs::read_to_string(&record).unwrap(), "{\"version\":2}");
}

#[test]
fn a_signature_is_added_to_a_record_and_the_others_stay() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let server = Server::start(move |request| bazel(&objects, request));
    shared.world.remote(&server.url(), true);
    let (secret, public) = shared.world.key("second");
    let project = shared.world.sandbox.path("project-a");
    let cache = shared.world.sandbox.path("cache-a");
    shared
        .world
        .sandbox
        .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    for word in ["signed", "present"] {
        let said = shared
            .world
            .run(&project, &["cache", "push", "--sign", &secret])
            .exits(0);
        said.mentions(word);
    }
    whole_and_old_record(&shared);
    // Either key's users take it.
    for (machine, key) in [("b", shared.key.1.clone()), ("c", public)] {
        shared.world.trust(&key);
        let lock = shared.unpinned.clone();
        let project = shared.world.machine_with(machine, &[ONE], &lock);
        shared.world.run(&project, &["sync"]).exits(0);
        assert_eq!(output(&project, ONE), shared.files);
    }
    assert_eq!(shared.rebuilt(1), 0);
}

/// The old record stays as a blob that no entry names, as in every store of
/// this layout; the server's own collection takes it.
fn whole_and_old_record(shared: &Shared) {
    let objects = shared.objects.lock().unwrap();
    whole(&objects);
    assert_eq!(objects.values().filter(|b| is_record(b)).count(), 2);
    assert_eq!(objects.values().filter(|b| is_blob(b)).count(), 1);
}

/// The one file of a kind of object below a directory remote.
fn only(share: &Path, kind: &str) -> PathBuf {
    let mut found = fs::read_dir(share.join("v1").join(kind)).unwrap();
    let path = found.next().unwrap().unwrap().path();
    assert!(found.next().is_none());
    path
}

#[test]
fn case_132_a_blob_that_is_sent_again_costs_nobody_a_signature() {
    let (mut world, project, _) = World::built(&[ONE]);
    let share = world.sandbox.path("share");
    world.remote(&format!("file://{}", share.display()), true);
    let (first, second) = (world.key("first"), world.key("second"));
    for key in [&first, &second] {
        let push = ["cache", "push", "--sign", &key.0];
        world.run(&project, &push).exits(0);
    }
    let before = crate::support::sandbox::snapshot(&share);
    fs::remove_file(only(&share, "blobs")).unwrap();
    let said = world.run(&project, &["cache", "push"]).exits(0);
    said.mentions("new");
    assert_eq!(crate::support::sandbox::snapshot(&share), before);
    // A third signature comes with the blob, and beside the others.
    fs::remove_file(only(&share, "blobs")).unwrap();
    let third = world.key("third");
    let push = ["cache", "push", "--sign", &third.0];
    world.run(&project, &push).exits(0).mentions("new");
    let record = fs::read_to_string(only(&share, "recipes")).unwrap();
    for (_, public) in [first, second, third] {
        assert!(record.contains(&public), "{record}");
    }
}

#[test]
fn case_129_a_record_gets_no_more_signatures_than_readers_accept() {
    let (mut world, project, unpinned) = World::built(&[ONE]);
    let share = world.sandbox.path("share");
    let url = format!("file://{}", share.display());
    world.remote(&url, true);
    let mut first = None;
    for n in 0..16 {
        let key = world.key(&format!("key-{n}"));
        let push = ["cache", "push", "--sign", &key.0];
        world.run(&project, &push).exits(0);
        first.get_or_insert(key.1);
    }
    let file = only(&share, "recipes");
    let before = fs::read_to_string(&file).unwrap();
    let (more, _) = world.key("one-more");
    let push = ["cache", "push", "--sign", &more];
    let said = world.run(&project, &push).exits(6);
    said.mentions("16 signatures");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    // A blob that is gone is sent again all the same.
    fs::remove_file(only(&share, "blobs")).unwrap();
    let said = world.run(&project, &push).exits(0);
    assert_eq!(super::warnings(&said).len(), 1, "{}", said.err);
    said.mentions("new").mentions("16 signatures");
    assert!(only(&share, "blobs").is_file());
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    // Its readers still take it.
    world.trust(&first.unwrap());
    let other = world.machine_with("b", &[ONE], &unpinned);
    world.run(&other, &["sync"]).exits(0);
    assert_eq!(world.compiler.built().len(), 1);
    // One that is beyond the limit already is nobody's to replace.
    let mut record: serde_json::Value = serde_json::from_str(&before).unwrap();
    let signatures = record["signatures"].as_array_mut().unwrap();
    let again = signatures[0].clone();
    signatures.push(again);
    let beyond = record.to_string();
    fs::write(&file, &beyond).unwrap();
    let cache = world.sandbox.path("cache-a");
    world
        .sandbox
        .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
    let said = world.run(&project, &["cache", "push"]).exits(5);
    said.mentions("number of signatures");
    assert_eq!(fs::read_to_string(&file).unwrap(), beyond);
}

#[test]
fn a_push_outlives_a_server_that_is_busy_once() {
    let (mut world, project, _) = World::built(&[ONE]);
    let (key, _) = world.key("key");
    let objects = Objects::default();
    let kept = objects.clone();
    // The first of every request is refused: looks as well as writes.
    let server = Server::start(move |request| {
        static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let what = format!("{} {}", request.method, request.path);
        if SEEN.lock().unwrap().insert(what) {
            return answer("503 Service Unavailable", &[], b"");
        }
        bazel(&kept, request)
    });
    world.remote(&server.url(), true);
    let push = ["cache", "push", "--sign", &key];
    world.run(&project, &push).exits(0).mentions("new");
    world.run(&project, &push).exits(0).mentions("present");
    let asked = server.requests();
    for method in ["GET", "HEAD", "PUT"] {
        assert!(asked.iter().any(|r| r.method == method), "{method}");
    }
    whole(&objects.lock().unwrap());
}

#[test]
fn what_fails_on_one_remote_stops_no_other_tree_and_no_other_remote() {
    let all: Vec<String> = (0..6).map(|n| format!("fake{n:03}-unknown-none")).collect();
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let (mut world, project, _) = World::built(&targets);
    let bad = Server::start(|_| answer("401 Unauthorized", &[], b""));
    let objects = Objects::default();
    let (kept, refused) = (objects.clone(), Mutex::new(None::<String>));
    // The second one has no room for one of the blobs.
    let picky = Server::start(move |request| {
        let is_blob = request.method == "PUT" && is_blob(&request.body);
        let mut refused = refused.lock().unwrap();
        if is_blob && request.path == *refused.get_or_insert_with(|| request.path.clone()) {
            return answer("413 Payload Too Large", &[], b"");
        }
        bazel(&kept, request)
    });
    world.remote(&format!("{} {}", bad.url(), picky.url()), true);
    let said = world.run(&project, &["cache", "push", "--json"]).exits(4);
    let report = said.json();
    assert_eq!(report["pushed"].as_array().unwrap().len(), 5, "{report}");
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 7, "{report}");
    let of = |url: String| failed.iter().filter(move |f| f["remote"] == url);
    assert_eq!(of(bad.url()).count(), 6);
    assert!(of(picky.url()).all(|f| f["reason"].to_string().contains("413")));
    assert!(failed.iter().all(|f| f["exit_code"] == 4));
    whole(&objects.lock().unwrap());
    // A remote that takes nothing is given up: three trees, and what the
    // other sender had under way.
    assert!(bad.requests().len() <= 4, "{}", bad.requests().len());
    let text = world.run(&project, &["cache", "push"]).exits(4);
    text.mentions("not asked any more").mentions("present");
}

#[test]
fn a_remote_that_cannot_be_set_up_stops_no_other_remote() {
    let (mut world, project, _) = World::built(&[ONE, TWO]);
    let (server, objects) = cache_server();
    // No account is named.
    world.remote(&format!("az://container/x {}", server.url()), true);
    let said = world.run(&project, &["cache", "push", "--json"]).exits(2);
    let report = said.json();
    assert_eq!(report["pushed"].as_array().unwrap().len(), 2, "{report}");
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{report}");
    for tree in failed {
        assert!(tree["remote"].as_str().unwrap().starts_with("az:"));
        assert_eq!(tree["exit_code"], 2, "{report}");
    }
    assert_eq!(objects.lock().unwrap().len(), 6);
}

#[test]
fn case_132_what_a_killed_push_staged_on_a_share_is_removed_by_a_later_one() {
    let (mut world, project, _) = World::built(&[ONE]);
    let share = world.sandbox.path("share");
    world.remote(&format!("file://{}", share.display()), true);
    let hours = |hours| std::time::SystemTime::now() - std::time::Duration::from_hours(hours);
    let mut left = Vec::new();
    for kind in ["blobs", "recipes"] {
        let dir = share.join("v1").join(kind);
        fs::create_dir_all(&dir).unwrap();
        for (name, age) in [
            (".incoming-0a1b2c3d", 2),
            (".incoming-4e5f6a7b", 0),
            ("other", 2),
        ] {
            let file = fs::File::create(dir.join(name)).unwrap();
            file.set_modified(hours(age)).unwrap();
            left.push((dir.join(name), age == 2 && name != "other"));
        }
    }
    world.run(&project, &["cache", "push"]).exits(0);
    for (path, is_old) in left {
        assert_eq!(path.exists(), !is_old, "{}", path.display());
    }
}

#[test]
fn only_the_selected_targets_are_pushed_and_pulled() {
    let (mut world, project, _) = World::built(&[ONE, TWO]);
    let (server, objects) = cache_server();
    world.remote(&server.url(), true);
    world
        .run(&project, &["cache", "push", "--target", TWO])
        .exits(0);
    assert_eq!(objects.lock().unwrap().len(), 3);
    world
        .run(&project, &["cache", "push", "--target", "other"])
        .exits(2);
    world.run(&project, &["cache", "push"]).exits(0);
    assert_eq!(objects.lock().unwrap().len(), 6);
    let lock = lock_of(&project);
    let other = world.machine_with("b", &[ONE, TWO], &lock);
    let said = world
        .run(&other, &["cache", "pull", "--target", ONE, "--json"])
        .exits(0);
    let pulled = said.json()["pulled"].as_array().unwrap().clone();
    assert_eq!(pulled.len(), 1);
    assert_eq!(pulled[0]["name"], ONE);
    // What was not built here cannot be pushed.
    let said = world.run(&other, &["cache", "push"]).exits(1);
    said.mentions(TWO).mentions("sysroot sync");
}

#[test]
fn a_damaged_tree_is_not_pushed() {
    let (mut world, project, _) = World::built(&[ONE]);
    let (server, objects) = cache_server();
    let trees = world.sandbox.path("cache-a/v1/trees");
    for tree in fs::read_dir(trees).unwrap().flatten() {
        let file = tree.path().join(format!(
            "lib/rustlib/{ONE}/lib/libcore-0123456789abcdef.rlib"
        ));
        if file.is_file() {
            fs::remove_file(&file).unwrap();
            fs::write(&file, "edited").unwrap();
        }
    }
    world.remote(&server.url(), true);
    let said = world.run(&project, &["cache", "push"]).exits(5);
    said.mentions("damaged");
    assert_eq!(objects.lock().unwrap().len(), 0);
}

/// Kills `push` at each of its file operations, cuts included, and holds that
/// the directory never has a record whose blob is not whole.
#[cfg(feature = "fault-injection")]
#[test]
fn case_132_a_push_that_is_killed_leaves_nothing_that_is_believed() {
    let (mut world, project, _) = World::built(&[ONE]);
    let count = world.sandbox.path("count");
    let share = |n: usize| world.sandbox.path(&format!("share-{n}"));
    let url = |n: usize| format!("file://{}", share(n).display());
    let (first, all) = (url(0), count.to_str().unwrap().to_owned());
    world.sandbox.set("SYSROOT_REMOTE_ACCESS", "read-write");
    world.sandbox.set("SYSROOT_REMOTE", &first);
    world.sandbox.set("SYSROOT_FAULT_COUNT", &all);
    world.run(&project, &["cache", "push"]).exits(0);
    world.sandbox.env.remove("SYSROOT_FAULT_COUNT");
    let operations = fs::read_to_string(&count).unwrap().lines().count();
    assert!(operations > 10, "{operations}");
    for n in 1..=operations {
        let share = world.sandbox.path(&format!("share-{n}"));
        let url = format!("file://{}", share.display());
        world.sandbox.set("SYSROOT_REMOTE", &url);
        world.sandbox.set("SYSROOT_FAULT", &format!("kill:{n}"));
        world.run(&project, &["cache", "push"]).exits(-1);
        world.sandbox.env.remove("SYSROOT_FAULT");
        let names = |kind: &str| -> Vec<String> {
            let found = fs::read_dir(share.join("v1").join(kind));
            let found = found.into_iter().flatten().flatten();
            let names = found.map(|entry| entry.file_name().into_string().unwrap());
            names.filter(|name| !name.starts_with('.')).collect()
        };
        let blobs = names("blobs");
        for name in &blobs {
            let bytes = fs::read(share.join("v1/blobs").join(name)).unwrap();
            assert_eq!(*name, sha256(&bytes), "at {n}");
        }
        for name in names("recipes") {
            let text = fs::read_to_string(share.join("v1/recipes").join(name)).unwrap();
            assert!(blobs.iter().any(|blob| text.contains(blob)), "at {n}");
        }
        // The next push does what is left to do.
        world.run(&project, &["cache", "push"]).exits(0);
        assert_eq!((names("blobs").len(), names("recipes").len()), (1, 1));
    }
}
