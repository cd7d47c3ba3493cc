//! The channel manifest's signature: taken over, refused, judged again.

use std::fs;
use std::path::{Path, PathBuf};

use super::openpgp::{CREATED, DAY, Manner, TestKey};
use super::{COMMIT, DATE, HOST, THUMB, dist, manifest, packages, publish, served};
use crate::support::dist::Release;
use crate::support::sandbox::{Said, Sandbox, snapshot};
use crate::support::serve::FileServer;

/// Writes the user's configuration: this policy, and these public keys.
fn configure(sandbox: &mut Sandbox, policy: &str, keys: &[&str]) {
    let path = sandbox.path("config.toml");
    let mut names = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        fs::write(sandbox.path(&format!("key-{n}.asc")), key).unwrap();
        names.push(format!("\"key-{n}.asc\""));
    }
    let text = format!(
        "[dist]\nsignature = \"{policy}\"\nsigning-keys = [{}]\n",
        names.join(", ")
    );
    fs::write(&path, text).unwrap();
    sandbox.set("SYSROOT_CONFIG", path.to_str().unwrap());
}

/// The file on the dist server that has the signature of the day's manifest.
fn asc(sandbox: &Sandbox) -> PathBuf {
    sandbox.path(&format!(
        "dist-root/dist/{DATE}/channel-rust-nightly.toml.asc"
    ))
}

fn manifest_bytes(sandbox: &Sandbox) -> Vec<u8> {
    let path = format!("dist-root/dist/{DATE}/channel-rust-nightly.toml");
    fs::read(sandbox.path(&path)).unwrap()
}

/// A sandbox whose dist server signs with a key that the user trusts.
fn signed() -> (Sandbox, FileServer, TestKey, PathBuf) {
    let (mut sandbox, server) = served();
    let key = TestKey::new(7);
    configure(&mut sandbox, "prefer", &[&key.public_asc()]);
    fs::write(asc(&sandbox), key.sign(&manifest_bytes(&sandbox))).unwrap();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    (sandbox, server, key, project)
}

fn lock_text(project: &Path) -> String {
    fs::read_to_string(project.join("sysroot.lock")).unwrap()
}

/// The verdict on the signature, and what was found.
fn verdict(said: &Said) -> (String, String) {
    let report = said.json();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|c| c["check"] == "signature").unwrap();
    (
        check["verdict"].as_str().unwrap().to_owned(),
        format!("{} {}", check["note"], check["findings"]),
    )
}

#[test]
fn a_lock_holds_signer_and_signature_and_verify_judges_them_offline() {
    let (sandbox, server, key, project) = signed();
    sandbox
        .run(&project, &["lock"])
        .exits(0)
        .mentions(&format!("signed by {}", key.fingerprint()));
    let text = lock_text(&project);
    assert!(text.contains(&format!(
        "signer = \"{}\"\nsignature = \"",
        key.fingerprint()
    )));
    // Another armor of the same signature gives the same lock.
    let other = fs::read_to_string(asc(&sandbox))
        .unwrap()
        .replacen("\n\n", "\nComment: x\n\n", 1);
    fs::write(asc(&sandbox), other).unwrap();
    sandbox
        .run(&project, &["lock", "--refresh"])
        .exits(0)
        .mentions("already");
    assert_eq!(lock_text(&project), text);

    let asked = server.requests().len();
    let before = snapshot(&sandbox.path("cache"));
    for flags in [
        &["--json", "verify"][..],
        &["--json", "verify", "--require-signature"],
    ] {
        let (good, found) = verdict(&sandbox.run(&project, flags).exits(0));
        assert_eq!(good, "good", "{found}");
        assert!(found.contains(&key.fingerprint()), "{found}");
    }
    assert_eq!(server.requests().len(), asked);
    assert_eq!(snapshot(&sandbox.path("cache")), before);
}

