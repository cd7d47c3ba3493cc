//! The recipes in `examples/ci`: their commands are taken out of the files and
//! run, in a project like a reader's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::signature::signed;
use super::{HOST, RISCV, THUMB, manifest, served};
use crate::support::sandbox::{Said, Sandbox, said};

fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/ci")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// The commands of one job of a recipe: the values of `run:`, or the items of
/// `script:`. Each is on one line, so that no more of YAML has to be understood.
fn commands(text: &str, job: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| line.trim_end() != job);
    let depth = indent(lines.next().expect(job));
    let inside: Vec<&str> = lines
        .take_while(|line| line.trim().is_empty() || indent(line) > depth)
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let script = inside.iter().position(|line| *line == "script:");
    let items = inside.iter().skip(script.map_or(inside.len(), |at| at + 1));
    let items = items.map_while(|line| line.strip_prefix("- "));
    let runs = inside.iter().filter_map(|line| line.strip_prefix("run: "));
    let all: Vec<String> = items.chain(runs).map(str::to_owned).collect();
    // What is installed from elsewhere is the only thing that is not ours.
    let own: Vec<String> = all
        .into_iter()
        .filter(|c| !c.contains("cargo install "))
        .collect();
    assert!(
        !own.is_empty() && own.iter().all(|c| c.contains("sysroot")),
        "{own:?}"
    );
    own
}

/// Runs a recipe's command as the service's shell does, with our binary as the
/// only `sysroot`.
fn shell(sandbox: &Sandbox, dir: &Path, command: &str) -> Said {
    let bin = sandbox.path("bin");
    let tmp = sandbox.path("tmp");
    let runner = sandbox.path("runner-temp");
    for dir in [&bin, &tmp, &runner] {
        fs::create_dir_all(dir).unwrap();
    }
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sysroot"), bin.join("sysroot"));
    let mut shell = Command::new("bash");
    shell.args(["-e", "-o", "pipefail", "-c", command]);
    shell.env_clear().envs(&sandbox.env).current_dir(dir);
    shell.env(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    shell.env("GITHUB_OUTPUT", sandbox.path("github-output"));
    shell.env("CI", "true").env("TMPDIR", tmp);
    shell.env("RUNNER_TEMP", runner);
    said(&mut shell)
}

/// A synced and committed project, and its stale twin.
fn projects(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let good = sandbox.project("good", &manifest(&[THUMB]));
    sandbox.run(&good, &["lock"]).exits(0);
    let stale = sandbox.project("stale", &manifest(&[THUMB, RISCV]));
    fs::copy(good.join("sysroot.lock"), stale.join("sysroot.lock")).unwrap();
    (good, stale)
}

/// What a fresh machine has: a checkout, and no cache.
fn fresh(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
}

/// Makes the checkout a repository with these files committed.
fn commit(sandbox: &Sandbox, project: &Path, files: &str) {
    let setup = "git init -q && git config user.name n && git config user.email e@example.org";
    let command = format!("{setup} && git add -f {files} && git commit -qm first");
    shell(sandbox, project, &command).exits(0);
}

#[test]
fn ci_github_verifies_pull_requests_with_annotations() {
    let (sandbox, server, _key, _) = signed();
    let (good, stale) = projects(&sandbox);
    fresh(&sandbox);
    let asked = server.requests().len();
    let steps = commands(&recipe("github.yml"), "  verify:");
    let [offline, upstream, sarif] = &steps[..] else {
        panic!("{steps:?}");
    };
    for step in [offline, sarif] {
        shell(&sandbox, &good, step).exits(0);
    }
    let said = shell(&sandbox, &stale, offline).exits(1);
    assert!(
        said.out
            .contains("::error file=sysroot.toml,line=6,col=10,"),
        "{}",
        said.out
    );
    shell(&sandbox, &stale, sarif).exits(0);
    let log = fs::read_to_string(sandbox.path("runner-temp/sysroot.sarif")).unwrap();
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 1);
    assert_eq!(server.requests().len(), asked, "it used the network");
    shell(&sandbox, &good, upstream).exits(0);
    assert!(server.requests().len() > asked);
    assert!(!sandbox.path("cache").exists(), "verify writes nothing");
}

