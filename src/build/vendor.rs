//! The crates that the library's workspace depends on.
//!
//! Cargo resolves the whole workspace before it compiles one crate of it, so
//! every package of `Cargo.lock` must be found somewhere, also those that no
//! build of `core` ever needs. Upstream ships all of them since May 2026;
//! before that there were none, and distributions ship some. What is missing
//! is stood in for by a *stub*: a package with the locked name, version,
//! dependencies and checksum that refuses to compile.
//!
//! The library's `Cargo.lock` stays the law: `cargo_lock` refuses a resolution
//! that names anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::cargo_lock::{CargoLock, Package};
use crate::sys::fs::{self, FsError};
use crate::types::{Class, Diagnostic};

/// The largest manifest or lock file that is read, in bytes.
const TEXT_LIMIT: u64 = 16 << 20;

/// Why the dependencies of the workspace cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// A file of the sources is no TOML, or not of the expected shape.
    #[error("`{}` cannot be read", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A package name or version that is no plain word.
    #[error("the library's Cargo.lock names a package `{}`", .0.escape_debug())]
    Name(String),
    /// Cargo resolved to something that the library's lock does not have.
    #[error("cargo chose `{}`, which the library's Cargo.lock does not have", .0.escape_debug())]
    NotLocked(String),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Diagnostic for VendorError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } | Self::Name(_) | Self::NotLocked(_) => Class::Integrity,
            Self::Fs(e) => e.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } | Self::Name(_) | Self::NotLocked(_) => {
                Some("install the library's sources afresh".to_owned())
            }
            Self::Fs(e) => e.hint(),
        }
    }
}

/// How much of what `Cargo.lock` names stands in the sources' own `vendor/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendored {
    /// All of it.
    Complete,
    /// A part; a distribution left the rest out.
    Pruned,
    /// Nothing.
    Absent,
}

/// The vendored packages by name and version.
pub(super) struct Vendor {
    dir: PathBuf,
    packages: BTreeMap<(String, String), String>,
}

impl Vendor {
    /// Looks at `library/vendor`.
    pub(super) fn read(library: &Path) -> Result<Self, VendorError> {
        let dir = library.join("vendor");
        let mut packages = BTreeMap::new();
        for name in fs::list(&dir)? {
            let package = dir.join(&name);
            let Some(name) = name.to_str() else { continue };
            if !package.join(".cargo-checksum.json").is_file() {
                continue;
            }
            let manifest: toml::Table = read_toml(&package.join("Cargo.toml"))?;
            let text = |key| {
                manifest
                    .get("package")?
                    .get(key)?
                    .as_str()
                    .map(str::to_owned)
            };
            if let (Some(id), Some(version)) = (text("name"), text("version")) {
                packages.insert((id, version), name.to_owned());
            }
        }
        Ok(Self { dir, packages })
    }

    pub(super) fn state(&self, lock: &CargoLock) -> Vendored {
        let has = |p: &Package| self.dir_of(p).is_some();
        if lock.registry().all(has) {
            Vendored::Complete
        } else if self.packages.is_empty() {
            Vendored::Absent
        } else {
            Vendored::Pruned
        }
    }

    fn dir_of(&self, package: &Package) -> Option<&String> {
        let key = (package.name.clone(), package.version.clone());
        self.packages.get(&key)
    }

    /// Writes a directory source at `to` that has every package of `lock`:
    /// links to the vendored ones, and stubs.
    pub(super) fn lay_out(
        &self,
        library: &Path,
        lock: &CargoLock,
        to: &Path,
    ) -> Result<(), VendorError> {
        fs::create_dir_all(to)?;
        let features = requested_features(library)?;
        for package in lock.registry() {
            let name = format!("{}-{}", plain(&package.name)?, plain(&package.version)?);
            match self.dir_of(package) {
                Some(dir) => fs::symlink(&self.dir.join(dir), &to.join(name))?,
                None => write_stub(package, lock, &features, &to.join(name))?,
            }
        }
        Ok(())
    }
}

/// A name or version that is safe as a directory name and inside quotes.
fn plain(text: &str) -> Result<&str, VendorError> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    let fine = text.bytes().all(safe) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fine {
        Ok(text)
    } else {
        Err(VendorError::Name(text.chars().take(100).collect()))
    }
}

