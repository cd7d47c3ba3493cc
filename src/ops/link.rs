//! `link` and `unlink`: rustup is told that this checkout uses its output.

use std::path::{Path, PathBuf};

use super::project::Project;
use super::{Context, OpsError, system};
use crate::sys::{fs, process};

/// What rustup knows of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// The toolchain's name in rustup.
    pub name: String,
    /// The output it points to.
    pub output: PathBuf,
    /// The directory whose builds use it.
    pub dir: PathBuf,
    /// Whether rustup knew of it, or does now.
    pub known: bool,
}

/// The rustup to talk to.
#[derive(Clone, Debug)]
pub struct Rustup {
    program: PathBuf,
}

impl Rustup {
    /// Finds rustup on PATH.
    pub fn find(cx: &Context<'_>) -> Result<Self, OpsError> {
        let program = system::on_path(cx, "rustup").ok_or_else(|| OpsError::Run {
            program: "rustup".to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, "it is not on PATH"),
        })?;
        Ok(Self { program })
    }

    /// Whether a list that rustup prints has a toolchain. One that cannot be
    /// had is no proof that it has not.
    fn lists(&self, what: &str, toolchain: &str) -> bool {
        let said = self.run(&[what.as_ref(), "list".as_ref()]);
        said.map_or(true, |said| {
            said.split_whitespace().any(|word| word == toolchain)
        })
    }

    /// Runs it, and returns what it says.
    fn run(&self, arguments: &[&std::ffi::OsStr]) -> Result<String, OpsError> {
        let output = process::inherited(self.program.as_os_str())
            .args(arguments)
            .output();
        let output = output.map_err(|source| OpsError::Run {
            program: self.program.display().to_string(),
            source,
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        Err(OpsError::Rustup {
            arguments: words.join(" "),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

/// Makes every rustup proxy in the checkout use the output: links it as a
/// toolchain and overrides the directory's toolchain.
pub fn link(cx: &Context<'_>, project: &Project) -> Result<LinkReport, OpsError> {
    let output = &project.files.output;
    if cx.state(output).is_none() {
        return Err(OpsError::NoOutput(output.clone()));
    }
    let report = describe(project)?;
    let rustup = Rustup::find(cx)?;
    rustup.run(&[
        "toolchain".as_ref(),
        "link".as_ref(),
        report.name.as_ref(),
        report.output.as_ref(),
    ])?;
    let dir = report.dir.as_os_str();
    rustup.run(&[
        "override".as_ref(),
        "set".as_ref(),
        "--path".as_ref(),
        dir,
        report.name.as_ref(),
    ])?;
    Ok(report)
}

/// Undoes [`link`]. What is not of its making stays: where the directory was
/// never linked, or has another toolchain now, its override is the user's.
pub fn unlink(cx: &Context<'_>, project: &Project) -> Result<LinkReport, OpsError> {
    let mut report = describe(project)?;
    let rustup = Rustup::find(cx)?;
    let name = &report.name;
    let (overrides, linked) = (
        rustup.lists("override", name),
        rustup.lists("toolchain", name),
    );
    if overrides {
        let dir = report.dir.as_os_str();
        rustup.run(&[
            "override".as_ref(),
            "unset".as_ref(),
            "--path".as_ref(),
            dir,
        ])?;
    }
    if linked {
        rustup.run(&["toolchain".as_ref(), "uninstall".as_ref(), name.as_ref()])?;
    }
    report.known = overrides || linked;
    Ok(report)
}

fn describe(project: &Project) -> Result<LinkReport, OpsError> {
    let dir = real(&project.files.dir)?;
    let output = dir.join(".sysroot");
    Ok(LinkReport {
        name: name(&dir),
        output,
        dir,
        known: true,
    })
}

fn real(path: &Path) -> Result<PathBuf, OpsError> {
    Ok(fs::at("find", path, std::fs::canonicalize(path))?)
}

/// A name that tells people which checkout it is, and that no two share.
fn name(dir: &Path) -> String {
    let label: String = dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .take(40)
        .collect();
    let hash = blake3::hash(dir.as_os_str().as_encoded_bytes()).to_hex();
    format!("sysroot-{label}-{}", &hash[..8])
}
