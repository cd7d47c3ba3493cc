//! Statuses, and when another request follows.

use std::time::Duration;

use sysroot::fetch::FetchError;
use sysroot::types::{Class, Diagnostic as _};

use crate::http::{Server, answer, ok};
use crate::support::{BODY, World, fails, message};

#[test]
fn case_010_a_missing_locked_file_is_told_apart() {
    for status in ["404 Not Found", "410 Gone"] {
        let (error, server) = fails(status, &World::new(), Class::Network, move |_| {
            answer(status, &[], b"no")
        });
        assert!(matches!(error, FetchError::Gone { .. }));
        assert!(error.to_string().contains("the lock is still valid"));
        assert!(error.hint().unwrap().contains("mirror"));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn case_011_denied_access_is_not_repeated_and_tells_no_secret() {
    for status in ["401 No", "403 No", "407 No"] {
        let server = Server::start(move |_| answer(status, &[("retry-after", "1")], b""));
        let secret = server.url().replace("http://", "http://user:pass-word@");
        let error = World::new().get(&secret, BODY).unwrap_err();
        assert_eq!(error.class(), Class::Network);
        let text = format!("{}{error:?}{:?}", message(&error), error.hint());
        assert!(!text.contains("pass-word"), "{text}");
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        // The server itself does get them.
        assert_eq!(
            requests[0].header("authorization"),
            Some("Basic dXNlcjpwYXNzLXdvcmQ=")
        );
    }
}

#[test]
fn case_012_retry_after_is_obeyed_within_bounds() {
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    // The recorder's clock stands at Tue, 14 Nov 2023 22:13:20 GMT.
    let future = "Tue, 14 Nov 2023 22:13:29 GMT";
    for status in ["429 Slow", "503 Busy"] {
        for (value, low, high) in [
            ("2", 2000, 2000),
            (future, 9000, 9000),
            (past, 500, 500),
            ("0", 500, 500),
            ("1000000000000", 60_000, 60_000),
            ("-1", 375, 1250),
            ("soon", 375, 1250),
            ("2\r\nretry-after: 3", 3000, 3000),
        ] {
            let world = World::new();
            let (_, server) = fails(value, &world, Class::Network, move |_| {
                answer(status, &[("retry-after", value)], b"")
            });
            assert_eq!(server.requests().len(), 3, "{value}");
            for wait in world.sleeps() {
                let range = Duration::from_millis(low)..=Duration::from_millis(high);
                assert!(range.contains(&wait), "{value}: {wait:?}");
            }
        }
    }
}

#[test]
fn case_013_server_errors_are_retried_with_growing_waits() {
    for status in ["500 Oh", "502 Oh", "503 Oh", "504 Oh", "408 Oh", "429 Oh"] {
        for bad in 0..4 {
            let world = World::new();
            let server = Server::start(move |r| {
                if r.earlier < bad {
                    answer(status, &[], b"")
                } else {
                    ok(BODY)
                }
            });
            let result = world.get(&server.url(), BODY);
            assert_eq!(result.is_ok(), bad < 3, "{status}, {bad} times");
            let sleeps = world.sleeps();
            assert_eq!(sleeps.len(), bad.min(2));
            assert!(
                sleeps
                    .iter()
                    .all(|wait| *wait >= Duration::from_millis(300))
            );
            assert!(sleeps.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}

#[test]
fn other_statuses_end_the_transfer_at_once() {
    for status in [
        "204 No", "304 No", "400 No", "405 No", "418 No", "501 No", "505 No", "226 No",
    ] {
        let (_, server) = fails(status, &World::new(), Class::Network, move |_| {
            answer(status, &[], b"")
        });
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}
