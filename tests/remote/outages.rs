//! Remotes in trouble: local work goes on, within a stated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ONE, Shared, TWO, bazel, find, is_blob, warnings};
use crate::http::{Server, Step, answer, head};
use crate::support::sandbox::Said;

/// Against hangs only, on a busy machine. What a wait really costs is held by
/// the messages, which state it, and by the number of requests.
const BOUND: Duration = Duration::from_mins(2);

/// Syncs two targets with a remote in trouble, and holds that they were
/// compiled, with one warning.
#[track_caller]
fn troubled(shared: &mut Shared, what: &str, url: &str, expected: &str) -> Said {
    let before = shared.world.compiler.built().len();
    let lock = shared.pinned.clone();
    let machine = format!("m{before}");
    let project = shared.world.machine_with(&machine, &[ONE, TWO], &lock);
    shared.world.remote(url, false);
    let begun = Instant::now();
    let said = shared.world.run(&project, &["sync"]).exits(0);
    let took = begun.elapsed();
    assert!(took < BOUND, "{what}: {took:?}");
    assert_eq!(warnings(&said).len(), 1, "{what}:\n{}", said.err);
    assert_eq!(shared.rebuilt(before), 2, "{what}");
    said.mentions(expected)
}

#[test]
fn case_131_a_remote_that_refuses_costs_a_warning() {
    let mut shared = Shared::new(&[ONE, TWO]);
    // Nobody listens there.
    troubled(&mut shared, "down", "http://127.0.0.1:9", "cannot connect");
    for (status, text) in [
        ("401 Unauthorized", "401"),
        ("403 Forbidden", "403"),
        ("500 Internal Server Error", "500"),
        ("503 Service Unavailable", "503"),
        ("302 Found", "redirect"),
    ] {
        let server = Server::start(move |_| answer(status, &[], b"<html>no</html>"));
        troubled(&mut shared, status, &server.url(), text);
        // Two targets are looked for at once; nothing is tried again.
        assert!(server.requests().len() <= 2, "{status}");
    }
    let server = Server::start(|_| answer("200 OK", &[], b"<html>login</html>"));
    troubled(&mut shared, "login", &server.url(), "no ActionResult");
}

#[test]
fn case_131_a_directory_that_is_not_there_is_a_remote_that_failed() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let share = shared.world.sandbox.path("share");
    let url = format!("file://{}", share.display());
    let text = format!("there is no directory `{}`", share.display());
    troubled(&mut shared, "not mounted", &url, &text);
    let (lock, below) = (shared.pinned.clone(), format!("{url}/below"));
    let project = shared.world.machine_with("b", &[ONE, TWO], &lock);
    let said = shared.world.run(&project, &["cache", "pull"]).exits(4);
    assert_eq!(warnings(&said).len(), 1, "{}", said.err);
    said.mentions(&text).mentions(&format!("missing  {ONE}"));
    shared.world.run(&project, &["sync"]).exits(0);
    // Nothing is made where nothing is mounted.
    shared.world.remote(&below, true);
    let push = ["cache", "push"];
    let said = shared.world.run(&project, &push).exits(4);
    said.mentions(&text).mentions("none above it");
    let warm = ["cache", "warm", "--shard", "1/1"];
    shared.world.run(&project, &warm).exits(4).mentions(&text);
    assert!(!share.exists());
    shared.world.remote(&url, true);
    shared.world.run(&project, &push).exits(0);
    // One that is there and has nothing is no failure.
    std::fs::create_dir(share.join("below")).unwrap();
    let project = shared.world.machine_with("c", &[ONE, TWO], &lock);
    shared.world.remote(&below, false);
    let said = shared.world.run(&project, &["cache", "pull"]).exits(0);
    assert_eq!(warnings(&said).len(), 0, "{}", said.err);
}

#[test]
fn case_131_a_remote_that_breaks_off_costs_a_warning() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let server = Server::start(|_| vec![Step::Reset]);
    troubled(&mut shared, "reset", &server.url(), "not asked any more");
    let objects = shared.objects.clone();
    let server = Server::start(move |request| {
        let whole = bazel(&objects, request);
        if !request.path.starts_with("/cas/") {
            return whole;
        }
        vec![
            Step::Bytes(head("200 OK", &[], 100)),
            Step::Bytes(vec![7; 9]),
            Step::Reset,
        ]
    });
    troubled(&mut shared, "cut", &server.url(), "the connection broke");
}

