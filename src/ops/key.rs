//! `key`: a name for what a project needs from the store.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::needs::{Needs, needs, read_lock};
use super::{Context, OpsError, Project};
use crate::lock::LockedBuild;
use crate::types::Triple;

/// A key for a CI system's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey {
    /// The whole key.
    pub key: String,
    /// What keys of this machine's kind begin with: the newest entry with it
    /// is the best one to start from if there is none under the key.
    pub prefix: String,
    /// The machine.
    pub host: Triple,
}

/// The key of what the lock needs here. Neither the store nor a network is
/// looked at, and the machine's own toolchain is not run.
///
/// It changes exactly if one of these does: the host, which archives the
/// output is made of, the recipe of a compiled target, or the tree that the
/// lock pins for it.
pub fn key(
    cx: &Context<'_>,
    project: &Project,
    selected: Option<&BTreeSet<Triple>>,
) -> Result<CacheKey, OpsError> {
    let file = read_lock(project)?;
    let needs = needs(cx, &file, selected)?;
    let prefix = format!("sysroot-v1-{}-", needs.host);
    Ok(CacheKey {
        key: format!("{prefix}{}", blake3::hash(text(&needs).as_bytes()).to_hex()),
        prefix,
        host: needs.host,
    })
}

/// What is hashed: one line each, and no value holds a line break.
fn text(needs: &Needs) -> String {
    let Needs {
        host,
        components,
        builds,
    } = needs;
    let mut text = format!("sysroot-key-v1\nhost {host}\n");
    for (id, hashes) in components {
        let _ = write!(text, "component {id}");
        for hash in hashes {
            let _ = write!(text, " {hash}");
        }
        text.push('\n');
    }
    for (target, LockedBuild { key, pin }) in builds {
        let _ = write!(text, "target {target} {key}");
        if let Some(pin) = pin {
            let _ = write!(text, " {pin}");
        }
        text.push('\n');
    }
    text
}
