//! The build step with real compilers: the machine's own toolchain and its
//! rust-src.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests prepare and inspect files, start compilers as a user would, and fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sysroot::build::{BuildError, Builder, BuilderOptions, Job, TargetSpec, Toolchain};
use sysroot::events::{Cancel, Silent};
use sysroot::recipe::{BuildOptions, Inputs, Recipe};
use sysroot::types::{CrateSet, Diagnostic as _, Listing, Profile, SpecDigest, Triple};

fn toolchain() -> Toolchain {
    let rustc = std::env::var_os("SYSROOT_TEST_RUSTC").unwrap_or("/usr/bin/rustc".into());
    Toolchain::probe(Path::new(&rustc), &[]).expect(
        "these tests need a toolchain with rust-src: install rustc, cargo and rust-src of a \
         distribution, or name a compiler that has one with SYSROOT_TEST_RUSTC",
    )
}

fn core_only() -> BuildOptions {
    BuildOptions::new(
        Some(CrateSet::Core),
        BTreeSet::from(["compiler-builtins-mem".to_owned()]),
        Profile::default(),
        Vec::new(),
    )
}

struct Setup {
    dir: tempfile::TempDir,
    jobs: usize,
    builds: usize,
    cancel: Cancel,
}

impl Setup {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            jobs: 2,
            builds: 1,
            cancel: Cancel::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn builder(&self, toolchain: Toolchain) -> Result<Builder<'static>, BuildError> {
        let options = BuilderOptions {
            jobs: self.jobs,
            builds: self.builds,
            work_root: self.path("private-work-directory"),
            log_dir: self.path("log"),
            offline: true,
        };
        Builder::new(toolchain, options, self.cancel.clone(), &Silent)
    }

    fn build(
        &self,
        target: &str,
        spec: Option<&[u8]>,
        options: &BuildOptions,
    ) -> Result<Listing, BuildError> {
        let toolchain = toolchain();
        let target: Triple = target.parse().unwrap();
        let recipe = Recipe {
            inputs: Inputs::System {
                rustc: toolchain.version.first_line.clone(),
                cargo: toolchain.cargo_version.clone(),
                rust_src: Listing::default().digest(),
            },
            host: toolchain.version.host.clone(),
            target: target.clone(),
            spec: spec.map(SpecDigest::of),
            options: options.clone(),
        };
        let out = self.path("out");
        fs::create_dir_all(&out).unwrap();
        self.builder(toolchain)?.build(&Job {
            target: &target,
            spec: spec.map(|bytes| TargetSpec { bytes }),
            options,
            key: recipe.key(),
            out: &out,
        })
    }

    /// Compiles a crate without std against what was built.
    fn compile_user(&self, target: &str, source: &str) -> PathBuf {
        let (input, output) = (self.path("user.rs"), self.path("user.o"));
        fs::write(&input, source).unwrap();
        let toolchain = toolchain();
        let result = Command::new(&toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .args([
                "--edition=2024",
                "--crate-type=lib",
                "-Copt-level=2",
                "-Zunstable-options",
            ])
            .args(["--emit=obj", "--target", target, "--sysroot"])
            .arg(self.path("out"))
            .arg("-o")
            .args([&output, &input])
            .output()
            .unwrap();
        assert!(
            result.status.success(),
            "{}",
            String::from_utf8_lossy(&result.stderr)
        );
        output
    }
}

const USER: &str = "#![no_std]\n#[unsafe(no_mangle)]\npub fn total(a: &[u32]) -> u32 { \
                    a.iter().copied().fold(0, u32::wrapping_add) }\n";

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn case_138_a_bare_metal_target_is_built_used_and_names_no_local_path() {
    let setup = Setup::new();
    let target = "thumbv7em-none-eabihf";
    let options = BuildOptions {
        crates: CrateSet::Alloc,
        ..core_only()
    };
    let listing = setup.build(target, None, &options).unwrap();
    let names: Vec<_> = listing
        .entries()
        .iter()
        .map(|e| e.path.as_str().to_owned())
        .collect();
    for name in ["liballoc-", "libcompiler_builtins-", "libcore-"] {
        let prefix = format!("lib/rustlib/{target}/lib/{name}");
        assert!(names.iter().any(|n| n.starts_with(&prefix)), "{names:?}");
    }
    setup.compile_user(target, USER);
    let source = toolchain().rust_src;
    for path in files(&setup.path("out")) {
        let bytes = fs::read(&path).unwrap();
        for secret in [
            "private-work-directory",
            source.to_str().unwrap(),
            "/usr/src/",
        ] {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{} holds {secret}", path.display());
        }
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
    }
}

