//! The no-op `sync`: told from digests and metadata, without understanding
//! one of the project's files.

use std::path::Path;
use std::time::Instant;

use super::bring::is_registered;
use super::project::{MAX_LOCK, MAX_MANIFEST, Project, ProjectFiles, find_outside};
use super::{Context, SyncOptions, SyncReport};
use crate::config::SignaturePolicy;
use crate::lock::Lock;
use crate::materialize::Inputs;
use crate::sys::fs;
use crate::types::FileDigest;

/// The version of sysroot: another one may understand the same files otherwise.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What [`super::sync`] would report, if it would find nothing to do.
///
/// A sync of everything writes down which manifest, specs and lock it found in
/// agreement. While these have the same bytes and the output the same metadata,
/// there is nothing to do, whatever they mean. `None` says only that nobody
/// wrote down enough: `sync` itself must look.
pub fn up_to_date(
    cx: &Context<'_>,
    files: &ProjectFiles,
    options: &SyncOptions,
) -> Option<SyncReport> {
    let begun = Instant::now();
    // What was found right may have been found so before a signature was
    // required, or with another key; the bytes of the files do not tell.
    let must_be_proved = cx.settings.config.dist.signature == SignaturePolicy::Require;
    if options.targets.is_some() || must_be_proved {
        return None;
    }
    let file = cx.state_file(&files.output)?;
    let (lock, inputs) = file.inputs()?;
    let same = inputs.version == VERSION
        && inputs.machine == cx.settings.host
        && digest(&files.lock, MAX_LOCK)? == lock
        && digest(&files.manifest, MAX_MANIFEST)? == inputs.manifest
        && inputs.specs.iter().all(|(path, spec)| {
            let path = path.below(&files.dir);
            matches!(find_outside(&files.dir, &path), Ok(None))
                && digest(&path, MAX_MANIFEST) == Some(*spec)
        });
    let same = same && is_registered(cx, &files.dir);
    if !same || !file.is_untouched(&files.output, cx.settings.jobs) {
        return None;
    }
    Some(SyncReport {
        elapsed: begun.elapsed(),
        ..SyncReport::nothing_to_do(inputs.targets)
    })
}

fn digest(path: &Path, limit: u64) -> Option<FileDigest> {
    Some(FileDigest::of(&fs::read(path, limit).ok()?))
}

/// The files that a lock was found to answer, for the next [`up_to_date`].
pub(super) fn inputs(cx: &Context<'_>, project: &Project, lock: &Lock) -> Inputs {
    let spec = |(target, spec): (_, &super::project::Spec)| {
        let request = project.manifest.targets.get(target)?;
        Some((request.spec.clone()?, FileDigest::of(&spec.bytes)))
    };
    Inputs {
        version: VERSION.to_owned(),
        machine: cx.settings.host.clone(),
        manifest: project.manifest_digest,
        specs: project.specs.iter().filter_map(spec).collect(),
        targets: lock.targets.keys().cloned().collect(),
    }
}
