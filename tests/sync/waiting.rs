//! Several processes at once: who works, who waits, and what is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::THUMB;
use super::crash::{BUILT, Bed, DOWNLOADED, OTHER, erase};
use crate::support::sandbox::{Said, Sandbox, said, snapshot};

/// A compiler that waits until the file `go` exists.
const WAITING: &str = "until [ -e 'GO' ]; do sleep 0.02; done";

/// The longest that any of these waits takes.
const LIMIT: Duration = Duration::from_mins(1);

#[track_caller]
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "never {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts the tool in a project; what it says goes to files beside it.
pub(super) fn start(bed: &Bed, project: &str, arguments: &[&str], env: &[(&str, &str)]) -> Running {
    let said = bed
        .sandbox
        .path("home")
        .join(format!("said-{project}-{}", arguments.len()));
    let file = fs::File::create(&said).unwrap();
    let mut command = bed.sandbox.command(&bed.dir(project), arguments);
    command.envs(env.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    let child = command.spawn().unwrap();
    Running { child, said }
}

/// A process that was started, and what it has said.
pub(super) struct Running {
    pub(super) child: Child,
    said: PathBuf,
}

impl Running {
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    pub(super) fn end(mut self) -> Said {
        let status = self.child.wait().unwrap();
        Said {
            code: status.code().unwrap_or(-1),
            out: String::new(),
            err: self.said(),
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let id = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        let signal = match name {
            "STOP" => rustix::process::Signal::STOP,
            "CONT" => rustix::process::Signal::CONT,
            "INT" => rustix::process::Signal::INT,
            "HUP" => rustix::process::Signal::HUP,
            "TERM" => rustix::process::Signal::TERM,
            _ => rustix::process::Signal::KILL,
        };
        // It may have ended already.
        let _ = rustix::process::kill_process(id, signal);
    }
}

/// A bed whose compiler waits, with projects that want the same target, and
/// the toolchain in the cache.
pub(super) fn waiting(projects: &[&str]) -> Bed {
    let sandbox = Sandbox::in_memory();
    let go = sandbox.path("go");
    let bed = Bed::compiling(sandbox, &WAITING.replace("GO", go.to_str().unwrap()));
    bed.cache_after("toolchain", &["components = [\"rust-src\"]\n"]);
    for project in projects {
        bed.locked(project, BUILT);
    }
    bed
}

pub(super) fn compilations(bed: &Bed) -> usize {
    fs::read_to_string(bed.sandbox.path("compiled"))
        .unwrap_or_default()
        .lines()
        .count()
}

pub(super) fn go(bed: &Bed) {
    fs::write(bed.sandbox.path("go"), "").unwrap();
}

pub(super) fn output(bed: &Bed, project: &str) -> BTreeMap<String, (Vec<u8>, bool)> {
    snapshot(&bed.dir(project).join(".sysroot/lib"))
}

#[test]
fn case_104_of_64_processes_none_fails_and_each_object_is_made_once() {
    let bed = Bed::new();
    let keys: Vec<String> = (1..=8)
        .map(|n| format!("{BUILT}codegen-units = {n}\n"))
        .collect();
    let names: Vec<String> = (0..64).map(|n| format!("p{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        bed.locked(name, &keys[n % 8]);
    }
    let before = bed.server.requests().len();
    let running: Vec<_> = names
        .iter()
        .map(|name| start(&bed, name, &["sync"], &[]))
        .collect();
    for one in running {
        one.end().exits(0);
    }
    assert_eq!(compilations(&bed), 8);
    let requests = bed.server.requests().split_off(before);
    let archives: Vec<_> = requests.iter().filter(|r| r.contains(".tar.")).collect();
    // rustc, cargo, rust-src and the host's library.
    assert_eq!(archives.len(), 4, "{archives:?}");
    for (n, name) in names.iter().enumerate() {
        assert_eq!(output(&bed, name), output(&bed, &names[n % 8]), "{name}");
    }
    bed.run("p0", &["verify", "--deep"], &[]).exits(0);
}

#[test]
fn case_104_waiting_is_told_with_the_holder_and_what_it_does() {
    let bed = waiting(&["a", "b"]);
    let first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    let begun = Instant::now();
    let second = start(&bed, "b", &["sync"], &[]);
    let expected = format!(
        "waiting for process {}, compiling {THUMB}",
        first.child.id()
    );
    eventually("says for whom it waits", || {
        second.said().contains(&expected)
    });
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "not for every short wait"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    go(&bed);
    first.end().exits(0);
    second.end().exits(0);
    assert_eq!(compilations(&bed), 1);
    assert_eq!(output(&bed, "a"), output(&bed, "b"));
}

#[test]
fn case_101_a_stopped_holder_is_waited_for_named_and_not_robbed() {
    let bed = waiting(&["a", "b"]);
    let first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    first.signal("STOP");
    let limit = [("SYSROOT_FAULT_WAIT", "2")];
    let said = start(&bed, "b", &["sync"], &limit).end().exits(8);
    let holder = format!("process {}", first.child.id());
    said.mentions(&holder)
        .mentions("run the same command again");
    assert_eq!(compilations(&bed), 1);
    go(&bed);
    first.signal("CONT");
    first.end().exits(0);
    start(&bed, "b", &["sync"], &limit).end().exits(0);
    assert_eq!(compilations(&bed), 1);
}

#[test]
fn case_101_of_two_syncs_of_one_project_the_second_waits_for_the_output() {
    let bed = Bed::new();
    bed.locked("p", DOWNLOADED);
    let stop = [(
        "SYSROOT_FAULT",
        "stop@create directory p/.sysroot/.stage-* #1",
    )];
    let first = start(&bed, "p", &["sync"], &stop);
    let stat = format!("/proc/{}/stat", first.child.id());
    eventually("stops", || {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        text.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    });
    let said = start(
        &bed,
        "p",
        &["sync", "--locked"],
        &[("SYSROOT_FAULT_WAIT", "2")],
    )
    .end()
    .exits(8);
    said.mentions(&format!("process {}, syncing it", first.child.id()))
        .mentions("/p/.sysroot");
    first.signal("CONT");
    first.end().exits(0);
    bed.run("p", &["sync"], &[]).exits(0);
}

#[test]
fn case_105_killed_holders_block_nobody() {
    let rounds = if std::env::var_os("SYSROOT_TEST_ALL").is_some() {
        200
    } else {
        6
    };
    let bed = Bed::new();
    // A seed, so that a failure can be repeated.
    let mut seed: u64 = 4711;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let keys: Vec<String> = (1..=6)
        .map(|n| format!("{BUILT}codegen-units = {n}\n"))
        .collect();
    for round in 0..rounds {
        erase(&bed.sandbox.path("cache"));
        let names: Vec<String> = (0..24).map(|n| format!("p{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            bed.locked(name, &keys[n % 6]);
        }
        let mut running: Vec<_> = names
            .iter()
            .map(|name| start(&bed, name, &["sync"], &[]))
            .collect();
        let mut survivors = Vec::new();
        for (n, mut one) in running.drain(..).enumerate() {
            if random(2) == 0 {
                std::thread::sleep(Duration::from_millis(random(60)));
                one.child.kill().unwrap();
                one.child.wait().unwrap();
            } else {
                survivors.push((n, one));
            }
        }
        for (n, one) in survivors {
            let said = one.end();
            assert_eq!(said.code, 0, "round {round}, {n}: {}", said.err);
        }
        for name in &names {
            bed.run(name, &["sync"], &[]).exits(0);
        }
        super::crash::check_store(&bed, &format!("round {round}"));
        let left = fs::read_dir(bed.sandbox.cache().join("tmp"))
            .unwrap()
            .count();
        assert_eq!(left, 0, "round {round}");
    }
}

#[test]
fn case_108_of_two_answers_to_different_questions_none_is_lost() {
    let bed = Bed::new();
    let dir = bed.sandbox.project("p", &Bed::manifest(DOWNLOADED));
    // The first one has its answer and is about to write it.
    let stop = [("SYSROOT_FAULT", "stop@open p/.sysroot.lock.new #1")];
    let slow = start(&bed, "p", &["lock"], &stop);
    eventually("stops", || is_stopped(&slow.child));
    fs::write(dir.join("sysroot.toml"), Bed::manifest(OTHER)).unwrap();
    bed.run("p", &["lock"], &[]).exits(0);
    let newer = fs::read_to_string(dir.join("sysroot.lock")).unwrap();
    assert_eq!(newer, bed.lock_of(OTHER));
    slow.signal("CONT");
    slow.end();
    // Whoever comes last wins whole; and the next command says what is stale.
    let text = fs::read_to_string(dir.join("sysroot.lock")).unwrap();
    assert!(text == newer || text == bed.lock_of(DOWNLOADED), "{text}");
}

#[test]
fn case_108_a_lock_that_changed_while_it_was_resolved_is_left_alone() {
    let bed = Bed::new();
    let dir = bed.sandbox.project("p", &Bed::manifest(DOWNLOADED));
    // The first one has the server's answer, and keeps it in the cache.
    let label = "create directory cache/v1/manifests #1";
    let slow = start(
        &bed,
        "p",
        &["lock"],
        &[("SYSROOT_FAULT", &format!("stop@{label}"))],
    );
    eventually("stops", || is_stopped(&slow.child));
    fs::write(dir.join("sysroot.toml"), Bed::manifest(OTHER)).unwrap();
    bed.run(
        "p",
        &["lock"],
        &[(
            "SYSROOT_CACHE_DIR",
            bed.sandbox.path("home/other").to_str().unwrap(),
        )],
    )
    .exits(0);
    slow.signal("CONT");
    slow.end()
        .exits(1)
        .mentions("changed while it was being resolved");
    assert_eq!(
        fs::read_to_string(dir.join("sysroot.lock")).unwrap(),
        bed.lock_of(OTHER)
    );
}

#[test]
fn case_108_many_lock_runs_agree() {
    let bed = Bed::new();
    bed.sandbox.project("p", &Bed::manifest(DOWNLOADED));
    let running: Vec<_> = (0..8).map(|_| start(&bed, "p", &["lock"], &[])).collect();
    for one in running {
        one.end().exits(0);
    }
    let text = fs::read_to_string(bed.dir("p").join("sysroot.lock")).unwrap();
    assert_eq!(text, bed.lock_of(DOWNLOADED));
}

pub(super) fn is_stopped(child: &Child) -> bool {
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    text.rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('T'))
}

/// All files of a directory by one handle, as somebody sees them who opened it
/// before it was exchanged; an error if it was removed meanwhile.
fn read_by_handle(dir: &Path) -> Option<Vec<(String, Vec<u8>)>> {
    use std::io::Read as _;
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let handle = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).ok()?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&handle).ok()? {
        let name = entry.ok()?.file_name().to_str().ok()?.to_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let file = rustix::fs::openat(
            &handle,
            name.as_str(),
            rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        let mut bytes = Vec::new();
        fs::File::from(file.ok()?).read_to_end(&mut bytes).ok()?;
        files.push((name, bytes));
    }
    Some(files)
}

#[test]
fn case_109_a_reader_never_sees_a_mix_of_old_and_new() {
    let bed = Bed::new();
    let (old, new) = (DOWNLOADED, BUILT);
    bed.cache_after("old-and-new", &[old, new]);
    bed.locked("p", old);
    let place = bed
        .dir("p")
        .join(format!(".sysroot/lib/rustlib/{THUMB}/lib"));
    let mut whole = Vec::new();
    for targets in [old, new] {
        bed.set_lock("p", targets);
        bed.run("p", &["sync", "--frozen"], &[]).exits(0);
        whole.push(read_by_handle(&place).unwrap());
    }
    assert_ne!(whole[0], whole[1]);
    let texts = [old, new].map(|targets| bed.lock_of(targets));
    let (dir, env) = (bed.dir("p"), bed.sandbox.env.clone());
    let sync = |n: usize| {
        fs::write(dir.join("sysroot.lock"), &texts[n % 2]).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sysroot"));
        command.env_clear().envs(&env).current_dir(&dir);
        said(command.args(["sync", "--frozen"])).exits(0);
    };
    let (mut seen, mut going) = ([0, 0], 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..30).for_each(sync));
        while !writer.is_finished() {
            let files = read_by_handle(&place).unwrap_or_default();
            if let Some(which) = whole.iter().position(|whole| *whole == files) {
                seen[which] += 1;
                continue;
            }
            // An old one that is being removed has less and less in it.
            let part = |whole: &Vec<_>| files.iter().all(|file| whole.contains(file));
            assert!(whole.iter().any(part), "a mix: {files:?}");
            going += 1;
        }
        writer.join().unwrap();
    });
    assert!(
        seen[0] > 10 && seen[1] > 10,
        "{seen:?}, {going} of what was going"
    );
}

