//! The commands that are killed and refused, and the state before each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::super::THUMB;
use super::bed::{BUILT, Bed, DOWNLOADED, OTHER, copy, erase};

/// A command in the project `p`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own, and most scenarios have none"
)]
pub(super) struct Scenario {
    pub(super) arguments: &'static [&'static str],
    /// Makes the state before it, whatever the state is.
    pub(super) prepare: fn(&Bed),
    /// Whether it changes which trees the store has.
    pub(super) collects: bool,
    /// Whether there is a remote.
    pub(super) remote: bool,
    /// What else is in the environment.
    pub(super) env: &'static [(&'static str, &'static str)],
    /// Whether a part of the output may be missing for a moment.
    pub(super) has_gaps: bool,
    /// Whether the toolchain itself changes, of which parts fit only together.
    pub(super) switches: bool,
}

impl Scenario {
    /// The rest of a scenario that only syncs, and only with a dist server.
    const PLAIN: Self = Self {
        arguments: &["sync"],
        prepare: |_| {},
        collects: false,
        remote: false,
        env: &[],
        has_gaps: false,
        switches: false,
    };
}

/// A first sync, by download, into an empty cache.
pub(super) const DOWNLOAD: Scenario = Scenario {
    prepare: |bed| {
        erase(&bed.sandbox.path("cache"));
        bed.locked("p", DOWNLOADED);
    },
    ..Scenario::PLAIN
};

/// A first sync, by compiling; the toolchain is in the cache. It also pins.
pub(super) const BUILD: Scenario = Scenario {
    prepare: |bed| {
        bed.cache_after("toolchain", &[TOOLCHAIN]);
        bed.locked("p", BUILT);
    },
    ..Scenario::PLAIN
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
    ..Scenario::PLAIN
};

/// An output that must change: one target comes, another goes. A project
/// beside it keeps its own.
pub(super) const RELINK: Scenario = Scenario {
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
    ..Scenario::PLAIN
};

/// A damaged tree in the store, which a sync finds and makes anew.
pub(super) const HEAL: Scenario = Scenario {
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
    ..Scenario::PLAIN
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
    ..Scenario::PLAIN
};

/// Everything that no project uses, thrown away at once.
pub(super) const EVICT: Scenario = Scenario {
    arguments: &["cache", "evict", "--all-unused"],
    prepare: GC.prepare,
    collects: true,
    ..Scenario::PLAIN
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
    remote: true,
    ..Scenario::PLAIN
};

/// Everything that a lock needs, in one file.
pub(super) const EXPORT: Scenario = Scenario {
    arguments: &["cache", "export", "bundle"],
    prepare: |bed| {
        bed.cache_after("one", &[DOWNLOADED]);
        bed.locked("p", DOWNLOADED);
    },
    ..Scenario::PLAIN
};

/// The file of [`EXPORT`] on a machine with nothing.
pub(super) const IMPORT: Scenario = Scenario {
    arguments: &["cache", "import", "bundle", "--trust"],
    prepare: |bed| {
        let kept = bed.sandbox.path("kept/bundle");
        bed.cache_after("one", &[DOWNLOADED]);
        bed.locked("p", DOWNLOADED);
        if !kept.exists() {
            bed.run("p", EXPORT.arguments, &[]).exits(0);
            fs::copy(bed.dir("p").join("bundle"), &kept).unwrap();
        }
        fs::copy(&kept, bed.dir("p").join("bundle")).unwrap();
        erase(&bed.sandbox.path("cache"));
    },
    collects: true,
    ..Scenario::PLAIN
};

/// A damaged tree in the store, which is looked for and moved away.
pub(super) const REPAIR: Scenario = Scenario {
    arguments: &["cache", "verify", "--repair"],
    prepare: HEAL.prepare,
    collects: true,
    ..Scenario::PLAIN
};

/// An output that must change, by hard links into the store.
pub(super) const HARD_LINKS: Scenario = Scenario {
    prepare: RELINK.prepare,
    env: &[("SYSROOT_LINK_MODE", "hardlink")],
    ..Scenario::PLAIN
};

/// Another day: compiler, its libraries and every target change.
pub(super) const SWITCH: Scenario = Scenario {
    prepare: |bed| {
        let later = Bed::later(DOWNLOADED);
        bed.cache_after("days", &[DOWNLOADED, &later]);
        bed.locked("p", DOWNLOADED);
        bed.run("p", &["sync"], &[]).exits(0);
        bed.set_lock("p", &later);
    },
    switches: true,
    ..Scenario::PLAIN
};

/// The same where the system cannot exchange two names in one step.
pub(super) const NO_EXCHANGE: Scenario = Scenario {
    prepare: SWITCH.prepare,
    env: &[("SYSROOT_FAULT_NO_EXCHANGE", "1")],
    has_gaps: true,
    switches: true,
    ..Scenario::PLAIN
};

/// A compiled target that is not compiled, because a shared directory has it.
pub(super) const PULL: Scenario = Scenario {
    prepare: |bed| {
        let (remote, kept) = (bed.sandbox.path("remote"), bed.sandbox.path("kept/remote"));
        let lock = bed.sandbox.path("kept/pinned.lock");
        if !kept.exists() {
            (PUSH.prepare)(bed);
            // It pins what the store has.
            bed.run("p", &["sync"], &[]).exits(0);
            bed.play(&PUSH, &[]).exits(0);
            copy(&remote, &kept);
            fs::copy(bed.dir("p").join("sysroot.lock"), &lock).unwrap();
        }
        erase(&remote);
        copy(&kept, &remote);
        bed.cache_after("toolchain", &[TOOLCHAIN]);
        bed.locked("p", BUILT);
        fs::copy(&lock, bed.dir("p").join("sysroot.lock")).unwrap();
    },
    remote: true,
    ..Scenario::PLAIN
};
