//! `cache push` and `cache keygen`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::project::Project;
use super::workers::{self, Turn};
use super::{Context, OpsError, sync};
use crate::events::{Event, Stage};
use crate::lock::{Lock, LockedSource};
use crate::plan::check_selection;
use crate::remote::record::{ComponentSubject, RecipeSubject};
use crate::remote::sign::{MAX_KEY_FILE, PublicKey, SecretKey};
use crate::remote::{
    Packed, Patience, Pushed, Remote, RemoteError, RemoteSettings, Subject, Transport, connect,
    push as push_tree,
};
use crate::store::{Staging, Store};
use crate::sys::fs;
use crate::types::{Class, Diagnostic as _, TreeDigest, Triple};

/// How many trees are under way at once: while one is sent, the next one is
/// compressed.
const PUSHERS: usize = 2;
/// Trees in a row that a remote may fail to take before it is not asked again.
const GIVE_UP: u32 = 3;

/// What `cache push` is asked for.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Only these targets.
    pub targets: Option<BTreeSet<Triple>>,
    /// The file of the secret key to sign with.
    pub key: Option<PathBuf>,
    /// Also the unpacked archives of upstream.
    pub components: bool,
}

/// One tree and one remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedTree {
    /// The target or component.
    pub name: String,
    /// Its tree.
    pub tree: TreeDigest,
    /// The remote.
    pub remote: String,
    /// What became of it.
    pub result: Pushed,
}

/// One tree that did not get to a remote.
#[derive(Debug)]
pub struct FailedPush {
    /// The target or component.
    pub name: String,
    /// The remote.
    pub remote: String,
    /// Why.
    pub error: RemoteError,
}

/// What `cache push` did.
#[derive(Debug, Default)]
pub struct PushReport {
    /// Each tree and each remote that may be written to.
    pub pushed: Vec<PushedTree>,
    /// Trees that did not get to a remote.
    pub failed: Vec<FailedPush>,
    /// What the store does not have.
    pub missing: Vec<String>,
}

impl PushReport {
    /// Whether a remote has another tree for a recipe of ours.
    pub fn has_conflict(&self) -> bool {
        let conflict = |p: &PushedTree| matches!(p.result, Pushed::Conflict { .. });
        self.pushed.iter().any(conflict)
    }
}

/// Sends the project's stored trees to every remote that may be written to.
///
/// A tree or a remote that fails stops no other; what failed is in the report.
/// Only an interruption ends it early.
pub fn push(
    cx: &Context<'_>,
    project: &Project,
    options: &PushOptions,
) -> Result<PushReport, OpsError> {
    let file = project
        .read_lock()?
        .ok_or_else(|| OpsError::MissingLock(project.files.lock.clone()))?;
    let settings = &cx.settings.remotes;
    check_writable(settings)?;
    let key = options
        .key
        .as_deref()
        .map(|path| read_key(cx, path))
        .transpose()?;
    if let Some(targets) = &options.targets {
        check_selection(&file.lock, Some(targets))?;
    }
    let host = sync::host(cx, &file.lock)?;
    let store = cx.store()?;
    // Until the last tree is sent: what was found must still be there then.
    let _using = store.begin_use(cx.observer, cx.cancel)?;
    let mut report = PushReport::default();
    let mut parcels = compiled(&store, &file.lock, &host, options, &mut report.missing);
    if options.components {
        parcels.extend(components(&store, &file.lock, &mut report.missing));
    }
    let goals = settings.writable().map(|remote| Goal {
        remote,
        transport: OnceLock::new(),
        failures: AtomicU32::new(0),
    });
    let pushing = Pushing {
        cx,
        store: &store,
        goals: goals.collect(),
        key: key.as_ref(),
    };
    for outcome in pushing.all(&parcels)? {
        match outcome {
            Ok(pushed) => report.pushed.push(pushed),
            Err(failed) => report.failed.push(*failed),
        }
    }
    Ok(report)
}

