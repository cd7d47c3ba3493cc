//! The kernel's view: nothing bypasses the layer, and a kill from outside at
//! a system call finds the same guarantees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::process::Command;

use super::bed::Bed;
use super::check;
use super::scenarios::{BUILD, DOWNLOAD, EVICT, EXPORT, GC, HEAL, LOCK, PUSH, RELINK, Scenario};
use crate::support::sandbox::{Said, said};

/// Calls that change a file system, and those that tell whose process it is.
const CALLS: &str = "openat,openat2,creat,open,write,pwrite64,writev,pwritev,pwritev2,\
                     copy_file_range,sendfile,splice,ioctl,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,chmod,fchmod,\
                     fchmodat,?fchmodat2,fchown,fchownat,chown,lchown,link,linkat,symlink,symlinkat,truncate,ftruncate,\
                     fallocate,utimensat,setxattr,lsetxattr,fsetxattr,\
                     removexattr,mknod,mknodat,fsync,fdatasync,syncfs,\
                     flock,execve,clone,clone3,vfork,fork";

/// Runs the scenario's command under strace.
fn strace(bed: &Bed, scenario: &Scenario, options: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = Command::new("strace");
    command.args(options);
    command
        .arg(env!("CARGO_BIN_EXE_sysroot"))
        .args(scenario.arguments);
    command.env_clear().envs(&bed.sandbox.env);
    command.envs(env.iter().copied()).envs(bed.remote(scenario));
    said(command.current_dir(bed.dir("p")))
}

/// Whole calls of our own threads, in order; interrupted lines are joined.
fn own_calls(trace: &str) -> Vec<String> {
    let mut started: HashMap<&str, String> = HashMap::new();
    let mut others: BTreeSet<String> = BTreeSet::new();
    let mut calls = Vec::new();
    let mut first = true;
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix("<unfinished ...>") {
            started.insert(pid, begin.trim_end().to_owned());
            continue;
        }
        let call = match rest
            .strip_prefix("<... ")
            .and_then(|r| r.split_once(" resumed>"))
        {
            Some((_, end)) => started.remove(pid).unwrap_or_default() + end,
            None => rest.to_owned(),
        };
        let name = call.split('(').next().unwrap_or_default();
        if name == "execve" && !std::mem::take(&mut first) {
            others.insert(pid.to_owned());
        } else if matches!(name, "clone" | "clone3" | "vfork" | "fork") && others.contains(pid) {
            let child = call.rsplit("= ").next().unwrap_or_default();
            others.insert(child.trim().to_owned());
        } else if !others.contains(pid) && !call.contains(") = -1 ") {
            calls.push(call);
        }
    }
    calls
}

/// What a call changes: which kind of operation, and the path.
fn mutation(call: &str) -> Option<(&'static str, String)> {
    let (name, arguments) = call.split_once('(')?;
    // `"…"` texts and `<…>` descriptors, in order.
    let mut names = Vec::new();
    let mut rest = arguments;
    while let Some(at) = rest.find(['"', '<']) {
        let close = if rest[at..].starts_with('"') {
            '"'
        } else {
            '>'
        };
        let text = &rest[at + 1..];
        let end = text.find(close)?;
        names.push((close == '"', text[..end].to_owned()));
        rest = &text[end + 1..];
    }
    let descriptor = || {
        names
            .iter()
            .find(|(text, _)| !text)
            .map(|(_, name)| name.clone())
    };
    // The last text is what is made or removed; a relative one is below the
    // descriptor before it.
    let target = || {
        let at = names.iter().rposition(|(text, _)| *text)?;
        let path = &names[at].1;
        if path.starts_with('/') {
            return Some(path.clone());
        }
        let dir = names[..at].iter().rev().find(|(text, _)| !text)?;
        Some(format!("{}/{path}", dir.1))
    };
    let kind = match name {
        "openat" | "openat2" | "open" | "creat" if arguments.contains("O_CREAT") => "create",
        "openat" | "openat2" | "open" if arguments.contains("O_TRUNC") => "truncate",
        "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" => {
            return Some(("write", descriptor()?));
        }
        // The second descriptor is the one that is written to.
        "copy_file_range" | "splice" => {
            let to = names.iter().filter(|(text, _)| !text).nth(1)?;
            return Some(("write", to.1.clone()));
        }
        "sendfile" => return Some(("write", descriptor()?)),
        "rename" | "renameat" | "renameat2" => "rename",
        "unlink" | "unlinkat" | "rmdir" => "remove",
        "mkdir" | "mkdirat" => "create directory",
        // Terminals, pipes and sockets have many; only one kind makes content.
        "ioctl" if arguments.contains("FICLONE") || arguments.contains("_IOC_CLONE") => {
            return Some(("clone", descriptor()?));
        }
        "ioctl" => return None,
        "chmod" | "fchmodat" | "fchmodat2" => "set the mode of",
        "fchmod" => return Some(("set the mode of", descriptor()?)),
        "link" | "linkat" | "symlink" | "symlinkat" => "link",
        "ftruncate" => return Some(("truncate", descriptor()?)),
        "fsync" | "fdatasync" => return Some(("flush", descriptor()?)),
        "syncfs" => return Some(("flush all of", descriptor()?)),
        "flock" => return Some(("lock", descriptor()?)),
        "openat" | "openat2" | "open" | "execve" | "clone" | "clone3" | "vfork" | "fork" => {
            return None;
        }
        _ => "another call",
    };
    Some((kind, target()?))
}

