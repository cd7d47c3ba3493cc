//! Manifests resolved against small channel manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::lock::LockedToolchain;
use crate::types::{Class, Diagnostic};

const HOST: &str = "x86_64-unknown-linux-gnu";
const ARM: &str = "aarch64-unknown-linux-gnu";
const VERSION: &str = "1.97.0-nightly (e50aa6fba 2026-05-19)";

fn triple(name: &str) -> Triple {
    name.parse().unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn today() -> Date {
    day("2026-05-21")
}

/// One archive's table; `salt` changes its bytes.
fn archive(package: &str, target: &str, salt: &str) -> String {
    let file = format!(
        "https://static.example/dist/2026-05-20/{package}-nightly-{}",
        target.replace('*', "all")
    );
    let (gz, xz) = (format!("{file}.tar.gz"), format!("{file}.tar.xz"));
    let hash = |file: &str| Sha256::of(format!("{file}{salt}").as_bytes()).to_hex();
    format!(
        "[pkg.{package}.target.\"{target}\"]\navailable = true\nurl = \"{gz}\"\nhash = \"{}\"\nxz_url = \"{xz}\"\nxz_hash = \"{}\"\ncomponents = []\n",
        hash(&gz),
        hash(&xz)
    )
}

fn package(name: &str, version: &str, targets: &[&str], salt: &str) -> String {
    let mut text = format!("[pkg.{name}]\nversion = \"{version}\"\n");
    for target in targets {
        text.push_str(&archive(name, target, salt));
    }
    text
}

/// A channel manifest of two hosts, as text.
fn channel_text(salt: &str) -> String {
    let mut text = "manifest-version = \"2\"\ndate = \"2026-05-20\"\n".to_owned();
    text += &package("rustc", VERSION, &[HOST, ARM], salt);
    text += &package(
        "cargo",
        "0.98.0-nightly (4d1f98451 2026-05-15)",
        &[HOST, ARM],
        salt,
    );
    text += &package(
        "rust-std",
        VERSION,
        &[HOST, ARM, "thumbv7em-none-eabihf", "thumbv6m-none-eabi"],
        salt,
    );
    text += "[pkg.rust-std.target.armv7-rtems-eabihf]\navailable = false\n";
    text += &package("rust-src", VERSION, &["*"], salt);
    text += &package("clippy-preview", "0.1.97-nightly", &[HOST, ARM], salt);
    text += &package("miri-preview", "0.1.0-nightly", &[HOST], salt);
    let _ = write!(
        text,
        "[pkg.rust]\nversion = \"{VERSION}\"\n[pkg.rust.target.{HOST}]\navailable = true\nurl = 1\n"
    );
    text + "[renames.clippy]\nto = \"clippy-preview\"\n[renames.miri]\nto = \"miri-preview\"\n"
}

fn channel() -> ChannelManifest {
    ChannelManifest::parse(channel_text("").as_bytes()).unwrap()
}

fn project(rest: &str) -> Manifest {
    let text = format!(
        "[toolchain]\nchannel = \"nightly-2026-05-20\"\nhosts = [\"{HOST}\", \"{ARM}\"]\n{rest}"
    );
    Manifest::parse(&text, Path::new("sysroot.toml")).unwrap()
}

fn from(channel: &ChannelManifest, manifest: &Manifest) -> Result<Lock, ResolveError> {
    let source = Source::Dist {
        manifest: channel,
        path: "dist/2026-05-20/channel-rust-nightly.toml".parse().unwrap(),
        sha256: Sha256::of(b""),
    };
    let specs = BTreeMap::from([(triple("my-os"), SpecDigest::of(b"{}"))]);
    resolve(manifest, &specs, &source, today())
}

fn lock(rest: &str) -> Result<Lock, ResolveError> {
    from(&channel(), &project(rest))
}

fn builds(lock: &Lock, name: &str) -> Vec<String> {
    match &lock.targets[&triple(name)].source {
        LockedSource::Build { hosts, .. } => hosts.keys().map(ToString::to_string).collect(),
        LockedSource::Download | LockedSource::System => Vec::new(),
    }
}

#[test]
fn every_host_and_target_is_locked_from_any_machine() {
    let lock = lock("components = [\"clippy\"]\n[targets.thumbv7em-none-eabihf]\n[targets.aarch64-unknown-none]\n\
                     [targets.thumbv6m-none-eabi]\nopt-level = \"s\"\n[targets.my-os]\nspec = \"my-os.json\"\n").unwrap();
    let archives: Vec<String> = lock.archives.keys().map(ToString::to_string).collect();
    let mut want = vec![
        "rust-src".to_owned(),
        "rust-std-thumbv7em-none-eabihf".to_owned(),
    ];
    for name in ["cargo", "clippy-preview", "rust-std", "rustc"] {
        want.extend([format!("{name}-{HOST}"), format!("{name}-{ARM}")]);
    }
    assert_eq!(BTreeSet::from_iter(archives), BTreeSet::from_iter(want));
    assert_eq!(
        lock.targets[&triple("thumbv7em-none-eabihf")].source,
        LockedSource::Download
    );
    for built in ["aarch64-unknown-none", "thumbv6m-none-eabi", "my-os"] {
        assert_eq!(builds(&lock, built), [ARM, HOST], "{built}");
    }
    assert_eq!(
        lock.targets[&triple("my-os")].spec,
        Some(SpecDigest::of(b"{}"))
    );
    // What resolving made is what reading accepts, and it is fresh.
    let text = lock.to_text();
    assert_eq!(Lock::parse(&text, Path::new("l")).unwrap(), lock);
    let keys: BTreeSet<RecipeKey> = lock
        .targets
        .values()
        .filter_map(|t| match &t.source {
            LockedSource::Build { hosts, .. } => Some(hosts.values().map(|b| b.key)),
            LockedSource::Download | LockedSource::System => None,
        })
        .flatten()
        .collect();
    assert_eq!(keys.len(), 6);
    assert!(!text.contains("static.example"));
}

#[test]
fn rust_src_is_locked_only_where_something_needs_it() {
    assert!(lock("").unwrap().archive("rust-src", None).is_none());
    assert!(
        lock("components = [\"rust-src\"]\n")
            .unwrap()
            .archive("rust-src", None)
            .is_some()
    );
}

#[test]
fn case_033_every_prefix_of_a_channel_manifest_is_read_or_refused() {
    let text = channel_text("");
    for end in 0..text.len() {
        if let Err(error) = ChannelManifest::parse(&text.as_bytes()[..end]) {
            assert_eq!(error.class(), Class::Integrity);
        }
    }
}

#[test]
fn case_034_a_channel_manifest_over_the_limit_is_not_parsed() {
    let big = vec![b'#'; MAX_SIZE + 1];
    assert_eq!(
        ChannelManifest::parse(&big),
        Err(ChannelManifestError::TooLarge { size: MAX_SIZE + 1 })
    );
    assert!(matches!(
        ChannelManifest::parse(b"a\xff"),
        Err(ChannelManifestError::NotUtf8 { at: 1 })
    ));
}

#[test]
fn case_035_ten_thousand_levels_do_not_overflow_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let run = || {
        for part in ["[", "{a=", "a.", "\"a\".", "[[", "a=[{"] {
            for start in ["", "a=", "[pkg.rust.", "[pkg.", "x=\"\"\"\n\"\"\"\na="] {
                for end in ["", "a = 1\n", "a]\n"] {
                    let text = format!("{start}{}{end}", part.repeat(10_000));
                    assert!(ChannelManifest::parse(text.as_bytes()).is_err());
                }
            }
        }
    };
    small.spawn(run).unwrap().join().unwrap();
}

