//! The recipes in `examples/ci`: their commands are taken out of the files and
//! run, in a project like a reader's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{RISCV, THUMB, manifest, served};
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
        .collect();
    let script = inside.iter().position(|line| *line == "script:");
    let items = inside.iter().skip(script.map_or(inside.len(), |at| at + 1));
    let items = items.map_while(|line| line.strip_prefix("- "));
    let runs = inside.iter().filter_map(|line| line.strip_prefix("run: "));
    let all: Vec<String> = items.chain(runs).map(str::to_owned).collect();
    // What is installed from elsewhere is the only thing that is not ours.
    let own: Vec<String> = all
        .into_iter()
        .filter(|c| !c.starts_with("cargo install "))
        .collect();
    assert!(
        !own.is_empty() && own.iter().all(|c| c.contains("sysroot ")),
        "{own:?}"
    );
    own
}

/// Runs a recipe's command as the service's shell does, with our binary as the
/// only `sysroot`.
fn shell(sandbox: &Sandbox, dir: &Path, command: &str) -> Said {
    let bin = sandbox.path("bin");
    let tmp = sandbox.path("tmp");
    for dir in [&bin, &tmp] {
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

#[test]
fn ci_github_verifies_pull_requests_with_annotations() {
    let (sandbox, server) = served();
    let (good, stale) = projects(&sandbox);
    let asked = server.requests().len();
    let steps = commands(&recipe("github.yml"), "  verify:");
    assert_eq!(steps.len(), 2);
    for step in &steps {
        shell(&sandbox, &good, step).exits(0);
    }
    let said = shell(&sandbox, &stale, &steps[0]).exits(1);
    assert!(
        said.out
            .contains("::error file=sysroot.toml,line=6,col=10,"),
        "{}",
        said.out
    );
    shell(&sandbox, &stale, &steps[1]).exits(0);
    let log = fs::read_to_string(stale.join("sysroot.sarif")).unwrap();
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 1);
    assert_eq!(server.requests().len(), asked, "it used the network");
}

#[test]
fn ci_gitlab_verifies_merge_requests_with_a_test_report() {
    let (sandbox, server) = served();
    let (good, stale) = projects(&sandbox);
    let asked = server.requests().len();
    let steps = commands(&recipe("gitlab.yml"), "sysroot-verify:");
    assert_eq!(steps.len(), 1);
    for (project, code, failures) in [(&good, 0, 0), (&stale, 1, 1)] {
        let said = shell(&sandbox, project, &steps[0]).exits(code);
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
    assert_eq!(server.requests().len(), asked, "it used the network");
}

#[test]
fn ci_fills_the_cache_and_the_next_run_takes_from_it() {
    for (file, job) in [("github.yml", "  fill:"), ("gitlab.yml", "sysroot-fill:")] {
        let (sandbox, server) = served();
        let (good, stale) = projects(&sandbox);
        let steps = commands(&recipe(file), job);
        assert!(
            steps.iter().any(|step| step == "sysroot sync --locked"),
            "{steps:?}"
        );
        for step in &steps {
            shell(&sandbox, &good, step).exits(0);
        }
        sandbox.run(&good, &["verify", "--deep"]).exits(0);
        assert!(good.join("sysroot.store").exists());
        // The next run begins without store and output, and needs no server.
        let asked = server.requests().len();
        fs::remove_dir_all(sandbox.path("cache")).unwrap();
        fs::remove_dir_all(good.join(".sysroot")).unwrap();
        for step in &steps {
            shell(&sandbox, &good, step).exits(0);
        }
        sandbox.run(&good, &["verify", "--deep"]).exits(0);
        assert_eq!(server.requests().len(), asked, "it came from the file");
        // A stale lock fills nothing, and is not renewed.
        let sync = "sysroot sync --locked";
        let asked = server.requests().len();
        shell(&sandbox, &stale, sync).exits(1).mentions(RISCV);
        assert_eq!(server.requests().len(), asked);
    }
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
    let left = fs::read_dir(sandbox.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "the hook left its copy");
}
