//! The machine's own toolchain: found, asked who it is, compared with the lock.

use std::path::{Path, PathBuf};

use super::{Context, OpsError};
use crate::build::{Toolchain, ToolchainError, source_tree};
use crate::lock::{Lock, LockedToolchain};
use crate::materialize::STATE_FILE;
use crate::resolve::SystemToolchain;
use crate::types::TreeDigest;

/// Finds the system's toolchain: the one the environment names, else the
/// first `rustc` on PATH that is not a project's output.
///
/// What we put together must never be taken for the system: the output's own
/// directory is the first on PATH inside `sysroot run`, and a rustup proxy
/// may stand for a linked one. Taking it would lock the output by itself.
pub(super) fn find(cx: &Context<'_>) -> Result<Toolchain, OpsError> {
    let search: Vec<PathBuf> = (cx.settings.search_path.iter())
        .filter(|dir| !is_below_output(&dir.join("program")))
        .cloned()
        .collect();
    if let Some(rustc) = &cx.settings.rustc {
        return probe(rustc, &search)?.ok_or_else(|| OpsError::OwnToolchain(rustc.clone()));
    }
    let mut skipped = None;
    for rustc in all_on_path(cx, "rustc") {
        match probe(&rustc, &search)? {
            Some(toolchain) => return Ok(toolchain),
            None => skipped = Some(rustc),
        }
    }
    Err(skipped.map_or(OpsError::NoSystemToolchain, OpsError::OwnToolchain))
}

/// The toolchain of a compiler; `None` if a project's output is behind it.
fn probe(rustc: &Path, search: &[PathBuf]) -> Result<Option<Toolchain>, OpsError> {
    if is_below_output(rustc) {
        return Ok(None);
    }
    let sysroot = Toolchain::sysroot_of(rustc)?;
    if is_output(&sysroot) {
        return Ok(None);
    }
    Ok(Some(Toolchain::below(&sysroot, rustc, search)?))
}

/// Whether a program stands in the `bin` of a project's output.
fn is_below_output(program: &Path) -> bool {
    let real = program.parent().and_then(|dir| dir.canonicalize().ok());
    let places = [program.parent(), real.as_deref()];
    let mut outputs = places.into_iter().flatten().filter_map(Path::parent);
    outputs.any(is_output)
}

fn is_output(dir: &Path) -> bool {
    dir.join(STATE_FILE).is_file()
}

/// The first program of a name on PATH.
pub(super) fn on_path(cx: &Context<'_>, program: &str) -> Option<PathBuf> {
    all_on_path(cx, program).next()
}

/// Every program of a name on PATH.
fn all_on_path(cx: &Context<'_>, program: &str) -> impl Iterator<Item = PathBuf> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let dirs = cx.settings.search_path.iter();
    dirs.map(move |dir| dir.join(&file))
        .filter(|path| path.is_file())
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

/// The system's toolchain, if the lock is of it; one that is not the locked
/// one is refused.
pub(super) fn check_locked(cx: &Context<'_>, lock: &Lock) -> Result<Option<Toolchain>, OpsError> {
    match &lock.toolchain {
        LockedToolchain::System { rustc, .. } => {
            let toolchain = find(cx).map_err(|error| other_first(rustc, error))?;
            check(&toolchain, lock)?;
            Ok(Some(toolchain))
        }
        LockedToolchain::Dist { .. } => Ok(None),
    }
}

/// The sources that another compiler than the locked one lacks are not what is
/// wrong: nobody shall install them.
fn other_first(locked: &str, error: OpsError) -> OpsError {
    match error {
        OpsError::Toolchain(ToolchainError::NoRustSrc { rustc, .. }) if rustc != locked => {
            let difference = format!("rustc: lock \"{locked}\", machine \"{rustc}\"");
            OpsError::OtherToolchain {
                differences: vec![difference],
            }
        }
        error => error,
    }
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