/// The channel manifest with one piece replaced, which must be there.
fn edited(old: &str, new: &str) -> Result<ChannelManifest, ChannelManifestError> {
    let text = channel_text("");
    assert!(text.contains(old), "{old}");
    ChannelManifest::parse(text.replacen(old, new, 1).as_bytes())
}

#[test]
fn case_036_wrong_types_and_versions_are_refused_with_their_line() {
    for (old, new, line) in [
        ("manifest-version = \"2\"", "manifest-version = \"3\"", 1),
        ("manifest-version = \"2\"", "manifest-version = 2", 1),
        ("date = \"2026-05-20\"", "date = 2026-05-20", 2),
        ("date = \"2026-05-20\"", "date = nan", 2),
        ("date = \"2026-05-20\"", "date = \"2026-02-30\"", 2),
        (
            "date = \"2026-05-20\"",
            "date = \"2026-05-20\"\ndate = \"2026-05-20\"",
            3,
        ),
        ("available = true", "available = \"yes\"", 6),
        ("available = true", "available = true\navailable = true", 7),
        ("version = \"1.97.0", "version = \"\\u001b[31m", 4),
    ] {
        let error = edited(old, new).expect_err(new);
        assert!(
            error
                .to_string()
                .starts_with(&format!("channel manifest:{line}:")),
            "{new}: {error}"
        );
    }
    for bad in [
        "",
        "manifest-version = \"2\"\ndate = \"2026-05-20\"\n",
        "pkg = 1",
    ] {
        assert!(ChannelManifest::parse(bad.as_bytes()).is_err());
    }
}

