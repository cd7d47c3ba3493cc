//! How long a remote may take.

use std::time::Duration;

use crate::events::Cancel;
use crate::fetch::{Options, Proxies};

/// How patient we are with a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// `sync` asks on its own: local work is the alternative, so a remote that
    /// does not answer at once is no help.
    ///
    /// | Bound | Value |
    /// |---|---|
    /// | from the request to the answer's header, connecting included | 2 s |
    /// | bytes within any 5 s | 256 KiB |
    /// | one body, however fast it comes | 4 min |
    /// | all look-ups of a run that gave nothing, together | 60 s |
    /// | requests for one object | 1 |
    ///
    /// A look-up that gave a tree counts towards the 60 s as far as it took
    /// longer than 2 s and one more for each MiB. While a tree comes, each MiB
    /// is worth its second already.
    Automatic,
    /// The user asked for it (`cache push`, `cache pull`): as for downloads
    /// from the dist server, and at most half an hour an object.
    Asked,
}

/// The bounds behind a [`Patience`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
    pub(super) window: Duration,
    pub(super) minimum_bytes: u64,
    pub(super) total: Duration,
    /// For all look-ups of a run that gave nothing.
    pub(super) lost: Option<Duration>,
    pub(super) attempts: u32,
}

/// What a look-up that gave a tree of so many compressed bytes may have taken.
pub(super) fn fair(size: u64) -> Duration {
    Duration::from_secs(2) + worth(size)
}

/// What so many bytes of a tree that is on its way may have taken.
pub(super) fn worth(received: u64) -> Duration {
    Duration::from_millis((received >> 10).saturating_mul(1000) >> 10)
}

/// The time that a remote may waste in one run, unless a test says otherwise.
fn lost() -> Duration {
    #[cfg(feature = "fault-injection")]
    if let Some(patience) = crate::sys::fs::patience() {
        return patience;
    }
    Duration::from_mins(1)
}

impl Patience {
    pub(super) fn bounds(self) -> Bounds {
        match self {
            Self::Automatic => Bounds {
                // The answer's time begins with the request, so that no part
                // of it is lost when the connection is there already.
                connect: Duration::from_secs(2),
                answer: Duration::ZERO,
                window: Duration::from_secs(5),
                minimum_bytes: 256 << 10,
                // The largest archives at the lowest rate that costs nothing;
                // it is also what a body of wrong bytes may take.
                total: Duration::from_mins(4),
                lost: Some(lost()),
                attempts: 1,
            },
            Self::Asked => Bounds {
                connect: Duration::from_secs(15),
                answer: Duration::from_secs(30),
                window: Duration::from_secs(30),
                minimum_bytes: 32 << 10,
                total: Duration::from_mins(30),
                lost: None,
                attempts: 5,
            },
        }
    }

    /// The options of an HTTP client that keeps these bounds.
    pub(super) fn options(self, proxies: &Proxies, offline: bool, cancel: &Cancel) -> Options {
        let Bounds {
            connect,
            answer,
            window,
            minimum_bytes,
            total,
            lost: _,
            attempts,
        } = self.bounds();
        Options {
            connect_timeout: connect,
            first_byte_timeout: answer,
            window,
            minimum_bytes,
            total: Some(total),
            attempts,
            proxies: proxies.clone(),
            offline,
            cancel: cancel.clone(),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_131_a_body_is_cut_off_by_no_bound_at_the_rate_that_costs_nothing() {
        let bounds = Patience::Automatic.bounds();
        let size = 200 << 20;
        assert!(worth(size) >= Duration::from_secs(200));
        assert!(bounds.total > fair(size));
        let mebibyte_a_second = bounds.window.as_secs() << 20;
        assert!(bounds.minimum_bytes < mebibyte_a_second);
        // A trickle is worth nothing.
        assert_eq!(worth(1000), Duration::ZERO);
    }
}
