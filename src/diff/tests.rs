//! Archives and objects made by hand, damaged at random.

use proptest::prelude::*;

use super::*;
use crate::types::{Entry, FileDigest, Listing};

/// An archive with these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            644,
            data.len()
        );
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        if data.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// An object with these sections, each of a type, in one of the four forms.
fn object(wide: bool, big: bool, sections: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let number = |value: u64, length: usize| {
        let bytes = value.to_be_bytes();
        let mut bytes = bytes[8 - length..].to_vec();
        if !big {
            bytes.reverse();
        }
        bytes
    };
    let word = |value: u64| number(value, if wide { 8 } else { 4 });
    let mut names = vec![0];
    let mut content = Vec::new();
    let start = if wide { 64 } else { 52 };
    let mut headers: Vec<u8> = Vec::new();
    let mut header = |name: u64, kind: u32, offset: u64, size: u64| {
        headers.extend(number(name, 4));
        headers.extend(number(kind.into(), 4));
        headers.extend([word(0), word(0), word(offset), word(size)].concat());
        headers.extend([number(0, 4), number(0, 4), word(1), word(0)].concat());
    };
    header(0, 0, 0, 0);
    for (name, kind, data) in sections {
        let at = names.len() as u64;
        names.extend(name.bytes().chain([0]));
        header(at, *kind, start + content.len() as u64, data.len() as u64);
        content.extend_from_slice(data);
    }
    let at = names.len() as u64;
    names.extend(b".shstrtab\0");
    header(at, STRTAB, start + content.len() as u64, names.len() as u64);
    content.extend(names);
    let table = start + content.len() as u64;
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1]);
    bytes.resize(16, 0);
    bytes.extend([number(1, 2), number(40, 2), number(1, 4)].concat());
    bytes.extend([word(0), word(0), word(table), number(0, 4)].concat());
    let count = sections.len() as u64 + 2;
    let sizes = [start, 0, 0, if wide { 64 } else { 40 }, count, count - 1];
    bytes.extend(sizes.iter().flat_map(|size| number(*size, 2)));
    assert_eq!(bytes.len() as u64, start);
    bytes.extend(content);
    bytes.extend(headers);
    bytes
}

const PROGBITS: u32 = 1;
const STRTAB: u32 = 3;

fn said(expected: &[u8], found: &[u8]) -> String {
    compare(expected, found).unwrap().to_string()
}

#[test]
fn the_section_of_an_object_is_named_in_each_of_the_four_forms() {
    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let with = |text: &[u8], table: &[u8]| {
            let sections = [
                (".strtab", STRTAB, table),
                (".text", PROGBITS, text),
                (".bss", 8, b"".as_slice()),
            ];
            object(wide, big, &sections)
        };
        let base = with(b"code", b"names");
        assert_eq!(compare(&base, &with(b"code", b"names")), None);
        // The table comes first in the file; what it follows from is told.
        assert_eq!(
            said(&base, &with(b"coda", b"namez")),
            "section `.text`, byte 3"
        );
        assert_eq!(
            said(&base, &with(b"code", b"namez")),
            "section `.strtab`, byte 4"
        );
        let more = object(wide, big, &[(".text", PROGBITS, b"code")]);
        assert_eq!(said(&base, &more), "section `.strtab`, which is missing");
        assert_eq!(said(&more, &base), "section `.strtab`, which was not there");
        let mut other_machine = base.clone();
        other_machine[18] ^= 1;
        assert_eq!(said(&base, &other_machine), "section `headers`, byte 18");
    }
}

