//! When a failed request is worth another one, and how long to wait for it.

use std::hash::BuildHasher as _;
use std::time::Duration;

use super::client::Arrival;
use super::error::{Fault, FetchError};
use super::options::Options;
use super::reply::{Ask, Served, Sink, Stop, transfer};
use super::server::shown;
use super::transport::Transport;

/// What a fault means for the next request.
pub(super) enum Next {
    /// The same would happen again.
    GiveUp,
    /// Forget what came so far, then ask again.
    StartOver,
    /// Ask again after our own wait.
    Backoff,
    /// Ask again after the server's wait.
    Wait(Duration),
}

pub(super) fn next(fault: &Fault) -> Next {
    match fault {
        Fault::Certificate(_) | Fault::Redirect { .. } | Fault::Encoding(_) => Next::GiveUp,
        Fault::Range(_) => Next::StartOver,
        Fault::Connect(_)
        | Fault::Request(_)
        | Fault::Body { .. }
        | Fault::Silent(_)
        | Fault::TooSlow { .. } => Next::Backoff,
        Fault::TooLong(_) | Fault::Spent(_) => Next::GiveUp,
        Fault::Status {
            status,
            retry_after,
        } => match (status.as_u16(), retry_after) {
            (429 | 503, Some(wait)) => Next::Wait(*wait),
            (408 | 429 | 500 | 502 | 503 | 504, _) => Next::Backoff,
            _ => Next::GiveUp,
        },
    }
}

/// Asks until the file is here, or until it is no use to ask again.
pub(super) fn fetch(
    transport: &Transport,
    options: &Options,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
    progress: &dyn Fn(Arrival),
) -> Result<Served, FetchError> {
    let mut failures = 0;
    let mut requests = 0;
    loop {
        options.cancel.check()?;
        let before = sink.len();
        requests += 1;
        let result = transport.run(transfer(transport, options, ask, sink, progress));
        let fault = match result {
            Ok(served) => return Ok(served),
            Err(Stop::Fault(fault)) => fault,
            Err(Stop::Fs(error)) => return Err(error.into()),
            Err(Stop::Cancelled(why)) => return Err(why.into()),
            Err(Stop::TooLarge) => {
                sink.restart()?;
                return Err(FetchError::TooLarge {
                    url: shown(ask.url),
                    limit: ask.limit,
                });
            }
        };
        // A request that brought a fair share is no reason to give up on the
        // server; one that brought crumbs is.
        let came = sink.len().saturating_sub(before);
        failures = if came > options.minimum_bytes {
            1
        } else {
            failures + 1
        };
        let next = next(&fault);
        if matches!(next, Next::StartOver) {
            sink.restart()?;
        }
        let wait = match next {
            Next::GiveUp => None,
            Next::StartOver => Some(Duration::ZERO),
            Next::Backoff => Some(backoff(options, failures)),
            Next::Wait(wait) => Some(wait),
        };
        let spent = failures >= options.attempts || requests >= options.max_requests;
        match wait.filter(|_| !spent) {
            Some(wait) => options.clock.sleep(wait, &options.cancel),
            None => {
                return Err(FetchError::Transfer {
                    url: shown(ask.url),
                    requests,
                    source: fault,
                });
            }
        }
    }
}

/// Doubles with each failure, give or take a quarter, so that many machines
/// that failed together do not come back together.
pub(super) fn backoff(options: &Options, failures: u32) -> Duration {
    let doubled = options.backoff * 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
    let random = std::hash::RandomState::new().hash_one(failures);
    let eighths = 6 + u32::try_from(random % 5).unwrap_or(0);
    (doubled * eighths / 8).min(options.max_backoff)
}

/// Reads `Retry-After`: seconds or a date; nothing sensible is `None`.
pub(super) fn parse_retry_after(value: &[u8], options: &Options) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        // More digits than fit are a long wait, not garbage.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(options.clock.now()).unwrap_or_default()
    };
    // A wait of nothing would hammer a server that just asked for mercy.
    Some(wait.clamp(
        options.backoff,
        options.max_retry_after.max(options.backoff),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::events::Cancel;
    use crate::fetch::options::Clock;

    struct At(SystemTime);

    impl Clock for At {
        fn now(&self) -> SystemTime {
            self.0
        }

        fn sleep(&self, _time: Duration, _cancel: &Cancel) {}
    }

    #[test]
    fn case_012_retry_after_is_read_and_bounded() {
        let now = httpdate::parse_http_date("Wed, 20 May 2026 12:00:00 GMT").unwrap();
        let options = Options {
            clock: Arc::new(At(now)),
            ..Options::default()
        };
        let base = options.backoff;
        for (text, expected) in [
            ("7", Some(Duration::from_secs(7))),
            (" 7 ", Some(Duration::from_secs(7))),
            ("0", Some(base)),
            ("1000000000000", Some(options.max_retry_after)),
            ("99999999999999999999999999", Some(options.max_retry_after)),
            (
                "Wed, 20 May 2026 12:00:09 GMT",
                Some(Duration::from_secs(9)),
            ),
            ("Wed, 20 May 2020 12:00:00 GMT", Some(base)),
            (
                "Thu, 20 May 9999 12:00:00 GMT",
                Some(options.max_retry_after),
            ),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("\u{0661}", None),
        ] {
            assert_eq!(
                parse_retry_after(text.as_bytes(), &options),
                expected,
                "{text}"
            );
        }
        assert_eq!(parse_retry_after(b"\xff", &options), None);
    }

    #[test]
    fn case_013_waits_grow() {
        let options = Options::default();
        for _ in 0..100 {
            for failures in 1..5 {
                let (a, b) = (backoff(&options, failures), backoff(&options, failures + 1));
                assert!(a < b, "{a:?} {b:?}");
            }
            assert!(backoff(&options, u32::MAX) <= options.max_backoff);
        }
    }
}
