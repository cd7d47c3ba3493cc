//! The command line as typed by the user.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::config::{Age, Size};
use crate::manifest::values;
use crate::ops::{Shard, UpdateTo};
use crate::types::{Channel, CrateSet, Strategy, Triple};

/// Pin, build, download and share Rust sysroots.
#[derive(Debug, Parser)]
#[command(name = "sysroot", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 a check says no, 2 usage or files are wrong, 3 cannot be \
                        resolved, 4 network, 5 integrity, 6 trust, 7 build failed, 8 busy, 9 file \
                        system, 70 a bug in sysroot, 130/143 interrupted."
)]
pub(super) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(super) global: Global,
    /// The verb.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the command line"
)]
pub(super) struct Global {
    /// Change to this directory first
    #[arg(short = 'C', value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
    /// The manifest to use; its lock is the file beside it with the extension `lock`
    #[arg(long, value_name = "PATH", global = true, value_hint = ValueHint::FilePath)]
    pub(super) manifest_path: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print more
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub(super) color: ColorWhen,
    /// Use no network [env: `SYSROOT_OFFLINE`]
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Print plain lines instead of progress bars
    #[arg(long, global = true)]
    pub(super) no_progress: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a `sysroot.toml` to start from
    Init(InitArgs),
    /// Write targets into `sysroot.toml`
    Add(AddArgs),
    /// Take targets out of `sysroot.toml`
    Remove(RemoveArgs),
    /// Resolve `sysroot.toml` into `sysroot.lock`
    Lock(LockArgs),
    /// Write another date into `sysroot.toml`, and lock it
    Update(UpdateArgs),
    /// Lock if needed, then bring `.sysroot/` into the locked state
    Sync(SyncArgs),
    /// Check manifest, lock, specs, output and pins against each other; offline and read-only
    ///
    /// `lock --check` is the part about manifest and lock, `sync --check` the part about the
    /// output. Exit codes: 0 nothing is wrong; 1 something differs; 2 a file is malformed; 9 one
    /// could not be read; 5 bytes are damaged; 6 trust. Of several the most severe counts, and
    /// they are named here in that order.
    Verify(VerifyArgs),
    /// Print the in-toto statement about a compiled target
    Attest(AttestArgs),
    /// Print a CycloneDX document of everything the lock brings in
    Sbom,
    /// Show what is locked, stored and materialized
    Status,
    /// Explain how a target is obtained, and what the next sync has to do for it
    Why(WhyArgs),
    /// Tell in words what has changed in the lock since a revision of git's
    Diff(DiffArgs),
    /// Run a command with the project's toolchain
    Run(RunArgs),
    /// Print shell commands that put the project's toolchain in the environment
    Env(EnvArgs),
    /// Print where the output, or a target's libraries, are
    Path(PathArgs),
    /// Make rustup's cargo and rustc use the output in this checkout
    Link,
    /// Undo `link`
    Unlink,
    /// Print the name of what the lock needs from the store, for a CI system's cache
    Key(KeyArgs),
    /// The store that all projects share
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Check whether this machine has what sysroot needs, and say what to do where it has not
    Doctor,
    /// Print a shell's completion script
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of sysroot, or of one of its commands
    Man {
        /// The command, such as `cache gc`
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print the JSON Schema of a file
    Schema {
        /// Which file
        #[arg(default_value = "manifest")]
        file: SchemaFile,
    },
}

/// Files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaFile {
    /// `sysroot.toml`.
    Manifest,
    /// `sysroot.lock`.
    Lock,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The compiler: `nightly-YYYY-MM-DD`, `beta-YYYY-MM-DD`, a release, or `system`
    #[arg(long, default_value = "system")]
    pub(super) channel: Channel,
    /// A target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
}

/// Flags of `add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The targets
    #[arg(value_name = "TARGET", required_unless_present = "spec")]
    pub(super) targets: Vec<Triple>,
    /// `auto`, `download` or `build` [default: as `[defaults]` say, else `auto`]
    #[arg(long, value_parser = strategy)]
    pub(super) strategy: Option<Strategy>,
    /// The crates to compile: `core`, `core,alloc` or `std`
    #[arg(long, value_name = "CRATES", value_parser = crate_set)]
    pub(super) crates: Option<CrateSet>,
    /// The JSON file of a custom target, whose stem is the target's name
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) spec: Option<PathBuf>,
}