/// The one core build that the tests below compare theirs with.
const SMALL: &str = "thumbv6m-none-eabi";

#[test]
fn reproducible_case_155_whatever_the_jobs_directories_and_environment() {
    // Other directories, one job instead of two, and a hostile environment:
    // flags and wrappers in variables, and a configuration in a parent of the
    // work directory.
    let marker = tempfile::tempdir().unwrap();
    let wrapper = marker.path().join("wrapper");
    let started = marker.path().join("started");
    write_script(
        &wrapper,
        &format!("touch {}; exec \"$@\"", started.display()),
    );
    let plain = Setup::new();
    let hostile = Setup {
        dir: tempfile::Builder::new()
            .prefix("another place ")
            .tempdir()
            .unwrap(),
        jobs: 1,
        ..Setup::new()
    };
    fs::create_dir(hostile.path(".cargo")).unwrap();
    let configuration = format!(
        "[build]\nrustc-wrapper = {wrapper:?}\nrustflags = [\"-Copt-level=0\"]\n\
         [profile.release]\nopt-level = 0\ndebug-assertions = true\n"
    );
    fs::write(hostile.path(".cargo/config.toml"), configuration).unwrap();
    let plain_listing = plain.build(SMALL, None, &core_only()).unwrap();
    // A process of its own, because the environment is the process's.
    let result = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "helper_build_in_a_hostile_environment",
            "--ignored",
        ])
        .env("SYSROOT_TEST_OUT", hostile.path("digest"))
        .env("SYSROOT_TEST_DIR", hostile.dir.path())
        .env("RUSTFLAGS", "-Copt-level=0")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Copt-level=0")
        .env("RUSTC_WRAPPER", &wrapper)
        .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
        .env("RUSTC", &wrapper)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_BUILD_RUSTC_WRAPPER", &wrapper)
        .env("CARGO_INCREMENTAL", "1")
        .env("LD_PRELOAD", "/nonexistent/preloaded.so")
        .output()
        .unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stdout)
    );
    let text = fs::read_to_string(hostile.path("digest")).unwrap();
    assert_eq!(text, plain_listing.to_text());
    assert!(!started.exists(), "the user's wrapper was started");
}

/// The half of the test above that runs in an environment of its own; it is
/// started by it and only by it.
#[test]
#[ignore = "started by `reproducible_case_155_whatever_the_jobs_directories_and_environment`"]
fn helper_build_in_a_hostile_environment() {
    let dir = PathBuf::from(std::env::var_os("SYSROOT_TEST_DIR").unwrap());
    let setup = Setup {
        dir: tempfile::tempdir_in(dir).unwrap(),
        jobs: 1,
        ..Setup::new()
    };
    let listing = setup.build(SMALL, None, &core_only()).unwrap();
    fs::write(
        std::env::var_os("SYSROOT_TEST_OUT").unwrap(),
        listing.to_text(),
    )
    .unwrap();
}

