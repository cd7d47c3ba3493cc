//! The channel manifest and its hash file.

use sysroot::fetch::{FetchError, FetchedManifest};
use sysroot::types::{Class, Diagnostic as _, Sha256};

use crate::http::{Request, Server, Step, answer, head, ok};
use crate::support::{World, message};

const MANIFEST: &[u8] = b"manifest-version = \"2\"\ndate = \"2026-05-20\"\n";

fn fetch(world: &World, server: &Server) -> Result<FetchedManifest, FetchError> {
    let path = "dist/2026-05-20/channel-rust-nightly.toml".parse().unwrap();
    world.client(&server.url()).channel_manifest(&path)
}

/// Serves the hash file and the manifest by two closures.
fn serve(
    hash: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    manifest: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
) -> Server {
    Server::start(move |r| {
        if r.path.ends_with(".sha256") {
            hash(r)
        } else {
            manifest(r)
        }
    })
}

fn hash_of(bytes: &[u8]) -> Vec<u8> {
    format!(
        "{}  channel-rust-nightly.toml\n",
        Sha256::of(bytes).to_hex()
    )
    .into_bytes()
}

#[test]
fn a_manifest_comes_with_its_hash() {
    let server = serve(|_| ok(&hash_of(MANIFEST)), |_| ok(MANIFEST));
    let fetched = fetch(&World::new(), &server).unwrap();
    assert_eq!(fetched.bytes, MANIFEST);
    assert_eq!(fetched.sha256, Sha256::of(MANIFEST));
}

#[test]
fn case_006_endless_manifests_and_hash_files_end_at_their_limits() {
    let endless = || {
        vec![
            Step::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Step::Forever(vec![b'a'; 65536]),
        ]
    };
    let server = serve(move |_| endless(), |_| ok(MANIFEST));
    let error = fetch(&World::new(), &server).unwrap_err();
    assert!(
        matches!(error, FetchError::TooLarge { limit: 4096, .. }),
        "{}",
        message(&error)
    );
    let server = serve(|_| ok(&hash_of(MANIFEST)), move |_| endless());
    let error = fetch(&World::new(), &server).unwrap_err();
    assert!(
        matches!(error, FetchError::TooLarge { .. }),
        "{}",
        message(&error)
    );
    assert!(server.sent() < 64 << 20);
}

#[test]
fn case_007_a_web_page_for_a_hash_file_is_named() {
    let page = || answer("200 OK", &[("content-type", "text/html")], b"<html>Log in");
    let server = Server::start(move |_| page());
    let error = fetch(&World::new(), &server).unwrap_err();
    assert_eq!(error.class(), Class::Integrity);
    assert!(error.to_string().contains("text/html"), "{error}");
}

#[test]
fn case_010_a_missing_manifest_means_no_such_date() {
    let server = Server::start(|_| answer("404 Not Found", &[], b""));
    let error = fetch(&World::new(), &server).unwrap_err();
    assert_eq!(error.class(), Class::Unresolvable);
    assert!(matches!(error, FetchError::NoManifest { .. }));
}

#[test]
fn case_031_a_malformed_hash_file_is_refused() {
    let hex = Sha256::of(MANIFEST).to_hex();
    for text in [
        String::new(),
        "0123456789".to_owned(),
        "\u{e9}".repeat(64),
        format!("{hex}  channel-rust-nightly.toml\r\n"),
        hex.to_uppercase(),
        format!("{hex}  channel-rust-nightly.toml\n{hex}  channel-rust-nightly.toml\n"),
        format!("{hex}  channel-rust-beta.toml\n"),
        "\0\u{1}\u{7f}".repeat(40),
    ] {
        let sent = text.clone();
        let server = serve(move |_| ok(sent.as_bytes()), |_| ok(MANIFEST));
        let error = fetch(&World::new(), &server).unwrap_err();
        assert!(
            matches!(error, FetchError::HashFile { .. }),
            "{text:?}: {}",
            message(&error)
        );
        assert_eq!(error.class(), Class::Integrity);
    }
}

#[test]
fn case_032_a_mismatch_is_retried_once_after_a_wait() {
    // The release is in progress: the hash file is new, the manifest is old.
    let server = serve(
        |_| ok(&hash_of(MANIFEST)),
        |r| {
            if r.earlier == 0 {
                ok(b"old")
            } else {
                ok(MANIFEST)
            }
        },
    );
    let world = World::new();
    assert_eq!(fetch(&world, &server).unwrap().bytes, MANIFEST);
    assert_eq!(world.sleeps(), [world.options.mismatch_wait]);
    // It stays like that.
    let server = serve(|_| ok(&hash_of(MANIFEST)), |_| ok(b"old"));
    let error = fetch(&World::new(), &server).unwrap_err();
    assert_eq!(error.class(), Class::Integrity);
    assert!(
        error.to_string().contains("a release may be in progress"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn case_033_every_prefix_of_a_manifest_is_refused() {
    for cut in 0..MANIFEST.len() {
        let server = serve(|_| ok(&hash_of(MANIFEST)), move |_| ok(&MANIFEST[..cut]));
        let error = fetch(&World::new(), &server).unwrap_err();
        assert_eq!(error.class(), Class::Integrity, "{cut}");
    }
}

#[test]
fn case_034_a_manifest_over_the_limit_is_not_read() {
    let server = serve(
        |_| ok(&hash_of(MANIFEST)),
        |_| {
            vec![
                Step::Bytes(head("200 OK", &[], (16 << 20) + 1)),
                Step::Forever(vec![0; 4096]),
            ]
        },
    );
    let error = fetch(&World::new(), &server).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }));
    assert_eq!(error.class(), Class::Integrity);
    assert!(server.sent() < 16 << 20);
}

#[test]
fn case_048_a_signature_is_bounded_may_be_absent_and_comes_from_the_server_itself() {
    let path = "dist/2026-05-20/channel-rust-nightly.toml".parse().unwrap();
    let asked = |world: &World, server: &Server| world.client(&server.url()).signature(&path);
    let world = World::new();
    let server = Server::start(|r| {
        assert!(
            r.path.ends_with("/channel-rust-nightly.toml.asc"),
            "{}",
            r.path
        );
        ok(b"armor")
    });
    let found = asked(&world, &server).unwrap();
    assert_eq!(found.as_deref(), Some(b"armor".as_slice()));
    let server = Server::start(|_| answer("404 Not Found", &[], b"<html>"));
    assert_eq!(asked(&world, &server).unwrap(), None);
    // A server that fails is no server without a signature.
    let server = Server::start(|_| answer("500 Internal Server Error", &[], b""));
    let error = asked(&World::new().impatient(), &server).unwrap_err();
    assert_eq!(error.class(), Class::Network);
    let server = Server::start(|_| {
        vec![
            Step::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Step::Forever(vec![b'A'; 65536]),
        ]
    });
    let error = asked(&world, &server).unwrap_err();
    let limit = sysroot::signature::MAX_SIGNATURE;
    assert!(matches!(error, FetchError::TooLarge { limit: l, .. } if l == limit));
    let other = Server::on("127.0.0.2", |_| ok(b"armor"));
    let to = other.url();
    let server = Server::start(move |_| answer("302 Found", &[("location", &to)], b""));
    let error = asked(&world, &server).unwrap_err();
    assert!(message(&error).contains("must come from the server itself"));
    assert!(other.requests().is_empty());
}
