//! Hand-made archives: what must be refused, what must come out of good ones,
//! and that nothing beside the target directory is touched in any case.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sysroot::fetch::Format;
use sysroot::fetch::archive::{ArchiveError, Limits, unpack};
use sysroot::types::{Class, ComponentId, Diagnostic as _, FileDigest, Listing};

use crate::archive::{DIR, Header, TOP, Tar, component, gz, preamble, xz};
use crate::support::{message, noise};

/// A target directory with a victim beside it that must stay as it is.
struct Pit {
    dir: tempfile::TempDir,
}

impl Pit {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("into")).unwrap();
        std::fs::create_dir(dir.path().join("victim")).unwrap();
        std::fs::write(dir.path().join("victim/file"), "precious").unwrap();
        Self { dir }
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("into")
    }

    fn unpack(
        &self,
        bytes: &[u8],
        format: Format,
        limits: &Limits,
    ) -> Result<Listing, ArchiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let result = unpack(file, format, &demo(), &self.target(), limits);
        self.check_victim();
        result
    }

    fn check_victim(&self) {
        let victim = self.dir.path().join("victim");
        assert_eq!(std::fs::read(victim.join("file")).unwrap(), b"precious");
        assert_eq!(
            std::fs::metadata(&victim).unwrap().permissions().mode() & 0o7777,
            0o755
        );
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(self.dir.path()).unwrap().count(), 2);
    }
}

fn demo() -> ComponentId {
    ComponentId {
        name: "demo".parse().unwrap(),
        target: Some("t".parse().unwrap()),
    }
}

fn take(tar: &[u8]) -> Result<Listing, ArchiveError> {
    Pit::new().unpack(&gz(tar), Format::Gz, &Limits::default())
}

/// Asserts that the tar is refused, in both formats for the same reason.
fn refused(name: &str, tar: Tar) -> String {
    let tar = tar.end();
    refused_bytes(name, &tar)
}

fn refused_bytes(name: &str, tar: &[u8]) -> String {
    let error = take(tar).expect_err(name);
    assert_eq!(
        error.class(),
        Class::Integrity,
        "{name}: {}",
        message(&error)
    );
    let text = message(&error);
    assert!(
        !text.bytes().any(|b| b.is_ascii_control() && b != b'\n'),
        "{name}: {text:?}"
    );
    text
}

const FILES: &[(&str, &[u8])] = &[("lib/a", b"aaaa"), ("bin/b", b"bbb")];

fn read_tree(root: &Path, listing: &Listing) {
    for entry in listing.entries() {
        let bytes = std::fs::read(entry.path.below(root)).unwrap();
        assert_eq!(bytes.len() as u64, entry.size);
        assert_eq!(FileDigest::of(&bytes), entry.digest, "{}", entry.path);
    }
}

