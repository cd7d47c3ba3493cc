//! Connections, time, proxies, and the form of answers.

use std::time::{Duration, Instant};

use sysroot::events::Cancelled;
use sysroot::fetch::{Fault, FetchError, Proxies};
use sysroot::types::{Class, Diagnostic as _};

use crate::http::{self, Server, Step, head, ok};
use crate::support::{BODY, World, fails, fault, message};

#[test]
fn case_001_a_server_that_cannot_be_reached_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for server in [closed.as_str(), "http://no-such-host.invalid"] {
        let world = World::new();
        let error = world.get(server, BODY).unwrap_err();
        assert_eq!(error.class(), Class::Network);
        assert!(error.to_string().contains(server), "{error}");
        assert!(error.hint().unwrap().contains("SYSROOT_DIST_SERVER"));
        assert_eq!(world.sleeps().len(), 2, "two waits between three attempts");
    }
}

#[test]
fn case_002_silence_after_the_connection_ends() {
    let world = World::new().impatient();
    for script in [
        vec![Step::Hold],
        vec![Step::Bytes(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Step::Hold],
    ] {
        let (error, server) = fails("silence", &world, Class::Network, move |_| script.clone());
        assert!(
            matches!(fault(&error), Fault::Silent(_)),
            "{}",
            message(&error)
        );
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn case_003_a_dripping_server_is_too_slow() {
    // Drips for an hour and a half at this rate, and would without an end of
    // the header.
    let begun = Instant::now();
    let world = World::new().impatient();
    let drip = Step::Drip(Duration::from_millis(10));
    let body = drip.clone();
    let (error, _server) = fails("body", &world, Class::Network, move |_| {
        vec![Step::Bytes(head("200 OK", &[], 1 << 19)), body.clone()]
    });
    assert!(
        matches!(fault(&error), Fault::TooSlow { .. }),
        "{}",
        message(&error)
    );
    let (error, _server) = fails("header", &world, Class::Network, move |_| {
        vec![
            Step::Bytes(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
            drip.clone(),
        ]
    });
    assert!(
        matches!(fault(&error), Fault::Silent(_)),
        "{}",
        message(&error)
    );
    // A body that stops in the middle is the same case.
    let (error, _server) = fails("stall", &world, Class::Network, |_| {
        http::cut(BODY, "\"a\"", 10, Step::Hold)
    });
    assert!(
        matches!(fault(&error), Fault::TooSlow { .. }),
        "{}",
        message(&error)
    );
    // Three times two attempts of a fifth of a second, on a busy machine.
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn case_003_a_body_may_have_a_time_limit_however_fast_it_comes() {
    let mut world = World::new().impatient();
    world.options.minimum_bytes = 1;
    world.options.total = Some(Duration::from_millis(300));
    let (error, server) = fails("total", &world, Class::Network, |_| {
        let mut steps = vec![Step::Bytes(head("200 OK", &[], 1 << 19))];
        for _ in 0..500 {
            steps.push(Step::Bytes(vec![b'x'; 1 << 10]));
            steps.push(Step::Pause(Duration::from_millis(10)));
        }
        steps
    });
    assert!(
        matches!(fault(&error), Fault::TooLong(_)),
        "{}",
        message(&error)
    );
    assert_eq!(server.requests().len(), 1, "it would be as long again");
}

#[test]
fn case_003_a_slow_server_above_the_minimum_is_waited_for() {
    let mut world = World::new().impatient();
    world.options.minimum_bytes = 1;
    let server = Server::start(|_| {
        let mut steps = vec![Step::Bytes(head("200 OK", &[], BODY.len() as u64))];
        for piece in BODY.chunks(8) {
            steps.push(Step::Bytes(piece.to_vec()));
            steps.push(Step::Pause(Duration::from_millis(60)));
        }
        steps
    });
    world.get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn case_020_proxies_are_used_named_and_bypassed() {
    for (name, status) in [
        ("refuses", "403 Forbidden"),
        ("wants a password", "407 Proxy Auth"),
    ] {
        let mut world = World::new();
        let proxy = Server::start(move |_| http::answer(status, &[], b""));
        let secret = proxy.url().replace("http://", "http://user:secret@");
        world.options.proxies.http = Some(secret);
        let error = world.get("http://dist.invalid", BODY).expect_err(name);
        assert_eq!(error.class(), Class::Network);
        assert!(!message(&error).contains("secret"), "{}", message(&error));
        assert_eq!(proxy.requests().len(), 1, "{name}");
        assert_eq!(proxy.requests()[0].path, "http://dist.invalid/dist/a");
    }
    let proxy = Server::start(|_| ok(BODY));
    let mut world = World::new();
    world.options.proxies.all = Some(proxy.url());
    world.get("http://dist.invalid", BODY).unwrap();
    // Loopback is reached directly.
    let server = Server::start(|_| ok(BODY));
    std::fs::remove_file(world.partial()).unwrap();
    world.get(&server.url(), BODY).unwrap();
    assert_eq!((proxy.requests().len(), server.requests().len()), (1, 1));
    // So is what NO_PROXY names.
    std::fs::remove_file(world.partial()).unwrap();
    world.options.proxies.none_for = "dist.invalid".to_owned();
    assert!(world.get("http://dist.invalid", BODY).is_err());
    assert_eq!(proxy.requests().len(), 1);
    // A page to log in at, in the place of the file and of the tunnel.
    let portal = || {
        Server::start(|_| http::answer("200 OK", &[("content-type", "text/html")], b"<html>Log in"))
    };
    let page = portal();
    let mut world = World::new();
    world.options.proxies.http = Some(page.url());
    let error = world.get("http://dist.invalid", BODY).unwrap_err();
    assert_eq!(error.class(), Class::Integrity, "{}", message(&error));
    assert!(message(&error).contains("text/html"), "{}", message(&error));
    assert_eq!(world.disk(), 0, "the page was kept");
    assert_eq!(page.requests()[0].path, "http://dist.invalid/dist/a");
    let page = portal();
    world.options.proxies = Proxies {
        https: Some(page.url()),
        ..Proxies::default()
    };
    let error = world.get("https://dist.invalid", BODY).unwrap_err();
    assert_eq!(error.class(), Class::Network, "{}", message(&error));
    assert_eq!(world.disk(), 0, "the page was kept");
    let request = &page.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("CONNECT", "dist.invalid:443")
    );
    // A tunnel that is cut.
    let cutter = Server::start(|_| vec![Step::Close]);
    world.options.proxies = Proxies {
        https: Some(cutter.url()),
        ..Proxies::default()
    };
    let error = world.get("https://dist.invalid", BODY).unwrap_err();
    assert_eq!(error.class(), Class::Network);
    world.options.proxies.https = Some("http://[".to_owned());
    let server = sysroot::fetch::DistServer::parse("https://dist.invalid").unwrap();
    let error = sysroot::fetch::Client::new(server, world.options.clone());
    let error = error.err().expect("the proxy is malformed");
    assert_eq!(error.class(), Class::Usage);
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
}

#[test]
fn case_026_an_encoded_body_is_refused() {
    for encoding in ["gzip", "br", "zstd", "gzip, br", "secret\u{7f}"] {
        let world = World::new();
        let (error, server) = fails(encoding, &world, Class::Network, move |_| {
            http::answer("200 OK", &[("content-encoding", encoding)], BODY)
        });
        if !encoding.contains('\u{7f}') {
            assert!(
                matches!(fault(&error), Fault::Encoding(_)),
                "{}",
                message(&error)
            );
        }
        assert_eq!(
            server.requests()[0].header("accept-encoding"),
            Some("identity")
        );
    }
    let server =
        Server::start(|_| http::answer("200 OK", &[("content-encoding", "identity")], BODY));
    World::new().get(&server.url(), BODY).unwrap();
}

#[test]
fn case_027_malformed_answers_are_network_faults() {
    let many = "x: y\r\n".repeat(10_000);
    let huge = format!("x: {}\r\n", "y".repeat(1 << 20));
    let raw = |text: &str| vec![Step::Bytes(text.as_bytes().to_vec()), Step::Close];
    let table: Vec<(&str, Vec<Step>)> = vec![
        ("nothing", vec![Step::Close]),
        ("reset", vec![Step::Reset]),
        ("not HTTP", raw("SSH-2.0-OpenSSH\r\n")),
        ("no version", raw("200 OK\r\n\r\n")),
        ("HTTP/9", raw("HTTP/9.9 200 OK\r\n\r\n")),
        ("status with letters", raw("HTTP/1.1 2x0 OK\r\n\r\n")),
        ("status of four digits", raw("HTTP/1.1 2000 OK\r\n\r\n")),
        (
            "10,000 headers",
            raw(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ),
        (
            "header of 1 MiB",
            raw(&format!("HTTP/1.1 200 OK\r\n{huge}\r\n")),
        ),
        (
            "endless header",
            vec![
                Step::Bytes(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
                Step::Forever(vec![b'y'; 4096]),
            ],
        ),
        (
            "endless status",
            vec![
                Step::Bytes(b"HTTP/1.1 200 ".to_vec()),
                Step::Forever(vec![b'y'; 4096]),
            ],
        ),
        ("cut header", raw("HTTP/1.1 200 OK\r\ncontent-le")),
        ("NUL in a header", raw("HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n")),
        ("space in a name", raw("HTTP/1.1 200 OK\r\nx y: a\r\n\r\n")),
        (
            "two lengths",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 64\r\n\r\nx"),
        ),
        (
            "negative length",
            raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nx"),
        ),
        (
            "length of letters",
            raw("HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\nx"),
        ),
        (
            "length over 2^64",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nx"),
        ),
        (
            "bad chunk size",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nx"),
        ),
        (
            "huge chunk size",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"),
        ),
        (
            "chunk without end",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcXX"),
        ),
        (
            "cut chunk",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\nabc"),
        ),
        (
            "unknown transfer coding",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: zip\r\ncontent-length: 64\r\n\r\nx"),
        ),
    ];
    for (name, script) in table {
        let mut world = World::new();
        world.options.attempts = 1;
        let server = Server::start(move |_| script.clone());
        let error = world.get(&server.url(), BODY).expect_err(name);
        let class = error.class();
        assert!(
            matches!(class, Class::Network | Class::Integrity),
            "{name}: {}",
            message(&error)
        );
        assert!(world.disk() < 1 << 20, "{name}");
    }
}

#[test]
fn a_cancelled_run_stops_waiting() {
    let world = World::new();
    let server = Server::start(|_| vec![Step::Hold]);
    let cancel = world.options.cancel.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while server.requests().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            cancel.set(Cancelled::Interrupt);
        });
        let error = world.get(&server.url(), BODY).unwrap_err();
        assert_eq!(error.class(), Class::Interrupted);
    });
}

#[test]
fn offline_means_no_request() {
    let mut world = World::new();
    world.options.offline = true;
    let server = Server::start(|_| ok(BODY));
    let error = world.get(&server.url(), BODY).unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }));
    assert!(server.requests().is_empty());
}
