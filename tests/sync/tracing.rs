//! Commands under strace: each system call with the paths that it names, and
//! checkouts whose files leave a mark where one of them is run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::support::sandbox::{Said, Sandbox, said};

/// Calls that start a program, open a file, or a connection.
pub(crate) const REACHES: &str = "execve,execveat,open,openat,openat2,creat,connect";

/// Every call that takes a path, opens a socket or changes an open file.
pub(crate) const TOUCHES: &str =
    "%file,%network,ftruncate,fallocate,fchmod,fchown,fsetxattr,fremovexattr,execveat";

/// One system call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// As strace wrote it.
    pub(crate) text: String,
    /// The paths among its arguments, made absolute by the handle they are
    /// relative to. Where no handle is named they count as the checkout's: a
    /// process may have gone there.
    pub(crate) paths: Vec<PathBuf>,
}

impl Call {
    fn parse(line: &str, dir: &Path) -> Option<Self> {
        // `4711  openat(AT_FDCWD</tmp/p>, ...`, without signals, exits, and second halves.
        let (_, text) = line.split_once(' ')?;
        let text = text.trim_start();
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        let (name, arguments) = text.split_once('(')?;
        Some(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            paths: paths(name, arguments, dir),
        })
    }

    pub(crate) fn starts_a_program(&self) -> bool {
        matches!(self.name.as_str(), "execve" | "execveat")
    }

    pub(crate) fn opens(&self) -> bool {
        matches!(self.name.as_str(), "open" | "openat" | "openat2" | "creat")
    }

    /// Whether it opens a file in order to change or make it.
    pub(crate) fn opens_to_write(&self) -> bool {
        let flags = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"];
        self.opens() && (self.name == "creat" || flags.iter().any(|flag| self.text.contains(flag)))
    }

    /// Whether it makes, moves, removes or changes what a path names.
    pub(crate) fn changes(&self) -> bool {
        let starts = [
            "mkdir",
            "rename",
            "unlink",
            "rmdir",
            "link",
            "symlink",
            "chmod",
            "fchmodat",
            "chown",
            "lchown",
            "fchownat",
            "truncate",
            "mknod",
            "utime",
            "utimensat",
            "futimesat",
            "setxattr",
            "lsetxattr",
            "removexattr",
            "lremovexattr",
            "mount",
            "umount",
        ];
        self.opens_to_write() || starts.iter().any(|start| self.name.starts_with(start))
    }
}

/// The paths of a call: each quoted argument, behind the handle before it.
/// Of a started program it is the program only, not its arguments.
fn paths(name: &str, arguments: &str, dir: &Path) -> Vec<PathBuf> {
    let mut base = dir.to_owned();
    let mut found = Vec::new();
    // Even parts stand outside of quotes, odd ones inside.
    let mut parts = arguments.split('"');
    while let Some(outside) = parts.next() {
        if let Some(handle) = annotated(outside) {
            base = handle;
        }
        let Some(quoted) = parts.next() else { break };
        found.push(plain(&base.join(quoted)));
        if name.starts_with("execve") {
            break;
        }
        dir.clone_into(&mut base);
    }
    found
}

/// The path of the last handle in some arguments: `7</tmp/p>, `.
fn annotated(arguments: &str) -> Option<PathBuf> {
    let (_, rest) = arguments.rsplit_once('<')?;
    let (path, _) = rest.split_once('>')?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Runs a command line under strace, in a directory, and returns the calls of
/// a class, those of its children included.
pub(crate) fn traced(
    sandbox: &Sandbox,
    dir: &Path,
    calls: &str,
    arguments: &[&str],
) -> (Said, Vec<Call>) {
    let trace = sandbox.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "4096", "-e"]);
    command.arg(format!("trace={calls}")).arg("-o").arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_sysroot")).args(arguments);
    command.env_clear().envs(&sandbox.env).current_dir(dir);
    let said = said(&mut command);
    let text = fs::read_to_string(&trace).unwrap();
    let calls: Vec<Call> = text.lines().filter_map(|l| Call::parse(l, dir)).collect();
    assert!(calls.len() > 10, "nothing was traced:\n{text}");
    (said, calls)
}

/// The programs that a run started, after the binary itself: what was typed
/// for each, in order.
pub(crate) fn started(calls: &[Call]) -> Vec<String> {
    let mut programs = calls.iter().filter(|call| call.starts_a_program());
    let own = programs.next().unwrap();
    assert_eq!(own.paths, [Path::new(env!("CARGO_BIN_EXE_sysroot"))]);
    programs.map(command_line).collect()
}

