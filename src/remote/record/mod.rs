//! Records: which tree a recipe gave, and where its blob is.
//!
//! A record is one JSON object. It repeats everything that its address was
//! made from, so that it cannot stand in for another one, and carries
//! signatures over a canonical text ([`Record::statement`]):
//!
//! ```text
//! sysroot-record-v1
//! namespace NAMESPACE
//! recipe blake3:KEY                  component NAME
//! target TRIPLE                      archive sha256:HASH
//! host TRIPLE                        format sha256:HASH       (one line each, sorted)
//! rustc FIRST LINE OF rustc -vV
//! tree blake3:DIGEST
//! unpacked BYTES
//! blob sha256:HASH BYTES
//! ```
//!
//! Every line ends with a line break, and no value holds one.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::MAX_BLOB;
use super::address::{Address, Namespace};
use super::sign::{PublicKey, SecretKey, Signature};
use super::transport::{BlobRef, Name};
use crate::types::{RecipeKey, Sha256, TreeDigest, Triple};

/// The version of the format; others are refused.
const VERSION: u32 = 1;
/// The most signatures that one record may carry.
pub(super) const MAX_SIGNATURES: usize = 16;
/// The most formats that one component may have.
const MAX_FORMATS: usize = 8;
/// The longest line that a compiler may call itself, in bytes.
const MAX_LINE: usize = 200;
/// The largest tree, in bytes of its files.
pub const MAX_UNPACKED: u64 = 4 << 30;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A compiled target.
    Recipe(RecipeSubject),
    /// An unpacked archive of upstream.
    Component(ComponentSubject),
}

/// A compiled target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecipeSubject {
    /// The recipe's key.
    pub key: RecipeKey,
    /// What was compiled for.
    pub target: Triple,
    /// The machine that compiled.
    pub host: Triple,
    /// First line of the compiler's `rustc -vV`.
    pub rustc: String,
}

/// An unpacked archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComponentSubject {
    /// The component's name, such as `rust-std-thumbv7em-none-eabihf`.
    pub name: Triple,
    /// SHA-256 of the archive that was really unpacked.
    pub archive: Sha256,
    /// SHA-256 of every format that the lock has for it, that one included,
    /// sorted.
    pub formats: Vec<Sha256>,
}

impl Subject {
    /// Where its record stands.
    pub fn name(&self, namespace: &Namespace) -> Name {
        match self {
            Self::Recipe(recipe) => Name::Recipe(Address::of_recipe(namespace, recipe.key)),
            Self::Component(component) => {
                Name::Component(Address::of_component(namespace, &component.formats))
            }
        }
    }

    /// What a user calls it.
    pub fn label(&self) -> &str {
        match self {
            Self::Recipe(recipe) => recipe.target.as_str(),
            Self::Component(component) => component.name.as_str(),
        }
    }

    /// Whether a record of `other` answers for this: all but what only the one
    /// who made the tree knows, the compiler's words about itself (the recipe
    /// key holds them already) and which of the formats was unpacked.
    fn is_answered_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Recipe(a), Self::Recipe(b)) => {
                (a.key, &a.target, &a.host) == (b.key, &b.target, &b.host)
            }
            (Self::Component(a), Self::Component(b)) => {
                (&a.name, &a.formats) == (&b.name, &b.formats) && b.formats.contains(&b.archive)
            }
            (Self::Recipe(_), Self::Component(_)) | (Self::Component(_), Self::Recipe(_)) => false,
        }
    }
}

/// The compressed tree of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Blob {
    /// SHA-256 of the compressed bytes.
    pub sha256: Sha256,
    /// Number of compressed bytes.
    pub size: u64,
}

impl From<Blob> for BlobRef {
    fn from(blob: Blob) -> Self {
        let Blob { sha256, size } = blob;
        Self { sha256, size }
    }
}

/// A signature and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signed {
    /// The public key.
    pub key: PublicKey,
    /// Over [`Record::statement`].
    pub signature: Signature,
}

/// Which tree a recipe or archive gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    version: u32,
    /// Whose records it belongs to.
    pub namespace: Namespace,
    /// What it is about.
    pub subject: Subject,
    /// The tree.
    pub tree: TreeDigest,
    /// The sum of the tree's file sizes, in bytes.
    pub unpacked: u64,
    /// The compressed tree.
    pub blob: Blob,
    /// Who vouches for it; may be empty.
    pub signatures: Vec<Signed>,
}

