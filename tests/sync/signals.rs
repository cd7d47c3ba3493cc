//! Signals: at any moment, twice, and from a terminal.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::crash::{BUILT, Bed, erase};
use super::waiting::{eventually, start};
use crate::support::sandbox::{Sandbox, snapshot};

#[test]
fn case_082_a_signal_at_any_moment_leaves_nothing_behind() {
    let rounds = if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        200
    } else {
        24
    };
    let bed = Bed::new();
    bed.locked("p", BUILT);
    let begun = Instant::now();
    bed.run("p", &["sync"], &[]).exits(0);
    let whole = begun.elapsed();
    let want = snapshot(&bed.dir("p").join(".sysroot/lib"));
    let mut stopped = 0;
    for round in 0..rounds {
        erase(&bed.sandbox.path("cache"));
        bed.locked("p", BUILT);
        let signal = ["INT", "TERM", "HUP"][round % 3];
        let running = start(&bed, "p", &["sync"], &[]);
        // Evenly over the time that it takes.
        let at = u32::try_from(round).unwrap() * whole / u32::try_from(rounds).unwrap();
        std::thread::sleep(at);
        running.signal(signal);
        let said = running.end();
        let expected = if signal == "INT" { 130 } else { 143 };
        // Before the handlers are there, the signal itself ends it.
        assert!(
            [0, -1, expected].contains(&said.code),
            "{signal}: {} {}",
            said.code,
            said.err
        );
        stopped += u32::from(said.code == expected);
        if said.code == expected {
            let tmp = bed.sandbox.cache().join("tmp");
            let left = fs::read_dir(tmp).map_or(0, Iterator::count);
            assert_eq!(left, 0, "{signal} after {at:?}: {}", said.err);
        }
        super::crash::check_store(&bed, signal);
        bed.run("p", &["sync"], &[]).exits(0);
        assert_eq!(
            snapshot(&bed.dir("p").join(".sysroot/lib")),
            want,
            "{signal} after {at:?}"
        );
    }
    assert!(stopped > 2, "no signal came in time");
}

/// A bed with a compiler that does not answer when asked who it is, once the
/// file `mute` exists; it says so in `asked`.
fn mute() -> Bed {
    let sandbox = Sandbox::in_memory();
    let (mute, asked) = (sandbox.path("home/mute"), sandbox.path("home/asked"));
    let text = format!(
        "[ ! -e '{0}' ] || {{ echo >'{1}'; sleep 30; }}",
        mute.display(),
        asked.display()
    );
    let bed = Bed::compiling(sandbox, &text);
    bed.locked("p", BUILT);
    fs::write(mute, "").unwrap();
    bed
}

#[test]
fn case_082_the_second_interrupt_ends_it_at_once() {
    let bed = mute();
    // The first one cannot be heard while this operation lasts.
    let stop = [("SYSROOT_FAULT", "stop@flush all of cache/v1/tmp/stage-* #1")];
    let running = start(&bed, "p", &["sync"], &stop);
    let stat = format!("/proc/{}/stat", running.child.id());
    eventually("stops", || {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        text.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    });
    running.signal("CONT");
    let begun = Instant::now();
    running.signal("INT");
    std::thread::sleep(Duration::from_millis(30));
    running.signal("INT");
    let said = running.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn case_082_ctrl_c_on_a_terminal_leaves_the_terminal_as_it_was() {
    let bed = mute();
    let dir = bed.sandbox.path("home");
    let script = format!(
        "trap : INT; stty -a >{0}/before; {1} sync; echo $? >{0}/code; stty -a >{0}/after",
        dir.display(),
        env!("CARGO_BIN_EXE_sysroot")
    );
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &script, "/dev/null"]);
    command
        .env_clear()
        .envs(&bed.sandbox.env)
        .env("TERM", "xterm");
    command.env("SHELL", "/bin/sh").current_dir(bed.dir("p"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    eventually("compiles", || dir.join("asked").exists());
    // What the key does, by way of the terminal.
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    eventually("ends", || {
        dir.join("after").exists() && dir.join("code").exists()
    });
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        fs::read_to_string(dir.join("code")).unwrap().trim(),
        "130",
        "{shown}"
    );
    let state = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(state("before"), state("after"));
    // A hidden cursor is shown again.
    assert_eq!(
        shown.matches("\x1b[?25l").count(),
        shown.matches("\x1b[?25h").count(),
        "{shown}"
    );
}
