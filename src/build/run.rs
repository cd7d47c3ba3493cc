//! One cargo from start to end: its messages, its log, its death.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::cargo::expected_crates;
use super::messages::{self, Message};
use super::{BuildError, Builder, Job};
use crate::sys::{fs, process};

/// How long an interrupt may go unseen.
const PAUSE: Duration = Duration::from_millis(20);

/// The largest log that is searched for an error, in bytes.
const LOG_LIMIT: u64 = 64 << 20;

/// The longest line of cargo's that is kept, in bytes.
const LINE_LIMIT: u64 = 16 << 20;

/// A cargo at work; dies with everything it started when dropped.
struct Running {
    group: process::Group,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
        let _ = self.child.wait();
    }
}

/// Runs cargo to its end and returns the files of each library crate.
pub(super) fn run(
    builder: &Builder<'_>,
    job: &Job<'_>,
    command: &mut Command,
    log: &Path,
) -> Result<Vec<Vec<PathBuf>>, BuildError> {
    let failed = |source| BuildError::Run {
        program: builder.toolchain.cargo.clone(),
        source,
    };
    // Two builds of one target may run at once (`verify --rebuild` beside
    // `lock --repin`): each has a log of its own, and the last one the name.
    let mut log_file = fs::create_over(log)?;
    let errors = fs::at("write", log, log_file.try_clone())?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors);
    let group = process::Group::new().map_err(failed)?;
    let child = group.spawn(command).map_err(failed)?;
    let mut running = Running { group, child };
    let heard = listen(builder, &mut running, &mut log_file, log)?;
    let status = running.child.wait().map_err(failed)?;
    if status.success() {
        let said = fs::at("read", log, written(&mut log_file))?;
        if let Some(message) = ignored(&String::from_utf8_lossy(&said), job) {
            let target = job.target.clone();
            return Err(BuildError::Ignored { target, message });
        }
        return heard.complete(job, log);
    }
    let message = match heard.first_error {
        Some(message) => message,
        None => tail(&fs::at("read", log, written(&mut log_file))?),
    };
    Err(BuildError::Compile {
        target: job.target.clone(),
        status,
        message,
        log: log.to_owned(),
    })
}

/// What the back end left out of that which the recipe names. It only warns of
/// it, and what would be pinned is code for another processor.
fn ignored(log: &str, job: &Job<'_>) -> Option<String> {
    let spec = job.spec.map(|spec| String::from_utf8_lossy(spec.bytes));
    let is_asked_for = |name: &str| {
        let flags = job.options.rustflags.iter().map(String::as_str);
        flags.chain(spec.as_deref()).any(|text| text.contains(name))
    };
    let complaint = |line: &&str| {
        let name = line
            .strip_prefix('\'')
            .and_then(|rest| rest.split('\'').next());
        let name = name.map(|name| name.trim_start_matches(['+', '-']));
        line.contains("is not a recognized ")
            && name.is_some_and(|name| !name.is_empty() && is_asked_for(name))
    };
    log.lines().find(complaint).map(printable)
}

/// The start of what was written to a log.
fn written(log: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    log.rewind()?;
    log.take(LOG_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes messages until cargo closes its output or somebody stops the work.
fn listen(
    builder: &Builder<'_>,
    running: &mut Running,
    log_file: &mut File,
    log: &Path,
) -> Result<Heard, BuildError> {
    let lines = read_lines(running.child.stdout.take());
    let mut heard = Heard::default();
    loop {
        if let Err(stopped) = builder.cancel.check() {
            running.group.kill();
            builder.jobs.release_lost_token();
            return Err(stopped.into());
        }
        match lines.recv_timeout(PAUSE) {
            Ok(line) => heard.take(messages::parse(&line), log_file, log)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(heard),
        }
    }
}

/// What cargo has said so far.
#[derive(Default)]
struct Heard {
    libraries: Vec<(String, Vec<PathBuf>)>,
    first_error: Option<String>,
}

impl Heard {
    fn take(&mut self, message: Message, file: &mut File, log: &Path) -> Result<(), BuildError> {
        match message {
            Message::Library { name, files } => self.libraries.push((name, files)),
            Message::Compiler { text, is_error } => {
                fs::write_all(file, log, text.as_bytes())?;
                if is_error && self.first_error.is_none() {
                    self.first_error = Some(printable(&text));
                }
            }
            Message::Other => {}
        }
        Ok(())
    }

    /// The files, if every crate that was asked for is there.
    fn complete(self, job: &Job<'_>, log: &Path) -> Result<Vec<Vec<PathBuf>>, BuildError> {
        let has = |name: &&&str| self.libraries.iter().any(|(library, _)| library == **name);
        let mut expected = expected_crates(job.options.crates).iter();
        if let Some(missing) = expected.find(|name| !has(name)) {
            return Err(BuildError::Incomplete {
                target: job.target.clone(),
                missing: (*missing).to_owned(),
                log: log.to_owned(),
            });
        }
        Ok(self.libraries.into_iter().map(|(_, files)| files).collect())
    }
}

/// Reads lines on a thread of its own, which ends with the stream.
fn read_lines(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(64);
    if let Some(stream) = stream {
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                let read = (&mut stream).take(LINE_LIMIT).read_until(b'\n', &mut line);
                if !matches!(read, Ok(1..)) || sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// What is worth showing of a long output: what a program that cargo ran said,
/// else everything from the first error on, else the end.
pub(super) fn tail(output: &[u8]) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let quoted = lines.iter().position(|line| line.trim() == "--- stderr");
    let error = || lines.iter().position(|line| line.starts_with("error"));
    let start = quoted.map(|at| at + 1).or_else(error);
    let start = start.unwrap_or_else(|| lines.len().saturating_sub(LINES));
    let shown: Vec<&str> = lines.into_iter().skip(start).take(LINES).collect();
    printable(&shown.join("\n"))
}

/// Outside text without what a terminal would obey.
fn printable(text: &str) -> String {
    const LIMIT: usize = 8000;
    let shown = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.trim_end().chars().take(LIMIT).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_starts_at_the_first_error() {
        assert_eq!(
            tail(b"Compiling\n\nerror: no\n  caused by\n"),
            "error: no\n  caused by"
        );
        assert_eq!(tail(b"a\nb\x1b[2J\n"), "a\nb\u{fffd}[2J");
        assert_eq!(tail(b"error: ran x\n --- stderr\n y\n"), " y");
        assert_eq!(tail(b""), "");
        let many = "line\n".repeat(100);
        assert_eq!(tail(many.as_bytes()).lines().count(), 20);
    }
}
