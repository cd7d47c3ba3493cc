//! From the text of `sysroot.lock` to a [`Lock`], or to a fault with its place.
//!
//! The invariant: a lock that was read is whole and consistent in itself. What
//! depends on the manifest is [`differences`](super::differences)' to say.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::Lock;
use super::interpret::interpret;
use super::schema::{
    ARCHIVE_KEYS, BUILD_KEYS, LOCK_KEYS, OPTION_KEYS, REQUEST_KEYS, REVISION, RawLock, TARGET_KEYS,
    TOOLCHAIN_KEYS, VERSION,
};
use super::write::END;
use crate::document::{Document, Fault, integer, key_span, subtable};
use crate::types::{Class, Diagnostic};

/// The largest accepted `sysroot.lock`, in bytes.
pub const MAX_SIZE: usize = 16 << 20;

/// Why there is no lock to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// There is no such file.
    #[error("{file} does not exist")]
    Missing {
        /// The file.
        file: String,
    },
    /// The file has no content.
    #[error("{file} is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// Over [`MAX_SIZE`].
    #[error("{file} has {size} bytes; at most {MAX_SIZE} are accepted")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        size: usize,
    },
    /// Git left its conflict markers.
    #[error("{0}")]
    Conflict(Box<Fault>),
    /// Written by a newer sysroot.
    #[error(
        "{file} was made by a newer sysroot: format version {found}, known are up to {VERSION}"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format version.
        found: i64,
    },
    /// Something at one place is wrong.
    #[error("{0}")]
    Malformed(Box<Fault>),
}

impl From<Fault> for LockError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(Box::new(fault))
    }
}

impl Diagnostic for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. } => Class::CheckFailed,
            Self::Empty { .. }
            | Self::TooLarge { .. }
            | Self::Conflict(_)
            | Self::Newer { .. }
            | Self::Malformed(_) => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("`sysroot lock` creates it; commit it".to_owned()),
            Self::Empty { .. } | Self::TooLarge { .. } | Self::Malformed(_) => Some(
                "restore it from version control, or delete it and run `sysroot lock`".to_owned(),
            ),
            Self::Conflict(_) => {
                Some("`sysroot lock` locks again and keeps what both sides agree on".to_owned())
            }
            Self::Newer { .. } => Some("update sysroot".to_owned()),
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Conflict(fault) | Self::Malformed(fault) => Some(fault.excerpt().to_owned()),
            Self::Missing { .. }
            | Self::Empty { .. }
            | Self::TooLarge { .. }
            | Self::Newer { .. } => None,
        }
    }
}

impl Lock {
    /// Reads the text of a `sysroot.lock`; `file_name` is how errors call it.
    pub fn parse(text: &str, file_name: &Path) -> Result<Self, LockError> {
        let file = || crate::document::shorten(&file_name.display().to_string());
        if text.len() > MAX_SIZE {
            return Err(LockError::TooLarge {
                file: file(),
                size: text.len(),
            });
        }
        let doc = Document::new(file_name, text);
        if doc.text().trim().is_empty() {
            return Err(LockError::Empty { file: file() });
        }
        if let Some(fault) = doc.conflict("the lock") {
            return Err(LockError::Conflict(Box::new(fault)));
        }
        let table = doc.table()?;
        let version = check_version(&doc, table.get_ref())?;
        if version > VERSION {
            return Err(LockError::Newer {
                file: file(),
                found: version,
            });
        }
        // A newer revision only adds keys, which an older reader ignores.
        if check_revision(&doc, table.get_ref())? <= REVISION {
            check_keys(&doc, table.get_ref())?;
        }
        let raw: RawLock = doc.read(table.clone())?;
        let lock = interpret(&doc, raw, table.get_ref())?;
        check_end(&doc)?;
        Ok(lock)
    }
}

fn check_version(doc: &Document<'_>, top: &DeTable<'_>) -> Result<i64, Fault> {
    let (version, span) = integer(top, "version").ok_or_else(|| {
        let place = key_span(top, "version").unwrap_or(0..0);
        doc.fault(place, "the lock has no `version` that is an integer")
    })?;
    if version < 1 {
        return Err(doc.fault(span, format!("there is no format version {version}")));
    }
    Ok(version)
}

fn check_revision(doc: &Document<'_>, top: &DeTable<'_>) -> Result<i64, Fault> {
    let (revision, span) = integer(top, "revision").ok_or_else(|| {
        let place = key_span(top, "revision").unwrap_or(0..0);
        doc.fault(place, "the lock has no `revision` that is an integer")
    })?;
    if revision < 0 {
        return Err(doc.fault(span, format!("there is no revision {revision}")));
    }
    Ok(revision)
}

fn check_keys(doc: &Document<'_>, top: &DeTable<'_>) -> Result<(), Fault> {
    doc.only_known(top, "the lock", LOCK_KEYS)?;
    if let Some(toolchain) = subtable(top, "toolchain") {
        doc.only_known(toolchain, "`[toolchain]`", TOOLCHAIN_KEYS)?;
    }
    for archives in tables_in(top, "archives").values() {
        for archive in archives
            .values()
            .filter_map(|value| value.get_ref().as_table())
        {
            doc.only_known(archive, "an archive", ARCHIVE_KEYS)?;
        }
    }
    for target in tables_in(top, "targets").values() {
        doc.only_known(target, "a target", TARGET_KEYS)?;
        if let Some(request) = subtable(target, "request") {
            doc.only_known(request, "a request", REQUEST_KEYS)?;
        }
        if let Some(options) = subtable(target, "options") {
            doc.only_known(options, "a target's options", OPTION_KEYS)?;
        }
        for build in tables_in(target, "hosts").values() {
            doc.only_known(build, "a target's host", BUILD_KEYS)?;
        }
    }
    Ok(())
}

/// The tables below `key`, by name.
fn tables_in<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> BTreeMap<&'t str, &'t DeTable<'i>> {
    let inside = subtable(table, key).into_iter().flatten();
    inside
        .filter_map(|(name, value)| Some((name.get_ref().as_ref(), value.get_ref().as_table()?)))
        .collect()
}

fn check_end(doc: &Document<'_>) -> Result<(), Fault> {
    let text = doc.text().trim_end();
    if text.lines().next_back().map(str::trim) == Some(END) {
        return Ok(());
    }
    let last = text.rfind('\n').map_or(0, |newline| newline + 1);
    let message =
        format!("the lock does not end in the line `{END}`: it was cut short or added to");
    Err(doc.fault(last..text.len(), message))
}
