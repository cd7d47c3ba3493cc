//! Redirects; the rule itself has a table of its own beside the code.

use sysroot::fetch::Fault;
use sysroot::types::{Class, Diagnostic as _, RelPath, Sha256};

use crate::http::{Server, answer, ok};
use crate::support::{BODY, World, fails, fault, message};

#[test]
fn case_014_loops_and_long_chains_end() {
    let (error, server) = fails("loop", &World::new(), Class::Network, |_| {
        answer("302 Found", &[("location", "/dist/a")], b"")
    });
    assert!(
        matches!(fault(&error), Fault::Redirect { .. }),
        "{}",
        message(&error)
    );
    assert_eq!(server.requests().len(), 6, "five redirects are followed");
    for (length, fine) in [(5, true), (6, false)] {
        let server = Server::start(move |r| {
            let hop: usize = r.path.trim_start_matches("/hop").parse().unwrap_or(0);
            if hop == length {
                return ok(BODY);
            }
            let next = format!("/hop{}", hop + 1);
            answer("307 Moved", &[("location", &next)], b"")
        });
        assert_eq!(
            World::new().get(&server.url(), BODY).is_ok(),
            fine,
            "{length}"
        );
    }
}

#[test]
fn case_016_locations_of_other_kinds_are_refused() {
    let marker = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(marker.path(), BODY).unwrap();
    let file = format!("file://{}", marker.path().display());
    for location in [
        file.as_str(),
        "ftp://127.0.0.1/a",
        "data:text/plain,x",
        "http://",
        "http://[",
        "gopher:x",
    ] {
        let to = location.to_owned();
        let (error, server) = fails(location, &World::new(), Class::Network, move |_| {
            answer("302 Found", &[("location", &to)], b"")
        });
        assert!(
            matches!(fault(&error), Fault::Redirect { .. }),
            "{}",
            message(&error)
        );
        assert_eq!(server.requests().len(), 1);
    }
    fails("none", &World::new(), Class::Network, |_| {
        answer("301 Moved", &[], b"")
    });
    for location in ["/b", "b", "../dist/b", "?b", "//HOST/b"] {
        let server = Server::start(move |r| {
            if r.path == "/dist/a" {
                let host = r.header("host").unwrap();
                let to = location.replace("HOST", host);
                return answer("308 Moved", &[("location", &to)], b"");
            }
            ok(BODY)
        });
        World::new().get(&server.url(), BODY).expect(location);
    }
}

#[test]
fn case_017_another_host_gets_no_credentials_and_no_unpinned_files() {
    let manifest: RelPath = "dist/m.toml".parse().unwrap();
    let other = Server::on("127.0.0.2", |r| match r.path.as_str() {
        "/dist/m.toml.sha256" => ok(Sha256::of(BODY).to_hex().as_bytes()),
        _ => ok(BODY),
    });
    let target = other.url();
    let server = Server::start(move |r| {
        let to = format!("{target}{}", r.path);
        answer("302 Found", &[("location", &to)], b"")
    });
    let world = World::new();
    let client = world.client(&server.url().replace("http://", "http://u:p@"));
    world.get_with(&client, "dist/a", BODY).unwrap();
    assert!(server.requests()[0].header("authorization").is_some());
    let there = other.requests();
    assert_eq!(there.len(), 1);
    for name in ["authorization", "cookie", "referer", "proxy-authorization"] {
        assert_eq!(there[0].header(name), None, "{name}");
    }
    let error = client.channel_manifest(&manifest).unwrap_err();
    assert_eq!(error.class(), Class::Network);
    assert!(matches!(fault(&error), Fault::Redirect { .. }));
    assert_eq!(other.requests().len(), 1, "the other host was not asked");
}
