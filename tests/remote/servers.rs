//! Each kind of remote: a directory, an HTTP cache, an S3-compatible store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{ONE, Objects, TWO, World, lock_of, output};
use crate::http::{Request, Server, Step, answer, head};
use crate::support::sandbox::snapshot;

/// As much of S3 as it takes: path-style `GET`, `HEAD` and `PUT`. Google's
/// store speaks the same but for its condition of a write.
fn s3(objects: &Objects, request: &Request) -> Vec<Step> {
    let mut objects = objects.lock().unwrap();
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (request.path.clone(), String::new()),
    };
    let tag = format!("\"{}\"", request.path.len());
    let headers = [
        ("etag", tag.as_str()),
        ("x-goog-generation", "1"),
        ("last-modified", "Wed, 20 May 2026 12:00:00 GMT"),
    ];
    let only_new = request.header("if-none-match") == Some("*")
        || request.header("x-goog-if-generation-match") == Some("0");
    match request.method.as_str() {
        "PUT" if only_new && objects.contains_key(&path) => {
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

/// As much of Azure's blob service as it takes.
fn azure(objects: &Objects, request: &Request) -> Vec<Step> {
    let mut objects = objects.lock().unwrap();
    let path = request.path.clone();
    let headers = [
        ("etag", "\"1\""),
        ("last-modified", "Wed, 20 May 2026 12:00:00 GMT"),
        ("x-ms-version", "2023-11-03"),
    ];
    match request.method.as_str() {
        "PUT" if request.header("x-ms-blob-type") != Some("BlockBlob") => {
            answer("400 Bad Request", &headers, b"")
        }
        "PUT" if request.header("if-none-match") == Some("*") && objects.contains_key(&path) => {
            let body = b"<Error><Code>BlobAlreadyExists</Code></Error>";
            answer("409 The specified blob already exists.", &headers, body)
        }
        "PUT" => {
            objects.insert(path, request.body.clone());
            answer("201 Created", &headers, b"")
        }
        method => match objects.get(&path) {
            None => answer("404 Not Found", &headers, b""),
            Some(bytes) if method == "HEAD" => {
                vec![Step::Bytes(head("200 OK", &headers, bytes.len() as u64))]
            }
            Some(bytes) => answer("200 OK", &headers, bytes),
        },
    }
}

/// How a store is reached: its URL, and the variables of its users.
struct Store {
    speaks: fn(&Objects, &Request) -> Vec<Step>,
    url: &'static str,
    variables: fn(&World, &str) -> Vec<(&'static str, String)>,
}

const S3: Store = Store {
    speaks: s3,
    url: "s3://bucket/some/prefix",
    variables: |_, server| {
        vec![
            ("AWS_ENDPOINT_URL", server.to_owned()),
            ("AWS_ACCESS_KEY_ID", "the-access-key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "the-secret-key".to_owned()),
        ]
    },
};

const GOOGLE: Store = Store {
    speaks: s3,
    url: "gs://bucket/some/prefix",
    variables: |world, server| {
        let file = world.sandbox.path("account.json");
        let account = format!(
            r#"{{"private_key": "k", "private_key_id": "i", "client_email": "e",
                "disable_oauth": true, "gcs_base_url": "{server}"}}"#
        );
        fs::write(&file, account).unwrap();
        vec![("GOOGLE_SERVICE_ACCOUNT", file.to_str().unwrap().to_owned())]
    },
};

const AZURE: Store = Store {
    speaks: azure,
    url: "az://container/some/prefix",
    variables: |_, server| {
        vec![
            ("AZURE_STORAGE_ENDPOINT", server.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account".to_owned()),
            (
                "AZURE_STORAGE_ACCOUNT_KEY",
                "dGhlLXNlY3JldC1rZXk=".to_owned(),
            ),
        ]
    },
};

/// Starts such a store, which keeps these objects, as the world's.
fn start(world: &mut World, store: &Store, objects: &Objects) -> Server {
    let (kept, speaks) = (objects.clone(), store.speaks);
    let server = Server::start(move |request| speaks(&kept, request));
    for (name, value) in (store.variables)(world, &server.url()) {
        world.sandbox.set(name, &value);
    }
    server
}

#[test]
fn a_google_bucket_is_a_remote() {
    let (mut world, ..) = World::built(&[ONE, TWO]);
    let objects = Objects::default();
    let server = start(&mut world, &GOOGLE, &objects);
    share(&mut world, GOOGLE.url);
    assert_eq!(objects.lock().unwrap().len(), 4);
    let requests = server.requests();
    let records = requests
        .iter()
        .filter(|r| r.method == "PUT" && r.path.contains("recipes"));
    let new = records.map(|r| r.header("x-goog-if-generation-match"));
    assert_eq!(new.collect::<Vec<_>>(), [Some("0"); 2]);
}

#[test]
fn an_azure_container_is_a_remote() {
    let (mut world, ..) = World::built(&[ONE, TWO]);
    let objects = Objects::default();
    let server = start(&mut world, &AZURE, &objects);
    share(&mut world, AZURE.url);
    assert_eq!(objects.lock().unwrap().len(), 4);
    let requests = server.requests();
    let signed = |r: &Request| {
        let header = r.header("authorization").unwrap();
        header.starts_with("SharedKey account:") && !header.contains("dGhlLXNlY3JldC1rZXk=")
    };
    assert!(requests.iter().all(signed));
    let records = requests
        .iter()
        .filter(|r| r.method == "PUT" && r.path.contains("recipes"));
    let new = records.map(|r| r.header("if-none-match"));
    assert_eq!(new.collect::<Vec<_>>(), [Some("*"); 2]);
}

#[test]
fn case_133_in_each_kind_of_store_the_first_of_two_that_write_at_once_stays() {
    for store in [S3, GOOGLE, AZURE] {
        let (mut world, project, unpinned) = World::built(&[ONE]);
        let objects = Objects::default();
        let server = start(&mut world, &store, &objects);
        world.remote(store.url, true);
        world.run(&project, &["cache", "push"]).exits(0);
        drop(server);
        let before = objects.lock().unwrap().clone();
        let other = world.machine_with("b", &[ONE], &unpinned);
        world.sandbox.env.remove("SYSROOT_REMOTE");
        world.compiler.salt("not reproducible");
        world.run(&other, &["sync"]).exits(0);
        // The first one's record appears between our look and our write.
        let (kept, speaks) = (objects.clone(), store.speaks);
        let hidden = std::sync::Mutex::new(true);
        let server = Server::start(move |request| {
            let looks = request.method == "GET" && request.path.contains("recipes");
            if looks && std::mem::take(&mut *hidden.lock().unwrap()) {
                return answer("404 Not Found", &[], b"");
            }
            speaks(&kept, request)
        });
        for (name, value) in (store.variables)(&world, &server.url()) {
            world.sandbox.set(name, &value);
        }
        world.remote(store.url, true);
        let said = world.run(&other, &["cache", "push"]).exits(1);
        said.mentions("conflict");
        let after = objects.lock().unwrap();
        let recipes = |objects: &std::collections::BTreeMap<String, Vec<u8>>| {
            let mut all = objects.clone();
            all.retain(|path, _| path.contains("recipes"));
            all
        };
        assert_eq!(recipes(&after), recipes(&before), "{}", store.url);
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
    // The first push makes the remote's own directory, and none above it.
    fs::create_dir(world.sandbox.path("share")).unwrap();
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
    let mut records = 0;
    for (at, put) in puts.iter().enumerate() {
        if put.path.contains("/recipes/") {
            let text = String::from_utf8_lossy(&put.body);
            let is_named = |blob: &&&Request| {
                let name = blob.path.rsplit('/').next().unwrap();
                blob.path.contains("/blobs/") && text.contains(name)
            };
            assert_eq!(puts[..at].iter().filter(is_named).count(), 1);
            assert_eq!(put.header("if-none-match"), Some("*"));
            records += 1;
        }
    }
    assert_eq!(records, 2);
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
