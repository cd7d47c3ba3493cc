//! Whether a lock still answers what the manifest asks, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::write::strategy_name;
use super::{Lock, LockedSource, LockedTarget, options_of};
use crate::manifest::{Manifest, TargetRequest};
use crate::types::{CrateSet, DebugInfo, OptLevel, Panic, Profile, SpecDigest, Triple};

/// One field in which manifest and lock differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The target it belongs to; `None` for what belongs to all of them.
    pub target: Option<Triple>,
    /// The field, as a dotted path: `targets.my-os.opt-level`.
    pub field: String,
    /// What is asked for now, in TOML's spelling; `None` where nothing is.
    pub manifest: Option<String>,
    /// What the lock answered, in TOML's spelling; `None` where nothing is.
    pub lock: Option<String>,
}

/// How the field of a spec's content is called.
const SPEC_BYTES: &str = "spec (the file's bytes)";

impl Difference {
    /// Whether it is about the bytes of a spec, not about a key of the manifest.
    pub fn is_of_spec_bytes(&self) -> bool {
        self.key() == Some(SPEC_BYTES)
    }

    /// The field below its target: `opt-level`; `None` for the target itself.
    pub fn key(&self) -> Option<&str> {
        match &self.target {
            None => Some(&self.field),
            Some(target) => self
                .field
                .strip_prefix(&format!("targets.{target}"))?
                .strip_prefix('.'),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(
            f,
            "{}: manifest {}, lock {}",
            self.field,
            say(&self.manifest),
            say(&self.lock)
        )
    }
}

/// Compares by meaning; empty when the lock is fresh. `specs` holds the digest
/// of each custom target's spec as it is on disk now.
pub fn differences(
    manifest: &Manifest,
    specs: &BTreeMap<Triple, SpecDigest>,
    lock: &Lock,
) -> Vec<Difference> {
    let mut found = Found {
        target: None,
        all: Vec::new(),
    };
    let Manifest {
        channel,
        hosts,
        components,
        targets,
    } = manifest;
    found.compare(
        "channel".to_owned(),
        Some(text(channel)),
        Some(text(lock.channel)),
    );
    found.compare(
        "hosts".to_owned(),
        Some(list(hosts)),
        Some(list(&lock.hosts)),
    );
    found.compare(
        "components".to_owned(),
        Some(list(components)),
        Some(list(&lock.components)),
    );
    let names: BTreeSet<&Triple> = targets.keys().chain(lock.targets.keys()).collect();
    for name in names {
        let field = format!("targets.{name}");
        found.target = Some(name.clone());
        match (targets.get(name), lock.targets.get(name)) {
            (Some(wanted), Some(locked)) => {
                found.requests(&field, wanted, &locked.request);
                found.spec(&field, specs.get(name), locked);
                found.recipe(&field, name, lock, locked);
            }
            (Some(_), None) => found.push(field, Some("a table".to_owned()), None),
            (None, Some(_)) => found.push(field, None, Some("a table".to_owned())),
            (None, None) => {}
        }
    }
    found.all
}

/// What was found so far, and the target that is looked at.
struct Found {
    target: Option<Triple>,
    all: Vec<Difference>,
}

impl Found {
    fn push(&mut self, field: String, manifest: Option<String>, lock: Option<String>) {
        self.all.push(Difference {
            target: self.target.clone(),
            field,
            manifest,
            lock,
        });
    }

    fn compare(&mut self, field: String, manifest: Option<String>, lock: Option<String>) {
        if manifest != lock {
            self.push(field, manifest, lock);
        }
    }

    fn requests(&mut self, target: &str, wanted: &TargetRequest, locked: &TargetRequest) {
        for ((key, wanted), (_, locked)) in fields(wanted).into_iter().zip(fields(locked)) {
            self.compare(format!("{target}.{key}"), wanted, locked);
        }
    }

    /// The same path may hold other bytes than when it was locked.
    fn spec(&mut self, target: &str, on_disk: Option<&SpecDigest>, locked: &LockedTarget) {
        if let (Some(now), Some(then)) = (on_disk, &locked.spec) {
            let field = format!("{target}.{SPEC_BYTES}");
            self.compare(field, Some(now.to_string()), Some(then.to_string()));
        }
    }

    /// A key of another recipe version, or options edited by hand, would make
    /// the store answer for something else.
    fn recipe(&mut self, target: &str, name: &Triple, lock: &Lock, locked: &LockedTarget) {
        let LockedSource::Build { options, hosts } = &locked.source else {
            return;
        };
        let meant = options_of(&locked.request, name, hosts.keys());
        if meant != *options {
            let wanted = Some("what the request means".to_owned());
            self.push(
                format!("{target}.options"),
                wanted,
                Some("others".to_owned()),
            );
        }
        for (host, build) in hosts {
            let key = lock
                .recipe(name, host)
                .map(|recipe| recipe.key().to_string());
            let field = format!("{target}.hosts.{host}.key");
            self.compare(field, key, Some(build.key.to_string()));
        }
    }
}

/// The fields of a request in TOML's spelling.
pub(super) fn fields(request: &TargetRequest) -> [(&'static str, Option<String>); 10] {
    let TargetRequest {
        strategy,
        spec,
        crates,
        features,
        profile,
        rustflags,
    } = request;
    let Profile {
        opt_level,
        debug,
        panic,
        codegen_units,
        embed_bitcode,
    } = profile;
    [
        ("strategy", Some(text(strategy_name(*strategy)))),
        ("spec", spec.as_ref().map(text)),
        ("crates", crates.map(CrateSet::names).map(list)),
        ("features", Some(list(features))),
        ("opt-level", opt_level.map(level)),
        ("debug", debug.map(DebugInfo::as_str).map(text)),
        ("panic", panic.map(Panic::as_str).map(text)),
        ("codegen-units", codegen_units.map(|n| n.to_string())),
        ("embed-bitcode", embed_bitcode.map(|yes| yes.to_string())),
        ("rustflags", Some(list(rustflags))),
    ]
}

fn level(level: OptLevel) -> String {
    match level {
        OptLevel::Number(number) => number.to_string(),
        OptLevel::Size | OptLevel::SizeMin => text(level),
    }
}

fn text(value: impl fmt::Display) -> String {
    format!("\"{value}\"")
}

fn list(values: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let values: Vec<String> = values.into_iter().map(text).collect();
    format!("[{}]", values.join(", "))
}
