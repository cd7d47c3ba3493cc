//! The entries of the tar, one after another.

use std::io::{self, Read as _};

use super::Limits;
use super::decode::Decoder;
use super::error::ArchiveError;
use super::header::{Header, Kind};
use super::installer::{self, MAX_MANIFEST, MAX_META};
use super::names::{Names, Seen};
use crate::sys::writers::Writers;
use crate::types::{ComponentId, RelPath};

/// What was found beside the component's files.
#[derive(Default)]
pub(super) struct Walked {
    /// The single top directory.
    top: Option<String>,
    /// The component's directory below it.
    pub(super) directory: Option<String>,
    /// Content of `rust-installer-version`.
    pub(super) version: Option<Vec<u8>>,
    /// Content of `components`.
    pub(super) components: Option<Vec<u8>>,
    /// Content of the component's `manifest.in`.
    pub(super) manifest: Option<Vec<u8>>,
}

/// Where an entry belongs.
enum Place {
    /// A directory, or a file that we do not need.
    Skip,
    Version,
    Components,
    Manifest,
    /// A file of the component, by its path there.
    File(RelPath),
}

/// State while walking.
struct Walk<'a> {
    limits: &'a Limits,
    accepted: [String; 2],
    names: Names,
    entries: u64,
    name_bytes: u64,
    long_name: Option<Vec<u8>>,
    found: Walked,
}

type Tar<'a, 'p> = tar::Archive<&'a mut Decoder<'p>>;

/// Reads the whole tar, and hands the component's files to the writers.
pub(super) fn walk(
    decoder: &mut Decoder<'_>,
    component: &ComponentId,
    limits: &Limits,
    writers: &mut Writers<'_>,
) -> Result<Walked, ArchiveError> {
    let mut walk = Walk {
        limits,
        accepted: installer::directories(component),
        names: Names::default(),
        entries: 0,
        name_bytes: 0,
        long_name: None,
        found: Walked::default(),
    };
    let mut archive = Tar::new(decoder);
    let result = walk.entries(&mut archive, writers);
    let decoder = archive.into_inner();
    let end = result.map_err(|stop| match stop {
        Stop::Archive(error) => error,
        Stop::Io(error) => decoder.explain(error),
    })?;
    decoder.drain(end)?;
    if walk.long_name.is_some() {
        return Err(ArchiveError::malformed("a long name has no entry"));
    }
    Ok(walk.found)
}

/// An error of ours, or one of the reader that is still to be explained.
enum Stop {
    Archive(ArchiveError),
    Io(io::Error),
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Walk<'_> {
    /// Returns where the last entry ended.
    fn entries(
        &mut self,
        archive: &mut Tar<'_, '_>,
        writers: &mut Writers<'_>,
    ) -> Result<u64, Stop> {
        let mut end = 0;
        // Raw: extended headers come as what they are, and none changes the
        // meaning of another one behind our back.
        for entry in archive.entries()?.raw(true) {
            self.limits.cancel.check().map_err(ArchiveError::from)?;
            let mut entry = entry?;
            let header = Header::parse(entry.header().as_bytes())?;
            let size = header.size;
            end = entry.raw_file_position() + size.next_multiple_of(512);
            if size > self.limits.unpacked || end > self.limits.unpacked {
                return Err(Stop::Archive(ArchiveError::TooLarge {
                    limit: self.limits.unpacked,
                    unit: "bytes",
                }));
            }
            if header.kind == Kind::LongName {
                self.take_long_name(&mut entry, &header)?;
                continue;
            }
            let executable = header.executable;
            match self.place(header)? {
                Place::Skip => {}
                Place::Version => self.found.version = Some(small(&mut entry, size, MAX_META)?),
                Place::Components => {
                    self.found.components = Some(small(&mut entry, size, MAX_META)?);
                }
                Place::Manifest => {
                    self.found.manifest = Some(small(&mut entry, size, MAX_MANIFEST)?);
                }
                Place::File(path) => writers
                    .file(&path, executable, size, &mut entry)
                    .map_err(ArchiveError::from)??,
            }
        }
        Ok(end)
    }

    fn take_long_name(&mut self, entry: &mut impl io::Read, header: &Header) -> Result<(), Stop> {
        if self.long_name.is_some() {
            return Err(Stop::Archive(ArchiveError::malformed(
                "two long names stand in a row",
            )));
        }
        let mut name = small(entry, header.size, super::header::MAX_LONG_NAME)?;
        // GNU ends the name with a NUL.
        if name.last() == Some(&0) {
            name.pop();
        }
        self.long_name = Some(name);
        Ok(())
    }

    /// Checks an entry's path and tells where it belongs.
    fn place(&mut self, header: Header) -> Result<Place, ArchiveError> {
        let name = self.long_name.take().unwrap_or(header.name);
        let refuse = |reason: &str| ArchiveError::entry(&name, reason);
        self.count(&name)?;
        let directory = header.kind == Kind::Directory;
        let text = match name.strip_suffix(b"/") {
            Some(text) if directory => text,
            _ => &name,
        };
        let path = RelPath::from_bytes(text).map_err(|error| refuse(error.reason))?;
        let seen = if directory {
            Seen::Directory
        } else {
            Seen::File
        };
        self.names.add(&path, seen).map_err(refuse)?;
        let (top, below) = match path.as_str().split_once('/') {
            Some((top, below)) => (top, Some(below)),
            None => (path.as_str(), None),
        };
        let known = self.found.top.get_or_insert_with(|| top.to_owned());
        if known != top {
            return Err(refuse("it lies outside the archive's top directory"));
        }
        match (below, directory) {
            (None, false) => Err(refuse("it is a file beside the top directory")),
            (None, true) => Ok(Place::Skip),
            (Some(below), _) => self.place_below(below, directory).map_err(refuse),
        }
    }

    fn place_below(&mut self, below: &str, directory: bool) -> Result<Place, &'static str> {
        let Some((first, rest)) = below.split_once('/') else {
            return Ok(match below {
                "rust-installer-version" if !directory => Place::Version,
                "components" if !directory => Place::Components,
                _ => Place::Skip,
            });
        };
        if !self.accepted.iter().any(|name| name == first) {
            return Ok(Place::Skip);
        }
        let known = self.found.directory.get_or_insert_with(|| first.to_owned());
        if known != first {
            return Err("the archive has two directories for its component");
        }
        match (directory, rest) {
            (true, _) => Ok(Place::Skip),
            (false, "manifest.in") => Ok(Place::Manifest),
            (false, rest) => match rest.parse() {
                Ok(path) => Ok(Place::File(path)),
                Err(_) => Err("it is no safe path"),
            },
        }
    }

    fn count(&mut self, name: &[u8]) -> Result<(), ArchiveError> {
        self.entries += 1;
        self.name_bytes += name.len() as u64;
        let exceeded = |limit, unit| Err(ArchiveError::TooLarge { limit, unit });
        if self.entries > self.limits.entries {
            return exceeded(self.limits.entries, "entries");
        }
        if self.name_bytes > self.limits.names {
            return exceeded(self.limits.names, "bytes of paths");
        }
        Ok(())
    }
}

/// Reads a small entry into memory.
fn small(entry: &mut impl io::Read, size: u64, limit: u64) -> Result<Vec<u8>, Stop> {
    if size > limit {
        return Err(Stop::Archive(ArchiveError::malformed(format!(
            "one of its installer files has {size} bytes, more than {limit}"
        ))));
    }
    let mut bytes = Vec::new();
    entry.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(Stop::Io(io::ErrorKind::UnexpectedEof.into()))
    }
}
