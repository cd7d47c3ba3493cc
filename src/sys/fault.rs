//! Fault injection for the test suite: one mutating file operation kills the
//! process, fails, is cut short, or stops.
//!
//! An operation's *label* is what it does, its path below `SYSROOT_FAULT_ROOT`
//! with random parts left out, and which such operation it is:
//! `write cache/v1/tmp/stage-*/lib/a.rlib #1`. Labels do not depend on which
//! thread is faster, numbers do.
//!
//! `SYSROOT_FAULT_COUNT=FILE` appends the label of each operation, so that a
//! first run tells which there are. `SYSROOT_FAULT` is an action and a place:
//!
//! | Action | What happens at the operation |
//! |---|---|
//! | `kill` | the process is killed before it |
//! | a number | it fails with that error and does nothing |
//! | `half-kill`, `half-ERRNO` | of a write the first half is done, then as above |
//! | `zero` | a write says that it wrote nothing |
//! | `stop` | the process stops (SIGSTOP) before it, and goes on after SIGCONT |
//! | `panic` | the thread panics before it, as it might by a mistake of ours |
//!
//! | Place | Which operations |
//! |---|---|
//! | `:N` | the N-th, counted from 1 |
//! | `@LABEL` | the one with this label |
//! | `+LABEL` | the one with this label and every one after it |
//! | `%WHAT` | every one that does this, such as `lock` |
//!
//! `SYSROOT_FAULT_DECODED=FILE` appends a line for each decoder that is made
//! for bytes from elsewhere.
//!
//! `SYSROOT_FAULT_WAIT` is how many seconds to wait for a lock at most,
//! `SYSROOT_FAULT_BOOT` what to take for the machine's boot,
//! `SYSROOT_FAULT_PATIENCE` how many milliseconds a remote may waste, and
//! `SYSROOT_FAULT_NO_EXCHANGE` makes the file system one that cannot exchange
//! two names.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "this is the layer, its switches are environment variables, and panics are what it makes"
)]

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What an operation is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What it always does.
    Proceed,
    /// A write: the first half of its bytes; then [`after_half`].
    Half,
    /// A write: nothing, and say so.
    Nothing,
}

#[derive(Clone, Copy)]
enum Action {
    Kill,
    Fail(i32),
    HalfKill,
    HalfFail(i32),
    Zero,
    Stop,
    Panic,
}

enum Place {
    Number(u64),
    Label(String),
    From(String),
    Every(String),
}

struct Setup {
    action: Option<(Action, Place)>,
    count_file: Option<PathBuf>,
    root: Option<PathBuf>,
}

#[derive(Default)]
struct Seen {
    number: u64,
    labels: HashMap<String, u64>,
    /// Whether a `+LABEL` has begun.
    begun: bool,
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| Setup {
        action: std::env::var("SYSROOT_FAULT")
            .ok()
            .and_then(|text| parse(&text)),
        count_file: std::env::var_os("SYSROOT_FAULT_COUNT").map(PathBuf::from),
        root: std::env::var_os("SYSROOT_FAULT_ROOT").map(PathBuf::from),
    })
}

fn parse(text: &str) -> Option<(Action, Place)> {
    let at = text.find([':', '@', '+', '%'])?;
    let (action, place) = text.split_at(at);
    let action = match action {
        "kill" => Action::Kill,
        "half-kill" => Action::HalfKill,
        "zero" => Action::Zero,
        "stop" => Action::Stop,
        "panic" => Action::Panic,
        other => match other.strip_prefix("half-") {
            Some(errno) => Action::HalfFail(errno.parse().ok()?),
            None => Action::Fail(other.parse().ok()?),
        },
    };
    let place = match place.split_at(1) {
        (":", n) => Place::Number(n.parse().ok()?),
        ("@", label) => Place::Label(label.to_owned()),
        ("%", what) => Place::Every(what.to_owned()),
        (_, label) => Place::From(label.to_owned()),
    };
    Some((action, place))
}

/// Whether operations are counted or one of them is to fail.
pub(super) fn is_on() -> bool {
    setup().action.is_some() || setup().count_file.is_some()
}

/// Counts one operation, and says what it is to do.
pub(super) fn point(operation: &str, path: &Path) -> io::Result<Order> {
    static SEEN: Mutex<Option<Seen>> = Mutex::new(None);
    let setup = setup();
    let action = {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get_or_insert_default();
        let what = format!("{operation} {}", plain(path, setup.root.as_deref()));
        let nth = seen.labels.entry(what.clone()).or_default();
        *nth += 1;
        let label = format!("{what} #{nth}");
        seen.number += 1;
        if let Some(path) = &setup.count_file {
            let mut file = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)?;
            writeln!(file, "{label}")?;
        }
        let Some((action, place)) = &setup.action else {
            return Ok(Order::Proceed);
        };
        let here = match place {
            Place::Number(n) => *n == seen.number,
            Place::Label(wanted) => *wanted == label,
            Place::Every(what) => what == operation,
            Place::From(wanted) => {
                seen.begun |= *wanted == label;
                seen.begun
            }
        };
        if !here {
            return Ok(Order::Proceed);
        }
        *action
    };
    let is_write = operation == "write";
    match action {
        Action::HalfKill | Action::HalfFail(_) if is_write => Ok(Order::Half),
        Action::Zero if is_write => Ok(Order::Nothing),
        Action::Zero => Ok(Order::Proceed),
        action => carry_out(action).map(|()| Order::Proceed),
    }
}

