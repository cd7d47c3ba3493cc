//! `cache push` and `cache keygen`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::project::Project;
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
use crate::types::{TreeDigest, Triple};

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

/// What `cache push` did.
#[derive(Clone, Debug, Default)]
pub struct PushReport {
    /// Each tree and each remote that may be written to.
    pub pushed: Vec<PushedTree>,
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
    for remote in settings.writable() {
        let transport = connect(remote, cx.surroundings(), Patience::Asked)?;
        for parcel in &mut parcels {
            cx.cancel.check()?;
            let pushed = parcel.push(cx, &store, &*transport, remote, key.as_ref())?;
            report.pushed.push(pushed);
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

/// A tree to push; it is compressed when the first remote lacks it.
struct Parcel {
    subject: Subject,
    tree: TreeDigest,
    packed: Option<(Packed, Staging)>,
}

impl Parcel {
    fn new(subject: Subject, tree: TreeDigest) -> Self {
        Self {
            subject,
            tree,
            packed: None,
        }
    }

    fn push(
        &mut self,
        cx: &Context<'_>,
        store: &Store,
        transport: &dyn Transport,
        remote: &Remote,
        key: Option<&SecretKey>,
    ) -> Result<PushedTree, OpsError> {
        let (subject, tree) = (self.subject.clone(), self.tree);
        let name = subject.label().to_owned();
        let (begun, stage) = (Instant::now(), Stage::Push);
        cx.observer.event(Event::Started {
            task: name.clone(),
            stage,
            total: None,
        });
        let result = push_tree(transport, remote, &subject, tree, key, || {
            self.packed(cx, store)
        });
        let task = name.clone();
        cx.observer.event(match &result {
            Ok(Pushed::New) => Event::Finished {
                task,
                stage,
                elapsed: begun.elapsed(),
            },
            Ok(_) | Err(_) => Event::Dropped { task },
        });
        Ok(PushedTree {
            name,
            tree,
            remote: remote.to_string(),
            result: result?,
        })
    }

    fn packed(&mut self, cx: &Context<'_>, store: &Store) -> Result<&Packed, RemoteError> {
        let packed = if let Some(packed) = self.packed.take() {
            packed
        } else {
            let staging = store.stage(cx.observer, cx.cancel)?;
            let listing = store.listing(self.tree).map_err(RemoteError::Listing)?;
            let place = store.tree_path(self.tree);
            let path = staging.path().join("blob");
            let packed = Packed::write(&place, &listing, &path, cx.cancel)?;
            (packed, staging)
        };
        Ok(&self.packed.insert(packed).0)
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
                parcels.push(Parcel::new(subject, record.tree));
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
                parcels.insert(id.clone(), Parcel::new(subject, record.tree));
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
