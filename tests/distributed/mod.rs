//! Machines that share a remote on servers that others wrote.

mod cluster;
mod garage;
mod nginx;
mod web;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::compiler::{FakeCompiler, manifest};
use crate::support::sandbox::{Said, Sandbox};

/// A dist server whose compiler counts, and machines that use it.
struct World {
    sandbox: Sandbox,
    compiler: FakeCompiler,
    targets: Vec<String>,
    /// The lock without pins, so that nothing is accepted by mistake.
    lock: String,
}

impl World {
    /// A world with a lock of this many targets that are compiled.
    fn new(count: usize) -> Self {
        let mut sandbox = Sandbox::new();
        let (compiler, root) = FakeCompiler::write(&sandbox.path(""));
        let url = format!("file://{}", root.display());
        sandbox.set("SYSROOT_DIST_SERVER", &url);
        let targets = (0..count).map(|n| format!("fake{n:03}-unknown-none"));
        let mut world = Self {
            sandbox,
            compiler,
            targets: targets.collect(),
            lock: String::new(),
        };
        let project = world.machine("lock");
        world.sandbox.run(&project, &["lock"]).exits(0);
        world.lock = lock_of(&project);
        world
    }

    /// Goes to a machine with an empty cache, whose project has the lock.
    fn machine(&mut self, name: &str) -> PathBuf {
        let cache = self.sandbox.path(&format!("cache-{name}"));
        self.sandbox
            .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let name = format!("project-{name}");
        let project = self.sandbox.project(&name, &manifest(&targets));
        if !self.lock.is_empty() {
            fs::write(project.join("sysroot.lock"), &self.lock).unwrap();
        }
        project
    }

    /// From now on this remote is asked, and written to if `write`.
    fn remote(&mut self, url: &str, write: bool) {
        let access = if write { "read-write" } else { "read" };
        self.sandbox.set("SYSROOT_REMOTE", url);
        self.sandbox.set("SYSROOT_REMOTE_ACCESS", access);
    }

    /// Makes a key pair that everybody trusts; returns the secret's file.
    fn signing_key(&mut self) -> String {
        let file = self.sandbox.path("signing-key");
        let file = file.to_str().unwrap().to_owned();
        let said = self.run(&self.sandbox.path(""), &["cache", "keygen", &file]);
        let public = said.exits(0).out.trim().to_owned();
        let config = self.sandbox.path("config.toml");
        fs::write(&config, format!("[trust]\nkeys = [\"{public}\"]\n")).unwrap();
        self.sandbox.set("SYSROOT_CONFIG", config.to_str().unwrap());
        file
    }

    fn run(&self, dir: &Path, arguments: &[&str]) -> Said {
        self.sandbox.run(dir, arguments)
    }

    /// Builds everything here; the lock has pins from then on.
    fn build(&mut self, project: &Path) {
        self.run(project, &["sync"]).exits(0);
        self.lock = lock_of(project);
        assert_eq!(self.compiler.built().len(), self.targets.len());
    }

    /// A `sync` on a new machine must get every target from the remote.
    fn all_come(&mut self, machine: &str) {
        let (project, before) = (self.machine(machine), self.compiler.built().len());
        let said = self.run(&project, &["sync", "--json"]).exits(0);
        let pulled = said.json()["pulled"].as_array().unwrap().len();
        assert!(pulled >= self.targets.len(), "{pulled}: {}", said.err);
        assert_eq!(self.compiler.built().len(), before, "{}", said.err);
    }
}

fn lock_of(project: &Path) -> String {
    fs::read_to_string(project.join("sysroot.lock")).unwrap()
}

/// A program under a name that `scripts/test-distributed` sets.
fn program(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run scripts/test-distributed"),
    }
}

/// Ports that nobody listens on at this moment.
fn free_ports<const N: usize>() -> [u16; N] {
    let bind = |_| TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = [(); N].map(bind);
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Waits until something is so.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "not in a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server that ends with the test.
struct Process {
    child: Child,
}

impl Process {
    /// Starts a server, and waits until it listens on all ports.
    fn start(command: &mut Command, log: &Path, ports: &[u16]) -> Self {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut process = Self {
            child: command.spawn().unwrap(),
        };
        for port in ports {
            let address = SocketAddr::from(([127, 0, 0, 1], *port));
            until(&format!("{command:?} listens"), || {
                let ended = process.child.try_wait().unwrap();
                assert!(ended.is_none(), "{command:?}: {ended:?}");
                TcpStream::connect(address).is_ok()
            });
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
