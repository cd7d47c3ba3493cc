//! Which files a sync found in agreement, so that the next one need not
//! understand them.

use super::encoding::{Reader, Writer};
use crate::types::{FileDigest, RelPath, Triple};

/// The files that led to a lock. While they have these contents, and the lock
/// its own, there is no need to understand them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The version of sysroot that understood them.
    pub version: String,
    /// The machine it was made for, which chooses among the lock's hosts.
    pub machine: Triple,
    /// The manifest's text.
    pub manifest: FileDigest,
    /// The target specs, by their path from the manifest's directory.
    pub specs: Vec<(RelPath, FileDigest)>,
    /// The locked targets.
    pub targets: Vec<Triple>,
}

impl Inputs {
    pub(super) fn encode(&self, to: &mut Writer) {
        let Self {
            version,
            machine,
            manifest,
            specs,
            targets,
        } = self;
        to.bytes(version.as_bytes());
        to.bytes(machine.as_str().as_bytes());
        to.raw(manifest.as_bytes());
        to.number(specs.len() as u64);
        for (path, digest) in specs {
            to.bytes(path.as_str().as_bytes());
            to.raw(digest.as_bytes());
        }
        to.number(targets.len() as u64);
        for target in targets {
            to.bytes(target.as_str().as_bytes());
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let version = from.text()?.to_owned();
        let machine = from.parsed()?;
        let manifest = FileDigest::from_bytes(from.raw()?);
        let mut specs = Vec::new();
        for _ in 0..from.number()? {
            specs.push((from.parsed()?, FileDigest::from_bytes(from.raw()?)));
        }
        let mut targets = Vec::new();
        for _ in 0..from.number()? {
            targets.push(from.parsed()?);
        }
        Some(Self {
            version,
            machine,
            manifest,
            specs,
            targets,
        })
    }
}