/// `execve("/bin/rustc", ["rustc", "-vV"], ...` as `/bin/rustc -vV`.
fn command_line(call: &Call) -> String {
    let arguments = call.text.split_once('[').map_or("", |(_, rest)| rest);
    let arguments = arguments.split("], ").next().unwrap();
    let words = arguments.split('"').skip(1).step_by(2).skip(1);
    let program = call.paths.first().unwrap().display().to_string();
    words.fold(program, |line, word| format!("{line} {word}"))
}

/// Files that run or load code for those who believe them, each of which
/// leaves a mark.
pub(crate) fn plant(project: &Path, marker: &Path) {
    let script = format!("#!/bin/sh\ntouch '{}'\nexec \"$@\"\n", marker.display());
    for program in [
        "rustc",
        "cargo",
        "bin/rustc",
        "wrapper",
        ".git/hooks/pre-commit",
        ".git/hooks/post-checkout",
        ".cargo/bin/rustc",
        "targets/linker",
        "cc",
    ] {
        let path = project.join(program);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let wrapper = quoted(&project.join("wrapper"));
    let cargo = format!(
        "[build]\nrustc = {wrapper}\nrustc-wrapper = {wrapper}\nrustflags = [\"-Clinker=wrapper\"]\n\
         [target.'cfg(all())']\nrunner = {wrapper}\nlinker = {wrapper}\n\
         [env]\nLD_PRELOAD = {{ value = {wrapper}, force = true }}\n"
    );
    let git = format!("[core]\nfsmonitor = {wrapper}\nhooksPath = .git/hooks\n");
    for (path, text) in [
        (".cargo/config.toml", cargo),
        (".git/config", git),
        (
            "rust-toolchain.toml",
            format!("[toolchain]\npath = {}\n", quoted(project)),
        ),
        (
            "build.rs",
            format!(
                "fn main() {{ std::fs::write({}, \"\").unwrap() }}\n",
                quoted(marker)
            ),
        ),
        (
            "Cargo.toml",
            "[package]\nname = \"p\"\nversion = \"0.1.0\"\nbuild = \"build.rs\"\n".to_owned(),
        ),
        ("src/lib.rs", String::new()),
        (
            "config.toml",
            "[dist]\nserver = \"http://127.0.0.1:1\"\n".to_owned(),
        ),
        (
            ".env",
            "SYSROOT_DIST_SERVER=http://127.0.0.1:1\n".to_owned(),
        ),
    ] {
        let path = project.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn a_trace_is_read_with_the_handles_that_its_paths_are_relative_to() {
    let dir = Path::new("/w/p");
    let of = |text: &str| Call::parse(text, dir).unwrap();
    for (text, want) in [
        (
            r#"1 openat(AT_FDCWD</x>, "a/../b", O_RDONLY) = 3</x/b>"#,
            &["/x/b"][..],
        ),
        (
            r#"1 openat2(5</x/y>, "c", {flags=O_RDONLY}, 24) = 3"#,
            &["/x/y/c"],
        ),
        (
            r#"1 renameat2(5</x>, "a", 6</y>, "/z/b", RENAME_NOREPLACE) = 0"#,
            &["/x/a", "/z/b"],
        ),
        (
            r#"1 open("build.rs", O_RDONLY <unfinished ...>"#,
            &["/w/p/build.rs"],
        ),
        (
            r#"1 execve("/bin/sh", ["sh", "-c", "x"], 0x1 /* 2 vars */) = 0"#,
            &["/bin/sh"],
        ),
    ] {
        let want: Vec<PathBuf> = want.iter().map(PathBuf::from).collect();
        assert_eq!(of(text).paths, want, "{text}");
    }
    assert!(of(r#"1 openat(3</x>, "a", O_WRONLY|O_CREAT, 0666) = 4"#).changes());
    assert!(!of(r#"1 openat(3</x>, "a", O_RDONLY) = 4"#).changes());
    let exec = of(r#"1 execve("/bin/rustc", ["rustc", "-vV"], 0x1 /* 2 vars */) = 0"#);
    assert_eq!(command_line(&exec), "/bin/rustc -vV");
    assert!(Call::parse("1 <... openat resumed>) = 3", dir).is_none());
}