/// Refuses settings without a remote that may be written to.
fn check_writable(settings: &RemoteSettings) -> Result<(), OpsError> {
    if settings.remotes.is_empty() {
        return Err(OpsError::NoRemote);
    }
    if settings.writable().next().is_none() {
        let remotes = settings.remotes.iter().map(ToString::to_string).collect();
        return Err(OpsError::ReadOnlyRemotes(remotes));
    }
    Ok(())
}

/// A tree to push.
struct Parcel {
    subject: Subject,
    tree: TreeDigest,
}

/// A remote to push to.
struct Goal<'a> {
    remote: &'a Remote,
    /// Made for the first tree; where that fails, each tree has the error.
    transport: OnceLock<Box<dyn Transport>>,
    /// Trees in a row that it failed to take.
    failures: AtomicU32,
}

type Outcome = Result<PushedTree, Box<FailedPush>>;

struct Pushing<'a> {
    cx: &'a Context<'a>,
    store: &'a Store,
    goals: Vec<Goal<'a>>,
    key: Option<&'a SecretKey>,
}

impl Pushing<'_> {
    /// Sends all of them, some at once; the results are by remote, then in the
    /// parcels' order.
    fn all(&self, parcels: &[Parcel]) -> Result<Vec<Outcome>, OpsError> {
        let work = |parcel: &Parcel, _| Turn::Done(self.parcel(parcel));
        let mut outcomes = Vec::new();
        for result in workers::each(parcels, PUSHERS, work) {
            outcomes.extend(result?.into_iter().enumerate());
        }
        // Stable: the parcels of a remote stay in their order.
        outcomes.sort_by_key(|(goal, _)| *goal);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Sends one tree to every remote. It is compressed for the first one that
    /// lacks it, and its file is gone at the end.
    fn parcel(&self, parcel: &Parcel) -> Result<Vec<Outcome>, OpsError> {
        let mut packed = None;
        let mut outcomes = Vec::new();
        for goal in &self.goals {
            self.cx.cancel.check()?;
            let outcome = match self.send(parcel, goal, &mut packed) {
                Ok(result) => Ok(PushedTree {
                    name: parcel.subject.label().to_owned(),
                    tree: parcel.tree,
                    remote: goal.remote.to_string(),
                    result,
                }),
                Err(error) => {
                    // An error that an interruption caused is none of its own.
                    self.cx.cancel.check()?;
                    Err(Box::new(FailedPush {
                        name: parcel.subject.label().to_owned(),
                        remote: goal.remote.to_string(),
                        error,
                    }))
                }
            };
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn send(
        &self,
        parcel: &Parcel,
        goal: &Goal<'_>,
        packed: &mut Option<(Packed, Staging)>,
    ) -> Result<Pushed, RemoteError> {
        if goal.failures.load(Ordering::SeqCst) >= GIVE_UP {
            return Err(RemoteError::GivenUp {
                remote: goal.remote.to_string(),
                failures: GIVE_UP,
            });
        }
        let transport = self.transport(goal)?;
        let observer = self.cx.observer;
        let (begun, stage) = (Instant::now(), Stage::Push);
        let task = parcel.subject.label().to_owned();
        observer.event(Event::Started {
            task: task.clone(),
            stage,
            total: None,
        });
        let (remote, key) = (goal.remote, self.key);
        let (subject, tree) = (&parcel.subject, parcel.tree);
        let result = push_tree(transport, remote, observer, subject, tree, key, || {
            self.packed(parcel, packed)
        });
        observer.event(match &result {
            Ok(Pushed::New) => Event::Finished {
                task,
                stage,
                elapsed: begun.elapsed(),
            },
            Ok(_) | Err(_) => Event::Dropped { task },
        });
        match &result {
            Ok(_) => goal.failures.store(0, Ordering::SeqCst),
            // A damaged tree of ours says nothing about the remote.
            Err(error) if error.class() == Class::Network => {
                goal.failures.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => {}
        }
        result
    }

    fn transport<'g>(&self, goal: &'g Goal<'_>) -> Result<&'g dyn Transport, RemoteError> {
        if let Some(transport) = goal.transport.get() {
            return Ok(&**transport);
        }
        let made = connect(goal.remote, self.cx.surroundings(), Patience::Asked, None)?;
        // Of two that are made at once, one is used.
        Ok(&**goal.transport.get_or_init(|| made))
    }

    fn packed<'p>(
        &self,
        parcel: &Parcel,
        packed: &'p mut Option<(Packed, Staging)>,
    ) -> Result<&'p Packed, RemoteError> {
        let made = if let Some(made) = packed.take() {
            made
        } else {
            let (store, tree) = (self.store, parcel.tree);
            let staging = store.stage(self.cx.observer, self.cx.cancel)?;
            let listing = store.listing(tree).map_err(RemoteError::Listing)?;
            let place = store.tree_path(tree);
            let path = staging.path().join("blob");
            let made = Packed::write(&place, &listing, &path, self.cx.cancel)?;
            (made, staging)
        };
        Ok(&packed.insert(made).0)
    }
}

/// The compiled targets of a lock that the store has.
fn compiled(
    store: &Store,
    lock: &Lock,
    host: &Triple,
    options: &PushOptions,
    missing: &mut Vec<String>,
) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for (target, locked) in &lock.targets {
        let selected = options.targets.as_ref();
        if selected.is_some_and(|selected| !selected.contains(target)) {
            continue;
        }
        let LockedSource::Build { hosts, .. } = &locked.source else {
            continue;
        };
        let Some(build) = hosts.get(host) else {
            continue;
        };
        let fits = |tree: &TreeDigest| build.pin.is_none_or(|pin| pin == *tree);
        match store.recipe(build.key).filter(|r| fits(&r.tree)) {
            Some(record) => {
                let subject = Subject::Recipe(RecipeSubject {
                    key: record.key,
                    target: target.clone(),
                    host: host.clone(),
                    rustc: record.rustc,
                });
                parcels.push(Parcel {
                    subject,
                    tree: record.tree,
                });
            }
            None => missing.push(target.to_string()),
        }
    }
    parcels
}

