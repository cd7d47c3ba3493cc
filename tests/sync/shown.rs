//! What is shown while work goes on: bars on a terminal, lines elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{DATE, RISCV, THUMB, dist, manifest, packages, served};
use crate::http::{Server, Step, answer, head, ok};
use crate::support::compiler::{self, FakeCompiler};
use crate::support::dist::Release;
use crate::support::sandbox::{Said, Sandbox, said};

/// The lines with each time written as `T`, each age as `A`, in order.
fn lines(text: &str) -> Vec<String> {
    let plain = |line: &str| {
        let line = line
            .split_once(" is ")
            .map_or(line.to_owned(), |(what, _)| format!("{what} is A"));
        let Some((head, tail)) = line.split_once(" in ") else {
            return line;
        };
        let rest = tail.split_once(',').map_or("", |(_, rest)| rest);
        format!(
            "{head} in T{}{rest}",
            if rest.is_empty() { "" } else { "," }
        )
    };
    let mut lines: Vec<String> = text.lines().map(plain).collect();
    lines.sort_unstable();
    lines
}

/// The archives below a dist tree that are asked for, as lines show them.
fn sizes(root: &Path, name: &str) -> String {
    let file = root.join(format!("dist/{DATE}/{name}.tar.gz"));
    let size = fs::metadata(&file).unwrap().len();
    indicatif::HumanBytes(size).to_string()
}

#[test]
fn without_a_terminal_each_item_has_a_line_at_its_start_and_its_end() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["sync"]).exits(0);
    let host = super::HOST;
    let names = [
        (format!("cargo-{host}"), format!("cargo-nightly-{host}")),
        (
            format!("clippy-preview-{host}"),
            format!("clippy-nightly-{host}"),
        ),
        (
            format!("rust-std-{host}"),
            format!("rust-std-nightly-{host}"),
        ),
        (
            format!("rust-std-{THUMB}"),
            format!("rust-std-nightly-{THUMB}"),
        ),
        (format!("rustc-{host}"), format!("rustc-nightly-{host}")),
    ];
    let root = sandbox.path("dist-root");
    let mut expected = vec![
        format!("   resolved nightly-{DATE} in T"),
        "synced 1 target in T, by copy".to_owned(),
        "the channel manifest is A".to_owned(),
    ];
    for (id, file) in &names {
        let size = sizes(&root, file);
        expected.push(format!("downloading {id} ({size})"));
        expected.push(format!("   unpacked {id} in T"));
    }
    expected.sort_unstable();
    assert_eq!(lines(&said.err.replace("by reflink", "by copy")), expected);
    assert_eq!(said.out, "");
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!said.err.contains(control), "{:?}", said.err);
}

