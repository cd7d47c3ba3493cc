//! The machine's own toolchain: found, asked who it is, compared with the lock.

use std::path::PathBuf;

use super::{Context, OpsError};
use crate::build::{Toolchain, source_tree};
use crate::lock::{Lock, LockedToolchain};
use crate::resolve::SystemToolchain;
use crate::types::TreeDigest;

/// Finds the system's toolchain: the one the environment names, else the
/// first `rustc` on PATH.
pub(super) fn find(cx: &Context<'_>) -> Result<Toolchain, OpsError> {
    let rustc = match &cx.settings.rustc {
        Some(rustc) => rustc.clone(),
        None => on_path(cx, "rustc").ok_or(OpsError::NoSystemToolchain)?,
    };
    Ok(Toolchain::probe(&rustc, &cx.settings.search_path)?)
}

/// The first program of a name on PATH.
pub(super) fn on_path(cx: &Context<'_>, program: &str) -> Option<PathBuf> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    cx.settings
        .search_path
        .iter()
        .map(|dir| dir.join(&file))
        .find(|path| path.is_file())
}

/// The tree digest of the toolchain's library sources.
pub(super) fn library_digest(toolchain: &Toolchain) -> Result<TreeDigest, OpsError> {
    if !toolchain.library().is_dir() {
        return Err(OpsError::NoRustSrc {
            rustc: toolchain.rustc.clone(),
        });
    }
    let listing = source_tree::hash(&toolchain.library())?;
    Ok(listing.digest())
}

/// What resolving needs to know of the toolchain.
pub(super) fn describe(toolchain: &Toolchain) -> Result<SystemToolchain, OpsError> {
    Ok(SystemToolchain {
        rustc: toolchain.version.first_line.clone(),
        commit: toolchain.version.commit.clone(),
        cargo: toolchain.cargo_version.clone(),
        host: toolchain.version.host.clone(),
        rust_src: library_digest(toolchain)?,
        shipped: toolchain.shipped_targets()?,
        known: toolchain.known_targets()?,
    })
}

/// Refuses a toolchain that is not the locked one.
pub(super) fn check(toolchain: &Toolchain, lock: &Lock) -> Result<(), OpsError> {
    let LockedToolchain::System {
        rustc,
        commit,
        cargo,
        rust_src,
    } = &lock.toolchain
    else {
        return Ok(());
    };
    let found = library_digest(toolchain)?;
    let fields = [
        ("rustc", rustc, &toolchain.version.first_line),
        ("commit", commit, &toolchain.version.commit),
        ("cargo", cargo, &toolchain.cargo_version),
        ("rust-src", &rust_src.to_string(), &found.to_string()),
    ];
    let differences: Vec<String> = fields
        .iter()
        .filter(|(_, locked, found)| locked != found)
        .map(|(name, locked, found)| format!("{name}: lock \"{locked}\", machine \"{found}\""))
        .collect();
    if differences.is_empty() {
        Ok(())
    } else {
        Err(OpsError::OtherToolchain { differences })
    }
}
