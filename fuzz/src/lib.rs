//! What the fuzz targets do with their bytes.
//!
//! Each function takes whatever a file, a server or a remote could send. None
//! may panic, and what is accepted must survive being written and read again,
//! where the format can be written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sysroot::fetch::archive::{Limits, unpack};
use sysroot::fetch::{DistServer, Format};
use sysroot::lock::Lock;
use sysroot::manifest::Manifest;
use sysroot::remote::record::ComponentSubject;
use sysroot::remote::{Namespace, Record, Subject};
use sysroot::resolve::{ChannelManifest, Source, resolve};
use sysroot::signature::{Keyring, verify};
use sysroot::types::{Date, Listing, Sha256, TreeDigest};

/// The component that every archive here claims to be.
pub const COMPONENT: &str = "rust-std";
/// Its target.
pub const TARGET: &str = "thumbv7em-none-eabihf";

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A `sysroot.toml`.
pub fn manifest(data: &[u8]) {
    if let Some(text) = text(data) {
        let _ = Manifest::parse(text, Path::new("sysroot.toml"));
    }
}

/// A `sysroot.lock`: what is read is what is written.
pub fn lockfile(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = Path::new("sysroot.lock");
    let channel = "nightly-2026-05-20".parse().expect("a channel");
    let _ = sysroot::lock::agreed(text, file, channel);
    if let Ok(lock) = Lock::parse(text, file) {
        let written = lock.to_text();
        let again = Lock::parse(&written, file).expect("our own text");
        assert_eq!(again, lock);
    }
}

/// A channel manifest, read and resolved.
pub fn channel_manifest(data: &[u8]) {
    let Ok(channel) = ChannelManifest::parse(data) else {
        return;
    };
    let wanted = "[toolchain]\nchannel = \"nightly-2026-05-20\"\nhosts = [\"x86_64-unknown-linux-gnu\"]\n\
                  components = [\"clippy\"]\n[targets.thumbv7em-none-eabihf]\n";
    let manifest = Manifest::parse(wanted, Path::new("sysroot.toml")).expect("a good manifest");
    let source = Source::Dist {
        manifest: &channel,
        path: "dist/2026-05-20/channel-rust-nightly.toml"
            .parse()
            .expect("a path"),
        sha256: Sha256::of(data),
    };
    let today: Date = "2026-05-21".parse().expect("a day");
    let _ = resolve(&manifest, &BTreeMap::new(), &source, today);
}

/// A custom target's specification.
pub fn spec(data: &[u8]) {
    let _ = sysroot::manifest::check_spec(data, Path::new("my-os.json"));
}

/// A configuration file, and the address of a server.
pub fn config(data: &[u8]) {
    if let Some(text) = text(data) {
        let _ = sysroot::config::Config::parse(text, Path::new("config.toml"));
        let _ = DistServer::parse(text);
    }
}

/// The listing of a tree: what is read is what is written.
pub fn listing(data: &[u8]) {
    if let Some(listing) = text(data).and_then(|text| Listing::parse(text).ok()) {
        let again = Listing::parse(&listing.to_text()).expect("our own text");
        assert_eq!(again.digest(), listing.digest());
    }
}

/// The armored signatures beside a channel manifest.
pub fn signature(data: &[u8]) {
    let keys = Keyring::rust().expect("the key that is compiled in");
    let today: Date = "2026-05-21".parse().expect("a day");
    assert!(verify(data, b"signed by nobody", &keys, today).is_err());
}

/// A remote's record: what is read is what is written.
pub fn record(data: &[u8]) {
    let archive = Sha256::from_bytes([1; 32]);
    let subject = Subject::Component(ComponentSubject {
        name: format!("{COMPONENT}-{TARGET}").parse().expect("a name"),
        archive,
        formats: vec![archive],
    });
    let namespace: Namespace = "fuzz".parse().expect("a namespace");
    if let Ok(record) = Record::parse(data, &namespace, &subject) {
        let json = record.to_json();
        let again = Record::parse(&json, &namespace, &subject).expect("our own JSON");
        assert_eq!(again.to_json(), json);
    }
}

/// The index of a file of `cache export`, as its frame holds it.
pub fn bundle_index(data: &[u8]) {
    let _ = sysroot::bundle::Index::read(&mut &data[..]);
    // Behind a good frame, so that the text itself is reached.
    if let Some(text) = text(data) {
        let frame =
            sysroot::pack::write_text("sysroot-bundle.json", text, Vec::new()).expect("memory");
        let _ = sysroot::bundle::Index::read(&mut &frame[..]);
    }
}

/// A compressed archive as a server sends it.
pub fn archive(data: &[u8]) {
    let (format, bytes) = match data.split_first() {
        Some((0, rest)) => (Format::Xz, rest),
        Some((_, rest)) => (Format::Gz, rest),
        None => return,
    };
    unpack_bytes(format, bytes);
}

/// The tar file inside, in a compression that is always right.
pub fn tar(data: &[u8]) {
    let mut gz = GzEncoder::new(Vec::new(), Compression::none());
    gz.write_all(data).expect("memory");
    unpack_bytes(Format::Gz, &gz.finish().expect("memory"));
}

fn unpack_bytes(format: Format, bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    let into = dir.path().join("into");
    std::fs::create_dir(&into).expect("a directory");
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file.rewind().expect("rewound");
    let limits = Limits {
        unpacked: 8 << 20,
        entries: 1000,
        names: 1 << 20,
        writers: 1,
        ..Limits::default()
    };
    let component = sysroot::types::ComponentId {
        name: COMPONENT.parse().expect("a name"),
        target: Some(TARGET.parse().expect("a target")),
    };
    let _ = unpack(file, format, &component, &into, &limits, &|_| {});
    // Nothing but the two names that we made ourselves is beside it.
    let names = std::fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(names, 1, "something was written outside of the directory");
}

/// A tree as a remote sends it.
pub fn pack(data: &[u8]) {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = sysroot::pack::Limits {
        listing: 1 << 20,
        entries: 1000,
        unpacked: 8 << 20,
        writers: 1,
        ..sysroot::pack::Limits::default()
    };
    let expected = TreeDigest::from_bytes([0; 32]);
    assert!(sysroot::pack::read(data, expected, &limits, dir.path()).is_err());
    let _ = sysroot::pack::skip_next(&mut &data[..], &limits);
}
