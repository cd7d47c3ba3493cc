//! Tree listings: the canonical text whose BLAKE3 is a tree's address.
//!
//! ```text
//! sysroot-tree-v1
//! - 12 6f3a… lib/rustlib/etc/note.txt
//! x 9310 11c0… bin/rustc
//! ```
//!
//! One line a file, sorted by path: `x` for executable or `-`, the size in
//! bytes, the BLAKE3 of the content, the path. No times, no owners, no empty
//! directories. A path holds no line break ([`RelPath`] refuses it), so two
//! different trees never share a text.

use std::fmt::Write as _;

use super::digest::{FileDigest, TreeDigest};
use super::relpath::{RelPath, compare_folded};

/// One regular file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands, below the tree's root.
    pub path: RelPath,
    /// Whether the owner may execute it.
    pub executable: bool,
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 of the content.
    pub digest: FileDigest,
}

/// The files of a tree, sorted by path, each path once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(Vec<Entry>);

/// Why entries or a text make no listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// A path stands twice, or differs from another only by case.
    #[error("`{0}` and `{1}` are one file on some systems")]
    Collision(RelPath, RelPath),
    /// A file is also used as a directory.
    #[error("`{0}` is a file and the parent of `{1}`")]
    FileAsParent(RelPath, RelPath),
    /// A line of the text form breaks the format.
    #[error("line {line} of the listing is malformed")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
}

/// The first line of the text form; it names the format's version.
const HEADER: &str = "sysroot-tree-v1";

/// The bytes of a line with one digit of size and one letter of path.
const SHORTEST_LINE: usize = "- 1 ".len() + 64 + " a\n".len();

impl Listing {
    /// Sorts the entries and checks that they can stand beside each other on
    /// every system.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ListingError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        // Compared as they are: a folded copy of each would double what the
        // paths take.
        let mut folded: Vec<&RelPath> = entries.iter().map(|entry| &entry.path).collect();
        folded.sort_unstable_by(|a, b| compare_folded(a.as_str(), b.as_str()));
        for pair in folded.windows(2) {
            if let &[a, b] = pair
                && compare_folded(a.as_str(), b.as_str()).is_eq()
            {
                // Which of the two comes first is not the sort's to say.
                let (a, b) = if a <= b { (a, b) } else { (b, a) };
                return Err(ListingError::Collision(a.clone(), b.clone()));
            }
        }
        let find = |name: &str| {
            let found = folded.binary_search_by(|path| compare_folded(path.as_str(), name));
            found.ok().and_then(|at| folded.get(at))
        };
        for path in &folded {
            let text = path.as_str();
            let mut parents = text.match_indices('/').filter_map(|(at, _)| text.get(..at));
            if let Some(file) = parents.find_map(find) {
                return Err(ListingError::FileAsParent((*file).clone(), (*path).clone()));
            }
        }
        Ok(Self(entries))
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The sum of the file sizes, in bytes.
    pub fn total_size(&self) -> u64 {
        self.0.iter().map(|e| e.size).sum()
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(64 + self.0.len() * 160);
        text.push_str(HEADER);
        text.push('\n');
        for entry in &self.0 {
            put_line(&mut text, entry);
        }
        text
    }

    /// Reads the canonical text; what it accepts it would write in the same way.
    pub fn parse(text: &str) -> Result<Self, ListingError> {
        let malformed = |line| ListingError::Malformed { line };
        let body = text.strip_prefix(HEADER).and_then(|t| t.strip_prefix('\n'));
        let body = body.ok_or(malformed(1))?;
        if !body.is_empty() && !body.ends_with('\n') {
            return Err(malformed(body.lines().count() + 1));
        }
        // Counted first: growing would take up to three times the room for a
        // moment. Empty lines, which are refused, take none.
        let lines = body.bytes().filter(|byte| *byte == b'\n').count();
        let mut entries = Vec::with_capacity(lines.min(body.len() / SHORTEST_LINE));
        for (i, line) in body.lines().enumerate() {
            entries.push(parse_entry(line).ok_or(malformed(i + 2))?);
        }
        let listing = Self::new(entries)?;
        // Line by line, because a second text of that size would be most of
        // the memory that a listing takes.
        let (mut line, mut rest) = (String::new(), body);
        for entry in &listing.0 {
            line.clear();
            put_line(&mut line, entry);
            rest = rest.strip_prefix(line.as_str()).ok_or(malformed(1))?;
        }
        if rest.is_empty() {
            Ok(listing)
        } else {
            Err(malformed(1))
        }
    }

