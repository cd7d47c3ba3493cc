//! A store that grows: 10, 100, 1,000 and 10,000 trees of 100 files, used by a
//! tenth as many projects, and what the commands that look at it take.
//!
//! ```text
//! cargo bench --bench store_scale -- [LARGEST]
//! ```
//!
//! Trees are made by hand with one file of their own and 99 links to shared
//! ones, so that a million files are there in under a minute. Times are the
//! medians of whole runs of the binary, its start included; memory is the
//! largest that the process ever had.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, makes files as it likes, and stops at the first surprise"
)]
#![allow(missing_docs)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;

use support::dist::{DistTree, Release};
use support::pack::{Package, Packer};
use support::sandbox::Sandbox;
use sysroot::store::{ComponentRecord, GcPlan, Limits, RecipeRecord, Root, Store};
use sysroot::types::{Entry, FileDigest, Listing, RecipeKey, Sha256, TreeDigest};

const FILES: usize = 100;
const TREES_OF_A_PROJECT: usize = 10;
const HOST: &str = "x86_64-unknown-linux-gnu";
const DATE: &str = "2026-05-20";
const DAY: u64 = 24 * 60 * 60;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, cache] = arguments.as_slice()
        && flag == "--plan"
    {
        plan(Path::new(cache));
        return;
    }
    let largest = arguments.iter().find_map(|a| a.parse().ok());
    let largest: usize = largest.unwrap_or(10_000);
    let sandbox = Sandbox::new();
    let project = real_project(&sandbox);
    let store = Store::open(&sandbox.path("cache")).unwrap();
    let shared = shared_files(&sandbox);
    println!(
        "| trees | files | projects | no-op sync | `cache size` | `cache list` | `cache gc --dry-run` \
         | plan alone | its memory |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut made = Vec::new();
    for trees in [10, 100, 1_000, 10_000, 100_000] {
        if trees > largest {
            break;
        }
        let more = (made.len()..trees).into_par_iter();
        let more: Vec<TreeDigest> = more.map(|n| tree(&store, &shared, n)).collect();
        let first = made.len() / TREES_OF_A_PROJECT;
        made.extend(more);
        for (n, trees) in made.chunks(TREES_OF_A_PROJECT).enumerate().skip(first) {
            register(&sandbox, &store, n, trees);
        }
        let time = |arguments: &[&str]| median(&sandbox, &project, arguments);
        let (seconds, memory) = plan_apart(&sandbox.path("cache"));
        println!(
            "| {trees} | {} | {} | {} | {} | {} | {} | {} | {} MiB |",
            trees * FILES,
            trees / TREES_OF_A_PROJECT,
            time(&["sync"]),
            time(&["cache", "size"]),
            time(&["cache", "list"]),
            time(&["cache", "gc", "--dry-run"]),
            shown(seconds),
            memory / 1024,
        );
    }
}

/// A project with a real output, for the no-op sync.
fn real_project(sandbox: &Sandbox) -> PathBuf {
    let version = "1.97.0-nightly (e50aa6fba 2026-05-19)";
    let commit = "e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a";
    let package = |name: &str, target: Option<&str>| {
        let file = format!("lib/rustlib/{}/{name}", target.unwrap_or("src"));
        Package::new(name, target)
            .version(version, commit)
            .bytes(&file, name.as_bytes(), false)
    };
    let packages = vec![
        package("rustc", Some(HOST)),
        package("cargo", Some(HOST)),
        package("rust-src", None),
        package("rust-std", Some(HOST)),
    ];
    let packer = Packer {
        cache: sandbox.path("packed"),
        level: 1,
    };
    let release = Release::nightly(DATE).packages(packages);
    let root = sandbox.path("dist");
    DistTree::builder()
        .release(release)
        .write(&packer, &root)
        .unwrap();
    let text = format!(
        "[toolchain]\nchannel = \"nightly-{DATE}\"\nhosts = [\"{HOST}\"]\n[targets.{HOST}]\n"
    );
    let project = sandbox.project("real", &text);
    let mut command = sandbox.command(&project, &["sync"]);
    command.env("SYSROOT_DIST_SERVER", format!("file://{}", root.display()));
    support::sandbox::said(&mut command).exits(0);
    project
}