#[test]
fn case_131_a_remote_that_is_silent_or_trickles_costs_seconds() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let server = Server::start(|_| vec![Step::Hold]);
    troubled(&mut shared, "silent", &server.url(), "no answer within 2");
    // Two targets were looked for, and the archives of neither.
    assert!(server.requests().len() <= 2);
    let server = Server::start(|_| {
        let head = head("200 OK", &[], 1000);
        vec![Step::Bytes(head), Step::Drip(Duration::from_millis(100))]
    });
    troubled(&mut shared, "drip", &server.url(), "bytes came within 5");
    assert!(server.requests().len() <= 2);
    let objects = shared.objects.clone();
    let blobs: Vec<String> = objects
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, bytes)| is_blob(bytes))
        .map(|(path, _)| path.clone())
        .collect();
    let server = Server::start(move |request| {
        if !blobs.contains(&request.path) {
            return bazel(&objects, request);
        }
        let head = head("200 OK", &[], 1000);
        vec![Step::Bytes(head), Step::Drip(Duration::from_millis(100))]
    });
    troubled(
        &mut shared,
        "drip blob",
        &server.url(),
        "bytes came within 5",
    );
    // An entry, a record and a blob for each.
    assert!(server.requests().len() <= 6);
}

/// Many targets and their lock with pins, compiled by one machine, and a copy
/// of what a remote has of them.
#[cfg(feature = "fault-injection")]
fn many() -> (Shared, Vec<String>) {
    let all: Vec<String> = (0..20)
        .map(|n| format!("fake{n:03}-unknown-none"))
        .collect();
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    (Shared::new(&targets), all)
}

/// Syncs all of them with a bad remote that may waste so many milliseconds,
/// and holds that they are compiled, and how often it was asked and told of.
#[cfg(feature = "fault-injection")]
#[track_caller]
fn bounded(
    (shared, all): &mut (Shared, Vec<String>),
    milliseconds: &str,
    server: &Server,
    requests: usize,
    told: &[&str],
) {
    let targets: Vec<&str> = all.iter().map(String::as_str).collect();
    let before = shared.world.compiler.built().len();
    let lock = shared.pinned.clone();
    let machine = format!("m{before}");
    let project = shared.world.machine_with(&machine, &targets, &lock);
    shared.world.remote(&server.url(), false);
    shared
        .world
        .sandbox
        .set("SYSROOT_FAULT_PATIENCE", milliseconds);
    let mut said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(shared.rebuilt(before), all.len());
    assert_eq!(warnings(&said).len(), told.len(), "{}", said.err);
    for text in told {
        said = said.mentions(text);
    }
    let asked = server.requests().len();
    assert!(asked <= requests, "{asked} requests:\n{}", said.err);
}

#[cfg(feature = "fault-injection")]
#[test]
fn case_131_what_a_bad_remote_may_waste_does_not_grow_with_the_number_of_targets() {
    let mut many = many();
    // Misses, four at a time, each of them far below any time limit. What they
    // may waste is not above the 2 s of an answer, so that a busy machine
    // changes no message.
    let pause = |milliseconds| Step::Pause(Duration::from_millis(milliseconds));
    let server = Server::start(move |_| {
        let mut steps = vec![pause(300)];
        steps.extend(answer("404 Not Found", &[], b""));
        steps
    });
    let told = ["gave nothing took 1 seconds"];
    bounded(&mut many, "1000", &server, 8, &told);
    // Records whose blobs are gone: told once, and a miss each time.
    let mut objects = many.0.objects.lock().unwrap().clone();
    objects.retain(|_, bytes| !is_blob(bytes));
    let objects = super::Objects::new(objects.into());
    let server = Server::start(move |request| {
        let mut steps = vec![pause(150)];
        steps.extend(bazel(&objects, request));
        steps
    });
    let told = ["but not its blob", "gave nothing took 2 seconds"];
    bounded(&mut many, "2000", &server, 24, &told);
}

#[cfg(feature = "fault-injection")]
#[test]
fn case_131_a_body_that_comes_slowly_ends_with_what_the_remote_may_waste() {
    let mut many = many();
    let objects = many.0.objects.clone();
    let server = Server::start(move |request| {
        let size = objects.lock().unwrap().get(&request.path).map(Vec::len);
        let is_entry = request.path.starts_with("/ac/");
        match size.filter(|_| !is_entry) {
            // It would take longer than the 5 s of the minimum rate.
            Some(size) => {
                let head = head("200 OK", &[], size as u64);
                vec![Step::Bytes(head), Step::Drip(Duration::from_millis(50))]
            }
            None => bazel(&objects, request),
        }
    });
    let told = ["gave nothing took 1.5 seconds"];
    bounded(&mut many, "1500", &server, 8, &told);
}

#[test]
fn case_131_all_redirects_of_a_request_share_its_two_seconds() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let server = Server::start(|request| {
        let hops = request.path.rsplit('-').next().unwrap().len();
        let to = format!("{}-{}", request.path, "x".repeat(hops % 40));
        let mut steps = vec![Step::Pause(Duration::from_millis(700))];
        steps.extend(answer("307 Temporary Redirect", &[("location", &to)], b""));
        steps
    });
    troubled(&mut shared, "hops", &server.url(), "no answer within 2");
    // Two targets at once, three hops each.
    assert!(server.requests().len() <= 6);
}

