//! The same recipe gives the same bytes: real builds, each of which differs
//! from the first in as much as it can. Where such a build equals the first,
//! none of the differences matters.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fake::pins;
use super::system;
use crate::support::clock::{YEARS, other_clock};
use crate::support::sandbox::{Said, Sandbox, said, snapshot};
use crate::support::sources::{debian_driver, relocated};

/// A target of the compiler's, `core` only.
const TARGET: &str = "thumbv6m-none-eabi";
/// One of a spec, with `alloc`.
const BOARD: &str = "my-board";

/// A project with both; its spec stands at this path.
fn project(sandbox: &Sandbox, name: &str, spec: &str) -> PathBuf {
    let head = super::fake::manifest(&[TARGET]);
    let defaults = "crates = [\"core\"]\nfeatures = [\"compiler-builtins-mem\"]\n";
    let text = head.replace("crates = [\"core\"]\n", defaults)
        + &format!("[targets.{BOARD}]\nspec = \"{spec}\"\ncrates = [\"alloc\"]\n");
    let project = sandbox.project(name, &text);
    let path = project.join(spec);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut rustc = Command::new("/usr/bin/rustc");
    rustc.env("RUSTC_BOOTSTRAP", "1").args([
        "-Zunstable-options",
        "--print=target-spec-json",
        "--target=thumbv7m-none-eabi",
    ]);
    fs::write(path, run(&mut rustc)).unwrap();
    project
}

fn run(command: &mut Command) -> String {
    said(command).exits(0).out
}

/// A program that lives in another time, zone and language, which sysroot
/// itself would not let through, and tells what each compiler of `core` saw.
const OTHER_WORLD: &str = r#"#!/bin/sh
export LD_PRELOAD='CLOCK' TZ=Pacific/Kiritimati LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8
case " $* " in
*' --crate-name core '*) ;;
*) exec 'PROGRAM' "$@" ;;
esac
last= target= source= threads=1
for word; do
    [ "$last" = --target ] && target=${word##*/}
    case "$word" in
    -Zthreads=*) threads=${word#-Zthreads=} ;;
    *core/src/lib.rs) source=$(realpath "$word") ;;
    esac
    last=$word
done
{
    echo "target ${target%.json}"
    echo "from $(date +%s%N)"
    echo "umask $(umask)"
    echo "year $(date +%Y)"
    echo "zone $(date +%z)"
    echo "locale $LC_ALL"
    echo "rustc $0"
    echo "cargo-home $CARGO_HOME"
    echo "source $source"
    echo "threads $threads"
} > "DIR/seen-$$"
'PROGRAM' "$@"
code=$?
echo "until $(date +%s%N)" >> "DIR/seen-$$"
exit $code
"#;

/// What the compilers of `core` saw, each by its words.
fn seen(dir: &Path) -> Vec<BTreeMap<String, String>> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let notes = entries.filter(|path| path.to_str().unwrap().contains("/seen-"));
    notes
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let words = text.lines().map(|line| line.split_once(' ').unwrap());
            words.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        })
        .collect()
}

/// Holds that everything that was to be different was so where it counts.
fn was_another_world(dir: &Path, cache: &Path) {
    let all = seen(dir);
    let mut targets: Vec<&str> = all.iter().map(|one| one["target"].as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets, [BOARD, TARGET]);
    let year: i32 = run(Command::new("date").arg("+%Y")).trim().parse().unwrap();
    let own_sources = fs::canonicalize("/usr/lib/rustlib/src/rust/library").unwrap();
    for one in &all {
        assert_eq!(one["umask"], "0077");
        assert!(
            one["year"].parse::<i32>().unwrap() >= year + YEARS - 1,
            "{one:?}"
        );
        assert_eq!(
            (one["zone"].as_str(), one["locale"].as_str()),
            ("+1400", "tr_TR.UTF-8")
        );
        assert_eq!(Path::new(&one["rustc"]), dir.join("bin/rustc"));
        assert!(Path::new(&one["cargo-home"]).starts_with(cache), "{one:?}");
        let source = Path::new(&one["source"]);
        assert!(
            source.starts_with(dir) && !source.starts_with(&own_sources),
            "{one:?}"
        );
        let mut stat = Command::new("stat");
        assert!(run(stat.args(["-c", "%y"]).arg(source)).starts_with("2001-02-0"));
        // The first world's build of `core` was alone, and had two.
        assert_eq!(one["threads"], "1", "{one:?}");
    }
    let time = |one: &BTreeMap<String, String>, what: &str| one[what].parse::<u128>().unwrap();
    let (a, b) = (&all[0], &all[1]);
    let apart = time(a, "until") < time(b, "from") || time(b, "until") < time(a, "from");
    assert!(
        !apart,
        "the targets were not compiled at the same time: {all:?}"
    );
}

