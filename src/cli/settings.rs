//! The environment and the flags, made into settings. The only place that
//! reads the environment.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the place the environment is read"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use toml::Spanned;

use super::args::Global;
use crate::config::{self, Config, Fault};
use crate::document::Document;
use crate::fetch::Proxies;
use crate::materialize::LinkMode;
use crate::ops::Settings;
use crate::remote::sign::PublicKey;
use crate::remote::{Access, Remote, RemoteError, RemoteSettings, TokenError};
use crate::sys::fs;
use crate::sys::owner::{self, Owned};
use crate::types::{Class, Date, Diagnostic, Triple};

/// Upstream's own server.
const UPSTREAM: &str = "https://static.rust-lang.org";

/// The environment is not usable.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    /// A variable has a value that means nothing.
    #[error("the environment variable {name} is `{}`: {reason}", .value.escape_debug())]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration file cannot be read.
    #[error("cannot use the configuration file `{}`", .path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: crate::sys::fs::FsError,
    },
    /// The configuration file says something wrong.
    #[error("{0}")]
    Config(Fault),
    /// A remote or a key of the configuration file. Its line is not quoted: it
    /// may have a password in it.
    #[error("{0}")]
    ConfigValue(Fault),
    /// A variable that holds a secret, which is not repeated.
    #[error("the environment variable {name} cannot be used")]
    Secret {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
    /// A remote, a key or a credential.
    #[error(transparent)]
    Remote(RemoteError),
    /// Somebody else owns the configuration file, or may write to it.
    #[error("the configuration file `{}` {reason}", .path.display())]
    ForeignConfig {
        /// The file.
        path: PathBuf,
        /// Who else may change it.
        reason: String,
    },
    /// There is no home directory to put a cache in.
    #[error("there is no cache directory: HOME is not set to an absolute path")]
    NoHome,
    /// The working directory is gone or cannot be read.
    #[error("cannot use the directory `{}`", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Diagnostic for SettingsError {
    fn class(&self) -> Class {
        match self {
            Self::Variable { .. }
            | Self::Secret { .. }
            | Self::NoHome
            | Self::ConfigFile { .. }
            | Self::Config(_)
            | Self::ConfigValue(_) => Class::Usage,
            Self::Remote(e) => e.class(),
            Self::ForeignConfig { .. } => Class::Trust,
            Self::Directory { .. } => Class::FileSystem,
        }
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Config(fault) => Some(fault.excerpt().to_owned()),
            Self::Variable { .. }
            | Self::Secret { .. }
            | Self::ConfigValue(_)
            | Self::Remote(_)
            | Self::NoHome
            | Self::ConfigFile { .. }
            | Self::ForeignConfig { .. }
            | Self::Directory { .. } => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Remote(e) => e.hint(),
            Self::Variable { name, .. } | Self::Secret { name, .. } => {
                Some(format!("unset {name}, or correct it"))
            }
            Self::NoHome => Some("set SYSROOT_CACHE_DIR".to_owned()),
            Self::Config(fault) | Self::ConfigValue(fault) => fault.hint().map(str::to_owned),
            Self::ConfigFile { .. } => Some("correct SYSROOT_CONFIG, or the file".to_owned()),
            Self::ForeignConfig { path, .. } => {
                Some(format!("make `{}` yours alone to write", path.display()))
            }
            Self::Directory { .. } => None,
        }
    }
}

/// A variable's value; an empty one counts as not set.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &'static str) -> Result<Option<String>, SettingsError> {
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    value
        .into_string()
        .map(Some)
        .map_err(|value| SettingsError::Variable {
            name,
            value: value.to_string_lossy().into_owned(),
            reason: "it is not UTF-8".to_owned(),
        })
}

/// A switch: set to anything but `0` and `false` means on.
fn switch(name: &str) -> bool {
    variable(name).is_some_and(|value| value != "0" && value != "false")
}

/// Whether we run in continuous integration.
pub(super) fn in_ci() -> bool {
    switch("CI")
}

