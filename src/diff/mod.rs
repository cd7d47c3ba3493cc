//! Where two trees, or two compiled files, first differ: the file, the member
//! of an archive, the section of an object.
//!
//! It is there for people who look for the reason why a build is not
//! reproducible: "`.debug_str` differs" says more than two digests. No I/O,
//! and no trust: a file that is none of the known formats, or is damaged, is
//! compared byte by byte.

pub(crate) mod ar;
mod coff;
mod elf;
mod macho;
mod object;
mod tree;
mod wasm;

use std::fmt;

use self::object::Section;
pub use tree::{FileChange, first_change};

/// How every `.rmeta` begins.
const METADATA: &[u8] = b"rust\0\0\0";

/// The first place where two files differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The member of an archive such as an rlib.
    pub member: Option<String>,
    /// The section of an object file (ELF, WebAssembly, COFF or Mach-O), or
    /// `metadata`.
    pub section: Option<String>,
    /// What is different there.
    pub change: Change,
}

/// What is different at a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The content, from this byte on; counted from 0 in the innermost part
    /// that the place names.
    Byte(u64),
    /// Only the expected file has this part.
    Missing,
    /// Only the found file has this part.
    Added,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "member `{}`, ", member.escape_debug())?;
        }
        if let Some(section) = &self.section {
            write!(f, "section `{}`, ", section.escape_debug())?;
        }
        match self.change {
            Change::Byte(offset) => write!(f, "byte {offset}"),
            Change::Missing => f.write_str("which is missing"),
            Change::Added => f.write_str("which was not there"),
        }
    }
}

/// Compares two files; `None` if they are equal.
///
/// Of several differences the most telling one is named: code and data before
/// the symbol and string tables that follow from them, content before headers.
pub fn compare(expected: &[u8], found: &[u8]) -> Option<Place> {
    if expected == found {
        return None;
    }
    let place = match (ar::members(expected), ar::members(found)) {
        (Some(expected), Some(found)) => members(&expected, &found),
        _ => Some(plain(expected, found)),
    };
    // Archives whose members agree differ in what lies between them.
    place.or_else(|| Some(at(None, expected, found)))
}

/// Compares the members of two archives, the tables of them last.
fn members(expected: &[ar::Member<'_>], found: &[ar::Member<'_>]) -> Option<Place> {
    let inside = |member: &ar::Member<'_>, place: Place| Place {
        member: Some(member.name.clone()),
        ..place
    };
    let mut headers = None;
    for tables in [false, true] {
        let (old, new) = (pick(expected, tables), pick(found, tables));
        if let Some((member, change)) = names_differ(&names(&old), &names(&new)) {
            let (member, section) = (Some(member), None);
            return Some(Place {
                member,
                section,
                change,
            });
        }
        for (a, b) in old.into_iter().zip(new) {
            if a.data != b.data {
                return Some(inside(a, plain(a.data, b.data)));
            }
            if a.header != b.header && headers.is_none() {
                headers = Some(inside(a, at(Some("header"), a.header, b.header)));
            }
        }
    }
    headers
}

/// The members that are tables, or those that are not.
fn pick<'m, 'a>(all: &'m [ar::Member<'a>], tables: bool) -> Vec<&'m ar::Member<'a>> {
    all.iter().filter(|m| m.is_table == tables).collect()
}

fn names(members: &[&ar::Member<'_>]) -> Vec<String> {
    members.iter().map(|member| member.name.clone()).collect()
}

/// Compares two files, or members, that are no archives.
fn plain(expected: &[u8], found: &[u8]) -> Place {
    if let Some((a, b)) = object::both(expected, found) {
        return sections(&a, &b).unwrap_or_else(|| at(Some("headers"), expected, found));
    }
    let is_metadata = expected.starts_with(METADATA) && found.starts_with(METADATA);
    at(is_metadata.then_some("metadata"), expected, found)
}

fn sections(expected: &[Section<'_>], found: &[Section<'_>]) -> Option<Place> {
    let names = |all: &[Section<'_>]| -> Vec<String> {
        all.iter().map(|section| section.name.clone()).collect()
    };
    let place = |section: String, change| Place {
        member: None,
        section: Some(section),
        change,
    };
    if let Some((section, change)) = names_differ(&names(expected), &names(found)) {
        return Some(place(section, change));
    }
    let differs = |tables: bool| {
        let mut pairs = expected.iter().zip(found);
        pairs.find(|(a, b)| a.is_table == tables && a.data != b.data)
    };
    let (a, b) = differs(false).or_else(|| differs(true))?;
    Some(place(
        a.name.clone(),
        Change::Byte(mismatch(a.data, b.data)),
    ))
}

/// The first name that only one of two lists has at its place.
fn names_differ(expected: &[String], found: &[String]) -> Option<(String, Change)> {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b);
    let at = same.count();
    match (expected.get(at), found.get(at)) {
        (None, None) => None,
        (Some(name), None) => Some((name.clone(), Change::Missing)),
        (None, Some(name)) => Some((name.clone(), Change::Added)),
        (Some(old), Some(new)) if found.contains(old) => Some((new.clone(), Change::Added)),
        (Some(old), Some(_)) => Some((old.clone(), Change::Missing)),
    }
}

fn at(section: Option<&str>, expected: &[u8], found: &[u8]) -> Place {
    Place {
        member: None,
        section: section.map(str::to_owned),
        change: Change::Byte(mismatch(expected, found)),
    }
}

/// The first byte that differs; where one is the start of the other, its end.
fn mismatch(expected: &[u8], found: &[u8]) -> u64 {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b);
    same.count() as u64
}

#[cfg(test)]
mod tests;
