//! How fast the server is, over all downloads together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes and the time in which at least one download was under way.
#[derive(Default)]
pub(super) struct Meter {
    bytes: u64,
    busy: Duration,
    running: Option<(u32, Instant)>,
}

impl Meter {
    /// Fewer bytes than this say more about latency than about the rate.
    const SAMPLE: u64 = 1 << 20;

    /// Counts bytes that came.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Bytes a second, once enough came to tell.
    pub(super) fn rate(&self) -> Option<f64> {
        let now = self
            .running
            .map_or(Duration::ZERO, |(_, since)| since.elapsed());
        let seconds = (self.busy + now).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rate = self.bytes as f64 / seconds;
        (self.bytes >= Self::SAMPLE && seconds > 0.0).then_some(rate)
    }
}

/// Counts as a download under way while it lives.
pub(super) struct Running<'a>(&'a Mutex<Meter>);

impl<'a> Running<'a> {
    /// Begins a download; it ends when the value is dropped.
    pub(super) fn start(meter: &'a Mutex<Meter>) -> Self {
        let mut inner = meter.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running = match inner.running {
            Some((count, since)) => Some((count + 1, since)),
            None => Some((1, Instant::now())),
        };
        Self(meter)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.running = match inner.running {
            Some((count, since)) if count > 1 => Some((count - 1, since)),
            Some((_, since)) => {
                inner.busy += since.elapsed();
                None
            }
            None => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_parallel_downloads_once() {
        let meter = Mutex::new(Meter::default());
        assert_eq!(meter.lock().unwrap().rate(), None);
        let first = Running::start(&meter);
        let second = Running::start(&meter);
        meter.lock().unwrap().add(Meter::SAMPLE - 1);
        assert_eq!(meter.lock().unwrap().rate(), None, "too few bytes to tell");
        meter.lock().unwrap().add(1);
        drop(first);
        assert_eq!(meter.lock().unwrap().busy, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        drop(second);
        let busy = meter.lock().unwrap().busy;
        assert!(busy > Duration::ZERO);
        let rate = meter.lock().unwrap().rate().unwrap();
        assert!(rate > 0.0 && rate < 1e9, "{rate}");
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(meter.lock().unwrap().busy, busy, "idle time does not count");
    }
}
