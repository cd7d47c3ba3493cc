//! Bytes that are not the locked ones are never decompressed.

use std::fs;
use std::path::Path;

use super::{THUMB, manifest, served};
use crate::support::sandbox::Sandbox;

/// The decoders that were made since the last time.
fn decoded(sandbox: &Sandbox) -> usize {
    let path = sandbox.path("decoded");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().count()
}

/// The archives below a directory of the dist server.
fn archives(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            archives(&path, found);
        } else if path
            .extension()
            .is_some_and(|end| end == "xz" || end == "gz")
        {
            found.push(path);
        }
    }
}

#[test]
fn case_077_bytes_of_a_wrong_hash_reach_no_decoder() {
    let (mut sandbox, _server) = served();
    let count = sandbox.path("decoded").to_str().unwrap().to_owned();
    sandbox.set("SYSROOT_FAULT_DECODED", &count);
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["lock"]).exits(0);
    assert_eq!(decoded(&sandbox), 0, "lock decodes nothing");
    // Each archive becomes another whole one, so that only the hash is wrong.
    let mut all = Vec::new();
    archives(&sandbox.path("dist-root"), &mut all);
    let whole: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).unwrap()).collect();
    for (at, path) in all.iter().enumerate() {
        let same = |other: &usize| {
            all[*other].extension() == path.extension() && whole[*other] != whole[at]
        };
        let other = (0..all.len()).find(same).unwrap();
        fs::write(path, &whole[other]).unwrap();
    }
    sandbox.run(&project, &["sync"]).exits(5);
    assert_eq!(decoded(&sandbox), 0, "refused bytes were decoded");
    for (path, bytes) in all.iter().zip(&whole) {
        fs::write(path, bytes).unwrap();
    }
    sandbox.run(&project, &["sync"]).exits(0);
    let trees = fs::read_dir(sandbox.cache().join("trees")).unwrap().count();
    assert!(trees > 3);
    assert_eq!(decoded(&sandbox), trees, "one for each archive");
}