#[test]
fn ci_gitlab_verifies_merge_requests_with_a_test_report() {
    let (sandbox, server, _key, _) = signed();
    let (good, stale) = projects(&sandbox);
    fresh(&sandbox);
    let asked = server.requests().len();
    let steps = commands(&recipe("gitlab.yml"), "sysroot-verify:");
    let [offline, upstream] = &steps[..] else {
        panic!("{steps:?}");
    };
    // A link of the report's name leads nowhere.
    let precious = sandbox.path("precious");
    fs::write(&precious, "data").unwrap();
    std::os::unix::fs::symlink(&precious, good.join("sysroot.xml")).unwrap();
    for (project, code, failures) in [(&good, 0, 0), (&stale, 1, 1)] {
        let said = shell(&sandbox, project, offline).exits(code);
        let report = fs::read_to_string(project.join("sysroot.xml")).unwrap();
        assert!(
            report.contains(&format!("failures=\"{failures}\"")),
            "{report}"
        );
        assert_eq!(
            said.out.contains(RISCV),
            code == 1,
            "the log says why: {}",
            said.out
        );
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "data");
    assert_eq!(server.requests().len(), asked, "it used the network");
    shell(&sandbox, &good, upstream).exits(0);
}

#[test]
fn ci_a_planted_hash_beside_the_untouched_signature_is_refused_by_the_step_that_asks_upstream() {
    for (file, job) in [
        ("github.yml", "  verify:"),
        ("gitlab.yml", "sysroot-verify:"),
    ] {
        let (sandbox, _server, _key, _) = signed();
        let (good, _) = projects(&sandbox);
        fresh(&sandbox);
        let path = good.join("sysroot.lock");
        let text = fs::read_to_string(&path).unwrap();
        let table = text.find(&format!("[archives.rustc.{HOST}]")).unwrap();
        let at = table + text[table..].find("sha256:").unwrap() + 7;
        let planted = text[..at].to_owned() + &"5".repeat(64) + &text[at + 64..];
        fs::write(&path, &planted).unwrap();
        let steps = commands(&recipe(file), job);
        // What the page says that the first step does not prove.
        shell(&sandbox, &good, &steps[0]).exits(0);
        let said = shell(&sandbox, &good, &steps[1]).exits(5);
        for value in [&text[at..at + 64], &"5".repeat(64)] {
            assert!(said.out.contains(value), "{}", said.out);
        }
        // A server that tells the same lie cannot sign it.
        let manifest = super::signature::asc(&sandbox).with_extension("");
        let honest = fs::read_to_string(&manifest).unwrap();
        let lie = honest.replace(&text[at..at + 64], &"5".repeat(64));
        assert_ne!(lie, honest);
        let publish = |text: &str| {
            let hash = sysroot::types::Sha256::of(text.as_bytes()).to_hex();
            fs::write(&manifest, text).unwrap();
            let beside = manifest.with_extension("toml.sha256");
            let name = manifest.file_name().unwrap().to_str().unwrap();
            fs::write(beside, format!("{hash}  {name}\n")).unwrap();
        };
        publish(&lie);
        shell(&sandbox, &good, &steps[1])
            .exits(6)
            .mentions("signature");
        publish(&honest);
        // No signature where one is required, though the hashes are upstream's.
        fs::write(&path, &text).unwrap();
        fs::remove_file(super::signature::asc(&sandbox)).unwrap();
        let unsigned = text.lines().filter(|line| !line.starts_with("sign"));
        fs::write(&path, unsigned.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        shell(&sandbox, &good, &steps[1]).exits(6);
    }
}

#[test]
fn ci_fills_the_cache_and_the_next_run_takes_from_it() {
    for (file, job, build) in RECIPES {
        let (sandbox, server) = served();
        let (good, stale) = projects(&sandbox);
        commit(&sandbox, &good, "sysroot.toml sysroot.lock");
        let steps = commands(&recipe(file), job);
        assert!(
            steps.iter().any(|step| step == "sysroot sync --locked"),
            "{steps:?}"
        );
        for step in &steps {
            shell(&sandbox, &good, step).exits(0);
        }
        sandbox.run(&good, &["verify", "--deep"]).exits(0);
        assert!(left(&sandbox, &good).exists());
        // The next run begins without store and output, and needs no server;
        // nor does the build of a pull request.
        let asked = server.requests().len();
        let build = commands(&recipe(file), build);
        for steps in [&steps, &build] {
            fresh(&sandbox);
            fs::remove_dir_all(good.join(".sysroot")).unwrap();
            for step in steps {
                shell(&sandbox, &good, step).exits(0);
            }
            sandbox.run(&good, &["verify", "--deep"]).exits(0);
        }
        assert_eq!(server.requests().len(), asked, "it came from the file");
        let run = shell(&sandbox, &good, build.last().unwrap()).exits(0);
        assert_eq!(run.out, "cargo\n", "the locked cargo was started");
        // A stale lock fills nothing, and is not renewed.
        let sync = "sysroot sync --locked";
        let asked = server.requests().len();
        shell(&sandbox, &stale, sync).exits(1).mentions(RISCV);
        assert_eq!(server.requests().len(), asked);
    }
}

/// Each recipe with its jobs that fill the cache and build with it.
const RECIPES: [(&str, &str, &str); 2] = [
    ("github.yml", "  fill:", "  build:"),
    ("gitlab.yml", "sysroot-fill:", "sysroot-build:"),
];

/// The file that is kept between runs.
fn left(sandbox: &Sandbox, project: &Path) -> PathBuf {
    let outside = sandbox.path("runner-temp/sysroot.store");
    if outside.exists() {
        outside
    } else {
        project.join("sysroot.store")
    }
}

#[test]
fn ci_a_committed_file_is_never_believed() {
    for (file, fill, build) in RECIPES {
        let (sandbox, server) = served();
        let (good, _) = projects(&sandbox);
        // A whole export, as somebody with a commit could make one of other trees.
        shell(
            &sandbox,
            &good,
            "sysroot sync && sysroot cache export sysroot.store",
        )
        .exits(0);
        commit(&sandbox, &good, "sysroot.toml sysroot.lock sysroot.store");
        for job in [fill, build] {
            fresh(&sandbox);
            let _ = fs::remove_dir_all(good.join(".sysroot"));
            let _ = fs::remove_file(sandbox.path("runner-temp/sysroot.store"));
            let asked = server.requests().len();
            let steps = commands(&recipe(file), job);
            let codes: Vec<i32> = steps
                .iter()
                .map(|step| shell(&sandbox, &good, step).code)
                .collect();
            if file == "gitlab.yml" {
                // The service ends the job at the first step that fails.
                assert_eq!(codes[0], 1, "{file} {job}");
            } else {
                assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
                assert!(
                    server.requests().len() > asked,
                    "{job} took the committed file"
                );
            }
        }
    }
}

#[test]
fn ci_nothing_of_the_checkout_chooses_what_installs_sysroot() {
    let github = recipe("github.yml");
    for job in github.split("    steps:\n").skip(1) {
        let install = job.find("cargo install ").unwrap();
        let checkout = job.find("actions/checkout@").unwrap();
        assert!(install < checkout, "{job}");
        let before = &job[..install];
        assert!(
            before.contains("working-directory: ${{ runner.temp }}"),
            "{job}"
        );
    }
    // Each action by a commit, with its version beside it.
    for line in github.lines().filter(|line| line.contains("uses: ")) {
        let (_, pinned) = line.split_once('@').unwrap();
        let (commit, version) = pinned.split_once(" # v").unwrap();
        assert!(
            commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()),
            "{line}"
        );
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{line}");
    }
    let gitlab = recipe("gitlab.yml");
    assert_eq!(gitlab.matches("cargo install ").count(), 1);
    assert!(gitlab.contains("- (cd / && cargo install "));
}

