//! An output brought into its locked state, healed on the way, and what is
//! written down about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::execute::execute_most;
use super::failures::FailedTargets;
use super::fresh::inputs;
use super::output::{Wanted, wanted_without};
use super::project::{LockFile, Project};
use super::remote::plan_with_remotes;
use super::{Context, OpsError, SyncMode, SyncOptions, SyncReport};
use crate::build::Toolchain;
use crate::events::Event;
use crate::lock::Lock;
use crate::materialize::{
    Applied, AreaState, Desired, MaterializeError, Output, State, check_stored,
};
use crate::remote::{Patience, Remotes};
use crate::store::{Root, Store, StoreError, TreeFault};
use crate::sys::fs;
use crate::types::{RelPath, TreeDigest, Triple};

/// Tells of something that went wrong although the work goes on.
pub(super) fn warn(cx: &Context<'_>, what: &str, e: &dyn std::error::Error) {
    let cause = e
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    cx.observer
        .event(Event::Warning(format!("{what}: {e}{cause}")));
}

/// What all steps of bringing an output into the locked state need.
pub(super) struct Work<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) store: &'a Store,
    pub(super) project: &'a Project,
    pub(super) host: &'a Triple,
    pub(super) options: &'a SyncOptions,
    /// The system's toolchain, if the lock is of it.
    pub(super) system: Option<Toolchain>,
}

/// An output that was brought into its state, but for failed targets.
pub(super) struct Brought {
    pub(super) wanted: Wanted,
    pub(super) areas: BTreeMap<RelPath, AreaState>,
    pub(super) applied: Applied,
    /// Held until the state is written.
    pub(super) output: Output,
    /// The state before.
    pub(super) known: State,
    pub(super) failed: Option<FailedTargets>,
}

impl Work<'_> {
    /// Brings the output into the locked state; a stored tree that turns out
    /// to be damaged is moved away and made anew.
    pub(super) fn bring_and_heal(
        &self,
        lock: &Lock,
        report: &mut SyncReport,
    ) -> Result<Brought, OpsError> {
        let (cx, store) = (self.cx, self.store);
        // A tree that is damaged again and again after it was made anew is not
        // healed for ever; twice, because another process may be healing it, too.
        let mut healed: BTreeMap<TreeDigest, u8> = BTreeMap::new();
        let remotes = cx.remotes(Patience::Automatic);
        loop {
            let e = match self.bring(lock, &remotes, report) {
                Ok(brought) => return Ok(brought),
                Err(e) => e,
            };
            let tree = damaged_tree(&e).or_else(|| vanished_tree(&e, store));
            let Some(tree) = tree.filter(|tree| healed.get(tree).is_none_or(|times| *times < 2))
            else {
                return Err(e);
            };
            *healed.entry(tree).or_default() += 1;
            let is_whole = |listing| check_stored(tree, &listing, &store.tree_path(tree)).is_ok();
            let is_damaged = || !store.listing(tree).is_ok_and(is_whole);
            if let Some(kept) = store.quarantine(tree, &is_damaged, cx.cancel)? {
                cx.observer.event(Event::Warning(format!(
                    "{e}; it is kept in `{}` and made anew",
                    kept.display()
                )));
            }
        }
    }

    /// Fetches, compiles and materializes. A target that cannot be fetched or
    /// compiled keeps no other one out of the output, and what was there of it
    /// stays.
    fn bring(
        &self,
        lock: &Lock,
        remotes: &Remotes<'_>,
        report: &mut SyncReport,
    ) -> Result<Brought, OpsError> {
        let (cx, store, system) = (self.cx, self.store, self.system.as_ref());
        let (mut index, plan) = plan_with_remotes(
            cx,
            remotes,
            store,
            lock,
            self.host,
            self.options.targets.as_ref(),
            &mut report.executed.pulled,
        )?;
        let plan = report.plan.insert(plan);
        let (done, failed) = execute_most(cx, store, self.project, lock, plan, &mut index, system)?;
        report.executed.fetched.extend(done.fetched);
        report.executed.built.extend(done.built);
        let without = failed.as_ref().map(|failed| failed.targets.clone());
        let without = without.unwrap_or_default();
        let wanted = wanted_without(cx, store, plan, &index, &without, system)?;
        let output = Output::open(&self.project.files.output, cx.observer, cx.cancel)?;
        let known = cx.state(&self.project.files.output).unwrap_or_default();
        let places = without.iter().map(|target| format!("lib/rustlib/{target}"));
        let kept: Vec<RelPath> = places.filter_map(|place| place.parse().ok()).collect();
        let desired = Desired {
            areas: &wanted.areas,
            exclusive: self.options.targets.is_none(),
            kept: &kept,
            link_mode: cx.settings.link_mode,
        };
        let place = |tree: TreeDigest| store.tree_path(tree);
        let (areas, applied) = output.apply(&desired, &known, &place, cx.cancel)?;
        Ok(Brought {
            wanted,
            areas,
            applied,
            output,
            known,
            failed,
        })
    }

    /// Writes down what the output has, in itself and in the store; what
    /// cannot be written costs later work, and no more.
    pub(super) fn write_down(&self, file: &LockFile, brought: Brought) -> Option<FailedTargets> {
        let (cx, store, files) = (self.cx, self.store, &self.project.files);
        let Brought {
            wanted,
            areas,
            applied,
            output,
            known,
            failed,
        } = brought;
        let is_whole = self.options.targets.is_none() && failed.is_none();
        let mut state = State {
            lock: is_whole.then(|| file.digest()),
            host: Some(self.host.clone()),
            link_mode: applied.link_mode.or(known.link_mode),
            boot: fs::boot(),
            trees: wanted.trees,
            inputs: (is_whole && self.options.mode != SyncMode::Frozen)
                .then(|| inputs(cx, self.project, &file.lock)),
            watched: wanted.watched,
            areas,
        };
        if !is_whole {
            // The other targets are still there, and so are their trees.
            state.trees.extend(known.trees);
            state.trees.sort_unstable();
            state.trees.dedup();
        }
        let key = store.make_state_key();
        if let Err(e) = key
            .map_err(OpsError::from)
            .and_then(|key| Ok(state.write(&files.output, &key)?))
        {
            warn(cx, "the next sync reads everything again", &e);
        }
        register(cx, store, &files.dir, state.trees);
        drop(output);
        failed
    }
}

