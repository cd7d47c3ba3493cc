//! Each kind of remote: a directory, an HTTP cache, an S3-compatible store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{ONE, Objects, TWO, World, lock_of, output};
use crate::http::{Request, Server, Step, answer, head};
use crate::support::sandbox::snapshot;

/// As much of S3 as it takes: path-style `GET`, `HEAD` and `PUT`.
fn s3(objects: &Objects, request: &Request) -> Vec<Step> {
    let mut objects = objects.lock().unwrap();
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (request.path.clone(), String::new()),
    };
    let tag = format!("\"{}\"", request.path.len());
    let headers = [
        ("etag", tag.as_str()),
        ("last-modified", "Wed, 20 May 2026 12:00:00 GMT"),
    ];
    match request.method.as_str() {
        "PUT" if request.header("if-none-match").is_some() && objects.contains_key(&path) => {
            answer("412 Precondition Failed", &headers, b"")
        }
        // An upload in parts: begun, one part after another, completed.
        "POST" if query == "uploads=" || query == "uploads" => {
            let body = b"<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>";
            answer("200 OK", &headers, body)
        }
        "PUT" if query.contains("partNumber") => {
            objects.insert(format!("{path}?{query}"), request.body.clone());
            answer("200 OK", &headers, b"")
        }
        "POST" => {
            let parts =
                (1..).map_while(|n| objects.remove(&format!("{path}?partNumber={n}&uploadId=7")));
            let whole = parts.collect::<Vec<_>>().concat();
            objects.insert(path, whole);
            let body = b"<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
            answer("200 OK", &headers, body)
        }
        "PUT" => {
            objects.insert(path, request.body.clone());
            answer("200 OK", &headers, b"")
        }
        method => match objects.get(&path) {
            None if method == "HEAD" => answer("404 Not Found", &[], b""),
            None => answer(
                "404 Not Found",
                &[],
                b"<Error><Code>NoSuchKey</Code></Error>",
            ),
            Some(bytes) if method == "HEAD" => {
                vec![Step::Bytes(head("200 OK", &headers, bytes.len() as u64))]
            }
            Some(bytes) => answer("200 OK", &headers, bytes),
        },
    }
}

/// Pushes from one machine and syncs on another.
fn share(world: &mut World, url: &str) {
    let (targets, project) = ([ONE, TWO], world.sandbox.path("project-a"));
    world.remote(url, true);
    let push = |world: &World, word: &str| {
        let said = world.run(&project, &["cache", "push", "--json"]).exits(0);
        let report = said.json();
        let results: Vec<_> = report["pushed"].as_array().unwrap().iter().collect();
        assert_eq!(results.len(), 2);
        assert!(
            results.iter().all(|tree| tree["result"] == word),
            "{report}"
        );
    };
    push(world, "new");
    push(world, "present");
    let lock = lock_of(&project);
    let other = world.machine_with("b", &targets, &lock);
    world.remote(url, false);
    let said = world.run(&other, &["sync", "--json"]).exits(0);
    assert_eq!(said.json()["pulled"].as_array().unwrap().len(), 2);
    assert_eq!(world.compiler.built().len(), 2);
    for target in targets {
        assert_eq!(output(&other, target), output(&project, target));
    }
    let cache = world.sandbox.path("cache-a");
    world
        .sandbox
        .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
}

#[test]
fn a_directory_is_a_remote() {
    let (mut world, ..) = World::built(&[ONE, TWO]);
    let dir = world.sandbox.path("share/trees");
    share(&mut world, &format!("file://{}", dir.display()));
    let kinds: Vec<_> = fs::read_dir(dir.join("v1")).unwrap().flatten().collect();
    assert_eq!(kinds.len(), 2, "recipes and blobs");
    // Other users of a share can read it, whatever our own files' modes are.
    for kind in kinds {
        for file in fs::read_dir(kind.path()).unwrap().flatten() {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        }
    }
}

#[test]
fn a_directory_is_a_remote_without_a_network() {
    let (mut world, project, _) = World::built(&[ONE]);
    let url = format!("file://{}", world.sandbox.path("share").display());
    world.remote(&url, true);
    world
        .run(&project, &["cache", "push", "--offline"])
        .exits(0);
    let lock = lock_of(&project);
    let other = world.machine_with("b", &[ONE], &lock);
    let said = world
        .run(&other, &["cache", "pull", "--offline", "--json"])
        .exits(0);
    assert_eq!(said.json()["pulled"][0]["name"], ONE);
}

