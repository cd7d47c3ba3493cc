//! The command line of cargo, and the environment it runs in.
//!
//! | What                                  | Why                                                        |
//! |---------------------------------------|------------------------------------------------------------|
//! | environment empty but for what follows| nothing of the user's may change the result                |
//! | cwd `/`, `--manifest-path`            | cargo reads the configuration of every parent of its cwd   |
//! | `CARGO_HOME` private and empty        | the same, for the user's own configuration                 |
//! | `RUSTC` the real compiler             | a rustup proxy would choose by itself                      |
//! | `RUSTC_BOOTSTRAP=1`                   | the library needs unstable features on every channel       |
//! | `__CARGO_DEFAULT_LIB_METADATA` = key  | symbols differ from a project's own copy of a crate        |
//! | `--remap-path-prefix`                 | directories must not reach the compiled files              |
//! | `-Zforce-unstable-if-unmarked`        | else private dependencies of std become importable         |
//! | `RUSTC_WRAPPER` empty, or ours        | none of the user's; ours is [`super::front_end`]           |

use std::path::{Path, PathBuf};
use std::process::Command;

use super::toolchain::Toolchain;
use super::workspace::Workspace;
use crate::recipe::BuildOptions;
use crate::sys::process;
use crate::types::{CrateSet, Panic, RecipeKey};

/// Where build scripts and their linker are looked for.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The directories a cargo may write to.
#[derive(Debug)]
pub(super) struct Places {
    /// `CARGO_HOME`.
    pub(super) home: PathBuf,
    /// `TMPDIR`.
    pub(super) tmp: PathBuf,
}

/// One build, ready to become a command line.
pub(super) struct Invocation<'a> {
    pub(super) toolchain: &'a Toolchain,
    pub(super) workspace: &'a Workspace,
    pub(super) places: &'a Places,
    pub(super) options: &'a BuildOptions,
    pub(super) key: RecipeKey,
    /// A triple, or the path of a spec.
    pub(super) target: &'a Path,
    /// Whether `target` is a spec, and whether cargo wants to be told.
    pub(super) spec: Spec,
    pub(super) target_dir: &'a Path,
    /// `package/feature`, checked.
    pub(super) features: &'a [String],
    /// What cargo starts instead of the compiler.
    pub(super) wrapper: Option<&'a Path>,
}

/// What kind of target it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// Built into the compiler.
    BuiltIn,
    /// A JSON file, for a cargo that takes it like any target.
    Json,
    /// A JSON file, for a cargo that wants `-Zjson-target-spec` first.
    JsonUnstable,
}

impl Toolchain {
    /// A cargo in an environment of its own.
    fn cargo(&self, places: &Places) -> Command {
        let mut command = process::isolated(&self.cargo);
        command
            .current_dir("/")
            .env("PATH", PATH)
            .env("HOME", &places.home)
            .env("CARGO_HOME", &places.home)
            .env("TMPDIR", &places.tmp)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never");
        command
    }

    /// Resolves the workspace once, so that the builds can hold to its lock.
    pub(super) fn cargo_fetch(&self, workspace: &Workspace, places: &Places) -> Command {
        let mut command = self.cargo(places);
        command.arg("fetch");
        workspace_arguments(&mut command, workspace);
        if workspace.vendored {
            command.arg("--offline");
        }
        command
    }
}

