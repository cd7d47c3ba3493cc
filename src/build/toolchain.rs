//! A compiler on this machine: where its parts are, and which one it is.
//!
//! Nothing is compiled here. A rustup proxy is never used for building; it is
//! asked once which toolchain it stands for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::document::escape_controls;
use crate::sys::{fs, process};
use crate::types::{Class, Diagnostic, Triple};

/// How long a compiler may take to say its version.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A compiler with its cargo and the sources of its library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The real compiler, not a rustup proxy.
    pub rustc: PathBuf,
    /// The real cargo.
    pub cargo: PathBuf,
    /// The directory that holds `library/`.
    pub rust_src: PathBuf,
    /// What the compiler says it is.
    pub version: RustcVersion,
    /// First line of `cargo -V`.
    pub cargo_version: String,
}

/// The answer to `rustc -vV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustcVersion {
    /// The first line: `rustc 1.96.0 (ac68faa20 2026-05-25)`.
    pub first_line: String,
    /// `release`: `1.97.0-nightly`.
    pub release: String,
    /// `commit-hash`: 40 hexadecimal digits, or `unknown`.
    pub commit: String,
    /// `host`: the triple it runs on.
    pub host: Triple,
}

/// Why there is no usable toolchain.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A program could not be started, or gave no answer in time.
    #[error("cannot run `{}`", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("`{} {arguments}` failed ({status}): {}", .program.display(), escape_controls(.stderr.trim_end()))]
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        arguments: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The start of what it said.
        stderr: String,
    },
    /// The answer to `rustc -vV` or `cargo -V` lacks a line or has a malformed one.
    #[error("what `{}` says of its version is malformed: {reason}: `{}`", .program.display(), .answer.escape_debug())]
    Malformed {
        /// The program.
        program: PathBuf,
        /// What is wrong.
        reason: &'static str,
        /// The start of the answer.
        answer: String,
    },
    /// There is no cargo with the compiler.
    #[error("there is no cargo beside `{}`", .rustc.display())]
    NoCargo {
        /// The compiler.
        rustc: PathBuf,
    },
    /// The library's sources are not there.
    #[error("there are no library sources of {rustc} in `{}`", .expected.display())]
    NoRustSrc {
        /// The first line of `rustc -vV`; the program if it says nothing.
        rustc: String,
        /// Where `library/Cargo.lock` was expected.
        expected: PathBuf,
    },
    /// A directory of the toolchain cannot be read.
    #[error(transparent)]
    Fs(#[from] fs::FsError),
}