#[test]
fn case_153_a_custom_target_is_built_by_its_bytes_and_its_linker_never_starts() {
    let setup = Setup::new();
    let started = setup.path("started");
    let linker = setup.path("linker");
    write_script(&linker, &format!("touch {}", started.display()));
    let printed = Command::new(toolchain().rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .args([
            "--print=target-spec-json",
            "-Zunstable-options",
            "--target",
            SMALL,
        ])
        .output()
        .unwrap();
    let spec = String::from_utf8(printed.stdout).unwrap();
    let own = format!(
        "{{\n  \"linker\": {linker:?},\n  \"linker-flavor\": \"gnu-cc\",\n  \"pre-link-args\": \
         {{\"gnu-cc\": [\"--marker\"]}},\n"
    );
    let without = |text: &str, key: &str| -> String {
        text.lines()
            .filter(|l| !l.trim_start().starts_with(key))
            .fold(String::new(), |all, l| all + l + "\n")
    };
    let spec = without(
        &without(&without(&spec, "\"linker\""), "\"linker-flavor\""),
        "\"is-builtin\"",
    );
    let spec = spec.replacen("{\n", &own, 1);
    let listing = setup
        .build("my-board", Some(spec.as_bytes()), &core_only())
        .unwrap();
    let found =
        |e: &sysroot::types::Entry| e.path.as_str().starts_with("lib/rustlib/my-board/lib/");
    assert!(listing.entries().iter().all(found));
    // Users hand the compiler the same bytes, wherever they keep them.
    fs::create_dir(setup.path("elsewhere")).unwrap();
    let json = setup.path("elsewhere/my-board.json");
    fs::write(&json, &spec).unwrap();
    setup.compile_user(json.to_str().unwrap(), USER);
    assert!(!started.exists(), "the spec's linker was started");
}

#[test]
fn case_122_a_failing_compiler_is_quoted_with_its_log() {
    let setup = Setup::new();
    let error = setup
        .build(
            "broken",
            Some(b"{\"llvm-target\": \"thumbv6m-none-eabi\"}"),
            &core_only(),
        )
        .unwrap_err();
    assert_eq!(error.class().exit_code(), 7, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("`broken`") && text.contains("target-pointer-width"),
        "{text}"
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("log/broken-"), "{hint}");
    let log = hint.rsplit(' ').next().unwrap();
    assert!(
        fs::read_to_string(log)
            .unwrap()
            .contains("target-pointer-width")
    );
    assert!(files(&setup.path("out")).is_empty());
}

#[test]
fn an_unknown_feature_is_refused_before_anything_is_compiled() {
    let setup = Setup::new();
    let options = BuildOptions {
        features: BTreeSet::from(["compiler-builtins-men".to_owned()]),
        ..core_only()
    };
    let error = setup.build(SMALL, None, &options).unwrap_err();
    assert_eq!(error.class().exit_code(), 2, "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "did you mean `compiler-builtins-mem`?"
    );
}

/// Writes an executable shell script.
fn write_script(path: &Path, body: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A toolchain whose compiler answers like the real one and else does `body`.
fn fake_toolchain(setup: &Setup, body: &str) -> Toolchain {
    let real = toolchain();
    let rustc = setup.path("rustc");
    let answer = format!(
        "case \"$*\" in *-vV*|*--print*) exec {} \"$@\";; esac\n{body}",
        real.rustc.display()
    );
    write_script(&rustc, &answer);
    Toolchain::from_parts(&rustc, &real.cargo, &real.rust_src).unwrap()
}

fn build_with(setup: &Setup, toolchain: Toolchain) -> Result<Listing, BuildError> {
    let target: Triple = SMALL.parse().unwrap();
    let out = setup.path("out");
    fs::create_dir_all(&out).unwrap();
    setup.builder(toolchain)?.build(&Job {
        target: &target,
        spec: None,
        options: &core_only(),
        key: sysroot::types::RecipeKey::from_bytes([7; 32]),
        out: &out,
    })
}

#[test]
fn case_122_a_compiler_that_fails_dies_or_writes_half_gives_nothing() {
    for body in [
        "exit 1",
        "kill -KILL $$",
        "echo 'error: half done' >&2; for a; do case \"$last\" in --out-dir) echo half > \
         $a/libcore.rlib;; esac; last=$a; done; exit 101",
        // Says it succeeded and has written nothing.
        "exit 0",
    ] {
        let setup = Setup::new();
        let toolchain = fake_toolchain(&setup, body);
        let error = build_with(&setup, toolchain).unwrap_err();
        assert_eq!(error.class().exit_code(), 7, "{body}: {error}");
        assert!(files(&setup.path("out")).is_empty(), "{body}");
    }
}

#[test]
fn case_156_a_compiler_that_hangs_or_babbles_is_refused_in_time() {
    let setup = Setup::new();
    let rustc = setup.path("rustc");
    let real = toolchain();
    let start = std::time::Instant::now();
    for body in [
        "sleep 1000",
        "echo rustc",
        "echo 'rustc 1.0.0 (x)'; echo 'release: 1.0.0'; echo 'commit-hash: ../../x'; echo 'host: h'",
        "head -c 100000000 /dev/zero",
        "exit 1",
    ] {
        write_script(&rustc, body);
        let error = Toolchain::from_parts(&rustc, &real.cargo, &real.rust_src).unwrap_err();
        assert_eq!(error.class().exit_code(), 7, "{body}: {error}");
        assert!(!error.to_string().contains('\0'));
    }
    assert!(start.elapsed().as_secs() < 60);
}

/// A compiler that says where it is and never ends.
fn endless(setup: &Setup) -> (Toolchain, PathBuf) {
    let pid = setup.path("pid");
    let body = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000",
        pid.display()
    );
    (fake_toolchain(setup, &body), pid)
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 60, "waited in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The processes of the group that `pid` belongs to, by the kernel's table.
fn group_of(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(2)
        .map(str::to_owned)
}

fn members(group: &str) -> usize {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().into_string().ok());
    processes
        .filter(|pid| group_of(pid).as_deref() == Some(group))
        .count()
}

#[test]
fn case_081_an_interrupt_leaves_no_compiler_running() {
    let setup = Setup::new();
    let (toolchain, pid_file) = endless(&setup);
    let cancel = setup.cancel.clone();
    std::thread::scope(|scope| {
        let build = scope.spawn(|| build_with(&setup, toolchain));
        wait_for("the compiler starts", || pid_file.exists());
        let pid = fs::read_to_string(&pid_file).unwrap();
        let group = group_of(pid.trim()).unwrap();
        assert!(members(&group) >= 2, "cargo and the compiler");
        cancel.set(sysroot::events::Cancelled::Interrupt);
        let error = build.join().unwrap().unwrap_err();
        assert_eq!(error.class().exit_code(), 130);
        wait_for("all are gone", || members(&group) == 0);
    });
}

#[test]
fn case_081_a_killed_build_leaves_no_compiler_running() {
    let setup = Setup::new();
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_build_that_never_ends", "--ignored"])
        .env("SYSROOT_TEST_DIR", setup.dir.path())
        .spawn()
        .unwrap();
    let pid_of = || {
        files(setup.dir.path())
            .into_iter()
            .find(|p| p.ends_with("pid"))
    };
    wait_for("the compiler starts", || pid_of().is_some());
    let pid = fs::read_to_string(pid_of().unwrap()).unwrap();
    let group = group_of(pid.trim()).unwrap();
    helper.kill().unwrap();
    helper.wait().unwrap();
    wait_for("all are gone", || members(&group) == 0);
}

/// The victim of the test above.
#[test]
#[ignore = "started by `case_081_a_killed_build_leaves_no_compiler_running`"]
fn helper_build_that_never_ends() {
    let dir = PathBuf::from(std::env::var_os("SYSROOT_TEST_DIR").unwrap());
    let setup = Setup {
        dir: tempfile::tempdir_in(dir).unwrap(),
        ..Setup::new()
    };
    let (toolchain, _) = endless(&setup);
    let _ = build_with(&setup, toolchain);
}

/// The machine's sources without one vendored crate, as upstream shipped them
/// before May 2026.
fn without_vendor(setup: &Setup) -> PathBuf {
    let library = setup.path("old/library");
    fs::create_dir_all(&library).unwrap();
    for entry in fs::read_dir(toolchain().library()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "vendor" && entry.file_name() != ".cargo" {
            std::os::unix::fs::symlink(entry.path(), library.join(entry.file_name())).unwrap();
        }
    }
    setup.path("old")
}

#[test]
fn sources_without_vendored_crates_resolve_offline_for_core_but_not_for_std() {
    let setup = Setup::new();
    let rust_src = without_vendor(&setup);
    let fake = |setup: &Setup| Toolchain {
        rust_src: rust_src.clone(),
        ..fake_toolchain(setup, "echo 'error: reached the compiler' >&2; exit 1")
    };
    let error = build_with(&setup, fake(&setup)).unwrap_err();
    assert!(
        error.to_string().contains("reached the compiler"),
        "{error}"
    );
    let options = BuildOptions {
        crates: CrateSet::Std,
        features: BTreeSet::new(),
        ..core_only()
    };
    let setup = Setup::new();
    let job = Job {
        target: &SMALL.parse().unwrap(),
        spec: None,
        options: &options,
        key: sysroot::types::RecipeKey::from_bytes([7; 32]),
        out: setup.dir.path(),
    };
    let error = setup
        .builder(fake(&setup))
        .unwrap()
        .build(&job)
        .unwrap_err();
    assert!(matches!(error, BuildError::OfflineWithoutVendor), "{error}");
}

#[test]
fn case_122_one_failing_target_does_not_stop_another() {
    // The fake fails for one of two targets; both come to their own end.
    let setup = Setup {
        builds: 2,
        ..Setup::new()
    };
    let body = format!(
        "case \"$*\" in *build_script_build*) exec {} \"$@\";; *{SMALL}*) echo 'error: not this \
         one' >&2; exit 1;; esac\necho 'error: nor that one' >&2; exit 1",
        toolchain().rustc.display()
    );
    let builder = setup.builder(fake_toolchain(&setup, &body)).unwrap();
    let build = |target: &str, text: &str| {
        let out = setup.path(target);
        fs::create_dir(&out).unwrap();
        let job = Job {
            target: &target.parse().unwrap(),
            spec: None,
            options: &core_only(),
            key: sysroot::types::RecipeKey::from_bytes([target.len().try_into().unwrap(); 32]),
            out: &out,
        };
        let error = builder.build(&job).unwrap_err().to_string();
        assert!(error.contains(target) && error.contains(text), "{error}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| build(SMALL, "not this one"));
        scope.spawn(|| build("thumbv7em-none-eabihf", "nor that one"));
    });
}

#[test]
fn the_toolchain_knows_its_targets_and_sources() {
    let toolchain = toolchain();
    assert!(
        toolchain
            .known_targets()
            .unwrap()
            .contains(&SMALL.parse().unwrap())
    );
    assert!(
        toolchain
            .shipped_targets()
            .unwrap()
            .contains(&toolchain.version.host)
    );
    let sources = sysroot::build::source_tree::hash(&toolchain.library()).unwrap();
    let has = |path: &str| sources.entries().iter().any(|e| e.path.as_str() == path);
    assert!(has("Cargo.lock") && has("core/src/lib.rs"));
}

#[test]
fn std_for_the_host_is_built_and_its_programs_run() {
    let setup = Setup::new();
    let toolchain = toolchain();
    let host = toolchain.version.host.as_str();
    let options = BuildOptions {
        crates: CrateSet::Std,
        features: BTreeSet::new(),
        ..core_only()
    };
    let listing = setup.build(host, None, &options).unwrap();
    let is_rlib = |e: &sysroot::types::Entry| {
        Path::new(e.path.as_str())
            .extension()
            .is_some_and(|e| e == "rlib")
    };
    assert!(listing.entries().iter().all(is_rlib));
    let (input, program) = (setup.path("hello.rs"), setup.path("hello"));
    let source = "fn main() { let r = std::panic::catch_unwind(|| panic!(\"caught\")); \
                  println!(\"{}\", r.is_err()); }";
    fs::write(&input, source).unwrap();
    let compiled = Command::new(&toolchain.rustc)
        .args(["--edition=2024", "--sysroot"])
        .arg(setup.path("out"))
        .arg("-o")
        .args([&program, &input])
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let output = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "true\n");
}

