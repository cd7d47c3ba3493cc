//! The `ActionResult` of the Remote Execution API, as far as a cache needs it.
//!
//! Servers of Bazel's cache layout may check that what stands under `/ac/` is
//! such a message and that `/cas/` has every blob it names. So a record is
//! kept as a blob of its own, and its action entry names it and the compressed
//! tree as two output files:
//!
//! ```text
//! ActionResult { output_files: [2]  OutputFile { path: [1], digest: [2] Digest { hash: [1], size_bytes: [2] } }
//!                exit_code: [4] 0 (the default, not encoded) }
//! ```

use super::transport::BlobRef;
use crate::types::Sha256;

/// The path of the record among an entry's output files.
pub(super) const RECORD: &str = "record.json";
/// The path of the first blob that the record names; others are numbered.
const TREE: &str = "tree.tar.zst";
/// The most output files of an entry that we read.
const MAX_FILES: usize = 16;

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// One output file of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputFile {
    pub(super) path: String,
    pub(super) blob: BlobRef,
}

/// Encodes the entry of a record and of the blobs it names.
pub(super) fn encode(record: BlobRef, blobs: &[BlobRef]) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, 2, &output_file(RECORD, record));
    for (i, blob) in blobs.iter().enumerate() {
        let path = match i {
            0 => TREE.to_owned(),
            i => format!("{i}-{TREE}"),
        };
        put_bytes(&mut message, 2, &output_file(&path, *blob));
    }
    message
}

fn output_file(path: &str, blob: BlobRef) -> Vec<u8> {
    let mut digest = Vec::new();
    put_bytes(&mut digest, 1, blob.sha256.to_hex().as_bytes());
    // Zero is the default, and defaults are not encoded.
    if blob.size > 0 {
        put_varint(&mut digest, 2 << 3 | VARINT);
        put_varint(&mut digest, blob.size);
    }
    let mut file = Vec::new();
    put_bytes(&mut file, 1, path.as_bytes());
    put_bytes(&mut file, 2, &digest);
    file
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}

fn put_bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(to, field << 3 | BYTES);
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// The output files of an entry; `None` if it is no such message, or names
/// more than we could have written. Fields of no interest are skipped.
pub(super) fn decode(message: &[u8]) -> Option<Vec<OutputFile>> {
    let mut files = Vec::new();
    for field in Fields(message) {
        if let (2, Value::Bytes(bytes)) = field? {
            if files.len() == MAX_FILES {
                return None;
            }
            files.push(decode_file(bytes)?);
        }
    }
    Some(files)
}

fn decode_file(message: &[u8]) -> Option<OutputFile> {
    let (mut path, mut blob) = (None, None);
    for field in Fields(message) {
        match field? {
            (1, Value::Bytes(bytes)) => path = Some(std::str::from_utf8(bytes).ok()?.to_owned()),
            (2, Value::Bytes(bytes)) => blob = Some(decode_digest(bytes)?),
            _ => {}
        }
    }
    Some(OutputFile {
        path: path?,
        blob: blob?,
    })
}

fn decode_digest(message: &[u8]) -> Option<BlobRef> {
    let (mut sha256, mut size) = (None, 0);
    for field in Fields(message) {
        match field? {
            (1, Value::Bytes(bytes)) => {
                sha256 = Some(Sha256::from_hex(std::str::from_utf8(bytes).ok()?).ok()?);
            }
            (2, Value::Number(number)) => size = number,
            _ => {}
        }
    }
    // The size is a signed number.
    let sha256 = sha256.filter(|_| i64::try_from(size).is_ok())?;
    Some(BlobRef { sha256, size })
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed size, and of no interest here.
    Other,
}

/// The fields of a message in order; `Some(None)` once where it is malformed.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            BYTES => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Other)?,
            FIXED32 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        let number = tag >> 3;
        (number > 0).then_some((number, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(byte: u8, size: u64) -> BlobRef {
        let sha256 = Sha256::from_bytes([byte; 32]);
        BlobRef { sha256, size }
    }

    /// `output_files { path: "record.json" digest { hash: "01…" size_bytes: 300 } }`,
    /// written out by the rules of the encoding.
    #[test]
    fn the_encoding_is_the_known_one() {
        let mut expected = vec![0x12, 0x54];
        expected.extend([0x0a, 0x0b]);
        expected.extend(b"record.json");
        expected.extend([0x12, 0x45, 0x0a, 0x40]);
        expected.extend("01".repeat(32).bytes());
        expected.extend([0x10, 0xac, 0x02]);
        assert_eq!(encode(blob(1, 300), &[]), expected);
    }

    #[test]
    fn what_is_encoded_is_decoded_alike() {
        let blobs = [blob(2, 0), blob(3, u64::MAX >> 1)];
        let files = decode(&encode(blob(1, 127), &blobs)).unwrap();
        let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, [RECORD, "tree.tar.zst", "1-tree.tar.zst"]);
        assert_eq!(files[0].blob, blob(1, 127));
        assert_eq!([files[1].blob, files[2].blob], blobs);
    }

    #[test]
    fn fields_of_others_are_skipped() {
        let mut message = vec![0x20, 0x01]; // exit_code: 1
        message.extend([0x32, 0x02, b'h', b'i']); // stdout_raw
        message.extend([0x4d, 1, 2, 3, 4]); // a fixed32
        message.extend([0x51, 1, 2, 3, 4, 5, 6, 7, 8]); // a fixed64
        message.extend(encode(blob(1, 1), &[]));
        assert_eq!(decode(&message).unwrap().len(), 1);
    }

    #[test]
    fn case_129_malformed_entries_are_refused() {
        let good = encode(blob(1, 300), &[blob(2, 5)]);
        let first = encode(blob(1, 300), &[]).len();
        for at in 1..good.len() {
            let decoded = decode(&good[..at]);
            assert_eq!(decoded.is_some(), at == first, "cut at {at}");
        }
        let many = encode(blob(1, 1), &[]).repeat(17);
        let no_hash = [0x12, 0x04, 0x0a, 0x00, 0x12, 0x00];
        let endless = [0xff; 11];
        let long = [
            0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        for bad in [&many[..], &no_hash, &endless, &long, &[0x00, 0x00], &[0x0b]] {
            assert_eq!(decode(bad), None, "{bad:x?}");
        }
        let negative = encode(blob(1, u64::MAX), &[]);
        assert_eq!(decode(&negative), None);
    }
}
