//! What every kind of remote can do.

use std::fs::File;

use super::address::Address;
use super::error::RemoteError;
use crate::types::Sha256;

/// A small object's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The record of a recipe.
    Recipe(Address),
    /// The record of a component.
    Component(Address),
    /// The claim of a process that is about to build a recipe.
    Claim(Address),
}

impl Name {
    /// The address alone, which is unique among all kinds.
    pub fn address(&self) -> Address {
        match self {
            Self::Recipe(address) | Self::Component(address) | Self::Claim(address) => *address,
        }
    }

    /// The directory of this kind of object.
    pub fn directory(&self) -> &'static str {
        match self {
            Self::Recipe(_) => "recipes",
            Self::Component(_) => "components",
            Self::Claim(_) => "claims",
        }
    }
}

/// A compressed tree, by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// SHA-256 of the compressed bytes, which is also its name.
    pub sha256: Sha256,
    /// Number of compressed bytes.
    pub size: u64,
}

/// Whether an object of the name may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Only if there is none. Where the store can tell (`If-None-Match`), also
    /// when two write at once.
    New,
    /// Whatever is there.
    Replace,
}

/// What became of an object to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Done,
    /// Another one has the name, and stays.
    Exists,
}

/// What stands under a small object's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got<T> {
    /// The object.
    Object(T),
    /// Nothing.
    Nothing,
    /// Something that no object of ours can be read from, for this reason. It
    /// may be replaced.
    Broken(&'static str),
}

pub use crate::fetch::Receive;

/// Moves objects to and from one remote; many threads may use it at once.
///
/// Every wait is bounded by the implementation, and every error names the
/// remote without any credential. Nothing is retried unless it is written.
pub trait Transport: Send + Sync {
    /// A small object. Larger than [`MAX_RECORD`](super::MAX_RECORD) is an error.
    fn get(&self, name: &Name) -> Result<Got<Vec<u8>>, RemoteError>;

    /// Passes a blob's bytes on, at most as many as it is to have; `false` if
    /// there is none. The caller compares the hash.
    fn get_blob(&self, blob: &BlobRef, to: &mut dyn Receive) -> Result<bool, RemoteError>;

    /// Whether a blob of that name and size is there; its bytes are not read.
    fn has_blob(&self, blob: &BlobRef) -> Result<bool, RemoteError>;

    /// Writes a small object. `blobs` are what it names; they must be there.
    fn put(
        &self,
        name: &Name,
        bytes: &[u8],
        blobs: &[BlobRef],
        writing: Writing,
    ) -> Result<Put, RemoteError>;

    /// Writes a blob from a file's start; whatever has the name is replaced.
    fn put_blob(&self, blob: &BlobRef, file: &File) -> Result<(), RemoteError>;
}
