//! Writing a tree to a remote: blob first, record last, nothing overwritten
//! that says otherwise.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sha2::Digest as _;

use super::error::RemoteError;
use super::place::Remote;
use super::pool::read_record;
use super::record::{Blob, MAX_SIGNATURES, Record, RecordError, Subject};
use super::sign::SecretKey;
use super::transport::{Got, Put, Transport, Writing};
use super::{MAX_BLOB, record::MAX_UNPACKED};
use crate::events::{Cancel, Event, Observer};
use crate::pack;
use crate::sys::fs;
use crate::types::{Listing, Sha256, TreeDigest};

/// A compressed tree, ready to be sent to any number of remotes.
#[derive(Debug)]
pub struct Packed {
    /// The tree.
    pub tree: TreeDigest,
    /// The sum of its file sizes, in bytes.
    pub unpacked: u64,
    /// The compressed bytes by content.
    pub blob: Blob,
    file: File,
}

impl Packed {
    /// Compresses a stored tree into a new file at `path`; every file is
    /// checked against the listing on the way.
    pub fn write(
        tree: &Path,
        listing: &Listing,
        path: &Path,
        cancel: &Cancel,
    ) -> Result<Self, RemoteError> {
        let limits = pack::Limits {
            unpacked: MAX_UNPACKED,
            cancel: cancel.clone(),
            ..pack::Limits::default()
        };
        let file = fs::create_new(path)?;
        let out = Hashing {
            file,
            path,
            hasher: sha2::Sha256::new(),
            size: 0,
        };
        let out = BufWriter::with_capacity(1 << 17, out);
        let level = pack::DEFAULT_LEVEL;
        let out = pack::write(tree, listing, out, level, &limits)?;
        let out = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let Hashing {
            file, hasher, size, ..
        } = fs::at("write", path, out)?;
        if size > MAX_BLOB {
            let remote = path.display().to_string();
            let limit = MAX_BLOB;
            return Err(RemoteError::TooLarge { remote, limit });
        }
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        Ok(Self {
            tree: listing.digest(),
            unpacked: listing.total_size(),
            blob: Blob { sha256, size },
            file,
        })
    }
}

/// Hashes what goes into a file.
struct Hashing<'a> {
    file: File,
    path: &'a Path,
    hasher: sha2::Sha256,
    size: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        fs::write_all(&mut self.file, self.path, bytes).map_err(|e| e.source)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What became of a tree that was to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The remote has it now.
    New,
    /// The remote had it.
    Present,
    /// The remote had it, and now has our signature, too.
    Signed,
    /// The remote has another tree for the same recipe, and keeps it.
    Conflict {
        /// What the remote has.
        theirs: TreeDigest,
    },
}

/// Writes a tree and its record to a remote. `packed` is called if the blob
/// has to be sent; `observer` is warned if a tree is there without our signature.
pub fn push<'p>(
    transport: &dyn Transport,
    remote: &Remote,
    observer: &dyn Observer,
    subject: &Subject,
    tree: TreeDigest,
    key: Option<&SecretKey>,
    packed: impl FnOnce() -> Result<&'p Packed, RemoteError>,
) -> Result<Pushed, RemoteError> {
    let existing = match read_record(transport, remote, subject) {
        Ok(existing) => existing,
        // What is no record at all is in nobody's way. One beyond a limit is a
        // record, and others' signatures may be in it.
        Err(RemoteError::Record {
            source: RecordError::Malformed(_) | RecordError::OtherSubject(_),
            ..
        }) => Got::Broken("something that is no record"),
        Err(error) => return Err(error),
    };
    let record = match existing {
        Got::Object(record) => record,
        Got::Nothing => {
            return write(transport, remote, subject, key, packed()?, Writing::New);
        }
        Got::Broken(_) => {
            return write(transport, remote, subject, key, packed()?, Writing::Replace);
        }
    };
    if record.tree != tree {
        let theirs = record.tree;
        return Ok(Pushed::Conflict { theirs });
    }
    if transport.has_blob(&record.blob.into())? {
        return add_signature(transport, remote, record, key);
    }
    // Gone, or cut short: what the record promises is sent again.
    let packed = packed()?;
    if packed.blob != record.blob {
        // Other bytes of the same tree: the old signatures are not over them.
        return write(transport, remote, subject, key, packed, Writing::Replace);
    }
    transport.put_blob(&record.blob.into(), &packed.file)?;
    match add_signature(transport, remote, record, key) {
        Ok(_) => {}
        // The tree is whole again, for everybody who trusts one of the signers.
        Err(error @ RemoteError::SignaturesFull { .. }) => {
            let label = subject.label();
            let text = format!("`{label}` was sent again without our signature: {error}");
            observer.event(Event::Warning(text));
        }
        Err(error) => return Err(error),
    }
    Ok(Pushed::New)
}

fn add_signature(
    transport: &dyn Transport,
    remote: &Remote,
    mut record: Record,
    key: Option<&SecretKey>,
) -> Result<Pushed, RemoteError> {
    let Some(key) = key.filter(|key| record.signer(&[key.public()]).is_none()) else {
        return Ok(Pushed::Present);
    };
    let name = record.subject.name(&remote.namespace);
    if !record.sign(key) {
        return Err(RemoteError::SignaturesFull {
            remote: remote.to_string(),
            object: format!("{}/{}", name.directory(), name.address()),
            limit: MAX_SIGNATURES,
        });
    }
    let blobs = [record.blob.into()];
    transport.put(&name, &record.to_json(), &blobs, Writing::Replace)?;
    Ok(Pushed::Signed)
}

fn write(
    transport: &dyn Transport,
    remote: &Remote,
    subject: &Subject,
    key: Option<&SecretKey>,
    packed: &Packed,
    writing: Writing,
) -> Result<Pushed, RemoteError> {
    let blob = packed.blob.into();
    if !transport.has_blob(&blob)? {
        transport.put_blob(&blob, &packed.file)?;
    }
    let namespace = remote.namespace.clone();
    let mut record = Record::new(
        namespace,
        subject.clone(),
        packed.tree,
        packed.unpacked,
        packed.blob,
    );
    if let Some(key) = key {
        record.sign(key);
    }
    let name = subject.name(&remote.namespace);
    match transport.put(&name, &record.to_json(), &[blob], writing)? {
        Put::Done => Ok(Pushed::New),
        Put::Exists => match read_record(transport, remote, subject)? {
            // Somebody was faster, and has the same.
            Got::Object(theirs) if theirs.tree == packed.tree => {
                add_signature(transport, remote, theirs, key)
            }
            Got::Object(theirs) => Ok(Pushed::Conflict {
                theirs: theirs.tree,
            }),
            Got::Nothing | Got::Broken(_) => Err(RemoteError::Store {
                remote: remote.to_string(),
                message: "it says that a record exists, and has none".to_owned(),
            }),
        },
    }
}
