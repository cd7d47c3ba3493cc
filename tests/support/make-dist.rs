//! Makes a dist tree from toolchains on the machine, or serves one.
//!
//! ```text
//! make-dist build OUT [--cache DIR] [--level N] [--small-targets N]
//!                     [--copy-std TARGET] [--std TARGET=DIR]... DATE=SOURCE...
//! make-dist serve OUT [ADDRESS]
//! ```
//!
//! A SOURCE is `debian`, `tiny` for one of a few bytes, or the name of a toolchain that rustup installed. One
//! without sources of the library gets Debian's, which are good for fetching
//! but not for compiling. `--std` adds the `rust-std` of a target, whose files
//! are those below DIR.
#![expect(clippy::print_stdout, reason = "a program for scripts")]
#![allow(dead_code, reason = "the tests use the rest of the support")]

#[path = "mod.rs"]
mod support;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use support::dist::{DistTree, Release};
use support::fake;
use support::pack::{Package, Packer};
use support::serve::FileServer;
use support::sources;

/// Targets without an operating system, for trees that need many of them.
const SMALL_TARGETS: [&str; 20] = [
    "aarch64-unknown-none",
    "aarch64-unknown-none-softfloat",
    "armebv7r-none-eabihf",
    "armv7a-none-eabi",
    "armv7a-none-eabihf",
    "armv7r-none-eabi",
    "armv7r-none-eabihf",
    "loongarch64-unknown-none",
    "riscv32i-unknown-none-elf",
    "riscv32im-unknown-none-elf",
    "riscv32imac-unknown-none-elf",
    "riscv32imafc-unknown-none-elf",
    "riscv32imc-unknown-none-elf",
    "riscv64gc-unknown-none-elf",
    "riscv64imac-unknown-none-elf",
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv7m-none-eabi",
    "x86_64-unknown-none",
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build", out, rest @ ..] => build(Path::new(out), rest),
        ["serve", out] => serve(Path::new(out), "127.0.0.1:0"),
        ["serve", out, address] => serve(Path::new(out), address),
        _ => Err(invalid(
            "make-dist build OUT DATE=SOURCE... | make-dist serve OUT [ADDRESS]",
        )),
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.to_owned())
}

fn build(out: &Path, mut rest: &[&str]) -> io::Result<()> {
    let mut packer = Packer {
        cache: out.join("cache"),
        level: 0,
    };
    let mut small_targets = 0;
    let mut copied_std = None;
    let mut stds = Vec::new();
    let mut tree = DistTree::builder();
    loop {
        rest = match rest {
            [] => break,
            ["--cache", dir, rest @ ..] => {
                packer.cache = PathBuf::from(dir);
                rest
            }
            ["--level", level, rest @ ..] => {
                packer.level = number(level)?;
                rest
            }
            ["--small-targets", count, rest @ ..] => {
                small_targets = number(count)? as usize;
                rest
            }
            ["--copy-std", target, rest @ ..] => {
                copied_std = Some(*target);
                rest
            }
            ["--std", std, rest @ ..] => {
                stds.push(std.split_once('=').ok_or_else(|| invalid("TARGET=DIR"))?);
                rest
            }
            [release, rest @ ..] => {
                let (date, source) = release
                    .split_once('=')
                    .ok_or_else(|| invalid("DATE=SOURCE"))?;
                let mut packages = packages_of(source, &packer.cache)?;
                let copies = (
                    small_copies(&packages, small_targets),
                    std_copy(&packages, copied_std),
                );
                packages.extend(copies.0);
                packages.extend(copies.1);
                for (target, dir) in &stds {
                    packages.push(std_of(&packages, target, Path::new(dir))?);
                }
                tree = tree.release(Release::nightly(date).packages(packages));
                rest
            }
        }
    }
    tree.write(&packer, out)?;
    println!("{}", out.join("dist").display());
    Ok(())
}

fn number(text: &str) -> io::Result<u32> {
    text.parse()
        .map_err(|_| invalid(&format!("{text:?} is no number")))
}

fn packages_of(source: &str, cache: &Path) -> io::Result<Vec<Package>> {
    if source == "tiny" {
        return Ok(fake::packages(
            Path::new("/dev/null"),
            &SMALL_TARGETS[17..19],
            "",
        ));
    }
    if source == "debian" {
        return sources::debian_toolchain(&cache.join("debian"));
    }
    let mut packages = sources::rustup_toolchain(&sources::rustup_directory(source)?)?;
    let compiler = packages
        .iter()
        .find(|package| package.name == "rustc")
        .cloned();
    if let Some(compiler) = compiler
        && !packages.iter().any(|package| package.name == "rust-src")
    {
        let sources = Package::new("rust-src", None).version(&compiler.version, &compiler.commit);
        packages.push(sources::debian_source(sources)?);
    }
    Ok(packages)
}

/// `rust-std` of many targets: each the host's core and alloc under another
/// name. They stand for size and number; nothing can be compiled with them.
fn small_copies(packages: &[Package], count: usize) -> Vec<Package> {
    let is_small = |path: &str| path.contains("/libcore-") || path.contains("/liballoc-");
    let is_rlib = |path: &str| {
        Path::new(path)
            .extension()
            .is_some_and(|kind| kind == "rlib")
    };
    let targets = SMALL_TARGETS.iter().take(count);
    targets
        .filter_map(|target| renamed_std(packages, target, |path| is_small(path) && is_rlib(path)))
        .collect()
}

/// All of the host's `rust-std` under another target's name.
fn std_copy(packages: &[Package], target: Option<&str>) -> Option<Package> {
    renamed_std(packages, target?, |_| true)
}

/// The `rust-std` of a target, with these files, for the release's compiler.
fn std_of(packages: &[Package], target: &str, dir: &Path) -> io::Result<Package> {
    let rustc = packages.iter().find(|package| package.name == "rustc");
    let rustc = rustc.ok_or_else(|| invalid("no rustc for the rust-std"))?;
    let std = Package::new("rust-std", Some(target)).version(&rustc.version, &rustc.commit);
    sources::add_tree(std, &format!("lib/rustlib/{target}/lib"), dir)
}

fn renamed_std(
    packages: &[Package],
    target: &str,
    wanted: impl Fn(&str) -> bool,
) -> Option<Package> {
    let std = packages.iter().find(|package| package.name == "rust-std")?;
    let host = std.target.as_deref()?;
    let mut copy = Package::new("rust-std", Some(target)).version(&std.version, &std.commit);
    let files = std.files.iter().filter(|(path, _)| wanted(path));
    copy.files
        .extend(files.map(|(path, entry)| (path.replace(host, target), entry.clone())));
    Some(copy)
}

/// Serves until it is ended; the first line of output is the address.
fn serve(out: &Path, address: &str) -> io::Result<()> {
    let server = FileServer::bind(out, address)?;
    println!("{}", server.url());
    io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
