//! The first frame of a bundle.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::pack::{self, PackError};
use crate::remote::record::Signed;
use crate::remote::sign::{PublicKey, SecretKey};
use crate::store::{ComponentRecord, RecipeRecord};
use crate::types::TreeDigest;

/// The version of the format; others are refused.
const VERSION: u32 = 1;
/// The name of the index in its frame.
const NAME: &str = "sysroot-bundle.json";
/// The most signatures that one file may carry.
const MAX_SIGNATURES: usize = 16;
/// The largest index, in bytes: tens of thousands of records.
const MAX_INDEX: u64 = 16 << 20;
/// The longest name of a component, and line of a compiler, in bytes.
const MAX_LINE: usize = 200;

/// What a bundle holds, and what its writer says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Index {
    version: u32,
    /// Which archives gave which trees, sorted by archive.
    pub components: Vec<ComponentRecord>,
    /// Which recipes gave which trees, sorted by key.
    pub recipes: Vec<RecipeRecord>,
    /// The trees, sorted; their packs follow in this order.
    pub trees: Vec<TreeDigest>,
    /// Who vouches for all of the above; may be empty.
    pub signatures: Vec<Signed>,
}

impl Index {
    /// An index of these records and of further trees, which no record names.
    pub fn new(
        mut components: Vec<ComponentRecord>,
        mut recipes: Vec<RecipeRecord>,
        more: impl IntoIterator<Item = TreeDigest>,
    ) -> Self {
        components.sort_unstable_by_key(|record| record.archive);
        components.dedup_by_key(|record| record.archive);
        recipes.sort_unstable_by_key(|record| record.key);
        recipes.dedup_by_key(|record| record.key);
        let trees: BTreeSet<TreeDigest> = components
            .iter()
            .map(|record| record.tree)
            .chain(recipes.iter().map(|record| record.tree))
            .chain(more)
            .collect();
        Self {
            version: VERSION,
            components,
            recipes,
            trees: trees.into_iter().collect(),
            signatures: Vec::new(),
        }
    }

    /// Vouches for it.
    pub fn sign(&mut self, key: &SecretKey) {
        let signature = key.sign(&self.statement());
        let key = key.public();
        self.signatures.push(Signed { key, signature });
    }

    /// The first of the trusted keys that signed it.
    pub fn signer(&self, trusted: &[PublicKey]) -> Option<PublicKey> {
        let statement = self.statement();
        let good = |signed: &&Signed| {
            trusted.contains(&signed.key) && signed.key.verifies(&statement, &signed.signature)
        };
        self.signatures.iter().find(good).map(|signed| signed.key)
    }

    /// What is signed: the index without its signatures, under a name that no
    /// record of a remote begins with.
    fn statement(&self) -> Vec<u8> {
        let mut index = self.clone();
        index.signatures.clear();
        format!("sysroot-bundle-v1\n{}", index.to_text()).into_bytes()
    }

    /// Writes the frame.
    pub fn write<W: Write>(&self, out: W) -> Result<W, PackError> {
        pack::write_text(NAME, &self.to_text(), out)
    }

    /// Reads the frame; the inner error is the rule that the index breaks.
    pub fn read(input: &mut impl BufRead) -> Result<Result<Self, String>, PackError> {
        let text = pack::read_text_next(input, NAME, MAX_INDEX)?;
        Ok(Self::parse(&text))
    }

    /// What a user may call a tree.
    pub fn label(&self, tree: TreeDigest) -> String {
        let component = self.components.iter().find(|record| record.tree == tree);
        let recipe = self.recipes.iter().find(|record| record.tree == tree);
        match (component, recipe) {
            (Some(record), _) => record.name.clone(),
            (None, Some(record)) => record.target.to_string(),
            (None, None) => tree.to_string(),
        }
    }