/// Why a text is not the record that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not JSON of a record.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// It was made by a newer sysroot.
    #[error("it has version {0}, and this sysroot knows version {VERSION}")]
    Version(u32),
    /// A number or a list is beyond its limit.
    #[error("its {0} is beyond the limit")]
    Limit(&'static str),
    /// It belongs to another namespace.
    #[error("it belongs to namespace `{0}`")]
    Namespace(Namespace),
    /// It is about something else.
    #[error("it is about another {0}")]
    OtherSubject(&'static str),
}

impl Record {
    /// A record without signatures.
    pub fn new(
        namespace: Namespace,
        subject: Subject,
        tree: TreeDigest,
        unpacked: u64,
        blob: Blob,
    ) -> Self {
        Self {
            version: VERSION,
            namespace,
            subject,
            tree,
            unpacked,
            blob,
            signatures: Vec::new(),
        }
    }

    /// Reads a record that must be about `subject`.
    pub fn parse(
        bytes: &[u8],
        namespace: &Namespace,
        subject: &Subject,
    ) -> Result<Self, RecordError> {
        /// Read first, so that a newer version is told as such.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let malformed = |e: serde_json::Error| {
            RecordError::Malformed(e.to_string().chars().take(200).collect())
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let record: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        record.check_limits()?;
        if record.namespace != *namespace {
            return Err(RecordError::Namespace(record.namespace));
        }
        if !subject.is_answered_by(&record.subject) {
            return Err(RecordError::OtherSubject(match subject {
                Subject::Recipe(_) => "recipe",
                Subject::Component(_) => "component",
            }));
        }
        Ok(record)
    }

    fn check_limits(&self) -> Result<(), RecordError> {
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(RecordError::Limit("number of signatures"));
        }
        if self.unpacked > MAX_UNPACKED {
            return Err(RecordError::Limit("unpacked size"));
        }
        if self.blob.size > MAX_BLOB {
            return Err(RecordError::Limit("blob size"));
        }
        match &self.subject {
            Subject::Recipe(recipe) if !is_line(&recipe.rustc) => {
                Err(RecordError::Limit("compiler's name"))
            }
            Subject::Component(c) if c.formats.is_empty() || c.formats.len() > MAX_FORMATS => {
                Err(RecordError::Limit("number of formats"))
            }
            Subject::Recipe(_) | Subject::Component(_) => Ok(()),
        }
    }

    /// The text of the record.
    pub fn to_json(&self) -> Vec<u8> {
        // Serialising a struct of numbers and strings to memory cannot fail.
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The canonical text that is signed.
    pub fn statement(&self) -> Vec<u8> {
        let Self {
            version,
            namespace,
            subject,
            tree,
            unpacked,
            blob,
            signatures: _,
        } = self;
        let mut text = format!("sysroot-record-v{version}\nnamespace {namespace}\n");
        // Writing to a `String` cannot fail.
        let _ = match subject {
            Subject::Recipe(RecipeSubject {
                key,
                target,
                host,
                rustc,
            }) => writeln!(
                text,
                "recipe {key}\ntarget {target}\nhost {host}\nrustc {rustc}"
            ),
            Subject::Component(ComponentSubject {
                name,
                archive,
                formats,
            }) => {
                let formats = formats.iter().map(|hash| format!("\nformat {hash}"));
                let formats = formats.collect::<String>();
                writeln!(text, "component {name}\narchive {archive}{formats}")
            }
        };
        let Blob { sha256, size } = blob;
        let _ = writeln!(
            text,
            "tree {tree}\nunpacked {unpacked}\nblob {sha256} {size}"
        );
        text.into_bytes()
    }

    /// Adds a signature, in place of an older one of the same key; `false`,
    /// and nothing changed, if the record has as many as it may have. What
    /// does not verify counts for nothing, and gives way.
    pub fn sign(&mut self, key: &SecretKey) -> bool {
        let statement = self.statement();
        let signed = Signed {
            key: key.public(),
            signature: key.sign(&statement),
        };
        let keep = |other: &Signed| other.key != signed.key;
        if self.signatures.iter().filter(|s| keep(s)).count() >= MAX_SIGNATURES {
            let good = |s: &&Signed| keep(s) && s.key.verifies(&statement, &s.signature);
            if self.signatures.iter().filter(good).count() >= MAX_SIGNATURES {
                return false;
            }
            self.signatures
                .retain(|s| s.key.verifies(&statement, &s.signature));
        }
        self.signatures.retain(keep);
        self.signatures.push(signed);
        true
    }

    /// The first of these keys that signed the record.
    pub fn signer(&self, trusted: &[PublicKey]) -> Option<PublicKey> {
        let statement = self.statement();
        let is_good = |signed: &&Signed| {
            trusted.contains(&signed.key) && signed.key.verifies(&statement, &signed.signature)
        };
        self.signatures
            .iter()
            .find(is_good)
            .map(|signed| signed.key)
    }
}

/// Whether a text is one printable line.
fn is_line(text: &str) -> bool {
    text.len() <= MAX_LINE && !text.chars().any(char::is_control)
}
