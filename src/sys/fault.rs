//! Fault injection for the test suite: the n-th mutating file operation
//! kills the process or fails.
//!
//! `SYSROOT_FAULT=kill:N` kills before operation N (counted from 1),
//! `SYSROOT_FAULT=ERRNO:N` (a number) makes it fail with that error, and
//! `SYSROOT_FAULT_COUNT=FILE` appends one line for each operation, so that a
//! first run tells how many there are and what they are called.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the layer, and its switch is an environment variable"
)]

use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

enum Action {
    Kill(u64),
    Fail(i32, u64),
}

struct Setup {
    action: Option<Action>,
    count_file: Option<std::ffi::OsString>,
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let action = std::env::var("SYSROOT_FAULT").ok().and_then(|text| {
            let (what, n) = text.split_once(':')?;
            let n = n.parse().ok()?;
            match what {
                "kill" => Some(Action::Kill(n)),
                errno => Some(Action::Fail(errno.parse().ok()?, n)),
            }
        });
        Setup {
            action,
            count_file: std::env::var_os("SYSROOT_FAULT_COUNT"),
        }
    })
}

/// Counts one operation, and kills or fails if it is the chosen one.
pub(super) fn point(name: &str) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let setup = setup();
    let n = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = &setup.count_file {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)?;
        writeln!(file, "{n} {name}")?;
    }
    match setup.action {
        Some(Action::Kill(at)) if at == n => {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
            Ok(())
        }
        Some(Action::Fail(errno, at)) if at == n => Err(io::Error::from_raw_os_error(errno)),
        _ => Ok(()),
    }
}
