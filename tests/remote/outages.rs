//! Remotes in trouble: local work goes on, within a stated time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ONE, Shared, TWO, bazel, find, is_blob, warnings};
use crate::http::{Server, Step, answer, head};

/// What a remote that gives nothing may cost in all, with room for a busy
/// machine: 2 s to the first byte, 5 s for a body that trickles, and the
/// work itself.
const BOUND: Duration = Duration::from_secs(30);

/// Syncs two targets with a remote in trouble, and holds that they were
/// compiled, with one warning, in time.
#[track_caller]
fn troubled(shared: &mut Shared, what: &str, url: &str, expected: &str) {
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
    said.mentions(expected);
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
    // What is no entry is a miss, and no reason to warn.
    let server = Server::start(|_| answer("200 OK", &[], b"<html>login</html>"));
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("login", &[ONE, TWO], &lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
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
    troubled(&mut shared, "drip", &server.url(), "bytes came within");
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
    troubled(&mut shared, "drip blob", &server.url(), "bytes came within");
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
        troubled(&mut shared, what, "s3://bucket", text);
    }
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
