//! Everything a verb can fail with.

use std::path::PathBuf;

use super::differ::Mismatch;
use crate::events::Cancelled;
use crate::fetch::FetchError;
use crate::fetch::archive::ArchiveError;
use crate::lock::{Difference, LockError};
use crate::manifest::{ManifestError, SpecError};
use crate::materialize::{Conflict, MaterializeError};
use crate::plan::PlanError;
use crate::resolve::ResolveError;
use crate::store::StoreError;
use crate::sys::fs::FsError;
use crate::types::{Channel, Class, ComponentId, Diagnostic, REFILL, Triple, counted};

/// A verb failed.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A target spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A change of the manifest.
    #[error(transparent)]
    Edit(#[from] super::edit::EditError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock of a git revision.
    #[error(transparent)]
    CommittedLock(LockError),
    /// A path on the dist server.
    #[error(transparent)]
    ServerPath(crate::types::relpath::RelPathError),
    /// A file of `cache export`.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    /// The channel manifest.
    #[error(transparent)]
    ChannelManifest(#[from] crate::resolve::ChannelManifestError),
    /// The system toolchain's sources.
    #[error(transparent)]
    Sources(#[from] crate::build::source_tree::TreeError),
    /// Resolving.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Signatures.
    #[error(transparent)]
    Trust(#[from] super::trust::TrustError),
    /// Fetching.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Unpacking.
    #[error("cannot unpack `{id}`")]
    Archive {
        /// The component.
        id: ComponentId,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// The machine's own toolchain.
    #[error(transparent)]
    Toolchain(#[from] crate::build::ToolchainError),
    /// Compiling.
    #[error(transparent)]
    Build(#[from] crate::build::BuildError),
    /// Several targets failed to compile; each was told when it happened.
    #[error("{} could not be built: {}", counted(.targets.len(), "target"), names(.targets))]
    Builds {
        /// The targets.
        targets: Vec<Triple>,
        /// The first failure.
        #[source]
        first: Box<crate::build::BuildError>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Planning.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The output.
    #[error(transparent)]
    Materialize(#[from] MaterializeError),
    /// Two components bring different files of one name.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Stopped.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// There is no manifest here or above.
    #[error("there is no `sysroot.toml` in `{}` or any directory above it", .0.display())]
    NoManifest(PathBuf),
    /// There is no manifest where `--manifest-path` says.
    #[error("there is no manifest `{}`", .0.display())]
    MissingManifest(PathBuf),
    /// A file of the project is not one that can be read: too large, not
    /// text, not a regular file, a link to itself.
    #[error("`{}` cannot be used", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: FsError,
    },
    /// The manifest belongs to another user.
    #[error("`{}` is owned by user {owner}, not by you (user {user})", .path.display())]
    ForeignManifest {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Us.
        user: u32,
    },
    /// A spec lies outside of the project, by way of a link.
    #[error("the spec `{}` of target `{target}` lies outside of the project", .path.display())]
    SpecOutside {
        /// The target.
        target: Triple,
        /// Where the link leads.
        path: PathBuf,
    },
    /// Somebody else wrote the lock while we resolved.
    #[error("`{}` changed while it was being resolved; it was left alone", .0.display())]
    LockChanged(PathBuf),
    /// There is no lock although one must not be written.
    #[error("there is no `{}`", .0.display())]
    MissingLock(PathBuf),
    /// The lock does not answer the manifest.
    #[error("`{}` is stale{}", .path.display(), bullets(.differences))]
    StaleLock {
        /// The lock.
        path: PathBuf,
        /// Field by field.
        differences: Vec<Difference>,
    },
    /// `lock --check`: resolving again would change the lock.
    #[error("`{}` would change", .0.display())]
    WouldChange(PathBuf),
    /// No host of the lock is this machine.
    #[error("this machine is `{host}`, and the lock has {}", names(.locked))]
    UnknownHost {
        /// This machine.
        host: Triple,
        /// The lock's hosts.
        locked: Vec<Triple>,
    },
    /// The machine's compiler is not the locked one.
    #[error("the system's toolchain is not the locked one{}", bullets(.differences))]
    OtherToolchain {
        /// What differs, with both values.
        differences: Vec<String>,
    },
    /// The downloaded compiler is of another commit than the lock states.
    #[error("the downloaded rustc is of commit {found}, and the lock has {locked}")]
    OtherCommit {
        /// The lock's commit.
        locked: String,
        /// What the compiler says.
        found: String,
    },
    /// `update` of a channel that has no date.
    #[error("the channel `{0}` has no date to update")]
    NotDated(Channel),
    /// `update`: every newer date lacks something.
    #[error("no date after {from} has everything that the manifest asks for{}", passed_over(.skipped))]
    NothingNewer {
        /// The manifest's channel.
        from: Channel,
        /// The newer dates, newest first, with what they lack.
        skipped: Vec<(Channel, String)>,
    },
    /// `update`: a downloaded target would have to be compiled.
    #[error("{channel} has no rust-std for `{target}`, which is downloaded now")]
    NoLongerShipped {
        /// The target.
        target: Triple,
        /// The newer date.
        channel: Channel,
    },
    /// There is no compiler on this machine.
    #[error("there is no `rustc` on PATH, and SYSROOT_RUSTC is not set")]
    NoSystemToolchain,
    /// The only compiler is what this tool put together.
    #[error("`{}` is the toolchain of a project's output, not the system's", .0.display())]
    OwnToolchain(PathBuf),
    /// A compiled target has no sources to be compiled from.
    #[error("the toolchain of `{}` has no rust-src", .rustc.display())]
    NoRustSrc {
        /// The compiler.
        rustc: PathBuf,
    },
    /// A build did not give the pinned tree.
    #[error("target `{}` was built to another tree than the lock pins{}", .0.target, .0)]
    NotReproducible(Box<Mismatch>),
    /// `lock --check --pin`: compiled targets without a pin.
    #[error("the lock has no pin for `{host}` of {}", names(.targets))]
    Unpinned {
        /// This machine.
        host: Triple,
        /// The targets.
        targets: Vec<Triple>,
    },
    /// A pin or a statement is asked for of a target that nobody compiles.
    #[error("target `{target}` is not compiled: the lock's source for it is `{obtained}`")]
    NotCompiled {
        /// The target.
        target: Triple,
        /// How it is obtained.
        obtained: &'static str,
    },
    /// A statement is asked for of a tree that nobody has built.
    #[error(
        "target `{target}` has not been compiled on `{host}`: no pin, and no tree in the store"
    )]
    NotBuilt {
        /// The target.
        target: Triple,
        /// The host.
        host: Triple,
    },
    /// A remote.
    #[error(transparent)]
    Remote(#[from] crate::remote::RemoteError),
    /// There is no remote to work with.
    #[error("no remote is configured")]
    NoRemote,
    /// No remote may be written to.
    #[error("no remote may be written to: {}", .0.join(", "))]
    ReadOnlyRemotes(Vec<String>),
    /// A file does not hold a secret key.
    #[error("`{}` cannot be used to sign", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: crate::remote::sign::KeyError,
    },
    /// The output is not what the lock says.
    #[error("the output differs from the lock{}", bullets(.0))]
    OutputDiffers(Vec<String>),
    /// There is no output yet.
    #[error("there is no output at `{}`", .0.display())]
    NoOutput(PathBuf),
    /// There is an output, and nothing says that we made it.
    #[error(
        "nothing vouches for the output at `{}`: it was made with another cache than `{}`, or that \
         was removed since", .output.display(), .cache.display()
    )]
    UnknownOutput {
        /// The output.
        output: PathBuf,
        /// The cache, whose secret an output's state is signed with.
        cache: PathBuf,
    },
    /// Something that is needed is not in the store, and we are offline.
    #[error("`{what}` is not in the cache, and the network is off")]
    Offline {
        /// What is missing.
        what: String,
    },
    /// Something that was just put into the store, or found there, is gone.
    #[error("`{what}` is not in the cache any more")]
    NotStored {
        /// What is missing.
        what: String,
    },
    /// A tree vanished from the store while it was used.
    #[error(transparent)]
    Tree(#[from] crate::store::TreeFault),
    /// `cache evict` of something that is not in the store.
    #[error("the cache has no tree, component or target `{}`", .0.escape_debug())]
    NoSuchTree(String),
    /// A program that was asked for could not be run.
    #[error("cannot run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// git does not have the lock of a revision.
    #[error("git has no lock in `{}`: {message}", .rev.escape_debug())]
    Git {
        /// The revision.
        rev: String,
        /// What it said.
        message: String,
    },
    /// rustup answered with an error.
    #[error("`rustup {arguments}` failed: {message}")]
    Rustup {
        /// What was asked of it.
        arguments: String,
        /// What it said.
        message: String,
    },
}

fn names(triples: &[Triple]) -> String {
    triples
        .iter()
        .map(|t| format!("`{t}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// At most five dates; the newest tell most.
fn passed_over(skipped: &[(Channel, String)]) -> String {
    let lines = skipped.iter().take(5);
    lines.fold(String::new(), |text, (channel, reason)| {
        format!("{text}\n  {channel}: {reason}")
    })
}

fn bullets(lines: &[impl std::fmt::Display]) -> String {
    lines.iter().fold(String::new(), |text, line| {
        text + "\n  " + &line.to_string()
    })
}

impl Diagnostic for OpsError {
    fn class(&self) -> Class {
        match self {
            Self::Manifest(e) => e.class(),
            Self::Spec(e) => e.class(),
            Self::Edit(e) => e.class(),
            Self::Lock(e) | Self::CommittedLock(e) => e.class(),
            Self::Resolve(e) => e.class(),
            Self::Bundle(e) => e.class(),
            Self::ChannelManifest(e) => e.class(),
            Self::Sources(e) => e.class(),
            Self::ServerPath(_) => Class::Bug,
            Self::Trust(e) => e.class(),
            Self::Fetch(e) => e.class(),
            Self::Archive { source, .. } => source.class(),
            Self::Toolchain(e) => e.class(),
            Self::Build(e) => e.class(),
            Self::Builds { first, .. } => first.class(),
            Self::Store(e) => e.class(),
            Self::Remote(e) => e.class(),
            Self::KeyFile { source, .. } => source.class(),
            Self::NoRemote | Self::ReadOnlyRemotes(_) => Class::Usage,
            Self::Plan(e) => e.class(),
            Self::Materialize(e) => e.class(),
            Self::Fs(e) => e.class(),
            Self::Cancelled(e) => e.class(),
            Self::Conflict(_)
            | Self::NotReproducible(_)
            | Self::OtherCommit { .. }
            | Self::Tree(_) => Class::Integrity,
            Self::NoManifest(_)
            | Self::MissingManifest(_)
            | Self::Unreadable { .. }
            | Self::SpecOutside { .. }
            | Self::UnknownHost { .. }
            | Self::NoRustSrc { .. }
            | Self::OwnToolchain(_)
            | Self::NotCompiled { .. }
            | Self::NoSystemToolchain => Class::Usage,
            Self::NotDated(_) => Class::Usage,
            Self::NothingNewer { .. } | Self::NoLongerShipped { .. } => Class::Unresolvable,
            Self::ForeignManifest { .. } => Class::Trust,
            Self::MissingLock(_)
            | Self::StaleLock { .. }
            | Self::LockChanged(_)
            | Self::WouldChange(_)
            | Self::OutputDiffers(_)
            | Self::NoSuchTree(_)
            | Self::Unpinned { .. }
            | Self::NotBuilt { .. }
            | Self::NoOutput(_)
            | Self::UnknownOutput { .. } => Class::CheckFailed,
            Self::OtherToolchain { .. } => Class::Build,
            Self::Offline { .. } => Class::Network,
            Self::NotStored { .. } => Class::Integrity,
            Self::Run { .. } | Self::Git { .. } | Self::Rustup { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Manifest(e) => return e.hint(),
            Self::Spec(e) => return e.hint(),
            Self::Edit(e) => return e.hint(),
            Self::Lock(e) => return e.hint(),
            Self::Resolve(e) => return e.hint(),
            Self::Bundle(e) => return e.hint(),
            Self::ChannelManifest(e) => return e.hint(),
            Self::Sources(e) => return e.hint(),
            Self::ServerPath(_) => return None,
            Self::Trust(e) => return e.hint(),
            Self::Fetch(e) => return e.hint(),
            Self::Archive { source, .. } => return source.hint(),
            Self::Toolchain(e) => return e.hint(),
            Self::Build(e) => return e.hint(),
            Self::Builds { first, .. } => return first.hint(),
            Self::Store(e) => return e.hint(),
            Self::Remote(e) => return e.hint(),
            Self::KeyFile { source, .. } => return source.hint(),
            Self::NoRemote => "add `[[remotes]]` to the configuration file, or set SYSROOT_REMOTE",
            Self::ReadOnlyRemotes(_) => {
                "set `access = \"read-write\"` in `[[remotes]]` of the configuration file, or \
                 SYSROOT_REMOTE_ACCESS=read-write"
            }
            Self::Plan(e) => return e.hint(),
            Self::Materialize(e) => return e.hint(),
            Self::Fs(e) => return e.hint(),
            Self::Cancelled(_) | Self::Conflict(_) => return None,
            Self::Git { .. } => "name a revision in which the lock is committed",
            Self::CommittedLock(_) => "name a revision whose lock is well-formed",
            Self::Run { .. } | Self::Rustup { .. } => return None,
            Self::Unreadable { .. } => return None,
            Self::NoManifest(_) => "run `sysroot init` to write one",
            Self::MissingManifest(_) => {
                "correct the path, or write one there with `sysroot init --manifest-path PATH`"
            }
            Self::ForeignManifest { .. } => {
                "name it with `--manifest-path` if you trust it, or take ownership of it"
            }
            Self::SpecOutside { .. } => "copy the spec into the project",
            Self::MissingLock(_) => "run `sysroot lock` and commit the file",
            Self::LockChanged(_) => "run the same command again",
            Self::StaleLock { .. } | Self::WouldChange(_) => {
                "run `sysroot lock` and commit the result"
            }
            Self::UnknownHost { host, .. } => {
                return Some(format!(
                    "add \"{host}\" to `hosts` in sysroot.toml and run `sysroot lock`"
                ));
            }
            Self::OtherToolchain { .. } => {
                "use the locked toolchain (SYSROOT_RUSTC names another), or run `sysroot lock`"
            }
            Self::OtherCommit { .. } => {
                "the dist server mixed two releases; lock another date, or from another server"
            }
            Self::NotDated(_) => "write the release you want into `channel`, then `sysroot lock`",
            Self::NothingNewer { .. } => "wait for a newer date, or ask for less",
            Self::NoLongerShipped { .. } => "`strategy = \"build\"` compiles it",
            Self::NoSystemToolchain => {
                "install a toolchain with rust-src, or name a date as the channel"
            }
            Self::OwnToolchain(_) => "name the system's compiler with SYSROOT_RUSTC",
            Self::NoRustSrc { .. } => {
                "install the sources: Debian's rust-src, or `rustup component add rust-src`"
            }
            Self::NotReproducible(mismatch) => {
                return Some(format!(
                    "the pin stays; if the new tree is right, run `sysroot lock --repin {}` and \
                     commit the result",
                    mismatch.target
                ));
            }
            Self::Unpinned { .. } => "run `sysroot lock --pin` and commit the result",
            Self::NotCompiled { .. } => "only compiled targets have pins and statements",
            Self::NotBuilt { .. } => "run `sysroot sync`, or `sysroot lock --pin`",
            Self::OutputDiffers(_) | Self::NoOutput(_) | Self::UnknownOutput { .. } => {
                "run `sysroot sync`"
            }
            Self::Offline { .. } => "run the command once without `--offline`",
            Self::Tree(_) | Self::NotStored { .. } => REFILL,
            Self::NoSuchTree(_) => "`sysroot cache list` shows names, and 12 digits of each tree",
        };
        Some(text.to_owned())
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Manifest(e) => e.excerpt(),
            Self::Lock(e) | Self::CommittedLock(e) => e.excerpt(),
            _ => None,
        }
    }
}
