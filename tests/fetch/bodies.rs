//! Bodies that are too short, too long, wrong, or somebody else's.

use sysroot::fetch::{Fault, FetchError};
use sysroot::types::{Class, Sha256};

use crate::http::{self, Server, Step, head, ok};
use crate::support::{BODY, World, fails, fault, message, noise};

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