#[test]
fn errors_name_the_line_behind_the_lists_too() {
    let text = channel_text("").replace("[renames.miri]\nto =", "[renames.miri]\nto = 1 #");
    let line = text
        .lines()
        .position(|line| line.starts_with("to = 1"))
        .unwrap()
        + 1;
    let error = ChannelManifest::parse(text.as_bytes()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("channel manifest:{line}:")),
        "{error}"
    );
}

#[test]
fn how_the_lists_are_laid_out_does_not_matter() {
    let text = channel_text("");
    let indented = text.replace("\n[", "\n \t[");
    assert_eq!(
        ChannelManifest::parse(indented.as_bytes()).unwrap(),
        channel()
    );
    let arrays = text.replace("url = 1\n", "x = [\n[\"a\"],\n[],\n]\n");
    assert_eq!(
        ChannelManifest::parse(arrays.as_bytes()).unwrap(),
        channel()
    );
    let strings = text.replace("url = 1\n", "x = \"\"\"\n[pkg.rust.x]\n\"\"\"\n");
    assert_eq!(
        ChannelManifest::parse(strings.as_bytes()).unwrap(),
        channel()
    );
}

#[test]
fn case_037_hashes_are_64_lower_case_digits() {
    let good = Sha256::of(
        format!("https://static.example/dist/2026-05-20/rustc-nightly-{HOST}.tar.gz").as_bytes(),
    )
    .to_hex();
    for bad in [
        "",
        "../../x",
        &good[1..],
        &format!("{good}a"),
        &good.to_uppercase(),
        &"\u{0661}".repeat(64),
    ] {
        let error = edited(&good, bad).expect_err(bad);
        assert!(
            error.to_string().starts_with("channel manifest:8:8: "),
            "{error}"
        );
    }
}