/// The files that all trees have in common.
fn shared_files(sandbox: &Sandbox) -> Vec<(PathBuf, Entry)> {
    let dir = sandbox.path("shared");
    fs::create_dir(&dir).unwrap();
    let one = |n: usize| {
        let path = dir.join(n.to_string());
        let bytes = format!("shared file {n}\n");
        fs::write(&path, &bytes).unwrap();
        (path, entry(&format!("lib/f{n:03}.rlib"), bytes.as_bytes()))
    };
    (1..FILES).map(one).collect()
}

fn entry(path: &str, bytes: &[u8]) -> Entry {
    Entry {
        path: path.parse().unwrap(),
        executable: false,
        size: bytes.len() as u64,
        digest: FileDigest::of(bytes),
    }
}

/// Puts a tree, its listing, its record and its index entry into the store.
fn tree(store: &Store, shared: &[(PathBuf, Entry)], n: usize) -> TreeDigest {
    let own = format!("tree {n}\n");
    let mut entries: Vec<Entry> = shared.iter().map(|(_, entry)| entry.clone()).collect();
    entries.push(entry("lib/own", own.as_bytes()));
    let listing = Listing::new(entries).unwrap();
    let digest = listing.digest();
    let layout = store.layout();
    let lib = layout.tree(digest).join("lib");
    fs::create_dir_all(&lib).unwrap();
    for (path, entry) in shared {
        let name = entry.path.as_str().rsplit('/').next().unwrap();
        fs::hard_link(path, lib.join(name)).unwrap();
    }
    fs::write(lib.join("own"), own).unwrap();
    fs::write(layout.listing(digest), listing.to_text()).unwrap();
    let hash = *blake3::hash(format!("record {n}").as_bytes()).as_bytes();
    let (path, record) = if n.is_multiple_of(2) {
        let archive = Sha256::from_bytes(hash);
        let record = ComponentRecord {
            name: format!("rust-std-target-{n}"),
            archive,
            claimed: vec![archive],
            tree: digest,
        };
        (layout.component(archive), serde_json::to_string(&record))
    } else {
        let key = RecipeKey::from_bytes(hash);
        let record = RecipeRecord {
            key,
            target: format!("target{n}-unknown-none").parse().unwrap(),
            host: HOST.parse().unwrap(),
            rustc: "rustc 1.97.0-nightly".to_owned(),
            tree: digest,
        };
        (layout.recipe(key), serde_json::to_string(&record))
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, record.unwrap()).unwrap();
    store.note_use(digest, now()).unwrap();
    digest
}

/// Registers a project; of every tenth one the output is gone.
fn register(sandbox: &Sandbox, store: &Store, n: usize, trees: &[TreeDigest]) {
    let project = sandbox.path("projects").join(n.to_string());
    fs::create_dir_all(project.join(".sysroot")).unwrap();
    let root = Root::of(project.clone(), trees.to_vec(), now());
    // As the store does, without waiting for the disk each time.
    let name = blake3::hash(project.as_os_str().as_encoded_bytes()).to_hex();
    let path = store.layout().roots().join(name.as_str());
    fs::write(path, serde_json::to_string(&root).unwrap()).unwrap();
    if n % 10 == 9 {
        fs::remove_dir(project.join(".sysroot")).unwrap();
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The median time of a command that succeeds.
fn median(sandbox: &Sandbox, dir: &Path, arguments: &[&str]) -> String {
    let mut times = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        sandbox.run(dir, arguments).exits(0);
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    shown(times[times.len() / 2])
}

fn shown(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Survey and plan in a process of its own: seconds, and KiB of memory.
fn plan_apart(cache: &Path) -> (f64, u64) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.arg("--plan").arg(cache).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (seconds, memory) = text.trim().split_once(' ').unwrap();
    (seconds.parse().unwrap(), memory.parse().unwrap())
}

fn plan(cache: &Path) {
    let store = Store::open(cache).unwrap();
    let limits = Limits {
        max_age: 90 * DAY,
        max_size: Some(1 << 20),
        max_files: None,
        asked: None,
    };
    let begun = Instant::now();
    let plan = GcPlan::new(&store.survey().unwrap(), now() + DAY, &limits);
    let seconds = begun.elapsed().as_secs_f64();
    assert!(plan.kept > 0 && plan.unknown.is_empty());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    println!("{seconds} {peak}");
}
