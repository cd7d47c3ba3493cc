//! The small parts of a CycloneDX document: hashes, properties, package URLs,
//! licences, and the number that names it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::lock::LockedArchive;
use crate::types::Sha256;

/// Under what Rust's own parts are licensed.
const RUST: &str = "MIT OR Apache-2.0";

pub(super) fn metadata(text: &str) -> Value {
    json!({
        "tools": { "components": [{
            "type": "application",
            "name": "sysroot",
            "version": env!("CARGO_PKG_VERSION"),
        }] },
        "component": {
            "type": "file",
            "bom-ref": "sysroot.lock",
            "name": "sysroot.lock",
            "hashes": [sha256(&Sha256::of(text.as_bytes()))],
        },
    })
}

pub(super) fn sha256(hash: &Sha256) -> Value {
    json!({ "alg": "SHA-256", "content": hash.to_hex() })
}

/// Where an archive is found on any dist server.
pub(super) fn distribution(archive: &LockedArchive) -> Value {
    json!({
        "type": "distribution",
        "url": archive.path.as_str(),
        "comment": "path below the root of any dist server",
        "hashes": [sha256(&archive.sha256)],
    })
}

pub(super) fn properties(details: &[(&str, String)]) -> Vec<Value> {
    let one = |(name, value): &(&str, String)| json!({ "name": format!("sysroot:{name}"), "value": value });
    details.iter().map(one).collect()
}

/// What a component of upstream is licensed under, where that is known.
pub(super) fn licence(name: &str) -> Vec<Value> {
    let expression = match name.strip_suffix("-preview").unwrap_or(name) {
        "rustc" | "cargo" | "rust-std" | "rust-src" | "clippy" | "rustfmt" | "rust-analyzer"
        | "miri" | "rust-docs" | "rustc-dev" => RUST,
        "llvm-tools" => "Apache-2.0 WITH LLVM-exception",
        _ => return Vec::new(),
    };
    vec![json!({ "expression": expression })]
}

/// A package URL; the qualifiers must be sorted by name.
pub(super) fn purl(kind: &str, name: &str, version: &str, qualifiers: &[(&str, String)]) -> String {
    let mut url = format!("pkg:{kind}/{}", encode(name));
    if !version.is_empty() {
        url = format!("{url}@{}", encode(version));
    }
    let pairs: Vec<String> = qualifiers
        .iter()
        .map(|(key, value)| format!("{key}={}", encode(value)))
        .collect();
    if pairs.is_empty() {
        return url;
    }
    format!("{url}?{}", pairs.join("&"))
}

/// Writes what has a meaning in a package URL as `%` and two digits.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b':');
    text.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// A UUID of version 8 (RFC 9562), made from a hash.
pub(super) fn serial_number(text: &str) -> String {
    let mut bytes = [0; 16];
    blake3::Hasher::new()
        .update(text.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let cut = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = cut.into_iter().filter_map(|range| hex.get(range)).collect();
    format!("urn:uuid:{}", parts.join("-"))
}
