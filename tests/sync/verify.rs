//! What `verify` promises: it changes nothing and starts nothing, a zero means
//! that everything was read, and the same bytes give the same answer anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use sysroot::lock::Lock;

use super::tracing::{Call, TOUCHES, plant, started, traced};
use super::{HOST, RISCV, THUMB, core, manifest, served};
use crate::support::clock::other_clock;
use crate::support::compiler::FakeCompiler;
use crate::support::sandbox::{Said, Sandbox, said, snapshot};

/// Asserts that a run only looked: the programs it started are `allowed`, each
/// with its arguments, and nothing was connected to or written.
fn only_looked(calls: &[Call], allowed: &[String], what: &[&str]) {
    // What is not on this list has no business in `verify`.
    let looks = [
        "access",
        "faccessat",
        "faccessat2",
        "getcwd",
        "lstat",
        "newfstatat",
        "readlink",
        "readlinkat",
        "stat",
        "statfs",
        "statx",
    ];
    for call in calls {
        let harmless = match call.name.as_str() {
            // Judged below.
            "execve" | "execveat" => true,
            _ if call.opens() => !call.opens_to_write() || call.paths == [Path::new("/dev/null")],
            // How a signal handler wakes its thread, inside the process.
            "socketpair" => call.text.contains("AF_UNIX"),
            "recvfrom" => true,
            // What is asked stands outside of the checkout.
            "chdir" => call.text.starts_with("chdir(\"/\""),
            name => looks.contains(&name),
        };
        assert!(harmless, "{what:?}: {}", call.text);
    }
    let others: Vec<String> = started(calls)
        .into_iter()
        .filter(|line| !allowed.contains(line))
        .collect();
    assert!(others.is_empty(), "{what:?} started {others:#?}");
}

/// What P12 is about.
const LOOKING: [&[&str]; 5] = [
    &["verify"],
    &["verify", "--deep"],
    &["verify", "--deep", "--format", "sarif"],
    &["lock", "--check"],
    &["sync", "--check"],
];

#[test]
fn case_157_p12_verify_starts_nothing_connects_nowhere_and_writes_nothing() {
    let (unsigned, _one) = served();
    let first = unsigned.project("p", &manifest(&[THUMB]));
    // With configured keys and a cached manifest, the signature is judged too.
    let (signed, _two, _key, second) = super::signature::signed();
    for (sandbox, project) in [(&unsigned, &first), (&signed, &second)] {
        sandbox.run(project, &["sync"]).exits(0);
        let marker = sandbox.path("marker");
        plant(project, &marker);
        let before = (snapshot(project), snapshot(&sandbox.path("cache")));
        for arguments in LOOKING {
            let (said, calls) = traced(sandbox, project, TOUCHES, arguments);
            said.exits(0);
            only_looked(&calls, &[], arguments);
        }
        assert!(!marker.exists());
        assert!(before == (snapshot(project), snapshot(&sandbox.path("cache"))));
    }
    let report = signed.run(&second, &["verify", "--json"]).json();
    assert_eq!(check(&report, "signature")["verdict"], "good");
}

#[test]
fn case_157_p12_for_system_verify_asks_the_machines_own_compiler_for_its_version_only() {
    let mut sandbox = Sandbox::new();
    let (compiler, rustc) = FakeCompiler::system(&sandbox.path(""));
    let bin = rustc.parent().unwrap().to_owned();
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    let spec = "{\"llvm-target\": \"thumbv7em-none-eabi\", \"arch\": \"arm\"}";
    let text = format!(
        "[toolchain]\nchannel = \"system\"\n[targets.{HOST}]\n[targets.{THUMB}]\n\
         strategy = \"build\"\n[targets.my-os]\nspec = \"targets/my-os.json\"\n"
    );
    let project = sandbox.project("p", &text);
    fs::create_dir(project.join("targets")).unwrap();
    fs::write(project.join("targets/my-os.json"), spec).unwrap();
    sandbox.run(&project, &["sync"]).exits(0);
    assert_eq!(compiler.built().len(), 2);
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    assert_eq!(lock.matches("\npin = ").count(), 2, "{lock}");
    let marker = sandbox.path("marker");
    plant(&project, &marker);
    let before = (snapshot(&project), snapshot(&sandbox.path("cache")));
    // All that is ever started. The shell ends what is asked if we die meanwhile.
    let own = |program: &str, question: &str| format!("{}/{program} {question}", bin.display());
    let allowed = [
        own("rustc", "--print sysroot"),
        own("rustc", "-vV"),
        own("cargo", "-V"),
        own("rustc", "--print target-list"),
        "/bin/sh -c read -r line; kill -KILL 0".to_owned(),
    ];
    let mut asked = BTreeSet::new();
    for arguments in LOOKING {
        let (said, calls) = traced(&sandbox, &project, TOUCHES, arguments);
        said.exits(0);
        only_looked(&calls, &allowed, arguments);
        asked.extend(started(&calls));
    }
    assert!(asked.contains(&allowed[1]), "nothing was asked: {asked:?}");
    assert!(!marker.exists());
    assert!(before == (snapshot(&project), snapshot(&sandbox.path("cache"))));
    assert_eq!(compiler.built().len(), 2, "verify compiled");
}

