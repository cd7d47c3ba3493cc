//! The binary in a world of its own: empty environment, own home and cache.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "what the tests do is no business of the tool's file layer, and they may fail"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary under test; the packer, which shares this module, has none.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_sysroot");

/// A directory with a home, a cache and projects.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    pub(crate) env: BTreeMap<String, String>,
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Checks the exit code; a failure shows all that was said.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Checks that the messages have a text.
    #[track_caller]
    pub(crate) fn mentions(self, text: &str) -> Self {
        let all = format!("{}{}", self.out, self.err);
        assert!(all.contains(text), "`{text}` is not in:\n{all}");
        self
    }

    /// The object that `--json` printed.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.out))
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// In memory, where there is such a place: for tests with hundreds of runs,
    /// which would else wait for the disk each time something is flushed.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        Self::within(dir.unwrap())
    }

    /// In this directory.
    pub(crate) fn within(dir: tempfile::TempDir) -> Self {
        fs::create_dir(dir.path().join("home")).unwrap();
        let mut env = BTreeMap::new();
        let home = dir.path().join("home");
        env.insert("HOME".to_owned(), home.to_str().unwrap().to_owned());
        let cache = dir.path().join("cache");
        env.insert(
            "SYSROOT_CACHE_DIR".to_owned(),
            cache.to_str().unwrap().to_owned(),
        );
        env.insert("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
        // Nobody listens there: a test that forgets its server must not reach one.
        env.insert(
            "SYSROOT_DIST_SERVER".to_owned(),
            "http://127.0.0.1:9".to_owned(),
        );
        Self { dir, env }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache/v1")
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Makes a project directory with this manifest.
    pub(crate) fn project(&self, name: &str, manifest: &str) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("sysroot.toml"), manifest).unwrap();
        dir
    }

    /// The command, ready to run in a directory.
    pub(crate) fn command(&self, dir: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(BINARY.unwrap());
        command
            .env_clear()
            .envs(&self.env)
            .current_dir(dir)
            .args(arguments);
        command
    }

    /// Runs the binary in a directory.
    pub(crate) fn run(&self, dir: &Path, arguments: &[impl AsRef<OsStr>]) -> Said {
        said(&mut self.command(dir, arguments))
    }
}

/// Runs a command to its end.
pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below a directory by its path: content and executable bit.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                let content = if metadata.is_symlink() {
                    fs::read_link(&path)
                        .unwrap()
                        .into_os_string()
                        .into_encoded_bytes()
                } else {
                    fs::read(&path).unwrap()
                };
                files.insert(name, (content, metadata.permissions().mode() & 0o100 != 0));
            }
        }
    }
    files
}