#[test]
fn ci_the_hook_looks_at_what_is_staged() {
    let (sandbox, _server) = served();
    let (good, _) = projects(&sandbox);
    let git = |command: &str| shell(&sandbox, &good, &format!("git {command}"));
    let setup = "init -q && git config user.name n && git config user.email e@example.org";
    git(setup).exits(0);
    fs::create_dir_all(good.join(".git/hooks")).unwrap();
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/pre-commit");
    fs::copy(hook, good.join(".git/hooks/pre-commit")).unwrap();
    git("add -A && git commit -qm first").exits(0);
    // A manifest that the lock does not answer, staged; then its lock, not staged.
    fs::write(good.join("sysroot.toml"), manifest(&[THUMB, RISCV])).unwrap();
    git("add sysroot.toml && git commit -qm stale")
        .exits(1)
        .mentions(RISCV);
    sandbox.run(&good, &["lock"]).exits(0);
    git("commit -qm 'still stale'").exits(1).mentions(RISCV);
    git("add sysroot.lock && git commit -qm fresh").exits(0);
    // What is not staged does not matter.
    fs::write(good.join("sysroot.toml"), "nonsense").unwrap();
    git("commit -q --allow-empty -m other").exits(0);
    git("rm -q --cached sysroot.toml sysroot.lock && git commit -qm none").exits(0);
    // A project below the root, whose directory has a space in its name.
    let below = good.join("firm ware/board");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join("sysroot.toml"), manifest(&[THUMB, RISCV])).unwrap();
    fs::copy(good.join("sysroot.lock"), below.join("sysroot.lock")).unwrap();
    git("add 'firm ware' && git commit -qm below").exits(0);
    fs::write(below.join("sysroot.toml"), manifest(&[THUMB])).unwrap();
    git("add 'firm ware' && git commit -qm 'below, stale'")
        .exits(1)
        .mentions("this is about firm ware/board");
    let left = fs::read_dir(sandbox.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "the hook left its copy");
}