/// Whether the user wants no colours.
pub(super) fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// Whether the terminal cannot move its cursor, as those inside of editors.
pub(super) fn is_dumb_terminal() -> bool {
    // Elsewhere than on unix nobody sets it.
    variable("TERM").map_or(cfg!(unix), |term| term == "dumb")
}

/// The toolchain that rustup's proxies are told to use, whatever else says.
pub(super) fn rustup_toolchain() -> Option<OsString> {
    variable("RUSTUP_TOOLCHAIN")
}

/// The PATH as the user has it.
pub(super) fn path() -> OsString {
    variable("PATH").unwrap_or_default()
}

/// Whether this runs as a step of GitHub Actions, or of what imitates it.
pub(super) fn on_github() -> bool {
    variable("GITHUB_ACTIONS").is_some()
}

/// Where GitHub Actions has the repository; places in annotations are told
/// from there.
pub(super) fn github_workspace() -> Option<PathBuf> {
    let path = PathBuf::from(variable("GITHUB_WORKSPACE")?);
    path.is_absolute().then_some(path)
}

/// Reads the environment; `jobs` is the flag's value.
pub(super) fn settings(global: &Global, jobs: Option<u16>) -> Result<Settings, SettingsError> {
    let config = user_config()?;
    Ok(Settings {
        remotes: remotes(&config)?,
        dist_servers: dist_servers(&config)?,
        config,
        cache: cache_dir()?,
        offline: global.offline || switch("SYSROOT_OFFLINE"),
        jobs: jobs_setting(jobs)?,
        link_mode: link_mode()?,
        host: own_host(),
        rustc: variable("SYSROOT_RUSTC").map(system_rustc),
        search_path: std::env::split_paths(&path())
            .filter(|p| p.is_absolute())
            .collect(),
        proxy: proxy()?,
        today: Date::new(
            jiff::Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date(),
        ),
        now: now()?,
    })
}

