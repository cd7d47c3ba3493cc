//! What has to happen, as data: a pure function from the lock, what the store
//! has and what the machine is, to a [`Plan`] that a dry run prints and a real
//! run executes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::lock::{Lock, LockedBuild, LockedSource, LockedToolchain};
use crate::manifest::table_of;
use crate::types::{Class, ComponentId, ComponentName, Diagnostic, RecipeKey, TreeDigest, Triple};

/// What the store has of the things a lock names.
#[derive(Clone, Debug, Default)]
pub struct StoreIndex {
    /// Components whose tree is stored.
    pub components: BTreeMap<ComponentId, TreeDigest>,
    /// Recipes whose tree is stored.
    pub recipes: BTreeMap<RecipeKey, TreeDigest>,
}

/// Everything that has to happen so that the output is what the lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The machine it is for.
    pub host: Triple,
    /// Archives that are not in the store; what builds wait for comes first.
    pub fetch: Vec<Fetch>,
    /// Targets that are compiled, each with the reason.
    pub build: Vec<Build>,
    /// What the output is made of.
    pub units: Vec<Unit>,
}

/// An archive to download and unpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which component.
    pub id: ComponentId,
    /// Whether a build waits for it.
    pub for_build: bool,
}

/// A target to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The target.
    pub target: Triple,
    /// Its recipe's key on this host.
    pub key: RecipeKey,
    /// The digest it must have.
    pub pin: Option<TreeDigest>,
    /// Why it is compiled.
    pub reason: BuildReason,
}

/// Why a target is compiled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildReason {
    /// Nothing stands in the store under its recipe key.
    NotStored,
    /// The stored tree differs from the lock's pin.
    PinDiffers {
        /// What the store has.
        stored: TreeDigest,
    },
}

impl fmt::Display for BuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStored => f.write_str("its recipe is not in the store"),
            Self::PinDiffers { stored } => {
                write!(f, "the store has {stored}, which is not the lock's pin")
            }
        }
    }
}

/// A part of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where its content comes from.
    pub source: UnitSource,
    /// The target it belongs to; `None` for the toolchain itself.
    pub target: Option<Triple>,
}

/// Where a part of the output comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitSource {
    /// A component's tree.
    Component(ComponentId),
    /// A compiled target's tree.
    Recipe(RecipeKey),
    /// The system toolchain's programs, sources and host library.
    SystemToolchain,
    /// The system toolchain's copy of a target.
    SystemTarget(Triple),
}

/// The lock does not fit what is asked of it here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// This machine is not among the locked hosts.
    #[error("the lock has no host `{host}`; it has {}", list(.locked))]
    UnknownHost {
        /// This machine.
        host: Triple,
        /// The hosts it has.
        locked: BTreeSet<Triple>,
    },
    /// A target named on the command line is not in the lock.
    #[error("the lock has no target `{target}`; it has {}", list(.locked))]
    UnknownTarget {
        /// The name.
        target: Triple,
        /// The targets it has.
        locked: BTreeSet<Triple>,
    },
    /// An archive that a host needs is missing.
    #[error("the lock lacks the archive of `{0}`")]
    MissingArchive(ComponentId),
}

fn list(names: &BTreeSet<Triple>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Diagnostic for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownHost { .. } | Self::UnknownTarget { .. } | Self::MissingArchive(_) => {
                Class::Usage
            }
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownHost { host, .. } => {
                format!("add \"{host}\" to `hosts` in sysroot.toml and run `sysroot lock`")
            }
            Self::UnknownTarget { target, .. } => {
                let table = table_of(target.as_str());
                format!("add `{table}` to sysroot.toml and run `sysroot lock`")
            }
            Self::MissingArchive(_) => "run `sysroot lock`".to_owned(),
        })
    }
}

/// Component names that a lock needs for every host of a dist toolchain.
pub const TOOLCHAIN_COMPONENTS: [&str; 3] = ["rustc", "cargo", "rust-std"];

/// Plans the output for one host.
///
/// `selected` restricts the targets; the toolchain itself is always part.
pub fn plan(
    lock: &Lock,
    host: &Triple,
    selected: Option<&BTreeSet<Triple>>,
    index: &StoreIndex,
) -> Result<Plan, PlanError> {
    // No hosts: the system's toolchain, on whichever machine it is.
    if !lock.hosts.is_empty() && !lock.hosts.contains(host) {
        return Err(PlanError::UnknownHost {
            host: host.clone(),
            locked: lock.hosts.clone(),
        });
    }
    check_selection(lock, selected)?;
    let mut planner = Planner {
        lock,
        host,
        index,
        fetch: BTreeMap::new(),
        units: Vec::new(),
    };
    let build = planner.targets(selected)?;
    planner.toolchain(!build.is_empty())?;
    let Planner { fetch, units, .. } = planner;
    let mut fetch: Vec<Fetch> = fetch
        .into_iter()
        .map(|(id, for_build)| Fetch { id, for_build })
        .collect();
    fetch.sort_by_key(|f| !f.for_build);
    Ok(Plan {
        host: host.clone(),
        fetch,
        build,
        units,
    })
}

