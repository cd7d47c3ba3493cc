//! Everything the command line can fail with.

use super::settings::SettingsError;
use crate::ops::OpsError;
use crate::sys::fs::FsError;
use crate::types::{Class, Diagnostic};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The work itself.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// The environment.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// `init` where a manifest is already.
    #[error("`{}` exists already", .0.display())]
    ManifestExists(std::path::PathBuf),
    /// `man` of something that is no command.
    #[error("there is no command `{}`", .name.escape_debug())]
    NoCommand {
        /// The word.
        name: String,
        /// The command it was meant to be, perhaps.
        near: Option<String>,
    },
    /// A target that is not in the output.
    #[error("target `{0}` is not in the output")]
    NotMaterialized(crate::types::Triple),
    /// A result that would be a command where it is printed.
    #[error(
        "`{}` is not printed: it has a line break or `##[`, and a GitHub runner could obey it",
        .0.escape_debug()
    )]
    RunnerCommand(String),
    /// A path that cannot be put into the environment.
    #[error("`{}` cannot be part of PATH", .path.display())]
    Path {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::env::JoinPathsError,
    },
}

/// A mistake of ours: something panicked.
#[derive(Debug, thiserror::Error)]
#[error("this is a bug in sysroot: {0}")]
pub(super) struct Bug(String);

impl Bug {
    /// From what a panic carries.
    pub(super) fn of(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "no message".to_owned()))
    }
}

impl Diagnostic for Bug {
    fn class(&self) -> Class {
        Class::Bug
    }

    fn hint(&self) -> Option<String> {
        let text = "please report it with the command and all that it printed";
        Some(text.to_owned())
    }
}

impl Diagnostic for CliError {
    fn class(&self) -> Class {
        match self {
            Self::Ops(e) => e.class(),
            Self::Settings(e) => e.class(),
            Self::Fs(e) => e.class(),
            Self::ManifestExists(_)
            | Self::NoCommand { .. }
            | Self::RunnerCommand(_)
            | Self::Path { .. } => Class::Usage,
            Self::NotMaterialized(_) => Class::CheckFailed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ops(e) => e.hint(),
            Self::Settings(e) => e.hint(),
            Self::Fs(e) => e.hint(),
            Self::ManifestExists(_) => Some("edit it, or remove it first".to_owned()),
            Self::NoCommand { near, .. } => match near {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => Some("`sysroot help` lists them".to_owned()),
            },
            Self::NotMaterialized(target) => Some(format!(
                "add `{}` to sysroot.toml and run `sysroot sync`",
                crate::manifest::table_of(target.as_str())
            )),
            Self::RunnerCommand(_) | Self::Path { .. } => {
                Some("move the checkout to another directory".to_owned())
            }
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Ops(e) => e.excerpt(),
            Self::Settings(e) => e.excerpt(),
            Self::Fs(_)
            | Self::ManifestExists(_)
            | Self::NoCommand { .. }
            | Self::NotMaterialized(_)
            | Self::RunnerCommand(_)
            | Self::Path { .. } => None,
        }
    }
}
