//! `doctor`: whether this machine has what the other verbs need, and what to
//! do where it has not.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::failures::whole;
use super::{Context, OpsError, Project, ProjectFiles, system};
use crate::build::PROGRAM_PATH;
use crate::document::escape_controls;
use crate::events::Silent;
use crate::fetch::{DistServer, Mirrors, Options};
use crate::store::{Staging, Store, StoreError};
use crate::sys::{fs, process, space};
use crate::types::{Channel, Diagnostic};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Something is missing that not everybody needs.
    Note,
    /// Something does not work.
    Bad,
}

impl Verdict {
    /// The verdict in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Checkup {
    /// All is well.
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        let (verdict, found, remedy) = (Verdict::Good, found.into(), None);
        Self {
            check,
            verdict,
            found,
            remedy,
        }
    }

    /// Something went wrong, and the error says what to do.
    pub fn failed(check: &'static str, error: &dyn Diagnostic) -> Self {
        let mut found = error.to_string();
        let mut cause = error.source();
        while let Some(e) = cause {
            found = format!("{found}: {e}");
            cause = e.source();
        }
        Self {
            check,
            verdict: Verdict::Bad,
            found,
            remedy: error.hint(),
        }
    }

    fn other(check: &'static str, verdict: Verdict, found: String, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self {
            check,
            verdict,
            found,
            remedy,
        }
    }

    fn note(check: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        Self::other(check, Verdict::Note, found.into(), remedy)
    }

    fn bad(check: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        Self::other(check, Verdict::Bad, found.into(), remedy)
    }
}

/// Less room than this is not enough for one toolchain, in bytes.
const ROOM_FOR_ONE: u64 = 2 << 30;
/// Less room than this is soon used up, in bytes.
const ROOM_FOR_SOME: u64 = 8 << 30;
/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at everything; makes the cache directory if there is none. `place` is
/// where an output would be, and `project` what is there.
pub fn doctor(
    cx: &Context<'_>,
    place: &Path,
    project: Result<ProjectFiles, OpsError>,
) -> Vec<Checkup> {
    let mut found = cache(cx, place);
    found.extend(servers(cx));
    found.extend(match project.and_then(ProjectFiles::load) {
        Ok(project) => system_toolchain(cx, &project),
        Err(OpsError::NoManifest(_)) => None,
        // That is no fault of the machine, but what it needs is not known then.
        Err(e) => Some(Checkup {
            verdict: Verdict::Note,
            ..Checkup::failed("project", &e)
        }),
    });
    found.push(program(
        cx,
        "cargo",
        "install one, or use `sysroot run -- cargo ...`, which brings the project's own",
    ));
    found.push(program(
        cx,
        "rustup",
        "nothing needs it but `sysroot link`; otherwise leave it",
    ));
    found.push(compiler());
    found
}

/// Whether the cache can be used, and what its file system can do.
fn cache(cx: &Context<'_>, project: &Path) -> Vec<Checkup> {
    let opened = cx.store().map(|store| {
        let staging = store.stage(cx.observer, cx.cancel);
        (store, staging)
    });
    let place = cx.settings.cache.display();
    match opened {
        Ok((store, Ok(staging))) => {
            let mut found = vec![Checkup::good("cache", format!("`{place}` can be used"))];
            found.extend(file_system(cx, &store, &staging, project));
            found
        }
        // That is enough for whoever finds all that he needs there.
        Ok((_, Err(StoreError::Fs(e)))) if e.source.kind() == ErrorKind::ReadOnlyFilesystem => {
            vec![Checkup::note(
                "cache",
                format!("`{place}` can only be read: what it has is used, and nothing is added"),
                "if something is missing from it, name another place in SYSROOT_CACHE_DIR",
            )]
        }
        Ok((_, Err(e))) => vec![Checkup::failed("cache", &e)],
        Err(e) => vec![Checkup::failed("cache", &e)],
    }
}

/// What a project of the machine's own toolchain takes from the machine.
fn system_toolchain(cx: &Context<'_>, project: &Project) -> Option<Checkup> {
    if project.manifest.channel != Channel::System {
        return None;
    }
    let check = "system toolchain";
    let found = system::find(cx).and_then(|toolchain| {
        if let Some(file) = project.read_lock()? {
            system::check(&toolchain, &file.lock)?;
        }
        Ok(toolchain)
    });
    Some(match found {
        Ok(toolchain) => {
            let (version, path) = (&toolchain.version.first_line, toolchain.rustc.display());
            Checkup::good(check, format!("{version} (`{path}`), with its sources"))
        }
        Err(e) => Checkup::failed(check, &e),
    })
}

