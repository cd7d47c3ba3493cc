//! Every limit and time-out of the transport.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::budget::Budget;
use crate::events::Cancel;

/// Limits, time-outs and surroundings of a [`Client`](super::Client).
#[derive(Clone)]
pub struct Options {
    /// Time to reach the server, TLS included: 15 s.
    pub connect_timeout: Duration,
    /// Time from the request to the end of the answer's header: 30 s.
    pub first_byte_timeout: Duration,
    /// Fewer bytes than this within [`Options::window`] end the request: 32 KiB.
    pub minimum_bytes: u64,
    /// The time over which the minimum rate is taken: 30 s.
    pub window: Duration,
    /// Longest time for the body of one request, however fast it comes; no
    /// bound by default, because archives are large and the minimum rate holds.
    pub total: Option<Duration>,
    /// What the server may waste in all; no bound by default.
    pub budget: Option<Budget>,
    /// Requests in a row that may fail without any progress: 5.
    pub attempts: u32,
    /// Requests for one file, whether they made progress or not: 40.
    pub max_requests: u32,
    /// Wait after the first failure; it doubles with each, give or take a
    /// quarter: 0.5 s.
    pub backoff: Duration,
    /// Longest wait between two requests that we choose: 15 s.
    pub max_backoff: Duration,
    /// Longest wait that a server may ask for with `Retry-After`: 60 s.
    pub max_retry_after: Duration,
    /// Redirects followed for one request: 5.
    pub redirects: u32,
    /// Wait before a manifest that does not match its hash file is fetched
    /// once more: 3 s.
    pub mismatch_wait: Duration,
    /// Largest channel manifest, in bytes: 16 MiB (real ones have about 1 MB).
    pub manifest_limit: u64,
    /// Largest detached signature, in bytes: 16 KiB (real ones have about 900).
    pub signature_limit: u64,
    /// Proxies; none by default.
    pub proxies: Proxies,
    /// Root certificates in PEM beside the machine's own.
    pub extra_roots: Vec<Vec<u8>>,
    /// Use no network; a `file:` server still answers.
    pub offline: bool,
    /// Stops every wait.
    pub cancel: Cancel,
    /// Time, for tests to replace.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            first_byte_timeout: Duration::from_secs(30),
            minimum_bytes: 32 << 10,
            window: Duration::from_secs(30),
            total: None,
            budget: None,
            attempts: 5,
            max_requests: 40,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(15),
            max_retry_after: Duration::from_mins(1),
            redirects: 5,
            mismatch_wait: Duration::from_secs(3),
            manifest_limit: 16 << 20,
            signature_limit: crate::signature::MAX_SIGNATURE,
            proxies: Proxies::default(),
            extra_roots: Vec::new(),
            offline: false,
            cancel: Cancel::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Proxy settings, as the usual environment variables state them.
///
/// Loopback addresses are never asked for through a proxy.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTPS_PROXY`: for `https:` URLs.
    pub https: Option<String>,
    /// `HTTP_PROXY`: for `http:` URLs.
    pub http: Option<String>,
    /// `ALL_PROXY`: for URLs without a proxy of their own.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, domains and networks to reach directly, separated
    /// by commas.
    pub none_for: String,
}

/// Time: what it is, and how to let it pass.
pub trait Clock: Send + Sync {
    /// The time of day, which `Retry-After` may refer to.
    fn now(&self) -> SystemTime;

    /// Waits, but not longer than until somebody cancels.
    fn sleep(&self, time: Duration, cancel: &Cancel);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) {
        let end = std::time::Instant::now() + time;
        while cancel.get().is_none() {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
