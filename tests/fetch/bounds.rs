//! Time, size and form of answers.

use std::time::Duration;

use sysroot::events::Cancelled;
use sysroot::fetch::{Fault, FetchError, Proxies};
use sysroot::types::{Class, Diagnostic as _, Sha256};

use crate::http::{self, Server, Step, head, ok};
use crate::support::{BODY, World, fails, fault, message, noise};

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
fn case_004_a_short_body_is_a_network_fault() {
    for at in [0, 1, BODY.len() / 2, BODY.len() - 1] {
        for end in [Step::Close, Step::Reset] {
            let world = World::new();
            let (error, _server) = fails("short", &world, Class::Network, move |_| {
                http::cut(BODY, "W/\"weak\"", at, end.clone())
            });
            let fault = fault(&error);
            assert!(
                matches!(fault, Fault::Body { .. }),
                "{at}: {}",
                message(&error)
            );
        }
    }
}

#[test]
fn case_005_a_longer_body_is_not_taken() {
    let long = [BODY, b"!"].concat();
    let (error, _server) = fails(
        "one more byte",
        &World::new(),
        Class::Integrity,
        move |_| ok(&long),
    );
    assert!(matches!(error, FetchError::Mismatch { .. }));
    // What follows the announced length is not part of the body.
    let world = World::new();
    let server = Server::start(|_| {
        let mut steps = ok(BODY);
        steps.push(Step::Forever(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".to_vec(),
        ));
        steps
    });
    world.get(&server.url(), BODY).unwrap();
    let world = World::new();
    let (error, server) = fails("1 GiB announced", &world, Class::Integrity, |_| {
        vec![
            Step::Bytes(head("200 OK", &[], 1 << 30)),
            Step::Forever(vec![0; 4096]),
        ]
    });
    assert!(matches!(error, FetchError::TooLarge { .. }));
    assert_eq!((server.requests().len(), world.disk()), (1, 0));
}

#[test]
fn case_006_an_endless_body_ends_at_the_limit() {
    for start in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let world = World::new();
        let chunk = if start.contains("chunked") {
            [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat()
        } else {
            vec![b'x'; 4096]
        };
        let (error, server) = fails("endless", &world, Class::Integrity, move |_| {
            vec![Step::Bytes(start.into()), Step::Forever(chunk.clone())]
        });
        assert!(matches!(
            error,
            FetchError::TooLarge {
                limit: 0x10_0000,
                ..
            }
        ));
        assert_eq!(world.disk(), 0, "nothing is left");
        assert!(server.sent() < 32 << 20, "{}", server.sent());
    }
    for status in [
        "404 Not Found",
        "500 Oh",
        "302 Found\r\nlocation: /dist/a",
        "401 No",
    ] {
        let world = World::new();
        let start = format!("HTTP/1.1 {status}\r\n\r\n");
        let (_, server) = fails(status, &world, Class::Network, move |_| {
            vec![
                Step::Bytes(start.clone().into()),
                Step::Forever(vec![b'x'; 4096]),
            ]
        });
        assert_eq!(world.disk(), 0);
        assert!(server.sent() < 64 << 20, "{status} {}", server.sent());
    }
}

#[test]
fn case_007_a_web_page_is_named_in_the_message() {
    let page = b"\n<!DOCTYPE html>\x1b[31m<title>Log in</title>\n<body>";
    let (error, _server) = fails("portal", &World::new(), Class::Integrity, |_| {
        http::answer(
            "200 OK",
            &[("content-type", "text/html; charset=utf-8")],
            page,
        )
    });
    let text = message(&error);
    assert!(
        text.contains("text/html") && text.contains("Log in"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "control characters are escaped");
}

#[test]
fn case_008_a_flipped_bit_is_never_accepted() {
    for at in 0..BODY.len() {
        let world = World::new();
        let mut bad = BODY.to_vec();
        bad[at] ^= 1 << (at % 8);
        let sent = bad.clone();
        let (error, server) = fails("flip", &world, Class::Integrity, move |r| {
            http::file(r, &sent, "\"a\"")
        });
        let text = error.to_string();
        assert!(text.contains(&Sha256::of(BODY).to_hex()), "{text}");
        assert!(text.contains(&Sha256::of(&bad).to_hex()), "{text}");
        assert!(text.contains(&server.url()), "{text}");
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "one clean repetition");
        assert!(requests.iter().all(|r| r.header("range").is_none()));
    }
}

#[test]
fn case_008_one_bad_answer_is_forgiven() {
    let server = Server::start(|r| {
        let mut body = BODY.to_vec();
        body[7] ^= u8::from(r.earlier == 0);
        http::file(r, &body, "\"a\"")
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn case_009_another_file_of_the_same_length_is_refused() {
    let other: Vec<u8> = BODY.iter().rev().copied().collect();
    fails("swapped", &World::new(), Class::Integrity, move |_| {
        ok(&other)
    });
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
fn case_029_a_reset_anywhere_is_retried() {
    let body = noise(64 << 10);
    for sixteenth in 0..16 {
        let at = body.len() / 16 * sixteenth;
        let world = World::new();
        let sent = body.clone();
        let server = Server::start(move |r| match r.earlier {
            0 => http::cut(&sent, "\"a\"", at, Step::Reset),
            _ => http::file(r, &sent, "\"a\""),
        });
        world.get(&server.url(), &body).unwrap();
    }
    // All of them in one download.
    let sent = body.clone();
    let server = Server::start(move |r| {
        let mut steps = http::file(r, &sent, "\"a\"");
        if let Some(Step::Bytes(rest)) = steps.last_mut() {
            rest.truncate(4096);
        }
        steps.push(Step::Reset);
        steps
    });
    let world = World::new();
    world.get(&server.url(), &body).unwrap();
    assert!(server.requests().len() <= 40);
}

#[test]
fn case_029_bodies_of_parallel_downloads_never_cross() {
    let server = Server::start(|r| {
        // Leftover bytes on a connection that is kept.
        let mut steps = ok(&noise_of(&r.path));
        steps.push(Step::Bytes(b"leftover".to_vec()));
        steps
    });
    let world = World::new();
    let client = world.client(&server.url());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (client, world) = (&client, &world);
            scope.spawn(move || {
                for n in 0..10 {
                    let path = format!("dist/{thread}-{n}");
                    let expected = noise_of(&format!("/{path}"));
                    let path = path.parse().unwrap();
                    let request = sysroot::fetch::Download {
                        path: &path,
                        sha256: Sha256::of(&expected),
                        limit: 1 << 20,
                    };
                    let partial = world.dir.path().join(format!("{thread}-{n}"));
                    client.download(&request, &partial, &|_| {}).unwrap();
                }
            });
        }
    });
}

fn noise_of(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(10_000).collect()
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
