//! External programs: the one place that makes a `Command`, and the ways to
//! run one that cannot outlive its purpose.
//!
//! A [`Group`] dies with us: on [`Group::kill`], when it is dropped, and even
//! when this process is killed without warning.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what the others must use instead"
)]

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// The user's file mode mask. It cannot be asked for without being changed, but
/// Linux tells it in a file.
#[cfg(unix)]
pub fn mask() -> u32 {
    use std::sync::OnceLock;
    static MASK: OnceLock<u32> = OnceLock::new();
    *MASK.get_or_init(|| {
        let told = super::fs::read_text(Path::new("/proc/self/status"), 1 << 16);
        let told = told.ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        });
        told.unwrap_or_else(|| {
            // Whoever makes a file at this very moment makes it private.
            let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
            rustix::process::umask(mask);
            mask.bits()
        })
    })
}

/// The user's file mode mask, which this system has not.
#[cfg(not(unix))]
pub fn mask() -> u32 {
    0
}

/// A command with an empty environment, for programs whose result must not
/// depend on the user's.
pub fn isolated(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// A command with the user's environment, for programs the user named.
pub fn inherited(program: &std::ffi::OsStr) -> Command {
    Command::new(program)
}

/// What to do about a program that the system does not start.
pub fn hint(program: &Path, error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| {
        format!(
            "if the file system of `{}` is mounted `noexec`, set SYSROOT_CACHE_DIR to a directory \
             on one from which programs may be started",
            program.display()
        )
    })
}

/// A process group that is killed as a whole.
///
/// Its leader is a shell that waits for the end of its standard input, which
/// is a pipe only we hold: the kernel closes it when we die, however we die,
/// and the shell then kills its own group. As long as the leader is not
/// reaped the group's number cannot be given to somebody else.
#[derive(Debug)]
pub struct Group {
    leader: Child,
}

impl Group {
    /// Starts the leader of a new group.
    pub fn new() -> io::Result<Self> {
        let mut command = isolated(Path::new("/bin/sh"));
        command
            .args(["-c", "read -r line; kill -KILL 0"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let leader = command.spawn()?;
        Ok(Self { leader })
    }

    /// Starts a program inside the group.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        #[cfg(unix)]
        {
            let id = self.leader.id().cast_signed();
            std::os::unix::process::CommandExt::process_group(command, id);
        }
        command.spawn()
    }

    /// Kills every process of the group.
    pub fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = rustix::process::Pid::from_raw(self.leader.id().cast_signed()) {
            // Fails only when there is no process left.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.leader.kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let _ = self.leader.wait();
    }
}

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, at most the limit.
    pub stdout: String,
    /// Standard error, at most the limit.
    pub stderr: String,
}

/// The most that [`ask`] keeps of each output stream, in bytes.
const SAID_LIMIT: u64 = 4 << 20;

/// How long an output stream may stay open after the program's end.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Runs a short program to its end, with nothing on its standard input.
///
/// After `limit` it is killed with everything it started, and the error is of
/// kind `TimedOut`.
pub fn ask(command: &mut Command, limit: Duration) -> io::Result<Said> {
    ask_unless(command, limit, || false)
}

/// Like [`ask`]; once `stop` says so the program is killed, too, and the error
/// is of kind `Interrupted`.
pub fn ask_unless(
    command: &mut Command,
    limit: Duration,
    stop: impl Fn() -> bool,
) -> io::Result<Said> {
    let (status, stdout, stderr) = run(command, limit, SAID_LIMIT, stop)?;
    let text =
        |stream| String::from_utf8_lossy(&received(&stream).unwrap_or_default()).into_owned();
    Ok(Said {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

/// Like [`ask_unless`] for a program that prints a file: how it ended, its
/// standard output as it is, and its standard error.
///
/// Of the output `most` bytes are kept. A program that prints more than that
/// may end because nobody listens any more.
pub fn bytes_unless(
    command: &mut Command,
    limit: Duration,
    most: u64,
    stop: impl Fn() -> bool,
) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    let (status, stdout, stderr) = run(command, limit, most, stop)?;
    let stdout = received(&stdout).ok_or(io::ErrorKind::TimedOut)?;
    let stderr = received(&stderr).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok((status, stdout, stderr))
}

/// The whole of an output stream, unless something still holds it open.
fn received(stream: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    stream.recv_timeout(DRAIN_LIMIT).ok()
}

type Ended = (ExitStatus, Receiver<Vec<u8>>, Receiver<Vec<u8>>);

/// Runs a program to its end; of its standard output `most` bytes are kept.
fn run(
    command: &mut Command,
    limit: Duration,
    most: u64,
    stop: impl Fn() -> bool,
) -> io::Result<Ended> {
    let mut group = Group::new()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = group.spawn(command)?;
    let stdout = drain(child.stdout.take(), most);
    let stderr = drain(child.stderr.take(), SAID_LIMIT);
    let status = wait(&mut child, limit, stop);
    // Whatever the program left behind may still hold the pipes; what even
    // escaped from the group must not hold us.
    group.kill();
    if status.is_err() {
        let _ = child.wait();
    }
    Ok((status?, stdout, stderr))
}

/// Reads a stream on a thread of its own.
fn drain(stream: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What arrived before a fault is still worth showing.
            let _ = stream.take(most).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

fn wait(child: &mut Child, limit: Duration, stop: impl Fn() -> bool) -> io::Result<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if start.elapsed() > limit {
            let text = format!("no answer within {} seconds", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = isolated(Path::new("/bin/sh"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_ends_is_heard() {
        let said = ask(
            &mut shell("echo out; echo err >&2; exit 3"),
            Duration::from_secs(10),
        );
        let said = said.unwrap();
        assert_eq!(
            (said.stdout.as_str(), said.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(said.status.code(), Some(3));
    }

    #[test]
    fn no_more_than_was_asked_for_is_kept_of_endless_output() {
        let mut command = shell("while :; do printf '\\377'; done");
        let said = bytes_unless(&mut command, Duration::from_secs(100), 4096, || false);
        let (status, bytes, _) = said.unwrap();
        assert_eq!(bytes, [0xff; 4096]);
        assert!(!status.success());
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let mut command = shell("sleep 1000 & sleep 1000");
        let error = ask(&mut command, Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_child_that_keeps_the_pipe_open_does_not_hold_us() {
        let said = ask(
            &mut shell("sleep 1000 & echo done"),
            Duration::from_secs(10),
        )
        .unwrap();
        assert_eq!(said.stdout, "done\n");
    }

    #[test]
    fn a_child_that_leaves_the_group_does_not_hold_us_for_ever() {
        let mut command = shell("/usr/bin/setsid sleep 3 & echo done");
        let said = ask(&mut command, Duration::from_secs(10)).unwrap();
        assert!(said.status.success());
    }

    #[test]
    fn a_program_is_stopped_on_request() {
        let error = ask_unless(&mut shell("sleep 1000"), Duration::from_secs(100), || true);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