#[test]
fn case_117_p13_zero_means_that_everything_was_read_and_every_path_is_listed() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    let verify = |arguments: &[&str]| {
        let mut all = vec!["verify", "--json"];
        all.extend(arguments);
        sandbox.run(&project, &all)
    };
    sandbox.run(&project, &["lock"]).exits(0);
    // Without an output there is nothing against it, unless it was asked for.
    let object = verify(&[]).exits(0).json();
    assert_eq!(check(&object, "output")["verdict"], "not judged");
    let object = verify(&["--deep"]).exits(1).json();
    assert_eq!(check(&object, "output")["verdict"], "bad");
    sandbox.run(&project, &["sync"]).exits(0);
    verify(&["--deep"]).exits(0);
    // A hundred strangers, two edited files and one that is gone: each is named.
    let mut want: BTreeSet<String> = (0..130)
        .map(|n| format!("lib/rustlib/{THUMB}/lib/stranger-{n}"))
        .collect();
    for path in &want {
        fs::write(project.join(".sysroot").join(path), "").unwrap();
    }
    for target in [THUMB, RISCV] {
        let path = core(&project, target);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, bytes).unwrap();
        want.insert(format!("lib/rustlib/{target}/lib/libcore-a.rlib"));
    }
    fs::remove_file(project.join(".sysroot/bin/cargo")).unwrap();
    want.insert("bin/cargo".to_owned());
    for arguments in [&[][..], &["--deep"]] {
        let object = verify(arguments).exits(1).json();
        let findings = check(&object, "output")["findings"]
            .as_array()
            .unwrap()
            .clone();
        let path = |f: &serde_json::Value| {
            f["message"]
                .as_str()
                .unwrap()
                .split(": ")
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(findings.iter().map(path).collect::<BTreeSet<_>>(), want);
    }
}

#[test]
fn case_093_p13_what_cannot_be_read_is_9_and_no_yes() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let other = Elsewhere::of(&sandbox, &project);
    other.run(&["verify", "--deep"]).exits(0);
    let place = core(&other.project, THUMB);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o000)).unwrap();
    let said = other.run(&["verify", "--deep", "--json"]).exits(9);
    let object = said.json();
    let output = check(&object, "output");
    assert_eq!(
        (&output["verdict"], &output["exit_code"]),
        (&"bad".into(), &9.into())
    );
    assert!(
        output["findings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("libcore-a.rlib")
    );
    // The other checks were made all the same.
    for name in ["lock", "manifest", "store", "pins"] {
        assert_eq!(check(&object, name)["verdict"], "good", "{name}");
    }
}

/// A copy of a project and its cache in another place, owned by another user,
/// with other times and modes, ten years later.
struct Elsewhere {
    dir: tempfile::TempDir,
    /// Of the clock: a space in its path would end its name.
    _plain: tempfile::TempDir,
    binary: PathBuf,
    project: PathBuf,
    cache: PathBuf,
    clock: PathBuf,
    config: Option<PathBuf>,
}

const OTHER_USER: u32 = 4712;

