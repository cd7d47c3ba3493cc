//! A project: where its files are, and what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::OpsError;
use crate::lock::{Difference, Lock, differences};
use crate::manifest::{Manifest, check_spec};
use crate::sys::fs::{self, FsError};
use crate::types::{FileDigest, RelPath, SpecDigest, Triple};

/// The largest manifest and spec we read.
pub(super) const MAX_MANIFEST: u64 = 1 << 20;
/// The largest lock we read.
pub(super) const MAX_LOCK: u64 = 16 << 20;

/// Where a project's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFiles {
    /// The directory of the manifest.
    pub dir: PathBuf,
    /// `sysroot.toml`, or what `--manifest-path` names.
    pub manifest: PathBuf,
    /// The same name with the extension `lock`.
    pub lock: PathBuf,
    /// `.sysroot` beside the manifest.
    pub output: PathBuf,
}

impl ProjectFiles {
    /// The files that go with a manifest.
    pub fn of_manifest(manifest: &Path) -> Self {
        let dir = match manifest.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        Self {
            lock: manifest.with_extension("lock"),
            output: dir.join(".sysroot"),
            manifest: manifest.to_owned(),
            dir,
        }
    }

    /// Finds the manifest in a directory or the nearest one above it.
    ///
    /// One that belongs to another user is refused, as git refuses such a
    /// repository: whoever can write above your directory must not decide
    /// what your builds use. Root may also use what belongs to `sudo_user`, who
    /// became root, and what stands in `start` itself, where root went.
    pub fn find(start: &Path, sudo_user: Option<u32>) -> Result<Self, OpsError> {
        for dir in start.ancestors() {
            let root = ForRoot {
                sudo_user,
                here: dir == start,
            };
            let manifest = dir.join("sysroot.toml");
            if fs::metadata_if_exists(&manifest)?.is_some() {
                let files = Self::of_manifest(&manifest);
                check_owner(&files.manifest, root)?;
                if fs::metadata_if_exists(&files.lock)?.is_some() {
                    check_owner(&files.lock, root)?;
                }
                return Ok(files);
            }
        }
        Err(OpsError::NoManifest(start.to_owned()))
    }

    /// Reads the manifest and the specs it names.
    pub fn load(self) -> Result<Project, OpsError> {
        let text = self.manifest_text()?;
        let manifest = Manifest::parse(&text, &self.manifest)?;
        let mut specs = BTreeMap::new();
        for (target, request) in &manifest.targets {
            if let Some(path) = &request.spec {
                specs.insert(target.clone(), self.read_spec(target, path)?);
            }
        }
        Ok(Project {
            files: self,
            manifest_digest: FileDigest::of(text.as_bytes()),
            manifest,
            specs,
        })
    }

    /// The text of the manifest.
    pub fn manifest_text(&self) -> Result<String, OpsError> {
        fs::read_text(&self.manifest, MAX_MANIFEST).map_err(|source| {
            // Only one that a flag names; any other was found before.
            if source.source.kind() == std::io::ErrorKind::NotFound {
                return OpsError::MissingManifest(source.path);
            }
            unreadable(source)
        })
    }

    /// The text of the lock; `None` where there is no such file.
    pub fn lock_text(&self) -> Result<Option<String>, OpsError> {
        fs::read_text_if_exists(&self.lock, MAX_LOCK).map_err(unreadable)
    }

    /// Reads the spec that a target names, and checks that it may be used.
    pub fn read_spec(&self, target: &Triple, spec: &RelPath) -> Result<Spec, OpsError> {
        let path = spec.below(&self.dir);
        check_inside(&self.dir, &path, target)?;
        let text = fs::read_text(&path, MAX_MANIFEST).map_err(unreadable_spec)?;
        let bytes = text.into_bytes();
        let digest = check_spec(&bytes, &path)?;
        Ok(Spec {
            path,
            bytes,
            digest,
        })
    }
}

/// Whose files root may use beside its own.
#[derive(Clone, Copy)]
#[cfg_attr(not(unix), expect(dead_code, reason = "files have no owners there"))]
struct ForRoot {
    /// Of the user who became root.
    sudo_user: Option<u32>,
    /// Anybody's, because they stand in the working directory.
    here: bool,
}

