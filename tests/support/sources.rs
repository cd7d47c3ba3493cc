//! Toolchains found on the machine, as components to pack: one installed by
//! rustup, and Debian's packages.
#![expect(
    clippy::disallowed_methods,
    reason = "what the tests make is no business of the tool's file layer"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pack::Package;

/// Where Debian keeps each target's libraries.
const DEBIAN_RUSTLIB: &str = "/usr/lib/rustlib";

/// A compiler's own words about itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// `1.97.0-nightly (e50aa6fba 2026-05-19)`, as the channel manifest has it.
    pub(crate) version: String,
    pub(crate) commit: String,
    pub(crate) host: String,
}

impl Identity {
    /// Asks `program -vV`; works for rustc and cargo alike.
    pub(crate) fn of(program: &Path) -> io::Result<Self> {
        let text = output(Command::new(program).arg("-vV"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let first = text.lines().next().and_then(|line| line.split_once(' '));
        let version = first.map_or("", |(_, version)| version);
        Ok(Self {
            version: version.replace(" (built from a source tarball)", ""),
            commit: field("commit-hash:"),
            host: field("host:"),
        })
    }
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "{command:?}: {}\n{stderr}",
            output.status
        )));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The directory of a toolchain that rustup installed, whatever it is called:
/// `nightly`, `stable`, `1.95.0`.
pub(crate) fn rustup_directory(toolchain: &str) -> io::Result<PathBuf> {
    let rustc = output(Command::new("rustup").args(["which", "rustc", "--toolchain", toolchain]))?;
    let directory = Path::new(rustc.trim()).ancestors().nth(2);
    directory
        .map(Path::to_owned)
        .ok_or_else(|| io::Error::other(rustc.clone()))
}

/// The components of a toolchain that rustup installed, which keeps a list of
/// each one's files. Documentation is left out: it is larger than the rest.
pub(crate) fn rustup_toolchain(directory: &Path) -> io::Result<Vec<Package>> {
    let compiler = Identity::of(&directory.join("bin/rustc"))?;
    let cargo = Identity::of(&directory.join("bin/cargo"))?;
    let rustlib = directory.join("lib/rustlib");
    let mut packages = Vec::new();
    for component in fs::read_to_string(rustlib.join("components"))?.lines() {
        let list = fs::read_to_string(rustlib.join(format!("manifest-{component}")))?;
        let Some(files) = list
            .lines()
            .map(|line| line.strip_prefix("file:"))
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let suffix = format!("-{}", compiler.host);
        let (name, target) = match component.strip_prefix("rust-std-") {
            Some(target) => ("rust-std", Some(target)),
            None => match component.strip_suffix(&suffix) {
                Some(name) => (name, Some(&*compiler.host)),
                None => (component, None),
            },
        };
        let identity = if name == "cargo" { &cargo } else { &compiler };
        let mut package = Package::new(name, target).version(&identity.version, &identity.commit);
        for file in files {
            package = package.file(file, &directory.join(file))?;
        }
        packages.push(package);
    }
    Ok(packages)
}

/// Debian's `rustc-web`, `cargo-web`, `rust-web-src` and every
/// `libstd-rust-web-dev` that is installed, as a toolchain in upstream's
/// layout. `scratch` keeps the two files that have to be changed for it.
pub(crate) fn debian_toolchain(scratch: &Path) -> io::Result<Vec<Package>> {
    let (rustc, cargo) = (Path::new("/usr/bin/rustc"), Path::new("/usr/bin/cargo"));
    let compiler = Identity::of(rustc)?;
    let manager = Identity::of(cargo)?;
    let versioned = |name: &str, target: Option<&str>| {
        Package::new(name, target).version(&compiler.version, &compiler.commit)
    };
    let host = Some(&*compiler.host);

    let mut packages = vec![
        debian_compiler(versioned("rustc", host), scratch)?,
        Package::new("cargo", host)
            .version(&manager.version, &manager.commit)
            .file("bin/cargo", cargo)?,
        debian_source(versioned("rust-src", None))?,
    ];
    for entry in fs::read_dir(DEBIAN_RUSTLIB)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("lib").is_dir() {
            let prefix = format!("lib/rustlib/{name}/lib");
            let package = versioned("rust-std", Some(&name));
            packages.push(add_tree(package, &prefix, &entry.path().join("lib"))?);
        }
    }
    Ok(packages)
}

/// `rustc` finds its driver through the system's library path, and its sysroot
/// through where the driver is: so the driver comes along, found by a relative
/// path. LLVM stays the system's.
fn debian_compiler(package: Package, scratch: &Path) -> io::Result<Package> {
    let driver = debian_driver()?;
    let name = driver
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let rustc = relocated(Path::new("/usr/bin/rustc"), scratch, "$ORIGIN/../lib")?;
    let rustdoc = relocated(Path::new("/usr/bin/rustdoc"), scratch, "$ORIGIN/../lib")?;
    package
        .file("bin/rustc", &rustc)?
        .file("bin/rustdoc", &rustdoc)?
        .file(&format!("lib/{name}"), &driver)
}

/// The library that is the compiler.
pub(crate) fn debian_driver() -> io::Result<PathBuf> {
    let libraries = output(Command::new("ldd").arg("/usr/bin/rustc"))?;
    let line = libraries
        .lines()
        .find(|line| line.contains("librustc_driver-"));
    let path = line
        .and_then(|line| line.split_whitespace().nth(2))
        .map(PathBuf::from);
    path.ok_or_else(|| io::Error::other(format!("no librustc_driver in: {libraries}")))
}

/// A copy of `program` that looks for libraries along `runpath`; kept, with
/// the original's time, so that its archive is found again.
pub(crate) fn relocated(program: &Path, scratch: &Path, runpath: &str) -> io::Result<PathBuf> {
    let copy = scratch.join(program.file_name().unwrap_or_default());
    let time = fs::metadata(program)?.modified()?;
    if fs::metadata(&copy)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|known| known == time)
    {
        return Ok(copy);
    }
    fs::create_dir_all(scratch)?;
    let staging = tempfile::tempdir_in(scratch)?;
    let staged = staging.path().join("program");
    fs::copy(program, &staged)?;
    output(
        Command::new("patchelf")
            .args(["--set-rpath", runpath])
            .arg(&staged),
    )?;
    fs::File::options()
        .write(true)
        .open(&staged)?
        .set_modified(time)?;
    fs::rename(&staged, &copy)?;
    Ok(copy)
}

/// The library's sources, as the component has them.
pub(crate) fn debian_source(package: Package) -> io::Result<Package> {
    let library = fs::canonicalize(Path::new(DEBIAN_RUSTLIB).join("src/rust/library"))?;
    add_tree(package, "lib/rustlib/src/rust/library", &library)
}

/// Adds every file below `directory`; links stand for what they point to.
pub(crate) fn add_tree(
    mut package: Package,
    prefix: &str,
    directory: &Path,
) -> io::Result<Package> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let inside = format!("{prefix}/{name}");
        package = if fs::metadata(&path)?.is_dir() {
            add_tree(package, &inside, &path)?
        } else {
            package.file(&inside, &path)?
        };
    }
    Ok(package)
}
