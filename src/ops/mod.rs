//! One function a verb, each the list of its steps in order.
//!
//! This is where the pure modules and the working ones meet. Nothing here
//! prints or reads the environment: settings come in, events and reports go
//! out.

mod again;
mod attest;
mod bring;
mod cache;
mod changed;
mod channel;
mod check_store;
mod collect;
mod differ;
mod doctor;
mod edit;
mod error;
mod execute;
mod export;
mod failures;
mod fresh;
mod import;
mod key;
mod link;
mod lock;
mod nearest;
mod needs;
mod obtain;
mod output;
mod pins;
mod project;
mod push;
mod queue;
mod rebuild;
mod remote;
mod shard;
mod signature;
mod status;
mod sync;
mod system;
mod trust;
mod update;
mod verify;
mod warm;
mod why;
mod workers;

use std::path::{Path, PathBuf};

pub use attest::{attest, sbom};
pub use cache::{CacheEntry, CacheKind, CacheSize, list as cache_list, size as cache_size};
pub use changed::{DiffReport, diff};
pub use check_store::{StoreCheck, TreeDamage, check_store};
pub use collect::{Evict, GcOptions, GcReport, evict as cache_evict, gc as cache_gc};
pub use differ::Mismatch;
pub use doctor::{Checkup, Verdict, doctor};
pub use edit::{AddOptions, EditError, EditReport, add, remove};
pub use error::OpsError;
pub use execute::Executed;
pub use export::{ExportReport, export};
pub use fresh::up_to_date;
pub use import::{Authority, ImportReport, import};
pub use key::{CacheKey, key};
pub use link::{LinkReport, Rustup, link, unlink};
pub use lock::{LockMode, LockOptions, LockReport, LockStatus, lock};
pub use pins::{PinOptions, PinReport, Pinned, pin};
pub use project::{Project, ProjectFiles};
pub use push::{FailedPush, PushOptions, PushReport, PushedTree, keygen, push, read_key};
pub use rebuild::rebuild;
pub use remote::{PullOptions, PullReport, Pulled, pull};
pub use shard::{Shard, ShardError};
pub use signature::{SignatureCheck, judge as judge_signature};
pub use status::{StatusReport, TargetState, TargetStatus, status};
pub use sync::{SyncMode, SyncOptions, SyncReport, sync};
pub use trust::TrustError;
pub use update::{UpdateOptions, UpdateReport, UpdateTo, update};
pub use verify::{
    CHECKS, Check, Finding, Judgement, Place, Problem, VerifyOptions, VerifyReport, verify,
};
pub use warm::{WarmOptions, WarmReport, warm};
pub use why::{WhyReport, why};

use crate::config::{Config, Share};
use crate::events::{Cancel, Observer};
use crate::materialize::{LinkMode, State, StateFile};
use crate::store::{Sharing, Store};
use crate::types::{Date, Triple};

/// What the user's environment and configuration say; never a repository's files.
#[derive(Clone)]
pub struct Settings {
    /// The user's configuration file.
    pub config: Config,
    /// The cache directory.
    pub cache: PathBuf,
    /// The dist servers in the order they are asked, as text; at least one.
    pub dist_servers: Vec<String>,
    /// Whether to stay off the network.
    pub offline: bool,
    /// How many jobs may run at once.
    pub jobs: usize,
    /// How files get into outputs.
    pub link_mode: LinkMode,
    /// The machine this binary was made for.
    pub host: Triple,
    /// The system's compiler, where the environment names one.
    pub rustc: Option<PathBuf>,
    /// Where to look for programs.
    pub search_path: Vec<PathBuf>,
    /// Remotes, whose keys are trusted, and credentials.
    pub remotes: crate::remote::RemoteSettings,
    /// The user's proxies: all, http, https, and the hosts that go without.
    pub proxy: crate::fetch::Proxies,
    /// Today, in UTC.
    pub today: Date,
    /// Seconds since 1970.
    pub now: u64,
}

/// What every verb needs.
pub struct Context<'a> {
    /// Settings.
    pub settings: &'a Settings,
    /// Receives events.
    pub observer: &'a dyn Observer,
    /// Stops the work.
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("cache", &self.settings.cache)
            .finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// Opens the store.
    pub fn store(&self) -> Result<Store, OpsError> {
        Ok(Store::open_with(&self.settings.cache, self.sharing())?)
    }

    /// The store to look into; makes nothing, and an absent one is empty.
    pub(crate) fn store_to_read(&self) -> Result<Store, OpsError> {
        Ok(Store::open_to_read(&self.settings.cache, self.sharing())?)
    }

    /// What the last sync left in an output, if our own code vouches for it.
    pub fn state(&self, output: &Path) -> Option<State> {
        self.state_file(output)?.state()
    }

    /// The same, not taken apart yet.
    pub(crate) fn state_file(&self, output: &Path) -> Option<StateFile> {
        StateFile::read(output, &self.existing_store()?.state_key()?)
    }

    /// The store, if there is one already; makes nothing.
    pub(crate) fn existing_store(&self) -> Option<Store> {
        Store::open_existing(&self.settings.cache, self.sharing())
    }

    /// Who may write to the cache, as the user's configuration has it.
    fn sharing(&self) -> Sharing {
        match self.settings.config.cache.share {
            Share::Private => Sharing::Private,
            Share::Group => Sharing::Group,
        }
    }

    /// The locked host that this machine is: the triple this binary was made
    /// for, or the only one that differs from it just in the C library.
    pub fn host_among<'h>(
        &self,
        hosts: impl Iterator<Item = &'h Triple> + Clone,
    ) -> Option<&'h Triple> {
        let own = &self.settings.host;
        if let Some(exact) = hosts.clone().find(|host| *host == own) {
            return Some(exact);
        }
        let system = |t: &Triple| {
            t.as_str()
                .splitn(4, '-')
                .take(3)
                .collect::<Vec<_>>()
                .join("-")
        };
        let mut similar = hosts.filter(|host| system(host) == system(own));
        match (similar.next(), similar.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }
}

/// A path as it is best shown to the user: relative to where they stand.
pub fn shown<'p>(path: &'p Path, base: &Path) -> std::path::Display<'p> {
    path.strip_prefix(base).unwrap_or(path).display()
}