/// A path as labels have it: below the root, without what is random, and a
/// staged file under the name it will have.
fn plain(path: &str) -> String {
    let parts = path.split('/').map(|name| {
        let staged = name.strip_prefix('.').and_then(|n| n.strip_suffix(".new"));
        let random = name.split_once('-').is_some_and(|(prefix, random)| {
            let random = random.trim_end_matches(".lock");
            matches!(prefix, "stage" | ".stage" | "tree" | ".incoming") && random.len() == 8
        });
        // The same under a random name: `.name.XXXXXXXX`.
        let beside = name.strip_prefix('.').and_then(|n| n.rsplit_once('.'));
        let beside = beside
            .filter(|(_, end)| end.len() == 8 && end.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match (
            staged.or(beside.map(|(name, _)| name)),
            random,
            name.split_once('-'),
        ) {
            (Some(name), ..) => name.to_owned(),
            (_, true, Some((prefix, rest))) => {
                format!(
                    "{prefix}-*{}",
                    rest.trim_start_matches(|c: char| c.is_ascii_hexdigit())
                )
            }
            _ => name.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

type Counts = BTreeMap<(String, String), usize>;

/// The layer's operations by kind and path.
fn labelled(text: &str) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines() {
        let label = line.rsplit_once(" #").unwrap().0;
        let kinds = [
            ("create directory ", "create directory"),
            ("create beside ", "create"),
            ("create ", "create"),
            ("open ", "create"),
            ("clone ", "clone"),
            ("write ", "write"),
            ("truncate ", "truncate"),
            ("rename to ", "rename"),
            ("replace ", "rename"),
            ("exchange ", "rename"),
            ("remove beside ", "remove"),
            ("remove ", "remove"),
            ("set the mode of ", "set the mode of"),
            ("link ", "link"),
            ("flush all of ", "flush all of"),
            ("flush ", "flush"),
            ("lock ", "lock"),
        ];
        let (start, kind) = kinds
            .iter()
            .find(|(start, _)| label.starts_with(start))
            .unwrap();
        let path = plain(&label[start.len()..]);
        *counts.entry(((*kind).to_owned(), path)).or_default() += 1;
    }
    counts
}

/// Compares what the kernel saw with what the layer counted.
fn nothing_bypasses(scenario: &Scenario, at_least: usize) {
    let bed = Bed::new();
    (scenario.prepare)(&bed);
    let (count, trace) = (bed.sandbox.path("count"), bed.sandbox.path("packed/trace"));
    let filter = format!("trace={CALLS}");
    let options = [
        "-f",
        "-qq",
        "-y",
        "-s",
        "0",
        "-e",
        &filter,
        "-o",
        trace.to_str().unwrap(),
    ];
    let env = [("SYSROOT_FAULT_COUNT", count.to_str().unwrap())];
    strace(&bed, scenario, &options, &env).exits(0);
    let labels = labelled(&fs::read_to_string(&count).unwrap());
    let root = format!(
        "{}/",
        bed.sandbox.path("").to_str().unwrap().trim_end_matches('/')
    );
    let mut seen = Counts::new();
    for call in own_calls(&fs::read_to_string(&trace).unwrap()) {
        let Some((kind, path)) = mutation(&call) else {
            continue;
        };
        assert_ne!(kind, "another call", "the layer has no such call: {call}");
        let Some(below) = path.strip_prefix(&root).filter(|below| *below != "count") else {
            // Devices, pipes and what else is no file of ours.
            let outside = ["/dev/", "pipe:", "socket:", "anon_inode:", "/proc/"];
            let known = outside.iter().any(|start| path.starts_with(start));
            assert!(
                known || path.ends_with("/count"),
                "a write to {path}: {call}"
            );
            continue;
        };
        *seen.entry((kind.to_owned(), plain(below))).or_default() += 1;
    }
    assert!(seen.len() >= at_least, "{} only: {seen:?}", seen.len());
    for ((kind, path), times) in &seen {
        let counted = |kind: &str| labels.get(&(kind.to_owned(), path.clone())).copied();
        // A try to clone makes a file and takes it away again where that fails.
        let clones = if matches!(kind.as_str(), "create" | "remove") {
            counted("clone").unwrap_or(0)
        } else {
            0
        };
        let counted = counted(kind).unwrap_or(0) + clones;
        // One write may take several calls; everything else takes one.
        let allowed = if kind == "write" && counted > 0 {
            *times
        } else {
            counted
        };
        assert!(
            *times <= allowed,
            "{kind} {path}: {times} calls, {counted} counted"
        );
    }
}

#[test]
fn nothing_bypasses_the_file_layer() {
    nothing_bypasses(&DOWNLOAD, 60);
    nothing_bypasses(&BUILD, 40);
    nothing_bypasses(&LOCK, 8);
    nothing_bypasses(&RELINK, 20);
    nothing_bypasses(&HEAL, 30);
    nothing_bypasses(&GC, 12);
    nothing_bypasses(&EVICT, 12);
    nothing_bypasses(&PUSH, 12);
    nothing_bypasses(&EXPORT, 6);
}

#[test]
fn calls_that_write_are_told_from_those_that_do_not() {
    let file = || "/x/a".to_owned();
    for (call, kind) in [
        ("ioctl(4</x/a>, FICLONE, 3</x/b>) = 0", Some("clone")),
        (
            "ioctl(4</x/a>, BTRFS_IOC_CLONE_RANGE, {...}) = 0",
            Some("clone"),
        ),
        ("ioctl(4</x/a>, TCGETS, {...}) = 0", None),
        ("pwritev2(4</x/a>, [...], 1, 0, 0) = 3", Some("write")),
        (
            "fchmodat2(AT_FDCWD</x>, \"/x/a\", 0644, 0) = 0",
            Some("set the mode of"),
        ),
        (
            "openat2(AT_FDCWD</x>, \"/x/a\", {flags=O_WRONLY|O_CREAT}, 24) = 4",
            Some("create"),
        ),
        (
            "openat2(AT_FDCWD</x>, \"/x/a\", {flags=O_RDONLY}, 24) = 4",
            None,
        ),
        ("mknod(\"/x/a\", S_IFIFO|0644) = 0", Some("another call")),
    ] {
        assert_eq!(mutation(call), kind.map(|kind| (kind, file())), "{call}");
    }
}

/// Kills from outside: strace does it at the n-th such call of a thread.
fn killed_from_outside(scenario: &'static Scenario, calls: &[&str], times: &[u32]) {
    let bed = Bed::new();
    (scenario.prepare)(&bed);
    (scenario.prepare)(&bed);
    let before = bed.observe();
    bed.play(scenario, &[]).exits(0);
    let want = bed.observe();
    let mut killed = 0;
    for call in calls {
        for nth in times {
            (scenario.prepare)(&bed);
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            let options = ["-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let code = strace(&bed, scenario, &options, &[]).code;
            assert!(matches!(code, -1 | 0 | 137), "{inject}: {code}");
            killed += u32::from(code != 0);
            check::store(&bed.sandbox, &inject);
            check::between(&bed, scenario, (&before, &want), &inject);
            check::heals(&bed, scenario, &want, &inject);
        }
    }
    assert!(
        killed * 2 > u32::try_from(calls.len() * times.len()).unwrap(),
        "{killed}"
    );
}

#[test]
fn case_079_killed_from_outside_at_system_calls() {
    let calls = [
        "mkdir",
        "openat",
        "renameat2",
        "fsync",
        "syncfs",
        "unlink,unlinkat",
    ];
    killed_from_outside(&DOWNLOAD, &calls, &[1, 2, 5]);
    killed_from_outside(
        &RELINK,
        &["renameat2", "rename", "fsync", "unlink"],
        &[1, 2, 4],
    );
}
