//! Archives built byte by byte: what a tar library would refuse to write.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::Write as _;

/// A tar header with every field in reach.
#[derive(Clone, Debug)]
pub struct Header(pub [u8; 512]);

impl Header {
    /// A GNU header with the usual fields.
    pub fn new(name: &str, kind: u8, size: u64) -> Self {
        let mut header = Self([0; 512]);
        header.set(0, &name.as_bytes()[..name.len().min(100)]);
        header.set(
            100,
            if kind == b'5' {
                b"0000755\0"
            } else {
                b"0000644\0"
            },
        );
        header.set(108, b"0000000\0");
        header.set(116, b"0000000\0");
        header.set(124, format!("{size:011o}\0").as_bytes());
        header.set(136, b"00000000000\0");
        header.set(156, &[kind]);
        header.set(257, b"ustar  \0");
        header.seal()
    }

    /// Overwrites bytes; the checksum is made right again.
    pub fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.set(at, bytes);
        self.seal()
    }

    /// Overwrites bytes and leaves the checksum alone.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn mode(self, mode: u32) -> Self {
        self.with(100, format!("{mode:07o}\0").as_bytes())
    }

    fn seal(mut self) -> Self {
        self.set(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.set(148, format!("{sum:06o}\0 ").as_bytes());
        self
    }
}

/// A tar under construction.
#[derive(Clone, Debug, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// Adds a header and its content, padded.
    pub fn raw(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.extend_from_slice(&header.0);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.named(name, b'0', content)
    }

    pub fn dir(self, name: &str) -> Self {
        self.named(&format!("{name}/"), b'5', b"")
    }

    /// Adds an entry, with a GNU long name where it needs one.
    pub fn named(self, name: &str, kind: u8, content: &[u8]) -> Self {
        let tar = if name.len() > 100 {
            self.long_name(name.as_bytes())
        } else {
            self
        };
        tar.raw(&Header::new(name, kind, content.len() as u64), content)
    }

    pub fn long_name(self, name: &[u8]) -> Self {
        let content = [name, b"\0"].concat();
        let header = Header::new("././@LongLink", b'L', content.len() as u64);
        self.raw(&header, &content)
    }

    /// Adds the two blocks of zeros at the end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// The top directory of [`component`].
pub const TOP: &str = "demo-nightly-t";
/// The component directory of [`component`].
pub const DIR: &str = "demo-nightly-t/demo-t";

/// A good archive of component `demo` for target `t`, without the tar's end.
pub fn component(files: &[(&str, &[u8])]) -> Tar {
    let lines = files.iter().map(|(name, _)| ["file:", name, "\n"].concat());
    let manifest: String = lines.collect();
    let mut tar = preamble(manifest.as_bytes());
    for (name, content) in files {
        tar = tar.file(&format!("{DIR}/{name}"), content);
    }
    tar
}

/// The installer's files, with this `manifest.in`.
pub fn preamble(manifest: &[u8]) -> Tar {
    Tar::default()
        .dir(TOP)
        .file(&format!("{TOP}/rust-installer-version"), b"3\n")
        .file(&format!("{TOP}/components"), b"demo-t\n")
        .file(&format!("{TOP}/install.sh"), b"#!/bin/sh\nexit 1\n")
        .dir(DIR)
        .file(&format!("{DIR}/manifest.in"), manifest)
}

/// Compresses as upstream does, without a check of its own; the dictionary is
/// smaller.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    use xz2::stream::{Check, Stream};
    let stream = Stream::new_easy_encoder(1, Check::None).unwrap();
    let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