#[test]
fn case_038_urls_become_paths_below_the_server_or_are_refused() {
    let good = format!("https://static.example/dist/2026-05-20/rustc-nightly-{HOST}.tar.gz");
    let long = format!("https://x/dist/{}", "a".repeat(10_000));
    for bad in [
        "https://u:p@x/dist/a.tar.gz",
        "https://x/dist/../a",
        "https://x/../dist/a",
        "https://x/dist/a#b",
        "https://x/dist/a?b",
        "https://x/dist/a b",
        "https://x/dist/%2e%2e/a",
        "https://x/dist/\\u0000",
        "https://x/dist/\\n",
        "ftp://x/dist/a",
        "dist/a",
        "/dist/a",
        "https://x/a",
        "https://x/dist/",
        "https://x/dist//a",
        "https://x/dist/\\\\a",
        "data:x/dist/a",
        "",
        &long,
    ] {
        let error = edited(&good, bad).expect_err(bad);
        assert!(
            error.to_string().starts_with("channel manifest:7:7: "),
            "{bad}: {error}"
        );
    }
    for (url, want) in [
        ("http://mirror/rust/dist/a/b.tar.gz", "dist/a/b.tar.gz"),
        ("file:///srv/dist/x/dist/a", "dist/a"),
    ] {
        let channel = edited(&good, url).unwrap();
        let archive = channel
            .package("rustc")
            .unwrap()
            .1
            .archive(Some(&triple(HOST)))
            .unwrap();
        assert_eq!(archive.gz.as_ref().unwrap().path.as_str(), want);
    }
}

