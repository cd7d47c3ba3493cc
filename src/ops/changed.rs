//! `diff`: what a change of the lock means.

use super::project::{MAX_LOCK, Project};
use super::{Context, OpsError, system};
use crate::document::escape_controls;
use crate::lock::{Change, Lock, changes};
use crate::sys::process;

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
    let old = Lock::parse(&text, &project.files.lock)?;
    Ok(DiffReport {
        rev: rev.to_owned(),
        changes: changes(&old, &new.lock),
    })
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
    let name = project.files.lock.file_name().unwrap_or_default();
    let mut blob = std::ffi::OsString::from(format!("{rev}:./"));
    blob.push(name);
    // Unlike `show` this gives the bytes, and starts no program that the
    // repository's configuration names.
    let mut command = process::inherited(git.as_os_str());
    let command = command.arg("-C").arg(&project.files.dir);
    let command = command.args(["cat-file", "blob"]).arg(blob);
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| OpsError::Run {
            program: git.display().to_string(),
            source,
        })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().trim_start_matches("fatal: ");
        return Err(fail(escape_controls(message)));
    }
    if output.stdout.len() as u64 > MAX_LOCK {
        return Err(fail(format!("it has more than {MAX_LOCK} bytes")));
    }
    String::from_utf8(output.stdout).map_err(|_| fail("it is not UTF-8".to_owned()))
}
