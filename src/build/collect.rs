//! From cargo's target directory to a tree: copies the compiled libraries
//! below `lib/rustlib/<target>/lib`, hashing them on the way.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::BuildError;
use crate::diff::ar;
use crate::sys::fs;
use crate::types::{Entry, FileDigest, Listing, RelPath, Triple};

/// Copies the files of library crates below `out`, read-only, and lists them.
pub(super) fn collect(
    target: &Triple,
    artifacts: &[Vec<PathBuf>],
    out: &Path,
) -> Result<Listing, BuildError> {
    let mut files = Vec::new();
    for artifact in artifacts {
        files.extend(wanted(artifact)?);
    }
    let base = format!("lib/rustlib/{target}/lib");
    fs::create_dir_all(&out.join(&base))?;
    let entries = files
        .into_par_iter()
        .map(|file| copy(&file, &base, out))
        .collect::<Result<Vec<_>, _>>()?;
    Listing::new(entries).map_err(|source| BuildError::Listing {
        target: target.clone(),
        source,
    })
}

/// A file to carry over, and its name in the tree.
struct Wanted<'a> {
    from: &'a Path,
    name: String,
}

/// The largest compiled file that is read at once, in bytes; `core` has about
/// 60 MB.
const MAX_COMPILED: u64 = 2 << 30;
/// The member of an rlib that holds its metadata.
const METADATA: &str = "lib.rmeta";

/// The rlib of a crate, and its rmeta unless the rlib holds all of it.
fn wanted(artifact: &[PathBuf]) -> Result<Vec<Wanted<'_>>, BuildError> {
    let find = |extension: &str| {
        let has = |p: &&PathBuf| p.extension().is_some_and(|e| e == extension);
        artifact.iter().find(has).map(PathBuf::as_path)
    };
    let Some(rlib) = find("rlib") else {
        return Ok(Vec::new());
    };
    let Some(rmeta) = find("rmeta") else {
        return Ok(vec![named(rlib, rlib, "rlib")]);
    };
    // Cargo hands out the rlibs of the packages it was asked for without the
    // hash in their names; the rmeta beside them has it, and it keeps crates
    // of one name and several versions apart.
    let mut wanted = vec![named(rlib, rmeta, "rlib")];
    if !holds(
        &fs::read(rlib, MAX_COMPILED)?,
        &fs::read(rmeta, MAX_COMPILED)?,
    ) {
        wanted.push(named(rmeta, rmeta, "rmeta"));
    }
    Ok(wanted)
}

/// Whether an rlib holds all of its crate's metadata. Newer cargos have the
/// compiler put a stub there, which is useless without the rmeta beside it.
///
/// Sizes alone do not tell: code can make an rlib with a stub larger than the
/// metadata, and what wraps a stub can be larger than a small crate's.
fn holds(rlib: &[u8], metadata: &[u8]) -> bool {
    // Nobody knows what is in a damaged archive.
    let members = ar::members(rlib).unwrap_or_default();
    let mut members = members.iter();
    let Some(member) = members.find(|member| member.name == METADATA) else {
        return false;
    };
    // The metadata stands somewhere in an object file, which is little longer.
    let mut windows = member.data.windows(metadata.len().max(1));
    windows.any(|window| window == metadata)
}

fn named<'a>(from: &'a Path, like: &Path, extension: &str) -> Wanted<'a> {
    let stem = like.file_stem().unwrap_or_default().to_string_lossy();
    Wanted {
        from,
        name: format!("{stem}.{extension}"),
    }
}

fn copy(file: &Wanted<'_>, base: &str, out: &Path) -> Result<Entry, BuildError> {
    let from = file.from;
    let path: RelPath = format!("{base}/{}", file.name).parse()?;
    let to = path.below(out);
    let mut source = fs::open_regular(from)?;
    let mut copy = fs::create_new(&to)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = fs::at("read", from, source.read(&mut buffer))?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        fs::write_all(&mut copy, &to, bytes)?;
        size += bytes.len() as u64;
    }
    fs::set_read_only(&to, false)?;
    Ok(Entry {
        path,
        executable: false,
        size,
        digest: FileDigest::from_bytes(*hasher.finalize().as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with these members, as rustc writes it.
    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, data) in members {
            let size = data.len();
            let name = format!("{name}/");
            let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(data);
            bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        }
        bytes
    }

    /// The names of what is carried over of a crate with these two files.
    fn carried(rlib: &[u8], rmeta: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let paths = [
            dir.path().join("libcore.rlib"),
            dir.path().join("libcore-1.rmeta"),
        ];
        fs::replace(&paths[0], rlib).unwrap();
        fs::replace(&paths[1], rmeta).unwrap();
        let artifacts = [paths.to_vec()];
        let target = "thumbv6m-none-eabi".parse().unwrap();
        let out = dir.path().join("out");
        let listing = collect(&target, &artifacts, &out).unwrap();
        let entries = listing.entries().iter();
        entries
            .map(|entry| entry.path.as_str().rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn metadata_is_carried_over_unless_the_rlib_holds_all_of_it() {
        let metadata: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let wrapped = |inner: &[u8]| [b"\x7fELF wrapped", inner, b"symbols"].concat();
        let whole = wrapped(&metadata);
        // Shorter than the metadata, and longer than it by what wraps it.
        let stubs = [wrapped(b"stub"), wrapped(&vec![7; 4000])];
        let code = vec![1; 9000];
        let only = ["libcore-1.rlib"].map(str::to_owned);
        let both = ["libcore-1.rlib", "libcore-1.rmeta"].map(str::to_owned);

        let rlib = archive(&[("lib.rmeta", &whole), ("code.o", &code)]);
        assert_eq!(carried(&rlib, &metadata), only);
        for stub in &stubs {
            let small = archive(&[("lib.rmeta", stub)]);
            assert_eq!(carried(&small, &metadata), both);
            // With as much code as makes the rlib larger than the metadata.
            let large = archive(&[("lib.rmeta", stub), ("code.o", &code)]);
            assert!(large.len() > metadata.len());
            assert_eq!(carried(&large, &metadata), both);
        }
        // Code that looks like metadata is none.
        let rlib = archive(&[("lib.rmeta", &stubs[0]), ("code.o", &whole)]);
        assert_eq!(carried(&rlib, &metadata), both);
        for other in [&b""[..], b"no archive", &archive(&[("code.o", &code)])] {
            assert_eq!(carried(other, &metadata), both);
        }
    }
}
