//! What a project's lock needs from the store on one machine.

use std::collections::{BTreeMap, BTreeSet};

use super::project::{LockFile, Project};
use super::sync::host;
use super::{Context, OpsError};
use crate::lock::{LockedBuild, LockedSource};
use crate::plan::{StoreIndex, UnitSource, plan};
use crate::types::{ComponentId, Sha256, Triple};

/// What an output is made of, as far as it comes from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// The machine.
    pub(super) host: Triple,
    /// The components, and the hashes of their archives' formats.
    pub(super) components: BTreeMap<ComponentId, Vec<Sha256>>,
    /// The compiled targets.
    pub(super) builds: BTreeMap<Triple, LockedBuild>,
}

/// Reads the lock, which must be there.
pub(super) fn read_lock(project: &Project) -> Result<LockFile, OpsError> {
    project
        .read_lock()?
        .ok_or_else(|| OpsError::MissingLock(project.files.lock.clone()))
}

/// What the lock needs here; `selected` restricts the targets.
pub(super) fn needs(
    cx: &Context<'_>,
    file: &LockFile,
    selected: Option<&BTreeSet<Triple>>,
) -> Result<Needs, OpsError> {
    let lock = &file.lock;
    let host = host(cx, lock)?;
    // The parts of an output are the same whatever the store has already.
    let plan = plan(lock, &host, selected, &StoreIndex::default())?;
    let mut needs = Needs {
        host,
        components: BTreeMap::new(),
        builds: BTreeMap::new(),
    };
    for unit in plan.units {
        match unit.source {
            UnitSource::Component(id) => {
                if let Some(component) = lock.archives.get(&id) {
                    let hashes = component.hashes();
                    needs.components.insert(id, hashes);
                }
            }
            UnitSource::Recipe(_) => {
                let target = unit.target.as_ref();
                let locked = target.and_then(|target| lock.targets.get_key_value(target));
                if let Some((target, locked)) = locked
                    && let LockedSource::Build { hosts, .. } = &locked.source
                    && let Some(build) = hosts.get(&needs.host)
                {
                    needs.builds.insert(target.clone(), *build);
                }
            }
            // Links to what the machine has anyway.
            UnitSource::SystemToolchain | UnitSource::SystemTarget(_) => {}
        }
    }
    Ok(needs)
}
