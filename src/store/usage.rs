//! The index: for each tree its size and its last use, in a small record.
//!
//! `cache size`, `cache list` and the collector answer from it without reading
//! a listing. A record is a hint: it carries a check over all that it says, so
//! that a damaged, cut or foreign one counts as absent, and is then made again
//! from the listing. It is written without flushing.

use std::path::Path;

use super::{Result, Store};
use crate::sys::fs;
use crate::types::{Listing, TreeDigest};

/// The first word of a record; a newer form will have another one.
const FORM: &str = "sysroot-index-v1";
/// The largest record we read.
const MAX_RECORD: u64 = 256;
/// A use is noted again after this many seconds.
const NOTE_AFTER: u64 = 60 * 60;

/// Clocks that show less than this (the year 2026) are not believed.
pub const EPOCH_OF_TRUST: u64 = 1_767_225_600;

/// What the index says of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// Number of its files.
    pub files: u64,
    /// Seconds since 1970 of its last use, where known.
    pub used: Option<u64>,
}

impl Usage {
    /// What a listing says; the last use is not known.
    pub fn of(listing: &Listing) -> Self {
        Self {
            bytes: listing.total_size(),
            files: listing.entries().len() as u64,
            used: None,
        }
    }

    fn to_text(self, tree: TreeDigest) -> String {
        let used = self.used.map_or("-".to_owned(), |used| used.to_string());
        let said = format!("{FORM} {} {} {used}", self.bytes, self.files);
        let check = check(tree, &said);
        format!("{said} {check}\n")
    }

    fn parse(text: &str, tree: TreeDigest) -> Option<Self> {
        let (said, found) = text.strip_suffix('\n')?.rsplit_once(' ')?;
        let mut words = said.split(' ');
        if found != check(tree, said) || words.next() != Some(FORM) {
            return None;
        }
        let usage = Self {
            bytes: words.next()?.parse().ok()?,
            files: words.next()?.parse().ok()?,
            used: match words.next()? {
                "-" => None,
                used => Some(used.parse().ok()?),
            },
        };
        words.next().is_none().then_some(usage)
    }
}

/// Tells what was written for this tree from anything else.
fn check(tree: TreeDigest, said: &str) -> String {
    let hash = blake3::hash(format!("{} {said}", tree.to_hex()).as_bytes());
    hash.to_hex()[..32].to_owned()
}

impl Store {
    /// What the index says of a tree, if it says anything that can be believed.
    pub fn usage(&self, tree: TreeDigest) -> Option<Usage> {
        read(&self.layout().index(tree), tree)
    }

    /// Size and number of files of a tree: from the index, else its listing.
    /// A tree without a readable listing counts as empty.
    pub fn usage_or_listing(&self, tree: TreeDigest) -> Usage {
        self.usage(tree)
            .unwrap_or_else(|| Usage::of(&self.listing(tree).unwrap_or_default()))
    }

    /// Notes that a tree is used now, unless that was noted a short while ago.
    ///
    /// With a clock that cannot be right nothing is noted.
    pub fn note_use(&self, tree: TreeDigest, now: u64) -> Result<()> {
        let known = self.usage(tree);
        let is_recent = |usage: Usage| {
            usage
                .used
                .is_some_and(|used| used <= now && now - used < NOTE_AFTER)
        };
        if now < EPOCH_OF_TRUST || known.is_some_and(is_recent) {
            return Ok(());
        }
        let usage = known.unwrap_or_else(|| self.usage_or_listing(tree));
        self.write_usage(
            tree,
            Usage {
                used: Some(now),
                ..usage
            },
        )
    }

    /// Writes a tree's record.
    pub(super) fn write_usage(&self, tree: TreeDigest, usage: Usage) -> Result<()> {
        let path = self.layout().index(tree);
        if let Some(parent) = path.parent() {
            self.make_dir(parent)?;
        }
        let text = usage.to_text(tree);
        Ok(fs::replace_unflushed(&path, text.as_bytes())?)
    }
}

fn read(path: &Path, tree: TreeDigest) -> Option<Usage> {
    let text = fs::read_text_if_exists(path, MAX_RECORD).ok()??;
    Usage::parse(&text, tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_118_any_damage_of_an_index_record_makes_it_absent() {
        let tree = TreeDigest::from_bytes([7; 32]);
        let usage = Usage {
            bytes: 12_345,
            files: 67,
            used: Some(1_800_000_000),
        };
        let text = usage.to_text(tree);
        assert_eq!(Usage::parse(&text, tree), Some(usage));
        assert_eq!(
            Usage::parse(&text, TreeDigest::from_bytes([8; 32])),
            None,
            "another tree's record"
        );
        for length in 0..text.len() {
            assert_eq!(Usage::parse(&text[..length], tree), None, "{length}");
        }
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let damaged = String::from_utf8(bytes).unwrap();
                assert_eq!(Usage::parse(&damaged, tree), None, "{damaged}");
            }
        }
        let unknown = Usage {
            used: None,
            ..usage
        };
        assert_eq!(Usage::parse(&unknown.to_text(tree), tree), Some(unknown));
    }
}
