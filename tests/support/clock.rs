//! Another clock: a library that is loaded into a program and moves its time.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "what the tests do is no business of the tool's file layer, and they may fail"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sandbox::said;

/// How far it is ahead.
pub(crate) const YEARS: i32 = 10;

/// Moves the clock of what it is loaded into by ten years.
const CLOCK: &str = "
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
enum { LATER = 10 * 365 * 24 * 3600 };
int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (result == 0 && id == CLOCK_REALTIME) now->tv_sec += LATER;
    return result;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
";

/// Compiles the other clock, and sees that it goes ten years ahead.
pub(crate) fn other_clock(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let mut cc = Command::new("cc");
    said(
        cc.args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source]),
    )
    .exits(0);
    let year = |clock: &str| -> i32 {
        let mut date = Command::new("date");
        let text = said(date.env("LD_PRELOAD", clock).arg("+%Y")).exits(0).out;
        text.trim().parse().unwrap()
    };
    let ahead = year(library.to_str().unwrap()) - year("");
    assert!((YEARS - 1..=YEARS).contains(&ahead), "{ahead} years ahead");
    library
}
