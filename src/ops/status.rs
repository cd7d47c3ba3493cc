//! `status`: what is locked, stored and materialized.

use super::execute::index;
use super::project::Project;
use super::{Context, OpsError, sync};
use crate::lock::{Difference, Lock, LockedBuild, LockedSource};
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
    /// In the output.
    Materialized,
}

impl TargetState {
    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotLocked => "not locked",
            Self::Locked => "locked",
            Self::Stored => "stored",
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
        lock: file.as_ref().map(|file| &file.lock),
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
    lock: Option<&'a Lock>,
    host: Option<&'a Triple>,
    index: &'a StoreIndex,
    state: Option<&'a State>,
}

impl Look<'_> {
    fn target(&self, name: &Triple) -> TargetStatus {
        let Some(target) = self.lock.and_then(|lock| lock.targets.get(name)) else {
            return TargetStatus {
                name: name.clone(),
                source: None,
                pin: None,
                state: TargetState::NotLocked,
            };
        };
        let build = self.build(&target.source);
        let stored = match &target.source {
            LockedSource::System => true,
            LockedSource::Build { .. } => {
                build.is_some_and(|build| self.index.recipes.contains_key(&build.key))
            }
            LockedSource::Download => component_id("rust-std", Some(name))
                .is_some_and(|id| self.index.components.contains_key(&id)),
        };
        TargetStatus {
            name: name.clone(),
            source: Some(target.source.as_str()),
            pin: build.and_then(|build| build.pin),
            state: match (self.is_here(name), stored) {
                (true, _) => TargetState::Materialized,
                (false, true) => TargetState::Stored,
                (false, false) => TargetState::Locked,
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

    fn is_here(&self, name: &Triple) -> bool {
        let place = format!("lib/rustlib/{name}").parse().ok();
        let known = self.state.zip(place);
        known.is_some_and(|(state, place)| state.areas.contains_key(&place))
    }
}