#[test]
fn case_110_without_file_locks_the_result_is_right_and_it_is_said_once() {
    let bed = Bed::new();
    for name in ["a", "b", "c"] {
        bed.locked(name, BUILT);
    }
    for errno in ["37", "95", "38"] {
        erase(&bed.sandbox.path("cache"));
        let fault = format!("{errno}%lock");
        let running: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|name| {
                erase(&bed.dir(name).join(".sysroot"));
                start(&bed, name, &["sync"], &[("SYSROOT_FAULT", fault.as_str())])
            })
            .collect();
        for one in running {
            let said = one.end().exits(0);
            let told = said.err.matches("without file locks").count()
                + said
                    .err
                    .matches("other processes may do the same work")
                    .count();
            assert!((1..=2).contains(&told), "{errno}: {}", said.err);
        }
        assert_eq!(output(&bed, "a"), output(&bed, "b"));
        bed.run("a", &["verify", "--deep"], &[]).exits(0);
        // A collector must be sure that it is alone.
        let gc = bed.run("a", &["cache", "gc"], &[("SYSROOT_FAULT", fault.as_str())]);
        assert_eq!(gc.code, 9, "{}", gc.err);
    }
}

#[test]
fn case_111_a_compiler_that_outlives_its_parent_holds_no_lock() {
    let sandbox = Sandbox::in_memory();
    let escaped = "setsid sleep 5 >/dev/null 2>&1 </dev/null & sleep 20";
    let bed = Bed::compiling(sandbox, escaped);
    bed.cache_after("toolchain", &["components = [\"rust-src\"]\n"]);
    bed.locked("a", BUILT);
    let mut first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    std::thread::sleep(Duration::from_millis(200));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    for dir in ["locks", "tmp"] {
        let names = fs::read_dir(bed.sandbox.cache().join(dir)).unwrap();
        let locks = names
            .map(|name| name.unwrap().path())
            .filter(|path| path.is_file());
        let mut free = 0;
        for path in locks {
            let file = fs::File::open(&path).unwrap();
            assert!(file.try_lock().is_ok(), "{} is still held", path.display());
            free += 1;
        }
        assert!(free > 0, "no lock in {dir}");
    }
}

