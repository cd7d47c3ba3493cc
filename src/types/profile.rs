//! What a target is compiled with: crates, profile, strategy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a target's core is obtained, as asked for in the manifest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Download if upstream ships it and nothing asks for a build, else build.
    #[default]
    Auto,
    /// Upstream's `rust-std`, or an error.
    Download,
    /// Compiled from `rust-src`.
    Build,
}

/// The crates of a compiled target; each set includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrateSet {
    /// `core` and `compiler_builtins`.
    Core,
    /// `core`, `alloc` and `compiler_builtins`.
    Alloc,
    /// Everything that upstream's `rust-std` has.
    Std,
}

impl CrateSet {
    /// The crate names as the manifest and the lock spell them.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Core => &["core"],
            Self::Alloc => &["core", "alloc"],
            Self::Std => &["std"],
        }
    }
}

/// `opt-level`, as cargo's profiles spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptLevel {
    /// 0 to 3.
    Number(u8),
    /// `"s"`: for size.
    Size,
    /// `"z"`: for size, without loop vectorisation.
    SizeMin,
}

impl fmt::Display for OptLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Size => f.write_str("s"),
            Self::SizeMin => f.write_str("z"),
        }
    }
}

/// `debug`: how much debug information the compiled crates carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DebugInfo {
    /// None.
    None,
    /// `"line-tables-only"`.
    LineTablesOnly,
    /// `"limited"` (1), what upstream ships.
    Limited,
    /// `"full"` (2).
    Full,
}

impl DebugInfo {
    /// The value as rustc's `-Cdebuginfo` and cargo's `debug` spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::LineTablesOnly => "line-tables-only",
            Self::Limited => "limited",
            Self::Full => "full",
        }
    }
}

/// `panic`: the strategy the crates are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Panic {
    /// Unwinding.
    Unwind,
    /// Abort through the panic handler.
    Abort,
    /// Trap at the place of the panic, without message or handler.
    ImmediateAbort,
}

impl Panic {
    /// The value as rustc's `-Cpanic` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unwind => "unwind",
            Self::Abort => "abort",
            Self::ImmediateAbort => "immediate-abort",
        }
    }
}

/// The profile keys of a target table; `None` means not mentioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Optimisation level.
    pub opt_level: Option<OptLevel>,
    /// Debug information.
    pub debug: Option<DebugInfo>,
    /// Panic strategy.
    pub panic: Option<Panic>,
    /// Number of code generation units, 1 to 256.
    pub codegen_units: Option<u16>,
    /// Whether rlibs carry LLVM bitcode, which link-time optimisation reads.
    pub embed_bitcode: Option<bool>,
}

impl Profile {
    /// Whether no key was mentioned.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
