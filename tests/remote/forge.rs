//! Records and blobs as a malicious remote makes them, signed by a key that is
//! trusted: the lie must be seen all the same.

use std::collections::BTreeMap;
use std::io::Write as _;

use sysroot::remote::record::{Blob, RecipeSubject};
use sysroot::remote::sign::SecretKey;
use sysroot::remote::{Address, Namespace, Record, Subject};
use sysroot::types::{RecipeKey, Sha256, TreeDigest};

use super::{ONE, Shared, find, is_record, sha256};
use crate::support::compiler::HOST;

/// Writes a record and its blob as a remote has them.
pub(crate) struct Forger {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    subject: Subject,
    key: SecretKey,
}

impl Forger {
    /// Forges what stands at the one record of a shared remote, with the key
    /// that its users trust: the lie must be seen although it is signed.
    pub(crate) fn new(shared: &Shared) -> Self {
        Self::of(shared, ONE)
    }

    /// The same for the record of one target among others.
    pub(crate) fn of(shared: &Shared, target: &str) -> Self {
        let objects = shared.objects.lock().unwrap().clone();
        let is_its = |bytes: &[u8]| {
            is_record(bytes) && String::from_utf8_lossy(bytes).contains(&format!("{target:?}"))
        };
        let text = &objects[&find(&objects, "/cas/", is_its)];
        let record: serde_json::Value = serde_json::from_slice(text).unwrap();
        let key = record["subject"]["recipe"]["key"].as_str().unwrap();
        let subject = Subject::Recipe(RecipeSubject {
            key: key.parse().unwrap(),
            target: target.parse().unwrap(),
            host: HOST.parse().unwrap(),
            rustc: "rustc 1.97.0".to_owned(),
        });
        let secret = std::fs::read_to_string(&shared.key.0).unwrap();
        Self {
            objects: BTreeMap::new(),
            subject,
            key: SecretKey::parse(&secret).unwrap(),
        }
    }

    fn recipe(&self) -> RecipeKey {
        match &self.subject {
            Subject::Recipe(recipe) => recipe.key,
            Subject::Component(_) => unreachable!(),
        }
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> Blob {
        let sha256 = Sha256::of(bytes);
        self.objects
            .insert(format!("/cas/{}", sha256.to_hex()), bytes.to_vec());
        Blob {
            sha256,
            size: bytes.len() as u64,
        }
    }

    /// Puts a text where the record is looked for.
    pub(crate) fn record(&mut self, text: &[u8]) {
        let hash = sha256(text);
        let digest = [
            &[0x0a, 64][..],
            hash.as_bytes(),
            &[0x10],
            &varint(text.len() as u64),
        ]
        .concat();
        let path = b"record.json";
        let file = [
            &[0x0a, 11][..],
            path,
            &[0x12],
            &varint(digest.len() as u64),
            &digest,
        ]
        .concat();
        let entry = [&[0x12][..], &varint(file.len() as u64), &file].concat();
        self.objects.insert(format!("/cas/{hash}"), text.to_vec());
        let address = Address::of_recipe(&Namespace::default(), self.recipe());
        self.objects.insert(format!("/ac/{address}"), entry);
    }

    /// A signed record that says this blob holds this tree.
    pub(crate) fn signed(&mut self, tree: TreeDigest, unpacked: u64, blob: Blob) {
        let namespace = Namespace::default();
        let mut record = Record::new(namespace, self.subject.clone(), tree, unpacked, blob);
        record.sign(&self.key);
        self.record(&record.to_json());
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of one regular file after another, whatever their names are.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.as_old_mut().cksum = *b"        ";
        let sum: u32 = header.as_bytes().iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        header.as_old_mut().cksum.copy_from_slice(sum.as_bytes());
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A compressed tree with this listing and these files, and its address.
pub(crate) fn forged(listing: &str, files: &[(&str, &[u8])]) -> (TreeDigest, Vec<u8>) {
    let all: Vec<(&str, &[u8])> = [("sysroot-tree.txt", listing.as_bytes())]
        .into_iter()
        .chain(files.iter().copied())
        .collect();
    let tree = TreeDigest::from_bytes(*blake3::hash(listing.as_bytes()).as_bytes());
    (tree, zstd(&tar(&all)))
}
