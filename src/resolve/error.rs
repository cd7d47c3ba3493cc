//! Why a manifest has no lock.

use crate::config::Age;
use crate::types::{Channel, Class, ComponentName, Date, Diagnostic, RelPath, Triple, counted};

use super::freshness::Republished;

/// Which date or release near the asked one ships a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nearby {
    /// Nobody looked, or no server could tell.
    #[default]
    NotLooked,
    /// The nearest one that does.
    Has(Channel),
    /// None of so many that were looked at.
    NoneOf(usize),
}

/// Why a manifest has no lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The server answered for another day.
    #[error("the server answered for {served}, and {asked} was asked for")]
    OtherDay {
        /// The day of the channel.
        asked: Date,
        /// The day of the channel manifest.
        served: Date,
    },
    /// The server answered for another channel or release.
    #[error(
        "the server's rustc is `{}`, and `{channel}` was asked for, whose rustc is `{}`",
        .served.escape_debug(), .channel.version_form()
    )]
    OtherChannel {
        /// The channel.
        channel: Channel,
        /// The version of rustc in the channel manifest.
        served: String,
    },
    /// A day that has not come yet.
    #[error("the channel manifest is of {date}, more than two days after today, {today}")]
    FarFuture {
        /// The day of the channel manifest.
        date: Date,
        /// The machine's day.
        today: Date,
    },
    /// The server went back in time.
    #[error("the server offers {offered}, and the lock has {locked}")]
    Older {
        /// The locked day.
        locked: Date,
        /// The older day.
        offered: Date,
    },
    /// The server's newest date is before the one in use.
    #[error("the server's newest date is {newest}, and the manifest names {current}")]
    NewestOlder {
        /// The manifest's date.
        current: Date,
        /// The older date.
        newest: Date,
    },
    /// The newest that the server has is older than the user accepts.
    #[error(
        "the channel manifest is of {date}, {} before today, {today}; at most {max_age} are accepted",
        counted(*days, "day")
    )]
    TooOld {
        /// The day of the channel manifest.
        date: Date,
        /// The machine's day.
        today: Date,
        /// How many days lie between.
        days: i64,
        /// The user's limit.
        max_age: Age,
    },
    /// Archives changed under a date that was locked before.
    #[error("{date} was republished with other bytes{}", list(.changes))]
    Republished {
        /// The day.
        date: Date,
        /// The archives that changed.
        changes: Vec<Republished>,
    },
    /// Archives of different compilers.
    #[error("`{first}` is of {first_version}, and `{second}` of {second_version}")]
    MixedCommits {
        /// A package.
        first: ComponentName,
        /// Its version or commit.
        first_version: String,
        /// Another package.
        second: ComponentName,
        /// Its version or commit.
        second_version: String,
    },
    /// The channel manifest lacks a package that every toolchain has.
    #[error("the channel manifest of {date} has no package `{name}`")]
    NoPackage {
        /// The package.
        name: &'static str,
        /// The day of the channel manifest.
        date: Date,
    },
    /// Nothing of that name is in the channel.
    #[error("{date} has no component `{name}`")]
    UnknownComponent {
        /// The component as asked for.
        name: ComponentName,
        /// The day of the channel manifest.
        date: Date,
        /// The nearest names, nearest first.
        nearest: Vec<String>,
    },
    /// The component is not there on this day, for this host.
    #[error("component `{name}` is not available for `{target}` in {date}")]
    UnavailableComponent {
        /// The component as asked for.
        name: ComponentName,
        /// The host.
        target: Triple,
        /// The day of the channel manifest.
        date: Date,
    },
    /// Upstream has no compiler that runs on this host.
    #[error("{date} has no compiler for the host `{host}`")]
    UnknownHost {
        /// The host.
        host: Triple,
        /// The day of the channel manifest.
        date: Date,
        /// The nearest hosts, nearest first.
        nearest: Vec<String>,
    },
    /// `download`, and upstream ships no rust-std.
    #[error("{date} has no rust-std for `{target}`{}", if *.listed { ": it is listed as not available" } else { "" })]
    NotShipped {
        /// The target.
        target: Triple,
        /// The day of the channel manifest.
        date: Date,
        /// Whether the channel manifest lists it as not available.
        listed: bool,
        /// The nearest targets with rust-std, nearest first.
        nearest: Vec<String>,
        /// Which other date has it.
        nearby: Nearby,
    },
    /// `auto`, and the name looks like a typing error.
    #[error("`{target}` has no rust-std in {date}, and its name is very near to one that has")]
    Suspicious {
        /// The target.
        target: Triple,
        /// The day of the channel manifest.
        date: Date,
        /// The target it may have meant.
        nearest: String,
    },
    /// The system's compiler does not know the target.
    #[error("the system's rustc does not know the target `{target}`")]
    UnknownTarget {
        /// The target.
        target: Triple,
        /// The nearest targets it knows, nearest first.
        nearest: Vec<String>,
    },
    /// `download` with the system's toolchain, which does not have the target.
    #[error("the system's toolchain has no rust-std for `{target}`, and it cannot download one")]
    NotInstalled {
        /// The target.
        target: Triple,
    },
    /// The manifest and the source are of different kinds.
    #[error("the channel `{channel}` cannot be resolved from {origin}")]
    WrongSource {
        /// The manifest's channel.
        channel: Channel,
        /// What it was to be resolved from.
        origin: &'static str,
    },
    /// A host is compiled, and without `std`.
    #[error("`{target}` is also a host, and a host's build scripts and macros need `std`")]
    HostWithoutStd {
        /// The target.
        target: Triple,
    },
    /// A custom target's spec was not among the digests.
    #[error("the spec `{path}` of the target `{target}` was not read")]
    NoSpec {
        /// The target.
        target: Triple,
        /// The spec.
        path: RelPath,
    },
    /// A build lacks an archive; the checks before have made sure of them.
    #[error("the build of `{target}` on `{host}` lacks rustc, cargo or rust-src")]
    NoInputs {
        /// The target.
        target: Triple,
        /// The host.
        host: Triple,
    },
}