#[test]
fn good_archives_come_out_whole_in_both_formats() {
    let large = noise(3_500_000);
    let long = format!(
        "share/{}/end",
        "long-directory-name/".repeat(8).trim_end_matches('/')
    );
    let files: Vec<(&str, &[u8])> = vec![
        ("lib/a", b"aaaa"),
        ("lib/empty", b""),
        ("lib/large", &large),
        (&long, b"x"),
    ];
    let tar = component(&files).end();
    let mut digests = Vec::new();
    for (bytes, format) in [(xz(&tar), Format::Xz), (gz(&tar), Format::Gz)] {
        let pit = Pit::new();
        let listing = pit.unpack(&bytes, format, &Limits::default()).unwrap();
        assert_eq!(listing.entries().len(), 4);
        read_tree(&pit.target(), &listing);
        digests.push(listing.digest());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn components_with_a_plain_directory_and_any_order_are_read() {
    let tar = Tar::default()
        .file("x/demo/lib/a", b"a")
        .file("x/demo/manifest.in", b"file:lib/a\n")
        .file("x/components", b"demo\n")
        .file("x/LICENSE", b"free")
        .file("x/rust-installer-version", b"3");
    assert_eq!(take(&tar.end()).unwrap().entries().len(), 1);
    // Bulk directories, as in rust-docs.
    let tar = preamble(b"dir:share/doc\nfile:lib/a\n")
        .file(&format!("{DIR}/lib/a"), b"a")
        .file(&format!("{DIR}/share/doc/x"), b"x")
        .file(&format!("{DIR}/share/doc/y/z"), b"z");
    assert_eq!(take(&tar.end()).unwrap().entries().len(), 3);
    // A POSIX header with a prefix.
    let header = Header::new("a", b'0', 1)
        .with(257, b"ustar\x0000")
        .with(345, format!("{DIR}/lib").as_bytes());
    let tar = preamble(b"file:lib/a\n").raw(&header, b"a").end();
    assert_eq!(take(&tar).unwrap().entries()[0].path.as_str(), "lib/a");
}

#[test]
fn case_049_every_prefix_of_a_compressed_archive_is_refused() {
    let tar = component(FILES).end();
    for (bytes, format) in [(xz(&tar), Format::Xz), (gz(&tar), Format::Gz)] {
        let pit = Pit::new();
        for cut in 0..bytes.len() {
            let error = pit.unpack(&bytes[..cut], format, &Limits::default());
            let error = error.expect_err("a prefix");
            assert_eq!(
                error.class(),
                Class::Integrity,
                "{cut}: {}",
                message(&error)
            );
            clean(&pit);
        }
        pit.unpack(&bytes, format, &Limits::default()).unwrap();
    }
}

fn clean(pit: &Pit) {
    std::fs::remove_dir_all(pit.target()).unwrap();
    std::fs::create_dir(pit.target()).unwrap();
}

#[test]
fn case_050_every_flipped_bit_is_refused_or_harmless() {
    let tar = component(FILES).end();
    let right = take(&tar).unwrap().digest();
    for (bytes, format) in [(xz(&tar), Format::Xz), (gz(&tar), Format::Gz)] {
        let pit = Pit::new();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match pit.unpack(&bad, format, &Limits::default()) {
                Ok(listing) => assert_eq!(listing.digest(), right, "{format:?} bit {bit}"),
                Err(error) => assert_eq!(error.class(), Class::Integrity, "{bit}"),
            }
            clean(&pit);
        }
    }
}

#[test]
fn case_051_a_tar_without_its_end_is_refused() {
    let tar = component(FILES).end();
    let body = tar.len() - 1024;
    for cut in (0..body)
        .step_by(37)
        .chain([body, body + 1, body + 511, body + 512, body + 1023])
    {
        refused_bytes("cut", &tar[..cut]);
    }
    // A last file of zeros is no end.
    let zeros = component(&[("z", &[0; 2048])]);
    refused_bytes("zeros", &zeros.0);
}

#[test]
fn case_052_nothing_may_follow_the_end() {
    let tar = component(FILES).end();
    let more = |extra: &[u8]| [tar.as_slice(), extra].concat();
    let padded = more(&[0; 8192]);
    take(&padded).unwrap();
    refused_bytes("garbage in the padding", &more(b"x"));
    refused_bytes("garbage later", &[padded.as_slice(), b"\0\0x"].concat());
    refused_bytes("another tar", &more(&tar));
    refused_bytes("endless padding", &more(&vec![0; 1 << 20]));
    let mut one_block = component(FILES).0;
    one_block.extend([0; 512]);
    one_block.extend(component(FILES).end());
    refused_bytes("a single block of zeros, then more", &one_block);
    for (bytes, format) in [(xz(&tar), Format::Xz), (gz(&tar), Format::Gz)] {
        let second = bytes.clone();
        for extra in [b"x".as_slice(), &[0; 4], &[0; 512], &second] {
            let bad = [bytes.as_slice(), extra].concat();
            let error = Pit::new().unpack(&bad, format, &Limits::default());
            assert_eq!(error.unwrap_err().class(), Class::Integrity, "{format:?}");
        }
    }
}

#[test]
fn case_053_other_formats_are_refused() {
    let tar = component(FILES).end();
    let zstd = b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00".to_vec();
    for (bytes, format) in [
        (gz(&tar), Format::Xz),
        (xz(&tar), Format::Gz),
        (zstd.clone(), Format::Xz),
        (zstd, Format::Gz),
        (tar.clone(), Format::Xz),
        (tar, Format::Gz),
        (Vec::new(), Format::Xz),
        (Vec::new(), Format::Gz),
        (xz(b""), Format::Xz),
        (gz(b""), Format::Gz),
        (xz(&[0; 1024]), Format::Xz),
        (b"<html>".to_vec(), Format::Xz),
    ] {
        let error = Pit::new()
            .unpack(&bytes, format, &Limits::default())
            .unwrap_err();
        assert_eq!(error.class(), Class::Integrity, "{}", message(&error));
    }
}

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
        b"00000001000\0",
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

#[test]
fn case_071_there_is_one_top_directory() {
    for name in [
        "other/x",
        "x",
        "demo-nightly-u/demo-t/x",
        "demo-nightly-t.x/y",
    ] {
        refused(name, component(FILES).file(name, b""));
        refused(name, component(FILES).dir(name));
        refused(
            name,
            Tar::default()
                .file(name, b"")
                .raw(&Header::new("y/", b'5', 0), b""),
        );
    }
    refused("top is a file", component(FILES).file("top", b""));
    let two = component(FILES).file(&format!("{TOP}/demo/x"), b"");
    refused("two component directories", two);
}

#[test]
fn case_072_installer_files_are_checked() {
    let build = |version: Option<&[u8]>, components: Option<&[u8]>, dir: &str| {
        let mut tar = Tar::default();
        if let Some(version) = version {
            tar = tar.file("x/rust-installer-version", version);
        }
        if let Some(components) = components {
            tar = tar.file("x/components", components);
        }
        tar.file(&format!("x/{dir}/manifest.in"), b"file:a\n")
            .file(&format!("x/{dir}/a"), b"a")
    };
    take(&build(Some(b"3\n"), Some(b"demo-t\n"), "demo-t").end()).unwrap();
    for version in [
        None,
        Some(b"2\n".as_slice()),
        Some(b"4"),
        Some(b""),
        Some(b"3\n3\n"),
        Some(b"3\r\n"),
        Some(b" 3"),
        Some(b"\xff"),
        Some(b"3\x1b"),
        Some(&[b'3'; 9000]),
    ] {
        refused("version", build(version, Some(b"demo-t\n"), "demo-t"));
    }
    for components in [
        None,
        Some(b"".as_slice()),
        Some(b"../x\n"),
        Some(b"rustc\n"),
        Some(b"demo\n"),
        Some(b"demo-u\n"),
        Some(b"demo-t\nrustc\n"),
        Some(b"demo-t\r\n"),
        Some(b"\n"),
        Some(b"demo-t/\n"),
        Some(b"\xff\xfe"),
        Some(&[b'x'; 9000]),
    ] {
        refused("components", build(Some(b"3\n"), components, "demo-t"));
    }
    for dir in ["rustc", "demo-u", "demo-t2", "demo"] {
        refused(dir, build(Some(b"3\n"), Some(b"demo-t\n"), dir));
    }
    refused(
        "no manifest",
        Tar::default()
            .file("x/rust-installer-version", b"3")
            .file("x/components", b"demo-t")
            .file("x/demo-t/a", b""),
    );
}

#[test]
fn case_073_the_files_are_those_that_are_listed() {
    let with = |manifest: &str| {
        preamble(manifest.as_bytes())
            .file(&format!("{DIR}/lib/a"), b"a")
            .file(&format!("{DIR}/lib/b"), b"b")
    };
    take(&with("file:lib/a\nfile:lib/b\n").end()).unwrap();
    take(&with("file:lib/b\nfile:lib/a").end()).unwrap();
    take(&with("dir:lib\n").end()).unwrap();
    for manifest in [
        "",
        "file:lib/a\n",
        "file:lib/a\nfile:lib/b\nfile:lib/c\n",
        "file:lib/a\nfile:lib/b\nfile:lib/a\n",
        "file:/lib/a\nfile:lib/b\n",
        "file:../lib/a\nfile:lib/b\n",
        "file:lib/a\r\nfile:lib/b\r\n",
        "file:lib/a\nlink:lib/b\n",
        "file:lib/a\nlib/b\n",
        "file:lib/a\n\nfile:lib/b\n",
        "File:lib/a\nfile:lib/b\n",
        "dir:lib\nfile:lib/a\n",
        "dir:lib\ndir:lib\n",
        "dir:share\nfile:lib/a\nfile:lib/b\n",
        "dir:li\n",
        "dir:\n",
        "dir:.\n",
        "dir:/\n",
        "dir:..\n",
        "file:\nfile:lib/a\nfile:lib/b\n",
        "file:lib/a\nfile:lib/b\nfile:lib\n",
        "file:lib/a\nfile:lib/b\u{0}\n",
        "file:lib/a\nfile:lib/B\n",
        " file:lib/a\nfile:lib/b\n",
        "dir:lib/a\nfile:lib/b\n",
        "file:lib/a\nfile:lib/b\ndir:lib/\n",
        "file:manifest.in\nfile:lib/a\nfile:lib/b\n",
    ] {
        refused(manifest, with(manifest));
    }
    let binary = preamble(b"file:\xff\n").file(&format!("{DIR}/lib/a"), b"a");
    refused("binary", binary);
    let huge = Header::new(&format!("{DIR}/manifest.in"), b'0', 100 << 20);
    let tar = Tar::default()
        .file(&format!("{TOP}/components"), b"demo-t")
        .raw(&huge, &vec![0; 100 << 20]);
    refused("100 MB", tar);
}

#[test]
fn case_074_a_bomb_ends_at_the_limit() {
    let limits = Limits {
        unpacked: 4 << 20,
        ..Limits::default()
    };
    // One huge file, many files, and padding without end.
    let huge = component(&[("lib/a", &vec![0; 32 << 20])]).end();
    let names: Vec<String> = (0..32).map(|n| format!("lib/{n}")).collect();
    let content = vec![0; 1 << 20];
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), content.as_slice()))
        .collect();
    let many = component(&files).end();
    let padding = [component(FILES).end(), vec![0; 32 << 20]].concat();
    for tar in [huge, many, padding] {
        for (bytes, format) in [(xz(&tar), Format::Xz), (gz(&tar), Format::Gz)] {
            let pit = Pit::new();
            let error = pit.unpack(&bytes, format, &limits).unwrap_err();
            assert_eq!(error.class(), Class::Integrity, "{}", message(&error));
            assert!(disk(&pit.target()) <= limits.unpacked);
        }
    }
    // The header alone says too much.
    let header = Header::new(&format!("{DIR}/lib/a"), b'0', 5 << 30);
    let tar = preamble(b"file:lib/a\n").raw(&header, b"a").end();
    let error = take(&tar).unwrap_err();
    assert!(
        matches!(error, ArchiveError::TooLarge { .. }),
        "{}",
        message(&error)
    );
}