impl Elsewhere {
    fn of(sandbox: &Sandbox, project: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("else where ")
            .tempdir()
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| dir.path().join(name);
        // Of the modes only the executable bit stays: files that all could read
        // are the owner's only, the other half is the group's too.
        let copy = "set -e; cp -a \"$1\" \"$3\"; cp -a \"$2\" \"$4\"; cp \"$5\" \"$6\"\n\
                    find \"$3\" \"$4\" -type f -perm -u+x -exec chmod 0750 {} +\n\
                    find \"$3\" -type f ! -perm -u+x -exec chmod 0640 {} +\n\
                    find \"$4\" -type f ! -perm -u+x -exec chmod 0600 {} +\n\
                    find \"$3\" \"$4\" -exec touch -h -d 2001-02-03 {} +\n\
                    chown -R 4712:4712 \"$3\" \"$4\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", copy, "sh"])
            .arg(project)
            .arg(sandbox.path("cache"));
        command.args([
            at("another name"),
            at("cache"),
            PathBuf::from(env!("CARGO_BIN_EXE_sysroot")),
            at("binary"),
        ]);
        said(&mut command).exits(0);
        let (binary, project, cache) = (at("binary"), at("another name"), at("cache"));
        assert_eq!(fs::metadata(&project).unwrap().uid(), OTHER_USER);
        let plain = tempfile::tempdir().unwrap();
        fs::set_permissions(plain.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let clock = other_clock(plain.path());
        // The configuration is the user's own, and says the same.
        let config = sandbox.env.get("SYSROOT_CONFIG").map(|config| {
            let of_user = dir.path().join("config");
            let (from, keys) = (Path::new(config), sandbox.path("key-0.asc"));
            fs::create_dir(&of_user).unwrap();
            fs::copy(keys, of_user.join("key-0.asc")).unwrap();
            fs::copy(from, of_user.join("config.toml")).unwrap();
            of_user.join("config.toml")
        });
        Self {
            dir,
            _plain: plain,
            binary,
            project,
            cache,
            clock,
            config,
        }
    }

    /// Runs the command as the other user, in another language, time zone and
    /// decade.
    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new("setpriv");
        let user = OTHER_USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        command
            .arg(&self.binary)
            .args(arguments)
            .env_clear()
            .current_dir(&self.project);
        command
            .env("HOME", self.dir.path())
            .env("SYSROOT_CACHE_DIR", &self.cache);
        command
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("LANG", "tr_TR.UTF-8")
            .env("TZ", "Pacific/Kiritimati")
            .env("LD_PRELOAD", &self.clock);
        command.envs(self.config.iter().map(|config| ("SYSROOT_CONFIG", config)));
        command.env("PATH", "/usr/bin:/bin");
        said(&mut command)
    }
}

/// The object of one check.
fn check<'o>(object: &'o serde_json::Value, name: &str) -> &'o serde_json::Value {
    let all = object["checks"].as_array().unwrap();
    let found = all.iter().find(|check| check["check"] == name);
    found.expect(name)
}

/// What happens to a project or its cache.
type Change<'c> = &'c dyn Fn(&Sandbox, &Path);