#[test]
fn cargo_passes_each_panic_strategy_on() {
    use sysroot::types::Panic;
    for (panic, expected) in [
        (None, ""),
        (Some(Panic::Unwind), "-Cpanic=unwind"),
        (Some(Panic::Abort), "panic=abort"),
        (Some(Panic::ImmediateAbort), "-Cpanic=immediate-abort"),
    ] {
        let setup = Setup::new();
        let seen = setup.path("seen");
        let body = format!(
            "case \"$*\" in *build_script_build*) exec {} \"$@\";; *'--crate-name core '*) echo \
             \"$@\" > {};; esac; exit 1",
            toolchain().rustc.display(),
            seen.display()
        );
        let mut options = core_only();
        options.panic = panic;
        let job = Job {
            target: &SMALL.parse().unwrap(),
            spec: None,
            options: &options,
            key: sysroot::types::RecipeKey::from_bytes([7; 32]),
            out: setup.dir.path(),
        };
        let builder = setup.builder(fake_toolchain(&setup, &body)).unwrap();
        builder.build(&job).unwrap_err();
        let arguments = fs::read_to_string(seen).unwrap();
        let flags: Vec<_> = arguments
            .split(' ')
            .filter(|a| a.contains("panic="))
            .collect();
        assert_eq!(flags.join(" ").trim(), expected, "{arguments}");
    }
}
