//! One pool of jobs for all builds, and how many may compile at once.
//!
//! Every cargo is a client of one jobserver, so that the compilers of all
//! targets together never run more threads than asked for. A cargo counts as
//! one job itself, so a build waits for a token before it starts; and it waits
//! for memory, because a machine that swaps is slower than a serial build.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::events::{Cancel, Cancelled};
use crate::sys::fs;
use crate::types::{Class, Diagnostic};

/// What one compilation of `core` needs at its peak, in bytes: 1.0 to 1.15 GB
/// measured, and some air.
pub const MEMORY_PER_BUILD: u64 = 1_200_000_000;

/// How often a waiting build looks whether a job is free or the user has
/// stopped everything.
const PAUSE: Duration = Duration::from_millis(20);

/// The pool of jobs does not work.
#[derive(Debug, thiserror::Error)]
#[error("cannot share {jobs} jobs between the builds")]
pub struct JobsError {
    /// How many jobs were asked for.
    pub jobs: usize,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Diagnostic for JobsError {
    fn class(&self) -> Class {
        Class::Build
    }
}

/// Why a build got no slot.
pub(super) enum NoSlot {
    Cancelled(Cancelled),
    Jobs(JobsError),
}

/// The pool.
pub(super) struct Jobs {
    client: jobserver::Client,
    total: usize,
    at_once: usize,
    running: Mutex<usize>,
    changed: Condvar,
}

/// The right to run one cargo; given back when dropped.
pub(super) struct Slot<'a> {
    pool: &'a Jobs,
    token: Option<jobserver::Acquired>,
}