impl Invocation<'_> {
    /// `cargo build` for one target.
    pub(super) fn command(&self) -> Command {
        let mut command = self.toolchain.cargo(self.places);
        command
            .args(["build", "--release", "--locked", "--offline"])
            .arg("--message-format=json");
        workspace_arguments(&mut command, self.workspace);
        command.arg("--target").arg(self.target);
        command.arg("--target-dir").arg(self.target_dir);
        if self.spec == Spec::JsonUnstable {
            command.arg("-Zjson-target-spec");
        }
        for package in packages(self.options.crates) {
            command.args(["-p", package]);
        }
        if !self.features.is_empty() {
            command.arg("--features").arg(self.features.join(","));
        }
        self.profile(&mut command);
        if let Some(wrapper) = self.wrapper {
            command.env("RUSTC_WRAPPER", wrapper);
        }
        command
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags().join("\u{1f}"))
            .env("__CARGO_DEFAULT_LIB_METADATA", self.key.to_hex());
        command
    }

    fn profile(&self, command: &mut Command) {
        let BuildOptions {
            crates: _,
            features: _,
            opt_level,
            debug,
            panic,
            codegen_units,
            embed_bitcode: _,
            rustflags: _,
        } = self.options;
        let mut set = |key: &str, value: &str| {
            command
                .arg("--config")
                .arg(format!("profile.release.{key}={value}"));
        };
        let level = opt_level.to_string();
        if level.bytes().all(|b| b.is_ascii_digit()) {
            set("opt-level", &level);
        } else {
            set("opt-level", &format!("{level:?}"));
        }
        set("debug", &format!("{:?}", debug.as_str()));
        set("codegen-units", &codegen_units.to_string());
        match panic {
            Some(Panic::Abort) => set("panic", "\"abort\""),
            // Cargo takes unwinding for every target's default and does not
            // pass it on; and as a plain flag it would also reach the crate
            // `panic_abort`, which the workspace compiles in its own way.
            Some(Panic::Unwind) => {
                set("rustflags", "[\"-Cpanic=unwind\"]");
                command.arg("-Zprofile-rustflags");
            }
            Some(Panic::ImmediateAbort) | None => {}
        }
    }

    /// Flags for the target's crates; they do not reach build scripts.
    fn rustflags(&self) -> Vec<String> {
        let bitcode = if self.options.embed_bitcode {
            "yes"
        } else {
            "no"
        };
        let mut flags = vec![
            "-Zforce-unstable-if-unmarked".to_owned(),
            format!("-Cembed-bitcode={bitcode}"),
        ];
        let immediate = self.options.panic == Some(Panic::ImmediateAbort);
        if immediate {
            flags.push("-Cpanic=immediate-abort".to_owned());
        }
        if immediate || self.spec != Spec::BuiltIn {
            flags.push("-Zunstable-options".to_owned());
        }
        flags.extend(self.options.rustflags.iter().cloned());
        let to = format!("/rustc/{}", self.toolchain.version.commit);
        // The last is where cargo unpacks what it fetched.
        let own = [
            &self.workspace.sources,
            &self.workspace.root,
            &self.places.home,
        ];
        let remap = |from: &PathBuf| format!("--remap-path-prefix={}={to}", from.display());
        flags.extend(own.map(remap));
        flags
    }
}

fn workspace_arguments(command: &mut Command, workspace: &Workspace) {
    command.arg("--manifest-path").arg(workspace.manifest());
    if let Some(vendor) = workspace.vendor() {
        let directory = toml::Value::from(vendor.display().to_string());
        command
            .args([
                "--config",
                "source.crates-io.replace-with=\"library-vendor\"",
            ])
            .arg("--config")
            .arg(format!("source.library-vendor.directory={directory}"));
    }
}

/// The packages of the library workspace that make up a crate set.
pub(super) fn packages(crates: CrateSet) -> &'static [&'static str] {
    match crates {
        CrateSet::Core => &["core", "compiler_builtins"],
        CrateSet::Alloc => &["core", "alloc", "compiler_builtins"],
        CrateSet::Std => &["sysroot"],
    }
}

/// The crates whose rlibs must come out of a build.
pub(super) fn expected_crates(crates: CrateSet) -> &'static [&'static str] {
    match crates {
        CrateSet::Core => &["core", "compiler_builtins"],
        CrateSet::Alloc => &["core", "alloc", "compiler_builtins"],
        CrateSet::Std => &[
            "core",
            "alloc",
            "compiler_builtins",
            "std",
            "proc_macro",
            "test",
        ],
    }
}