/// Puts a project into the list of those whose trees the collector keeps.
fn register(cx: &Context<'_>, store: &Store, project: &Path, trees: Vec<TreeDigest>) {
    let root = Root::of(real(project), trees, cx.settings.now);
    match store.register(&root) {
        // A store that we cannot write to is collected by somebody else, who
        // cannot know of us; the output does not need it any more.
        Err(StoreError::Fs(e)) if e.source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
        Err(e) => warn(cx, "the store does not know of this project", &e),
        Ok(()) => {}
    }
}

/// Whether the collector knows of a project where it stands now: one that was
/// moved it knows by its old place.
pub(super) fn is_registered(cx: &Context<'_>, project: &Path) -> bool {
    let store = cx.existing_store();
    store.is_some_and(|store| store.knows(&real(project)))
}

/// Registers a project again that was moved since its last sync.
pub(super) fn register_moved(cx: &Context<'_>, project: &Path, state: State) {
    if let Some(store) = cx.existing_store().filter(|_| !is_registered(cx, project)) {
        register(cx, &store, project, state.trees);
    }
}

fn real(project: &Path) -> PathBuf {
    std::fs::canonicalize(project).unwrap_or(project.to_owned())
}

/// The stored tree that an error blames.
fn damaged_tree(error: &OpsError) -> Option<TreeDigest> {
    match error {
        OpsError::Materialize(MaterializeError::Damaged { tree, .. })
        | OpsError::Tree(TreeFault::Absent(tree) | TreeFault::Listing { digest: tree, .. }) => {
            Some(*tree)
        }
        // Something else has the tree's name; a link is refused.
        OpsError::Store(StoreError::NameTaken {
            tree,
            is_link: false,
            ..
        }) => Some(*tree),
        _ => None,
    }
}

/// The stored tree that another process moved away while we read it.
fn vanished_tree(error: &OpsError, store: &Store) -> Option<TreeDigest> {
    let OpsError::Materialize(MaterializeError::Fs(e)) = error else {
        return None;
    };
    let below = e.path.strip_prefix(store.layout().trees()).ok()?;
    let name = below.components().next()?.as_os_str().to_str()?;
    let vanished = e.source.kind() == std::io::ErrorKind::NotFound;
    vanished.then(|| TreeDigest::from_hex(name).ok()).flatten()
}
