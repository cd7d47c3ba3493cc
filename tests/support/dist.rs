//! A dist server's tree: dated channel manifests and the components they name.
//!
//! ```text
//! let tree = DistTree::builder()
//!     .release(Release::nightly("2026-05-20").packages(packages))
//!     .write(&packer, root)?;
//! ```
//!
//! The manifests carry upstream's URLs, as a mirror's copies do, so a tree can
//! be served from anywhere with `RUSTUP_DIST_SERVER` or `SYSROOT_DIST_SERVER`.
#![expect(
    clippy::disallowed_methods,
    reason = "what the tests make is no business of the tool's file layer"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use toml::{Table, Value};

use super::pack::{Package, Packed, Packer, sha256};
use super::sources;

/// What the manifests' URLs begin with, for readers to replace.
pub(crate) const UPSTREAM: &str = "https://static.rust-lang.org";

/// The days of [`DistTree::real`]: the first has everything.
pub(crate) const REAL_DATES: [&str; 2] = ["2026-05-26", "2026-05-27"];

/// The other processor that Debian's packages are installed for.
pub(crate) const FOREIGN: &str = "aarch64-unknown-linux-gnu";

/// What every toolchain consists of; other components of the host are optional.
const MINIMAL: [&str; 3] = ["rustc", "cargo", "rust-std"];

/// One day's publication.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    date: String,
    channel: String,
    packages: Vec<Package>,
    unavailable: BTreeSet<(String, String)>,
}

impl Release {
    /// The nightly of a date.
    pub(crate) fn nightly(date: &str) -> Self {
        Self::new("nightly", date)
    }

    /// `channel` is `nightly`, `beta`, or a release's number.
    pub(crate) fn new(channel: &str, date: &str) -> Self {
        Self {
            date: date.to_owned(),
            channel: channel.to_owned(),
            packages: Vec::new(),
            unavailable: BTreeSet::new(),
        }
    }

    /// Adds a component.
    pub(crate) fn package(mut self, package: Package) -> Self {
        self.packages.push(package);
        self
    }

    /// Adds components.
    pub(crate) fn packages(mut self, packages: impl IntoIterator<Item = Package>) -> Self {
        self.packages.extend(packages);
        self
    }

    /// Lists a component as known but missing on this day.
    pub(crate) fn unavailable(mut self, package: &str, target: &str) -> Self {
        self.unavailable
            .insert((package.to_owned(), target.to_owned()));
        self
    }

    /// `dist/<date>`, where the archives lie, also a numbered release's.
    fn directory(&self) -> String {
        format!("dist/{}", self.date)
    }

    /// A package's version as that of this channel: `1.97.0-nightly (…)` in
    /// the release 1.96.0 is `1.96.0 (…)`.
    fn version(&self, package: &str) -> String {
        let (number, behind) = match package.split_once(' ') {
            Some((number, behind)) => (number, format!(" {behind}")),
            None => (package, String::new()),
        };
        let plain = number.split('-').next().unwrap_or(number);
        match self.channel.as_str() {
            "nightly" => format!("{plain}-nightly{behind}"),
            "beta" => format!("{plain}-beta.1{behind}"),
            release => format!("{release}{behind}"),
        }
    }

    fn manifest_name(&self) -> String {
        format!("channel-rust-{}.toml", self.channel)
    }

    fn is_numbered(&self) -> bool {
        self.channel.starts_with(|c: char| c.is_ascii_digit())
    }

    fn hosts(&self) -> BTreeSet<&str> {
        let compilers = self
            .packages
            .iter()
            .filter(|package| package.name == "rustc");
        compilers
            .filter_map(|package| package.target.as_deref())
            .collect()
    }
}

/// A tree that can be served.
#[derive(Clone, Debug)]
pub(crate) struct DistTree {
    root: PathBuf,
}

impl DistTree {
    pub(crate) fn builder() -> DistTreeBuilder {
        DistTreeBuilder {
            releases: Vec::new(),
        }
    }

