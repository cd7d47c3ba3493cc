//! `why`: how a target is obtained and for what reason, and what the next
//! `sync` has to do about it.

use std::collections::BTreeSet;

use super::execute::index;
use super::project::{LockFile, Project};
use super::{Context, EditError, OpsError, TargetState, status, sync};
use crate::lock::{Difference, LockedSource, LockedTarget, LockedToolchain};
use crate::plan::{component_id, plan};
use crate::types::{RecipeKey, Strategy, TreeDigest, Triple};

/// What is known about one target.
#[derive(Clone, Debug)]
pub struct WhyReport {
    /// Its name.
    pub target: Triple,
    /// `download`, `build` or `system`; `None` if it is not locked.
    pub source: Option<&'static str>,
    /// Why it is obtained that way, as a clause.
    pub because: String,
    /// Where it is.
    pub state: TargetState,
    /// Where the lock does not answer what the manifest asks for this target,
    /// or for all of them.
    pub stale: Vec<Difference>,
    /// The paths and hashes of its archive, if it is downloaded.
    pub archives: Vec<String>,
    /// The key of its recipe, if it is compiled.
    pub key: Option<RecipeKey>,
    /// The digest it must have, if it is compiled and was before.
    pub pin: Option<TreeDigest>,
    /// What the next `sync` has to do, each with its reason.
    pub next: Vec<String>,
}

/// Explains one target of the manifest.
pub fn why(cx: &Context<'_>, project: &Project, target: &Triple) -> Result<WhyReport, OpsError> {
    let known = &project.manifest.targets;
    let request = known.get(target).ok_or_else(|| EditError::NoTarget {
        target: target.clone(),
        known: known.keys().cloned().collect(),
    })?;
    let all = status(cx, project)?;
    let state = all.targets.iter().find(|status| status.name == *target);
    let state = state.map_or(TargetState::NotLocked, |status| status.state);
    let file = project.read_lock()?;
    let locked = (file.as_ref()).and_then(|file| Some((file, file.lock.targets.get(target)?)));
    let mut report = WhyReport {
        target: target.clone(),
        source: None,
        because: reason(request.strategy, request.build_only_key(), None),
        state,
        stale: Vec::new(),
        archives: Vec::new(),
        key: None,
        pin: None,
        next: Vec::new(),
    };
    let Some((file, locked)) = locked else {
        report
            .next
            .push("resolve the manifest: the lock does not have it yet".to_owned());
        return Ok(report);
    };
    describe(&mut report, file, locked);
    let stale = all.stale.unwrap_or_default().into_iter();
    let concerns = |difference: &Difference| {
        difference
            .target
            .as_ref()
            .is_none_or(|other| other == target)
    };
    report.stale = stale.filter(concerns).collect();
    if let LockedSource::Build { hosts, .. } = &locked.source
        && let Some(build) = all.host.as_ref().and_then(|host| hosts.get(host))
    {
        (report.key, report.pin) = (Some(build.key), build.pin);
    }
    next(cx, &mut report, file, all.output_current)?;
    Ok(report)
}

fn describe(report: &mut WhyReport, file: &LockFile, locked: &LockedTarget) {
    let channel = match &file.lock.toolchain {
        LockedToolchain::Dist { .. } => Some(file.lock.channel.to_string()),
        LockedToolchain::System { .. } => None,
    };
    let shipped = Shipped {
        by: channel.map_or("the system's toolchain".to_owned(), |channel| {
            format!("upstream's {channel}")
        }),
        is: !matches!(locked.source, LockedSource::Build { .. }),
    };
    let request = &locked.request;
    report.source = Some(locked.source.as_str());
    report.because = reason(request.strategy, request.build_only_key(), Some(&shipped));
    if matches!(locked.source, LockedSource::Download)
        && let Some(component) = file.lock.archive("rust-std", Some(&report.target))
    {
        let archives = component.xz.iter().chain(&component.gz);
        report.archives = archives.map(ToString::to_string).collect();
    }
}

/// Whether a toolchain brings a target's library along.
struct Shipped {
    by: String,
    is: bool,
}

fn reason(strategy: Strategy, key: Option<&str>, shipped: Option<&Shipped>) -> String {
    match (strategy, key, shipped) {
        (Strategy::Download, _, _) => "`strategy = \"download\"` asks for that".to_owned(),
        (Strategy::Build, _, _) => "`strategy = \"build\"` asks for that".to_owned(),
        (Strategy::Auto, Some(key), _) => format!("`{key}` asks for a build"),
        (Strategy::Auto, None, Some(Shipped { by, is: true })) => {
            format!("{by} has it, and nothing asks for a build")
        }
        (Strategy::Auto, None, Some(Shipped { by, is: false })) => {
            format!("{by} does not have it")
        }
        (Strategy::Auto, None, None) => "that depends on what the toolchain has".to_owned(),
    }
}

/// What a sync would do for this target.
fn next(
    cx: &Context<'_>,
    report: &mut WhyReport,
    file: &LockFile,
    output_current: bool,
) -> Result<(), OpsError> {
    if !report.stale.is_empty() {
        let text = "resolve the manifest again: the lock answers another one";
        report.next.push(text.to_owned());
        return Ok(());
    }
    if output_current && report.state == TargetState::Materialized {
        // Whatever the store has: a sync does not look into it.
        report.next.push("nothing: it is in the output".to_owned());
        return Ok(());
    }
    let Ok(host) = sync::host(cx, &file.lock) else {
        let text = "nothing here: this machine is not among the lock's hosts";
        report.next.push(text.to_owned());
        return Ok(());
    };
    let selected = BTreeSet::from([report.target.clone()]);
    let index = index(&cx.store_to_read()?, &file.lock, &host);
    let plan = plan(&file.lock, &host, Some(&selected), &index)?;
    let own = component_id("rust-std", Some(&report.target));
    for fetch in &plan.fetch {
        if Some(&fetch.id) == own.as_ref() {
            report
                .next
                .push(format!("download {}: it is not in the store", fetch.id));
        } else if fetch.for_build && plan.build.iter().any(|b| b.target == report.target) {
            report
                .next
                .push(format!("download {}: it compiles the target", fetch.id));
        }
    }
    let builds = plan
        .build
        .iter()
        .filter(|build| build.target == report.target);
    report
        .next
        .extend(builds.map(|build| format!("compile it: {}", build.reason)));
    if report.next.is_empty() {
        let text = match report.state {
            TargetState::Materialized => {
                "compare the output with the lock: something in it is not what the last sync left"
            }
            TargetState::Outdated => {
                "put what is locked into the output, in place of what is there: it is in the store"
            }
            _ => "put it into the output: it is in the store",
        };
        report.next.push(text.to_owned());
    }
    Ok(())
}