/// The system's toolchain in another place, with sources of another time, and
/// programs that live ten years from now.
fn other_toolchain(dir: &Path, clock: &Path) -> PathBuf {
    for part in ["bin", "lib/rustlib/src/rust", "scratch"] {
        fs::create_dir_all(dir.join(part)).unwrap();
    }
    let driver = debian_driver().unwrap();
    fs::copy(&driver, dir.join("lib").join(driver.file_name().unwrap())).unwrap();
    let rustlib = Path::new("/usr/lib/rustlib");
    let host = "x86_64-unknown-linux-gnu";
    symlink(rustlib.join(host), dir.join("lib/rustlib").join(host)).unwrap();
    let sources = dir.join("lib/rustlib/src/rust");
    let mut copy = Command::new("cp");
    run(copy
        .args(["-rL", "--preserve=mode"])
        .arg(rustlib.join("src/rust/library"))
        .arg(&sources));
    let mut touch = Command::new("find");
    run(touch
        .arg(&sources)
        .args(["-exec", "touch", "-d", "2001-02-03", "{}", "+"]));
    let rustc = relocated(
        Path::new("/usr/bin/rustc"),
        &dir.join("scratch"),
        "$ORIGIN/../lib",
    )
    .unwrap();
    fs::rename(rustc, dir.join("bin/rustc.real")).unwrap();
    for (name, program) in [
        ("rustc", dir.join("bin/rustc.real")),
        ("cargo", "/usr/bin/cargo".into()),
    ] {
        let script = OTHER_WORLD.replace("DIR", dir.to_str().unwrap());
        let script = script.replace("CLOCK", clock.to_str().unwrap());
        let script = script.replace("PROGRAM", program.to_str().unwrap());
        let path = dir.join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir.join("bin/rustc")
}

/// Runs the binary with a mask that leaves the others nothing.
fn masked(sandbox: &Sandbox, dir: &Path, arguments: &[&str]) -> Said {
    let inner = sandbox.command(dir, arguments);
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    command
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args());
    said(&mut command)
}

fn keys(project: &Path) -> Vec<String> {
    let text = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("key = "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn reproducible_in_every_respect_that_is_promised() {
    // One target after the other, two jobs, two threads in the compiler's
    // front end for `core`.
    let mut first = system();
    let one = project(&first, "p", "targets/my-board.json");
    for target in [TARGET, BOARD] {
        let sync = ["sync", "--jobs", "2", "--target", target];
        first.run(&one, &sync).exits(0);
    }
    // This process, which those builds are children of, has another mask.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    assert!(!status.contains("Umask:\t0077"), "{status}");

    // Another place, toolchain, sources, cache, home, clock, time zone,
    // locale, mask, number of jobs and threads, place of the spec; and both
    // targets at once.
    let mut second = Sandbox::new();
    let deep = "another home/of somebody/else";
    // A space would end the name where it is loaded.
    fs::create_dir(second.path("clock")).unwrap();
    let clock = other_clock(&second.path("clock"));
    let tool = second.path("opt/another toolchain/1.2.3");
    let rustc = other_toolchain(&tool, &clock);
    let cache = second.path(&format!("{deep}/.cache/with a longer name"));
    for (name, value) in [
        ("SYSROOT_CACHE_DIR", &cache),
        ("HOME", &second.path(deep)),
        ("SYSROOT_RUSTC", &rustc),
    ] {
        second.set(name, value.to_str().unwrap());
    }
    fs::create_dir_all(second.path(deep)).unwrap();
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("USER", "somebody-else"),
        ("SOURCE_DATE_EPOCH", "86400"),
        // Both at once however little is free beside the other tests.
        ("SYSROOT_FAULT_MEMORY", "8000000000"),
    ] {
        second.set(name, value);
    }
    let two = project(
        &second,
        "src/of/somebody else/a project",
        "boards/of another/directory/my-board.json",
    );
    masked(&second, &two, &["sync", "--jobs", "3"]).exits(0);
    was_another_world(&tool, &cache);

    assert_eq!(keys(&one), keys(&two), "two recipes, so nothing to compare");
    for (target, crates) in [
        (TARGET, &["libcore-"][..]),
        (BOARD, &["libcore-", "liballoc-"]),
    ] {
        let lib = format!(".sysroot/lib/rustlib/{target}/lib");
        let (mine, others) = (snapshot(&one.join(&lib)), snapshot(&two.join(&lib)));
        for name in crates {
            assert!(
                mine.keys().any(|file| file.starts_with(name)),
                "{target}: no {name}"
            );
        }
        for (name, (content, _)) in &mine {
            let found = others.get(name).map(|(found, _)| found.as_slice());
            if let Some(place) = sysroot::diff::compare(content, found.unwrap_or_default()) {
                eprintln!("{target}: {name}: {place}");
            }
            for secret in [first.path(""), second.path(""), "/usr/src/".into()] {
                let secret = secret.to_str().unwrap().as_bytes();
                let found = content.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{name} has a path of this machine");
            }
        }
        assert!(mine == others, "{target}");
    }
    let locked = pins(&one);
    assert_eq!(locked.len(), 2);
    assert_eq!(pins(&two), locked);

    // Once more below the store, with one job and one thread.
    first.set("SYSROOT_JOBS", "2");
    let said = first.run(&one, &["verify", "--rebuild"]).exits(0);
    let again = said
        .err
        .matches("compiled again to the pinned tree")
        .count();
    assert_eq!(again, 2, "{}", said.err);
    said.mentions(&locked[0]).mentions(&locked[1]);
}
