//! `attest` and `sbom`: what the lock brings in, for others to read. Offline,
//! and nothing is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::project::Project;
use super::{Context, OpsError, sync, system};
use crate::attest::{self, RegistryCrate};
use crate::build::std_crates;
use crate::events::Event;
use crate::lock::{Lock, LockedSource, LockedToolchain};
use crate::materialize::{MaterializeError, PlaceError};
use crate::plan::{PlanError, check_selection};
use crate::store::{Known, Store};
use crate::sys::fs;
use crate::types::{CrateSet, FileDigest, RelPath, Sha256, TreeDigest, Triple};

/// Where the library's sources are, in the tree of `rust-src`.
const LIBRARY: &str = "lib/rustlib/src/rust/library";

/// The in-toto statement about a compiled target: the one that was kept when
/// it was built here, else what the lock and its pin say.
///
/// `host` is this machine unless named. One that was not kept does not say
/// which sysroot built the tree.
pub fn attest(
    cx: &Context<'_>,
    project: &Project,
    target: &Triple,
    host: Option<&Triple>,
) -> Result<Value, OpsError> {
    let path = project.files.lock.clone();
    let lock = project
        .read_lock()?
        .ok_or(OpsError::MissingLock(path))?
        .lock;
    check_selection(&lock, Some(&[target.clone()].into()))?;
    let host = match host {
        Some(host) => host.clone(),
        None => sync::host(cx, &lock)?,
    };
    let source = lock.targets.get(target).map(|locked| &locked.source);
    let Some(LockedSource::Build { hosts, .. }) = source else {
        return Err(OpsError::NotCompiled {
            target: target.clone(),
            obtained: source.map_or("none", LockedSource::as_str),
        });
    };
    let build = hosts.get(&host).ok_or_else(|| PlanError::UnknownHost {
        host: host.clone(),
        locked: hosts.keys().cloned().collect(),
    })?;
    let store = cx.existing_store();
    let stored = || Some(store.as_ref()?.recipe(build.key)?.tree);
    let not_built = || OpsError::NotBuilt {
        target: target.clone(),
        host: host.clone(),
    };
    let tree = build.pin.or_else(stored).ok_or_else(not_built)?;
    let derived = attest::statement(&lock, target, &host, tree, None).ok_or_else(not_built)?;
    let kept = store.as_ref().and_then(|store| store.statement(build.key));
    let statement = kept
        .and_then(|text| attest::accept(&text, &derived))
        .unwrap_or(derived);
    Ok(match store.map(|store| files(cx, &store, tree)) {
        Some(Ok(Some(files))) => attest::with_files(statement, &files),
        Some(Err(e @ OpsError::Cancelled(_))) => return Err(e),
        Some(Err(e)) => {
            let text = format!("the statement does not name the tree's files: {e}");
            cx.observer.event(Event::Warning(text));
            statement
        }
        Some(Ok(None)) | None => statement,
    })
}

/// SHA-256 of each file of a stored tree, read through the digest that the
/// tree's listing has of it; `None` if the store does not have the tree.
fn files(
    cx: &Context<'_>,
    store: &Store,
    tree: TreeDigest,
) -> Result<Option<BTreeMap<RelPath, Sha256>>, OpsError> {
    // No collector takes away what is being read.
    let _using = store.look();
    let root = store.tree_path(tree);
    if fs::metadata_if_exists(&root)?.is_none() {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for entry in store.listing(tree)?.entries() {
        cx.cancel.check()?;
        let path = entry.path.below(&root);
        let bytes = fs::read(&path, entry.size)?;
        let found = FileDigest::of(&bytes);
        if found != entry.digest {
            let damaged = MaterializeError::Damaged {
                path: entry.path.clone(),
                tree,
                source: PlaceError::Differs {
                    expected: entry.digest,
                    found: found.to_string(),
                },
            };
            return Err(damaged.into());
        }
        files.insert(entry.path.clone(), Sha256::of(&bytes));
    }
    Ok(Some(files))
}

/// A CycloneDX document of everything the lock brings in.
pub fn sbom(cx: &Context<'_>, project: &Project) -> Result<Value, OpsError> {
    let path = project.files.lock.clone();
    let file = project.read_lock()?.ok_or(OpsError::MissingLock(path))?;
    let crates = if compiles_std(&file.lock) {
        crates_of_std(cx, &file.lock).unwrap_or_else(|| {
            cx.observer.event(Event::Warning(
                "the registry crates that std is compiled with are left out: the library's sources \
                 are not on this machine"
                    .to_owned(),
            ));
            Vec::new()
        })
    } else {
        Vec::new()
    };
    Ok(attest::sbom(&file.lock, &file.text, &crates))
}

fn compiles_std(lock: &Lock) -> bool {
    lock.targets.values().any(|target| match &target.source {
        LockedSource::Build { options, .. } => options.crates == CrateSet::Std,
        LockedSource::Download | LockedSource::System => false,
    })
}

/// The registry crates that the locked sources name for `std`; `None` if the
/// very sources that are locked are not at hand.
fn crates_of_std(cx: &Context<'_>, lock: &Lock) -> Option<Vec<RegistryCrate>> {
    let library = match &lock.toolchain {
        LockedToolchain::System { .. } => {
            let toolchain = system::find(cx).ok()?;
            system::check(&toolchain, lock).ok()?;
            toolchain.library()
        }
        LockedToolchain::Dist { .. } => stored_library(&cx.existing_store()?, lock)?,
    };
    std_crates(&library).ok()
}

/// The library of the stored `rust-src`, if its `Cargo.lock` is what the
/// tree's digest stands for.
fn stored_library(store: &Store, lock: &Lock) -> Option<PathBuf> {
    let Known::Tree(tree) = store.component(&lock.archive("rust-src", None)?.hashes()) else {
        return None;
    };
    let listing = store.listing(tree).ok()?;
    let name = format!("{LIBRARY}/Cargo.lock");
    let entry = listing
        .entries()
        .iter()
        .find(|entry| entry.path.as_str() == name)?;
    let root = store.tree_path(tree);
    let digest = fs::hash(&entry.path.below(&root), entry.size).ok()?;
    (digest == entry.digest).then(|| root.join(LIBRARY))
}
