//! `lock`: the manifest's request resolved, and written if its meaning changed.

use std::path::Path;
use std::time::Instant;

use super::project::{LockFile, Project};
use super::{Context, OpsError, system};
use crate::events::{Event, Stage};
use crate::fetch::{Client, DistServer, FetchedManifest, Options};
use crate::lock::{Difference, Lock, LockError, LockedSource};
use crate::resolve::{
    ChannelManifest, Source, carry_pins, check_not_older, check_not_republished, resolve,
};
use crate::sys::fs;
use crate::types::{Channel, RelPath, Sha256};

/// The largest channel manifest we read from the cache.
const MAX_CHANNEL_MANIFEST: u64 = 16 << 20;

/// What `lock` may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Write the lock if its meaning changed.
    Write,
    /// Resolve and report, but write nothing.
    DryRun,
    /// Fail if the lock would change; write nothing.
    Check,
}

/// What became of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockStatus {
    /// It answers the manifest already.
    Fresh,
    /// It was missing.
    Created,
    /// It was stale, in these fields.
    Updated(Vec<Difference>),
}

/// What `lock` did, or would do.
#[derive(Clone, Debug)]
pub struct LockReport {
    /// What became of the lock.
    pub status: LockStatus,
    /// The lock.
    pub file: LockFile,
}

/// Resolves the manifest and writes the lock if its meaning changed.
///
/// A lock that answers the manifest is not resolved again: it never changes
/// silently. The system's toolchain is asked every time, because the machine
/// may have another one than yesterday. With `refresh` the server is asked
/// again too, and a day that it published anew is taken over.
pub fn lock(
    cx: &Context<'_>,
    project: &Project,
    mode: LockMode,
    refresh: bool,
) -> Result<LockReport, OpsError> {
    let old = match project.read_lock() {
        // A damaged lock is what `lock` is there to replace; a check must see it.
        Err(OpsError::Lock(e @ (LockError::Conflict(_) | LockError::Empty { .. })))
            if mode == LockMode::Write =>
        {
            cx.observer
                .event(Event::Warning(format!("{e}; it is resolved anew")));
            None
        }
        result => result?,
    };
    let differences = old.as_ref().map(|old| project.differences(&old.lock));
    let is_system = project.manifest.channel == Channel::System;
    if let (Some(old), Some([])) = (&old, differences.as_deref())
        && !refresh
        && !is_system
    {
        return Ok(LockReport {
            status: LockStatus::Fresh,
            file: old.clone(),
        });
    }
    if mode == LockMode::Check {
        check_answers(project, differences.as_deref())?;
    }
    let new = resolve_project(cx, project, old.as_ref().map(|o| &o.lock), refresh)?;
    let text = new.to_text();
    let status = match &old {
        None => LockStatus::Created,
        Some(old) if old.lock == new => LockStatus::Fresh,
        Some(_) => LockStatus::Updated(differences.unwrap_or_default()),
    };
    if status == LockStatus::Fresh {
        // Equal in meaning: the text on the disk stays, whatever its line ends.
        if let Some(file) = old {
            return Ok(LockReport { status, file });
        }
    }
    if mode == LockMode::Check {
        return Err(OpsError::WouldChange(project.files.lock.clone()));
    }
    if mode == LockMode::Write {
        fs::replace(&project.files.lock, text.as_bytes())?;
    }
    Ok(LockReport {
        status,
        file: LockFile { lock: new, text },
    })
}

/// Refuses a lock that is missing, or stale by itself.
fn check_answers(project: &Project, differences: Option<&[Difference]>) -> Result<(), OpsError> {
    let path = project.files.lock.clone();
    match differences {
        None => Err(OpsError::MissingLock(path)),
        Some([]) => Ok(()),
        Some(differences) => Err(OpsError::StaleLock {
            path,
            differences: differences.to_vec(),
        }),
    }
}

fn resolve_project(
    cx: &Context<'_>,
    project: &Project,
    old: Option<&Lock>,
    accept_republished: bool,
) -> Result<Lock, OpsError> {
    let begun = Instant::now();
    let task = project.manifest.channel.to_string();
    cx.observer.event(Event::Started {
        task: task.clone(),
        stage: Stage::Resolve,
        total: None,
    });
    let specs = project.spec_digests();
    let mut new = match project.manifest.channel.manifest_path() {
        None => {
            let toolchain = system::describe(&system::find(cx)?)?;
            resolve(
                &project.manifest,
                &specs,
                &Source::System(&toolchain),
                cx.settings.today,
            )?
        }
        Some(path) => {
            let fetched = channel_manifest(cx, &task, &path, accept_republished)?;
            let manifest = ChannelManifest::parse(&fetched.bytes)?;
            let path = server_path(&path)?;
            let source = Source::Dist {
                manifest: &manifest,
                path,
                sha256: fetched.sha256,
            };
            resolve(&project.manifest, &specs, &source, cx.settings.today)?
        }
    };
    if let Some(old) = old {
        check_not_older(old, &new)?;
        if !accept_republished {
            check_not_republished(old, &new)?;
        }
        carry_pins(&mut new, old);
        carry_other_hosts(&mut new, old);
    }
    let elapsed = begun.elapsed();
    cx.observer.event(Event::Finished {
        task,
        stage: Stage::Resolve,
        elapsed,
    });
    Ok(new)
}

