//! What is judged: the project's files, each read once and kept with what was
//! wrong with it, and the places in them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::finding::Place;
use super::{VerifyOptions, output};
use crate::document::{Places, Spot};
use crate::lock::{Difference, Lock, differences};
use crate::manifest::Manifest;
use crate::ops::project::{LockFile, ProjectFiles, Spec};
use crate::ops::{Context, OpsError};
use crate::types::{SpecDigest, Triple};

/// A file of the project: its text, if it could be read, and its meaning.
pub(super) struct Source<T> {
    text: Option<String>,
    pub(super) meaning: Result<T, OpsError>,
    /// Where its keys are; looked up by the first problem that has a place.
    places: OnceCell<Places>,
}

impl<T> Source<T> {
    fn new(text: Option<String>, meaning: Result<T, OpsError>) -> Self {
        Self {
            text,
            meaning,
            places: OnceCell::new(),
        }
    }

    /// The place of the first key that is there, else the file as a whole.
    fn place(&self, file: &Path, paths: &[&[&str]]) -> Option<Place> {
        let text = self.text.as_deref()?;
        let places = self.places.get_or_init(|| Places::new(text));
        let spot = paths.iter().find_map(|path| places.key(path));
        Some(Place {
            spot: spot.unwrap_or(Spot { line: 1, column: 1 }),
            ..Place::whole(file)
        })
    }
}

/// Everything that the checks look at.
pub(super) struct Subject<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) files: &'a ProjectFiles,
    pub(super) options: VerifyOptions,
    pub(super) manifest: Source<Manifest>,
    /// `None`: there is no such file.
    pub(super) lock: Source<Option<LockFile>>,
    /// The specs that the manifest names.
    pub(super) specs: BTreeMap<Triple, Result<Spec, OpsError>>,
    /// What the store has of the lock; looked up by the first check that asks.
    pub(super) stored: OnceCell<output::Stored>,
}

impl<'a> Subject<'a> {
    pub(super) fn read(
        cx: &'a Context<'a>,
        files: &'a ProjectFiles,
        options: VerifyOptions,
    ) -> Self {
        let manifest = read_manifest(files);
        let lock = read_lock(files);
        let wanted = manifest.meaning.iter().flat_map(|m| &m.targets);
        let specs = wanted
            .filter_map(|(target, request)| {
                let path = request.spec.as_ref()?;
                Some((target.clone(), files.read_spec(target, path)))
            })
            .collect();
        Self {
            cx,
            files,
            options,
            manifest,
            lock,
            specs,
            stored: OnceCell::new(),
        }
    }

    /// The lock, if there is one that can be read.
    pub(super) fn lock_file(&self) -> Option<&LockFile> {
        self.lock.meaning.as_ref().ok()?.as_ref()
    }

    /// Where manifest and lock differ; `None` if one of them cannot be read.
    pub(super) fn differences(&self) -> Option<Vec<Difference>> {
        let manifest = self.manifest.meaning.as_ref().ok()?;
        let specs: BTreeMap<Triple, SpecDigest> = self
            .specs
            .iter()
            .filter_map(|(target, spec)| Some((target.clone(), spec.as_ref().ok()?.digest)))
            .collect();
        Some(differences(manifest, &specs, &self.lock_file()?.lock))
    }

    /// The first of some keys that the manifest has.
    pub(super) fn in_manifest(&self, paths: &[&[&str]]) -> Option<Place> {
        self.manifest.place(&self.files.manifest, paths)
    }

    /// The first of some keys that the lock has.
    pub(super) fn in_lock(&self, paths: &[&[&str]]) -> Option<Place> {
        self.lock.place(&self.files.lock, paths)
    }

    /// The file that an error is about, as far as it says so.
    pub(super) fn place_of_error(&self, error: &OpsError) -> Vec<Place> {
        match error {
            OpsError::Manifest(_) => vec![Place::whole(&self.files.manifest)],
            OpsError::Lock(_) => vec![Place::whole(&self.files.lock)],
            _ => Vec::new(),
        }
    }
}

// Errors call the files by their names, not by where the checkout is.

fn read_manifest(files: &ProjectFiles) -> Source<Manifest> {
    let name = Path::new(files.manifest.file_name().unwrap_or_default());
    match files.manifest_text() {
        Err(e) => Source::new(None, Err(e)),
        Ok(text) => {
            let meaning = Manifest::parse(&text, name).map_err(Into::into);
            Source::new(Some(text), meaning)
        }
    }
}

fn read_lock(files: &ProjectFiles) -> Source<Option<LockFile>> {
    let name = Path::new(files.lock.file_name().unwrap_or_default());
    match files.lock_text() {
        Err(e) => Source::new(None, Err(e)),
        Ok(None) => Source::new(None, Ok(None)),
        Ok(Some(text)) => {
            let meaning = Lock::parse(&text, name).map_err(Into::into);
            let file = meaning.map(|lock| {
                let text = text.clone();
                Some(LockFile { lock, text })
            });
            Source::new(Some(text), file)
        }
    }
}