#[test]
fn case_127_each_kind_of_lie_is_told_once() {
    let targets = [ONE, TWO, "fake000-unknown-none", "fake001-unknown-none"];
    let mut shared = Shared::new(&targets);
    let objects = shared.changed(|objects| {
        let entries: Vec<String> = objects
            .keys()
            .filter(|path| path.starts_with("/ac/"))
            .cloned()
            .collect();
        let gone = |objects: &mut BTreeMap<String, Vec<u8>>, entry: &str, at: usize| {
            let (hash, _) = super::named_blobs(&objects[entry]).unwrap()[at].clone();
            objects.remove(&format!("/cas/{hash}"));
        };
        // Two records whose blob is gone, one that is gone itself, and what
        // is no entry at all.
        gone(objects, &entries[0], 1);
        gone(objects, &entries[1], 1);
        gone(objects, &entries[2], 0);
        objects.insert(entries[3].clone(), b"<html>".to_vec());
    });
    let server = super::serving(objects);
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &targets, &lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(warnings(&said).len(), 3, "{}", said.err);
    said.mentions("but not its blob")
        .mentions("but not the record that it names")
        .mentions("no ActionResult");
    assert_eq!(shared.rebuilt(4), 4);
    // All of it is replaced by whoever compiled it.
    shared.world.remote(&server.url(), true);
    shared.world.run(&project, &["cache", "push"]).exits(0);
    shared.world.remote(&server.url(), false);
    let project = shared.world.machine_with("c", &targets, &lock);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(warnings(&said).len(), 0, "{}", said.err);
    assert_eq!(shared.rebuilt(4), 4);
}

#[test]
fn case_131_a_certificate_that_nobody_vouches_for_costs_a_warning() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let wrap = move |stream: std::net::TcpStream| -> Option<Box<dyn crate::http::Stream>> {
        let connection = rustls::ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(rustls::StreamOwned::new(connection, stream)))
    };
    let server = Server::tls(Arc::new(wrap), |_| answer("404 Not Found", &[], b""));
    troubled(
        &mut shared,
        "tls",
        &server.url(),
        "certificate is not accepted",
    );
}

#[test]
fn case_131_a_bad_remote_does_not_keep_a_good_one_from_answering() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let objects = shared.objects.clone();
    let good = Server::start(move |request| bazel(&objects, request));
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE, TWO], &lock);
    let urls = format!("http://127.0.0.1:9 {}", good.url());
    shared.world.remote(&urls, false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(warnings(&said).len(), 1, "{}", said.err);
    assert_eq!(shared.rebuilt(2), 0);
}

#[test]
fn case_131_an_s3_store_in_trouble_costs_a_warning() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let servers: [(&str, &str, Server); 3] = [
        (
            "403",
            "403 Forbidden",
            Server::start(|_| answer("403 Forbidden", &[], b"<Error>the-secret-key</Error>")),
        ),
        (
            "500",
            "500 Internal",
            Server::start(|_| answer("500 Internal Server Error", &[], b"")),
        ),
        (
            "silent",
            "no answer within 2 seconds",
            Server::start(|_| vec![Step::Hold]),
        ),
    ];
    for (what, text, server) in servers {
        for (name, value) in [
            ("AWS_ENDPOINT_URL", server.url().as_str()),
            ("AWS_ACCESS_KEY_ID", "the-access-key"),
            ("AWS_SECRET_ACCESS_KEY", "the-secret-key"),
        ] {
            shared.world.sandbox.set(name, value);
        }
        let said = troubled(&mut shared, what, "s3://bucket", text);
        for secret in ["the-secret-key", "the-access-key"] {
            assert!(!said.err.contains(secret), "{}", said.err);
            assert!(!said.out.contains(secret), "{}", said.out);
        }
    }
}

#[test]
fn case_081_an_interrupt_ends_the_wait_for_a_remote() {
    let mut shared = Shared::new(&[ONE]);
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    let server = Server::start(|_| vec![Step::Hold]);
    shared.world.remote(&server.url(), false);
    // Asked for, a remote is given 45 seconds to answer.
    let mut command = shared.world.sandbox.command(&project, &["cache", "pull"]);
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while server.requests().is_empty() {
        assert!(begun.elapsed() < BOUND, "nothing was asked for");
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < BOUND);
}

#[test]
fn a_pull_that_was_asked_for_says_that_the_remote_failed() {
    let mut shared = Shared::new(&[ONE]);
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    let server = Server::start(|_| answer("401 Unauthorized", &[], b""));
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["cache", "pull"]).exits(4);
    said.mentions("401").mentions(&format!("missing  {ONE}"));
    // A remote that has nothing is no failure.
    let (empty, _) = super::cache_server();
    shared.world.remote(&empty.url(), false);
    shared.world.run(&project, &["cache", "pull"]).exits(0);
    shared.world.sandbox.env.remove("SYSROOT_REMOTE");
    shared.world.run(&project, &["cache", "pull"]).exits(2);
    let objects = shared.objects.lock().unwrap();
    assert!(!find(&objects, "/cas/", is_blob).is_empty());
}
