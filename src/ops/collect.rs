//! `cache gc` and `cache evict`, and the collection after a sync.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cache::{SHOWN_DIGITS, names_of};
use super::{Context, OpsError};
use crate::config::{Age, Collect};
use crate::events::Event;
use crate::store::{Attempt, EPOCH_OF_TRUST, GcPlan, Limits, Store, StoreError, Swept};
use crate::sys::fs;
use crate::sys::lock::limit;
use crate::types::TreeDigest;

/// How long a tree that no project uses stays, unless configured otherwise.
const DEFAULT_MAX_AGE: Age = Age::days(90);
/// How long `cache gc` waits for running syncs and builds.
const WAIT: Duration = Duration::from_mins(10);
/// The most files that a collection after a sync removes: about a second's work.
const MAX_FILES: u64 = 20_000;
const DAY: u64 = 24 * 60 * 60;

/// What is asked of `cache gc`.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// Instead of the configured size, in bytes.
    pub max_size: Option<u64>,
    /// Instead of the configured age, in seconds.
    pub max_age: Option<u64>,
    /// Plan and report, but change nothing.
    pub dry_run: bool,
}

/// What `cache evict` is asked for.
#[derive(Clone, Debug)]
pub enum Evict {
    /// A tree by the first digits of its digest, or every tree of a component
    /// or target by its name.
    Named(String),
    /// Every tree that no project uses.
    AllUnused,
}

/// What a collection did, or would do.
#[derive(Debug, Default)]
pub struct GcReport {
    /// The plan.
    pub plan: GcPlan,
    /// What was done; absent for a dry run.
    pub swept: Option<Swept>,
    /// Names in the store that nothing of ours has; they are left alone.
    pub strangers: Vec<std::path::PathBuf>,
}

/// Collects garbage: plans, then removes.
///
/// Waits for running syncs and builds, because what they use is not known
/// before their end.
///
/// `show` is given the plan before anything is removed.
pub fn gc(
    cx: &Context<'_>,
    options: &GcOptions,
    show: &dyn Fn(&GcPlan),
) -> Result<GcReport, OpsError> {
    let cache = &cx.settings.config.cache;
    let limits = Limits {
        max_age: options
            .max_age
            .unwrap_or(cache.max_age.unwrap_or(DEFAULT_MAX_AGE).seconds()),
        max_size: options.max_size.or(cache.max_size.map(|size| size.0)),
        max_files: None,
        asked: None,
    };
    collect(cx, &limits, options.dry_run, show)
}

fn collect(
    cx: &Context<'_>,
    limits: &Limits,
    dry_run: bool,
    show: &dyn Fn(&GcPlan),
) -> Result<GcReport, OpsError> {
    let store = cx.store_to_read()?;
    if fs::metadata_if_exists(store.layout().root())?.is_none() {
        return Ok(GcReport::default());
    }
    let now = cx.settings.now;
    if dry_run {
        let survey = store.survey()?;
        let plan = GcPlan::new(&survey, now, limits);
        show(&plan);
        return Ok(GcReport {
            plan,
            swept: None,
            strangers: survey.strangers,
        });
    }
    let alone = store.wait_alone(WAIT.min(limit()), cx.observer, cx.cancel)?;
    let survey = store.survey()?;
    let plan = GcPlan::new(&survey, now, limits);
    show(&plan);
    let swept = store.sweep(alone, &plan, now, cx.cancel)?;
    cx.cancel.check()?;
    for failure in &swept.failures {
        cx.observer.event(Event::Warning(failure.clone()));
    }
    Ok(GcReport {
        plan,
        swept: Some(swept),
        strangers: survey.strangers,
    })
}

