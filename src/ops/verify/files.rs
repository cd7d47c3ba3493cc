//! The judgements that need no more than the project's own files.
#![expect(
    clippy::unnecessary_wraps,
    reason = "the signature is that of every check"
)]

use super::finding::{Finding, Place, Problem};
use super::subject::Subject;
use crate::lock::Difference;
use crate::ops::OpsError;
use crate::types::{Class, Diagnostic as _, counted};

/// Whether there is a lock, and one that can be read.
pub(super) fn lock(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    let files = subject.files;
    Ok(Some(match &subject.lock.meaning {
        Ok(Some(file)) => {
            let targets = counted(file.lock.targets.len(), "target");
            Finding::Good(format!("present and well-formed, {targets}"))
        }
        Ok(None) => {
            // There is no file to show it at but the one beside it.
            let missing = OpsError::MissingLock(files.lock.clone());
            Finding::of_error(&missing, vec![Place::whole(&files.manifest)])
        }
        Err(e) => Finding::of_error(e, vec![Place::whole(&files.lock)]),
    }))
}

/// Whether the manifest can be read, and asks for what is locked.
pub(super) fn manifest(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    if let Err(e) = &subject.manifest.meaning {
        let place = Place::whole(&subject.files.manifest);
        return Ok(Some(Finding::of_error(e, vec![place])));
    }
    let Some(differences) = subject.differences() else {
        let text = "well-formed, but there is no lock to compare it with";
        return Ok(Some(Finding::NotJudged(text.to_owned())));
    };
    let mut differences = differences;
    differences.retain(|difference| !difference.is_of_spec_bytes());
    if differences.is_empty() {
        let text = "every field as locked".to_owned();
        return Ok(Some(Finding::Good(text)));
    }
    let problems = differences.iter().map(|d| of_difference(subject, d));
    Ok(Some(Finding::bad(Class::CheckFailed, problems)))
}

/// A difference, at the key that somebody changed.
fn of_difference(subject: &Subject<'_>, difference: &Difference) -> Problem {
    let (in_manifest, in_lock) = match &difference.target {
        None => {
            let field = difference.field.as_str();
            (
                subject.in_manifest(&[&["toolchain", field], &["toolchain"]]),
                subject.in_lock(&[&[field], &["version"]]),
            )
        }
        Some(target) => {
            let (name, key) = (target.as_str(), difference.key().unwrap_or_default());
            let mut below = vec!["targets", name];
            // `hosts.<triple>.key`: the triple may have dots of its own.
            match key.strip_prefix("hosts.").and_then(|k| k.rsplit_once('.')) {
                Some((host, last)) => below.extend(["hosts", host, last]),
                None => below.extend(["request", key]),
            }
            (
                subject.in_manifest(&[
                    &["targets", name, key],
                    &["defaults", key],
                    &["targets", name],
                    &["targets"],
                ]),
                subject.in_lock(&[&below, &["targets", name, key], &["targets", name]]),
            )
        }
    };
    // What the lock alone is wrong about, and what only the lock has, is shown there.
    let only_locked = difference.manifest.is_none() && difference.key().is_none();
    let of_lock_alone = difference
        .key()
        .is_some_and(|key| key == "options" || key.starts_with("hosts."));
    let mut places: Vec<Place> = in_manifest.into_iter().chain(in_lock).collect();
    if only_locked || (difference.target.is_some() && of_lock_alone) {
        places.reverse();
    }
    Problem {
        difference: Some(difference.clone()),
        ..Problem::from(difference.to_string())
    }
    .at(places)
}

/// Whether the specs can be used, and have the bytes that were locked.
pub(super) fn specs(subject: &Subject<'_>) -> Result<Option<Finding>, OpsError> {
    if subject.manifest.meaning.is_err() {
        let text = "the manifest, which names them, cannot be read";
        return Ok(Some(Finding::NotJudged(text.to_owned())));
    }
    let mut worst = Class::CheckFailed;
    let mut problems = Vec::new();
    for (target, spec) in &subject.specs {
        if let Err(e) = spec {
            if super::severity(e.class()) > super::severity(worst) {
                worst = e.class();
            }
            let key = ["targets", target.as_str(), "spec"];
            let place = subject.in_manifest(&[&key]);
            problems.push(Problem::of_error(e, place.into_iter().collect()));
        }
    }
    let differences = subject.differences().unwrap_or_default();
    for difference in differences.into_iter().filter(Difference::is_of_spec_bytes) {
        let name = difference.target.as_ref().map_or("", |t| t.as_str());
        let file = difference
            .target
            .as_ref()
            .and_then(|target| subject.specs.get(target)?.as_ref().ok())
            .map(|spec| Place::whole(&spec.path));
        let places = file
            .into_iter()
            .chain(subject.in_manifest(&[&["targets", name, "spec"]]))
            .chain(subject.in_lock(&[&["targets", name, "spec-digest"]]));
        let message = difference.to_string().replace(": manifest ", ": file ");
        problems.push(
            Problem {
                difference: Some(difference.clone()),
                ..Problem::from(message)
            }
            .at(places),
        );
    }
    Ok(Some(if !problems.is_empty() {
        Finding::Bad(worst, problems)
    } else if subject.specs.is_empty() {
        Finding::Good("none are named".to_owned())
    } else if subject.lock_file().is_none() {
        Finding::NotJudged("there is no lock to compare them with".to_owned())
    } else {
        let files = counted(subject.specs.len(), "file");
        Finding::Good(format!("{files} as locked"))
    }))
}
