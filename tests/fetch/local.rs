//! `file:` servers.

use sysroot::fetch::FetchError;
use sysroot::types::{Class, Diagnostic as _, Sha256};

use crate::support::{BODY, World, message};

fn server(files: &[(&str, &[u8])]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("dist")).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join("dist").join(name), bytes).unwrap();
    }
    let url = format!("file://{}", dir.path().display());
    (dir, url)
}

#[test]
fn a_directory_serves_files_and_manifests() {
    let hash = Sha256::of(BODY).to_hex();
    let (_dir, url) = server(&[("a", BODY), ("m", BODY), ("m.sha256", hash.as_bytes())]);
    let mut world = World::new();
    world.options.offline = true;
    world.get(&url, BODY).unwrap();
    let client = world.client(&url);
    assert_eq!(
        client
            .channel_manifest(&"dist/m".parse().unwrap())
            .unwrap()
            .bytes,
        BODY
    );
    assert_eq!(client.observed_rate(), Some(f64::INFINITY));
}

#[test]
fn case_008_and_010_a_directory_with_wrong_or_missing_files() {
    let world = World::new();
    let (_dir, url) = server(&[("a", b"wrong")]);
    let error = world.get(&url, BODY).unwrap_err();
    assert_eq!(error.class(), Class::Integrity, "{}", message(&error));
    let (_dir, url) = server(&[]);
    assert!(matches!(
        world.get(&url, BODY),
        Err(FetchError::Gone { .. })
    ));
    let missing = world
        .client(&url)
        .channel_manifest(&"dist/m".parse().unwrap());
    assert_eq!(missing.unwrap_err().class(), Class::Unresolvable);
}

#[test]
fn case_006_a_device_or_an_oversized_file_is_not_read() {
    let world = World::new();
    let (dir, url) = server(&[("a", &vec![0; (1 << 20) + 1])]);
    assert!(matches!(
        world.get(&url, BODY),
        Err(FetchError::TooLarge { .. })
    ));
    assert_eq!(world.disk(), 0);
    let path = dir.path().join("dist/a");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert_eq!(
        world.get(&url, BODY).unwrap_err().class(),
        Class::FileSystem
    );
}
