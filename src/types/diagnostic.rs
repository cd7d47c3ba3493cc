//! What every error of this crate can say beside its message: the class that
//! decides the exit code, and the next command to type.

/// The class of an error; scripts see it as the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A check says no: stale lock, output that differs (1).
    CheckFailed,
    /// The command line, `sysroot.toml`, the environment or the lock is wrong (2).
    Usage,
    /// No such date, target or component (3).
    Unresolvable,
    /// A server or remote could not be reached or answered with an error (4).
    Network,
    /// Bytes differ from the stated hash or size, or break the format's rules (5).
    Integrity,
    /// A signature, a key, or an unsafe owner or mode (6).
    Trust,
    /// The compiler failed, or is not the locked one (7).
    Build,
    /// Waited too long for another process (8).
    Busy,
    /// The file system said no (9).
    FileSystem,
    /// A bug in sysroot itself (70).
    Bug,
    /// Interrupted by the user (130).
    Interrupted,
    /// Terminated by a signal of another process (143).
    Terminated,
}

impl Class {
    /// The process exit code of this class.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::CheckFailed => 1,
            Self::Usage => 2,
            Self::Unresolvable => 3,
            Self::Network => 4,
            Self::Integrity => 5,
            Self::Trust => 6,
            Self::Build => 7,
            Self::Busy => 8,
            Self::FileSystem => 9,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// What brings a tree into the store that an intact output is made of: a sync
/// that finds the output in order does not look into the store.
pub const REFILL: &str =
    "run `sysroot sync`; if that has nothing to do, remove `.sysroot` and run it again";

/// An error that knows its class and, where there is one, the way out.
///
/// Implementations match without `_`, so that a new variant does not compile
/// until someone has decided its class.
pub trait Diagnostic: std::error::Error {
    /// The class, and with it the exit code.
    fn class(&self) -> Class;

    /// What the user can do next, one line, without the word "hint".
    fn hint(&self) -> Option<String> {
        None
    }

    /// A rendered excerpt of the offending file with a caret, where there is
    /// one. It is printed instead of the plain message.
    fn excerpt(&self) -> Option<String> {
        None
    }
}