#[test]
fn quiet_says_nothing_and_no_progress_means_plain_lines_on_a_terminal() {
    let (sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = sandbox.run(&project, &["-q", "sync"]).exits(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    let other = sandbox.project("q", &manifest(&[THUMB, RISCV]));
    let said = on_a_terminal(&sandbox, &other, "--no-progress sync").exits(0);
    let shown = format!("downloading rust-std-{RISCV} (");
    assert!(said.out.contains(&shown), "{}", said.out);
    assert!(!said.out.contains('\x1b'), "{:?}", said.out);
}

/// Runs the tool on a terminal of its own; what it wrote is in `out`.
fn on_a_terminal(sandbox: &Sandbox, project: &Path, arguments: &str) -> Said {
    let binary = env!("CARGO_BIN_EXE_sysroot");
    let line = format!("stty cols 120 rows 40; exec {binary} --color never {arguments}");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    command.env_clear().envs(&sandbox.env);
    command.env("TERM", "xterm").current_dir(project);
    command.stdin(std::process::Stdio::null());
    said(&mut command)
}

/// What a terminal shows in the end, of the sequences that we write.
fn screen(written: &str) -> Vec<String> {
    let mut screen = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                assert_eq!(chars.next(), Some('['));
                let mut number = String::new();
                let command = loop {
                    match chars.next().unwrap() {
                        c @ ('0'..='9' | '?' | ';') => number.push(c),
                        c => break c,
                    }
                };
                let n = number.parse::<usize>().unwrap_or(1);
                match command {
                    'A' => row = row.saturating_sub(n),
                    'B' => row += n,
                    'K' if number == "2" => screen[row].clear(),
                    'K' => screen[row].truncate(column),
                    'm' => {}
                    other => panic!("the sequence {number}{other} is not known here"),
                }
            }
            c => {
                let line = &mut screen[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        screen.resize(screen.len().max(row + 1), Vec::new());
    }
    let text = |line: Vec<char>| line.into_iter().collect::<String>().trim_end().to_owned();
    screen
        .into_iter()
        .map(text)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A server of a dist tree that stops for a while in the middle of one
/// archive, and keeps another one to itself.
fn halting(root: &Path, slow: &str, kept: &str) -> Server {
    let (root, slow, kept) = (root.to_owned(), slow.to_owned(), kept.to_owned());
    Server::start(move |request| {
        if request.path.contains(&kept) {
            return answer("403 Forbidden", &[], b"");
        }
        let Ok(body) = fs::read(root.join(request.path.trim_start_matches('/'))) else {
            return answer("404 Not Found", &[], b"");
        };
        if !request.path.contains(&slow) {
            return ok(&body);
        }
        let (first, second) = body.split_at(body.len() / 2);
        vec![
            Step::Bytes(head("200 OK", &[], body.len() as u64)),
            Step::Bytes(first.to_vec()),
            Step::Pause(Duration::from_millis(1500)),
            Step::Bytes(second.to_vec()),
        ]
    })
}

#[test]
fn on_a_terminal_a_download_has_a_bar_and_leaves_the_terminal_as_it_was() {
    let mut sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    let slow = format!("rust-std-nightly-{THUMB}");
    let server = halting(&root, &slow, "nothing of all");
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let project = sandbox.project("p", &manifest(&[THUMB]));
    let said = on_a_terminal(&sandbox, &project, "sync").exits(0);
    let size = sizes(&root, &format!("rust-std-nightly-{THUMB}"));
    let bar = said
        .out
        .lines()
        .find(|line| line.contains(&format!("/{size} ")));
    let bar = bar.unwrap_or_else(|| panic!("no bar of {size}: {:?}", said.out));
    assert!(
        bar.contains("[=========") && bar.contains("  ] "),
        "{bar:?}"
    );
    assert!(bar.contains(&format!("rust-std-{THUMB}")), "{bar:?}");
    assert!(
        said.out.contains("    overall 4 of 5 downloads, "),
        "{:?}",
        said.out
    );
    // No bar is left, and the cursor is not hidden.
    let left = screen(&said.out).join("\n");
    assert!(
        !left.contains("downloading") && !left.contains("overall"),
        "{left}"
    );
    assert!(
        left.contains(&format!("   unpacked rust-std-{THUMB} in ")),
        "{left}"
    );
    assert!(left.contains("synced 1 target in "), "{left}");
    assert!(!said.out.contains("\x1b[?25l"), "{:?}", said.out);
}

/// The screen when a line with this text was written for the last time.
#[track_caller]
fn screen_at_last(written: &str, text: &str) -> String {
    let at = written
        .rfind(text)
        .unwrap_or_else(|| panic!("no `{text}` in {written:?}"));
    let end = written[at..].find('\x1b').map_or(written.len(), |n| at + n);
    screen(&written[..end]).join("\n")
}

#[test]
fn a_failed_download_leaves_no_bar_while_others_go_on() {
    let mut sandbox = Sandbox::new();
    let root = dist(&sandbox, Release::nightly(DATE).packages(packages("a")));
    let (slow, kept) = (
        format!("rust-std-nightly-{THUMB}"),
        format!("rust-std-nightly-{RISCV}"),
    );
    let server = halting(&root, &slow, &kept);
    sandbox.set("SYSROOT_DIST_SERVER", &server.url());
    let project = sandbox.project("p", &manifest(&[THUMB, RISCV]));
    let said = on_a_terminal(&sandbox, &project, "sync").exits(4);
    // The slow one is drawn for a second after the other one has failed.
    let shown = screen_at_last(&said.out, &format!("s rust-std-{THUMB}"));
    assert!(shown.contains("overall"), "{shown}");
    assert!(!shown.contains(&format!("rust-std-{RISCV}")), "{shown}");
    let left = screen(&said.out).join("\n");
    assert!(
        left.contains("error: cannot fetch") && left.contains("hint: "),
        "{left}"
    );
    assert!(
        !left.contains("downloading") && !left.contains("overall"),
        "{left}"
    );
}

#[test]
fn a_failed_build_leaves_no_spinner_while_others_go_on() {
    let (bad, good) = ("aarch64-unknown-none", "thumbv6m-none-eabi");
    let mut sandbox = Sandbox::new();
    let (compiler, root) = FakeCompiler::write_with(&sandbox.path(""), b"");
    sandbox.set("SYSROOT_DIST_SERVER", &format!("file://{}", root.display()));
    sandbox.set("SYSROOT_JOBS", "1");
    let project = sandbox.project("p", &compiler::manifest(&[bad, good]));
    compiler.fail(bad);
    compiler.hold(bad, true);
    compiler.hold(good, true);
    let said = std::thread::scope(|scope| {
        let running = scope.spawn(|| on_a_terminal(&sandbox, &project, "sync"));
        for (begun, target) in [bad, good].iter().enumerate() {
            let since = std::time::Instant::now();
            while compiler.begun().len() <= begun && since.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Long enough to be drawn several times.
            std::thread::sleep(Duration::from_millis(600));
            compiler.hold(target, false);
        }
        running.join().unwrap().exits(7)
    });
    assert!(said.out.contains(&format!("s {bad}")), "{:?}", said.out);
    let shown = screen_at_last(&said.out, &format!("s {good}"));
    assert!(
        shown.contains("  compiling ") && shown.contains(good),
        "{shown}"
    );
    assert!(!shown.contains(bad), "{shown}");
}

#[test]
fn what_finds_nothing_to_do_says_so() {
    let (mut sandbox, _server) = served();
    let project = sandbox.project("p", &manifest(&[THUMB]));
    sandbox.run(&project, &["sync"]).exits(0);
    let remote = format!("file://{}", sandbox.path("remote").display());
    sandbox.set("SYSROOT_REMOTE", &remote);
    sandbox.set("SYSROOT_REMOTE_ACCESS", "read-write");
    for arguments in [
        &["cache", "push"][..],
        &["cache", "push", "--target", THUMB],
    ] {
        let said = sandbox.run(&project, arguments).exits(0);
        assert_eq!(said.out, "");
        said.mentions("nothing to push: ");
    }
    // A rustup that keeps both of its lists, and says what it is asked to do.
    let bin = sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\ncd '{}'\necho \"$1 $2\" >> asked\ncase \"$1 $2\" in\n*' list') cat $1 2>/dev/null;;\n\
         'toolchain link') echo \"$3\" > toolchain;;\n\
         'override set') echo \"$4   $5\" > override;;\n*) rm $1;;\nesac\nexit 0\n",
        bin.display()
    );
    fs::write(bin.join("rustup"), script).unwrap();
    fs::set_permissions(bin.join("rustup"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), sandbox.env["PATH"]);
    sandbox.set("PATH", &path);
    let unlink = |text: &str| {
        sandbox.run(&project, &["unlink"]).exits(0).mentions(text);
    };
    // The user's own choice for the directory is not ours to undo.
    fs::write(
        bin.join("override"),
        format!("{}\tstable\n", project.display()),
    )
    .unwrap();
    unlink("nothing was linked");
    let asked = fs::read_to_string(bin.join("asked")).unwrap();
    assert_eq!(asked, "override list\ntoolchain list\n");
    sandbox.run(&project, &["link"]).exits(0);
    unlink("rustup no longer uses");
    assert!(!bin.join("override").exists() && !bin.join("toolchain").exists());
    unlink("nothing was linked");
}
