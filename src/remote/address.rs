//! Under which name a record stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::types::{RecipeKey, Sha256};

/// Separates the records of one purpose from all others: a changed namespace
/// makes every old record a miss.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);

/// Not a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a namespace: expected at most 64 ASCII letters, digits, `.`, `_` or `-`",
    .0.escape_debug()
)]
pub struct NamespaceError(String);

impl Namespace {
    /// The name as text; empty is the default one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NamespaceError(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a record: 32 bytes that hold its namespace and its key.
///
/// It has the shape of a SHA-256, which is what servers of Bazel's cache
/// layout expect. It leads to a record, and proves nothing: the record
/// repeats namespace and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 32]);

impl Address {
    /// Where the record of a recipe stands.
    pub fn of_recipe(namespace: &Namespace, key: RecipeKey) -> Self {
        Self::hash("recipe", namespace, &[key.to_hex()])
    }

    /// Where the record of a component stands: `formats` are the SHA-256 of
    /// all its archives, in any order.
    pub fn of_component(namespace: &Namespace, formats: &[Sha256]) -> Self {
        let mut formats: Vec<String> = formats.iter().map(Sha256::to_hex).collect();
        formats.sort_unstable();
        formats.dedup();
        Self::hash("component", namespace, &formats)
    }

    /// Where the `generation`-th claim on a recipe stands.
    pub fn of_claim(namespace: &Namespace, key: RecipeKey, generation: u32) -> Self {
        Self::hash("claim", namespace, &[key.to_hex(), generation.to_string()])
    }

    /// No part holds a line break, so no two lists of parts share a text.
    fn hash(kind: &str, namespace: &Namespace, parts: &[String]) -> Self {
        let mut text = format!("sysroot-address-v1\n{kind}\n{namespace}\n");
        for part in parts {
            text.push_str(part);
            text.push('\n');
        }
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The 64 hexadecimal digits that stand in the object's name.
    pub fn to_hex(&self) -> String {
        Sha256::from_bytes(self.0).to_hex()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_137_another_namespace_is_another_address() {
        let key = RecipeKey::from_bytes([7; 32]);
        let [none, a, b] = ["", "a", "b"].map(|n| n.parse::<Namespace>().unwrap());
        let all = [
            Address::of_recipe(&none, key),
            Address::of_recipe(&a, key),
            Address::of_recipe(&b, key),
            Address::of_claim(&none, key, 0),
            Address::of_claim(&none, key, 1),
            Address::of_component(&none, &[Sha256::from_bytes([7; 32])]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }

    #[test]
    fn the_address_of_a_known_recipe_never_changes() {
        let key = RecipeKey::from_bytes([7; 32]);
        let text = format!("sysroot-address-v1\nrecipe\n\n{}\n", "07".repeat(32));
        assert_eq!(
            Address::of_recipe(&Namespace::default(), key).to_hex(),
            blake3::hash(text.as_bytes()).to_hex().as_str()
        );
    }

    #[test]
    fn the_order_of_a_components_formats_does_not_matter() {
        let [a, b] = [[1; 32], [2; 32]].map(Sha256::from_bytes);
        let none = Namespace::default();
        assert_eq!(
            Address::of_component(&none, &[a, b]),
            Address::of_component(&none, &[b, a])
        );
    }

    #[test]
    fn case_139_namespaces_that_could_be_paths_are_refused() {
        for bad in ["../x", "a/b", "a\nb", "a b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad:?}");
        }
    }
}
