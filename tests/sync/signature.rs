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
pub(crate) fn asc(sandbox: &Sandbox) -> PathBuf {
    sandbox.path(&format!(
        "dist-root/dist/{DATE}/channel-rust-nightly.toml.asc"
    ))
}

fn manifest_bytes(sandbox: &Sandbox) -> Vec<u8> {
    let path = format!("dist-root/dist/{DATE}/channel-rust-nightly.toml");
    fs::read(sandbox.path(&path)).unwrap()
}

/// A sandbox whose dist server signs with a key that the user trusts.
pub(crate) fn signed() -> (Sandbox, FileServer, TestKey, PathBuf) {
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
fn case_042_under_require_what_is_signed_is_signed_as_the_channel_asked_for() {
    let (mut sandbox, _server, key, project) = signed();
    configure(&mut sandbox, "require", &[&key.public_asc()]);
    // A mirror answers for a release with a nightly, signature and all.
    let dist = sandbox.path("dist-root/dist");
    let release = dist.join("channel-rust-1.96.0.toml");
    fs::copy(dist.join(DATE).join("channel-rust-nightly.toml"), &release).unwrap();
    fs::copy(asc(&sandbox), dist.join("channel-rust-1.96.0.toml.asc")).unwrap();
    let sum = sysroot::types::Sha256::of(&manifest_bytes(&sandbox)).to_hex();
    let sum = format!("{sum}  channel-rust-1.96.0.toml\n");
    fs::write(dist.join("channel-rust-1.96.0.toml.sha256"), sum).unwrap();
    let text = manifest(&[THUMB]);
    let asked = sandbox.project("q", &text.replace(&format!("nightly-{DATE}"), "1.96.0"));
    sandbox
        .run(&asked, &["lock"])
        .exits(5)
        .mentions("1.97.0-nightly (e50aa6fba")
        .mentions("`1.96.0` was asked for");
    // A checkout brings a lock along that says the same, and lies about the rest.
    sandbox.run(&project, &["lock"]).exits(0);
    let lock = lock_text(&project)
        .replace(
            &format!("dist/{DATE}/channel-rust-nightly.toml"),
            "dist/channel-rust-1.96.0.toml",
        )
        .replace(&format!("nightly-{DATE}"), "1.96.0")
        .replace("1.97.0-nightly (", "1.96.0 (");
    fs::write(asked.join("sysroot.lock"), &lock).unwrap();
    let code = sandbox.run(&asked, &["sync", "--locked"]).code;
    assert!(matches!(code, 5 | 6), "{code}");
    assert!(!asked.join(".sysroot/bin").exists());
    let said = sandbox.run(&asked, &["verify", "--upstream"]).exits(5);
    assert!(
        said.out
            .contains("channel manifest of rustc 1.97.0-nightly"),
        "{}",
        said.out
    );
}

#[test]
fn case_042_a_hostile_lock_puts_nothing_under_another_channels_name() {
    let (mut sandbox, server, key, honest) = signed();
    // The server has an older, validly signed manifest at another path.
    let dist = sandbox.path("dist-root/dist");
    let day = dist.join(DATE).join("channel-rust-nightly.toml");
    let older = fs::read_to_string(&day)
        .unwrap()
        .replace(&format!("date = \"{DATE}\""), "date = \"2026-05-19\"");
    fs::create_dir(dist.join("2026-05-19")).unwrap();
    let other = dist.join("2026-05-19/channel-rust-nightly.toml");
    fs::write(&other, &older).unwrap();
    let beside = |end: &str| dist.join(format!("2026-05-19/channel-rust-nightly.toml{end}"));
    fs::write(beside(".asc"), key.sign(older.as_bytes())).unwrap();
    let sum = sysroot::types::Sha256::of(older.as_bytes()).to_hex();
    fs::write(
        beside(".sha256"),
        format!("{sum}  channel-rust-nightly.toml\n"),
    )
    .unwrap();
    // The hostile checkout's lock asks for that one in the name of the day.
    sandbox.run(&honest, &["lock"]).exits(0);
    let hostile = sandbox.project("hostile", &manifest(&[THUMB]));
    let lock = lock_text(&honest).replace(
        &format!("dist/{DATE}/channel-rust-nightly.toml"),
        "dist/2026-05-19/channel-rust-nightly.toml",
    );
    fs::write(hostile.join("sysroot.lock"), lock).unwrap();
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    fs::remove_file(honest.join("sysroot.lock")).unwrap();
    configure(&mut sandbox, "require", &[&key.public_asc()]);
    let asked = server.requests().len();
    sandbox.run(&hostile, &["sync", "--locked"]).exits(2);
    sandbox.run(&hostile, &["verify", "--upstream"]).exits(2);
    assert_eq!(
        server.requests().len(),
        asked,
        "the lock chose what is asked"
    );
    assert!(!sandbox.cache().join("manifests").exists());
    sandbox.run(&honest, &["lock"]).exits(0);
    assert!(lock_text(&honest).contains(&format!("date = \"{DATE}\"")));
}

#[test]
fn case_042_what_a_mirror_lies_about_is_not_kept_for_the_next_project() {
    let (mut sandbox, server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    configure(&mut sandbox, "require", &[&key.public_asc()]);
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    // While a lock is proved, the mirror answers with another day, signed.
    let path = sandbox.path(&format!("dist-root/dist/{DATE}/channel-rust-nightly.toml"));
    let sum = path.with_file_name("channel-rust-nightly.toml.sha256");
    let before = [&path, &sum, &asc(&sandbox)].map(|file| fs::read(file).unwrap());
    let other = fs::read_to_string(&path)
        .unwrap()
        .replace(&format!("date = \"{DATE}\""), "date = \"2026-05-19\"");
    fs::write(&path, &other).unwrap();
    let hash = sysroot::types::Sha256::of(other.as_bytes()).to_hex();
    fs::write(&sum, format!("{hash}  channel-rust-nightly.toml\n")).unwrap();
    fs::write(asc(&sandbox), key.sign(other.as_bytes())).unwrap();
    sandbox.run(&project, &["sync", "--locked"]).exits(5);
    assert!(!sandbox.cache().join("manifests").exists());
    // The honest server is asked again, and believed.
    for (file, bytes) in [&path, &sum, &asc(&sandbox)].iter().zip(before) {
        fs::write(file, bytes).unwrap();
    }
    let asked = server.requests().len();
    let next = sandbox.project("next", &manifest(&[THUMB]));
    sandbox.run(&next, &["lock"]).exits(0);
    assert!(server.requests().len() > asked);
    assert_eq!(lock_text(&next), lock_text(&project));
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

/// Published anew with other bytes and the same facts.
fn reworded(sandbox: &Sandbox) -> String {
    let path = sandbox.path(&format!("dist-root/dist/{DATE}/channel-rust-nightly.toml"));
    let text = fs::read_to_string(&path).unwrap() + "\n# again\n";
    fs::write(&path, &text).unwrap();
    let sum = sysroot::types::Sha256::of(text.as_bytes()).to_hex();
    let line = format!("{sum}  channel-rust-nightly.toml\n");
    fs::write(
        path.with_file_name("channel-rust-nightly.toml.sha256"),
        line,
    )
    .unwrap();
    text
}

#[test]
fn case_048_upstreams_signature_does_not_make_the_locks_own_a_good_one() {
    let (mut sandbox, _server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    let text = lock_text(&project);
    let upstream =
        |sandbox: &Sandbox| verdict(&sandbox.run(&project, &["--json", "verify", "--upstream"]));
    let (good, found) = upstream(&sandbox);
    assert_eq!(good, "good", "{found}");
    // The lock's own signature was changed, and the server's is fine.
    let at = text.find("signature = \"").unwrap() + 100;
    let mut changed = text.clone();
    let digit = if &text[at..=at] == "A" { "B" } else { "A" };
    changed.replace_range(at..=at, digit);
    fs::write(project.join("sysroot.lock"), changed).unwrap();
    sandbox
        .run(&project, &["verify", "--upstream"])
        .exits(6)
        .mentions("signature is refused");
    fs::write(project.join("sysroot.lock"), &text).unwrap();
    // Another trusted key signed the same bytes since.
    let second = TestKey::new(9);
    configure(
        &mut sandbox,
        "prefer",
        &[&key.public_asc(), &second.public_asc()],
    );
    fs::write(asc(&sandbox), second.sign(&manifest_bytes(&sandbox))).unwrap();
    let said = sandbox.run(&project, &["verify", "--upstream"]).exits(6);
    for fingerprint in [key.fingerprint(), second.fingerprint()] {
        assert!(said.out.contains(&fingerprint), "{}", said.out);
    }
    sandbox.run(&project, &["verify"]).exits(0);
}

#[test]
fn case_048_a_signed_lock_that_nothing_proves_does_not_read_as_proved() {
    let (mut sandbox, _server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    let again = reworded(&sandbox);
    fs::remove_file(asc(&sandbox)).unwrap();
    let verify = ["--json", "verify", "--upstream"];
    // What is signed is still cached; then it is nowhere.
    let (good, found) = verdict(&sandbox.run(&project, &verify).exits(0));
    assert_eq!(good, "good", "{found}");
    fs::remove_dir_all(sandbox.cache().join("manifests")).unwrap();
    let (not, found) = verdict(&sandbox.run(&project, &verify).exits(0));
    assert_eq!(not, "not judged", "{found}");
    assert!(found.contains("is not checked"), "{found}");
    for flags in [
        &["verify", "--upstream", "--require-signature"][..],
        &["sync", "--locked"],
    ] {
        configure(&mut sandbox, "require", &[&key.public_asc()]);
        sandbox
            .run(&project, flags)
            .exits(6)
            .mentions("other bytes");
    }
    // Signed by the same key, the other bytes prove what the lock says.
    fs::write(asc(&sandbox), key.sign(again.as_bytes())).unwrap();
    let (good, found) = verdict(&sandbox.run(&project, &verify).exits(0));
    assert_eq!(good, "good", "{found}");
    assert!(found.contains("is not checked"), "{found}");
}

#[test]
fn case_048_an_output_from_before_a_signature_was_required_is_not_up_to_date() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox
        .run(&project, &["sync"])
        .exits(0)
        .mentions("up to date");
    configure(&mut sandbox, "require", &[]);
    for command in [
        &["sync"][..],
        &["sync", "--locked"],
        &["sync", "--check"],
        &["run", "true"],
    ] {
        sandbox.run(&project, command).exits(6).mentions("require");
    }
    configure(&mut sandbox, "prefer", &[]);
    sandbox.run(&project, &["run", "true"]).exits(0);
}

#[test]
fn case_145_a_merge_conflict_is_no_way_from_signed_to_unsigned() {
    let (sandbox, _server, key, project) = signed();
    sandbox.run(&project, &["lock"]).exits(0);
    let signed = lock_text(&project);
    fs::remove_file(asc(&sandbox)).unwrap();
    dist(&sandbox, Release::nightly(DATE).packages(packages("b")));
    let unsigned = ["lock", "--refresh", "--allow-unsigned"];
    sandbox.run(&project, &unsigned).exits(0);
    let other = lock_text(&project);
    for (ours, theirs) in [(&signed, &other), (&other, &signed)] {
        let text = format!("<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n");
        fs::write(project.join("sysroot.lock"), &text).unwrap();
        for command in [&["lock"][..], &["lock", "--refresh"], &["sync"]] {
            let said = sandbox.run(&project, command);
            assert_ne!(said.code, 0, "{command:?}");
            if command[0] == "lock" {
                said.exits(6)
                    .mentions("--allow-unsigned")
                    .mentions(&key.fingerprint());
            }
            assert_eq!(lock_text(&project), text);
        }
        sandbox.run(&project, &unsigned).exits(0);
        assert!(lock_text(&project).contains("\nsignature = \"none\"\n"));
    }
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