#[test]
fn without_the_manifest_the_signature_is_not_judged_and_not_taken_on_trust() {
    let (sandbox, server, _key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    let asked = server.requests().len();
    let (not, found) = verdict(&sandbox.run(&project, &["--json", "verify"]).exits(0));
    assert_eq!(not, "not judged");
    assert!(found.contains("not cached"), "{found}");
    sandbox
        .run(&project, &["verify", "--require-signature"])
        .exits(6)
        .mentions("not cached");
    assert_eq!(server.requests().len(), asked);
    let said = sandbox.run(
        &project,
        &["--json", "verify", "--upstream", "--require-signature"],
    );
    let (good, found) = verdict(&said.exits(0));
    assert_eq!(good, "good", "{found}");
    assert!(server.requests().len() > asked);
    assert!(
        !sandbox.cache().join("manifests").exists(),
        "verify writes nothing"
    );
}

#[test]
fn a_planted_hash_beside_a_good_signature_is_found() {
    let (sandbox, _server, _key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    let text = lock_text(&project);
    let table = text.find(&format!("[archives.rustc.{HOST}]")).unwrap();
    let at = table + text[table..].find("sha256:").unwrap() + 7;
    let mut planted = text.clone();
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    planted.replace_range(at..=at, other);
    fs::write(project.join("sysroot.lock"), &planted).unwrap();
    for (flags, code) in [(&["verify"][..], 6), (&["verify", "--upstream"], 5)] {
        let said = sandbox.run(&project, flags).exits(code);
        for value in [&text[at..at + 64], &planted[at..at + 64]] {
            assert!(said.out.contains(value), "{}", said.out);
        }
    }
    // A signature of another key than the lock says, and one that was changed.
    let signer = text.find("signer = \"").unwrap() + 10;
    let mut other = text.clone();
    other.replace_range(
        signer..=signer,
        if &text[signer..=signer] == "0" {
            "1"
        } else {
            "0"
        },
    );
    let signature = text.find("signature = \"").unwrap() + 100;
    let mut changed = text.clone();
    let digit = if &text[signature..=signature] == "A" {
        "B"
    } else {
        "A"
    };
    changed.replace_range(signature..=signature, digit);
    for edited in [other, changed] {
        fs::write(project.join("sysroot.lock"), edited).unwrap();
        sandbox.run(&project, &["verify"]).exits(6).mentions("sign");
    }
}

#[test]
fn under_require_a_lock_is_proved_before_anything_is_downloaded() {
    let (mut sandbox, server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    configure(&mut sandbox, "require", &[&key.public_asc()]);
    let text = lock_text(&project);
    let at = text.find("sha256:").unwrap();
    let at = at + text[at + 7..].find("sha256:").unwrap() + 14;
    let mut planted = text.clone();
    planted.replace_range(at..=at, if &text[at..=at] == "0" { "1" } else { "0" });
    fs::write(project.join("sysroot.lock"), &planted).unwrap();
    let archives = || {
        server
            .requests()
            .iter()
            .filter(|r| r.contains(".tar."))
            .count()
    };
    // By the manifest in the store, and by the server's.
    for _ in 0..2 {
        let said = sandbox.run(&project, &["sync", "--locked"]).exits(6);
        assert!(said.err.contains(&planted[at..at + 64]), "{}", said.err);
        assert_eq!(archives(), 0);
        fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    }
    sandbox
        .run(&project, &["--offline", "sync", "--locked"])
        .exits(6)
        .mentions("not cached");
    fs::write(project.join("sysroot.lock"), &text).unwrap();
    sandbox.run(&project, &["sync", "--locked"]).exits(0);
    sandbox.run(&project, &["verify"]).exits(0);
    assert!(archives() > 0);
}

#[test]
fn case_048_each_bad_signature_has_its_own_message_and_writes_no_lock() {
    let (mut sandbox, _server, key, project) = signed();
    let data = manifest_bytes(&sandbox);
    let stranger = TestKey::new(8);
    let expired = Manner {
        lasts: Some(DAY),
        ..Manner::default()
    };
    let good = key.sign(&data);
    for (file, message) in [
        (stranger.sign(&data), stranger.fingerprint()),
        (
            key.sign(b"another file"),
            "it is of another file".to_owned(),
        ),
        (
            key.sign_as(&data, expired),
            "expired on 2026-05-21".to_owned(),
        ),
        (
            good[..good.len() / 2].to_owned(),
            "it is cut short".to_owned(),
        ),
        (
            "<html>not found</html>".to_owned(),
            "not an armored signature".to_owned(),
        ),
    ] {
        fs::write(asc(&sandbox), file).unwrap();
        sandbox.run(&project, &["lock"]).exits(6).mentions(&message);
        assert!(!project.join("sysroot.lock").exists(), "{message}");
        fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    }
    // More armor than any signature has is not even read to its end.
    let huge = good.replacen("\n\n", &format!("\n\n{}", "AAAA\n".repeat(200_000)), 1);
    fs::write(asc(&sandbox), huge).unwrap();
    sandbox
        .run(&project, &["lock"])
        .exits(5)
        .mentions("limit of 16384 bytes");
    // A key that had ended when it signed.
    fs::write(asc(&sandbox), &good).unwrap();
    let ended = key.public_lasting(10 * DAY);
    configure(&mut sandbox, "prefer", &[&ended]);
    sandbox
        .run(&project, &["lock"])
        .exits(6)
        .mentions("which expired on 2026-05-11");
    assert!(!project.join("sysroot.lock").exists());
    let early = Manner {
        made: CREATED + DAY,
        ..Manner::default()
    };
    fs::write(asc(&sandbox), key.sign_as(&data, early)).unwrap();
    sandbox.run(&project, &["lock", "--refresh"]).exits(0);
}

#[test]
fn case_048_a_missing_signature_is_recorded_or_refused_by_policy() {
    let (mut sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox
        .run(&project, &["lock"])
        .exits(0)
        .mentions("not signed");
    let missing = lock_text(&project);
    assert!(missing.contains("\nsignature = \"none\"\n"), "{missing}");
    sandbox.run(&project, &["verify"]).exits(0);
    sandbox
        .run(&project, &["verify", "--require-signature"])
        .exits(6)
        .mentions("the server had no signature");

    configure(&mut sandbox, "require", &[]);
    for command in [
        &["lock"][..],
        &["lock", "--check"],
        &["sync"],
        &["sync", "--locked"],
        &["verify"],
    ] {
        let said = sandbox.run(&project, command);
        assert_eq!(said.code, 6, "{command:?}: {}", said.err);
        assert!(
            said.err.contains("require") || said.out.contains("require"),
            "{}",
            said.err
        );
    }
    assert_eq!(lock_text(&project), missing);

    configure(&mut sandbox, "off", &[]);
    let other = sandbox.project("q", &manifest(&[THUMB]));
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    fs::write(asc(&sandbox), "garbage").unwrap();
    let asked = server.requests().len();
    sandbox.run(&other, &["lock"]).exits(0);
    assert!(!lock_text(&other).contains("signature"));
    assert!(
        !server.requests()[asked..]
            .iter()
            .any(|r| r.contains(".asc"))
    );
}

#[test]
fn from_signed_to_unsigned_only_with_a_flag() {
    let (mut sandbox, _server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    let text = lock_text(&project);
    fs::remove_file(asc(&sandbox)).unwrap();
    // The same bytes need no second signature: the lock's own proves them.
    sandbox
        .run(&project, &["lock", "--refresh"])
        .exits(0)
        .mentions("already");
    assert_eq!(lock_text(&project), text);
    // Other bytes do.
    dist(&sandbox, Release::nightly(DATE).packages(packages("b")));
    for policy in ["prefer", "off"] {
        configure(&mut sandbox, policy, &[&key.public_asc()]);
        sandbox
            .run(&project, &["lock", "--refresh"])
            .exits(6)
            .mentions("--allow-unsigned")
            .mentions(&key.fingerprint());
        assert_eq!(lock_text(&project), text);
    }
    configure(&mut sandbox, "prefer", &[&key.public_asc()]);
    sandbox
        .run(&project, &["lock", "--refresh", "--allow-unsigned"])
        .exits(0);
    assert!(lock_text(&project).contains("\nsignature = \"none\"\n"));
}

/// A lock may be made from a mirror's copy of the channel manifest, without a
/// signature and written in another way.
#[test]
fn from_unsigned_to_signed_is_no_error_and_keeps_what_is_locked() {
    for policy in ["off", "prefer"] {
        let (mut sandbox, _server, key, project) = signed();
        let signed = (manifest_bytes(&sandbox), fs::read(asc(&sandbox)).unwrap());
        let commit = format!("git_commit_hash = \"{COMMIT}\"\n");
        let copy = String::from_utf8(signed.0.clone()).unwrap();
        publish(
            &sandbox.path("dist-root"),
            copy.replace(&commit, "").as_bytes(),
        );
        fs::remove_file(asc(&sandbox)).unwrap();
        configure(&mut sandbox, policy, &[&key.public_asc()]);
        sandbox.run(&project, &["lock"]).exits(0);
        let before = lock_text(&project);
        assert!(!before.contains("signer") && !before.contains("commit"));

        publish(&sandbox.path("dist-root"), &signed.0);
        fs::write(asc(&sandbox), &signed.1).unwrap();
        configure(&mut sandbox, "prefer", &[&key.public_asc()]);
        // What is locked already is not asked for again.
        sandbox
            .run(&project, &["lock"])
            .exits(0)
            .mentions("already");
        assert_eq!(lock_text(&project), before);
        sandbox.run(&project, &["lock", "--refresh"]).exits(0);
        let after = lock_text(&project);
        assert!(after.contains(&key.fingerprint()) && after.contains("commit"));
        let rest = |text: &str| -> String {
            let at = text.find("[archives").unwrap();
            text[at..].to_owned()
        };
        assert_eq!(rest(&after), rest(&before));
    }
}

#[test]
fn upstream_is_compared_with_the_lock_by_both_values() {
    let (sandbox, _server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    sandbox
        .run(&project, &["--json", "verify", "--upstream"])
        .exits(0)
        .mentions(&key.fingerprint());
    // Published anew, and signed again.
    dist(&sandbox, Release::nightly(DATE).packages(packages("b")));
    fs::write(asc(&sandbox), key.sign(&manifest_bytes(&sandbox))).unwrap();
    let said = sandbox.run(&project, &["verify", "--upstream"]).exits(5);
    assert!(said.out.contains("channel manifest dist/"), "{}", said.out);
    assert!(said.out.contains(", lock dist/"), "{}", said.out);
    // Offline nothing of that is known.
    sandbox.run(&project, &["verify"]).exits(0);
}

#[test]
fn key_files_that_others_can_write_to_or_that_are_none_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (mut sandbox, _server, _key, project) = signed();
    let path = sandbox.path("key-0.asc");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    sandbox
        .run(&project, &["lock"])
        .exits(6)
        .mentions("key-0.asc");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    configure(&mut sandbox, "prefer", &["no key"]);
    sandbox
        .run(&project, &["lock"])
        .exits(2)
        .mentions("key-0.asc");
    fs::remove_file(&path).unwrap();
    sandbox
        .run(&project, &["lock"])
        .exits(9)
        .mentions("key-0.asc");
    assert!(!project.join("sysroot.lock").exists());
}
