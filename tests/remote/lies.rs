//! Remotes that lie: every lie is a miss and a warning, never a wrong byte.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::forge::{Forger, forged, tar, zstd};
use super::{ONE, Shared, TWO, bazel, find, is_blob, is_record, output, serving, warnings};
use crate::http::{Server, Step, head};
use crate::support::sandbox::Said;

/// Syncs a machine whose lock has the pin, with a remote that has these
/// objects, and holds that the target was compiled to the right files.
#[track_caller]
fn lied(shared: &mut Shared, what: &str, objects: BTreeMap<String, Vec<u8>>) -> Said {
    let server = serving(objects);
    let lock = shared.pinned.clone();
    lied_by(shared, what, &server, &lock)
}

#[track_caller]
fn lied_by(shared: &mut Shared, what: &str, server: &Server, lock: &str) -> Said {
    let before = shared.world.compiler.built().len();
    let machine = format!("victim-{before}");
    let project = shared.world.machine_with(&machine, &[ONE], lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(warnings(&said).len(), 1, "{what}:\n{}", said.err);
    assert_eq!(shared.rebuilt(before), 1, "{what}");
    assert_eq!(output(&project, ONE), shared.files, "{what}");
    assert!(
        server.requests().iter().all(|r| r.method == "GET"),
        "{what}: nothing may be written"
    );
    let verified = shared.world.run(&project, &["verify", "--deep"]);
    verified.exits(0);
    // Nothing of what came is left.
    let staged = shared
        .world
        .sandbox
        .path(&format!("cache-{machine}/v1/tmp"));
    assert_eq!(std::fs::read_dir(staged).unwrap().count(), 0, "{what}");
    said
}

#[test]
fn case_125_a_blob_that_differs_from_its_name_is_dropped() {
    let mut shared = Shared::new(&[ONE]);
    let original = shared.objects.lock().unwrap().clone();
    let blob = find(&original, "/cas/", is_blob);
    let size = original[&blob].len();
    let flip = |at: usize| {
        let mut objects = original.clone();
        objects.get_mut(&blob).unwrap()[at] ^= 1;
        objects
    };
    for at in [0, size / 2, size - 1] {
        let said = lied(&mut shared, &format!("byte {at} flipped"), flip(at));
        said.mentions("differs from its name");
    }
    let mut shorter = original.clone();
    shorter.get_mut(&blob).unwrap().pop();
    lied(&mut shared, "cut short", shorter);
    let mut longer = original.clone();
    longer.get_mut(&blob).unwrap().push(0);
    lied(&mut shared, "longer", longer);
    let mut empty = original.clone();
    empty.get_mut(&blob).unwrap().clear();
    lied(&mut shared, "empty", empty);
}

/// The decoders of packs that were made since the last time.
#[cfg(feature = "fault-injection")]
fn packs_decoded(shared: &Shared) -> usize {
    let path = shared.world.sandbox.path("decoded");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    text.lines().filter(|line| *line == "pack").count()
}

#[cfg(feature = "fault-injection")]
#[test]
fn case_125_and_p2_a_blob_that_differs_from_its_name_reaches_no_decoder() {
    let mut shared = Shared::new(&[ONE]);
    let count = shared.world.sandbox.path("decoded");
    let count = count.to_str().unwrap().to_owned();
    shared.world.sandbox.set("SYSROOT_FAULT_DECODED", &count);
    let mut objects = shared.objects.lock().unwrap().clone();
    let blob = find(&objects, "/cas/", is_blob);
    // The last byte is the frame's checksum, so all of it could be decoded.
    *objects.get_mut(&blob).unwrap().last_mut().unwrap() ^= 1;
    lied(&mut shared, "the last byte", objects).mentions("differs from its name");
    assert_eq!(packs_decoded(&shared), 0, "refused bytes were decoded");
    let server = serving(shared.objects.lock().unwrap().clone());
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("good", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(packs_decoded(&shared), 1);
}

#[test]
fn case_127_a_record_whose_blob_is_gone_is_a_miss() {
    let mut shared = Shared::new(&[ONE]);
    let original = shared.objects.lock().unwrap().clone();
    let blob = find(&original, "/cas/", is_blob);
    let gone = shared.changed(|objects| {
        objects.remove(&blob);
    });
    lied(&mut shared, "gone", gone).mentions("but not its blob");
    // So is an entry whose record is gone.
    let record = find(&original, "/cas/", is_record);
    let gone = shared.changed(|objects| {
        objects.remove(&record);
    });
    let server = serving(gone);
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("last", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    let said = shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(warnings(&said).len(), 1, "{}", said.err);
    said.mentions("but not the record that it names");
}

#[test]
fn case_128_a_record_of_another_recipe_is_refused() {
    let mut shared = Shared::new(&[ONE, TWO]);
    let original = shared.objects.lock().unwrap().clone();
    let entries: Vec<String> = original
        .keys()
        .filter(|path| path.starts_with("/ac/"))
        .cloned()
        .collect();
    let mut swapped = original.clone();
    swapped.insert(entries[0].clone(), original[&entries[1]].clone());
    swapped.insert(entries[1].clone(), original[&entries[0]].clone());
    lied(&mut shared, "swapped", swapped).mentions("it is about another recipe");
}

/// Lets the remote's users trust the forger, and have no pin.
#[track_caller]
fn believed(shared: &mut Shared, what: &str, forger: &Forger) -> Said {
    let server = serving(forger.objects.clone());
    let lock = shared.unpinned.clone();
    lied_by(shared, what, &server, &lock)
}

#[test]
fn case_129_trees_with_unsafe_names_or_sizes_are_refused_although_signed() {
    let mut shared = Shared::new(&[ONE]);
    let public = shared.key.1.clone();
    shared.world.trust(&public);
    let hash = blake3::hash(b"evil").to_hex().to_string();
    for (name, size) in [
        ("../../../../evil", "4"),
        ("/tmp/evil", "4"),
        ("lib/../../evil", "4"),
        ("lib/a\\..\\evil", "4"),
        ("lib/evil", "9223372036854775808"),
        ("lib/evil", "99999999999999999999999"),
        ("lib/evil", "8589934592"),
        ("lib/evil", "5"),
    ] {
        let listing = format!("sysroot-tree-v1\n- {size} {hash} {name}\n");
        let (tree, bytes) = forged(&listing, &[(name, b"evil")]);
        let mut forger = Forger::new(&shared);
        let blob = forger.blob(&bytes);
        forger.signed(tree, 4, blob);
        let said = believed(&mut shared, name, &forger);
        said.mentions("does not hold tree");
    }
    assert!(!shared.world.sandbox.path("evil").exists());
    // The forgery is good enough to be taken when nothing is wrong with it.
    let name = format!("lib/rustlib/{ONE}/lib/libcore-1.rlib");
    let listing = format!("sysroot-tree-v1\n- 4 {hash} {name}\n");
    let (tree, bytes) = forged(&listing, &[(&name, b"evil")]);
    let mut forger = Forger::new(&shared);
    let blob = forger.blob(&bytes);
    forger.signed(tree, 4, blob);
    let server = serving(forger.objects.clone());
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("taken", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["sync"]).exits(0);
    assert_eq!(output(&project, ONE)["libcore-1.rlib"].0, b"evil");
}

#[test]
fn case_129_records_that_are_none_are_refused() {
    let mut shared = Shared::new(&[ONE]);
    let original = shared.objects.lock().unwrap().clone();
    let good = original[&find(&original, "/cas/", is_record)].clone();
    let text = String::from_utf8(good).unwrap();
    for bad in [
        String::new(),
        "{}".to_owned(),
        "[".repeat(500_000),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace(ONE, "../../etc/passwd"),
        text.replace("\"size\":", "\"size\":1844674407370955161"),
        text.replace('}', " }")
            .replace("\"unpacked\"", "\"unpack\""),
        format!("{}{}", text.trim_end(), "x"),
    ] {
        let mut forger = Forger::new(&shared);
        forger.record(bad.as_bytes());
        let start: String = bad.chars().take(60).collect();
        let said = lied(&mut shared, &start, forger.objects);
        said.mentions("has a record that is refused");
    }
    // More than a record may have.
    let mut forger = Forger::new(&shared);
    forger.record(&vec![b' '; (1 << 20) + 1]);
    lied(&mut shared, "too large", forger.objects).mentions("larger than the limit");
}

#[test]
fn case_129_an_endless_record_ends_at_the_limit() {
    let mut shared = Shared::new(&[ONE]);
    let server = Server::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let chunk = [&b"10000\r\n"[..], &vec![b'{'; 1 << 16], b"\r\n"].concat();
        vec![Step::Bytes(head), Step::Forever(chunk)]
    });
    let lock = shared.pinned.clone();
    lied_by(&mut shared, "endless", &server, &lock).mentions("larger than the limit");
}

#[test]
fn case_130_a_blob_that_expands_beyond_its_size_stops_there() {
    let mut shared = Shared::new(&[ONE]);
    let public = shared.key.1.clone();
    shared.world.trust(&public);
    let hash = blake3::hash(b"evil").to_hex().to_string();
    let listing = format!("sysroot-tree-v1\n- 4 {hash} lib/evil\n");
    // What it says is small; behind it is 1 GiB of zeros in 0.1 MB.
    let (tree, _) = forged(&listing, &[]);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let start = tar(&[
        ("sysroot-tree.txt", listing.as_bytes()),
        ("lib/evil", b"evil"),
    ]);
    encoder.write_all(&start).unwrap();
    for _ in 0..1024 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let mut forger = Forger::new(&shared);
    let blob = forger.blob(&bomb);
    forger.signed(tree, 4, blob);
    believed(&mut shared, "a bomb", &forger).mentions("does not hold tree");
    // A listing that says more than the record does.
    let large = vec![0; 64 << 20];
    let hash = blake3::hash(&large).to_hex();
    let listing = format!("sysroot-tree-v1\n- {} {hash} lib/evil\n", large.len());
    let (tree, bytes) = forged(&listing, &[("lib/evil", &large)]);
    let mut forger = Forger::new(&shared);
    let blob = forger.blob(&bytes);
    forger.signed(tree, 4, blob);
    believed(&mut shared, "more than stated", &forger).mentions("does not hold tree");
}

#[test]
fn case_130_a_blob_larger_than_stated_is_not_read_to_its_end() {
    let mut shared = Shared::new(&[ONE]);
    let objects = shared.objects.clone();
    let blob = find(&objects.lock().unwrap(), "/cas/", is_blob);
    let server = Server::start(move |request| {
        if request.path != blob {
            return bazel(&objects, request);
        }
        let head = head("200 OK", &[], 1 << 50);
        vec![Step::Bytes(head), Step::Forever(vec![7; 1 << 16])]
    });
    let lock = shared.pinned.clone();
    lied_by(&mut shared, "larger", &server, &lock).mentions("larger than the limit");
    assert!(server.sent() < 64 << 20, "{}", server.sent());
}

/// Runs a command and returns the most memory that its process had, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(mut command: std::process::Command) -> (std::process::Output, u64) {
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The mark only grows, and is read until the process has ended.
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) << 10);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (child.wait_with_output().unwrap(), peak)
}

