//! Upstream's channel manifest, version 2: what of it resolving needs.
//!
//! Everything that could become a path, a URL or a file name is checked here,
//! whether it is asked for or not. Unknown keys are ignored, as is the package
//! `rust`, which only lists the others.

use std::collections::BTreeMap;
use std::path::Path;

use super::channel_raw::{Raw, without_lists};
use crate::document::{Document, Fault};
use crate::lock::LockedComponent;
use crate::types::{Class, ComponentName, Date, Diagnostic, Triple};

/// The largest accepted channel manifest, in bytes; real ones have about 1 MB.
pub const MAX_SIZE: usize = 16 << 20;

/// A channel manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelManifest {
    /// The day it is of.
    pub date: Date,
    packages: BTreeMap<ComponentName, Package>,
    renames: BTreeMap<ComponentName, ComponentName>,
}

/// One package of a channel manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its version, such as `1.97.0-nightly (e50aa6fba 2026-05-19)`.
    pub version: String,
    /// Its full commit hash, where stated.
    pub commit: Option<String>,
    /// Its archives by target, `None` being `*`; an archive that is listed as
    /// not available is `None`.
    pub(super) targets: BTreeMap<Option<Triple>, Option<LockedComponent>>,
}

/// Why bytes are no channel manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelManifestError {
    /// Over [`MAX_SIZE`].
    #[error("the channel manifest has {size} bytes; at most {MAX_SIZE} are accepted")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not UTF-8.
    #[error("the channel manifest is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The first byte that is none.
        at: usize,
    },
    /// Something at one place is wrong.
    #[error("{0}")]
    Malformed(Box<Fault>),
}

impl From<Fault> for ChannelManifestError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(Box::new(fault))
    }
}

impl Diagnostic for ChannelManifestError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. } | Self::NotUtf8 { .. } | Self::Malformed(_) => Class::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::NotUtf8 { .. } | Self::Malformed(_) => {
                Some("check the dist server; it may not be one".to_owned())
            }
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::NotUtf8 { .. } => None,
            Self::Malformed(fault) => Some(fault.excerpt().to_owned()),
        }
    }
}

impl ChannelManifest {
    /// Reads the bytes of a channel manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChannelManifestError> {
        if bytes.len() > MAX_SIZE {
            return Err(ChannelManifestError::TooLarge { size: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| ChannelManifestError::NotUtf8 {
            at: error.valid_up_to(),
        })?;
        let read = |text: &str| Document::new(Path::new("channel manifest"), text).parse();
        // Faults are told from the whole text, whose lines are the file's.
        let raw: Raw = match read(&without_lists(text)) {
            Ok(raw) => raw,
            Err(_) => read(text)?,
        };
        Ok(Self {
            date: raw.date,
            packages: raw.pkg.0,
            renames: raw
                .renames
                .into_iter()
                .map(|(from, rename)| (from, rename.to))
                .collect(),
        })
    }

    /// A package by its name or, where it was renamed, its short name.
    pub fn package(&self, name: &str) -> Option<(&ComponentName, &Package)> {
        let name: ComponentName = name.parse().ok()?;
        let name = self.renames.get(&name).unwrap_or(&name);
        self.packages.get_key_value(name)
    }

    /// The names of all packages, short ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let short = self.renames.keys();
        short.chain(self.packages.keys()).map(ComponentName::as_str)
    }
}

impl Package {
    /// The archive for a target (`None`: the one for all), if it is available.
    pub fn archive(&self, target: Option<&Triple>) -> Option<&LockedComponent> {
        self.targets.get(&target.cloned())?.as_ref()
    }

    /// Whether the target is listed, available or not.
    pub fn lists(&self, target: &Triple) -> bool {
        self.targets.contains_key(&Some(target.clone()))
    }

    /// The targets with an archive.
    pub fn available(&self) -> impl Iterator<Item = &Triple> {
        let available = self.targets.iter().filter(|(_, archive)| archive.is_some());
        available.filter_map(|(target, _)| target.as_ref())
    }
}
