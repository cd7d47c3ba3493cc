//! `diff`: what a change of the lock means.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::project::{MAX_LOCK, Project};
use super::{Context, OpsError, system};
use crate::document::escape_controls;
use crate::lock::{Change, Lock, changes};
use crate::sys::process;

/// How long git may take to print a lock, which is on this machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What has changed since a revision.
#[derive(Clone, Debug)]
pub struct DiffReport {
    /// The revision, as it was named.
    pub rev: String,
    /// What is not what it was there.
    pub changes: Vec<Change>,
}

/// Compares the lock with that of a revision of git's.
pub fn diff(cx: &Context<'_>, project: &Project, rev: &str) -> Result<DiffReport, OpsError> {
    let file = project.read_lock()?;
    let new = file.ok_or_else(|| OpsError::MissingLock(project.files.lock.clone()))?;
    let text = committed(cx, project, rev)?;
    let old = Lock::parse(&text, &named(rev, "", &project.files.lock));
    let old = old.map_err(OpsError::CommittedLock)?;
    Ok(DiffReport {
        rev: rev.to_owned(),
        changes: changes(&old, &new.lock),
    })
}

/// The lock of a revision as git names it; `from` is the directory that its
/// path starts from.
fn named(rev: &str, from: &str, lock: &Path) -> PathBuf {
    let mut name = OsString::from(format!("{rev}:{from}"));
    name.push(lock.file_name().unwrap_or_default());
    name.into()
}

/// The lock's text in a revision.
fn committed(cx: &Context<'_>, project: &Project, rev: &str) -> Result<String, OpsError> {
    let fail = |message: String| OpsError::Git {
        rev: rev.to_owned(),
        message,
    };
    // What begins with a dash would be a flag of git's.
    if rev.is_empty() || rev.starts_with('-') {
        return Err(fail("that is no revision".to_owned()));
    }
    let git = system::on_path(cx, "git").ok_or_else(|| OpsError::Run {
        program: "git".to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "it is not on PATH"),
    })?;
    // Unlike `show` this gives the bytes, and starts no program that the
    // repository's configuration names. A partial clone would have git fetch
    // what it lacks, by programs that are named there.
    let mut command = process::inherited(git.as_os_str());
    let command = command.arg("-C").arg(&project.files.dir);
    let command = command.args(["cat-file", "blob"]);
    let command = command.arg(named(rev, "./", &project.files.lock));
    let command = command.env("GIT_NO_LAZY_FETCH", "1");
    // An older git does not know that one, but may then use no protocol.
    let command = command.env("GIT_ALLOW_PROTOCOL", "");
    let stop = || cx.cancel.get().is_some();
    let said = process::bytes_unless(command, PATIENCE, MAX_LOCK + 1, stop);
    cx.cancel.check()?;
    let (status, text, message) = said.map_err(|source| OpsError::Run {
        program: git.display().to_string(),
        source,
    })?;
    // First, because it may be why git failed: nobody read on.
    if text.len() as u64 > MAX_LOCK {
        return Err(fail(format!("it has more than {MAX_LOCK} bytes")));
    }
    if !status.success() {
        let message = message.trim().trim_start_matches("fatal: ");
        return Err(fail(escape_controls(message)));
    }
    String::from_utf8(text).map_err(|_| fail("it is not UTF-8".to_owned()))
}
