//! External programs: the one place that makes a `Command`.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what the others must use instead"
)]

use std::path::Path;
use std::process::Command;

/// A command with an empty environment, for programs whose result must not
/// depend on the user's.
pub fn isolated(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// A command with the user's environment, for programs the user named.
pub fn inherited(program: &std::ffi::OsStr) -> Command {
    Command::new(program)
}