#[test]
fn the_member_of_an_archive_is_named_before_the_tables_that_follow_from_it() {
    let object = |text: &[u8]| object(true, false, &[(".text", PROGBITS, text)]);
    let (one, two) = (object(b"one"), object(b"two"));
    let with = |symbols: &[u8], code: &[u8], metadata: &[u8]| {
        let long = b"core-0123456789.core.cgu.0.rcgu.o/\n";
        let members = [
            ("/", symbols),
            ("//", long.as_slice()),
            ("/0", code),
            ("lib.rmeta/", metadata),
        ];
        archive(&members)
    };
    let base = with(b"abc", &one, b"rust\0\0\0\nabc");
    assert_eq!(
        said(&base, &with(b"abd", &two, b"rust\0\0\0\nabc")),
        "member `core-0123456789.core.cgu.0.rcgu.o`, section `.text`, byte 0"
    );
    assert_eq!(
        said(&base, &with(b"abd", &one, b"rust\0\0\0\nabd")),
        "member `lib.rmeta`, section `metadata`, byte 10"
    );
    assert_eq!(
        said(&base, &with(b"abd", &one, b"rust\0\0\0\nabc")),
        "member `table of symbols`, byte 2"
    );
    let fewer = archive(&[("lib.rmeta/", b"rust\0\0\0\nabc")]);
    assert_eq!(
        said(&base, &fewer),
        "member `core-0123456789.core.cgu.0.rcgu.o`, which is missing"
    );
    assert_eq!(
        said(&fewer, &base),
        "member `core-0123456789.core.cgu.0.rcgu.o`, which was not there"
    );
    // The member's time, which is a part of its header.
    let mut older = fewer.clone();
    older[8 + 16] = b'7';
    assert_eq!(
        said(&fewer, &older),
        "member `lib.rmeta`, section `header`, byte 16"
    );
    let named = |name: &[u8]| archive(&[("#1/6", &[name, b"data"].concat())]);
    assert_eq!(
        said(&named(b"first\0"), &named(b"other\0")),
        "member `first`, which is missing"
    );
}

#[test]
fn other_files_are_compared_byte_by_byte() {
    assert_eq!(
        said(b"rust\0\0\0\x0aabc", b"rust\0\0\0\x0aabd"),
        "section `metadata`, byte 10"
    );
    assert_eq!(said(b"abc", b"abcd"), "byte 3");
    assert_eq!(said(b"", b"x"), "byte 0");
    // Cut archives and objects are no archives and objects.
    let whole = archive(&[("a/", b"data")]);
    assert_eq!(
        said(&whole, &whole[..whole.len() - 1]),
        format!("byte {}", whole.len() - 1)
    );
    assert_eq!(compare(b"same", b"same"), None);
}

#[test]
fn the_first_file_of_two_trees_is_named() {
    let entry = |path: &str, content: &[u8], executable| Entry {
        path: path.parse().unwrap(),
        executable,
        size: content.len() as u64,
        digest: FileDigest::of(content),
    };
    let tree = |entries: &[Entry]| Listing::new(entries.to_vec()).unwrap();
    let (a, b, c) = (
        entry("a", b"1", false),
        entry("b", b"1", false),
        entry("c", b"1", false),
    );
    let base = tree(&[a.clone(), b.clone(), c.clone()]);
    let said = |other: &[Entry]| first_change(&base, &tree(other)).unwrap().to_string();
    assert_eq!(first_change(&base, &base), None);
    assert_eq!(said(&[a.clone(), c.clone()]), "b, which is missing");
    assert_eq!(said(&[a.clone(), b.clone()]), "c, which is missing");
    let extra = entry("bb", b"1", false);
    assert_eq!(
        said(&[a.clone(), b.clone(), extra, c.clone()]),
        "bb, which was not there"
    );
    assert_eq!(said(&[a.clone(), entry("b", b"2", false), c.clone()]), "b");
    assert_eq!(
        said(&[a, entry("b", b"1", true), c]),
        "b, by its executable bit"
    );
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic_and_a_difference_is_always_found(
        at in 0_usize..1000, byte in any::<u8>(), cut in 0_usize..1000, wide: bool, big: bool,
    ) {
        let inner = object(wide, big, &[(".text", PROGBITS, b"code"), (".strtab", STRTAB, b"x")]);
        for whole in [archive(&[("/", b"s"), ("//", b"long name/\n"), ("/0", &inner)]), inner] {
            let mut other = whole.clone();
            let place = at % other.len();
            other[place] = byte;
            other.truncate(other.len() - cut % other.len());
            prop_assert_eq!(compare(&whole, &other).is_some(), whole != other);
            prop_assert_eq!(compare(&other, &whole).is_some(), whole != other);
        }
    }
}
