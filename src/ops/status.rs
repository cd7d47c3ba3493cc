//! `status`: what is locked, stored and materialized.

use std::path::Path;

use super::execute::index;
use super::project::{LockFile, Project};
use super::{Context, OpsError, sync};
use crate::lock::{Difference, LockedBuild, LockedSource};
use crate::materialize::{LinkMode, State};
use crate::plan::{StoreIndex, component_id};
use crate::types::{Channel, TreeDigest, Triple};

/// The state of a project.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// The channel asked for.
    pub channel: Channel,
    /// The host this machine counts as, if it is locked.
    pub host: Option<Triple>,
    /// Where manifest and lock disagree; `None` without a lock.
    pub stale: Option<Vec<Difference>>,
    /// Whether the output is what the lock says, by metadata.
    pub output_current: bool,
    /// How files got into the output, if any did.
    pub link_mode: Option<LinkMode>,
    /// The targets.
    pub targets: Vec<TargetStatus>,
}

/// The state of one target.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Its name.
    pub name: Triple,
    /// `download`, `build` or `system`; `None` if it is not locked.
    pub source: Option<&'static str>,
    /// The pin of a compiled target.
    pub pin: Option<TreeDigest>,
    /// Where it is.
    pub state: TargetState,
}

/// Where a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Not in the lock.
    NotLocked,
    /// In the lock only.
    Locked,
    /// In the store.
    Stored,
    /// In the output, and not as it is locked: with other options, from another
    /// date, or changed since.
    Outdated,
    /// In the output, as it is locked.
    Materialized,
}

impl TargetState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotLocked => "not locked",
            Self::Locked => "locked",
            Self::Stored => "stored",
            Self::Outdated => "outdated",
            Self::Materialized => "materialized",
        }
    }
}

/// Looks at manifest, lock, store and output.
pub fn status(cx: &Context<'_>, project: &Project) -> Result<StatusReport, OpsError> {
    let file = project.read_lock()?;
    let host = file.as_ref().and_then(|f| sync::host(cx, &f.lock).ok());
    let state = cx.state(&project.files.output);
    let index = match (&file, &host, cx.existing_store()) {
        (Some(file), Some(host), Some(store)) => index(&store, &file.lock, host),
        _ => StoreIndex::default(),
    };
    let output_current = match (&file, &host) {
        (Some(file), Some(host)) => {
            sync::is_untouched(cx, &project.files, file, host, state.as_ref())
        }
        _ => false,
    };
    let look = Look {
        file: file.as_ref(),
        output: &project.files.output,
        host: host.as_ref(),
        index: &index,
        state: state.as_ref(),
    };
    let names = project.manifest.targets.keys();
    let targets = names.map(|name| look.target(name)).collect();
    Ok(StatusReport {
        channel: project.manifest.channel,
        host,
        stale: file.map(|f| project.differences(&f.lock)),
        output_current,
        link_mode: state.and_then(|s| s.link_mode),
        targets,
    })
}

/// What a target's state is read from.
struct Look<'a> {
    file: Option<&'a LockFile>,
    output: &'a Path,
    host: Option<&'a Triple>,
    index: &'a StoreIndex,
    state: Option<&'a State>,
}

impl Look<'_> {
    fn target(&self, name: &Triple) -> TargetStatus {
        let locked = self.file.and_then(|file| file.lock.targets.get(name));
        let Some(target) = locked else {
            return TargetStatus {
                name: name.clone(),
                source: None,
                pin: None,
                state: TargetState::NotLocked,
            };
        };
        let build = self.build(&target.source);
        let tree = match &target.source {
            LockedSource::System => None,
            LockedSource::Build { .. } => {
                build.and_then(|build| self.index.recipes.get(&build.key))
            }
            LockedSource::Download => {
                component_id("rust-std", Some(name)).and_then(|id| self.index.components.get(&id))
            }
        };
        let is_system = matches!(target.source, LockedSource::System);
        TargetStatus {
            name: name.clone(),
            source: Some(target.source.as_str()),
            pin: build.and_then(|build| build.pin),
            state: match self.is_as_locked(name, tree, is_system) {
                Some(true) => TargetState::Materialized,
                Some(false) => TargetState::Outdated,
                None if is_system || tree.is_some() => TargetState::Stored,
                None => TargetState::Locked,
            },
        }
    }

    /// How this machine's host compiles it.
    fn build<'l>(&self, source: &'l LockedSource) -> Option<&'l LockedBuild> {
        match source {
            LockedSource::Build { hosts, .. } => hosts.get(self.host?),
            LockedSource::Download | LockedSource::System => None,
        }
    }

    /// Whether what the output has of a target is what is locked; `None` if it
    /// has nothing of it.
    fn is_as_locked(
        &self,
        name: &Triple,
        tree: Option<&TreeDigest>,
        is_system: bool,
    ) -> Option<bool> {
        let place = format!("lib/rustlib/{name}").parse().ok()?;
        let state = self.state?;
        let area = state.areas.get(&place)?;
        // The last sync was of this very lock, or put this very tree there.
        let synced = state.lock.is_some() && state.lock == self.file.map(LockFile::digest);
        let brought = tree.is_some_and(|tree| state.trees.contains(tree));
        Some((synced || brought || is_system) && area.is_untouched(self.output))
    }
}