    /// The tree's address: BLAKE3 of the canonical text.
    pub fn digest(&self) -> TreeDigest {
        TreeDigest::from_bytes(*blake3::hash(self.to_text().as_bytes()).as_bytes())
    }
}

fn put_line(text: &mut String, entry: &Entry) {
    let Entry {
        path,
        executable,
        size,
        digest,
    } = entry;
    let mode = if *executable { 'x' } else { '-' };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{mode} {size} {} {path}", digest.to_hex());
}

fn parse_entry(line: &str) -> Option<Entry> {
    let mut fields = line.splitn(4, ' ');
    let executable = match fields.next()? {
        "x" => true,
        "-" => false,
        _ => return None,
    };
    let size = fields.next()?.parse().ok()?;
    let digest = FileDigest::from_hex(fields.next()?).ok()?;
    let path = fields.next()?.parse().ok()?;
    Some(Entry {
        path,
        executable,
        size,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry {
            path: path.parse().unwrap(),
            executable: false,
            size: 1,
            digest: FileDigest::of(b"x"),
        }
    }

    #[test]
    fn text_round_trips_and_the_digest_is_pinned() {
        let listing = Listing::new(vec![entry("lib/b"), entry("bin/a")]).unwrap();
        assert_eq!(Listing::parse(&listing.to_text()), Ok(listing.clone()));
        assert_eq!(
            Listing::default().digest().to_hex(),
            blake3::hash(b"sysroot-tree-v1\n").to_hex().as_str()
        );
    }

    #[test]
    fn case_067_to_069_colliding_paths_are_refused() {
        for (a, b) in [("a", "a"), ("lib/A", "lib/a"), ("a", "a/b"), ("A", "a/b")] {
            assert!(Listing::new(vec![entry(a), entry(b)]).is_err(), "{a} {b}");
        }
        // `a-b` sorts between `a` and `a/c`, which must not hide the clash.
        assert!(Listing::new(vec![entry("a"), entry("a-b"), entry("a/c")]).is_err());
        assert!(Listing::new(vec![entry("a-b"), entry("a/c")]).is_ok());
    }

    #[test]
    fn case_118_texts_in_another_form_are_refused() {
        let text = Listing::new(vec![entry("a"), entry("b")])
            .unwrap()
            .to_text();
        for bad in [
            String::new(),
            text.replace("v1", "v2"),
            text.trim_end().to_owned(),
            text.replace("- 1 ", "- 01 "),
            text.replace(" a\n", " ../a\n"),
            format!("{text}junk\n"),
        ] {
            assert!(Listing::parse(&bad).is_err(), "{bad:?}");
        }
    }

    mod properties {
        use proptest::collection::vec;
        use proptest::prelude::*;

        use super::*;

        /// Few and tricky values, so that pairs that differ in little are common:
        /// names with separators of the text form, and such as run together.
        fn entries() -> impl Strategy<Value = Vec<Entry>> {
            const NAMES: &[&str] = &[
                "a", "b", "a b", "a/b", "ab", "a- b", "- 1 a", "x 1", "1", "1 a", "a:b",
            ];
            let one = (
                prop::sample::select(NAMES),
                any::<bool>(),
                0_u64..3,
                0_u8..2,
            );
            let one = one.prop_filter_map("a path", |(path, executable, size, content)| {
                Some(Entry {
                    path: path.parse().ok()?,
                    executable,
                    size,
                    digest: FileDigest::of(&[content]),
                })
            });
            vec(one, 0..4)
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

            #[test]
            fn case_120_digests_are_equal_if_and_only_if_trees_are(a in entries(), b in entries()) {
                let order = |a: &Entry, b: &Entry| a.path.cmp(&b.path);
                let (mut sorted_a, mut sorted_b) = (a.clone(), b.clone());
                sorted_a.sort_by(order);
                sorted_b.sort_by(order);
                if let (Ok(a), Ok(b)) = (Listing::new(a), Listing::new(b)) {
                    prop_assert_eq!(sorted_a == sorted_b, a.digest() == b.digest());
                    prop_assert_eq!(Listing::parse(&a.to_text()), Ok(a));
                }
            }
        }
    }
}
