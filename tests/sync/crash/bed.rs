//! A sandbox with a server, and ways to bring it into the state before a run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::{DATE, HOST, RISCV, THUMB};
use super::scenarios::Scenario;
use crate::support::dist::{DistTree, Release};
use crate::support::fake;
use crate::support::pack::Packer;
use crate::support::sandbox::{Said, Sandbox, said, snapshot};
use crate::support::serve::FileServer;

/// What is looked at, by name: content and executable bit.
pub(super) type Observed = BTreeMap<String, (Vec<u8>, bool)>;

/// A sandbox with a dist server of a fake toolchain.
pub(crate) struct Bed {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: FileServer,
    /// Texts of locks, by the targets' table.
    locks: RefCell<BTreeMap<String, String>>,
}

/// A day whose toolchain has other files everywhere.
const LATER: &str = "2026-05-21";
/// A target that is downloaded.
pub(crate) const DOWNLOADED: &str = "[targets.thumbv7em-none-eabihf]\nstrategy = \"download\"\n";
/// Another one.
pub(crate) const OTHER: &str = "[targets.riscv32imac-unknown-none-elf]\nstrategy = \"download\"\n";
/// A target that is compiled.
pub(crate) const BUILT: &str =
    "[targets.thumbv7em-none-eabihf]\nstrategy = \"build\"\ncrates = [\"core\"]\n";

impl Bed {
    pub(crate) fn new() -> Self {
        Self::within(Sandbox::in_memory())
    }

    /// With everything below this sandbox, and a fake compiler.
    pub(crate) fn within(sandbox: Sandbox) -> Self {
        Self::compiling(sandbox, "")
    }

    /// With a compiler that runs this shell text first.
    pub(crate) fn compiling(mut sandbox: Sandbox, extra: &str) -> Self {
        let packer = Packer {
            cache: sandbox.path("packed"),
            level: 1,
        };
        let packages = fake::packages(&sandbox.path("compiled"), &[THUMB, RISCV], extra);
        let tree = DistTree::builder()
            .release(Release::nightly(DATE).packages(packages))
            .release(Release::nightly(LATER).packages(super::super::packages("b")))
            .write(&packer, &sandbox.path("dist-root"))
            .unwrap();
        let server = FileServer::start(tree.root()).unwrap();
        sandbox.set("SYSROOT_DIST_SERVER", &server.url());
        sandbox.set("SYSROOT_JOBS", "1");
        let root = sandbox.path("").to_str().unwrap().to_owned();
        sandbox.set("SYSROOT_FAULT_ROOT", &root);
        fs::create_dir(sandbox.path("victim")).unwrap();
        fs::write(sandbox.path("victim/file"), "precious").unwrap();
        Self {
            sandbox,
            server,
            locks: RefCell::default(),
        }
    }

    pub(crate) fn manifest(targets: &str) -> String {
        let (date, targets) = match targets.strip_prefix(LATER) {
            Some(targets) => (LATER, targets),
            None => (DATE, targets),
        };
        format!("[toolchain]\nchannel = \"nightly-{date}\"\nhosts = [\"{HOST}\"]\n{targets}")
    }

    /// The same targets on another day.
    pub(super) fn later(targets: &str) -> String {
        format!("{LATER}{targets}")
    }

