//! What must hold after any fault: the invariants, numbered as in
//! `docs/threat-cases.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::bed::{Bed, Observed, erase};
use super::scenarios::Scenario;
use crate::support::sandbox::{Said, Sandbox, snapshot};

/// I2: no object under a final name is partial, and no record names one that
/// is not there.
pub(super) fn store(sandbox: &Sandbox, after: &str) {
    let cache = sandbox.cache();
    for name in names(&cache.join("trees")) {
        let listing = fs::read_to_string(cache.join("listings").join(&name)).unwrap();
        let digest = blake3::hash(listing.as_bytes()).to_hex();
        assert_eq!(digest.as_str(), name, "{after}");
        let listing = sysroot::types::Listing::parse(&listing).unwrap();
        let found = snapshot(&cache.join("trees").join(&name));
        if found.values().any(|(bytes, _)| bytes == b"damaged") {
            // The one that a scenario damaged, before it is found.
            continue;
        }
        assert_eq!(found.len(), listing.entries().len(), "{after}: {name}");
        for file in listing.entries() {
            let (bytes, executable) = &found[file.path.as_str()];
            let digest = blake3::hash(bytes);
            assert_eq!(digest.as_bytes(), file.digest.as_bytes(), "{after}");
            assert_eq!(*executable, file.executable, "{after}");
        }
    }
    for kind in ["components", "recipes"] {
        for name in names(&cache.join(kind)) {
            let text = fs::read_to_string(cache.join(kind).join(&name)).unwrap();
            let record: serde_json::Value = serde_json::from_str(&text).unwrap();
            let tree = record["tree"].as_str().unwrap();
            let tree = cache.join("trees").join(tree.rsplit(':').next().unwrap());
            assert!(
                tree.is_dir() || quarantined(&cache),
                "{after}: {kind}/{name}"
            );
        }
    }
}

/// Whether a damaged tree was moved away: its record stays, and counts as
/// absent without it.
fn quarantined(cache: &Path) -> bool {
    !names(&cache.join("quarantine")).is_empty()
}

/// The names in a directory, what is being written left out.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// What changes in one step: a lock, or a part of an output.
fn unit(path: &str) -> String {
    let depth = match path.split('/').collect::<Vec<_>>().as_slice() {
        [_, "lib", "rustlib", ..] => 4,
        ["remote", ..] => usize::MAX,
        ["store", "trees", ..] => 3,
        [_, "lib", ..] => 3,
        _ => 2,
    };
    path.split('/').take(depth).collect::<Vec<_>>().join("/")
}

fn units(observed: &Observed) -> BTreeMap<String, BTreeSet<(&String, &(Vec<u8>, bool))>> {
    let mut units: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for file in observed {
        units.entry(unit(file.0)).or_default().insert(file);
    }
    units
}

/// I3 and I5: everything is as it was or as it shall be, in whole units; what
/// is no business of the command is as it was.
pub(super) fn between(
    bed: &Bed,
    scenario: &Scenario,
    (before, want): (&Observed, &Observed),
    after: &str,
) {
    let now = bed.observe_for(scenario);
    let (before, want, now) = (units(before), units(want), units(&now));
    let all: BTreeSet<&String> = before.keys().chain(want.keys()).chain(now.keys()).collect();
    for unit in all {
        let (old, new, is) = (before.get(unit), want.get(unit), now.get(unit));
        let is_gap = scenario.has_gaps && is.is_none() && unit.starts_with("p/");
        assert!(
            is == old || is == new || is_gap,
            "{after}: {unit} is neither old nor new"
        );
    }
    let known = [
        "home",
        "victim",
        "packed",
        "dist-root",
        "cache",
        "kept",
        "p",
        "neighbour",
        "compiled",
        "count",
        "remote",
    ];
    for name in names(&bed.sandbox.path("")) {
        assert!(known.contains(&name.as_str()), "{after}: a stray `{name}`");
    }
}

/// A toolchain of which only some parts changed is told, and never taken for
/// what the lock names.
pub(super) fn mix_is_told(bed: &Bed, want: &Observed, after: &str) {
    let is_done = bed.observe() == *want;
    let said = bed.run("p", &["verify"], &[]);
    assert!(
        is_done || said.code == 1,
        "{after}: {} {}",
        said.code,
        said.out
    );
}

/// I7: a class of ours, no panic, and a message with a path and a way out.
pub(super) fn told(said: &Said, after: &str) {
    let all = format!("{after}: {}{}", said.out, said.err);
    assert!((-1..=9).contains(&said.code), "{} {all}", said.code);
    assert!(!said.err.contains("panicked"), "{all}");
    if said.code == 9 {
        // A collection warns of what it cannot remove, and does the rest.
        let is_told = said.err.contains("error:") || said.err.contains("warning: cannot ");
        assert!(is_told && said.err.contains('`'), "{all}");
    }
}

/// I1 and I4: the same command, without a fault, reaches the goal and leaves
/// nothing behind.
pub(super) fn heals(bed: &Bed, scenario: &Scenario, want: &Observed, after: &str) {
    let said = bed.play(scenario, &[]);
    assert_eq!(said.code, 0, "after {after}: {}", said.err);
    assert_eq!(&bed.observe_for(scenario), want, "after {after}");
    store(&bed.sandbox, after);
    let staged = || names(&bed.sandbox.cache().join("tmp"));
    if !staged().is_empty() {
        // The job was done already, and only the cleaning was not: the next
        // sync that has anything to do catches up on it.
        erase(&bed.dir("p").join(".sysroot"));
        bed.run("p", &["sync"], &[]).exits(0);
    }
    assert_eq!(staged(), [""; 0], "after {after}: staging is left");
    for dir in ["", ".sysroot"] {
        let Ok(entries) = fs::read_dir(bed.dir("p").join(dir)) else {
            continue;
        };
        for entry in entries {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let ours = [".sysroot", ".gitignore", ".lock", ".state"];
            assert!(
                !name.starts_with('.') || ours.contains(&name.as_str()),
                "after {after}: a stray `{name}`"
            );
        }
    }
}
