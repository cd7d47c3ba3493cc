//! What has changed between two locks, in words.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::diff::fields;
use super::{Lock, LockedSource, LockedTarget, LockedToolchain, ManifestSignature};
use crate::document::escape_controls;
use crate::types::Triple;

/// One thing that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about, as a dotted path: `targets.my-os.pin`.
    pub field: String,
    /// What it was; `None` where there was nothing.
    pub old: Option<String>,
    /// What it is; `None` where there is nothing.
    pub new: Option<String>,
    /// What that means, as a sentence without a full stop or control characters.
    pub meaning: String,
}

/// Compares two locks; empty when they mean the same.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let mut found = Found::default();
    found.toolchain(old, new);
    found.asked("hosts", "host", &old.hosts, &new.hosts);
    found.asked("components", "component", &old.components, &new.components);
    found.archives(old, new);
    let names: BTreeSet<&Triple> = old.targets.keys().chain(new.targets.keys()).collect();
    for name in names {
        let field = format!("targets.{name}");
        match (old.targets.get(name), new.targets.get(name)) {
            (Some(before), Some(after)) => found.target(&field, name, before, after),
            (None, Some(after)) => {
                let how = obtained(&after.source);
                let meaning = format!("target `{name}` is new; it is {how}");
                found.push(field, None, Some(how.to_owned()), meaning);
            }
            (Some(before), None) => {
                let how = obtained(&before.source).to_owned();
                found.push(field, Some(how), None, format!("target `{name}` is gone"));
            }
            (None, None) => {}
        }
    }
    // Not every lock that is compared was read.
    for change in &mut found.0 {
        change.meaning = escape_controls(&change.meaning);
    }
    found.0
}