/// Keeps what other machines locked of the same system toolchain: this one
/// cannot resolve for them.
fn carry_other_hosts(new: &mut Lock, old: &Lock) {
    if !new.hosts.is_empty() || new.toolchain != old.toolchain {
        return;
    }
    for (name, target) in &mut new.targets {
        let before = old
            .targets
            .get(name)
            .filter(|t| t.spec == target.spec)
            .map(|t| &t.source);
        if let (
            LockedSource::Build { options, hosts },
            Some(LockedSource::Build {
                options: old_options,
                hosts: old_hosts,
            }),
        ) = (&mut target.source, before)
            && options == old_options
        {
            for (host, build) in old_hosts {
                hosts.entry(host.clone()).or_insert(*build);
            }
        }
    }
}

/// The channel manifest of a dated channel: from the cache, else the server.
///
/// A dated manifest does not change, so the cached one is as good as the
/// server's; `refresh` asks the server all the same.
fn channel_manifest(
    cx: &Context<'_>,
    channel: &str,
    path: &str,
    refresh: bool,
) -> Result<FetchedManifest, OpsError> {
    let store = cx.store()?;
    let cached = store.layout().manifest(&cached_name(cx, channel));
    if !refresh && let Some(found) = read_cached(&cached) {
        return Ok(found);
    }
    if cx.settings.offline {
        return Err(OpsError::Offline {
            what: format!("the channel manifest of {channel}"),
        });
    }
    let path = server_path(path)?;
    let fetched = client(cx)?.channel_manifest(&path)?;
    // Only what can be read is worth keeping.
    ChannelManifest::parse(&fetched.bytes)?;
    if let Some(parent) = cached.parent() {
        store.make_dir(parent)?;
    }
    // The first line is the hash of the rest: a damaged copy is no copy.
    let mut kept = format!("{}\n", fetched.sha256.to_hex()).into_bytes();
    kept.extend_from_slice(&fetched.bytes);
    fs::replace(&cached, &kept)?;
    Ok(fetched)
}

/// The name of a cached manifest: one a server, because what one server says
/// must not answer for another.
fn cached_name(cx: &Context<'_>, channel: &str) -> String {
    let server = cx.settings.dist_server.trim_end_matches('/');
    let hash = blake3::hash(server.as_bytes()).to_hex();
    format!("{}-{channel}", hash.get(..16).unwrap_or(&hash))
}

/// A path made of a checked date or release; so it always parses.
fn server_path(path: &str) -> Result<RelPath, OpsError> {
    path.parse().map_err(OpsError::ServerPath)
}

fn read_cached(path: &Path) -> Option<FetchedManifest> {
    let kept = fs::read(path, MAX_CHANNEL_MANIFEST + 65).ok()?;
    let hash = Sha256::from_hex(std::str::from_utf8(kept.get(..64)?).ok()?).ok()?;
    let bytes = kept.get(64..)?.strip_prefix(b"\n")?.to_vec();
    (Sha256::of(&bytes) == hash).then_some(FetchedManifest {
        bytes,
        sha256: hash,
    })
}

/// A client for the configured dist server.
pub(super) fn client(cx: &Context<'_>) -> Result<Client, OpsError> {
    let server = DistServer::parse(&cx.settings.dist_server)?;
    let options = Options {
        offline: cx.settings.offline,
        cancel: cx.cancel.clone(),
        proxies: cx.settings.proxy.clone(),
        ..Options::default()
    };
    Ok(Client::new(server, options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_manifest_that_was_cut_off_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        let hash = Sha256::of(b"").to_hex();
        let other = Sha256::of(b"x").to_hex();
        for (kept, whole) in [
            (String::new(), false),
            (hash[..63].to_owned(), false),
            (hash.clone(), false),
            (format!("{hash}x"), false),
            (format!("{other}\n"), false),
            (format!("{other}\nx"), true),
            (format!("{hash}\n"), true),
        ] {
            fs::replace(&path, kept.as_bytes()).unwrap();
            assert_eq!(read_cached(&path).is_some(), whole, "{kept:?}");
        }
    }
}