fn strategy(text: &str) -> Result<Strategy, String> {
    let known = values::STRATEGIES.iter().find(|(name, _)| *name == text);
    let known = known.map(|(_, strategy)| *strategy);
    known.ok_or_else(|| "it is none of `auto`, `download`, `build`".to_owned())
}

fn crate_set(text: &str) -> Result<CrateSet, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    values::crate_set(names.iter().copied()).map_err(|index| {
        let name = names.get(index).copied().unwrap_or_default();
        format!("`{name}` is none of `core`, `alloc`, `std`")
    })
}

/// Flags of `remove`.
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The targets
    #[arg(value_name = "TARGET", required = true)]
    pub(super) targets: Vec<Triple>,
}

/// Flags of `lock`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the command line"
)]
pub(super) struct LockArgs {
    /// Write nothing, and exit with 1 if the lock would change: the part of `verify` that is
    /// about manifest and lock
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) check: bool,
    /// Write nothing, and print what would be written
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Ask the server again, and accept that a dated release was published anew
    #[arg(long)]
    pub(super) refresh: bool,
    /// Compile what has no pin for this machine yet, and pin it; with `--check`, exit with 1 if
    /// anything has none
    #[arg(long)]
    pub(super) pin: bool,
    /// Compile this target again and take what that gives as its pin; may be repeated
    #[arg(long, value_name = "TRIPLE", conflicts_with_all = ["check", "dry_run"])]
    pub(super) repin: Vec<Triple>,
    /// How many jobs may run at once [env: `SYSROOT_JOBS`] [default: all processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Accept a channel manifest that is older than the lock's
    #[arg(long)]
    pub(super) allow_downgrade: bool,
    /// Accept a channel manifest without signature although the lock's has one
    #[arg(long)]
    pub(super) allow_unsigned: bool,
}

/// Flags of `update`.
#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// `YYYY-MM-DD`, or `latest`: the newest date that has everything asked for
    #[arg(value_name = "DATE|latest", default_value = "latest", value_parser = update_to)]
    pub(super) to: UpdateTo,
    /// Write nothing, and print what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Accept a channel manifest without signature although the lock's has one
    #[arg(long)]
    pub(super) allow_unsigned: bool,
}

fn update_to(text: &str) -> Result<UpdateTo, crate::types::channel::ChannelError> {
    if text == "latest" {
        return Ok(UpdateTo::Latest);
    }
    text.parse().map(UpdateTo::Date)
}

/// Flags of `sync`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the command line"
)]
pub(super) struct SyncArgs {
    /// Fail if the lock is stale instead of renewing it (the default when CI is set)
    #[arg(long, conflicts_with = "frozen")]
    pub(super) locked: bool,
    /// Use the lock without comparing it with the manifest
    #[arg(long)]
    pub(super) frozen: bool,
    /// Write nothing, and exit with 1 if the output is not what the lock says: the part of
    /// `verify` that is about the output
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) check: bool,
    /// Write nothing, and print what would happen
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
    /// How many jobs may run at once [env: `SYSROOT_JOBS`] [default: all processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the command line"
)]
pub(super) struct VerifyArgs {
    /// Read every byte of the output and of the store's trees it is made of
    #[arg(long)]
    pub(super) deep: bool,
    /// Compile again in another directory with another number of jobs, and compare with the pin;
    /// the one check that starts a compiler
    #[arg(long)]
    pub(super) rebuild: bool,
    /// Fail unless the lock is provably what a trusted key signed
    #[arg(long)]
    pub(super) require_signature: bool,
    /// Compare the lock with what the dist servers have now (uses the network)
    #[arg(long)]
    pub(super) upstream: bool,
    /// With `--rebuild`, only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE", requires = "rebuild")]
    pub(super) targets: Vec<Triple>,
    /// How to print what was found
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "human",
        conflicts_with = "json"
    )]
    pub(super) format: VerifyFormat,
}

/// Forms of `verify`'s result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum VerifyFormat {
    /// Lines for people.
    Human,
    /// The same as `--json`.
    Json,
    /// Annotations of a GitHub Actions run.
    Github,
    /// SARIF 2.1.0.
    Sarif,
    /// XML in the form of `JUnit`, one test case a check.
    Junit,
}

/// Flags of `attest`.
#[derive(Debug, Args)]
pub(super) struct AttestArgs {
    /// The compiled target
    pub(super) target: Triple,
    /// The machine that compiled it [default: this one]
    #[arg(long, value_name = "TRIPLE")]
    pub(super) host: Option<Triple>,
}

