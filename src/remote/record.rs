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
const MAX_SIGNATURES: usize = 16;
/// The most formats that one component may have.
const MAX_FORMATS: usize = 8;
/// The longest line that a compiler may call itself, in bytes.
const MAX_LINE: usize = 200;
/// The largest tree, in bytes of its files.
pub const MAX_UNPACKED: u64 = 8 << 30;

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

    /// Adds a signature, in place of an older one of the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        let signed = Signed {
            key: key.public(),
            signature: key.sign(&self.statement()),
        };
        self.signatures.retain(|other| other.key != signed.key);
        self.signatures.push(signed);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject::Recipe(RecipeSubject {
            key: RecipeKey::from_bytes([1; 32]),
            target: "thumbv7em-none-eabihf".parse().unwrap(),
            host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            rustc: "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)".to_owned(),
        })
    }

    fn record() -> Record {
        let blob = Blob {
            sha256: Sha256::from_bytes([2; 32]),
            size: 10,
        };
        let tree = TreeDigest::from_bytes([3; 32]);
        Record::new(Namespace::default(), subject(), tree, 20, blob)
    }

    fn parse(text: &str) -> Result<Record, RecordError> {
        Record::parse(text.as_bytes(), &Namespace::default(), &subject())
    }

    fn json() -> String {
        String::from_utf8(record().to_json()).unwrap()
    }

    #[test]
    fn the_statement_is_pinned() {
        let expected = format!(
            "sysroot-record-v1\nnamespace \nrecipe blake3:{}\ntarget thumbv7em-none-eabihf\nhost \
             x86_64-unknown-linux-gnu\nrustc rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\ntree \
             blake3:{}\nunpacked 20\nblob sha256:{} 10\n",
            "01".repeat(32),
            "03".repeat(32),
            "02".repeat(32)
        );
        assert_eq!(String::from_utf8(record().statement()).unwrap(), expected);
    }

    #[test]
    fn a_components_record_says_which_archive_was_unpacked() {
        let hash = |byte| Sha256::from_bytes([byte; 32]);
        let subject = |archive| {
            Subject::Component(ComponentSubject {
                name: "rust-src".parse().unwrap(),
                archive: hash(archive),
                formats: vec![hash(1), hash(2)],
            })
        };
        let parse = |archive| {
            let record = Record {
                subject: subject(archive),
                ..record()
            };
            Record::parse(&record.to_json(), &Namespace::default(), &subject(1))
        };
        let statement = String::from_utf8(parse(2).unwrap().statement()).unwrap();
        let lines: Vec<&str> = statement.lines().skip(2).take(4).collect();
        let hash = |byte| hash(byte).to_string();
        assert_eq!(
            lines,
            [
                "component rust-src".to_owned(),
                format!("archive {}", hash(2)),
                format!("format {}", hash(1)),
                format!("format {}", hash(2)),
            ]
        );
        assert_eq!(
            parse(3).unwrap_err(),
            RecordError::OtherSubject("component")
        );
    }

    #[test]
    fn case_126_each_field_is_under_the_signature() {
        let key = SecretKey::generate().unwrap();
        let trusted = [key.public()];
        let mut record = record();
        record.sign(&key);
        let read = parse(&String::from_utf8(record.to_json()).unwrap()).unwrap();
        assert_eq!(read.signer(&trusted), Some(key.public()));
        assert_eq!(read.signer(&[]), None);
        let changes: Vec<fn(&mut Record)> = vec![
            |r| r.namespace = "x".parse().unwrap(),
            |r| r.tree = TreeDigest::from_bytes([4; 32]),
            |r| r.unpacked += 1,
            |r| r.blob.size += 1,
            |r| r.blob.sha256 = Sha256::of(b""),
            |r| match &mut r.subject {
                Subject::Recipe(s) => s.key = RecipeKey::from_bytes([9; 32]),
                Subject::Component(_) => unreachable!(),
            },
            |r| match &mut r.subject {
                Subject::Recipe(s) => s.target = "other".parse().unwrap(),
                Subject::Component(_) => unreachable!(),
            },
            |r| match &mut r.subject {
                Subject::Recipe(s) => s.host = "other".parse().unwrap(),
                Subject::Component(_) => unreachable!(),
            },
            |r| match &mut r.subject {
                Subject::Recipe(s) => s.rustc.push('x'),
                Subject::Component(_) => unreachable!(),
            },
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut other = record.clone();
            change(&mut other);
            assert_eq!(other.signer(&trusted), None, "change {i}");
        }
    }

    #[test]
    fn case_128_a_record_about_something_else_is_refused() {
        let text = json();
        assert!(parse(&text).is_ok());
        for (from, to) in [
            ("thumbv7em-none-eabihf", "thumbv6m-none-eabi"),
            ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
            (&"01".repeat(32), &"05".repeat(32)),
        ] {
            let error = parse(&text.replace(from, to)).unwrap_err();
            assert_eq!(error, RecordError::OtherSubject("recipe"), "{from}");
        }
        let other = "salt".parse().unwrap();
        let error = Record::parse(text.as_bytes(), &other, &subject()).unwrap_err();
        assert_eq!(error, RecordError::Namespace(Namespace::default()));
    }

    #[test]
    fn case_129_texts_that_are_no_records_are_refused() {
        let text = json();
        let many = format!(
            "\"signatures\":[{}]",
            vec![
                format!(
                    "{{\"key\":\"{}\",\"signature\":\"ed25519:{}\"}}",
                    SecretKey::generate().unwrap().public(),
                    "A".repeat(86) + "=="
                );
                17
            ]
            .join(",")
        );
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"unpacked\":20", "\"unpacked\":9223372036854775808"),
            ("\"unpacked\":20", "\"unpacked\":-1"),
            ("\"size\":10", "\"size\":18446744073709551616"),
            ("\"size\":10", "\"size\":4294967296"),
            ("thumbv7em-none-eabihf", "../../etc"),
            ("rustc 1.97", "rustc\\n1.97"),
            ("\"unpacked\":20", "\"unpacked\":20,\"more\":1"),
            ("\"unpacked\":20", "\"unpacked\":20,\"unpacked\":20"),
            ("\"signatures\":[]", &many),
            ("sha256:", "blake3:"),
        ] {
            let bad = text.replace(from, to);
            assert_ne!(bad, text, "{from}");
            assert!(parse(&bad).is_err(), "{from} -> {to}");
        }
        for at in 0..text.trim_end().len() {
            assert!(parse(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