#[cfg(unix)]
fn check_owner(path: &Path, root: ForRoot) -> Result<(), OpsError> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    // Of a link both ends count: who owns it chose the file, and who owns the
    // file writes it.
    for metadata in [std::fs::symlink_metadata(path), std::fs::metadata(path)] {
        let owner = match metadata {
            // A link to nowhere or to itself; reading it tells better what is wrong.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || is_link_loop(&e) => continue,
            metadata => fs::at("inspect", path, metadata).map_err(unreadable)?.uid(),
        };
        // Root's files are as trustworthy as root.
        let for_root = user == 0 && (root.here || root.sudo_user == Some(owner));
        if owner != user && owner != 0 && !for_root {
            return Err(OpsError::ForeignManifest {
                path: path.to_owned(),
                owner,
                user,
            });
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_path: &Path, _root: ForRoot) -> Result<(), OpsError> {
    Ok(())
}

/// Tells a file that is wrong in itself, which its author can mend, from a
/// file system that fails.
fn unreadable(source: FsError) -> OpsError {
    use std::io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, IsADirectory};
    let kinds = [FileTooLarge, InvalidData, InvalidInput, IsADirectory];
    if kinds.contains(&source.source.kind()) || is_link_loop(&source.source) {
        let path = source.path.clone();
        return OpsError::Unreadable { path, source };
    }
    source.into()
}

/// Like [`unreadable`]; the manifest or a flag names the spec, so a missing one
/// is their fault.
pub(super) fn unreadable_spec(source: FsError) -> OpsError {
    if source.source.kind() == std::io::ErrorKind::NotFound {
        let path = source.path.clone();
        return OpsError::Unreadable { path, source };
    }
    unreadable(source)
}

#[cfg(unix)]
fn is_link_loop(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link_loop(_error: &std::io::Error) -> bool {
    false
}

/// Refuses a spec that a link takes out of the project.
fn check_inside(dir: &Path, spec: &Path, target: &Triple) -> Result<(), OpsError> {
    match find_outside(dir, spec)? {
        None => Ok(()),
        Some(path) => Err(OpsError::SpecOutside {
            target: target.clone(),
            path,
        }),
    }
}

/// Where a spec really is, if that is not in the project.
pub(super) fn find_outside(dir: &Path, spec: &Path) -> Result<Option<PathBuf>, OpsError> {
    let real = |path: &Path| fs::at("find", path, std::fs::canonicalize(path));
    let path = real(spec).map_err(unreadable_spec)?;
    Ok((!path.starts_with(real(dir)?)).then_some(path))
}

/// A target spec's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Where it is.
    pub path: PathBuf,
    /// Its raw bytes, which are what rustc hashes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: SpecDigest,
}

/// A project's manifest and specs.
#[derive(Clone, Debug)]
pub struct Project {
    /// Where its files are.
    pub files: ProjectFiles,
    /// BLAKE3 of the manifest's text.
    pub manifest_digest: FileDigest,
    /// What it asks for.
    pub manifest: Manifest,
    /// The specs by target.
    pub specs: BTreeMap<Triple, Spec>,
}

/// A lock as it stands on the disk.
#[derive(Clone, Debug)]
pub struct LockFile {
    /// Its meaning.
    pub lock: Lock,
    /// Its text.
    pub text: String,
}

impl LockFile {
    /// BLAKE3 of the text: what an output's state names.
    pub fn digest(&self) -> FileDigest {
        FileDigest::of(self.text.as_bytes())
    }
}

impl Project {
    /// Digests of the specs.
    pub fn spec_digests(&self) -> BTreeMap<Triple, SpecDigest> {
        self.specs
            .iter()
            .map(|(target, spec)| (target.clone(), spec.digest))
            .collect()
    }

    /// Reads the lock, if there is one.
    pub fn read_lock(&self) -> Result<Option<LockFile>, OpsError> {
        let Some(text) = self.files.lock_text()? else {
            return Ok(None);
        };
        let lock = Lock::parse(&text, &self.files.lock)?;
        Ok(Some(LockFile { lock, text }))
    }

    /// The lock's text as it stands, whatever it is; `None` if there is none.
    pub fn lock_text(&self) -> Option<String> {
        fs::read_text_if_exists(&self.files.lock, MAX_LOCK)
            .ok()
            .flatten()
    }

    /// Where the manifest and a lock disagree.
    pub fn differences(&self, lock: &Lock) -> Vec<Difference> {
        differences(&self.manifest, &self.spec_digests(), lock)
    }
}
