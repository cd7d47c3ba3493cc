//! Packs written and read back, and packs that lie.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use proptest::prelude::*;

use super::{Limits, PackError, header, read, read_next, write};
use crate::sys::fs;
use crate::types::{Entry, FileDigest, Listing, TreeDigest};

type File<'a> = (&'a str, &'a [u8], bool);

fn listing(files: &[File<'_>]) -> Listing {
    let entry = |&(path, content, executable): &File<'_>| Entry {
        path: path.parse().unwrap(),
        executable,
        size: content.len() as u64,
        digest: FileDigest::of(content),
    };
    Listing::new(files.iter().map(entry).collect()).unwrap()
}

fn lay_out(files: &[File<'_>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content, _) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write_new(&path, content).unwrap();
    }
    dir
}

fn pack(files: &[File<'_>]) -> Vec<u8> {
    let dir = lay_out(files);
    write(
        dir.path(),
        &listing(files),
        Vec::new(),
        3,
        &Limits::default(),
    )
    .unwrap()
}

/// Unpacks into a new directory and reads every file there back.
fn unpack(bytes: &[u8], expected: TreeDigest) -> Result<Vec<(String, Vec<u8>, u32)>, PackError> {
    let dir = tempfile::tempdir().unwrap();
    let listing = read(bytes, expected, &Limits::default(), dir.path())?;
    assert_eq!(listing.digest(), expected);
    let mut files = Vec::new();
    collect(dir.path(), dir.path(), &mut files);
    assert_eq!(files.len(), listing.entries().len());
    Ok(files)
}

fn collect(top: &Path, dir: &Path, files: &mut Vec<(String, Vec<u8>, u32)>) {
    use std::os::unix::fs::PermissionsExt as _;
    for name in fs::list(dir).unwrap() {
        let path = dir.join(name);
        let metadata = fs::metadata_if_exists(&path).unwrap().unwrap();
        if metadata.is_dir() {
            collect(top, &path, files);
        } else {
            assert!(metadata.is_file(), "{}", path.display());
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let mode = metadata.permissions().mode() & 0o777;
            files.push((name, fs::read(&path, 1 << 30).unwrap(), mode));
        }
    }
    files.sort();
}

/// The tar of some files as a pack of `listing` would have it, not compressed.
fn tar(listing: &str, files: &[File<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut add = |path: &str, content: &[u8], executable| {
        tar.extend(header::file(path, content.len() as u64, executable));
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    };
    add(header::LISTING, listing.as_bytes(), false);
    for (path, content, executable) in files {
        add(path, content, *executable);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn frame(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 3).unwrap()
}

fn small() -> Vec<File<'static>> {
    vec![
        ("bin/rustc", b"program", true),
        ("lib/a.rlib", b"lib", false),
    ]
}

#[test]
fn a_tree_comes_back_with_contents_and_modes() {
    let large = vec![7_u8; (3 << 20) + 11];
    let deep = format!("lib/{}/{}/x.rlib", "d".repeat(180), "e".repeat(200));
    let at_100 = format!("lib/{}", "f".repeat(96));
    let at_101 = format!("lib/{}", "g".repeat(97));
    let files: Vec<File<'_>> = vec![
        ("bin/rustc", b"program", true),
        ("empty", b"", false),
        ("exact", &[1; 512], false),
        ("lib/large.so", &large, true),
        (&deep, b"deep", false),
        (&at_100, b"100", false),
        (&at_101, b"101", true),
        ("sysroot-tree.txt", b"not the listing", false),
    ];
    let found = unpack(&pack(&files), listing(&files).digest()).unwrap();
    let mut expected: Vec<_> = files
        .iter()
        .map(|(path, content, executable)| {
            let mode = if *executable { 0o555 } else { 0o444 };
            ((*path).to_owned(), content.to_vec(), mode)
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(unpack(&pack(&[]), listing(&[]).digest()).unwrap(), []);
}

#[test]
fn any_tar_reads_a_pack() {
    let long = format!("lib/{}/{}", "d".repeat(180), "e".repeat(200));
    let files: Vec<File<'_>> = vec![("bin/rustc", b"program", true), (&long, b"long", false)];
    let plain = zstd::decode_all(&pack(&files)[..]).unwrap();
    let mut archive = tar::Archive::new(&plain[..]);
    let found: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mode = entry.header().mode().unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, mode, content)
        })
        .collect();
    let text = listing(&files).to_text();
    let expected = [
        (header::LISTING.to_owned(), 0o644, text.into_bytes()),
        ("bin/rustc".to_owned(), 0o755, b"program".to_vec()),
        (long.clone(), 0o644, b"long".to_vec()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_bytes_depend_on_the_tree_alone() {
    let files = small();
    let mut reversed = files.clone();
    reversed.reverse();
    assert_eq!(pack(&files), pack(&reversed));
    let plain = zstd::decode_all(&pack(&files)[..]).unwrap();
    assert_eq!(plain, tar(&listing(&files).to_text(), &files));
    // The format's definition: other bytes are another format.
    assert_eq!(
        blake3::hash(&plain).to_hex().as_str(),
        "5952517f2bc89aed3292eae66546f406d89aec2ba90adc1095699896e6a88c7a"
    );
}

#[test]
fn the_number_of_compressing_threads_changes_no_byte() {
    // More than each of four threads compresses at a time, partly alike.
    let mut content = vec![7; 9 << 20];
    blake3::Hasher::new()
        .finalize_xof()
        .fill(&mut content[..5 << 20]);
    content.extend_from_within(..8 << 20);
    let files: Vec<File<'_>> = vec![("lib/large", &content, false)];
    let dir = lay_out(&files);
    let pack = |compressors| {
        let limits = Limits {
            compressors,
            ..Limits::default()
        };
        write(dir.path(), &listing(&files), Vec::new(), 3, &limits).unwrap()
    };
    let one = pack(1);
    assert!(one == pack(2) && one == pack(4));
    let back = unpack(&one, listing(&files).digest()).unwrap();
    assert!(back[0].1 == content);
}

#[test]
fn case_132_a_pack_cut_anywhere_is_refused() {
    let (files, digest) = (small(), listing(&small()).digest());
    let whole = pack(&files);
    for end in 0..whole.len() {
        let error = unpack(&whole[..end], digest).unwrap_err();
        assert!(matches!(error, PackError::Decode(_)), "{end}: {error:?}");
    }
}

#[test]
fn case_125_a_pack_with_a_bit_flipped_gives_the_tree_or_nothing() {
    let (files, digest) = (small(), listing(&small()).digest());
    let whole = pack(&files);
    let right = unpack(&whole, digest).unwrap();
    let mut refused = 0;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match unpack(&flipped, digest) {
            Ok(files) => assert_eq!(files, right, "{bit}"),
            Err(error) => {
                assert!(error.is_content(), "{bit}: {error:?}");
                refused += 1;
            }
        }
    }
    // zstd has a few bits that mean nothing.
    assert!(refused * 100 > whole.len() * 8 * 95, "{refused}");
}

#[test]
fn case_125_content_that_is_not_the_listed_one_is_refused() {
    let (files, text) = (small(), listing(&small()).to_text());
    let digest = listing(&files).digest();
    let mut other = files.clone();
    other[1].1 = b"LIB";
    match unpack(&frame(&tar(&text, &other)), digest) {
        Err(PackError::Content { path, .. }) => assert_eq!(path.as_str(), "lib/a.rlib"),
        result => panic!("{result:?}"),
    }
    let other = TreeDigest::from_bytes([3; 32]);
    match unpack(&pack(&files), other) {
        Err(PackError::OtherTree { expected, found }) => {
            assert_eq!((expected, found), (other, digest));
        }
        result => panic!("{result:?}"),
    }
}

#[test]
fn case_129_files_other_than_the_listed_ones_are_refused() {
    let (files, text) = (small(), listing(&small()).to_text());
    let digest = listing(&files).digest();
    assert!(unpack(&frame(&tar(&text, &files)), digest).is_ok());
    let swapped = vec![files[1], files[0]];
    let twice = vec![files[0], files[0], files[1]];
    let more = vec![files[0], files[1], ("lib/b.rlib", &b"b"[..], false)];
    let mut longer = files.clone();
    longer[1].1 = b"lib and more";
    let mut mode = files.clone();
    mode[1].2 = true;
    let mut name = files.clone();
    name[1].0 = "../a.rlib";
    let fewer = vec![files[0]];
    for files in [swapped, twice, more, longer, mode, name, fewer] {
        let error = unpack(&frame(&tar(&text, &files)), digest).unwrap_err();
        assert!(
            matches!(error, PackError::Malformed { .. }),
            "{files:?}: {error:?}"
        );
    }
}

#[test]
fn case_061_every_header_byte_counts() {
    let (files, text) = (small(), listing(&small()).to_text());
    let digest = listing(&files).digest();
    let plain = tar(&text, &files);
    let listing_blocks = 512 + text.len().next_multiple_of(512);
    let headers = (0..512).chain(listing_blocks..listing_blocks + 512);
    let end = plain.len() - 1024..plain.len();
    for at in headers.chain(end) {
        let mut changed = plain.clone();
        changed[at] ^= 1;
        let error = unpack(&frame(&changed), digest).unwrap_err();
        assert!(error.is_content(), "{at}: {error:?}");
    }
    // A link in place of a file, with the right checksum.
    let mut link = plain;
    link[listing_blocks + 156] = b'2';
    link[listing_blocks + 153] += 2;
    assert!(unpack(&frame(&link), digest).is_err());
}

#[test]
fn case_129_listings_that_break_a_rule_are_refused_although_they_hash_right() {
    let hash = "0".repeat(64);
    let line = |size: &str, path: &str| format!("- {size} {hash} {path}\n");
    for (body, too_large) in [
        (line("1", "../victim"), false),
        (line("1", "/victim"), false),
        (line("1", "a") + &line("1", "a"), false),
        (line("1", "a") + &line("1", "A"), false),
        (line("1", "b") + &line("1", "a"), false),
        (line("1", "a") + &line("1", "a/b"), false),
        (line("18446744073709551616", "a"), false),
        (line("9223372036854775808", "a"), true),
        (line("18446744073709551615", "a") + &line("2", "b"), true),
        (line("4294967297", "a"), true),
    ] {
        let text = format!("sysroot-tree-v1\n{body}");
        let digest = TreeDigest::from_bytes(*blake3::hash(text.as_bytes()).as_bytes());
        let error = unpack(&frame(&tar(&text, &[])), digest).unwrap_err();
        let found = matches!(error, PackError::TooLarge { .. });
        assert!(
            error.is_content() && found == too_large,
            "{body}: {error:?}"
        );
    }
}

#[test]
fn case_129_more_files_or_names_than_allowed_are_refused() {
    let (files, digest) = (small(), listing(&small()).digest());
    let bytes = pack(&files);
    let unpack = |limits: &Limits| {
        let dir = tempfile::tempdir().unwrap();
        let result = read(&bytes[..], digest, limits, dir.path());
        assert_eq!(fs::list(dir.path()).unwrap().is_empty(), result.is_err());
        result
    };
    let default = Limits::default;
    let size = listing(&files).to_text().len() as u64;
    assert!(
        unpack(&Limits {
            entries: 2,
            unpacked: 10,
            listing: size,
            ..default()
        })
        .is_ok()
    );
    for limits in [
        Limits {
            entries: 1,
            ..default()
        },
        Limits {
            unpacked: 9,
            ..default()
        },
        Limits {
            listing: size - 1,
            ..default()
        },
    ] {
        let error = unpack(&limits).unwrap_err();
        assert!(matches!(error, PackError::TooLarge { .. }), "{error:?}");
        let dir = lay_out(&files);
        let error = write(dir.path(), &listing(&files), Vec::new(), 3, &limits).unwrap_err();
        assert!(matches!(error, PackError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn case_130_bombs_are_refused_without_unpacking_them() {
    let (files, text) = (small(), listing(&small()).to_text());
    let digest = listing(&files).digest();
    // Much more zeros than belong to the end.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&tar(&text, &files)).unwrap();
    for _ in 0..128 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let error = unpack(&encoder.finish().unwrap(), digest).unwrap_err();
    assert!(matches!(error, PackError::Malformed { .. }), "{error:?}");
    // A frame that wants a window of 16 MiB.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&tar(&text, &files)).unwrap();
    let error = unpack(&encoder.finish().unwrap(), digest).unwrap_err();
    assert!(matches!(error, PackError::Decode(_)), "{error:?}");
    // A frame of empty blocks, without an end.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let endless = BufReader::new(frame.chain(std::io::repeat(0)));
    let limits = Limits {
        listing: 1000,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let error = read(endless, digest, &limits, dir.path()).unwrap_err();
    assert!(matches!(error, PackError::TooLarge { .. }), "{error:?}");
}

#[test]
fn what_follows_a_pack_is_left_or_refused() {
    let (files, digest) = (small(), listing(&small()).digest());
    let two = [pack(&files), pack(&files)].concat();
    let error = unpack(&two, digest).unwrap_err();
    assert!(matches!(error, PackError::Malformed { .. }), "{error:?}");
    let mut input = BufReader::with_capacity(7, &two[..]);
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        read_next(&mut input, digest, &Limits::default(), dir.path()).unwrap();
    }
    let mut rest = Vec::new();
    assert_eq!(input.read_to_end(&mut rest).unwrap(), 0);
}

#[test]
fn case_115_a_damaged_tree_is_not_packed() {
    let files = small();
    for content in [&b"lix"[..], b"li", b"lib ", b""] {
        let dir = lay_out(&[files[0], ("lib/a.rlib", content, false)]);
        let limits = Limits::default();
        match write(dir.path(), &listing(&files), Vec::new(), 3, &limits) {
            Err(PackError::Damaged { path, .. }) => assert_eq!(path.as_str(), "lib/a.rlib"),
            result => panic!("{result:?}"),
        }
    }
    let dir = lay_out(&files[..1]);
    fs::create_dir(&dir.path().join("lib")).unwrap();
    fs::symlink(Path::new("/dev/zero"), &dir.path().join("lib/a.rlib")).unwrap();
    let result = write(
        dir.path(),
        &listing(&files),
        Vec::new(),
        3,
        &Limits::default(),
    );
    assert!(matches!(result, Err(PackError::Fs(_))), "{result:?}");
}

#[test]
fn errors_of_the_source_are_told_from_errors_in_the_pack() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the cable is cut"))
        }
    }
    let (files, digest) = (small(), listing(&small()).digest());
    let whole = pack(&files);
    for end in [0, 1, 40, whole.len() - 1] {
        let input = BufReader::new(whole[..end].chain(Broken));
        let dir = tempfile::tempdir().unwrap();
        let error = read(input, digest, &Limits::default(), dir.path()).unwrap_err();
        assert!(matches!(error, PackError::Input(_)), "{end}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tree_round_trips(
        files in prop::collection::btree_map(
            "[a-z]{1,3}(/[a-z]{1,120}){0,2}\\.o",
            (prop::collection::vec(any::<u8>(), 0..1500), any::<bool>()),
            0..12,
        ),
    ) {
        let files: Vec<File<'_>> =
            files.iter().map(|(path, (content, x))| (path.as_str(), &content[..], *x)).collect();
        let found = unpack(&pack(&files), listing(&files).digest()).unwrap();
        let mut expected: Vec<_> = files
            .iter()
            .map(|(path, content, x)| {
                ((*path).to_owned(), content.to_vec(), if *x { 0o555 } else { 0o444 })
            })
            .collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn arbitrary_bytes_never_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let digest = listing(&small()).digest();
        prop_assert!(unpack(&bytes, digest).is_err());
        prop_assert!(unpack(&frame(&bytes), digest).is_err());
    }
}