fn disk(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                disk(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}

#[test]
fn case_075_entries_are_counted() {
    let limits = Limits {
        entries: 100,
        ..Limits::default()
    };
    for kind in [b'0', b'5'] {
        let mut tar = preamble(b"dir:many\n");
        for n in 0..200 {
            let slash = if kind == b'5' { "/" } else { "" };
            tar = tar.named(&format!("{DIR}/many/{n}{slash}"), kind, b"");
        }
        let pit = Pit::new();
        let error = pit
            .unpack(&gz(&tar.end()), Format::Gz, &limits)
            .unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { limit: 100, .. }));
    }
    let limits = Limits {
        names: 1000,
        ..Limits::default()
    };
    let names: Vec<String> = (0..50)
        .map(|n| format!("lib/{n}-{}", "x".repeat(50)))
        .collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect();
    let tar = component(&files).end();
    let error = Pit::new()
        .unpack(&gz(&tar), Format::Gz, &limits)
        .unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { limit: 1000, .. }));
}

#[test]
fn case_076_xz_streams_are_bounded_and_checked() {
    use xz2::stream::{Check, Filters, LzmaOptions, Stream};
    let tar = component(FILES).end();
    let encode = |dictionary: u32, check| {
        let mut options = LzmaOptions::new_preset(0).unwrap();
        options.dict_size(dictionary);
        let mut filters = Filters::new();
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&tar).unwrap();
        encoder.finish().unwrap()
    };
    let unpack = |bytes: &[u8]| Pit::new().unpack(bytes, Format::Xz, &Limits::default());
    unpack(&encode(64 << 20, Check::Crc64)).unwrap();
    unpack(&encode(1 << 20, Check::Sha256)).unwrap();
    unpack(&encode(1 << 20, Check::Crc32)).unwrap();
    assert_eq!(
        unpack(&encode(1 << 20, Check::None)).unwrap_err().class(),
        Class::Integrity
    );
    // The block header of a real stream, patched to declare larger
    // dictionaries: its LZMA2 property byte, and the CRC32 over the header.
    let good = encode(1 << 20, Check::Crc64);
    for property in 0..=255_u8 {
        let mut bad = good.clone();
        let length = (usize::from(bad[12]) + 1) * 4;
        let at = 12
            + bad[12..12 + length - 4]
                .windows(2)
                .position(|w| w == [0x21, 1])
                .unwrap()
            + 2;
        bad[at] = property;
        let crc = crc32(&bad[12..12 + length - 4]);
        bad[12 + length - 4..12 + length].copy_from_slice(&crc.to_le_bytes());
        let result = unpack(&bad);
        // 28 stands for 64 MiB; 29 for 96 MiB; 30 for 128 MiB and more than the limit.
        if property >= 30 {
            assert_eq!(result.unwrap_err().class(), Class::Integrity, "{property}");
        } else if property >= good[at] {
            result.unwrap();
        }
    }
    let limits = Limits {
        decoder_memory: 1 << 20,
        ..Limits::default()
    };
    assert!(
        Pit::new()
            .unpack(&encode(64 << 20, Check::Crc64), Format::Xz, &limits)
            .is_err()
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn case_078_the_given_handle_is_read_not_the_path() {
    let pit = Pit::new();
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), gz(&component(FILES).end())).unwrap();
    let mut handle = File::open(source.path()).unwrap();
    let mut first = [0];
    handle.read_exact(&mut first).unwrap();
    handle.rewind().unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), gz(&component(&[("evil", b"!")]).end())).unwrap();
    std::fs::rename(other.path(), source.path()).unwrap();
    let limits = Limits::default();
    let listing = unpack(handle, Format::Gz, &demo(), &pit.target(), &limits).unwrap();
    assert_eq!(listing.entries().len(), 2);
}

#[test]
fn a_directory_that_cannot_be_written_is_a_file_system_error() {
    let pit = Pit::new();
    // The name is taken, so that exclusive creation fails for every user.
    std::fs::create_dir(pit.target().join("lib")).unwrap();
    std::fs::write(pit.target().join("lib/a"), "mine").unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("lib/{n}")).collect();
    let content = vec![1; 1 << 21];
    let mut files: Vec<_> = vec![("lib/a", content.as_slice())];
    files.extend(names.iter().map(|name| (name.as_str(), b"x".as_slice())));
    let tar = component(&files).end();
    let error = pit
        .unpack(&gz(&tar), Format::Gz, &Limits::default())
        .unwrap_err();
    assert_eq!(error.class(), Class::FileSystem, "{}", message(&error));
    assert_eq!(std::fs::read(pit.target().join("lib/a")).unwrap(), b"mine");
}

#[test]
fn a_cancelled_unpacking_stops() {
    let limits = Limits::default();
    limits.cancel.set(sysroot::events::Cancelled::Terminate);
    let tar = component(FILES).end();
    let error = Pit::new()
        .unpack(&gz(&tar), Format::Gz, &limits)
        .unwrap_err();
    assert_eq!(error.class(), Class::Terminated);
}
