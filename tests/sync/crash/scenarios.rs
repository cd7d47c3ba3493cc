//! The commands that are killed and refused, and the state before each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::THUMB;
use super::bed::{BUILT, Bed, DOWNLOADED, OTHER, erase};

/// A command in the project `p`.
pub(super) struct Scenario {
    pub(super) arguments: &'static [&'static str],
    /// Makes the state before it, whatever the state is.
    pub(super) prepare: fn(&Bed),
    /// Whether it changes which trees the store has.
    pub(super) collects: bool,
    /// Whether there is a remote.
    pub(super) remote: bool,
}

/// A first sync, by download, into an empty cache.
pub(super) const DOWNLOAD: Scenario = Scenario {
    arguments: &["sync"],
    prepare: |bed| {
        erase(&bed.sandbox.path("cache"));
        bed.locked("p", DOWNLOADED);
    },
    collects: false,
    remote: false,
};

/// A first sync, by compiling; the toolchain is in the cache. It also pins.
pub(super) const BUILD: Scenario = Scenario {
    arguments: &["sync"],
    prepare: |bed| {
        bed.cache_after("toolchain", &[TOOLCHAIN]);
        bed.locked("p", BUILT);
    },
    collects: false,
    remote: false,
};

/// No target, but the sources.
const TOOLCHAIN: &str = "components = [\"rust-src\"]\n";

/// A lock that must change.
pub(super) const LOCK: Scenario = Scenario {
    arguments: &["lock"],
    prepare: |bed| {
        erase(&bed.sandbox.path("cache"));
        bed.locked("p", DOWNLOADED);
        fs::write(bed.dir("p").join("sysroot.toml"), Bed::manifest(OTHER)).unwrap();
    },
    collects: false,
    remote: false,
};

/// An output that must change: one target comes, another goes. A project
/// beside it keeps its own.
pub(super) const RELINK: Scenario = Scenario {
    arguments: &["sync"],
    prepare: |bed| {
        bed.cache_after("both", &[DOWNLOADED, OTHER]);
        if !bed.dir("neighbour").exists() {
            bed.locked("neighbour", DOWNLOADED);
            bed.run("neighbour", &["sync"], &[]).exits(0);
        }
        bed.locked("p", DOWNLOADED);
        bed.run("p", &["sync"], &[]).exits(0);
        bed.set_lock("p", OTHER);
    },
    collects: false,
    remote: false,
};

/// A damaged tree in the store, which a sync finds and makes anew.
pub(super) const HEAL: Scenario = Scenario {
    arguments: &["sync"],
    prepare: |bed| {
        bed.cache_after("one", &[DOWNLOADED]);
        let file = format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib");
        for tree in fs::read_dir(bed.sandbox.cache().join("trees")).unwrap() {
            let path = tree.unwrap().path().join(&file);
            if path.exists() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&path, "damaged").unwrap();
            }
        }
        bed.locked("p", DOWNLOADED);
    },
    collects: false,
    remote: false,
};

/// Garbage in the store, and two projects whose trees are none.
pub(super) const GC: Scenario = Scenario {
    arguments: &["cache", "gc", "--max-age", "0s"],
    prepare: |bed| {
        erase(&bed.dir("neighbour"));
        bed.cache_after("both", &[DOWNLOADED, OTHER]);
        for project in ["neighbour", "p"] {
            bed.locked(project, DOWNLOADED);
            bed.run(project, &["sync"], &[]).exits(0);
        }
    },
    collects: true,
    remote: false,
};

/// Everything that no project uses, thrown away at once.
pub(super) const EVICT: Scenario = Scenario {
    arguments: &["cache", "evict", "--all-unused"],
    prepare: GC.prepare,
    collects: true,
    remote: false,
};

/// A compiled tree that goes to a directory that many share.
pub(super) const PUSH: Scenario = Scenario {
    arguments: &["cache", "push"],
    prepare: |bed| {
        erase(&bed.sandbox.path("remote"));
        fs::create_dir(bed.sandbox.path("remote")).unwrap();
        bed.cache_after("built", &[BUILT]);
        bed.locked("p", BUILT);
    },
    collects: false,
    remote: true,
};

/// Everything that a lock needs, in one file.
pub(super) const EXPORT: Scenario = Scenario {
    arguments: &["cache", "export", "bundle"],
    prepare: |bed| {
        bed.cache_after("one", &[DOWNLOADED]);
        bed.locked("p", DOWNLOADED);
    },
    collects: false,
    remote: false,
};
