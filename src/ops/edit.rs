//! `add` and `remove`: targets in the manifest's text.

use std::path::{Path, PathBuf};

use super::lock::{LockMode, LockOptions, lock};
use super::project::{Project, unreadable_spec};
use super::{Context, OpsError};
use crate::events::Silent;
use crate::lock::{Lock, LockedSource};
use crate::manifest::{Manifest, NewTarget, with_target, without_target};
use crate::sys::fs;
use crate::types::nearest::nearest;
use crate::types::{Channel, Class, CrateSet, Diagnostic, RelPath, Strategy, Triple};

/// Why targets cannot be added or removed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// One spec is of one target.
    #[error("`{}` is the spec of one target, and {count} are named", .spec.display())]
    OneSpec {
        /// The spec.
        spec: PathBuf,
        /// How many targets are named.
        count: usize,
    },
    /// A spec's name is no target's.
    #[error("`{}` cannot be a target spec: its name is not `<target>.json`", .0.display())]
    SpecName(PathBuf),
    /// A spec is a link to a file of another name, which is what would be
    /// written.
    #[error(
        "`{}` is a link to `{}`, and a spec's name is its target's", .spec.display(), .real.display()
    )]
    SpecLink {
        /// The link.
        spec: PathBuf,
        /// The file.
        real: PathBuf,
    },
    /// A spec lies outside of the project.
    #[error("the spec `{}` lies outside of the project `{}`", .spec.display(), .dir.display())]
    SpecOutside {
        /// The spec.
        spec: PathBuf,
        /// The directory of the manifest.
        dir: PathBuf,
    },
    /// There is no such target to remove.
    #[error("the manifest has no target `{target}`; it has {}", list(.known))]
    NoTarget {
        /// The name.
        target: Triple,
        /// The targets it has.
        known: Vec<Triple>,
    },
    /// The text is written in a way that we cannot change safely.
    #[error("`{}` is written in a way that cannot be edited without changing more than asked", .0.display())]
    NotEditable(PathBuf),
}