impl Diagnostic for ToolchainError {
    fn class(&self) -> Class {
        match self {
            Self::Run { .. } | Self::Failed { .. } | Self::Malformed { .. } => Class::Build,
            Self::NoCargo { .. } | Self::NoRustSrc { .. } => Class::Usage,
            Self::Fs(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Run { program, source } = self
            && let Some(hint) = process::hint(program, source)
        {
            return Some(hint);
        }
        let text = match self {
            Self::Run { .. } | Self::Failed { .. } | Self::Malformed { .. } => {
                "name the compiler to use with SYSROOT_RUSTC"
            }
            Self::NoCargo { .. } => "install cargo of the same version beside the compiler",
            Self::NoRustSrc { .. } => {
                "install the sources: `rustup component add rust-src`, or your distribution's \
                 rust-src package"
            }
            Self::Fs(e) => return e.hint(),
        };
        Some(text.to_owned())
    }
}

impl Toolchain {
    /// Finds the toolchain that `rustc` belongs to.
    ///
    /// A rustup proxy is resolved to the toolchain it stands for. Cargo is
    /// looked for beside the compiler and then in the directories of `search`;
    /// the sources below the compiler's sysroot.
    pub fn probe(rustc: &Path, search: &[PathBuf]) -> Result<Self, ToolchainError> {
        Self::below(&Self::sysroot_of(rustc)?, rustc, search)
    }

    /// Where the toolchain of a compiler, or of a rustup proxy, stands.
    pub fn sysroot_of(rustc: &Path) -> Result<PathBuf, ToolchainError> {
        // The user named this program, and a proxy needs the user's settings;
        // but not what `sysroot env` or a cargo around us has set.
        let mut command = process::inherited(rustc.as_os_str());
        for name in ["RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        let sysroot = ask(&mut command, rustc, &["--print", "sysroot"])?;
        Ok(PathBuf::from(sysroot.trim_end_matches(['\r', '\n'])))
    }

    /// Finds the parts of the toolchain in `sysroot` that `rustc` stands for.
    pub fn below(sysroot: &Path, rustc: &Path, search: &[PathBuf]) -> Result<Self, ToolchainError> {
        let inside = sysroot.join("bin").join(executable("rustc"));
        let rustc = if inside.is_file() {
            inside
        } else {
            rustc.to_owned()
        };
        let cargo = find_cargo(&rustc, search).ok_or_else(|| ToolchainError::NoCargo {
            rustc: rustc.clone(),
        })?;
        Self::from_parts(&rustc, &cargo, &sysroot.join("lib/rustlib/src/rust"))
    }

    /// Takes a toolchain whose parts are known, as those of a dist server are.
    pub fn from_parts(rustc: &Path, cargo: &Path, rust_src: &Path) -> Result<Self, ToolchainError> {
        let version = RustcVersion::ask(rustc);
        let expected = rust_src.join("library");
        if !expected.join("Cargo.lock").is_file() {
            let named = |_| rustc.display().to_string();
            let rustc = version.map_or_else(named, |version| version.first_line);
            return Err(ToolchainError::NoRustSrc { rustc, expected });
        }
        let version = version?;
        let answer = ask(&mut homeless(cargo), cargo, &["-V"])?;
        let cargo_version = first_line(&answer).to_owned();
        if cargo_version.chars().any(char::is_control) {
            return Err(ToolchainError::Malformed {
                program: cargo.to_owned(),
                reason: "the first line has control characters",
                answer: answer.chars().take(200).collect(),
            });
        }
        Ok(Self {
            rustc: rustc.to_owned(),
            cargo: cargo.to_owned(),
            rust_src: rust_src.to_owned(),
            version,
            cargo_version,
        })
    }

    /// The directory with the library's workspace.
    pub fn library(&self) -> PathBuf {
        self.rust_src.join("library")
    }

    /// Every target name the compiler knows.
    pub fn known_targets(&self) -> Result<BTreeSet<Triple>, ToolchainError> {
        known_targets(&self.rustc)
    }

    /// The targets whose compiled core stands in the compiler's own sysroot.
    pub fn shipped_targets(&self) -> Result<BTreeSet<Triple>, ToolchainError> {
        let mut command = process::isolated(&self.rustc);
        let sysroot = ask(&mut command, &self.rustc, &["--print", "sysroot"])?;
        let rustlib = Path::new(sysroot.trim_end()).join("lib/rustlib");
        let mut shipped = BTreeSet::new();
        for name in fs::list(&rustlib)? {
            let Some(target) = name.to_str().and_then(|n| n.parse::<Triple>().ok()) else {
                continue;
            };
            let lib = rustlib.join(&name).join("lib");
            if lib.is_dir() && has_core(&fs::list(&lib)?) {
                shipped.insert(target);
            }
        }
        Ok(shipped)
    }

    /// Whether this cargo knows (and so demands) `-Zjson-target-spec`.
    pub(super) fn wants_json_target_spec(&self) -> Result<bool, ToolchainError> {
        let mut command = homeless(&self.cargo);
        command.env("RUSTC_BOOTSTRAP", "1");
        let help = ask(&mut command, &self.cargo, &["-Z", "help"])?;
        Ok(help.contains("json-target-spec"))
    }
}

/// A cargo that is asked about itself. It insists on a home, which a user
/// without an entry in the password file has only by the environment; it gets
/// one that is not there, so that it reads nobody's configuration.
fn homeless(cargo: &Path) -> Command {
    let mut command = process::isolated(cargo);
    command
        .env("HOME", "/nonexistent")
        .env("CARGO_HOME", "/nonexistent");
    command
}

/// Every target name a compiler knows.
pub fn known_targets(rustc: &Path) -> Result<BTreeSet<Triple>, ToolchainError> {
    let answer = ask(
        &mut process::isolated(rustc),
        rustc,
        &["--print", "target-list"],
    )?;
    Ok(answer
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect())
}

fn has_core(names: &[std::ffi::OsString]) -> bool {
    names.iter().filter_map(|name| name.to_str()).any(|name| {
        let is_rlib = Path::new(name).extension().is_some_and(|e| e == "rlib");
        is_rlib && name.starts_with("libcore-")
    })
}

impl RustcVersion {
    /// Asks a compiler, in an empty environment.
    pub fn ask(rustc: &Path) -> Result<Self, ToolchainError> {
        let answer = ask(&mut process::isolated(rustc), rustc, &["-vV"])?;
        Self::parse(&answer).map_err(|reason| ToolchainError::Malformed {
            program: rustc.to_owned(),
            reason,
            answer: answer.chars().take(200).collect(),
        })
    }

    fn parse(answer: &str) -> Result<Self, &'static str> {
        let first = first_line(answer);
        if !first.starts_with("rustc ") || first.chars().any(char::is_control) {
            return Err("the first line does not name rustc");
        }
        let field = |name: &str| {
            let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
            lines.find_map(|(key, value)| (key == name).then(|| value.trim()))
        };
        let release = field("release").ok_or("there is no `release`")?;
        let commit = field("commit-hash").ok_or("there is no `commit-hash`")?;
        let is_hash = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash && commit != "unknown" {
            return Err("`commit-hash` is no commit");
        }
        let host = field("host").ok_or("there is no `host`")?;
        Ok(Self {
            first_line: first.to_owned(),
            release: release.to_owned(),
            commit: commit.to_owned(),
            host: host.parse().map_err(|_| "`host` is no target name")?,
        })
    }
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default().trim_end()
}

/// The program's file name on this system.
fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

fn find_cargo(rustc: &Path, search: &[PathBuf]) -> Option<PathBuf> {
    let beside = rustc.parent().into_iter();
    let mut places = beside.chain(search.iter().map(PathBuf::as_path));
    places.find_map(|dir| {
        let candidate = dir.join(executable("cargo"));
        // A proxy would choose a toolchain of its own.
        let real = candidate.canonicalize().ok()?;
        let is_proxy = real.file_stem().is_some_and(|stem| stem == "rustup");
        (real.is_file() && !is_proxy).then_some(candidate)
    })
}

/// Runs a compiler or cargo that only answers a question.
///
/// Not in the working directory: a proxy of rustup obeys a `rust-toolchain.toml`
/// there and in each directory above, and that file can name any program.
fn ask(
    command: &mut Command,
    program: &Path,
    arguments: &[&str],
) -> Result<String, ToolchainError> {
    let said = process::ask(command.args(arguments).current_dir("/"), ANSWER_LIMIT);
    let said = said.map_err(|source| ToolchainError::Run {
        program: program.to_owned(),
        source,
    })?;
    if said.status.success() {
        return Ok(said.stdout);
    }
    Err(ToolchainError::Failed {
        program: program.to_owned(),
        arguments: arguments.join(" "),
        status: said.status,
        stderr: said.stderr.trim().chars().take(500).collect(),
    })
}
