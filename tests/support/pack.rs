//! Packs components as upstream does: rust-installer format 3, `.tar.gz` and
//! `.tar.xz` of the identical tar.
//!
//! Archives are kept in a cache by their inputs, because packing a toolchain
//! takes a minute; nothing is held in memory but one file's buffer.
#![expect(
    clippy::disallowed_methods,
    reason = "what the tests make is no business of the tool's file layer"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use xz2::stream::{Check, Stream};

/// The time of every archived file, as deterministic as upstream's.
const MTIME: u64 = 1_700_000_000;

/// Changes when the packer's output changes, so that old archives are not used.
const FORMAT: &str = "1";

/// A file of a component.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) content: Content,
    pub(crate) executable: bool,
}

/// Where a file's bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// One component of a release: what becomes one archive.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// As the channel manifest says it, such as `clippy-preview`.
    pub(crate) name: String,
    /// `None` for what serves every target: `rust-src`.
    pub(crate) target: Option<String>,
    pub(crate) version: String,
    pub(crate) commit: String,
    /// By path below the toolchain's root.
    pub(crate) files: BTreeMap<String, Entry>,
}

impl Package {
    pub(crate) fn new(name: &str, target: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            target: target.map(str::to_owned),
            version: "1.97.0-nightly (e50aa6fba 2026-05-19)".to_owned(),
            commit: "e50aa6fba0000000000000000000000000000000".to_owned(),
            files: BTreeMap::new(),
        }
    }

    /// Says which compiler the component belongs to.
    pub(crate) fn version(mut self, version: &str, commit: &str) -> Self {
        version.clone_into(&mut self.version);
        commit.clone_into(&mut self.commit);
        self
    }

    /// Adds a small file.
    pub(crate) fn bytes(mut self, path: &str, bytes: &[u8], executable: bool) -> Self {
        let content = Content::Bytes(bytes.to_vec());
        let entry = Entry {
            content,
            executable,
        };
        self.files.insert(path.to_owned(), entry);
        self
    }

    /// Adds a file of this machine under `path`.
    pub(crate) fn file(mut self, path: &str, source: &Path) -> io::Result<Self> {
        let entry = Entry {
            content: Content::File(source.to_owned()),
            executable: is_executable(source)?,
        };
        self.files.insert(path.to_owned(), entry);
        Ok(self)
    }

    /// `<name>-<channel>[-<target>]`, the archive's top directory and file name.
    pub(crate) fn stem(&self, channel: &str) -> String {
        let name = self.name.trim_end_matches("-preview");
        match &self.target {
            Some(target) => format!("{name}-{channel}-{target}"),
            None => format!("{name}-{channel}"),
        }
    }

    /// The directory inside the archive: upstream adds the target for
    /// `rust-std` only.
    fn directory(&self) -> String {
        match (&*self.name, &self.target) {
            ("rust-std", Some(target)) => format!("rust-std-{target}"),
            (name, _) => name.to_owned(),
        }
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o100 != 0)
}

/// Both archives of a component.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) gz: Archive,
    pub(crate) xz: Archive,
}

/// A file and its SHA-256 in hex.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
}

/// Packed components by their inputs.
#[derive(Clone, Debug)]
pub(crate) struct Packer {
    pub(crate) cache: PathBuf,
    /// Of compression: 0 is quick, 9 is upstream's (in xz a 64 MiB dictionary).
    pub(crate) level: u32,
}

impl Packer {
    /// The one that the tests share: quick, with its archives in the directory
    /// that `SYSROOT_TEST_DIST` names, else in the build directory.
    pub(crate) fn shared() -> Self {
        let cache = std::env::var_os("SYSROOT_TEST_DIST").map(PathBuf::from);
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-dist");
        Self {
            cache: cache.unwrap_or_else(default),
            level: 0,
        }
    }

    /// The archives of `package`, packed now unless they are in the cache.
    pub(crate) fn pack(&self, package: &Package, channel: &str) -> io::Result<Packed> {
        let dir = self.cache.join(self.key(package, channel)?);
        fs::create_dir_all(&self.cache)?;
        let lock = File::create(dir.with_extension("lock"))?;
        lock.lock()?;
        if !dir.is_dir() {
            self.pack_into(&dir, package, channel)?;
        }
        let archive = |extension: &str| -> io::Result<Archive> {
            Ok(Archive {
                path: dir.join(format!("tar.{extension}")),
                sha256: fs::read_to_string(dir.join(format!("tar.{extension}.sha256")))?,
            })
        };
        Ok(Packed {
            gz: archive("gz")?,
            xz: archive("xz")?,
        })
    }

