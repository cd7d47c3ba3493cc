//! The library's `Cargo.lock`: what it names, and whether a resolution kept
//! to it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::vendor::{VendorError, read_toml};
use crate::attest::RegistryCrate;

/// A `Cargo.lock`, as far as it concerns us.
#[derive(Debug, Deserialize)]
pub(super) struct CargoLock {
    #[serde(default)]
    package: Vec<Package>,
}

/// One package of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    source: Option<String>,
    pub(super) checksum: Option<String>,
    #[serde(default)]
    pub(super) dependencies: Vec<String>,
}

impl CargoLock {
    pub(super) fn read(path: &Path) -> Result<Self, VendorError> {
        read_toml(path)
    }

    /// The packages that are not part of the workspace.
    pub(super) fn registry(&self) -> impl Iterator<Item = &Package> {
        self.package.iter().filter(|p| p.source.is_some())
    }

    /// A dependency line is `name`, or `name version` where the name is ambiguous.
    pub(super) fn dependency_id<'a>(&'a self, line: &'a str) -> (&'a str, &'a str) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let only = || self.package.iter().find(|p| p.name == name);
        let version = words.next().or_else(|| only().map(|p| p.version.as_str()));
        (name, version.unwrap_or_default())
    }
}

/// The registry crates that the library's lock names for `std`, for any
/// target and with any of its features; sorted.
pub fn std_crates(library: &Path) -> Result<Vec<RegistryCrate>, VendorError> {
    let lock = CargoLock::read(&library.join("Cargo.lock"))?;
    let mut reached = BTreeSet::new();
    let mut pending = vec!["sysroot"];
    while let Some(line) = pending.pop() {
        let (name, version) = lock.dependency_id(line);
        let mut packages = lock.package.iter();
        if let Some(package) = packages.find(|p| p.name == name && p.version == version)
            && reached.insert((name, version))
        {
            pending.extend(package.dependencies.iter().map(String::as_str));
        }
    }
    let used = |p: &&Package| reached.contains(&(p.name.as_str(), p.version.as_str()));
    let mut crates: Vec<RegistryCrate> = (lock.registry().filter(used))
        .map(|package| RegistryCrate {
            name: package.name.clone(),
            version: package.version.clone(),
            checksum: package.checksum.clone(),
        })
        .collect();
    crates.sort();
    Ok(crates)
}

/// Refuses a resolution that has a registry package which the library's own
/// lock does not have in the same version with the same checksum.
pub(super) fn check_lock(original: &CargoLock, resolved: &CargoLock) -> Result<(), VendorError> {
    let id = |p: &Package| {
        (
            p.name.clone(),
            p.version.clone(),
            p.source.clone(),
            p.checksum.clone(),
        )
    };
    let locked: BTreeSet<_> = original.package.iter().map(id).collect();
    match resolved.package.iter().find(|p| !locked.contains(&id(p))) {
        Some(p) => Err(VendorError::NotLocked(format!("{} {}", p.name, p.version))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::build) const LOCK: &str = r#"
version = 4
[[package]]
name = "std"
version = "0.0.0"
dependencies = ["a"]
[[package]]
name = "a"
version = "1.0.0+x"
source = "registry+https://example.org/index"
checksum = "aa"
dependencies = ["b 2.0.0"]
[[package]]
name = "b"
version = "2.0.0"
source = "registry+https://example.org/index"
checksum = "bb"
[[package]]
name = "b"
version = "3.0.0"
source = "registry+https://example.org/index"
checksum = "cc"
"#;

    fn lock(text: &str) -> CargoLock {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_crates_of_std_are_those_that_it_reaches() {
        let dir = tempfile::tempdir().unwrap();
        let sysroot =
            "[[package]]\nname = \"sysroot\"\nversion = \"0.0.0\"\ndependencies = [\"std\"]\n";
        let text = format!("{LOCK}{sysroot}");
        crate::sys::fs::write_new(&dir.path().join("Cargo.lock"), text.as_bytes()).unwrap();
        let found = std_crates(dir.path()).unwrap();
        let names: Vec<_> = (found.iter())
            .map(|c| (c.name.as_str(), c.version.as_str(), c.checksum.as_deref()))
            .collect();
        assert_eq!(
            names,
            [("a", "1.0.0+x", Some("aa")), ("b", "2.0.0", Some("bb"))]
        );
    }

    #[test]
    fn only_packages_of_the_original_lock_pass() {
        let original = lock(LOCK);
        let fewer = LOCK.split("[[package]]\nname = \"b\"").next().unwrap();
        check_lock(&original, &lock(fewer)).unwrap();
        for (from, to) in [
            ("2.0.0\"\ns", "2.0.1\"\ns"),
            ("\"bb\"", "\"xx\""),
            ("example.org", "e"),
        ] {
            let other = LOCK.replacen(from, to, 1);
            assert_ne!(other, LOCK);
            assert!(check_lock(&original, &lock(&other)).is_err(), "{from}");
        }
    }
}