/// What comes after the first half of a write.
pub(super) fn after_half() -> io::Result<()> {
    setup()
        .action
        .as_ref()
        .map_or(Ok(()), |(action, _)| carry_out(*action))
}

fn carry_out(action: Action) -> io::Result<()> {
    use rustix::process::{Signal, getpid, kill_process};
    match action {
        Action::Kill | Action::HalfKill => drop(kill_process(getpid(), Signal::KILL)),
        Action::Stop => {
            let _ = kill_process(getpid(), Signal::STOP);
            // Another thread may be the one that takes the signal, and this one
            // would get past the operation before all are stopped.
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Action::Fail(errno) | Action::HalfFail(errno) => {
            return Err(io::Error::from_raw_os_error(errno));
        }
        // What `panic!` does, without its line about the place.
        Action::Panic => std::panic::resume_unwind(Box::new("as a test asked for")),
        Action::Zero => {}
    }
    Ok(())
}

/// A path without what differs from run to run.
fn plain(path: &Path, root: Option<&Path>) -> String {
    let below = root.and_then(|root| path.strip_prefix(root).ok());
    let parts = below.unwrap_or(path).components();
    let parts: Vec<String> = parts
        .map(|part| {
            let name = part.as_os_str().to_string_lossy();
            match name.split_once('-') {
                Some((prefix, random)) if TEMPORARY.contains(&prefix) => {
                    let end = random.trim_start_matches(|c: char| c.is_ascii_hexdigit());
                    match random.len() - end.len() {
                        RANDOM => format!("{prefix}-*{end}"),
                        _ => name.into_owned(),
                    }
                }
                _ => name.into_owned(),
            }
        })
        .collect();
    parts.join("/")
}

/// How many random digits a temporary name has, and what comes before them.
const RANDOM: usize = 8;
const TEMPORARY: [&str; 6] = ["stage", ".stage", "tree", ".new", ".incoming", "trash"];

/// How long to wait for a lock, if a test says so.
pub(super) fn wait_limit() -> Option<std::time::Duration> {
    let seconds = std::env::var("SYSROOT_FAULT_WAIT").ok()?.parse().ok()?;
    Some(std::time::Duration::from_secs(seconds))
}

/// Whether the file system shall be one that cannot exchange two names.
pub(super) fn lacks_exchange() -> bool {
    std::env::var_os("SYSROOT_FAULT_NO_EXCHANGE").is_some()
}

/// Notes a decoder, if a test counts them.
pub(super) fn decoding(what: &str) {
    let Some(path) = std::env::var_os("SYSROOT_FAULT_DECODED") else {
        return;
    };
    let mut options = std::fs::OpenOptions::new();
    let file = options.append(true).create(true).open(path);
    // One that is not counted must not pass for one that was not made.
    if let Err(e) = file.and_then(|mut file| writeln!(file, "{what}")) {
        std::panic::panic_any(format!("SYSROOT_FAULT_DECODED: {e}"));
    }
}

/// What to take for the machine's boot, if a test says so.
pub(super) fn boot() -> Option<String> {
    std::env::var("SYSROOT_FAULT_BOOT").ok()
}

/// How much time a remote may waste, if a test says so.
pub(super) fn patience() -> Option<std::time::Duration> {
    let text = std::env::var("SYSROOT_FAULT_PATIENCE").ok()?;
    Some(std::time::Duration::from_millis(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_leave_out_what_is_random_and_nothing_else() {
        let plain = |path: &str| plain(Path::new(path), Some(Path::new("/x")));
        assert_eq!(plain("/x/tmp/stage-0a1b2c3d/lib"), "tmp/stage-*/lib");
        assert_eq!(plain("/x/tmp/stage-0a1b2c3d.lock"), "tmp/stage-*.lock");
        assert_eq!(plain("/x/p/.stage-0a1b2c3d/a.rs"), "p/.stage-*/a.rs");
        assert_eq!(plain("/x/locks/tree-0a1b2c3d4e"), "locks/tree-0a1b2c3d4e");
        assert_eq!(plain("/y/thumbv7-none.rlib"), "//y/thumbv7-none.rlib");
    }
}
