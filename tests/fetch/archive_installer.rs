//! The installer's own files, and the directories they stand in.

use crate::archive::{DIR, Header, TOP, Tar, component, preamble};
use crate::archive_support::{FILES, refused, take};

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