#[test]
fn a_server_of_bazels_layout_that_validates_is_a_remote() {
    let (mut world, ..) = World::built(&[ONE, TWO]);
    let (server, objects) = super::cache_server();
    share(&mut world, &server.url());
    let objects = objects.lock().unwrap();
    let count = |of: &str| objects.keys().filter(|path| path.starts_with(of)).count();
    assert_eq!((count("/ac/"), count("/cas/")), (2, 4));
}

#[test]
fn an_s3_store_is_a_remote() {
    let (mut world, ..) = World::built(&[ONE, TWO]);
    let objects = Objects::default();
    let kept = objects.clone();
    let server = Server::start(move |request| s3(&kept, request));
    for (name, value) in [
        ("AWS_ENDPOINT_URL", server.url().as_str()),
        ("AWS_ACCESS_KEY_ID", "the-access-key"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret-key"),
        ("AWS_REGION", "here"),
    ] {
        world.sandbox.set(name, value);
    }
    share(&mut world, "s3://bucket/some/prefix");
    let objects = objects.lock().unwrap();
    let prefix = "/bucket/some/prefix/v1/";
    assert!(objects.keys().all(|path| path.starts_with(prefix)));
    let requests = server.requests();
    let signed = |r: &Request| {
        let header = r.header("authorization").unwrap();
        header.contains("the-access-key") && !header.contains("the-secret-key")
    };
    assert!(requests.iter().all(signed));
    // The record comes last, and only where there is none.
    let puts: Vec<_> = requests.iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(puts.len(), 4);
    for pair in puts.chunks(2) {
        assert!(pair[0].path.contains("/blobs/"));
        assert!(pair[1].path.contains("/recipes/"));
        assert_eq!(pair[1].header("if-none-match"), Some("*"));
    }
}

#[test]
fn a_large_tree_goes_to_an_s3_store_in_parts_and_comes_back_whole() {
    // Bytes that do not compress, more than one part of them.
    let mut ballast = vec![0; 20 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut ballast);
    let mut world = World::with(&ballast);
    let project = world.machine("a", &[ONE]);
    world.run(&project, &["sync"]).exits(0);
    let (secret, public) = world.key("key");
    let objects = Objects::default();
    let kept = objects.clone();
    let server = Server::start(move |request| s3(&kept, request));
    world.sandbox.set("AWS_ENDPOINT_URL", &server.url());
    world.sandbox.set("AWS_ACCESS_KEY_ID", "the-access-key");
    world.sandbox.set("AWS_SECRET_ACCESS_KEY", "the-secret-key");
    world.remote("s3://bucket", true);
    let push = ["cache", "push", "--components", "--sign", &secret];
    world.run(&project, &push).exits(0);
    let parts = server.requests();
    let parts = parts.iter().filter(|r| r.path.contains("partNumber"));
    assert_eq!(parts.count(), 2);
    // Nothing but whole objects is there.
    assert!(
        objects
            .lock()
            .unwrap()
            .keys()
            .all(|path| !path.contains('?'))
    );
    world.trust(&public);
    world
        .sandbox
        .set("SYSROOT_DIST_SERVER", "http://127.0.0.1:9");
    let other = world.machine_with("b", &[ONE], &lock_of(&project));
    world.run(&other, &["sync"]).exits(0);
    let driver = other.join(".sysroot/lib/librustc_driver-0.so");
    assert!(fs::read(driver).unwrap() == ballast);
}

#[test]
fn case_138_two_machines_make_the_same_blobs() {
    let (mut world, project, unpinned) = World::built(&[ONE]);
    let (one, two) = (world.sandbox.path("one"), world.sandbox.path("two"));
    world.remote(&format!("file://{}", one.display()), true);
    world.run(&project, &["cache", "push"]).exits(0);
    let home = world.sandbox.path("another-users-home");
    fs::create_dir(&home).unwrap();
    world.sandbox.set("HOME", home.to_str().unwrap());
    world.sandbox.env.remove("SYSROOT_REMOTE");
    let other = world.machine_with("b", &[ONE], &unpinned);
    world.run(&other, &["sync"]).exits(0);
    assert_eq!(world.compiler.built().len(), 2);
    world.remote(&format!("file://{}", two.display()), true);
    world.run(&other, &["cache", "push"]).exits(0);
    assert_eq!(snapshot(&one), snapshot(&two));
}