impl Diagnostic for ResolveError {
    fn class(&self) -> Class {
        match self {
            Self::OtherDay { .. }
            | Self::OtherChannel { .. }
            | Self::FarFuture { .. }
            | Self::Older { .. }
            | Self::TooOld { .. }
            | Self::NewestOlder { .. }
            | Self::Republished { .. }
            | Self::MixedCommits { .. } => Class::Integrity,
            Self::NoPackage { .. }
            | Self::UnknownComponent { .. }
            | Self::UnavailableComponent { .. }
            | Self::UnknownHost { .. }
            | Self::NotShipped { .. }
            | Self::Suspicious { .. }
            | Self::UnknownTarget { .. }
            | Self::NotInstalled { .. } => Class::Unresolvable,
            Self::NoSpec { .. } | Self::HostWithoutStd { .. } => Class::Usage,
            Self::WrongSource { .. } | Self::NoInputs { .. } => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::OtherDay { .. } | Self::OtherChannel { .. } => {
                Some("try another dist server".to_owned())
            }
            Self::FarFuture { .. } => {
                Some("check this machine's clock, then the dist server".into())
            }
            Self::Older { .. } => Some(
                "the server may be a stale mirror; try another one, or accept the older one with \
                 `sysroot lock --allow-downgrade`"
                    .into(),
            ),
            Self::NewestOlder { .. } => Some(
                "the server may be a stale mirror; try another one, or name the date: `sysroot \
                 update YYYY-MM-DD`"
                    .into(),
            ),
            Self::TooOld { .. } => Some(
                "name a newer date in `channel`, or raise `max-age` in the `[dist]` part of your \
                 configuration"
                    .into(),
            ),
            Self::Republished { .. } => Some(
                "compare with another dist server; `sysroot lock --refresh` takes the new bytes over"
                    .to_owned(),
            ),
            Self::MixedCommits { .. } => {
                Some("the server mixes two releases; try another one or another date".to_owned())
            }
            Self::NoPackage { .. } | Self::UnavailableComponent { .. } => {
                Some("choose another date in `channel`".to_owned())
            }
            Self::UnknownComponent { nearest, .. } | Self::UnknownHost { nearest, .. } => {
                did_you_mean(nearest)
            }
            Self::UnknownTarget { nearest, .. } => Some(did_you_mean(nearest).unwrap_or_else(|| {
                "a custom target needs its spec: `sysroot add --spec FILE`, or `spec` in its table"
                    .to_owned()
            })),
            Self::NotShipped {
                nearest, nearby, ..
            } => {
                let build = "`strategy = \"build\"` compiles it";
                let way = match nearby {
                    Nearby::Has(channel) => format!("`{channel}` has it; {build}"),
                    Nearby::NoneOf(1) => format!("the one near it has it neither; {build}"),
                    Nearby::NoneOf(n) => format!("none of the {n} nearest has it; {build}"),
                    Nearby::NotLooked => format!("{build}, or choose another date"),
                };
                Some(match did_you_mean(nearest) {
                    Some(mean) => format!("{mean} otherwise {way}"),
                    None => way,
                })
            }
            Self::Suspicious {
                target, nearest, ..
            } => Some(format!(
                "did you mean `{nearest}`? if not, set `strategy = \"build\"` for `{target}`"
            )),
            Self::NotInstalled { .. } => Some("use `strategy = \"build\"`".to_owned()),
            Self::HostWithoutStd { target } => {
                Some(format!("set `crates = [\"std\"]` for `{target}`"))
            }
            Self::NoSpec { .. } | Self::WrongSource { .. } | Self::NoInputs { .. } => None,
        }
    }
}

fn did_you_mean(nearest: &[String]) -> Option<String> {
    let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    let (last, before) = names.split_last()?;
    Some(if before.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", before.join(", "))
    })
}

/// One change a line, indented.
fn list(changes: &[Republished]) -> String {
    changes.iter().fold(String::new(), |list, change| {
        list + "
  " + &change.to_string()
    })
}
