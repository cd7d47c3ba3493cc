//! How the output is cut into pieces that are replaced as a whole.
//!
//! Each directory below `lib/rustlib/` is an *area*, each other directory
//! below `lib/`, and each other directory at the top; a file at one of these
//! three levels is an area by itself. A target is therefore one area, and
//! replacing it is one exchange of two directory names. Pure: listings in,
//! areas out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::path::PathBuf;

use crate::types::{Entry, FileDigest, Listing, RelPath, TreeDigest};

/// The digest of an area's content.
pub type AreaDigest = FileDigest;

/// One piece of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Where it stands in the output.
    pub path: RelPath,
    /// What it is.
    pub content: Content,
}

/// What an area is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Files of stored trees, by their path in the output.
    Files(BTreeMap<RelPath, (Entry, TreeDigest)>),
    /// A link to a place of the system toolchain.
    Symlink(PathBuf),
    /// Small generated programs, by their path in the output.
    Scripts(BTreeMap<RelPath, String>),
}

impl Area {
    /// The digest by which a later run sees whether the area must change.
    pub fn digest(&self) -> AreaDigest {
        match &self.content {
            Content::Files(_) => FileDigest::of(self.listing_text().as_bytes()),
            Content::Symlink(target) => {
                let mut text = b"symlink ".to_vec();
                text.extend_from_slice(target.as_os_str().as_encoded_bytes());
                FileDigest::of(&text)
            }
            Content::Scripts(scripts) => {
                let mut hasher = blake3::Hasher::new();
                for (path, text) in scripts {
                    hasher.update(format!("script {path} {}\n{text}", text.len()).as_bytes());
                }
                FileDigest::from_bytes(*hasher.finalize().as_bytes())
            }
        }
    }

    /// The canonical listing of the area's files, by their path in the output.
    pub fn listing_text(&self) -> String {
        match &self.content {
            // Entries came from listings, one a path, so they make a listing.
            Content::Files(files) => {
                Listing::new(files.values().map(|(entry, _)| entry.clone()).collect())
                    .unwrap_or_default()
                    .to_text()
            }
            Content::Symlink(_) | Content::Scripts(_) => String::new(),
        }
    }
}

/// Two trees bring different files of one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is in tree {first} and, with other content, in tree {second}")]
pub struct Conflict {
    /// The path in the output.
    pub path: RelPath,
    /// One tree.
    pub first: TreeDigest,
    /// The other.
    pub second: TreeDigest,
}

/// The area that a path of the output belongs to.
fn area_of(path: &RelPath) -> RelPath {
    let text = path.as_str();
    let prefix = ["lib/rustlib/", "lib/"]
        .into_iter()
        .find(|p| text.starts_with(p))
        .unwrap_or("");
    let rest = &text[prefix.len()..];
    let end = rest
        .find('/')
        .map_or(text.len(), |slash| prefix.len() + slash);
    // A prefix of a checked path, cut at a separator, passes the same checks.
    text[..end].parse().unwrap_or_else(|_| path.clone())
}

/// Cuts trees into areas.
pub fn areas<'a>(
    trees: impl IntoIterator<Item = (TreeDigest, &'a Listing)>,
) -> Result<Vec<Area>, Conflict> {
    let mut areas: BTreeMap<RelPath, BTreeMap<RelPath, (Entry, TreeDigest)>> = BTreeMap::new();
    for (tree, listing) in trees {
        for entry in listing.entries() {
            let files = areas.entry(area_of(&entry.path)).or_default();
            match files.entry(entry.path.clone()) {
                MapEntry::Vacant(place) => {
                    place.insert((entry.clone(), tree));
                }
                MapEntry::Occupied(there) if there.get().0 == *entry => {}
                MapEntry::Occupied(there) => {
                    let (path, first) = (entry.path.clone(), there.get().1);
                    return Err(Conflict {
                        path,
                        first,
                        second: tree,
                    });
                }
            }
        }
    }
    let area = |(path, files)| Area {
        path,
        content: Content::Files(files),
    };
    Ok(areas.into_iter().map(area).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[(&str, &[u8])]) -> Listing {
        let entry = |(path, bytes): &(&str, &[u8])| Entry {
            path: path.parse().unwrap(),
            executable: false,
            size: bytes.len() as u64,
            digest: FileDigest::of(bytes),
        };
        Listing::new(paths.iter().map(entry).collect()).unwrap()
    }

    fn cut(listings: &[Listing]) -> Result<Vec<String>, Conflict> {
        let areas = areas(listings.iter().map(|l| (l.digest(), l)))?;
        Ok(areas.iter().map(|a| a.path.to_string()).collect())
    }

    #[test]
    fn each_target_and_each_top_directory_is_an_area() {
        let rustc = listing(&[
            ("bin/rustc", b"1"),
            ("lib/librustc_driver.so", b"2"),
            ("lib/rustlib/etc/x.py", b"3"),
            ("lib/rustlib/host/bin/rust-lld", b"4"),
            ("share/doc/x/y", b"5"),
        ]);
        let std = listing(&[("lib/rustlib/host/lib/libcore.rlib", b"6")]);
        let areas = cut(&[rustc, std]).unwrap();
        let want = [
            "bin",
            "lib/librustc_driver.so",
            "lib/rustlib/etc",
            "lib/rustlib/host",
            "share",
        ];
        assert_eq!(areas, want);
    }

    #[test]
    fn equal_files_of_two_trees_are_one_and_different_ones_a_conflict() {
        let a = listing(&[("share/doc/LICENSE", b"same"), ("bin/a", b"a")]);
        let b = listing(&[("share/doc/LICENSE", b"same"), ("bin/b", b"b")]);
        assert_eq!(cut(&[a.clone(), b]).unwrap(), ["bin", "share"]);
        let c = listing(&[("share/doc/LICENSE", b"other")]);
        assert_eq!(cut(&[a, c]).unwrap_err().path.as_str(), "share/doc/LICENSE");
    }
}