/// Seconds since 1970; the tests turn this clock with `SYSROOT_FAULT_NOW`.
#[cfg_attr(
    not(feature = "fault-injection"),
    expect(clippy::unnecessary_wraps, reason = "a turned clock may be none")
)]
fn now() -> Result<u64, SettingsError> {
    #[cfg(feature = "fault-injection")]
    if let Some(turned) = text("SYSROOT_FAULT_NOW")? {
        return turned.parse().map_err(|_| SettingsError::Variable {
            name: "SYSROOT_FAULT_NOW",
            value: turned,
            reason: "expected seconds since 1970".to_owned(),
        });
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(since.map_or(0, |since| since.as_secs()))
}

/// The dist servers in the order they are asked: the environment's, then the
/// configuration's; upstream's if neither names one.
fn dist_servers(config: &Config) -> Result<Vec<String>, SettingsError> {
    let named = match text("SYSROOT_DIST_SERVER")? {
        Some(server) => Some(server),
        None => text("RUSTUP_DIST_SERVER")?,
    };
    let mut servers: Vec<String> = named.into_iter().collect();
    for server in &config.dist.servers {
        if !servers.contains(server) {
            servers.push(server.clone());
        }
    }
    if servers.is_empty() {
        servers.push(UPSTREAM.to_owned());
    }
    Ok(servers)
}

/// The system's compiler: a path from where the user stands, or a bare name,
/// which is looked up on PATH and never in the working directory.
fn system_rustc(value: OsString) -> PathBuf {
    let path = PathBuf::from(value);
    if path.components().count() < 2 {
        return path;
    }
    std::path::absolute(&path).unwrap_or(path)
}

/// The triple this binary was compiled for.
fn own_host() -> Triple {
    let triple = env!("SYSROOT_HOST");
    // Cargo's own TARGET, from the build script: always a target name.
    #[expect(clippy::expect_used, reason = "a test holds that the constant parses")]
    triple.parse().expect("the build target's name")
}

/// The user who became root by sudo, by number.
pub(super) fn sudo_user() -> Option<u32> {
    variable("SUDO_UID")?.to_str()?.parse().ok()
}

/// Where the user's configuration is: `SYSROOT_CONFIG`, else the platform's
/// place. Without a home directory there is none.
fn config_path() -> Option<PathBuf> {
    if let Some(path) = variable("SYSROOT_CONFIG") {
        return Some(PathBuf::from(path));
    }
    let dir = etcetera::choose_base_strategy().ok()?.config_dir();
    dir.is_absolute().then(|| dir.join("sysroot/config.toml"))
}

/// Reads the user's configuration, which names the keys that are trusted: one
/// that somebody else could have written is refused. An absent file in the
/// platform's place says nothing, one that `SYSROOT_CONFIG` names must be there.
fn user_config() -> Result<Config, SettingsError> {
    let Some(path) = config_path() else {
        return Ok(Config::default());
    };
    let bytes = match owner::read(&path, config::MAX_SIZE) {
        Ok(Owned::Ours(bytes)) => bytes,
        Ok(Owned::Foreign(reason)) => {
            return Err(SettingsError::ForeignConfig { path, reason });
        }
        Err(e)
            if e.source.kind() == std::io::ErrorKind::NotFound
                && variable("SYSROOT_CONFIG").is_none() =>
        {
            return Ok(Config::default());
        }
        Err(source) => return Err(SettingsError::ConfigFile { path, source }),
    };
    let text = match fs::text("read", &path, bytes) {
        Ok(text) => text,
        Err(source) => return Err(SettingsError::ConfigFile { path, source }),
    };
    let mut config = Config::parse(&text, &path).map_err(SettingsError::Config)?;
    check_values(&config, &Document::new(&path, &text)).map_err(SettingsError::ConfigValue)?;
    let dir = path.parent().unwrap_or(Path::new(""));
    for key in &mut config.dist.signing_keys {
        *key = dir.join(&*key);
    }
    Ok(config)
}

/// Checks the values that the file's reader does not know the meaning of, while
/// their places are known.
fn check_values(config: &Config, doc: &Document<'_>) -> Result<(), Fault> {
    for remote in &config.remotes {
        Remote::from_config(remote).map_err(|error| match &error {
            RemoteError::Namespace(_) => fault(doc, &remote.namespace, &error),
            _ => fault(doc, &remote.url, &error),
        })?;
    }
    for key in &config.trust.keys {
        let read = key.get_ref().parse::<PublicKey>();
        read.map_err(|error| fault(doc, key, &error))?;
    }
    Ok(())
}

fn fault(doc: &Document<'_>, value: &Spanned<String>, error: &dyn Diagnostic) -> Fault {
    let fault = doc.fault(value.span(), error.to_string());
    match error.hint() {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

fn cache_dir() -> Result<PathBuf, SettingsError> {
    if let Some(dir) = variable("SYSROOT_CACHE_DIR") {
        let path = PathBuf::from(&dir);
        if path.is_absolute() {
            return Ok(path);
        }
        let (name, value) = ("SYSROOT_CACHE_DIR", dir.to_string_lossy().into_owned());
        let reason = "it is not an absolute path".to_owned();
        return Err(SettingsError::Variable {
            name,
            value,
            reason,
        });
    }
    let base = etcetera::choose_base_strategy().map_err(|_| SettingsError::NoHome)?;
    let cache = base.cache_dir();
    if cache.is_absolute() {
        Ok(cache.join("sysroot"))
    } else {
        Err(SettingsError::NoHome)
    }
}

fn jobs_setting(flag: Option<u16>) -> Result<usize, SettingsError> {
    if let Some(jobs) = flag {
        return Ok(usize::from(jobs));
    }
    let name = "SYSROOT_JOBS";
    let Some(value) = text(name)? else {
        return Ok(std::thread::available_parallelism().map_or(1, usize::from));
    };
    if let Ok(jobs @ 1..=1024) = value.parse::<u16>() {
        return Ok(usize::from(jobs));
    }
    let reason = "expected a number from 1 to 1024".to_owned();
    Err(SettingsError::Variable {
        name,
        value,
        reason,
    })
}

fn link_mode() -> Result<LinkMode, SettingsError> {
    let name = "SYSROOT_LINK_MODE";
    let Some(value) = text(name)? else {
        return Ok(LinkMode::Reflink);
    };
    LinkMode::from_name(&value).ok_or_else(|| SettingsError::Variable {
        name,
        value,
        reason: "expected `reflink`, `hardlink` or `copy`".to_owned(),
    })
}

/// The remotes of the configuration and of the environment, and everything
/// that their clients take from the environment.
fn remotes(config: &Config) -> Result<RemoteSettings, SettingsError> {
    let name = "SYSROOT_REMOTE_ACCESS";
    let access = match text(name)?.as_deref() {
        None | Some("read") => Access::Read,
        Some("read-write") => Access::ReadWrite,
        Some(value) => {
            return Err(SettingsError::Variable {
                name,
                value: value.to_owned(),
                reason: "expected `read` or `read-write`".to_owned(),
            });
        }
    };
    let name = "SYSROOT_REMOTE_TOKEN";
    // Not by `text`, whose error repeats the value.
    let tokens = variable(name).unwrap_or_default().into_string();
    let tokens = tokens.map_err(|_| TokenError).and_then(|t| t.parse());
    let tokens = tokens.map_err(|source| SettingsError::Secret { name, source })?;
    let urls = text("SYSROOT_REMOTE")?;
    let new = RemoteSettings::new(config, urls.as_deref(), access, tokens, store_variables());
    new.map_err(SettingsError::Remote)
}

/// The variables of the object stores. Their clients also look for what their
/// own platforms leave there: a web identity token, a metadata server.
fn store_variables() -> Vec<(String, String)> {
    const PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
    let is_of_store = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| is_of_store(name) && !value.is_empty())
        .collect()
}

/// Where `cache keygen` writes a key if it is not told: beside the
/// configuration file.
pub(super) fn signing_key_path() -> Result<PathBuf, SettingsError> {
    let base = etcetera::choose_base_strategy().map_err(|_| SettingsError::NoHome)?;
    let dir = base.config_dir();
    if dir.is_absolute() {
        Ok(dir.join("sysroot/signing-key"))
    } else {
        Err(SettingsError::NoHome)
    }
}

fn proxy() -> Result<Proxies, SettingsError> {
    let either = |upper, lower| match text(lower)? {
        Some(value) => Ok(Some(value)),
        None => text(upper),
    };
    Ok(Proxies {
        all: either("ALL_PROXY", "all_proxy")?,
        // Upper case HTTP_PROXY can be set by a request header in CGI
        // programs, so only the lower case counts, as in curl.
        http: text("http_proxy")?,
        https: either("HTTPS_PROXY", "https_proxy")?,
        none_for: either("NO_PROXY", "no_proxy")?.unwrap_or_default(),
    })
}

/// The working directory of the process, whatever `-C` says; `None` if it is gone.
pub(super) fn working_directory() -> Option<PathBuf> {
    std::env::current_dir().ok()
}

/// The directory to start from: `-C`, else the working directory.
pub(super) fn start_directory(global: &Global) -> Result<PathBuf, SettingsError> {
    let current = || {
        std::env::current_dir().map_err(|source| SettingsError::Directory {
            path: PathBuf::from("."),
            source,
        })
    };
    let Some(dir) = &global.directory else {
        return current();
    };
    let dir = if dir.is_absolute() {
        dir.clone()
    } else {
        current()?.join(dir)
    };
    check_directory(&dir)?;
    Ok(dir)
}

fn check_directory(path: &Path) -> Result<(), SettingsError> {
    let metadata = std::fs::metadata(path);
    let found = metadata.and_then(|m| {
        if m.is_dir() {
            Ok(())
        } else {
            Err(std::io::ErrorKind::NotADirectory.into())
        }
    });
    found.map_err(|source| SettingsError::Directory {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_of_this_build_is_a_target_name() {
        assert!(!super::own_host().as_str().is_empty());
    }
}