    /// The project of this name, which may not exist.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Runs the tool in a project, with more in its environment.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = self.sandbox.command(&self.dir(name), arguments);
        said(command.envs(env.iter().copied()))
    }

    /// Runs a scenario's command.
    pub(super) fn play(&self, scenario: &Scenario, env: &[(&str, &str)]) -> Said {
        let remote = self.remote(scenario);
        let remote = remote.iter().map(|(name, value)| (*name, value.as_str()));
        let own = scenario.env.iter().copied();
        let env: Vec<_> = env.iter().copied().chain(remote).chain(own).collect();
        self.run("p", scenario.arguments, &env)
    }

    /// The variables that name the remote, if the scenario has one.
    pub(super) fn remote(&self, scenario: &Scenario) -> Vec<(&'static str, String)> {
        if !scenario.remote {
            return Vec::new();
        }
        let url = format!("file://{}", self.sandbox.path("remote").display());
        vec![
            ("SYSROOT_REMOTE", url),
            ("SYSROOT_REMOTE_ACCESS", "read-write".to_owned()),
        ]
    }

    /// A project without an output, whose lock answers its manifest.
    pub(crate) fn locked(&self, name: &str, targets: &str) {
        erase(&self.dir(name));
        self.sandbox.project(name, &Self::manifest(targets));
        self.set_lock(name, targets);
    }

    /// Changes what a project asks for, and its lock with it.
    pub(crate) fn set_lock(&self, name: &str, targets: &str) {
        let text = self.lock_of(targets);
        let dir = self.dir(name);
        fs::write(dir.join("sysroot.toml"), Self::manifest(targets)).unwrap();
        fs::write(dir.join("sysroot.lock"), text).unwrap();
    }

    /// The lock that answers these targets.
    pub(crate) fn lock_of(&self, targets: &str) -> String {
        if let Some(text) = self.locks.borrow().get(targets) {
            return text.clone();
        }
        let dir = self.sandbox.project("locking", &Self::manifest(targets));
        let cache = self.sandbox.path("locking/cache");
        self.run(
            "locking",
            &["lock"],
            &[("SYSROOT_CACHE_DIR", cache.to_str().unwrap())],
        )
        .exits(0);
        let text = fs::read_to_string(dir.join("sysroot.lock")).unwrap();
        erase(&dir);
        self.locks
            .borrow_mut()
            .insert(targets.to_owned(), text.clone());
        text
    }

    /// Makes the cache what it is after the projects of these targets were
    /// synced; the first call does that, later ones copy.
    pub(crate) fn cache_after(&self, name: &str, all: &[&str]) {
        let kept = self.sandbox.path("kept").join(name);
        let cache = self.sandbox.path("cache");
        erase(&cache);
        if kept.is_dir() {
            copy(&kept, &cache);
            return;
        }
        for targets in all {
            self.locked("filling", targets);
            self.run("filling", &["sync"], &[]).exits(0);
        }
        erase(&self.dir("filling"));
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        copy(&cache, &kept);
    }

    /// Everything that a run may change, or must not.
    pub(super) fn observe(&self) -> Observed {
        let mut all = Observed::new();
        let mut add = |what: &str, found: Observed| {
            all.extend(
                found
                    .into_iter()
                    .map(|(path, file)| (format!("{what}/{path}"), file)),
            );
        };
        for project in ["p", "neighbour"] {
            let dir = self.dir(project);
            for top in ["bin", "lib"] {
                let found = below(&dir.join(".sysroot").join(top));
                add(&format!("{project}/{top}"), found);
            }
            for file in ["sysroot.lock", "bundle"] {
                if let Ok(bytes) = fs::read(dir.join(file)) {
                    add(project, [(file.to_owned(), (bytes, false))].into());
                }
            }
        }
        add("victim", below(&self.sandbox.path("victim")));
        add("home", below(&self.sandbox.path("home")));
        // What is on its way there has no name that anybody looks for.
        let mut remote = below(&self.sandbox.path("remote"));
        remote.retain(|path, _| !path.contains("/.incoming-"));
        add("remote", remote);
        all
    }

    /// The same, with the trees of the store.
    pub(super) fn observe_for(&self, scenario: &Scenario) -> Observed {
        let mut all = self.observe();
        if scenario.collects {
            let trees = below(&self.sandbox.cache().join("trees"));
            let named = trees.into_iter();
            all.extend(named.map(|(path, file)| (format!("store/trees/{path}"), file)));
        }
        all
    }
}

fn below(dir: &Path) -> Observed {
    if dir.is_dir() {
        snapshot(dir)
    } else {
        Observed::new()
    }
}

/// Removes a directory, whatever the modes in it.
pub(crate) fn erase(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
}

/// Copies a directory with its modes.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}