    fn to_text(&self) -> String {
        // Serialising a struct of strings to memory cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    fn parse(text: &str) -> Result<Self, String> {
        /// Read first, so that a newer version is told as such.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!(
                "it has version {version}, and this sysroot knows version {VERSION}"
            ));
        }
        let index: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        index.check()?;
        // One way to write each index: nothing hides in a second spelling.
        if index.to_text() == text {
            Ok(index)
        } else {
            Err("it is not written as `sysroot cache export` writes it".to_owned())
        }
    }

    fn check(&self) -> Result<(), String> {
        let ascending = |sorted| {
            if sorted {
                Ok(())
            } else {
                Err("it is not sorted")
            }
        };
        ascending(self.trees.is_sorted_by(|a, b| a < b))?;
        ascending(self.components.is_sorted_by(|a, b| a.archive < b.archive))?;
        ascending(self.recipes.is_sorted_by(|a, b| a.key < b.key))?;
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(format!("it has more than {MAX_SIGNATURES} signatures"));
        }
        let mut named = self
            .components
            .iter()
            .map(|record| record.tree)
            .chain(self.recipes.iter().map(|record| record.tree));
        if let Some(tree) = named.find(|tree| self.trees.binary_search(tree).is_err()) {
            return Err(format!(
                "a record names tree {tree}, which is not in the file"
            ));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name =
            |name: &str| !name.is_empty() && name.len() <= MAX_LINE && name.bytes().all(plain);
        if let Some(record) = self.components.iter().find(|r| !is_name(&r.name)) {
            let name = record.name.escape_debug();
            return Err(format!("`{name}` is no name of a component"));
        }
        let is_line = |line: &str| line.len() <= MAX_LINE && !line.contains(char::is_control);
        if self.recipes.iter().any(|record| !is_line(&record.rustc)) {
            return Err("a compiler's name is not one short line".to_owned());
        }
        let claims = |record: &ComponentRecord| {
            record.claimed.is_sorted_by(|a, b| a < b) && record.claimed.contains(&record.archive)
        };
        match self.components.iter().find(|record| !claims(record)) {
            Some(record) => Err(format!("the formats of `{}` are malformed", record.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{RecipeKey, Sha256};

    fn index() -> Index {
        let archive = Sha256::from_bytes([1; 32]);
        let component = ComponentRecord {
            name: "rust-src".to_owned(),
            archive,
            claimed: vec![archive, Sha256::from_bytes([2; 32])],
            tree: TreeDigest::from_bytes([3; 32]),
        };
        let recipe = RecipeRecord {
            key: RecipeKey::from_bytes([4; 32]),
            target: "thumbv7em-none-eabihf".parse().unwrap(),
            host: "x86_64-unknown-linux-gnu".parse().unwrap(),
            rustc: "rustc 1.97.0".to_owned(),
            tree: TreeDigest::from_bytes([5; 32]),
        };
        let more = [TreeDigest::from_bytes([6; 32])];
        Index::new(vec![component.clone(), component], vec![recipe], more)
    }

    #[test]
    fn an_index_comes_back() {
        let bytes = index().write(Vec::new()).unwrap();
        let mut input = &bytes[..];
        assert_eq!(Index::read(&mut input).unwrap(), Ok(index()));
        assert!(input.is_empty());
        assert_eq!(index().trees.len(), 3);
        assert_eq!(index().components.len(), 1);
    }

    #[test]
    fn case_126_a_signature_is_of_everything_in_the_index() {
        let (ours, other) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let trusted = [ours.public()];
        let mut signed = index();
        assert_eq!(signed.signer(&trusted), None);
        signed.sign(&other);
        assert_eq!(signed.signer(&trusted), None);
        signed.sign(&ours);
        assert_eq!(signed.signer(&trusted), Some(ours.public()));
        assert_eq!(signed.signer(&[]), None);
        let text = signed.to_text();
        assert_eq!(Index::parse(&text), Ok(signed.clone()));
        let changes: [fn(&mut Index); 7] = [
            |i| i.components[0].tree = i.trees[1],
            |i| i.components[0].archive = i.components[0].claimed[1],
            |i| i.components[0].name.push('x'),
            |i| i.recipes[0].tree = i.trees[0],
            |i| i.recipes[0].key = RecipeKey::from_bytes([9; 32]),
            |i| i.recipes.clear(),
            |i| i.trees.push(TreeDigest::from_bytes([9; 32])),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = signed.clone();
            change(&mut changed);
            assert_eq!(changed.signer(&trusted), None, "{number}");
        }
    }

    #[test]
    fn case_129_texts_that_are_no_index_are_refused() {
        let text = index().to_text();
        let hex = |digit: &str| digit.repeat(32);
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("rust-src", "../src"),
            ("rust-src", "rust\\u001b[2J"),
            ("rustc 1.97.0", "rustc\\n1.97.0"),
            ("thumbv7em", "../thumb"),
            // Not sorted; a tree of a record that is not in the file.
            (&*hex("06"), &*hex("01")),
            (&*hex("02"), &*hex("00")),
            ("\"version\": 1", "\"version\":  1"),
            ("\"version\": 1", "\"more\": 1, \"version\": 1"),
            ("\"version\": 1", "\"version\": 1, \"version\": 1"),
        ] {
            let bad = text.replace(from, to);
            assert_ne!(bad, text, "{from}");
            assert!(Index::parse(&bad).is_err(), "{from} -> {to}");
        }
        let missing = text.replacen(&hex("03"), &hex("07"), 1);
        assert!(
            Index::parse(&missing)
                .unwrap_err()
                .contains("not in the file")
        );
        assert!(Index::parse(&"[".repeat(100_000)).is_err());
        assert!(Index::parse(&text[..text.len() - 1]).is_err());
    }
}