fn list(names: &[Triple]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

impl Diagnostic for EditError {
    fn class(&self) -> Class {
        match self {
            Self::OneSpec { .. }
            | Self::SpecName(_)
            | Self::SpecLink { .. }
            | Self::SpecOutside { .. }
            | Self::NoTarget { .. }
            | Self::NotEditable(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::OneSpec { .. } => "add each custom target by itself".to_owned(),
            Self::SpecName(_) => "rename it: cargo takes the file's stem for the name".to_owned(),
            Self::SpecLink { .. } => "name the file itself, or copy it".to_owned(),
            Self::SpecOutside { .. } => "copy the spec into the project".to_owned(),
            Self::NoTarget { target, known } => {
                let near = nearest(target.as_str(), known.iter().map(Triple::as_str))?;
                format!("did you mean `{near}`?")
            }
            Self::NotEditable(_) => "edit the file by hand".to_owned(),
        })
    }
}

/// What is asked of `add`.
#[derive(Clone, Debug, Default)]
pub struct AddOptions {
    /// The targets; may be empty where a spec names one.
    pub targets: Vec<Triple>,
    /// Download, build, or whichever fits; `None`: as the defaults say.
    pub strategy: Option<Strategy>,
    /// The crates to build; `None`: as the defaults say.
    pub crates: Option<CrateSet>,
    /// A custom target's spec.
    pub spec: Option<PathBuf>,
}

/// What `add` or `remove` did to the manifest.
#[derive(Clone, Debug)]
pub struct EditReport {
    /// The manifest.
    pub manifest: PathBuf,
    /// The targets that were added or removed.
    pub targets: Vec<Triple>,
    /// Those of them that upstream does not ship and that have no spec, as far
    /// as that can be told without the network. The compiler may not know them.
    pub not_shipped: Vec<Triple>,
}

/// Writes more targets into the manifest, and nothing else.
///
/// The result is parsed before it is written. Where what upstream ships is
/// known without asking anybody, a target that cannot be had is refused.
pub fn add(
    cx: &Context<'_>,
    project: &Project,
    options: &AddOptions,
) -> Result<EditReport, OpsError> {
    let file = &project.files.manifest;
    let mut targets = options.targets.clone();
    let mut new = NewTarget {
        strategy: options.strategy,
        crates: options.crates,
        spec: None,
    };
    if let Some(spec) = &options.spec {
        let (stem, path) = named_by(project, spec)?;
        if targets.is_empty() {
            targets.push(stem);
        }
        let [target] = &*targets else {
            let (spec, count) = (spec.clone(), targets.len());
            return Err(EditError::OneSpec { spec, count }.into());
        };
        project.files.read_spec(target, &path)?;
        new.spec = Some(path);
    }
    let mut text = project.files.manifest_text()?;
    for target in &targets {
        text = with_target(&text, file, target, &new)?;
    }
    let mut expected = project.manifest.clone();
    let edited = Manifest::parse(&text, file)?;
    for target in &targets {
        if let Some(request) = edited.targets.get(target) {
            expected.targets.insert(target.clone(), request.clone());
        }
    }
    let same = edited == expected && targets.iter().all(|t| edited.targets.contains_key(t));
    if !same {
        return Err(EditError::NotEditable(file.clone()).into());
    }
    let mut not_shipped = check_offline(cx, project, edited)?;
    not_shipped.retain(|target| targets.contains(target));
    fs::replace(file, text.as_bytes())?;
    Ok(EditReport {
        manifest: file.clone(),
        targets,
        not_shipped,
    })
}

/// Takes targets out of the manifest, and nothing else.
pub fn remove(project: &Project, targets: &[Triple]) -> Result<EditReport, OpsError> {
    let file = &project.files.manifest;
    let mut text = project.files.manifest_text()?;
    let mut expected = project.manifest.clone();
    for target in targets {
        let edited = without_target(&text, file, target)?;
        text = edited.ok_or_else(|| EditError::NoTarget {
            target: target.clone(),
            known: expected.targets.keys().cloned().collect(),
        })?;
        expected.targets.remove(target);
    }
    if Manifest::parse(&text, file)? != expected {
        return Err(EditError::NotEditable(file.clone()).into());
    }
    fs::replace(file, text.as_bytes())?;
    Ok(EditReport {
        manifest: file.clone(),
        targets: targets.to_vec(),
        not_shipped: Vec::new(),
    })
}

/// The target that a spec's file name stands for, and the spec's path below
/// the manifest's directory.
fn named_by(project: &Project, spec: &Path) -> Result<(Triple, RelPath), OpsError> {
    let real = fs::at("find", spec, std::fs::canonicalize(spec)).map_err(unreadable_spec)?;
    let dir = &project.files.dir;
    let dir = fs::at("find", dir, std::fs::canonicalize(dir))?;
    let name = spec.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| name.strip_suffix(".json")?.parse().ok());
    let stem = stem.ok_or_else(|| EditError::SpecName(spec.to_owned()))?;
    let below = real.strip_prefix(&dir).ok().and_then(Path::to_str);
    match below.and_then(|below| below.parse().ok()) {
        Some(_) if real.file_name() != spec.file_name() => {
            let spec = spec.to_owned();
            Err(EditError::SpecLink { spec, real }.into())
        }
        Some(below) => Ok((stem, below)),
        None => Err(EditError::SpecOutside { spec: real, dir }.into()),
    }
}

/// Refuses what cannot be resolved, if that can be told without the network:
/// from the system's compiler, or a channel manifest that was kept. Returns the
/// targets that are compiled by their names alone.
fn check_offline(
    cx: &Context<'_>,
    project: &Project,
    manifest: Manifest,
) -> Result<Vec<Triple>, OpsError> {
    let mut settings = cx.settings.clone();
    settings.offline = true;
    let quiet = Context {
        settings: &settings,
        observer: &Silent,
        cancel: cx.cancel,
    };
    let mut project = project.clone();
    for (target, request) in &manifest.targets {
        if let Some(spec) = &request.spec {
            let spec = project.files.read_spec(target, spec)?;
            project.specs.insert(target.clone(), spec);
        }
    }
    project.manifest = manifest;
    let options = LockOptions {
        look_nearby: false,
        ..LockMode::DryRun.into()
    };
    match lock(&quiet, &project, options) {
        Ok(report) => Ok(not_shipped(&report.file.lock)),
        Err(error) if error.class() == Class::Unresolvable => Err(error),
        // Whatever else is wrong is for `sync` to tell.
        Err(_) => Ok(Vec::new()),
    }
}

/// The targets that are compiled although nothing asks for it: upstream does
/// not ship them. The system's compiler was asked whether it knows them.
fn not_shipped(lock: &Lock) -> Vec<Triple> {
    if lock.channel == Channel::System {
        return Vec::new();
    }
    let targets = lock.targets.iter().filter(|(_, target)| {
        let request = &target.request;
        let asked = request.strategy == Strategy::Build || request.build_only_key().is_some();
        matches!(target.source, LockedSource::Build { .. }) && !asked
    });
    targets.map(|(name, _)| name.clone()).collect()
}
