//! `status`: what is locked, stored and materialized.

use super::execute::index;
use super::project::Project;
use super::{Context, OpsError, sync};
use crate::lock::{Difference, LockedSource};
use crate::materialize::LinkMode;
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
    let mut targets = Vec::new();
    for name in project.manifest.targets.keys() {
        let locked = file.as_ref().and_then(|f| f.lock.targets.get(name));
        let Some(target) = locked else {
            let (source, pin, state) = (None, None, TargetState::NotLocked);
            targets.push(TargetStatus {
                name: name.clone(),
                source,
                pin,
                state,
            });
            continue;
        };
        let build = match &target.source {
            LockedSource::Build { hosts, .. } => host.as_ref().and_then(|h| hosts.get(h)),
            LockedSource::Download | LockedSource::System => None,
        };
        let (source, stored) = match &target.source {
            LockedSource::System => ("system", true),
            LockedSource::Build { .. } => (
                "build",
                build.is_some_and(|b| index.recipes.contains_key(&b.key)),
            ),
            LockedSource::Download => {
                let id = component_id("rust-std", Some(name));

                (
                    "download",
                    id.is_some_and(|id| index.components.contains_key(&id)),
                )
            }
        };
        let place = format!("lib/rustlib/{name}").parse().ok();
        let here = state
            .as_ref()
            .zip(place)
            .is_some_and(|(s, p)| s.areas.contains_key(&p));
        targets.push(TargetStatus {
            name: name.clone(),
            source: Some(source),
            pin: build.and_then(|b| b.pin),
            state: match (here, stored) {
                (true, _) => TargetState::Materialized,
                (false, true) => TargetState::Stored,
                (false, false) => TargetState::Locked,
            },
        });
    }
    Ok(StatusReport {
        channel: project.manifest.channel,
        host,
        stale: file.map(|f| project.differences(&f.lock)),
        output_current,
        link_mode: state.and_then(|s| s.link_mode),
        targets,
    })
}
