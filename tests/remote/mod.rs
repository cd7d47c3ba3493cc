//! Machines that share a remote: the same project, each with a cache of its own.

mod forge;
mod lies;
mod outages;
mod pushing;
mod secrets;
mod servers;
mod trust;
mod warming;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::http::{Request, Server, Step, answer, head};
use crate::support::compiler::{FakeCompiler, manifest};
use crate::support::sandbox::{Said, Sandbox, snapshot};

pub(crate) const ONE: &str = "thumbv7em-none-eabihf";
pub(crate) const TWO: &str = "riscv32imac-unknown-none-elf";

/// A dist server whose compiler counts, and machines that use it.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) compiler: FakeCompiler,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A world whose compiler weighs as much as `ballast`.
    pub(crate) fn with(ballast: &[u8]) -> Self {
        let mut sandbox = Sandbox::new();
        let (compiler, root) = FakeCompiler::write_with(&sandbox.path(""), ballast);
        let url = format!("file://{}", root.display());
        sandbox.set("SYSROOT_DIST_SERVER", &url);
        Self { sandbox, compiler }
    }

    /// A world in which machine `a` has compiled these targets. Its project's
    /// directory is the first result; the second is a copy of the lock from
    /// before, without pins.
    pub(crate) fn built(targets: &[&str]) -> (Self, PathBuf, String) {
        let mut world = Self::new();
        let project = world.machine("a", targets);
        world.run(&project, &["lock"]).exits(0);
        let unpinned = fs::read_to_string(project.join("sysroot.lock")).unwrap();
        world.run(&project, &["sync"]).exits(0);
        assert_eq!(world.compiler.built().len(), targets.len());
        (world, project, unpinned)
    }

    /// Goes to a machine with an empty cache and a project without a lock.
    pub(crate) fn machine(&mut self, name: &str, targets: &[&str]) -> PathBuf {
        let cache = self.sandbox.path(&format!("cache-{name}"));
        self.sandbox
            .set("SYSROOT_CACHE_DIR", cache.to_str().unwrap());
        self.sandbox
            .project(&format!("project-{name}"), &manifest(targets))
    }

    /// Goes to a machine whose project has this lock.
    pub(crate) fn machine_with(&mut self, name: &str, targets: &[&str], lock: &str) -> PathBuf {
        let project = self.machine(name, targets);
        fs::write(project.join("sysroot.lock"), lock).unwrap();
        project
    }

    pub(crate) fn run(&self, dir: &Path, arguments: &[&str]) -> Said {
        self.sandbox.run(dir, arguments)
    }

    /// From now on this remote is asked, and written to if `write`.
    pub(crate) fn remote(&mut self, url: &str, write: bool) {
        let access = if write { "read-write" } else { "read" };
        self.sandbox.set("SYSROOT_REMOTE", url);
        self.sandbox.set("SYSROOT_REMOTE_ACCESS", access);
    }

    /// Writes the user's configuration.
    pub(crate) fn configure(&mut self, text: &str) {
        let path = self.sandbox.path("config.toml");
        fs::write(&path, text).unwrap();
        self.sandbox.set("SYSROOT_CONFIG", path.to_str().unwrap());
    }

    /// Makes a key pair; returns the secret's file and the public key.
    pub(crate) fn key(&self, name: &str) -> (String, String) {
        let file = self.sandbox.path(name).to_str().unwrap().to_owned();
        let said = self.run(&self.sandbox.path(""), &["cache", "keygen", &file]);
        let public = said.exits(0).out.trim().to_owned();
        (file, public)
    }

    pub(crate) fn trust(&mut self, public: &str) {
        self.configure(&format!("[trust]\nkeys = [\"{public}\"]\n"));
    }
}

pub(crate) fn lock_of(project: &Path) -> String {
    fs::read_to_string(project.join("sysroot.lock")).unwrap()
}

/// The compiled files of a target in an output.
pub(crate) fn output(project: &Path, target: &str) -> BTreeMap<String, (Vec<u8>, bool)> {
    snapshot(&project.join(format!(".sysroot/lib/rustlib/{target}/lib")))
}

/// The warnings among what was said.
pub(crate) fn warnings(said: &Said) -> Vec<&str> {
    let is_warning = |line: &&str| line.starts_with("warning");
    said.err.lines().filter(is_warning).collect()
}