    /// Everything the archives depend on; of large files the size and time
    /// stand for the bytes.
    fn key(&self, package: &Package, channel: &str) -> io::Result<String> {
        let Package {
            name: _,
            target: _,
            version,
            commit,
            files,
        } = package;
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(FORMAT.as_bytes());
        field(&self.level.to_le_bytes());
        for text in [
            &package.stem(channel),
            &package.directory(),
            version,
            commit,
        ] {
            field(text.as_bytes());
        }
        for (path, entry) in files {
            field(path.as_bytes());
            field(&[u8::from(entry.executable)]);
            match &entry.content {
                Content::Bytes(bytes) => field(bytes),
                Content::File(source) => {
                    let metadata = fs::metadata(source)?;
                    let since = metadata.modified()?.duration_since(UNIX_EPOCH);
                    let nanos = since.unwrap_or_default().as_nanos();
                    field(source.as_os_str().as_encoded_bytes());
                    field(&metadata.len().to_le_bytes());
                    field(&nanos.to_le_bytes());
                }
            }
        }
        Ok(format!(
            "{}-{}",
            package.stem(channel),
            hasher.finalize().to_hex()
        ))
    }

    fn pack_into(&self, dir: &Path, package: &Package, channel: &str) -> io::Result<()> {
        let staging = tempfile::tempdir_in(&self.cache)?;
        let create = |name: &str| -> io::Result<_> {
            let file = File::create(staging.path().join(name))?;
            Ok(Hashed {
                inner: BufWriter::new(file),
                sha256: Sha256::new(),
            })
        };
        let gz = flate2::write::GzEncoder::new(
            create("tar.gz")?,
            flate2::Compression::new(self.level.max(1)),
        );
        // As upstream's: without a check of its own.
        let stream = Stream::new_easy_encoder(self.level, Check::None)?;
        let xz = xz2::write::XzEncoder::new_stream(create("tar.xz")?, stream);
        let mut tar = tar::Builder::new(Both(gz, xz));
        write_members(&mut tar, package, channel)?;
        let Both(gz, xz) = tar.into_inner()?;
        let (gz, xz) = (gz.finish()?.finish()?, xz.finish()?.finish()?);
        fs::write(staging.path().join("tar.gz.sha256"), gz)?;
        fs::write(staging.path().join("tar.xz.sha256"), xz)?;
        fs::rename(staging.keep(), dir)
    }
}

/// Upstream's order: directories before files, each sorted.
fn write_members<W: Write>(
    tar: &mut tar::Builder<W>,
    package: &Package,
    channel: &str,
) -> io::Result<()> {
    let (top, component) = (package.stem(channel), package.directory());
    let mut manifest: Vec<String> = package
        .files
        .keys()
        .map(|path| format!("file:{path}\n"))
        .collect();
    manifest.sort_unstable();
    let metadata = [
        ("rust-installer-version".to_owned(), "3\n".to_owned()),
        ("components".to_owned(), format!("{component}\n")),
        ("version".to_owned(), format!("{}\n", package.version)),
        (
            "git-commit-hash".to_owned(),
            format!("{}\n", package.commit),
        ),
        ("install.sh".to_owned(), "#!/bin/sh\nexit 1\n".to_owned()),
        (format!("{component}/manifest.in"), manifest.concat()),
    ];
    let files = package
        .files
        .keys()
        .map(|path| format!("{component}/{path}"));
    let names: Vec<String> = metadata
        .iter()
        .map(|(name, _)| name.clone())
        .chain(files)
        .collect();
    for directory in parents(&top, &names) {
        let mut header = header(tar::EntryType::Directory, 0, 0o755);
        tar.append_data(&mut header, format!("{directory}/"), io::empty())?;
    }
    for (name, text) in metadata {
        let mode = if name == "install.sh" { 0o755 } else { 0o644 };
        let mut header = header(tar::EntryType::Regular, text.len() as u64, mode);
        tar.append_data(&mut header, format!("{top}/{name}"), text.as_bytes())?;
    }
    for (path, entry) in &package.files {
        let (size, reader) = open(&entry.content)?;
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let mut header = header(tar::EntryType::Regular, size, mode);
        tar.append_data(&mut header, format!("{top}/{component}/{path}"), reader)?;
    }
    Ok(())
}

fn parents(top: &str, names: &[String]) -> BTreeSet<String> {
    let mut directories = BTreeSet::from([top.to_owned()]);
    for name in names {
        let cuts = name.match_indices('/').map(|(at, _)| at);
        directories.extend(cuts.filter_map(|at| Some(format!("{top}/{}", name.get(..at)?))));
    }
    directories
}

fn open(content: &Content) -> io::Result<(u64, Box<dyn Read + '_>)> {
    match content {
        Content::Bytes(bytes) => Ok((bytes.len() as u64, Box::new(Cursor::new(bytes)))),
        Content::File(path) => {
            let file = File::open(path)?;
            Ok((
                file.metadata()?.len(),
                Box::new(BufReader::with_capacity(1 << 20, file)),
            ))
        }
    }
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Writes the same bytes to both.
struct Both<A, B>(A, B);

impl<A: Write, B: Write> Write for Both<A, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

/// Hashes what goes through it.
struct Hashed<W> {
    inner: W,
    sha256: Sha256,
}

impl<W: Write> Hashed<W> {
    /// The SHA-256 in hex, after everything is written out.
    fn finish(mut self) -> io::Result<String> {
        self.inner.flush()?;
        Ok(hex(&self.sha256.finalize()))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha256.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('?');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

/// The SHA-256 of `bytes` in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
