//! Downloads that go on where an earlier one stopped.

use std::io::{Read as _, Seek as _};

use sysroot::types::Sha256;

use crate::http::{self, Request, Server, Step, answer};
use crate::support::{BODY, World, noise};

/// A server that breaks off the first answer in the middle.
fn broken_once(then: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Server {
    Server::start(move |r| match r.earlier {
        0 => http::cut(BODY, "\"v1\"", 30, Step::Close),
        _ => then(r),
    })
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let server = broken_once(|r| http::file(r, BODY, "\"v1\""));
    World::new().get(&server.url(), BODY).unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=30-"));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
}

#[test]
fn a_later_process_goes_on_where_an_earlier_one_stopped() {
    let mut world = World::new();
    world.options.attempts = 1;
    let server = broken_once(|r| http::file(r, BODY, "\"v1\""));
    world.get(&server.url(), BODY).unwrap_err();
    world.get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests()[1].header("range"), Some("bytes=30-"));
    let left: Vec<_> = std::fs::read_dir(world.dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the note beside the file is gone");
}

#[test]
fn case_021_a_server_that_ignores_the_range_sends_all() {
    let server = broken_once(|_| http::ok(BODY));
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn case_022_halves_of_two_versions_are_never_joined() {
    // The server changed; it honours If-Range.
    let server = Server::start(|r| match r.earlier {
        0 => http::cut(&[b'x'; 64], "\"v0\"", 30, Step::Close),
        _ => http::file(r, BODY, "\"v1\""),
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 2);
    // It does not, but tells the new version.
    let server = broken_once(|r| {
        let headers = [("etag", "\"v2\""), ("content-range", "bytes 30-63/64")];
        match r.header("range") {
            Some(_) => answer("206 Part", &headers, &[b'y'; 34]),
            None => http::file(r, BODY, "\"v2\""),
        }
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 3);
    // It does not tell: the hash does.
    let server = broken_once(|r| match r.header("range") {
        Some(_) => answer(
            "206 Part",
            &[("content-range", "bytes 30-63/64")],
            &[b'y'; 34],
        ),
        None => http::file(r, BODY, "\"v2\""),
    });
    World::new().get(&server.url(), BODY).unwrap();
    // Without a strong validator nothing is resumed.
    for weak in ["W/\"v1\"", "v1", ""] {
        let server = Server::start(move |r| match r.earlier {
            0 => http::cut(BODY, weak, 30, Step::Close),
            _ => http::file(r, BODY, weak),
        });
        World::new().get(&server.url(), BODY).unwrap();
        assert_eq!(server.requests()[1].header("range"), None, "{weak}");
    }
}

#[test]
fn case_022_a_date_serves_as_validator() {
    let date = "Wed, 20 May 2026 12:00:00 GMT";
    let server = Server::start(move |r| match r.header("range") {
        None => vec![
            Step::Bytes(http::head("200 OK", &[("last-modified", date)], 64)),
            Step::Bytes(BODY[..30].to_vec()),
            Step::Close,
        ],
        Some(_) => answer(
            "206 Part",
            &[("content-range", "bytes 30-63/64")],
            &BODY[30..],
        ),
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests()[1].header("if-range"), Some(date));
}

#[test]
fn case_023_a_wrong_range_starts_over() {
    for range in [
        "bytes 0-63/64",
        "bytes 29-63/64",
        "bytes 31-63/64",
        "bytes 30-62/64",
        "bytes 30-64/64",
        "bytes 30-63/65",
        "bytes 63-30/64",
        "bytes */64",
        "items 30-63/64",
        "30-63/64",
        "bytes 30-63",
        "bytes 30-/64",
        "bytes -30-63/64",
        "bytes 30-18446744073709551615/*",
        "",
        "x",
        "bytes 30-99999999999999999999999/64",
    ] {
        let server = broken_once(move |r| match r.header("range") {
            Some(_) => answer("206 Part", &[("content-range", range)], &[b'y'; 34]),
            None => http::file(r, BODY, "\"v1\""),
        });
        World::new().get(&server.url(), BODY).expect(range);
        let requests = server.requests();
        assert_eq!(requests.len(), 3, "{range}");
        assert_eq!(requests[2].header("range"), None, "{range}");
    }
    // A part that was not asked for.
    let server = Server::start(|r| match r.earlier {
        0 => answer("206 Part", &[("content-range", "bytes 0-63/64")], BODY),
        _ => http::ok(BODY),
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn case_024_an_unsatisfiable_range_starts_over() {
    let server = broken_once(|r| match r.header("range") {
        Some(_) => answer("416 Range", &[("content-range", "bytes */10")], b""),
        None => http::ok(BODY),
    });
    World::new().get(&server.url(), BODY).unwrap();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.requests()[2].header("range"), None);
}

#[test]
fn case_025_a_corrupt_partial_costs_one_clean_download() {
    let hash = Sha256::of(BODY);
    let other = Sha256::of(b"other");
    let mine = format!("{hash}\n\"v1\"\n");
    let another = format!("{other}\n\"v1\"\n");
    let longer = noise(1 << 21);
    for (name, bytes, sidecar) in [
        ("damaged", [b'z'; 40].as_slice(), Some(mine.as_str())),
        ("of another file", &[b'z'; 40], Some(&another)),
        ("without a note", &[b'z'; 40], None),
        ("longer than the file", &[b'z'; 99], Some(&mine)),
        ("longer than the limit", &longer, Some(&mine)),
        ("empty", &[], Some(&mine)),
        ("with a broken note", &[b'z'; 40], Some("\0\0")),
        (
            "with a header in its note",
            &[b'z'; 40],
            Some(&mine.replace("v1", "v1\r\nx: y")),
        ),
        ("right so far", &BODY[..40], Some(&mine)),
    ] {
        let world = World::new();
        std::fs::write(world.partial(), bytes).unwrap();
        if let Some(sidecar) = sidecar {
            std::fs::write(world.dir.path().join("partial.from"), sidecar).unwrap();
        }
        let server = Server::start(|r| http::file(r, BODY, "\"v1\""));
        world.get(&server.url(), BODY).expect(name);
        assert!(server.requests().len() <= 2, "{name}");
    }
}

#[test]
fn case_025_a_complete_partial_needs_no_request() {
    let world = World::new();
    std::fs::write(world.partial(), BODY).unwrap();
    let note = format!("{}\n\"v1\"\n", Sha256::of(BODY));
    std::fs::write(world.dir.path().join("partial.from"), note).unwrap();
    let server = Server::start(|r| http::file(r, BODY, "\"v1\""));
    world.get(&server.url(), BODY).unwrap();
    assert!(server.requests().is_empty());
}

#[test]
fn case_025_a_link_in_place_of_the_partial_is_not_followed() {
    let world = World::new();
    let victim = world.dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, world.partial()).unwrap();
    let server = Server::start(|r| http::file(r, BODY, "\"v1\""));
    world.get(&server.url(), BODY).unwrap_err();
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn case_078_the_returned_handle_is_the_file_that_was_hashed() {
    let world = World::new();
    let server = Server::start(|r| http::file(r, BODY, "\"v1\""));
    let path = "dist/a".parse().unwrap();
    let request = sysroot::fetch::Download {
        path: &path,
        sha256: Sha256::of(BODY),
        limit: 1000,
    };
    let client = world.client(&server.url());
    let mut file = client
        .download(&request, &world.partial(), &|_| {})
        .unwrap();
    std::fs::remove_file(world.partial()).unwrap();
    std::fs::write(world.partial(), "swapped").unwrap();
    assert_eq!(file.stream_position().unwrap(), 0);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, BODY);
}