fn file_system(cx: &Context<'_>, store: &Store, staging: &Staging, project: &Path) -> Vec<Checkup> {
    let remedy = "put the cache on a local file system: SYSROOT_CACHE_DIR";
    let file = staging.path().join("file");
    let locks = fs::write_new(&file, b"doctor")
        .and_then(|handle| fs::try_lock(&handle, &file))
        .map(|_| Checkup::good("locks", "processes can wait for each other"));
    let locks = locks.unwrap_or_else(|e| {
        let text = format!("{e}: {}; processes may do the same work at once", e.source);
        Checkup::note("locks", text, remedy)
    });
    let clones = fs::reflink(&file, &staging.path().join("clone"));
    let apart = space::is_shared(store.layout().root(), project) == Some(false);
    let links = match clones {
        Ok(true) if !apart => Checkup::good("reflink", "files of the cache take no room twice"),
        Ok(true) => Checkup::note(
            "reflink",
            "cache and project are on two file systems, so files are copied",
            "put both on one file system to save room and time",
        ),
        Ok(false) => Checkup::note(
            "reflink",
            "the cache's file system has none, so files are copied",
            "use Btrfs or XFS, or see SYSROOT_LINK_MODE=hardlink",
        ),
        Err(e) => Checkup::failed("reflink", &e),
    };
    vec![locks, links, room(&cx.settings.cache)]
}

fn room(cache: &Path) -> Checkup {
    let remedy = "`sysroot cache gc` removes what no project uses; SYSROOT_CACHE_DIR names \
                  another place";
    let Some(free) = space::free(cache) else {
        return Checkup::note("space", "it cannot be told how much is free", remedy);
    };
    let tenths = free / (1 << 30) * 10 + free % (1 << 30) * 10 / (1 << 30);
    let text = format!("{}.{} GiB are free for the cache", tenths / 10, tenths % 10);
    match free {
        free if free < ROOM_FOR_ONE => Checkup::bad("space", text, remedy),
        free if free < ROOM_FOR_SOME => Checkup::note("space", text, remedy),
        _ => Checkup::good("space", text),
    }
}

/// Asks each server for a small file that it need not have. One that cannot
/// be reached is bad if no other one can.
fn servers(cx: &Context<'_>) -> Vec<Checkup> {
    let check = "dist server";
    let mut found: Vec<Checkup> = Vec::new();
    for text in &cx.settings.dist_servers {
        let server = DistServer::parse(text);
        let dir = server.as_ref().ok().and_then(DistServer::local_directory);
        let is_dir = dir.map(Path::is_dir);
        found.push(match server {
            Err(e) => Checkup::failed(check, &e),
            Ok(server) if is_dir == Some(true) => {
                Checkup::good(check, format!("`{server}` is a directory"))
            }
            Ok(server) if is_dir == Some(false) => {
                let remedy = "mount it, or name another one in SYSROOT_DIST_SERVER";
                Checkup::bad(check, format!("`{server}` is no directory"), remedy)
            }
            Ok(server) if cx.settings.offline => {
                let text = format!("`{server}` was not asked: the network is off");
                Checkup::note(check, text, "run `sysroot doctor` without --offline")
            }
            Ok(server) => {
                let shown = server.to_string();
                match reach(cx, server) {
                    Ok(()) => Checkup::good(check, format!("`{shown}` answers")),
                    Err(e) => Checkup::failed(check, &e),
                }
            }
        });
    }
    if found.iter().any(|checkup| checkup.verdict == Verdict::Good) {
        for checkup in &mut found {
            if checkup.verdict == Verdict::Bad {
                checkup.verdict = Verdict::Note;
            }
        }
    }
    found
}

fn reach(cx: &Context<'_>, server: DistServer) -> Result<(), OpsError> {
    let options = Options {
        attempts: 1,
        connect_timeout: Duration::from_secs(5),
        first_byte_timeout: Duration::from_secs(10),
        cancel: cx.cancel.clone(),
        proxies: cx.settings.proxy.clone(),
        ..Options::default()
    };
    let mirrors = Mirrors::new(vec![server], &options, &Silent)?;
    let path = "dist/channel-rust-stable.toml".parse();
    mirrors.signature(0, &path.map_err(OpsError::ServerPath)?)?;
    Ok(())
}

/// A program that is found on PATH and tells its version.
fn program(cx: &Context<'_>, name: &'static str, remedy: &str) -> Checkup {
    let Some(path) = system::on_path(cx, name) else {
        return Checkup::note(name, "it is not on PATH", remedy);
    };
    let mut command = process::inherited(path.as_os_str());
    // Not here, where a `rust-toolchain.toml` could have rustup's proxy install
    // another toolchain.
    let said = process::ask(command.arg("--version").current_dir("/"), PATIENCE);
    match said {
        Ok(said) if said.status.success() => {
            let version = said.stdout.lines().next().unwrap_or_default().to_owned();
            Checkup::good(name, format!("{version} (`{}`)", path.display()))
        }
        Ok(said) => {
            let text = said.stderr.lines().next().unwrap_or_default();
            let text = format!(
                "`{}` does not work: {}",
                path.display(),
                escape_controls(text)
            );
            Checkup::note(name, text, remedy)
        }
        Err(source) => {
            let program = path.display().to_string();
            Checkup::note(name, whole(&OpsError::Run { program, source }), remedy)
        }
    }
}

/// The linker of the library's build scripts, where builds look for it.
fn compiler() -> Checkup {
    let mut dirs = PROGRAM_PATH.split(':').map(Path::new);
    match dirs.find(|dir| dir.join("cc").is_file()) {
        Some(dir) => Checkup::good("cc", format!("`{}`", dir.join("cc").display())),
        None => Checkup::note(
            "cc",
            format!("there is none in {PROGRAM_PATH}"),
            "install a C compiler (Debian: gcc) if a target is compiled: the library has build \
             scripts",
        ),
    }
}
