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

fn le(value: usize, length: usize) -> Vec<u8> {
    let mut bytes = (value as u64).to_le_bytes().to_vec();
    bytes.resize(length, 0);
    bytes
}

/// A module with these sections; those whose number is 0 have a name.
fn module(sections: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for (id, name, data) in sections {
        let mut content = Vec::new();
        if *id == 0 {
            content.push(u8::try_from(name.len()).unwrap());
            content.extend(name.bytes());
        }
        content.extend_from_slice(data);
        // Two bytes of length, as a writer that fills it in later has.
        let size = content.len();
        let digit = |part: usize| u8::try_from(part).unwrap();
        bytes.extend([*id, 0x80 | digit(size & 0x7f), digit(size >> 7)]);
        bytes.extend(content);
    }
    bytes
}

/// A COFF object for x86-64 with these sections; longer names than eight bytes
/// stand behind the symbols.
fn coff(sections: &[(&str, &[u8])], symbols: &[u8]) -> Vec<u8> {
    let start = 20 + 40 * sections.len();
    let (mut headers, mut content, mut names) = (Vec::new(), Vec::new(), vec![0; 4]);
    for (name, data) in sections {
        let mut short = name.as_bytes().to_vec();
        if short.len() > 8 {
            short = format!("/{}", names.len()).into_bytes();
            names.extend(name.bytes().chain([0]));
        }
        short.resize(8, 0);
        headers.extend(short);
        headers.extend([le(0, 8), le(data.len(), 4), le(start + content.len(), 4)].concat());
        headers.extend([le(0, 12), le(0x6000_0020, 4)].concat());
        content.extend_from_slice(data);
    }
    let table = start + content.len();
    let mut bytes = [le(0x8664, 2), le(sections.len(), 2), le(7, 4), le(table, 4)].concat();
    bytes.extend([le(symbols.len() / 18, 4), le(0, 4)].concat());
    [bytes, headers, content, symbols.to_vec(), names].concat()
}

/// A Mach-O object with one segment of these sections, and a table of names.
fn macho(wide: bool, sections: &[(&str, &[u8])], names: &[u8]) -> Vec<u8> {
    let word = if wide { 8 } else { 4 };
    let (head, segment, section) = if wide { (32, 72, 80) } else { (28, 56, 68) };
    let size = segment + section * sections.len();
    let mut place = head + size + 24;
    let name = |text: &str| {
        let mut name = text.as_bytes().to_vec();
        name.resize(16, 0);
        name
    };
    let mut bytes = le(if wide { 0xfeed_facf } else { 0xfeed_face }, 4);
    bytes.extend([le(7, 4), le(3, 4), le(1, 4), le(2, 4), le(size + 24, 4)].concat());
    bytes.resize(head, 0);
    bytes.extend([le(if wide { 0x19 } else { 1 }, 4), le(size, 4), name("")].concat());
    bytes.extend([le(0, 4 * word), le(7, 8), le(sections.len(), 4), le(0, 4)].concat());
    let mut content = Vec::new();
    for (section, data) in sections {
        bytes.extend(
            [
                name(section),
                name("__TEXT"),
                le(0, word),
                le(data.len(), word),
            ]
            .concat(),
        );
        bytes.extend([le(place, 4), le(0, if wide { 28 } else { 24 })].concat());
        place += data.len();
        content.extend_from_slice(data);
    }
    bytes.extend(
        [
            le(2, 4),
            le(24, 4),
            le(place, 4),
            le(0, 4),
            le(place, 4),
            le(names.len(), 4),
        ]
        .concat(),
    );
    [bytes, content, names.to_vec()].concat()
}

#[test]
fn sections_of_webassembly_are_named_with_tables_last() {
    let with = |code: &[u8], debug: &[u8], linking: &[u8]| {
        module(&[
            (0, "linking", linking),
            (10, "", code),
            (0, ".debug_info", debug),
        ])
    };
    let base = with(b"code", b"info", b"link");
    assert_eq!(compare(&base, &base), None);
    assert_eq!(
        said(&base, &with(b"coda", b"infa", b"lank")),
        "section `code`, byte 3"
    );
    assert_eq!(
        said(&base, &with(b"code", b"infa", b"lank")),
        "section `.debug_info`, byte 3"
    );
    assert_eq!(
        said(&base, &with(b"code", b"info", b"lank")),
        "section `linking`, byte 1"
    );
    let fewer = module(&[(10, "", b"code")]);
    assert_eq!(said(&base, &fewer), "section `linking`, which is missing");
    // Inside of an archive, too; a cut one is compared byte by byte.
    let (one, two) = (
        archive(&[("a.o/", &base)]),
        archive(&[("a.o/", &with(b"coda", b"info", b"link"))]),
    );
    assert_eq!(said(&one, &two), "member `a.o`, section `code`, byte 3");
    assert_eq!(
        said(&base, &base[..base.len() - 1]),
        format!("byte {}", base.len() - 1)
    );
}

#[test]
fn sections_of_coff_are_named_with_long_names_and_symbols_last() {
    let with = |text: &[u8], debug: &[u8], symbols: u8| {
        coff(&[(".text", text), (".debug_abbrev", debug)], &[symbols; 36])
    };
    let base = with(b"code", b"abbrev", 1);
    assert_eq!(
        said(&base, &with(b"coda", b"abbrew", 2)),
        "section `.text`, byte 3"
    );
    assert_eq!(
        said(&base, &with(b"code", b"abbrew", 2)),
        "section `.debug_abbrev`, byte 5"
    );
    assert_eq!(
        said(&base, &with(b"code", b"abbrev", 2)),
        "section `symbols`, byte 0"
    );
    let mut later = base.clone();
    later[4] = 8;
    assert_eq!(said(&base, &later), "section `headers`, byte 4");
    // Another machine, which is no object of ours, begins otherwise.
    later[0] = 0;
    assert_eq!(said(&base, &later), "byte 0");
}

#[test]
fn sections_of_macho_are_named_in_both_widths() {
    for wide in [false, true] {
        let with = |text: &[u8], constants: &[u8], names: &[u8]| {
            macho(wide, &[("__text", text), ("__const", constants)], names)
        };
        let base = with(b"code", b"data", b"names");
        assert_eq!(
            said(&base, &with(b"coda", b"dato", b"namez")),
            "section `__TEXT,__text`, byte 3"
        );
        assert_eq!(
            said(&base, &with(b"code", b"dato", b"namez")),
            "section `__TEXT,__const`, byte 3"
        );
        assert_eq!(
            said(&base, &with(b"code", b"data", b"namez")),
            "section `names`, byte 4"
        );
    }
}

proptest! {
    #[test]
    fn no_damage_of_any_format_makes_it_panic(
        at in 0_usize..1000, byte in any::<u8>(), cut in 0_usize..1000,
    ) {
        for whole in [
            module(&[(0, "linking", b"x"), (10, "", b"code")]),
            coff(&[(".text", b"code"), (".debug_abbrev", b"x")], &[1; 36]),
            macho(true, &[("__text", b"code")], b"names"),
            macho(false, &[("__text", b"code")], b"names"),
        ] {
            let mut other = whole.clone();
            let place = at % other.len();
            other[place] = byte;
            other.truncate(other.len() - cut % other.len());
            prop_assert_eq!(compare(&whole, &other).is_some(), whole != other);
            prop_assert_eq!(compare(&other, &whole).is_some(), whole != other);
        }
    }
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