#[test]
fn case_112_a_lock_file_that_is_deleted_while_held_costs_work_and_nothing_else() {
    let bed = waiting(&["a", "b"]);
    let first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    let second = start(&bed, "b", &["sync"], &[]);
    eventually("waits", || second.said().contains("waiting for"));
    for lock in fs::read_dir(bed.sandbox.cache().join("locks")).unwrap() {
        fs::remove_file(lock.unwrap().path()).unwrap();
    }
    eventually("compiles as well", || compilations(&bed) == 2);
    go(&bed);
    first.end().exits(0);
    second.end().exits(0);
    assert_eq!(output(&bed, "a"), output(&bed, "b"));
    bed.run("a", &["verify", "--deep"], &[]).exits(0);
}

#[test]
fn case_102_a_cache_that_vanishes_meanwhile_is_an_error_and_no_more() {
    for replaced in [false, true] {
        let bed = waiting(&["a"]);
        let first = start(&bed, "a", &["sync"], &[]);
        eventually("compiles", || compilations(&bed) == 1);
        let cache = bed.sandbox.path("cache");
        fs::rename(&cache, bed.sandbox.path("home/moved")).unwrap();
        if replaced {
            fs::create_dir(&cache).unwrap();
        }
        go(&bed);
        let said = first.end();
        assert!(
            matches!(said.code, 0 | 4 | 5 | 7 | 9),
            "{} {}",
            said.code,
            said.err
        );
        assert!(!said.err.contains("panicked"), "{}", said.err);
        if replaced {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
        }
        bed.run("a", &["sync"], &[]).exits(0);
        bed.run("a", &["verify", "--deep"], &[]).exits(0);
    }
}

#[test]
fn case_103_a_cleaner_in_the_staging_area_costs_at_most_a_repetition() {
    let bed = waiting(&["a"]);
    let first = start(&bed, "a", &["sync"], &[]);
    eventually("compiles", || compilations(&bed) == 1);
    for entry in fs::read_dir(bed.sandbox.cache().join("tmp")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            erase(&path);
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    go(&bed);
    let said = first.end();
    assert!(matches!(said.code, 0 | 7 | 9), "{} {}", said.code, said.err);
    bed.run("a", &["sync"], &[]).exits(0);
    bed.run("a", &["verify", "--deep"], &[]).exits(0);
}
