//! What can go wrong when a target is built.

use std::path::PathBuf;
use std::process::ExitStatus;

use super::jobs::JobsError;
use super::toolchain::ToolchainError;
use super::vendor::VendorError;
use crate::events::Cancelled;
use crate::sys::fs::FsError;
use crate::sys::process;
use crate::types::listing::ListingError;
use crate::types::relpath::RelPathError;
use crate::types::{Class, Diagnostic, Triple};

/// Why a target was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The compiler, or a build script, said no.
    #[error("cannot build `{target}` ({status}){}", indented(.message))]
    Compile {
        /// What it was built for.
        target: Triple,
        /// How cargo ended.
        status: ExitStatus,
        /// The first error as the compiler rendered it, or the end of the
        /// log when no compiler got that far.
        message: String,
        /// Everything cargo and the compilers said.
        log: PathBuf,
    },
    /// Cargo ended well without producing what was asked for.
    #[error("the build of `{target}` ended without `lib{missing}`")]
    Incomplete {
        /// What it was built for.
        target: Triple,
        /// The crate that is not there.
        missing: String,
        /// Everything cargo and the compilers said.
        log: PathBuf,
    },
    /// The compiler's back end did not know a processor or a feature of one that
    /// the recipe names, and compiled without it.
    #[error("the compiler ignored what `{target}` asks for: {message}")]
    Ignored {
        /// What it was built for.
        target: Triple,
        /// What the back end said.
        message: String,
    },
    /// A feature that no package of the library workspace has.
    #[error("`{target}`: the library has no feature `{}`", .feature.escape_debug())]
    Feature {
        /// What it was built for.
        target: Triple,
        /// The feature asked for.
        feature: String,
        /// The features there are.
        known: Vec<String>,
    },
    /// A cargo configuration that every cargo on this machine would read.
    #[error("`{}` would change every build on this machine", .0.display())]
    RootConfig(PathBuf),
    /// The library's workspace cannot be used.
    #[error("cannot prepare the library's workspace")]
    Vendor(#[source] VendorError),
    /// The dependencies of `std` are not on this machine.
    #[error("the sources lack the crates that std depends on, and the network is off")]
    OfflineWithoutVendor,
    /// Cargo cannot resolve the library's dependencies.
    #[error("cargo cannot resolve the library's workspace ({status}){}", indented(.message))]
    Resolve {
        /// How cargo ended.
        status: ExitStatus,
        /// The end of what it said.
        message: String,
    },
    /// A program could not be started.
    #[error("cannot run `{}`", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The compiler or cargo does not answer.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The shared pool of jobs.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// The compiled files cannot be listed.
    #[error("the compiled files of `{target}` make no tree")]
    Listing {
        /// What it was built for.
        target: Triple,
        /// Why.
        #[source]
        source: ListingError,
    },
    /// A compiled file has a name that not every system can hold.
    #[error(transparent)]
    Name(#[from] RelPathError),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The user or another process stopped the work.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The message on lines of its own, or nothing.
fn indented(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(|line| format!("\n  {line}")).collect();
    lines.concat()
}

/// What rustc says of a target that is none of its own and has no spec.
const NO_SPEC: &str = "could not find specification for target";

impl Diagnostic for BuildError {
    fn class(&self) -> Class {
        match self {
            Self::Compile { .. }
            | Self::Incomplete { .. }
            | Self::RootConfig(_)
            | Self::Run { .. }
            | Self::Listing { .. }
            | Self::Name(_)
            | Self::Resolve { .. }
            | Self::OfflineWithoutVendor => Class::Build,
            Self::Feature { .. } | Self::Ignored { .. } => Class::Usage,
            Self::Vendor(e) => e.class(),
            Self::Toolchain(e) => e.class(),
            Self::Jobs(e) => e.class(),
            Self::Fs(e) => e.class(),
            Self::Cancelled(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Compile { message, log, .. } if message.contains(NO_SPEC) => Some(format!(
                "a custom target needs its spec: write `spec = \"FILE.json\"` into its table; the \
                 whole log is in {}",
                log.display()
            )),
            Self::Compile { log, .. } | Self::Incomplete { log, .. } => {
                Some(format!("the whole log is in {}", log.display()))
            }
            Self::Ignored { .. } => Some(
                "`rustc --print target-cpus` and `--print target-features` with `--target` name \
                 those there are"
                    .to_owned(),
            ),
            Self::RootConfig(path) => Some(format!("move {} away", path.display())),
            Self::Feature { feature, known, .. } => Some(feature_hint(feature, known)),
            Self::OfflineWithoutVendor => {
                Some("allow the network, or build only core and alloc".to_owned())
            }
            Self::Vendor(e) => e.hint(),
            Self::Toolchain(e) => e.hint(),
            Self::Jobs(e) => e.hint(),
            Self::Fs(e) => e.hint(),
            Self::Run { program, source } => process::hint(program, source),
            Self::Resolve { .. } | Self::Listing { .. } | Self::Name(_) | Self::Cancelled(_) => {
                None
            }
        }
    }
}

fn feature_hint(feature: &str, known: &[String]) -> String {
    let names = known.iter().map(String::as_str);
    match crate::types::nearest::nearest(feature, names) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_rustc_does_not_know_needs_a_spec() {
        let hint = |message: &str| {
            let error = BuildError::Compile {
                target: "my-os".parse().unwrap(),
                status: ExitStatus::default(),
                message: message.to_owned(),
                log: "my-os.log".into(),
            };
            error.hint().unwrap()
        };
        let unknown = "error: error loading target specification: could not find specification \
                       for target \"my-os\"";
        assert!(hint(unknown).contains("`spec = "), "{}", hint(unknown));
        for message in [unknown, "error: no"] {
            assert!(hint(message).contains("my-os.log"));
        }
    }
}
