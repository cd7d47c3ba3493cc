//! Entries of a tar: names, types, numbers, modes.

use std::os::unix::fs::PermissionsExt as _;

use sysroot::fetch::Format;
use sysroot::fetch::archive::Limits;

use crate::archive::{DIR, Header, TOP, Tar, component, gz, preamble};
use crate::archive_support::{FILES, Pit, refused, refused_bytes, take};

#[test]
fn case_054_and_070_unsafe_names_are_refused() {
    let long_component = format!("{DIR}/{}", "a".repeat(256));
    let long_path = format!("{DIR}/{}", "a/".repeat(600));
    let deep = format!("{DIR}/{}x", "a/".repeat(70));
    let below = |name: &str| format!("{DIR}/{name}").into_bytes();
    let mut names: Vec<Vec<u8>> = [
        "..",
        ".",
        "/",
        "//",
        "",
        "../x",
        "/etc/passwd",
        "../../victim/file",
        "./x",
        "x/..",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    names.extend(
        [
            "..",
            ".",
            "",
            "/",
            "../x",
            "../../../victim/file",
            "a/../../b",
            "a//b",
            "a/./b",
            "/a",
            "a\nb",
            "a\rb",
            "a\tb",
            "a\x1b[31mb",
            "a\x7fb",
            "a\\b",
            "..\\..\\x",
            "C:x",
            "C:\\x",
            "a:b",
            "CON",
            "con",
            "Con.txt",
            "NUL",
            "aux/x",
            "COM1",
            "lpt9.log",
            "a.",
            "a ",
            "a./b",
            "a*",
            "a?",
            "a\"",
            "a<",
            "a>",
            "a|",
            "caf\u{e9}",
            "cafe\u{301}",
            "\u{202e}x",
            "\u{ff0e}\u{ff0e}/x",
            "a/",
        ]
        .map(below),
    );
    names.push([below("a").as_slice(), b"\xff"].concat());
    names.push([below("a").as_slice(), b"\xc0\xae\xc0\xae/x"].concat());
    names.extend([long_component, long_path, deep].map(String::into_bytes));
    for name in names {
        let shown = name.escape_ascii().to_string();
        let manifest = b"file:lib/a\n";
        let base = || preamble(manifest).file(&format!("{DIR}/lib/a"), b"a");
        refused(
            &shown,
            base()
                .long_name(&name)
                .raw(&Header::new("x", b'0', 1), b"!"),
        );
        if name.len() <= 100 {
            let header = Header::new("", b'0', 1).with(0, &name);
            refused(&shown, base().raw(&header, b"!"));
        }
    }
    // Bytes behind a NUL.
    let header = Header::new(&format!("{DIR}/lib/a\0../../x"), b'0', 1);
    refused("NUL", preamble(b"file:lib/a\n").raw(&header, b"a"));
    let name = format!("{DIR}/lib/a\0b");
    let tar = preamble(b"file:lib/a\n").long_name(name.as_bytes());
    refused("NUL", tar.raw(&Header::new("x", b'0', 1), b"a"));
}

#[test]
fn case_055_to_058_links_are_refused() {
    for kind in [b'1', b'2'] {
        for target in [
            "lib/a",
            "../../victim",
            "/etc/passwd",
            "nowhere",
            "link",
            ".",
        ] {
            let link = Header::new(&format!("{DIR}/link"), kind, 0).with(157, target.as_bytes());
            refused("link", component(FILES).raw(&link, b""));
            let through = component(FILES)
                .raw(&link, b"")
                .file(&format!("{DIR}/link/file"), b"bad")
                .dir(&format!("{DIR}/link"));
            refused("through a link", through);
        }
    }
    // A regular file that names a target.
    let odd = Header::new(&format!("{DIR}/lib/a"), b'0', 1).with(157, b"/etc/passwd");
    refused("target", preamble(b"file:lib/a\n").raw(&odd, b"a"));
}

#[test]
fn case_059_only_files_and_directories_are_allowed() {
    for kind in 0..=255_u8 {
        if matches!(kind, b'0' | b'5') {
            continue;
        }
        let header = Header::new(&format!("{DIR}/lib/a"), b'0', 4).with(156, &[kind]);
        refused(
            &format!("type {kind}"),
            preamble(b"file:lib/a\n").raw(&header, b"aaaa"),
        );
    }
}

#[test]
fn case_060_and_061_extended_headers_are_refused() {
    for record in [
        "12 size=999\n",
        "24 path=../../victim/file\n",
        "12 path=abc\n12 path=def\n",
        "999 path=x\n",
        "-1 path=x\n",
        "x",
        "",
        "15 linkpath=/x\n",
        "22 GNU.sparse.major=1\n",
        "12 pa\0th=ab\n",
    ] {
        for kind in [b'x', b'g', b'X'] {
            let header = Header::new("PaxHeaders/x", kind, record.len() as u64);
            refused(record, component(FILES).raw(&header, record.as_bytes()));
            let header = header.with(257, b"ustar\x0000");
            refused(record, Tar::default().raw(&header, record.as_bytes()));
        }
    }
    let big = vec![b'x'; 1 << 20];
    let header = Header::new("PaxHeaders/x", b'x', big.len() as u64);
    refused("1 MiB", component(FILES).raw(&header, &big));
}

#[test]
fn case_062_long_names_are_bounded_and_single() {
    let base = || component(FILES);
    refused(
        "1 MiB",
        base().long_name(&vec![b'a'; 1 << 20]).file("x", b""),
    );
    refused("2 KiB", base().long_name(&vec![b'a'; 2048]).file("x", b""));
    let name = format!("{DIR}/lib/c");
    refused(
        "twice",
        base()
            .long_name(name.as_bytes())
            .long_name(name.as_bytes())
            .file("x", b""),
    );
    refused("then the end", base().long_name(name.as_bytes()));
    refused(
        "long link",
        base().raw(&Header::new("././@LongLink", b'K', 4), b"abc\0"),
    );
    refused(
        "empty",
        base()
            .raw(&Header::new("././@LongLink", b'L', 0), b"")
            .file("x", b""),
    );
    let pax = Header::new("x", b'x', 12);
    refused(
        "mixed",
        base()
            .long_name(name.as_bytes())
            .raw(&pax, b"12 path=abc\n")
            .file("x", b""),
    );
    refused_bytes("cut", &base().long_name(name.as_bytes()).0);
}

#[test]
fn case_063_sizes_are_plain_and_true() {
    let name = format!("{DIR}/lib/a");
    for size in [
        b"\x80\0\0\0\0\0\0\0\0\0\0\x04".as_slice(),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"77777777777\0",
        b"777777777777",
        b"00000003000\0",
        b"-0000000004\0",
        b"0000000000x\0",
        b"0x000000004\0",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"            ",
        b"00000000004x",
        b"4\0\0\0\0\0\0\0\0\0\x005",
        b"00000000008\0",
    ] {
        let header = Header::new(&name, b'0', 4).with(124, size);
        let tar = preamble(b"file:lib/a\n").raw(&header, b"aaaa");
        refused(&size.escape_ascii().to_string(), tar);
    }
    let directory = Header::new(&format!("{DIR}/d/"), b'5', 512);
    refused(
        "directory with content",
        component(FILES).raw(&directory, &[0; 512]),
    );
}

#[test]
fn case_064_other_numbers_are_ignored_or_refused() {
    let name = format!("{DIR}/lib/a");
    let base = || Header::new(&name, b'0', 4);
    let tar = |header: &Header| preamble(b"file:lib/a\n").raw(header, b"aaaa");
    for mode in [
        b"zzzzzzz\0",
        b"\x80\0\0\0\0\0\0\x01",
        b"\0\0\0\0\0\0\0\0",
        b"0000888\0",
        b"-000644\0",
    ] {
        refused("mode", tar(&base().with(100, mode)));
    }
    for (at, length) in [(108, 8), (116, 8), (136, 12), (265, 64), (329, 16)] {
        for byte in [b'z', 0xff, b' ', b'9'] {
            let header = base().with(at, &vec![byte; length]);
            take(&tar(&header).end()).expect("an ignored field");
        }
    }
    for checksum in [
        b"0000000\0",
        b"zzzzzz\0 ",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut header = base();
        header.set(148, checksum);
        refused("checksum", tar(&header));
    }
    for magic in [
        b"\0\0\0\0\0\0\0\0",
        b"ustar\0\0\0",
        b"ustar \0\0",
        b"USTAR\x0000",
    ] {
        refused("magic", tar(&base().with(257, magic)));
    }
}

#[test]
fn case_065_only_the_executable_bit_counts() {
    for (mode, executable) in [
        (0o644, false),
        (0o755, true),
        (0o777, true),
        (0o000, false),
        (0o4755, true),
        (0o2755, true),
        (0o1777, true),
        (0o7777, true),
        (0o4644, false),
        (0o100, true),
        (0o011, false),
        (0o600, false),
    ] {
        let pit = Pit::new();
        let header = Header::new(&format!("{DIR}/lib/a"), b'0', 1).mode(mode);
        let tar = preamble(b"file:lib/a\n").raw(&header, b"a").end();
        let listing = pit
            .unpack(&gz(&tar), Format::Gz, &Limits::default())
            .unwrap();
        assert_eq!(listing.entries()[0].executable, executable, "{mode:o}");
        let found = std::fs::metadata(pit.target().join("lib/a"))
            .unwrap()
            .permissions()
            .mode();
        let expected = if executable { 0o555 } else { 0o444 };
        assert_eq!(found & 0o7777 & !expected, 0, "{mode:o} gives {found:o}");
        assert_eq!(found & 0o500, expected & 0o500, "{mode:o} gives {found:o}");
        let directory = std::fs::metadata(pit.target().join("lib"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(directory & 0o7022, 0);
    }
}

#[test]
fn case_066_times_and_owners_do_not_matter() {
    let mut digests = Vec::new();
    for time in [
        b"00000000000\0",
        b"77777777777\0",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        for owner in [b"root\0", b"a\x1bbcd"] {
            let header = Header::new(&format!("{DIR}/lib/a"), b'0', 1)
                .with(136, time)
                .with(265, owner);
            let tar = preamble(b"file:lib/a\n").raw(&header, b"a").end();
            digests.push(take(&tar).unwrap().digest());
        }
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn case_067_to_069_names_that_meet_are_refused() {
    let both = |a: &str, b: &str| {
        let manifest = format!("file:{a}\nfile:{b}\n");
        preamble(manifest.as_bytes())
            .file(&format!("{DIR}/{a}"), b"1")
            .file(&format!("{DIR}/{b}"), b"2")
    };
    for (a, b) in [
        ("lib/A", "lib/a"),
        ("Lib/a", "lib/b"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("A", "a/b"),
        ("a/b", "A"),
        ("a/b/c", "a/B/d"),
    ] {
        refused(&format!("{a} {b}"), both(a, b));
    }
    let same = |content: &[u8]| component(FILES).file(&format!("{DIR}/lib/a"), content);
    refused("same content", same(b"aaaa"));
    refused("other content", same(b"bbbb"));
    let dir = |name: &str| component(FILES).dir(&format!("{DIR}/{name}"));
    refused("file, then directory", dir("lib/a"));
    refused("by case", dir("lib/A"));
    refused("a second spelling", dir("LIB"));
    refused("directory twice", dir("x").dir(&format!("{DIR}/x")));
    refused(
        "directory, then file",
        dir("x").file(&format!("{DIR}/x"), b""),
    );
    refused(
        "manifest twice",
        component(FILES).file(&format!("{DIR}/manifest.in"), b""),
    );
    refused(
        "version twice",
        component(FILES).file(&format!("{TOP}/rust-installer-version"), b"3"),
    );
    refused(
        "manifest in capitals",
        component(FILES).file(&format!("{DIR}/MANIFEST.IN"), b""),
    );
}
