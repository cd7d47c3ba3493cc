//! `cache import`: a bundle into the store, in one pass.
//!
//! A bundle says of a tree that it is what an archive or a recipe gives, and
//! nothing in it proves that. So its word counts only if somebody vouches for
//! it: a key that the user's configuration trusts, by its signature, or the user,
//! with `--trust`. Otherwise a tree is taken if it is the one that the project's
//! lock pins, which needs nobody's word; then no record is written, because
//! other projects did not pin it.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::Path;

use super::needs::{needs, read_lock};
use super::{Context, OpsError, Project};
use crate::bundle::{BundleError, Index};
use crate::events::Event;
use crate::pack::{self, Limits};
use crate::remote::sign::PublicKey;
use crate::store::Store;
use crate::sys::fs;
use crate::types::TreeDigest;

/// Bytes that are read from the file at once.
const BUFFER: usize = 1 << 20;

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The file's, because the user says so.
    User,
    /// The file's, because this trusted key signed it.
    Key(PublicKey),
    /// Nobody's: only what the lock pins.
    Pins,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// Whose word counted.
    pub authority: Authority,
    /// Trees that were written.
    pub taken: Vec<TreeDigest>,
    /// Trees that were in the store already.
    pub present: Vec<TreeDigest>,
    /// Trees of the file that were left alone, because nobody vouches for them.
    pub refused: Vec<TreeDigest>,
}

/// Brings the trees of `file` into the store.
///
/// What was imported before an error stays: each tree is whole, and each
/// record is written after its tree.
pub fn import(
    cx: &Context<'_>,
    project: Option<&Project>,
    file: &Path,
    trust: bool,
) -> Result<ImportReport, OpsError> {
    let input = fs::open_regular(file)?;
    let mut input = BufReader::with_capacity(BUFFER, input);
    let wrong = |source| BundleError::Read {
        file: file.to_owned(),
        source,
    };
    let refused = |reason| BundleError::Index {
        file: file.to_owned(),
        reason,
    };
    let index = Index::read(&mut input).map_err(wrong)?.map_err(refused)?;
    let authority = match index.signer(&cx.settings.remotes.keys) {
        Some(key) => Authority::Key(key),
        None if trust => Authority::User,
        None => Authority::Pins,
    };
    let accepted = match authority {
        Authority::User | Authority::Key(_) => index.trees.iter().copied().collect(),
        Authority::Pins => pins(cx, project)?,
    };
    let (mut wanted, mut refused) = (BTreeSet::new(), Vec::new());
    for tree in &index.trees {
        if accepted.contains(tree) {
            wanted.insert(*tree);
        } else {
            refused.push(*tree);
        }
    }
    if wanted.is_empty() && !refused.is_empty() {
        return Err(BundleError::Untrusted(file.to_owned()).into());
    }
    let store = cx.store()?;
    // A collector must not come between a tree and its record.
    let using = store.begin_use(cx.observer, cx.cancel)?;
    let (present, missing): (BTreeSet<_>, BTreeSet<_>) =
        wanted.into_iter().partition(|tree| store.has_tree(*tree));
    unpack(cx, &store, &index, &missing, &mut input).map_err(|stop| match stop {
        Stop::Pack(source) => wrong(source).into(),
        Stop::Other(error) => error,
    })?;
    if authority != Authority::Pins {
        record(cx, &store, &index)?;
    }
    drop(using);
    Ok(ImportReport {
        authority,
        taken: missing.into_iter().collect(),
        present: present.into_iter().collect(),
        refused,
    })
}

/// The trees that the project's lock pins for this machine.
fn pins(cx: &Context<'_>, project: Option<&Project>) -> Result<BTreeSet<TreeDigest>, OpsError> {
    let Some(project) = project else {
        return Ok(BTreeSet::new());
    };
    let needs = needs(cx, &read_lock(project)?, None)?;
    let builds = needs.builds.values();
    Ok(builds.filter_map(|build| build.pin).collect())
}

/// An error of the file, which has no name here, or another one.
enum Stop {
    Pack(pack::PackError),
    Other(OpsError),
}

impl<E: Into<OpsError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads on until every missing tree is in the store.
fn unpack(
    cx: &Context<'_>,
    store: &Store,
    index: &Index,
    missing: &BTreeSet<TreeDigest>,
    input: &mut BufReader<std::fs::File>,
) -> Result<(), Stop> {
    let limits = Limits {
        cancel: cx.cancel.clone(),
        ..Limits::default()
    };
    let mut left = missing.len();
    for tree in &index.trees {
        if left == 0 {
            return Ok(());
        }
        if !missing.contains(tree) {
            pack::skip_next(input, &limits).map_err(Stop::Pack)?;
            continue;
        }
        let staging = store.stage(cx.observer, cx.cancel)?;
        let listing = pack::read_next(input, *tree, &limits, staging.path());
        let listing = listing.map_err(Stop::Pack)?;
        store.publish(&staging, &listing)?;
        left -= 1;
    }
    Ok(())
}

/// Writes down what the file says about its trees. What the store knows from
/// its own downloads and builds stays.
fn record(cx: &Context<'_>, store: &Store, index: &Index) -> Result<(), OpsError> {
    let differs = |what: &str, known: TreeDigest, said: TreeDigest| {
        let text = format!("{what} is tree {known} here and {said} in the file; ours stays");
        cx.observer.event(Event::Warning(text));
    };
    for record in &index.components {
        match store.archive(record.archive) {
            Some(known) if known.tree != record.tree => {
                differs(&record.name, known.tree, record.tree);
            }
            Some(_) => {}
            None => store.record_component(record)?,
        }
    }
    for record in &index.recipes {
        match store.recipe(record.key) {
            Some(known) if known.tree != record.tree => {
                differs(record.target.as_str(), known.tree, record.tree);
            }
            Some(_) => {}
            None => store.record_recipe(record)?,
        }
    }
    Ok(())
}