/// Refuses the selection of a target that the lock does not have.
pub fn check_selection(lock: &Lock, selected: Option<&BTreeSet<Triple>>) -> Result<(), PlanError> {
    let unknown = selected
        .into_iter()
        .flatten()
        .find(|t| !lock.targets.contains_key(*t));
    match unknown {
        None => Ok(()),
        Some(target) => Err(PlanError::UnknownTarget {
            target: target.clone(),
            locked: lock.targets.keys().cloned().collect(),
        }),
    }
}

/// The component of a name for a target, or for all of them.
pub fn component_id(name: &str, target: Option<&Triple>) -> Option<ComponentId> {
    let name: ComponentName = name.parse().ok()?;
    Some(ComponentId {
        name,
        target: target.cloned(),
    })
}

struct Planner<'a> {
    lock: &'a Lock,
    host: &'a Triple,
    index: &'a StoreIndex,
    fetch: BTreeMap<ComponentId, bool>,
    units: Vec<Unit>,
}

impl Planner<'_> {
    /// Adds an archive's tree to the output, and to the downloads if needed.
    fn unit(&mut self, id: ComponentId, target: Option<&Triple>) -> Result<(), PlanError> {
        self.need(&id, false)?;
        let unit = Unit {
            source: UnitSource::Component(id),
            target: target.cloned(),
        };
        if !self.units.iter().any(|u| u.source == unit.source) {
            self.units.push(unit);
        }
        Ok(())
    }

    /// Makes sure that an archive will be in the store.
    fn need(&mut self, id: &ComponentId, for_build: bool) -> Result<(), PlanError> {
        if !self.lock.archives.contains_key(id) {
            return Err(PlanError::MissingArchive(id.clone()));
        }
        if !self.index.components.contains_key(id) {
            *self.fetch.entry(id.clone()).or_default() |= for_build;
        }
        Ok(())
    }

    fn toolchain(&mut self, builds: bool) -> Result<(), PlanError> {
        if let LockedToolchain::System { .. } = self.lock.toolchain {
            self.units.push(Unit {
                source: UnitSource::SystemToolchain,
                target: None,
            });
            return Ok(());
        }
        let host = self.host;
        // A compiled library for the host takes the place of upstream's.
        let own_std = matches!(
            self.lock.targets.get(host).map(|t| &t.source),
            Some(LockedSource::Build { .. })
        );
        let requested: Vec<ComponentId> = self
            .lock
            .archives
            .keys()
            .filter(|id| self.is_part_of_toolchain(id))
            .cloned()
            .collect();
        for id in requested {
            if !(own_std && id.name.as_str() == "rust-std") {
                self.unit(id, None)?;
            }
        }
        if builds {
            for name in TOOLCHAIN_COMPONENTS {
                if let Some(id) = component_id(name, Some(host)) {
                    self.need(&id, true)?;
                }
            }
            if let Some(id) = component_id("rust-src", None) {
                self.need(&id, true)?;
            }
        }
        Ok(())
    }

    /// Whether a locked archive belongs to this host's toolchain directory.
    fn is_part_of_toolchain(&self, id: &ComponentId) -> bool {
        let name = id.name.as_str();
        let asked = self.lock.components.iter().any(|asked| {
            name == asked.as_str() || name.strip_suffix("-preview") == Some(asked.as_str())
        });
        let always = TOOLCHAIN_COMPONENTS.contains(&name);
        match &id.target {
            Some(target) => target == self.host && (always || asked),
            None => asked,
        }
    }

    fn targets(&mut self, selected: Option<&BTreeSet<Triple>>) -> Result<Vec<Build>, PlanError> {
        let mut builds = Vec::new();
        for (name, target) in &self.lock.targets {
            // The host's own library belongs to the toolchain, whatever is selected.
            if name != self.host && selected.is_some_and(|s| !s.contains(name)) {
                continue;
            }
            match &target.source {
                LockedSource::Download => {
                    if let Some(id) = component_id("rust-std", Some(name)) {
                        self.unit(id, Some(name))?;
                    }
                }
                LockedSource::System => self.units.push(Unit {
                    source: UnitSource::SystemTarget(name.clone()),
                    target: Some(name.clone()),
                }),
                LockedSource::Build { hosts, .. } => {
                    let LockedBuild { key, pin } =
                        *hosts.get(self.host).ok_or_else(|| PlanError::UnknownHost {
                            host: self.host.clone(),
                            locked: hosts.keys().cloned().collect(),
                        })?;
                    self.units.push(Unit {
                        source: UnitSource::Recipe(key),
                        target: Some(name.clone()),
                    });
                    if let Some(reason) = self.build_reason(key, pin) {
                        builds.push(Build {
                            target: name.clone(),
                            key,
                            pin,
                            reason,
                        });
                    }
                }
            }
        }
        Ok(builds)
    }

    fn build_reason(&self, key: RecipeKey, pin: Option<TreeDigest>) -> Option<BuildReason> {
        match (self.index.recipes.get(&key), pin) {
            (None, _) => Some(BuildReason::NotStored),
            (Some(&stored), Some(pin)) if stored != pin => Some(BuildReason::PinDiffers { stored }),
            (Some(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