    /// Debian's compiler as the nightlies of [`REAL_DATES`], with the library's
    /// sources and `rust-std` for the host and aarch64-unknown-linux-gnu. The
    /// second day lacks the latter, as happens.
    pub(crate) fn real(root: &Path) -> io::Result<Self> {
        let packer = Packer::shared();
        let packages = sources::debian_toolchain(&packer.cache.join("debian"))?;
        let [complete, partial] = REAL_DATES.map(Release::nightly);
        let (missing, rest): (Vec<_>, Vec<_>) = packages.iter().cloned().partition(|package| {
            package.name == "rust-std" && package.target.as_deref() == Some(FOREIGN)
        });
        let partial = missing.iter().fold(partial, |release, package| {
            release.unavailable(&package.name, FOREIGN)
        });
        Self::builder()
            .release(complete.packages(packages))
            .release(partial.packages(rest))
            .write(&packer, root)
    }

    /// The directory that holds `dist/`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The dated manifest of a nightly.
    pub(crate) fn nightly_manifest(&self, date: &str) -> PathBuf {
        self.root
            .join("dist")
            .join(date)
            .join("channel-rust-nightly.toml")
    }
}

/// Collects releases; the last of a channel is also the undated one.
#[derive(Clone, Debug)]
pub(crate) struct DistTreeBuilder {
    releases: Vec<Release>,
}

impl DistTreeBuilder {
    /// Adds a release.
    pub(crate) fn release(mut self, release: Release) -> Self {
        self.releases.push(release);
        self
    }

    /// Packs what the packer's cache lacks and lays the tree out below `root`.
    pub(crate) fn write(self, packer: &Packer, root: &Path) -> io::Result<DistTree> {
        for release in &self.releases {
            write_release(release, packer, root)?;
        }
        Ok(DistTree {
            root: root.to_owned(),
        })
    }
}

fn write_release(release: &Release, packer: &Packer, root: &Path) -> io::Result<()> {
    let directory = root.join(release.directory());
    fs::create_dir_all(&directory)?;
    let archives = release
        .packages
        .par_iter()
        .map(|package| packer.pack(package, &release.channel))
        .collect::<io::Result<Vec<Packed>>>()?;
    for (package, packed) in release.packages.iter().zip(&archives) {
        let stem = package.stem(&release.channel);
        link(&packed.gz.path, &directory.join(format!("{stem}.tar.gz")))?;
        link(&packed.xz.path, &directory.join(format!("{stem}.tar.xz")))?;
    }
    let manifest = channel_manifest(release, &archives).to_string();
    let sum = format!(
        "{}  {}\n",
        sha256(manifest.as_bytes()),
        release.manifest_name()
    );
    let dated = (!release.is_numbered()).then_some(&directory);
    for place in dated.into_iter().chain([&root.join("dist")]) {
        fs::write(place.join(release.manifest_name()), &manifest)?;
        fs::write(
            place.join(format!("{}.sha256", release.manifest_name())),
            &sum,
        )?;
    }
    Ok(())
}

/// Hard links, because the archives are large; copies across file systems.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    }
}

fn channel_manifest(release: &Release, packed: &[Packed]) -> Table {
    let mut pkg = Table::new();
    for (package, packed) in release.packages.iter().zip(packed) {
        let target = package.target.as_deref().unwrap_or("*");
        let mut entry = available(release, &package.stem(&release.channel), packed);
        entry.insert("components".to_owned(), Value::Array(Vec::new()));
        entry.insert("extensions".to_owned(), Value::Array(Vec::new()));
        let table = package_table(
            &mut pkg,
            &package.name,
            &release.version(&package.version),
            &package.commit,
        );
        table.insert(target.to_owned(), Value::Table(entry));
    }
    for (package, target) in &release.unavailable {
        let missing = Table::from_iter([("available".to_owned(), Value::Boolean(false))]);
        let table = package_table(&mut pkg, package, "", "");
        table.insert(target.clone(), Value::Table(missing));
    }
    for host in release.hosts() {
        add_toolchain(&mut pkg, release, host);
    }
    let mut manifest = Table::new();
    manifest.insert("manifest-version".to_owned(), "2".into());
    manifest.insert("date".to_owned(), release.date.clone().into());
    manifest.insert("renames".to_owned(), Value::Table(renames(&pkg)));
    manifest.insert("pkg".to_owned(), Value::Table(pkg));
    manifest.insert("profiles".to_owned(), Value::Table(profiles()));
    manifest
}