/// Removes trees that somebody asks to be removed. A project whose tree goes
/// keeps its output; its next sync that needs the tree makes it again.
///
/// `show` is given the plan before anything is removed.
pub fn evict(
    cx: &Context<'_>,
    what: &Evict,
    dry_run: bool,
    show: &dyn Fn(&GcPlan),
) -> Result<GcReport, OpsError> {
    let mut limits = Limits {
        max_age: 0,
        max_size: None,
        max_files: None,
        asked: None,
    };
    if let Evict::Named(name) = what {
        let store = cx.store_to_read()?;
        let asked = find(&store, name)?;
        if asked.is_empty() {
            return Err(OpsError::NoSuchTree(name.clone()));
        }
        limits.asked = Some(asked);
    }
    collect(cx, &limits, dry_run, show)
}

/// The trees that a user means.
fn find(store: &Store, name: &str) -> Result<BTreeSet<TreeDigest>, OpsError> {
    let mut found: BTreeSet<TreeDigest> = names_of(store)?
        .into_iter()
        .filter(|(known, _, _)| known == name)
        .map(|(_, _, tree)| tree)
        .collect();
    let digits = name.strip_prefix(TreeDigest::PREFIX).unwrap_or(name);
    // As many as `cache list` shows, so that no two trees share them.
    if found.is_empty() && digits.len() >= SHOWN_DIGITS {
        for stored in fs::list(&store.layout().trees())? {
            let stored = stored.to_str().filter(|stored| stored.starts_with(digits));
            found.extend(stored.and_then(|stored| TreeDigest::from_hex(stored).ok()));
        }
    }
    Ok(found)
}

/// The collection after a successful sync, once a day. It never waits for a
/// lock, takes a bounded time, and whatever fails in it is not the sync's.
pub(super) fn collect_daily(cx: &Context<'_>, store: &Store) -> Option<GcReport> {
    // Offline nothing that goes could be had again.
    if cx.settings.config.cache.collect == Collect::Never || cx.settings.offline {
        return None;
    }
    let now = cx.settings.now;
    if now < EPOCH_OF_TRUST || !is_due(last(store), now) {
        return None;
    }
    let cache = &cx.settings.config.cache;
    let limits = Limits {
        max_age: cache.max_age.unwrap_or(DEFAULT_MAX_AGE).seconds(),
        max_size: cache.max_size.map(|size| size.0),
        max_files: Some(MAX_FILES),
        asked: None,
    };
    let stamp = || fs::replace_unflushed(&store.layout().last_gc(), now.to_string().as_bytes());
    let alone = match store.try_alone() {
        Ok(Attempt::Alone(alone)) => alone,
        // Others work: the next sync tries again.
        Ok(Attempt::Busy) => return None,
        Err(e @ StoreError::NoLocks { .. }) => {
            // Said once a day, where the day can be noted at all.
            if stamp().is_ok() {
                cx.observer.event(Event::Warning(e.to_string()));
            }
            return None;
        }
        Err(_) => return None,
    };
    // Where that cannot be written, there is nothing to remove either.
    stamp().ok()?;
    let survey = store.survey().ok()?;
    let plan = GcPlan::new(&survey, now, &limits);
    let swept = store.sweep(alone, &plan, now, cx.cancel).ok()?;
    if plan.unfinished {
        // The next sync goes on.
        let _ = fs::remove_file(&store.layout().last_gc());
    }
    Some(GcReport {
        plan,
        swept: Some(swept),
        strangers: survey.strangers,
    })
}

/// When the last automatic collection was, in seconds since 1970.
fn last(store: &Store) -> Option<u64> {
    let text = fs::read_text(&store.layout().last_gc(), 64).ok()?;
    text.trim().parse().ok()
}

/// Whether a day has passed; a time in the future is none.
fn is_due(last: Option<u64>, now: u64) -> bool {
    last.is_none_or(|last| last > now || now - last >= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_099_a_collection_is_due_once_a_day_whatever_the_clock_did() {
        assert!(is_due(None, 5));
        assert!(!is_due(Some(100), 100));
        assert!(!is_due(Some(100), 99 + DAY));
        assert!(is_due(Some(100), 100 + DAY));
        assert!(is_due(Some(101), 100), "the clock was ahead");
    }
}
