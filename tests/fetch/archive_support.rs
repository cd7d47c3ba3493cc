//! A directory to unpack into, with a victim beside it that must stay as it is.

use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sysroot::fetch::Format;
use sysroot::fetch::archive::{ArchiveError, Limits, unpack};
use sysroot::types::{Class, ComponentId, Diagnostic as _, Listing};

use crate::archive::{Tar, gz};
use crate::support::message;

pub struct Pit {
    dir: tempfile::TempDir,
}

impl Pit {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("into")).unwrap();
        std::fs::create_dir(dir.path().join("victim")).unwrap();
        std::fs::write(dir.path().join("victim/file"), "precious").unwrap();
        Self { dir }
    }

    pub fn target(&self) -> PathBuf {
        self.dir.path().join("into")
    }

    pub fn unpack(
        &self,
        bytes: &[u8],
        format: Format,
        limits: &Limits,
    ) -> Result<Listing, ArchiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let result = unpack(file, format, &demo(), &self.target(), limits, &|_| {});
        self.check_victim();
        result
    }

    pub fn check_victim(&self) {
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

pub fn demo() -> ComponentId {
    ComponentId {
        name: "demo".parse().unwrap(),
        target: Some("t".parse().unwrap()),
    }
}

pub fn take(tar: &[u8]) -> Result<Listing, ArchiveError> {
    Pit::new().unpack(&gz(tar), Format::Gz, &Limits::default())
}

/// Asserts that the tar is refused, with a message that is safe to print.
pub fn refused(name: &str, tar: Tar) -> String {
    let tar = tar.end();
    refused_bytes(name, &tar)
}

pub fn refused_bytes(name: &str, tar: &[u8]) -> String {
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

pub const FILES: &[(&str, &[u8])] = &[("lib/a", b"aaaa"), ("bin/b", b"bbb")];

pub fn clean(pit: &Pit) {
    std::fs::remove_dir_all(pit.target()).unwrap();
    std::fs::create_dir(pit.target()).unwrap();
}

pub fn disk(dir: &Path) -> u64 {
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