/// Flags of `cache push`.
#[derive(Clone, Debug, Args)]
pub(super) struct PushArgs {
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
    /// Sign the records with the secret key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) sign: Option<PathBuf>,
    /// Also push the unpacked archives of upstream; others accept them only if they are signed
    #[arg(long, requires = "sign")]
    pub(super) components: bool,
}

/// Flags of `cache pull`.
#[derive(Clone, Debug, Args)]
pub(super) struct PullArgs {
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
}

/// Flags of `cache warm`.
#[derive(Clone, Debug, Args)]
pub(super) struct WarmArgs {
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
    /// Begin with the I-th of N parts, then help with the others
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(super) shard: Shard,
    /// How long a machine that gives no sign of life keeps what it claimed
    #[arg(long, value_name = "AGE", default_value = "30m")]
    pub(super) lease: Age,
    /// Sign the records with the secret key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) sign: Option<PathBuf>,
}

/// Flags of `why`.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// The target
    #[arg(value_name = "TARGET")]
    pub(super) target: Triple,
}

/// Flags of `diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The revision to compare with
    #[arg(value_name = "REV", default_value = "HEAD")]
    pub(super) rev: String,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Use the output as it is, without a sync
    #[arg(long)]
    pub(super) no_sync: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(super) command: Vec<std::ffi::OsString>,
}

/// Flags of `env`.
#[derive(Debug, Args)]
pub(super) struct EnvArgs {
    /// The shell that will read it
    #[arg(long, default_value = "sh")]
    pub(super) shell: EnvShell,
}

/// Shells that `env` can speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EnvShell {
    /// Any POSIX shell.
    Sh,
    /// fish.
    Fish,
}

/// Flags of `path`.
#[derive(Debug, Args)]
pub(super) struct PathArgs {
    /// A target, to print where its libraries are
    pub(super) target: Option<Triple>,
}

/// Flags of `key`.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
}

/// Flags of `cache export`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExportArgs {
    /// The file to write
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Only this target; may be repeated
    #[arg(long = "target", value_name = "TRIPLE")]
    pub(super) targets: Vec<Triple>,
    /// Sign the file with the secret key in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) sign: Option<PathBuf>,
}

/// Flags of `cache import`.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    /// The file to read
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Believe what the file says of its trees: only you or your own CI could have written it
    #[arg(long)]
    pub(super) trust: bool,
}

/// The verbs of `cache`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Print where the store is
    Dir,
    /// Print how large the store is
    Size,
    /// List what is in the store
    List,
    /// Read every byte of the store, and report what is damaged
    Verify {
        /// Move damaged trees away, so that the next sync makes them anew
        #[arg(long)]
        repair: bool,
    },
    /// Remove what no project has used for long, and what killed processes left
    Gc(GcArgs),
    /// Remove trees, whether projects use them or not
    Evict(EvictArgs),
    /// Write everything that the lock needs from the store to one file
    Export(ExportArgs),
    /// Bring the trees of such a file into the store
    Import(ImportArgs),
    /// Send the project's stored trees to the remotes that may be written to
    Push(PushArgs),
    /// Bring what the lock names from the remotes into the store
    Pull(PullArgs),
    /// Build what the remote lacks and push it, together with other machines
    Warm(WarmArgs),
    /// Make a key pair to sign pushed trees with, and print the public key
    Keygen {
        /// Where to write the secret key [default: `signing-key` beside the configuration file]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

/// Flags of `cache gc`.
#[derive(Clone, Debug, Args)]
pub(super) struct GcArgs {
    /// Let all trees together take no more than this, such as 20G
    #[arg(long, value_name = "SIZE")]
    pub(super) max_size: Option<Size>,
    /// Keep trees that no project uses for this long, such as 90d
    #[arg(long, value_name = "AGE")]
    pub(super) max_age: Option<Age>,
    /// Remove nothing, and print what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Flags of `cache evict`.
#[derive(Clone, Debug, Args)]
pub(super) struct EvictArgs {
    /// A tree (12 digits or more of its digest), a component or a target
    #[arg(required_unless_present = "all_unused", conflicts_with = "all_unused")]
    pub(super) what: Option<String>,
    /// Every tree that no project uses
    #[arg(long)]
    pub(super) all_unused: bool,
    /// Remove nothing, and print what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
}