impl Jobs {
    pub(super) fn new(jobs: usize, memory: Option<u64>) -> Result<Self, JobsError> {
        let jobs = jobs.max(1);
        let client = jobserver::Client::new(jobs).map_err(|source| JobsError { jobs, source })?;
        Ok(Self {
            client,
            total: jobs,
            at_once: at_once(jobs, memory),
            running: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// How many builds run at once at most.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// How many jobs there are.
    pub(super) fn jobs(&self) -> usize {
        self.total
    }

    /// Makes a cargo, and through it its compilers, share this pool.
    pub(super) fn configure(&self, command: &mut Command) {
        self.client.configure(command);
    }

    /// Waits until a build may start.
    pub(super) fn wait(&self, cancel: &Cancel) -> Result<Slot<'_>, NoSlot> {
        let mut running = self.lock();
        loop {
            cancel.check().map_err(NoSlot::Cancelled)?;
            // A compiler that was killed takes its tokens with it, so a build
            // that is alone starts without one rather than wait for ever.
            if *running == 0 || (*running < self.at_once && self.available()? > 0) {
                break;
            }
            let waited = self.changed.wait_timeout(running, PAUSE);
            running = waited.map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
        *running += 1;
        // Others must be able to give their slots back while we wait below.
        drop(running);
        let mut slot = Slot {
            pool: self,
            token: None,
        };
        if self.available()? > 0 {
            slot.token = Some(self.client.acquire().map_err(|e| self.broken(e))?);
        }
        Ok(slot)
    }

    fn available(&self) -> Result<usize, NoSlot> {
        self.client.available().map_err(|e| self.broken(e))
    }

    fn broken(&self, source: io::Error) -> NoSlot {
        NoSlot::Jobs(JobsError {
            jobs: self.total,
            source,
        })
    }

    /// Puts back a token for compilers that were killed while they held one,
    /// so that a build blocked in [`Self::wait`] sees that all is over.
    pub(super) fn release_lost_token(&self) {
        let _ = self.client.release_raw();
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        // A count cannot be left half-changed by a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        drop(self.token.take());
        *self.pool.lock() -= 1;
        self.pool.changed.notify_all();
    }
}

/// How many builds may run at once: no more than jobs, and no more than fit
/// into the memory; at least one.
fn at_once(jobs: usize, memory: Option<u64>) -> usize {
    let by_memory = memory.map_or(u64::MAX, |bytes| bytes / MEMORY_PER_BUILD);
    let by_memory = usize::try_from(by_memory).unwrap_or(usize::MAX);
    jobs.min(by_memory).max(1)
}

/// The memory that new processes may use, in bytes: what the kernel calls
/// available, or less where a control group limits us. `None`: unknown.
pub fn available_memory() -> Option<u64> {
    #[cfg(feature = "fault-injection")]
    if let Some(bytes) = told_memory() {
        return Some(bytes);
    }
    let machine = meminfo(&read(Path::new("/proc/meminfo"))?)?;
    let group = read(Path::new("/proc/self/cgroup")).and_then(|text| cgroup_memory(&text));
    Some(group.map_or(machine, |bytes| bytes.min(machine)))
}

/// What a test says that the memory is: `SYSROOT_FAULT_MEMORY`, in bytes.
#[cfg(feature = "fault-injection")]
#[expect(clippy::disallowed_methods, reason = "a switch of the tests only")]
fn told_memory() -> Option<u64> {
    std::env::var("SYSROOT_FAULT_MEMORY").ok()?.parse().ok()
}

fn read(path: &Path) -> Option<String> {
    fs::read_text_if_exists(path, 1 << 20).ok().flatten()
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest rest of a memory limit on the way up from our group.
fn cgroup_memory(membership: &str) -> Option<u64> {
    let of = |prefix: &str| membership.lines().find_map(|l| l.strip_prefix(prefix));
    let version_1 = membership.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|c| c == "memory")
            .then_some(path)
    });
    let unified = of("0::").and_then(|path| tightest(&VERSION_2, path));
    let legacy = version_1.and_then(|path| tightest(&VERSION_1, path));
    unified.into_iter().chain(legacy).min()
}

/// Where a version of control groups keeps its numbers.
struct Files {
    root: &'static str,
    limit: &'static str,
    usage: &'static str,
    cache: &'static str,
}

const VERSION_1: Files = Files {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: "total_inactive_file ",
};

const VERSION_2: Files = Files {
    root: "/sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    cache: "inactive_file ",
};

fn tightest(files: &Files, group: &str) -> Option<u64> {
    // A container sees its own group as the root.
    let groups = Path::new(group.trim_start_matches('/')).ancestors();
    groups
        .filter_map(|group| {
            let dir = Path::new(files.root).join(group);
            let number = |name| read(&dir.join(name))?.trim().parse::<u64>().ok();
            let limit = number(files.limit)?;
            let used = number(files.usage)?;
            Some(limit.saturating_sub(used.saturating_sub(file_cache(&dir, files))))
        })
        .min()
}

/// What the kernel would give back on demand, in bytes.
fn file_cache(dir: &Path, files: &Files) -> u64 {
    let stat = read(&dir.join("memory.stat")).unwrap_or_default();
    let line = stat.lines().find_map(|l| l.strip_prefix(files.cache));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_at_once_are_bound_by_jobs_and_memory() {
        assert_eq!(at_once(8, None), 8);
        assert_eq!(at_once(8, Some(3 * MEMORY_PER_BUILD)), 3);
        assert_eq!(at_once(8, Some(0)), 1);
        assert_eq!(at_once(2, Some(u64::MAX)), 2);
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let text = "MemTotal:       24 kB\nMemAvailable:   12 kB\n";
        assert_eq!(meminfo(text), Some(12 * 1024));
        assert_eq!(meminfo("MemAvailable: many\n"), None);
        assert_eq!(cgroup_memory("junk\n::\n0::/no/such/group\n"), None);
    }

    #[test]
    fn a_slot_is_given_back_and_a_lost_token_blocks_nobody() {
        let pool = Jobs::new(1, None).unwrap();
        let cancel = Cancel::default();
        drop(pool.wait(&cancel).ok().unwrap());
        // A compiler dies with the only token.
        pool.client.acquire().unwrap().drop_without_releasing();
        drop(pool.wait(&cancel).ok().unwrap());
        let held = pool.wait(&cancel).ok().unwrap();
        cancel.set(Cancelled::Interrupt);
        assert!(matches!(pool.wait(&cancel), Err(NoSlot::Cancelled(_))));
        drop(held);
    }
}
