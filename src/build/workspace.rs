//! A private copy of the library's workspace, made of links.
//!
//! ```text
//! <root>/library/Cargo.toml, Cargo.lock   copies: cargo rewrites the lock
//! <root>/library/std/Cargo.toml           copy: without the dylib, see below
//! <root>/library/vendor/                  links and stubs, see `vendor`
//! <root>/library/core, alloc, ...         links to the sources
//! ```
//!
//! The sources themselves are never written to. `std` is built as an rlib
//! only: a dylib would have to be linked for the target, and building a
//! target's crates must never start a linker for it.

use std::path::{Path, PathBuf};

use super::cargo_lock::{self, CargoLock};
use super::vendor::{Vendor, VendorError, Vendored};
use crate::sys::fs;

/// The workspace, and where cargo finds the crates it depends on.
#[derive(Debug)]
pub(super) struct Workspace {
    /// The directory that holds `library/`; its name must not reach the
    /// compiled files.
    pub(super) root: PathBuf,
    /// What its links point into, with every link on the way resolved; it
    /// must not reach the compiled files either.
    pub(super) sources: PathBuf,
    /// Whether a directory source has every dependency, so that no network is
    /// needed.
    pub(super) vendored: bool,
}

impl Workspace {
    /// Lays the workspace out below `root`, in place of one that failed.
    ///
    /// With `may_fetch`, sources without any vendored crate are left to cargo
    /// and the network; else stubs stand in for what is missing.
    pub(super) fn lay_out(
        rust_src: &Path,
        root: &Path,
        may_fetch: bool,
    ) -> Result<Self, VendorError> {
        let sources = fs::at("resolve", rust_src, rust_src.canonicalize())?;
        let (from, to) = (sources.join("library"), root.join("library"));
        fs::remove_dir_all(root)?;
        fs::create_dir_all(&to)?;
        for name in fs::list(&from)? {
            match name.to_str() {
                Some("vendor" | ".cargo") => {}
                Some("Cargo.toml" | "Cargo.lock") => copy(&from.join(&name), &to.join(&name))?,
                Some("std") => lay_out_std(&from.join(&name), &to.join(&name))?,
                _ => fs::symlink(&from.join(&name), &to.join(&name))?,
            }
        }
        let lock = CargoLock::read(&from.join("Cargo.lock"))?;
        let vendor = Vendor::read(&from)?;
        let vendored = !may_fetch || vendor.state(&lock) != Vendored::Absent;
        if vendored {
            vendor.lay_out(&from, &lock, &to.join("vendor"))?;
        }
        Ok(Self {
            root: root.to_owned(),
            sources,
            vendored,
        })
    }

    /// The workspace's manifest.
    pub(super) fn manifest(&self) -> PathBuf {
        self.root.join("library/Cargo.toml")
    }

    /// The directory source, if there is one.
    pub(super) fn vendor(&self) -> Option<PathBuf> {
        self.vendored.then(|| self.root.join("library/vendor"))
    }

    /// Checks that cargo kept to the library's own lock.
    pub(super) fn check_lock(&self) -> Result<(), VendorError> {
        let original = CargoLock::read(&self.sources.join("library/Cargo.lock"))?;
        let resolved = CargoLock::read(&self.root.join("library/Cargo.lock"))?;
        cargo_lock::check_lock(&original, &resolved)
    }
}

/// Whether the sources have no vendored crate at all, so that building `std`
/// needs the network.
pub(super) fn lacks_vendor(rust_src: &Path) -> Result<bool, VendorError> {
    let library = rust_src.join("library");
    let lock = CargoLock::read(&library.join("Cargo.lock"))?;
    Ok(Vendor::read(&library)?.state(&lock) == Vendored::Absent)
}

fn copy(from: &Path, to: &Path) -> Result<(), VendorError> {
    let bytes = fs::read(from, 16 << 20)?;
    fs::write_new(to, &bytes)?;
    Ok(())
}

fn lay_out_std(from: &Path, to: &Path) -> Result<(), VendorError> {
    fs::create_dir_all(to)?;
    for name in fs::list(from)? {
        if name != "Cargo.toml" {
            fs::symlink(&from.join(&name), &to.join(&name))?;
        }
    }
    let manifest = from.join("Cargo.toml");
    let mut table: toml::Table = super::vendor::read_toml(&manifest)?;
    if let Some(lib) = table.get_mut("lib").and_then(toml::Value::as_table_mut) {
        let rlib = toml::Value::Array(vec!["rlib".into()]);
        lib.insert("crate-type".to_owned(), rlib);
    }
    fs::write_new(&to.join("Cargo.toml"), table.to_string().as_bytes())?;
    Ok(())
}