/// `pkg.<name>.target`, made with its version if it is not there yet.
fn package_table<'a>(pkg: &'a mut Table, name: &str, version: &str, commit: &str) -> &'a mut Table {
    let package = child(pkg, name);
    if !package.contains_key("version") {
        package.insert("version".to_owned(), version.into());
    }
    if !commit.is_empty() {
        package.insert("git_commit_hash".to_owned(), commit.into());
    }
    child(package, "target")
}

fn child<'a>(table: &'a mut Table, name: &str) -> &'a mut Table {
    let value = table
        .entry(name)
        .or_insert_with(|| Value::Table(Table::new()));
    value
        .as_table_mut()
        .unwrap_or_else(|| unreachable!("`{name}` is only ever a table"))
}

fn available(release: &Release, stem: &str, packed: &Packed) -> Table {
    let url =
        |extension: &str| format!("{UPSTREAM}/{}/{stem}.tar.{extension}", release.directory());
    Table::from_iter([
        ("available".to_owned(), Value::Boolean(true)),
        ("url".to_owned(), url("gz").into()),
        ("hash".to_owned(), packed.gz.sha256.clone().into()),
        ("xz_url".to_owned(), url("xz").into()),
        ("xz_hash".to_owned(), packed.xz.sha256.clone().into()),
    ])
}

/// `pkg.rust` of a host: which components belong to it and which may be added.
/// Its own combined archive is named, as upstream names it, but not made:
/// nobody fetches it.
fn add_toolchain(pkg: &mut Table, release: &Release, host: &str) {
    let stem = format!("rust-{}-{host}", release.channel);
    let archive = || super::pack::Archive {
        path: PathBuf::new(),
        sha256: "0".repeat(64),
    };
    let mut entry = available(
        release,
        &stem,
        &Packed {
            gz: archive(),
            xz: archive(),
        },
    );
    let of_host = |package: &&Package| package.target.as_deref() == Some(host);
    let reference = |package: &Package, extension: bool| {
        Value::Table(Table::from_iter([
            ("pkg".to_owned(), package.name.clone().into()),
            (
                "target".to_owned(),
                package.target.as_deref().unwrap_or("*").into(),
            ),
            ("is_extension".to_owned(), Value::Boolean(extension)),
        ]))
    };
    let required = |package: &&Package| of_host(package) && MINIMAL.contains(&&*package.name);
    let packages = || release.packages.iter();
    let components = packages()
        .filter(required)
        .map(|package| reference(package, false));
    let extensions = packages().filter(|package| !required(package));
    let extensions = extensions.filter(|package| may_extend(package, host));
    let extensions = extensions.map(|package| reference(package, true));
    entry.insert("components".to_owned(), Value::Array(components.collect()));
    entry.insert("extensions".to_owned(), Value::Array(extensions.collect()));
    let compiler = packages().find(|package| package.name == "rustc" && of_host(package));
    let version = compiler.map_or_else(String::new, |package| release.version(&package.version));
    let commit = compiler.map_or("", |package| &package.commit);
    package_table(pkg, "rust", &version, commit).insert(host.to_owned(), Value::Table(entry));
}

/// Other hosts' compilers do not extend this one.
fn may_extend(package: &Package, host: &str) -> bool {
    match package.target.as_deref() {
        None => true,
        Some(target) => target == host || package.name == "rust-std",
    }
}

/// Short names of the components there are: rustup refuses others.
fn renames(pkg: &Table) -> Table {
    let short = pkg
        .keys()
        .filter_map(|name| Some((name, name.strip_suffix("-preview")?)));
    let renamed = short.map(|(name, short)| {
        let to = Table::from_iter([("to".to_owned(), Value::from(name.as_str()))]);
        (short.to_owned(), Value::Table(to))
    });
    renamed.collect()
}

fn profiles() -> Table {
    let list = |names: &[&str]| Value::Array(names.iter().map(|name| Value::from(*name)).collect());
    Table::from_iter([
        ("minimal".to_owned(), list(&MINIMAL)),
        (
            "default".to_owned(),
            list(&[
                "rustc",
                "cargo",
                "rust-std",
                "rustfmt-preview",
                "clippy-preview",
            ]),
        ),
        (
            "complete".to_owned(),
            list(&[
                "rustc",
                "cargo",
                "rust-std",
                "rustfmt-preview",
                "clippy-preview",
                "rust-src",
            ]),
        ),
    ])
}
