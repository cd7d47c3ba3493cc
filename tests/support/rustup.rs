//! Real rustup with homes of its own, the oracle for what a toolchain
//! directory has to be.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests run rustup, which the tool never does this way"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory below `lib/rustlib` and the names in it that rustup writes
/// for itself, which no component has.
pub(crate) const BOOKKEEPING: [&str; 4] = [
    "components",
    "rust-installer-version",
    "multirust-channel-manifest.toml",
    "multirust-config.toml",
];

/// Whether a path below a toolchain's root is rustup's own bookkeeping.
pub(crate) fn is_bookkeeping(path: &str) -> bool {
    path.strip_prefix("lib/rustlib/")
        .is_some_and(|name| BOOKKEEPING.contains(&name) || name.starts_with("manifest-"))
}

/// A rustup that knows nothing of the user's.
#[derive(Clone, Debug)]
pub(crate) struct Rustup {
    home: PathBuf,
    cargo_home: PathBuf,
    dist_server: String,
}

impl Rustup {
    /// Keeps everything below `directory` and installs from `dist_server`.
    pub(crate) fn new(directory: &Path, dist_server: &str) -> Self {
        Self {
            home: directory.join("rustup"),
            cargo_home: directory.join("cargo"),
            dist_server: dist_server.to_owned(),
        }
    }

    /// `rustup toolchain install` with the minimal profile and no more.
    pub(crate) fn install(&self, toolchain: &str) -> io::Result<()> {
        let minimal = ["--profile", "minimal", "--no-self-update"];
        self.run(&[&["toolchain", "install", toolchain], &minimal[..]].concat())
    }

    /// Runs rustup and fails with its own words.
    pub(crate) fn run(&self, arguments: &[&str]) -> io::Result<()> {
        let output = self.command().args(arguments).output()?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!(
            "rustup {}: {stderr}",
            arguments.join(" ")
        )))
    }

    /// The directory of a toolchain, whose name rustup ends with the host.
    pub(crate) fn toolchain(&self, name: &str) -> PathBuf {
        self.home.join("toolchains").join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("rustup");
        command
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTUP_DIST_SERVER", &self.dist_server)
            .env("RUSTUP_HOME", &self.home)
            .env("CARGO_HOME", &self.cargo_home);
        command
    }
}