/// What a server has, by path.
pub(crate) type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A server of Bazel's cache layout that checks what it is given, as strict
/// ones do: a blob must hash to its name, and an action entry must be a
/// message whose blobs are all there.
pub(crate) fn bazel(objects: &Objects, request: &Request) -> Vec<Step> {
    let mut objects = objects.lock().unwrap();
    let path = request.path.clone();
    match request.method.as_str() {
        "PUT" => {
            let refused = answer("400 Bad Request", &[], b"");
            if let Some(name) = path.strip_prefix("/cas/")
                && name != sha256(&request.body)
            {
                return refused;
            }
            if path.starts_with("/ac/") {
                let Some(blobs) = named_blobs(&request.body) else {
                    return refused;
                };
                let has = |(hash, size): &(String, u64)| {
                    let found = objects.get(&format!("/cas/{hash}"));
                    found.is_some_and(|bytes| bytes.len() as u64 == *size)
                };
                if blobs.is_empty() || !blobs.iter().all(has) {
                    return refused;
                }
                if request.header("if-none-match").is_some() && objects.contains_key(&path) {
                    return answer("412 Precondition Failed", &[], b"");
                }
            }
            objects.insert(path, request.body.clone());
            answer("200 OK", &[], b"")
        }
        method => match objects.get(&path) {
            None if method == "HEAD" => answer("404 Not Found", &[], b""),
            None => answer("404 Not Found", &[], b"none"),
            Some(bytes) if method == "HEAD" => {
                vec![Step::Bytes(head("200 OK", &[], bytes.len() as u64))]
            }
            Some(bytes) => answer("200 OK", &[], bytes),
        },
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    sysroot::types::Sha256::of(bytes).to_hex()
}

/// A second, independent reader of `ActionResult`: hash and size of each
/// output file; `None` if the bytes are no such message.
fn named_blobs(message: &[u8]) -> Option<Vec<(String, u64)>> {
    let field = |bytes: &mut &[u8]| -> Option<(u8, Vec<u8>)> {
        let (tag, rest) = bytes.split_first()?;
        let mut value = 0_u64;
        let mut used = 0;
        for (i, byte) in rest.iter().enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            used = i + 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        *bytes = &rest[used..];
        if tag % 8 == 0 {
            return Some((tag >> 3, value.to_le_bytes().to_vec()));
        }
        let length = usize::try_from(value).ok()?;
        let taken = bytes.get(..length).filter(|_| tag % 8 == 2)?.to_vec();
        *bytes = &bytes[length..];
        Some((tag >> 3, taken))
    };
    let mut blobs = Vec::new();
    let mut message = message;
    while !message.is_empty() {
        let (2, file) = field(&mut message)? else {
            return None;
        };
        let mut file = &file[..];
        let (1, _path) = field(&mut file)? else {
            return None;
        };
        let (2, digest) = field(&mut file)? else {
            return None;
        };
        let mut digest = &digest[..];
        let (1, hash) = field(&mut digest)? else {
            return None;
        };
        let (2, size) = field(&mut digest)? else {
            return None;
        };
        let size = u64::from_le_bytes(size.try_into().ok()?);
        blobs.push((String::from_utf8(hash).ok()?, size));
    }
    Some(blobs)
}

/// Such a server, and what it has.
pub(crate) fn cache_server() -> (Server, Objects) {
    let objects = Objects::default();
    let kept = objects.clone();
    let server = Server::start(move |request| bazel(&kept, request));
    (server, objects)
}

/// A world with one target, compiled and pushed to a cache server, and a copy
/// of the lock with its pin and one without.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) pinned: String,
    pub(crate) unpinned: String,
    pub(crate) objects: Objects,
    /// The compiled files.
    pub(crate) files: BTreeMap<String, (Vec<u8>, bool)>,
    /// The secret key's file and the public key that signed.
    pub(crate) key: (String, String),
}

impl Shared {
    pub(crate) fn new(targets: &[&str]) -> Self {
        let (mut world, project, unpinned) = World::built(targets);
        let (server, objects) = cache_server();
        world.remote(&server.url(), true);
        let key = world.key("signing-key");
        world
            .run(&project, &["cache", "push", "--sign", &key.0])
            .exits(0);
        Self {
            pinned: lock_of(&project),
            files: output(&project, targets[0]),
            world,
            unpinned,
            objects,
            key,
        }
    }

    /// What the server has, changed.
    pub(crate) fn changed(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
    ) -> BTreeMap<String, Vec<u8>> {
        let mut objects = self.objects.lock().unwrap().clone();
        change(&mut objects);
        objects
    }

    /// How many targets were compiled since the first machine's.
    pub(crate) fn rebuilt(&self, at_first: usize) -> usize {
        self.world.compiler.built().len() - at_first
    }
}

/// Serves these objects, changed by nobody but `PUT`.
pub(crate) fn serving(objects: BTreeMap<String, Vec<u8>>) -> Server {
    let objects: Objects = Arc::new(Mutex::new(objects));
    Server::start(move |request| bazel(&objects, request))
}

/// The path of the only object below a directory that satisfies a test.
pub(crate) fn find(
    objects: &BTreeMap<String, Vec<u8>>,
    directory: &str,
    is: impl Fn(&[u8]) -> bool,
) -> String {
    let mut found = objects
        .iter()
        .filter(|(path, bytes)| path.starts_with(directory) && is(bytes));
    let (path, _) = found.next().unwrap();
    assert!(found.next().is_none());
    path.clone()
}

/// Whether an object is a record.
pub(crate) fn is_record(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"version\"")
}

/// Whether an object is a compressed tree.
pub(crate) fn is_blob(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}
