//! From cargo's target directory to a tree: copies the compiled libraries
//! below `lib/rustlib/<target>/lib`, hashing them on the way.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::BuildError;
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

/// The rlib of a crate, and its rmeta where the rlib has only a stub of it.
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
    let size = |path| fs::metadata_if_exists(path).map(|m| m.map_or(0, |m| m.len()));
    // An rlib with the metadata inside is larger than the metadata alone.
    if size(rlib)? <= size(rmeta)? {
        wanted.push(named(rmeta, rmeta, "rmeta"));
    }
    Ok(wanted)
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