#[test]
fn case_039_names_are_checked_before_they_are_paths() {
    for bad in [
        "../x",
        "/x",
        "a b",
        "",
        &"a".repeat(300),
        "-x",
        "a\\u0000",
        "\u{e9}",
    ] {
        let quoted = format!("\"{bad}\"");
        assert!(
            edited("target.\"thumbv6m-none-eabi\"", &format!("target.{quoted}")).is_err(),
            "{bad}"
        );
        assert!(
            edited(
                "[pkg.miri-preview]",
                &format!("[pkg.{quoted}]\nversion = \"\"\n[pkg.miri-preview]")
            )
            .is_err(),
            "{bad}"
        );
        assert!(
            edited("to = \"miri-preview\"", &format!("to = {quoted}")).is_err(),
            "{bad}"
        );
        assert!(
            edited("[renames.miri]", &format!("[renames.{quoted}]")).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn case_047_unknown_keys_are_ignored() {
    let channel = edited("date =", "more = { a = [1] }\ndate =").unwrap();
    assert_eq!(channel, self::channel());
    assert_eq!(
        edited("[pkg.rust]", "[artifacts.x]\na = 1\n[pkg.rust]\nx = 1").unwrap(),
        channel
    );
}

#[test]
fn available_archives_have_a_url_and_a_hash() {
    let text = channel_text("");
    let line = text.lines().find(|line| line.starts_with("hash")).unwrap();
    assert!(edited(line, "").is_err());
    assert!(edited("available = false", "available = true").is_err());
}

#[test]
fn case_040_an_older_day_is_refused() {
    let new = lock("").unwrap();
    let mut old = new.clone();
    assert_eq!(check_not_older(&old, &new), Ok(()));
    if let LockedToolchain::Dist { date, .. } = &mut old.toolchain {
        *date = day("2026-05-21");
    }
    let error = check_not_older(&old, &new).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server offers 2026-05-20, and the lock has 2026-05-21"
    );
    assert_eq!(error.class(), Class::Integrity);
    // Another channel in the manifest is the user's own word.
    old.channel = "nightly-2026-05-21".parse().unwrap();
    assert_eq!(check_not_older(&old, &new), Ok(()));
}

#[test]
fn case_041_a_manifest_older_than_the_limit_is_refused_with_both_values() {
    let limit = |text: &str| Some(text.parse().unwrap());
    let (served, today) = (day("2026-05-10"), day("2026-05-20"));
    assert_eq!(check_age(served, today, None), Ok(()));
    assert_eq!(check_age(served, today, limit("10d")), Ok(()));
    let error = check_age(served, today, limit("9d")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the channel manifest is of 2026-05-10, 10 days before today, 2026-05-20; at most 9d are \
         accepted"
    );
    assert_eq!(error.class(), Class::Integrity);
    // A clock behind the server's is no age.
    assert_eq!(check_age(today, served, limit("0d")), Ok(()));
}

#[test]
fn departures_of_a_lock_from_its_channel_manifest_are_told_with_both_values() {
    let text = "[targets.thumbv7em-none-eabihf]\n";
    let lock = lock(text).unwrap();
    assert!(departures(&lock, &channel()).is_empty());
    let other = ChannelManifest::parse(channel_text("other").as_bytes()).unwrap();
    let found = departures(&lock, &other);
    // Each archive in both formats, and nothing else.
    assert_eq!(found.len(), lock.archives.len() * 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|line| line.matches("sha256:").count() == 2)
    );
    let later = edited("date = \"2026-05-20\"", "date = \"2026-05-21\"").unwrap();
    assert_eq!(
        departures(&lock, &later),
        ["toolchain.date: channel manifest 2026-05-21, lock 2026-05-20"]
    );
    let gone = channel_text("").replace("[pkg.cargo", "[pkg.cargo-x");
    let gone = ChannelManifest::parse(gone.as_bytes()).unwrap();
    let found = departures(&lock, &gone);
    assert!(
        found
            .iter()
            .all(|line| line.contains("channel manifest nothing, lock dist/"))
    );
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn case_042_another_day_than_asked_is_refused() {
    let mut manifest = project("");
    manifest.channel = "nightly-2026-05-19".parse().unwrap();
    let error = from(&channel(), &manifest).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server answered for 2026-05-20, and 2026-05-19 was asked for"
    );
    // A release has no day in its name.
    manifest.channel = "1.97.0".parse().unwrap();
    assert!(from(&release("1.97.0"), &manifest).is_ok());
}

/// The channel manifest with a compiler of another number.
fn release(number: &str) -> ChannelManifest {
    let text = channel_text("").replace("1.97.0-nightly", number);
    ChannelManifest::parse(text.as_bytes()).unwrap()
}

#[test]
fn case_042_another_release_or_channel_than_asked_is_refused_with_both() {
    let kinds = ["1.97.0", "1.97.1", "1.97.0-beta.4", "1.97.0-nightly"];
    for (channel, own) in [
        ("1.97.0", "1.97.0"),
        ("1.97.1", "1.97.1"),
        ("beta-2026-05-20", "1.97.0-beta.4"),
        ("nightly-2026-05-20", "1.97.0-nightly"),
    ] {
        let mut manifest = project("");
        manifest.channel = channel.parse().unwrap();
        for kind in kinds {
            let result = from(&release(kind), &manifest);
            if kind == own {
                assert!(result.is_ok(), "{kind} for {channel}");
                continue;
            }
            let error = result.expect_err(kind);
            assert!(
                matches!(error, ResolveError::OtherChannel { .. }),
                "{error}"
            );
            assert_eq!(error.class(), Class::Integrity);
            for value in [kind, channel] {
                assert!(error.to_string().contains(value), "{error}");
            }
        }
        // The same for a lock and what is signed.
        let lock = from(&release(own), &manifest).unwrap();
        assert_eq!(departures(&lock, &release(own)), Vec::<String>::new());
        let mut other = lock.clone();
        other.channel = "1.90.0".parse().unwrap();
        let found = departures(&other, &release(own)).join("\n");
        assert!(found.contains("1.90.0") && found.contains(own), "{found}");
    }
    let mut dated = lock("").unwrap();
    dated.channel = "nightly-2026-05-19".parse().unwrap();
    let found = departures(&dated, &channel()).join("\n");
    assert!(
        found.contains("2026-05-19") && found.contains("2026-05-20"),
        "{found}"
    );
}

#[test]
fn case_043_packages_of_different_commits_are_refused() {
    let other = "1.97.0-nightly (ffffffff0 2026-05-18)";
    for package in ["rust-std", "rust-src"] {
        let header = format!("[pkg.{package}]\nversion = ");
        let channel = edited(
            &format!("{header}\"{VERSION}\""),
            &format!("{header}\"{other}\""),
        )
        .unwrap();
        let error = from(&channel, &project("")).unwrap_err();
        assert!(
            matches!(error, ResolveError::MixedCommits { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(other) && error.to_string().contains(VERSION));
    }
    let mut text = channel_text("");
    for (package, digit) in [("rustc", "a"), ("rust-std", "b")] {
        let header = format!("[pkg.{package}]\n");
        text = text.replace(
            &header,
            &format!("{header}git_commit_hash = \"{}\"\n", digit.repeat(40)),
        );
    }
    let channel = ChannelManifest::parse(text.as_bytes()).unwrap();
    assert!(matches!(
        from(&channel, &project("")),
        Err(ResolveError::MixedCommits { .. })
    ));
}

/// The channel manifest with commits in full: rustc's and one package's.
fn commits(package: &str, digit: &str) -> ChannelManifest {
    let mut text = channel_text("");
    for (package, digit) in [("rustc", "a"), (package, digit)] {
        let (header, commit) = (format!("[pkg.{package}]\n"), digit.repeat(40));
        text = text.replace(
            &header,
            &format!("{header}git_commit_hash = \"{commit}\"\n"),
        );
    }
    ChannelManifest::parse(text.as_bytes()).unwrap()
}

#[test]
fn case_043_a_tool_that_was_asked_for_is_of_rustcs_commit_too() {
    let with_tool = project("components = [\"clippy\"]\n");
    assert!(from(&commits("clippy-preview", "a"), &with_tool).is_ok());
    let error = from(&commits("clippy-preview", "b"), &with_tool).unwrap_err();
    for word in [
        "`rustc`",
        "`clippy-preview`",
        &"a".repeat(40),
        &"b".repeat(40),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    // Shortened behind a version of its own.
    let version = |version: &str| {
        let text = channel_text("").replace("\"0.1.97-nightly\"", &format!("\"{version}\""));
        ChannelManifest::parse(text.as_bytes()).unwrap()
    };
    let own = version("0.1.97 (e50aa6f 2026-05-19)");
    assert!(from(&own, &with_tool).is_ok());
    let other = version("0.1.97 (ffffffff0 2026-05-18)");
    let error = from(&other, &with_tool).unwrap_err();
    assert!(error.to_string().contains("ffffffff0"), "{error}");
    // Nobody asked for it; cargo's commit is always another; and tools had
    // repositories of their own once.
    assert!(from(&other, &project("")).is_ok());
    assert!(
        from(
            &commits("cargo", "b"),
            &project("components = [\"cargo\"]\n")
        )
        .is_ok()
    );
    let mut old = other;
    old.date = day("2020-05-20");
    let mut with_tool = with_tool;
    with_tool.channel = "nightly-2020-05-20".parse().unwrap();
    assert!(from(&old, &with_tool).is_ok());
}

#[test]
fn case_044_a_republished_day_is_told_with_both_hashes() {
    let old = lock("").unwrap();
    let again = ChannelManifest::parse(channel_text("other").as_bytes()).unwrap();
    let new = from(&again, &project("")).unwrap();
    assert_eq!(check_not_republished(&old, &old), Ok(()));
    let error = check_not_republished(&old, &new).unwrap_err();
    let identity = |lock: &Lock| lock.archive("rustc", Some(&triple(HOST))).unwrap().hashes()[0];
    let text = error.to_string();
    assert!(
        text.contains(&identity(&old).to_string()) && text.contains(&identity(&new).to_string())
    );
    assert_eq!(error.class(), Class::Integrity);
}

#[test]
fn case_045_what_is_not_there_is_named_with_the_nearest_names() {
    for (rest, text, hint) in [
        (
            "components = [\"clipy\"]\n",
            "no component `clipy`",
            "`clippy`",
        ),
        (
            "components = [\"miri\"]\n",
            "`miri` is not available for `aarch64-unknown-linux-gnu`",
            "another date",
        ),
        (
            "[targets.thumbv7em-none-eabi]\nstrategy = \"download\"\n",
            "no rust-std for `thumbv7em-none-eabi`",
            "`thumbv7em-none-eabihf`",
        ),
        (
            "[targets.armv7-rtems-eabihf]\nstrategy = \"download\"\n",
            "listed as not available",
            "build",
        ),
        (
            "[targets.thumbv7em-none-eabih]\n",
            "very near",
            "`thumbv7em-none-eabihf`",
        ),
    ] {
        let error = lock(rest).expect_err(rest);
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(error.class(), Class::Unresolvable);
    }
    // Near to nothing, it is somebody's own.
    let own = ResolveError::UnknownTarget {
        target: triple("my-os"),
        nearest: Vec::new(),
    };
    assert!(own.hint().unwrap().contains("`sysroot add --spec FILE`"));
    let mut manifest = project("");
    manifest.hosts = [triple("x86_64-unknown-linux-gnx")].into();
    let error = from(&channel(), &manifest).unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("`{HOST}`")));
    // Listed but not shipped is no typing error: it is built.
    assert_eq!(
        builds(
            &lock("[targets.armv7-rtems-eabihf]\n").unwrap(),
            "armv7-rtems-eabihf"
        )
        .len(),
        2
    );
    // Said explicitly, a near name is built too.
    let text = "[targets.thumbv7em-none-eabih]\nstrategy = \"build\"\n";
    assert_eq!(
        builds(&lock(text).unwrap(), "thumbv7em-none-eabih").len(),
        2
    );
}

#[test]
fn case_045_renamed_packages_are_found_under_either_name() {
    for name in ["clippy", "clippy-preview"] {
        let lock = lock(&format!("components = [\"{name}\"]\n")).unwrap();
        assert!(
            lock.archive("clippy-preview", Some(&triple(HOST)))
                .is_some()
        );
    }
}

#[test]
fn case_046_a_day_that_has_not_come_is_refused() {
    let mut future = release("1.97.0");
    future.date = day("9999-05-20");
    let mut manifest = project("");
    manifest.channel = "1.97.0".parse().unwrap();
    let error = from(&future, &manifest).unwrap_err();
    assert!(matches!(error, ResolveError::FarFuture { .. }));
    assert_eq!(error.class(), Class::Integrity);
}

#[test]
fn pins_stay_where_the_recipe_stays() {
    let text = "[targets.a-none]\nstrategy = \"build\"\n[targets.b-none]\nstrategy = \"build\"\n";
    let mut old = lock(text).unwrap();
    for target in old.targets.values_mut() {
        if let LockedSource::Build { hosts, .. } = &mut target.source {
            hosts.get_mut(&triple(HOST)).unwrap().pin = Some(TreeDigest::from_bytes([5; 32]));
        }
    }
    let mut new = lock(&format!("{text}opt-level = 1\n")).unwrap();
    carry_pins(&mut new, &old);
    let pin = |name: &str, host: &str| match &new.targets[&triple(name)].source {
        LockedSource::Build { hosts, .. } => hosts[&triple(host)].pin,
        LockedSource::Download | LockedSource::System => None,
    };
    assert_eq!(pin("a-none", HOST), Some(TreeDigest::from_bytes([5; 32])));
    assert_eq!(pin("a-none", ARM), None);
    assert_eq!(pin("b-none", HOST), None);
}

fn machine() -> SystemToolchain {
    SystemToolchain {
        rustc: "rustc 1.96.0 (ac68faa20 2026-05-25)".to_owned(),
        commit: "ac68faa20".to_owned(),
        cargo: "cargo 1.96.0".to_owned(),
        host: triple(HOST),
        rust_src: TreeDigest::from_bytes([1; 32]),
        shipped: [triple(HOST)].into(),
        known: [HOST, ARM, "thumbv7em-none-eabihf"].map(triple).into(),
    }
}

fn on_machine(rest: &str) -> Result<Lock, ResolveError> {
    let text = format!("[toolchain]\nchannel = \"system\"\n{rest}");
    let manifest = Manifest::parse(&text, Path::new("sysroot.toml")).unwrap();
    let specs = BTreeMap::from([(triple("my-os"), SpecDigest::of(b"{}"))]);
    resolve(&manifest, &specs, &Source::System(&machine()), today())
}

#[test]
fn the_systems_toolchain_builds_what_it_does_not_have() {
    let rest = format!(
        "[targets.{HOST}]\n[targets.thumbv7em-none-eabihf]\n[targets.my-os]\nspec = \"my-os.json\"\n"
    );
    let lock = on_machine(&rest).unwrap();
    assert_eq!(lock.targets[&triple(HOST)].source, LockedSource::System);
    assert_eq!(builds(&lock, "thumbv7em-none-eabihf"), [HOST]);
    assert_eq!(builds(&lock, "my-os"), [HOST]);
    assert_eq!(Lock::parse(&lock.to_text(), Path::new("l")).unwrap(), lock);
    let two = on_machine(&format!("hosts = [\"{HOST}\", \"{ARM}\"]\n{rest}")).unwrap();
    assert_eq!(builds(&two, "my-os"), [ARM, HOST]);
}

#[test]
fn case_045_the_systems_toolchain_names_what_it_lacks() {
    let error = on_machine("[targets.thumbv7em-none-eabih]\n").unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "did you mean `thumbv7em-none-eabihf`?"
    );
    let error =
        on_machine("[targets.thumbv7em-none-eabihf]\nstrategy = \"download\"\n").unwrap_err();
    assert!(matches!(error, ResolveError::NotInstalled { .. }));
}

#[test]
fn a_spec_that_was_not_read_is_an_error() {
    let error = lock("[targets.other]\nspec = \"other.json\"\n").unwrap_err();
    assert!(matches!(error, ResolveError::NoSpec { .. }));
}

#[test]
fn a_compiled_target_that_is_also_a_host_has_std() {
    let crates = |lock: &Lock, name: &str| match &lock.targets[&triple(name)].source {
        LockedSource::Build { options, .. } => Some(options.crates),
        LockedSource::Download | LockedSource::System => None,
    };
    let both = format!(
        "[targets.{HOST}]\nstrategy = \"build\"\n[targets.thumbv7em-none-eabihf]\nstrategy = \"build\"\n"
    );
    for lock in [lock(&both).unwrap(), on_machine(&both).unwrap()] {
        assert_eq!(crates(&lock, HOST), Some(CrateSet::Std));
        assert_eq!(
            crates(&lock, "thumbv7em-none-eabihf"),
            Some(CrateSet::Alloc)
        );
    }
    // A lock is fresh by the same rule.
    let manifest = project(&both);
    let mut fresh = from(&channel(), &manifest).unwrap();
    let differences =
        |lock: &Lock| crate::lock::differences(&manifest, &BTreeMap::new(), lock).len();
    assert_eq!(differences(&fresh), 0);
    if let Some(target) = fresh.targets.get_mut(&triple(HOST))
        && let LockedSource::Build { options, .. } = &mut target.source
    {
        options.crates = CrateSet::Alloc;
    }
    assert_ne!(differences(&fresh), 0);
    for few in ["[\"core\"]", "[\"alloc\"]"] {
        let rest = format!("[targets.{HOST}]\nstrategy = \"build\"\ncrates = {few}\n");
        for result in [lock(&rest), on_machine(&rest)] {
            let error = result.unwrap_err();
            assert_eq!(error.class(), Class::Usage);
            assert!(error.hint().unwrap().contains("crates = [\"std\"]"));
        }
    }
}