fn write_stub(
    package: &Package,
    lock: &CargoLock,
    features: &Features,
    dir: &Path,
) -> Result<(), VendorError> {
    fs::create_dir_all(&dir.join("src"))?;
    let message = format!(
        "compile_error!(\"the library's sources on this machine lack the crate {} {}\");\n",
        package.name, package.version
    );
    fs::write_new(&dir.join("src/lib.rs"), message.as_bytes())?;
    let manifest = stub_manifest(package, lock, features)?;
    fs::write_new(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    let checksum = plain(package.checksum.as_deref().unwrap_or("none"))?;
    let text = format!("{{\"files\":{{}},\"package\":\"{checksum}\"}}");
    fs::write_new(&dir.join(".cargo-checksum.json"), text.as_bytes())?;
    Ok(())
}

fn stub_manifest(
    package: &Package,
    lock: &CargoLock,
    features: &Features,
) -> Result<String, VendorError> {
    let mut text = format!(
        "[package]\nname = \"{}\"\nversion = \"{}\"\nedition = \"2021\"\n\n[dependencies]\n",
        package.name, package.version
    );
    for dependency in &package.dependencies {
        let (name, version) = lock.dependency_id(dependency);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{} = {{ version = \"={}\", default-features = false }}",
            plain(name)?,
            plain(version)?
        );
    }
    text.push_str("\n[features]\ndefault = []\n");
    for feature in features.get(&package.name).into_iter().flatten() {
        if feature != "default" {
            let _ = writeln!(text, "\"{}\" = []", plain(feature)?);
        }
    }
    Ok(text)
}

/// The features that anybody asks of a package, by the package's name.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Collects the features that any manifest of the sources asks of a package.
fn requested_features(library: &Path) -> Result<Features, VendorError> {
    let mut features = Features::new();
    let mut pending = vec![(library.to_owned(), 0)];
    while let Some((dir, depth)) = pending.pop() {
        let manifest = dir.join("Cargo.toml");
        if manifest.is_file() {
            collect_features(&read_toml(&manifest)?, &mut features);
        }
        if depth == 2 {
            continue;
        }
        for name in fs::list(&dir)? {
            let child = dir.join(name);
            if child.is_dir() {
                pending.push((child, depth + 1));
            }
        }
    }
    Ok(features)
}

fn collect_features(manifest: &toml::Table, features: &mut Features) {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values);
    for table in std::iter::once(manifest).chain(targets.filter_map(toml::Value::as_table)) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in dependencies {
                let package = value.get("package").and_then(toml::Value::as_str);
                let wanted = strings(value.get("features"));
                let entry = features
                    .entry(package.unwrap_or(name).to_owned())
                    .or_default();
                entry.extend(wanted.map(str::to_owned));
            }
        }
    }
    let forwarded = manifest.get("features").and_then(toml::Value::as_table);
    for entry in forwarded.into_iter().flat_map(toml::Table::values) {
        for text in strings(Some(entry)) {
            if let Some((package, feature)) = text.split_once('/') {
                let package = package.trim_end_matches('?').to_owned();
                features
                    .entry(package)
                    .or_default()
                    .insert(feature.to_owned());
            }
        }
    }
}

fn strings(value: Option<&toml::Value>) -> impl Iterator<Item = &str> {
    let array = value.and_then(toml::Value::as_array);
    array.into_iter().flatten().filter_map(toml::Value::as_str)
}

pub(super) fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, VendorError> {
    let text = fs::read_text(path, TEXT_LIMIT)?;
    toml::from_str(&text).map_err(|source| VendorError::Malformed {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::super::cargo_lock::tests::LOCK;
    use super::*;

    fn lock(text: &str) -> CargoLock {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_stub_has_the_locked_dependencies_and_every_feature_asked_for() {
        let library = tempfile::tempdir().unwrap();
        let manifest = "[target.'cfg(windows)'.dependencies]\nx = { package = \"a\", features = \
                        [\"f\"] }\n[features]\ng = [\"a?/g\", \"h\"]\n";
        fs::create_dir_all(&library.path().join("std")).unwrap();
        fs::write_new(&library.path().join("std/Cargo.toml"), manifest.as_bytes()).unwrap();
        let vendor = Vendor::read(library.path()).unwrap();
        let lock = lock(LOCK);
        assert_eq!(vendor.state(&lock), Vendored::Absent);
        let to = library.path().join("out");
        vendor.lay_out(library.path(), &lock, &to).unwrap();
        let stub: toml::Table = read_toml(&to.join("a-1.0.0+x/Cargo.toml")).unwrap();
        assert_eq!(
            stub["dependencies"]["b"]["version"].as_str(),
            Some("=2.0.0")
        );
        let features: Vec<_> = stub["features"].as_table().unwrap().keys().collect();
        assert_eq!(features, ["default", "f", "g"]);
    }

    #[test]
    fn a_lock_cannot_name_a_package_outside_the_directory() {
        let bad = lock(&LOCK.replacen("name = \"a\"", "name = \"../../a\"", 1));
        let dir = tempfile::tempdir().unwrap();
        let vendor = Vendor::read(dir.path()).unwrap();
        let result = vendor.lay_out(dir.path(), &bad, &dir.path().join("out"));
        assert!(matches!(result, Err(VendorError::Name(_))));
    }
}