/// The unpacked archives of a lock that the store has.
fn components(store: &Store, lock: &Lock, missing: &mut Vec<String>) -> Vec<Parcel> {
    let mut parcels = BTreeMap::new();
    for (id, component) in &lock.archives {
        let formats = component.hashes();
        let unpacked = formats.iter().filter_map(|hash| store.archive(*hash));
        let record = unpacked.into_iter().find(|r| r.claimed == formats);
        let name = id.to_string().parse::<Triple>();
        match (record, name) {
            (Some(record), Ok(name)) => {
                let subject = Subject::Component(ComponentSubject {
                    name,
                    archive: record.archive,
                    formats,
                });
                let tree = record.tree;
                parcels.insert(id.clone(), Parcel { subject, tree });
            }
            // Other hosts' archives are locked, too, and nobody here has them.
            _ if id.target.is_none() => missing.push(id.to_string()),
            _ => {}
        }
    }
    parcels.into_values().collect()
}

/// Reads a secret key; warns of a file that others can read.
pub fn read_key(cx: &Context<'_>, path: &Path) -> Result<SecretKey, OpsError> {
    let text = fs::read_text(path, MAX_KEY_FILE)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata_if_exists(path)?;
        if metadata.is_some_and(|m| m.is_file() && m.permissions().mode() & 0o077 != 0) {
            let text = format!("the secret key `{}` is open to others", path.display());
            cx.observer.event(Event::Warning(text));
        }
    }
    #[cfg(not(unix))]
    let _ = cx;
    SecretKey::parse(&text).map_err(|source| OpsError::KeyFile {
        path: path.to_owned(),
        source,
    })
}

/// Draws a key, writes it to a new file that only the user can read, and
/// returns the public half.
pub fn keygen(path: &Path) -> Result<PublicKey, OpsError> {
    let key = SecretKey::generate().map_err(RemoteError::from)?;
    if let Some(parent) = path.parent() {
        fs::create_private_dir_all(parent)?;
    }
    let file = fs::write_new_private(path, key.to_text().as_bytes())?;
    fs::sync_file(&file, path)?;
    Ok(key.public())
}