/// The manifest of a package, below `library/`.
pub(super) fn package_manifest(library: &Path, package: &str) -> PathBuf {
    let dir = match package {
        "compiler_builtins" => "compiler-builtins/compiler-builtins",
        other => other,
    };
    library.join(dir).join("Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::toolchain::RustcVersion;
    use crate::types::{OptLevel, Profile};

    fn command(spec: Spec, change: impl Fn(&mut BuildOptions)) -> (Vec<String>, Vec<String>) {
        let toolchain = Toolchain {
            rustc: "/t/bin/rustc".into(),
            cargo: "/t/bin/cargo".into(),
            rust_src: "/t/src".into(),
            version: RustcVersion {
                first_line: "rustc 1.96.0 (abc 2026-05-25)".into(),
                release: "1.96.0".into(),
                commit: "abc".into(),
                host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            },
            cargo_version: "cargo 1.96.0".into(),
        };
        let workspace = Workspace {
            root: "/w/vendored".into(),
            sources: "/real/src".into(),
            vendored: true,
        };
        let places = Places {
            home: "/w/home".into(),
            tmp: "/w/tmp".into(),
        };
        let mut options = BuildOptions::new(None, [].into(), Profile::default(), Vec::new());
        change(&mut options);
        let invocation = Invocation {
            toolchain: &toolchain,
            workspace: &workspace,
            places: &places,
            options: &options,
            key: RecipeKey::from_bytes([1; 32]),
            target: Path::new("thumbv6m-none-eabi"),
            spec,
            target_dir: Path::new("/w/target"),
            features: &[],
            wrapper: None,
        };
        let command = invocation.command();
        let text = |s: &std::ffi::OsStr| s.to_str().unwrap().to_owned();
        (
            command.get_args().map(text).collect(),
            invocation.rustflags(),
        )
    }

    #[test]
    fn every_directory_is_remapped_and_the_users_flags_come_last_of_the_others() {
        let (_, flags) = command(Spec::BuiltIn, |o| {
            o.rustflags = vec!["-Ctarget-cpu=x".into()];
        });
        assert_eq!(
            flags,
            [
                "-Zforce-unstable-if-unmarked",
                "-Cembed-bitcode=yes",
                "-Ctarget-cpu=x",
                "--remap-path-prefix=/real/src=/rustc/abc",
                "--remap-path-prefix=/w/vendored=/rustc/abc",
                "--remap-path-prefix=/w/home=/rustc/abc",
            ]
        );
    }

    #[test]
    fn each_panic_strategy_reaches_the_compiler_in_its_own_way() {
        let with = |panic| command(Spec::BuiltIn, move |o| o.panic = panic);
        let has = |list: &[String], text: &str| list.iter().any(|item| item == text);
        let (arguments, flags) = with(None);
        assert!(!arguments.iter().chain(&flags).any(|a| a.contains("panic")));
        assert!(has(
            &with(Some(Panic::Abort)).0,
            "profile.release.panic=\"abort\""
        ));
        let (arguments, flags) = with(Some(Panic::Unwind));
        assert!(has(
            &arguments,
            "profile.release.rustflags=[\"-Cpanic=unwind\"]"
        ));
        assert!(
            has(&arguments, "-Zprofile-rustflags") && !flags.iter().any(|f| f.contains("panic"))
        );
        let (_, flags) = with(Some(Panic::ImmediateAbort));
        assert!(has(&flags, "-Cpanic=immediate-abort") && has(&flags, "-Zunstable-options"));
    }

    #[test]
    fn profile_values_are_written_as_toml() {
        let (arguments, _) = command(Spec::JsonUnstable, |o| o.opt_level = OptLevel::Size);
        for expected in [
            "-Zjson-target-spec",
            "profile.release.opt-level=\"s\"",
            "profile.release.debug=\"none\"",
            "profile.release.codegen-units=1",
        ] {
            assert!(arguments.iter().any(|a| a == expected), "{expected}");
        }
        let (arguments, _) = command(Spec::BuiltIn, |o| o.opt_level = OptLevel::Number(2));
        assert!(arguments.iter().any(|a| a == "profile.release.opt-level=2"));
    }
}
