//! Compressed streams, the ends of tars, and the bounds on both.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use sysroot::fetch::Format;
use sysroot::fetch::archive::{ArchiveError, Limits, unpack};
use sysroot::types::{Class, Diagnostic as _, FileDigest, Listing};

use crate::archive::{DIR, Header, component, gz, preamble, xz};
use crate::archive_support::{FILES, Pit, clean, demo, disk, refused_bytes, take};
use crate::support::{message, noise};

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
    // As upstream's are: the hash of the whole file is the check.
    let unchecked = unpack(&encode(1 << 20, Check::None)).unwrap();
    assert_eq!(unchecked, unpack(&encode(1 << 20, Check::Crc64)).unwrap());
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

#[test]
fn case_076_foreign_filters_and_many_blocks() {
    use xz2::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};
    type Filter = fn(&mut Filters) -> &mut Filters;
    let tar = component(FILES).end();
    let unpack = |bytes: &[u8]| Pit::new().unpack(bytes, Format::Xz, &Limits::default());
    let expected = unpack(&xz(&tar)).unwrap();
    let options = LzmaOptions::new_preset(0).unwrap();
    // Filters of the format that upstream does not use give the same bytes.
    for filter in [
        Filters::x86 as Filter,
        Filters::arm as Filter,
        Filters::powerpc as Filter,
    ] {
        let mut filters = Filters::new();
        filter(&mut filters);
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, Check::Crc64).unwrap();
        let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&tar).unwrap();
        assert_eq!(unpack(&encoder.finish().unwrap()).unwrap(), expected);
    }
    // A filter that nobody knows is refused, right checksum or not.
    let good = xz(&tar);
    let length = (usize::from(good[12]) + 1) * 4;
    let at = 12
        + good[12..12 + length]
            .windows(2)
            .position(|w| w == [0x21, 1])
            .unwrap();
    for id in [0x00, 0x02, 0x0a, 0x20, 0x22, 0x3f, 0x7f] {
        let mut bad = good.clone();
        bad[at] = id;
        let crc = crc32(&bad[12..12 + length - 4]);
        bad[12 + length - 4..12 + length].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(unpack(&bad).unwrap_err().class(), Class::Integrity, "{id}");
    }
    // A block for each 16 bytes of the tar: no memory is kept for them, as the
    // limit for all of it is what one block needs.
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_stream_encoder(&filters, Check::Crc64).unwrap();
    let mut blocks = Vec::with_capacity(tar.len() * 8 + 4096);
    let mut write = |piece: &[u8], action| {
        let done = stream.total_in() + piece.len() as u64;
        let mut status = stream.process_vec(piece, &mut blocks, action).unwrap();
        assert_eq!(stream.total_in(), done);
        while status != Status::StreamEnd {
            status = stream.process_vec(b"", &mut blocks, action).unwrap();
        }
    };
    for piece in tar.chunks(16) {
        write(piece, Action::FullFlush);
    }
    write(b"", Action::Finish);
    let limits = Limits {
        decoder_memory: 1 << 20,
        ..Limits::default()
    };
    let found = Pit::new().unpack(&blocks, Format::Xz, &limits).unwrap();
    assert_eq!(found, expected);
    // The index at the end must tell of each of them.
    let index = blocks.len() - 12 - 40;
    blocks[index] ^= 1;
    assert_eq!(unpack(&blocks).unwrap_err().class(), Class::Integrity);
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
    let listing = unpack(handle, Format::Gz, &demo(), &pit.target(), &limits, &|_| {}).unwrap();
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

/// Writes as upstream's installer does: the `tar` crate's GNU headers.
fn as_upstream(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut append = |path: &str, kind, mode, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).unwrap();
    };
    for dir in [crate::archive::TOP, DIR] {
        append(dir, tar::EntryType::Directory, 0o755, b"");
    }
    for (path, content, mode) in files {
        append(path, tar::EntryType::Regular, *mode, content);
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives_written_by_another_writer_are_read() {
    let long = format!("lib/{}core.rs", "portable-simd/".repeat(12));
    let manifest = format!("file:{long}\nfile:bin/tool\n");
    let top = |name: &str| format!("{}/{name}", crate::archive::TOP);
    let tar = as_upstream(&[
        (&format!("{DIR}/bin/tool"), b"tool", 0o755),
        (&top("components"), b"demo-t\n", 0o644),
        (&format!("{DIR}/manifest.in"), manifest.as_bytes(), 0o644),
        (&format!("{DIR}/{long}"), b"mod core;", 0o644),
        (&top("rust-installer-version"), b"3\n", 0o644),
    ]);
    let listing = take(&tar).unwrap();
    let found: Vec<_> = listing
        .entries()
        .iter()
        .map(|e| (e.path.as_str(), e.executable))
        .collect();
    assert_eq!(found, [("bin/tool", true), (long.as_str(), false)]);
}