#[test]
fn p14_the_same_bytes_give_the_same_answer_to_anyone_anywhere() {
    let edit_text = |path: PathBuf, from: &str, to: &str| {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    let changes: [(&str, i32, Change<'_>); 8] = [
        ("nothing", 0, &|_, _| {}),
        ("planted hash", 6, &|_, p| {
            let text = fs::read_to_string(p.join("sysroot.lock")).unwrap();
            let table = text.find(&format!("[archives.rustc.{HOST}]")).unwrap();
            let at = table + text[table..].find("sha256:").unwrap() + 7;
            let other = if &text[at..=at] == "0" { "1" } else { "0" };
            let mut planted = text.clone();
            planted.replace_range(at..=at, other);
            fs::write(p.join("sysroot.lock"), planted).unwrap();
        }),
        ("manifest", 1, &|_, p| {
            edit_text(p.join("sysroot.toml"), THUMB, RISCV);
        }),
        ("malformed manifest", 2, &|_, p| {
            edit_text(p.join("sysroot.toml"), "hosts", "hots");
        }),
        ("malformed lock", 2, &|_, p| {
            edit_text(p.join("sysroot.lock"), "sha256:", "sha257:");
        }),
        ("no lock", 1, &|_, p| {
            fs::remove_file(p.join("sysroot.lock")).unwrap();
        }),
        ("output", 1, &|_, p| {
            fs::write(p.join(".sysroot/stranger"), "").unwrap();
        }),
        ("store", 5, &|s, _| {
            let trees = fs::read_dir(s.cache().join("trees")).unwrap();
            let name = format!("lib/rustlib/{THUMB}/lib/libcore-a.rlib");
            let mut files = trees.map(|tree| tree.unwrap().path().join(&name));
            fs::remove_file(files.find(|file| file.exists()).unwrap()).unwrap();
        }),
    ];
    for (what, code, change) in changes {
        let (mut sandbox, _server, _key, project) = super::signature::signed();
        sandbox.set("TZ", "America/Adak");
        sandbox.run(&project, &["sync"]).exits(0);
        change(&sandbox, &project);
        let other = Elsewhere::of(&sandbox, &project);
        for arguments in [
            &["verify", "--json"][..],
            &["verify", "--json", "--deep"],
            &["verify", "--format", "sarif", "--deep"],
            &["verify", "--format", "junit", "--deep"],
            &["verify", "--format", "github", "--deep"],
        ] {
            let here = sandbox.run(&project, arguments);
            let there = other.run(arguments);
            assert_eq!(here.out, there.out, "{what}: {arguments:?}\n{}", there.err);
            assert_eq!(here.code, there.code, "{what}: {arguments:?}");
            if arguments.contains(&"--deep") {
                assert_eq!(here.code, code, "{what}: {arguments:?}\n{}", here.out);
            }
        }
        // The signature is judged there, by the other user's key and clock.
        if what == "nothing" {
            let there = other.run(&["verify", "--json"]).json();
            assert_eq!(check(&there, "signature")["verdict"], "good");
        }
    }
}

#[test]
fn case_145_every_prefix_of_a_real_lock_is_refused_or_means_the_same() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let path = project.join("sysroot.lock");
    let text = fs::read_to_string(&path).unwrap();
    let whole = Lock::parse(&text, &path).unwrap();
    let mut accepted = Vec::new();
    for end in 0..text.len() {
        if let Ok(lock) = Lock::parse(&text[..end], &path) {
            assert_eq!(lock, whole, "cut at {end}");
            accepted.push(end);
        }
    }
    assert_eq!(
        accepted,
        [text.len() - 1],
        "all but the last newline is needed"
    );
    // And what `verify` and `lock --check` make of some of them.
    let some = (0..text.len()).step_by(text.len() / 24);
    for end in some.chain(text.len() - 30..=text.len()) {
        fs::write(&path, &text[..end]).unwrap();
        let whole = end + 1 >= text.len();
        for command in [&["verify", "--json"][..], &["lock", "--check"]] {
            let said = sandbox.run(&project, command);
            assert_eq!(
                said.code,
                if whole { 0 } else { 2 },
                "{command:?} cut at {end}: {}",
                said.err
            );
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            text[..end],
            "it was rewritten"
        );
    }
}

#[test]
fn case_145_what_changes_no_meaning_is_accepted_and_what_does_is_told_with_its_line() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let path = project.join("sysroot.lock");
    let text = fs::read_to_string(&path).unwrap();
    let asked = server.requests().len();
    for (what, same) in [
        ("CRLF", text.replace('\n', "\r\n")),
        ("BOM", format!("\u{feff}{text}")),
        ("spaces", text.replace(" = ", "  =  ")),
    ] {
        fs::write(&path, &same).unwrap();
        for command in [
            &["verify", "--deep"][..],
            &["lock", "--check"],
            &["sync", "--check"],
            &["lock"],
        ] {
            let said = sandbox.run(&project, command);
            assert_eq!(
                said.code, 0,
                "{what}: {command:?}: {}{}",
                said.out, said.err
            );
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            same,
            "{what} was rewritten"
        );
    }
    let line = |from: &str| text.lines().position(|l| l.starts_with(from)).unwrap() + 1;
    let toolchain = line("[toolchain]");
    for (what, bad, line, word) in [
        (
            "conflict",
            text.replacen("[toolchain]", "<<<<<<< HEAD\n[toolchain]", 1),
            toolchain,
            "conflict",
        ),
        (
            "duplicate",
            text.replacen("[toolchain]", "[toolchain]\n[toolchain]", 1),
            toolchain + 1,
            "duplicate",
        ),
        (
            "trailing bytes",
            format!("{text}[x]\n"),
            text.lines().count() + 1,
            "unknown key",
        ),
        ("NUL", format!("{text}\0"), text.lines().count() + 1, ""),
        (
            "unknown key",
            text.replacen("[toolchain]", "[toolchan]", 1),
            toolchain,
            "toolchan",
        ),
    ] {
        fs::write(&path, &bad).unwrap();
        let object = sandbox.run(&project, &["verify", "--json"]).exits(2).json();
        let finding = &check(&object, "lock")["findings"][0];
        assert_eq!(finding["places"][0]["line"], line, "{what}: {finding}");
        assert_eq!(finding["places"][0]["file"], "sysroot.lock");
        assert!(
            finding["message"].as_str().unwrap().contains(word),
            "{what}: {finding}"
        );
        sandbox.run(&project, &["lock", "--check"]).exits(2);
        sandbox.run(&project, &["sync", "--locked"]).exits(2);
    }
    assert_eq!(server.requests().len(), asked);
    // A newer version is told by name, and rewritten by nobody.
    let newer = text.replacen("version = 1", "version = 99", 1);
    fs::write(&path, &newer).unwrap();
    for command in ["verify", "lock", "sync"] {
        sandbox
            .run(&project, &[command])
            .exits(2)
            .mentions("newer sysroot");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn case_147_verify_says_what_is_no_plain_file_and_judges_the_rest() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    for (name, own, rest) in [
        ("sysroot.lock", "lock", &["specs"][..]),
        (
            "sysroot.toml",
            "manifest",
            &["lock", "output", "store", "pins"],
        ),
    ] {
        let path = project.join(name);
        let kept = fs::read(&path).unwrap();
        let judged = |what: &str| {
            let said = sandbox.run(&project, &["verify", "--deep", "--json"]);
            assert_eq!(said.code, 2, "{name} as {what}: {}{}", said.out, said.err);
            let object = said.json();
            let message = check(&object, own)["findings"][0]["message"].clone();
            assert!(
                message.as_str().unwrap().contains(name),
                "{what}: {message}"
            );
            for other in rest {
                assert_eq!(check(&object, other)["verdict"], "good", "{what}: {other}");
            }
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir(&path))
                .unwrap();
        };
        fs::remove_file(&path).unwrap();
        said(Command::new("mkfifo").arg(&path)).exits(0);
        judged("a pipe");
        fs::create_dir(&path).unwrap();
        judged("a directory");
        std::os::unix::fs::symlink(name, &path).unwrap();
        judged("a link to itself");
        fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        judged("100 MB");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        judged("a device");
        fs::write(&path, kept).unwrap();
        sandbox.run(&project, &["verify", "--deep"]).exits(0);
    }
    // Unreadable by its mode, which does not stop root.
    let other = Elsewhere::of(&sandbox, &project);
    fs::set_permissions(
        other.project.join("sysroot.lock"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    other.run(&["verify"]).exits(9).mentions("sysroot.lock");
}

#[test]
fn p01_after_a_sync_every_file_has_the_content_of_the_locked_archives() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    // An oracle that is not ours: the archives that the lock names, by tar.
    let path = project.join("sysroot.lock");
    let lock = Lock::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
    let (unpacked, mut want) = (sandbox.path("unpacked"), std::collections::BTreeMap::new());
    for component in lock.archives.values() {
        let archive = component.gz.as_ref().unwrap();
        let file = archive.path.below(&sandbox.path("dist-root"));
        let bytes = fs::read(&file).unwrap();
        assert_eq!(sysroot::types::Sha256::of(&bytes), archive.sha256);
        fs::create_dir(&unpacked).unwrap();
        let mut tar = Command::new("tar");
        said(tar.arg("-xzf").arg(&file).arg("-C").arg(&unpacked)).exits(0);
        for (name, content) in snapshot(&unpacked) {
            // `<archive>/<component>/bin/rustc`, beside the installer's own files.
            if let Some(below) = name.splitn(3, '/').nth(2).filter(|b| *b != "manifest.in") {
                want.insert(below.to_owned(), content);
            }
        }
        fs::remove_dir_all(&unpacked).unwrap();
    }
    assert!(want.len() > 10, "{:?}", want.keys());
    let found = || {
        let mut files = snapshot(&project.join(".sysroot"));
        files.retain(|name, _| !name.starts_with('.'));
        files
    };
    assert!(found() == want);
    // And again after damage, which the next sync mends.
    fs::remove_dir_all(project.join(".sysroot/lib")).unwrap();
    fs::write(project.join(".sysroot/bin/stranger"), "x").unwrap();
    sandbox.run(&project, &["sync"]).exits(0);
    assert!(found() == want);
}

#[test]
fn case_142_verify_is_not_fooled_by_a_warm_cache() {
    let (sandbox, server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let path = project.join("sysroot.lock");
    let text = fs::read_to_string(&path).unwrap();
    let asked = server.requests().len();
    let mut edited = 0;
    for (at, _) in text.match_indices("-digest = \"sha256:") {
        let at = at + "-digest = \"sha256:".len();
        let other = if text[at..].starts_with('0') {
            "1"
        } else {
            "0"
        };
        let mut wrong = text.clone();
        wrong.replace_range(at..=at, other);
        fs::write(&path, &wrong).unwrap();
        // The channel manifest's own hash is informative; mirrors rewrite it.
        let of_manifest = text[..at].ends_with("manifest-digest = \"sha256:");
        for arguments in [&["verify"][..], &["verify", "--deep"], &["sync", "--check"]] {
            let said = sandbox.run(&project, arguments);
            assert_eq!(
                said.code,
                i32::from(!of_manifest),
                "{arguments:?} at {at}: {}",
                said.err
            );
        }
        edited += 1;
    }
    assert!(edited > 8, "{edited}");
    assert_eq!(server.requests().len(), asked);
    assert_eq!(fs::read_to_string(&path).unwrap().len(), text.len());
}

#[test]
fn what_cannot_be_compared_is_named_with_its_place_and_the_way_out() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    sandbox.run(&project, &["sync"]).exits(0);
    let name = format!("rust-std-{THUMB}");
    sandbox.run(&project, &["cache", "evict", &name]).exits(0);
    // The output is in order, so a sync does not look into the store.
    let said = sandbox.run(&project, &["sync"]).exits(0);
    said.mentions("up to date");
    let said = sandbox.run(&project, &["why", THUMB]).exits(0);
    assert!(
        said.out.contains("nothing: it is in the output"),
        "{}",
        said.out
    );
    let export = sandbox.path("export");
    for command in [
        &["verify", "--deep"][..],
        &["cache", "export", export.to_str().unwrap()],
    ] {
        let said = sandbox.run(&project, command).exits(1);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains("remove `.sysroot`"), "{all}");
    }
    let report = sandbox
        .run(&project, &["verify", "--deep", "--json"])
        .exits(1);
    let report = report.json();
    let checks = report["checks"].as_array().unwrap().iter();
    let mut output = checks.filter(|check| check["check"] == "output");
    let finding = &output.next().unwrap()["findings"][0];
    let expected = format!("lib/rustlib/{THUMB}: the store has nothing to compare it with");
    assert_eq!(finding["message"], expected.as_str());
    let lock = fs::read_to_string(project.join("sysroot.lock")).unwrap();
    let header = format!("[targets.{THUMB}]");
    let line = lock.lines().position(|line| line == header).unwrap() + 1;
    assert_eq!(finding["places"][0]["line"], line);
    // As it was told.
    fs::remove_dir_all(project.join(".sysroot")).unwrap();
    sandbox.run(&project, &["sync"]).exits(0);
    sandbox.run(&project, &["verify", "--deep"]).exits(0);
    // A part of the output that was never made is another matter.
    let other = sandbox.project("q", &manifest(&[THUMB, RISCV]));
    sandbox.run(&other, &["sync", "--target", THUMB]).exits(0);
    sandbox
        .run(&other, &["cache", "evict", &format!("rust-std-{RISCV}")])
        .exits(0);
    let said = sandbox.run(&other, &["verify"]).exits(1);
    let expected = format!("lib/rustlib/{RISCV}: it is not in the output");
    assert!(said.out.contains(&expected), "{}", said.out);
}