/// How a target is obtained, as a participle.
const fn obtained(source: &LockedSource) -> &'static str {
    match source {
        LockedSource::Download => "downloaded",
        LockedSource::System => "taken from the system",
        LockedSource::Build { .. } => "compiled",
    }
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn push(&mut self, field: String, old: Option<String>, new: Option<String>, meaning: String) {
        self.0.push(Change {
            field,
            old,
            new,
            meaning,
        });
    }

    /// Two values that are always there.
    fn value(&mut self, field: &str, what: &str, old: &dyn Display, new: &dyn Display) {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            let meaning = format!("{what} is `{new}` instead of `{old}`");
            self.push(field.to_owned(), Some(old), Some(new), meaning);
        }
    }

    fn toolchain(&mut self, old: &Lock, new: &Lock) {
        self.value("channel", "the channel", &old.channel, &new.channel);
        match (&old.toolchain, &new.toolchain) {
            (
                LockedToolchain::Dist {
                    date: old_date,
                    rustc: old_rustc,
                    commit: old_commit,
                    manifest_path: _,
                    manifest_sha256: old_sha256,
                    signature: old_signature,
                },
                LockedToolchain::Dist {
                    date,
                    rustc,
                    commit,
                    manifest_path: _,
                    manifest_sha256: sha256,
                    signature,
                },
            ) => {
                self.value("toolchain.rustc", "the compiler", old_rustc, rustc);
                if old_rustc == rustc && old_commit != commit {
                    let meaning = "the compiler of this version is of another commit".to_owned();
                    let field = "toolchain.commit".to_owned();
                    self.push(field, old_commit.clone(), commit.clone(), meaning);
                }
                if old_date == date && old.channel == new.channel && old_sha256 != sha256 {
                    let meaning =
                        "the channel manifest of this day was published anew with other bytes";
                    let (old, new) = (Some(old_sha256.to_string()), Some(sha256.to_string()));
                    let field = "toolchain.manifest-sha256".to_owned();
                    self.push(field, old, new, meaning.to_owned());
                }
                self.signature(old_signature, signature);
            }
            (
                LockedToolchain::System {
                    rustc: old_rustc,
                    commit: old_commit,
                    cargo: old_cargo,
                    rust_src: old_src,
                },
                LockedToolchain::System {
                    rustc,
                    commit,
                    cargo,
                    rust_src,
                },
            ) => {
                self.value("toolchain.rustc", "the compiler", old_rustc, rustc);
                self.value(
                    "toolchain.commit",
                    "the compiler's commit",
                    old_commit,
                    commit,
                );
                self.value("toolchain.cargo", "cargo", old_cargo, cargo);
                let what = "the digest of the library sources";
                self.value("toolchain.rust-src", what, old_src, rust_src);
            }
            // The channels say it.
            (LockedToolchain::Dist { .. }, LockedToolchain::System { .. })
            | (LockedToolchain::System { .. }, LockedToolchain::Dist { .. }) => {}
        }
    }

    fn signature(&mut self, old: &ManifestSignature, new: &ManifestSignature) {
        let say = |signature: &ManifestSignature| match signature {
            ManifestSignature::NotAsked => "not asked for".to_owned(),
            ManifestSignature::Missing => "missing".to_owned(),
            ManifestSignature::Good { signer, .. } => format!("by {signer}"),
        };
        // Every day has a signature of its own; who made it is what matters.
        let (old, new) = (say(old), say(new));
        if old != new {
            let meaning =
                format!("the channel manifest's signature is {new}; before, it was {old}");
            self.push(
                "toolchain.signature".to_owned(),
                Some(old),
                Some(new),
                meaning,
            );
        }
    }

    fn asked<T: Ord + Display>(
        &mut self,
        field: &str,
        what: &str,
        old: &BTreeSet<T>,
        new: &BTreeSet<T>,
    ) {
        for name in new.difference(old) {
            let meaning = format!("{what} `{name}` is new");
            self.push(field.to_owned(), None, Some(name.to_string()), meaning);
        }
        for name in old.difference(new) {
            let meaning = format!("{what} `{name}` is gone");
            self.push(field.to_owned(), Some(name.to_string()), None, meaning);
        }
    }

    /// Of another channel all archives are others; of the same one none
    /// should be.
    fn archives(&mut self, old: &Lock, new: &Lock) {
        if old.channel != new.channel {
            return;
        }
        for (id, archive) in &new.archives {
            let Some(before) = old.archives.get(id).filter(|before| *before != archive) else {
                continue;
            };
            let hashes = |hashes: Vec<crate::types::Sha256>| {
                let hashes: Vec<String> = hashes.iter().map(ToString::to_string).collect();
                Some(hashes.join(", "))
            };
            let meaning = format!("the archive of `{id}` is another one, of the same channel");
            let (before, after) = (hashes(before.hashes()), hashes(archive.hashes()));
            self.push(format!("archives.{id}"), before, after, meaning);
        }
    }

    fn target(&mut self, field: &str, name: &Triple, old: &LockedTarget, new: &LockedTarget) {
        for ((key, before), (_, after)) in
            fields(&old.request).into_iter().zip(fields(&new.request))
        {
            if before != after {
                let say = |value: &Option<String>| value.clone().unwrap_or("nothing".to_owned());
                let (was, is) = (say(&before), say(&after));
                let meaning = format!("`{key}` of target `{name}` is {is} instead of {was}");
                self.push(format!("{field}.{key}"), before, after, meaning);
            }
        }
        if old.spec != new.spec {
            let say = |spec: &Option<crate::types::SpecDigest>| spec.map(|spec| spec.to_string());
            let meaning = format!("the spec of target `{name}` has other bytes");
            let (before, after) = (say(&old.spec), say(&new.spec));
            self.push(format!("{field}.spec-digest"), before, after, meaning);
        }
        let (before, after) = (obtained(&old.source), obtained(&new.source));
        if before != after {
            let meaning = format!("target `{name}` is {after}; before, it was {before}");
            let (before, after) = (Some(before.to_owned()), Some(after.to_owned()));
            self.push(format!("{field}.source"), before, after, meaning);
        }
        let (LockedSource::Build { hosts: old, .. }, LockedSource::Build { hosts: new, .. }) =
            (&old.source, &new.source)
        else {
            return;
        };
        for (host, after) in new {
            let Some(before) = old.get(host) else {
                continue;
            };
            let field = format!("{field}.hosts.{host}");
            if before.key != after.key {
                let meaning = format!("target `{name}` is compiled anew on `{host}`");
                let (key, other) = (before.key.to_string(), after.key.to_string());
                self.push(format!("{field}.key"), Some(key), Some(other), meaning);
            }
            let meaning = match (before.pin, after.pin) {
                (None, Some(_)) => format!("target `{name}` has a pin now for `{host}`"),
                (Some(_), None) => format!("target `{name}` has no pin any more for `{host}`"),
                // Another recipe gives another tree.
                (Some(a), Some(b)) if a != b && before.key == after.key => {
                    format!(
                        "target `{name}` is pinned to another tree of the same recipe on `{host}`"
                    )
                }
                (Some(a), Some(b)) if a != b => {
                    format!("target `{name}` is pinned to the tree of the new recipe on `{host}`")
                }
                _ => continue,
            };
            let say = |pin: Option<crate::types::TreeDigest>| pin.map(|pin| pin.to_string());
            self.push(
                format!("{field}.pin"),
                say(before.pin),
                say(after.pin),
                meaning,
            );
        }
    }
}