/// The largest listing that is allowed, of one tree for every target; behind it
/// comes nothing of what it lists.
#[cfg(target_os = "linux")]
#[test]
fn case_130_p15_packs_that_take_the_most_memory_stay_below_the_limit() {
    let targets = [
        ONE,
        TWO,
        "fake000-unknown-none",
        "fake001-unknown-none",
        "fake002-unknown-none",
        "fake003-unknown-none",
    ];
    let mut shared = Shared::new(&targets);
    let public = shared.key.1.clone();
    shared.world.trust(&public);
    let hash = blake3::hash(b"").to_hex();
    let mut listing = String::from("sysroot-tree-v1\n");
    for n in 0..250_000 {
        listing.push_str(&format!("- 0 {hash} lib/{n:06}-{:a<45}\n", ""));
    }
    assert!(listing.len() < 32 << 20 && listing.len() > 30 << 20);
    let (tree, _) = forged(&listing, &[]);
    let mut bytes = tar(&[("sysroot-tree.txt", listing.as_bytes())]);
    // Where the first file should be there is none, after a moment in which
    // all of them are under way.
    bytes.truncate(bytes.len() - 1024);
    bytes.resize(bytes.len() + 512, b'x');
    let bytes = zstd(&bytes);
    let mut objects = BTreeMap::new();
    for target in targets {
        let mut forger = Forger::of(&shared, target);
        let blob = forger.blob(&bytes);
        forger.signed(tree, 0, blob);
        objects.extend(forger.objects);
    }
    let server = serving(objects);
    let lock = shared.unpinned.clone();
    let project = shared.world.machine_with("b", &targets, &lock);
    shared.world.remote(&server.url(), false);
    let command = shared.world.sandbox.command(&project, &["cache", "pull"]);
    let (output, peak) = peak_memory(command);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("does not hold tree"), "{err}");
    println!("{} MiB", peak >> 20);
    assert!(peak > 32 << 20, "nothing was measured: {peak}");
    assert!(peak < 256 << 20, "{} MiB", peak >> 20);
}

#[test]
fn case_139_nothing_is_ever_listed_and_names_come_from_the_lock() {
    let mut shared = Shared::new(&[ONE]);
    let original = shared.objects.lock().unwrap().clone();
    // Names that would do harm if somebody took them for paths.
    let mut objects = original.clone();
    for name in ["/", "/ac/", "/ac/../../evil", "/cas/%2e%2e%2fevil"] {
        objects.insert(name.to_owned(), b"evil".to_vec());
    }
    let server = serving(objects);
    let lock = shared.pinned.clone();
    let project = shared.world.machine_with("b", &[ONE], &lock);
    shared.world.remote(&server.url(), false);
    shared.world.run(&project, &["cache", "pull"]).exits(0);
    let asked: Vec<String> = server.requests().into_iter().map(|r| r.path).collect();
    let known: Vec<&String> = original.keys().collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|path| known.contains(&path)), "{asked:?}");
}
