//! Custom target specs: what is checked before the compiler reads one.
//!
//! Whether the keys make sense is the compiler's to judge. Linker keys are
//! inert, because rlibs are compiled and never linked for the target. The bytes
//! are never re-written: rustc hashes them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};

use crate::types::{Class, Diagnostic, SpecDigest};

/// The largest accepted target spec, in bytes.
pub const MAX_SPEC_SIZE: usize = 1 << 20;
/// The deepest accepted nesting of a target spec.
const MAX_DEPTH: usize = 16;

/// Why a file is no target spec that may be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Over [`MAX_SPEC_SIZE`].
    #[error("target spec {file} has {size} bytes; at most {MAX_SPEC_SIZE} are accepted")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        size: usize,
    },
    /// Nested too deep.
    #[error("target spec {file} is nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// The file.
        file: String,
    },
    /// No JSON, or a key given twice.
    #[error("target spec {file} is malformed")]
    Malformed {
        /// The file.
        file: String,
        /// What and where.
        #[source]
        source: serde_json::Error,
    },
    /// JSON, but no object.
    #[error("target spec {file} is not a JSON object")]
    NotAnObject {
        /// The file.
        file: String,
    },
    /// `llvm-args` with an argument that loads code or names a file.
    #[error(
        "target spec {file} has the `llvm-args` element `{}`, which loads code or names a file",
        .argument.escape_debug()
    )]
    LoadsCode {
        /// The file.
        file: String,
        /// The argument, shortened.
        argument: String,
    },
}

impl Diagnostic for SpecError {
    fn class(&self) -> Class {
        match self {
            Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::Malformed { .. }
            | Self::NotAnObject { .. } => Class::Integrity,
            Self::LoadsCode { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::TooDeep { .. } => None,
            Self::Malformed { .. } | Self::NotAnObject { .. } => Some(
                "start from `rustc -Zunstable-options --print target-spec-json --target NAME`"
                    .to_owned(),
            ),
            Self::LoadsCode { .. } => {
                Some("remove it; only arguments that tune code generation are accepted".to_owned())
            }
        }
    }
}

/// Checks the bytes of a target spec and returns their digest. `path` is how
/// errors call the file.
pub fn check_spec(bytes: &[u8], path: &Path) -> Result<SpecDigest, SpecError> {
    let file = || crate::document::shorten(&path.display().to_string());
    if bytes.len() > MAX_SPEC_SIZE {
        return Err(SpecError::TooLarge {
            file: file(),
            size: bytes.len(),
        });
    }
    if too_deep(bytes) {
        return Err(SpecError::TooDeep { file: file() });
    }
    let json: Json = serde_json::from_slice(bytes).map_err(|source| SpecError::Malformed {
        file: file(),
        source,
    })?;
    let Json::Object(keys) = json else {
        return Err(SpecError::NotAnObject { file: file() });
    };
    let arguments = keys.get("llvm-args").map(texts).unwrap_or_default();
    match arguments.into_iter().find(|argument| loads_code(argument)) {
        Some(argument) => Err(SpecError::LoadsCode {
            file: file(),
            argument: argument.chars().take(80).collect(),
        }),
        None => Ok(SpecDigest::of(bytes)),
    }
}

/// Whether an LLVM argument loads a plugin, reads a response file, or names a
/// file to read or write.
fn loads_code(argument: &str) -> bool {
    let name = argument.trim().trim_start_matches('-').to_ascii_lowercase();
    let name = name.split(['=', ' ']).next().unwrap_or_default();
    // A response file's content is not in the bytes that are locked.
    argument.trim_start().starts_with('@')
        || ["load", "fplugin", "plugin", "pass-plugin"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || ["plugin", "file", "output", "dir", "path"]
            .iter()
            .any(|word| name.split(['-', '_']).any(|part| part == *word))
}

/// Every text inside a value, whatever its shape.
fn texts(value: &Json) -> Vec<&str> {
    match value {
        Json::Text(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(keys) => keys.values().flat_map(texts).collect(),
        Json::Other => Vec::new(),
    }
}

/// Finds nesting over the limit without parsing, which would recurse.
fn too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// A JSON value of which only shape and texts matter; an object's keys are
/// unique, because two readers of a repeated key may take different values.
enum Json {
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Json>()? {
            if object.contains_key(&key) {
                let key: String = key.chars().take(80).collect();
                let message = format!("the key `{}` is given twice", key.escape_debug());
                return Err(A::Error::custom(message));
            }
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<SpecDigest, SpecError> {
        check_spec(text.as_bytes(), Path::new("targets/my-os.json"))
    }

    #[test]
    fn case_153_linker_keys_and_unknown_keys_are_accepted() {
        let spec = r#"{ "llvm-target": "x86_64-unknown-none", "linker": "/bin/marker",
            "pre-link-args": { "gnu-lld": ["-Tlink.ld"] }, "link-script": "x",
            "link-env": ["A=B"], "frobnicate": [1, 2.5, null, true, "-load=x"],
            "llvm-args": ["--inline-threshold=3", "-align-all-functions=4"] }"#;
        assert_eq!(check(spec).unwrap(), SpecDigest::of(spec.as_bytes()));
    }

    #[test]
    fn case_153_llvm_args_that_load_code_are_refused() {
        for argument in [
            "-load=x.so",
            "--load=x.so",
            "-load",
            "-load-pass-plugin=x.so",
            "-fplugin=x.so",
            " -load=x.so",
            "@file",
            "-pass-remarks-output=/tmp/x",
            "-info-output-file=x",
        ] {
            let spec = format!(r#"{{ "llvm-args": ["-a", "{argument}"] }}"#);
            let error = check(&spec).expect_err(argument);
            assert_eq!(error.class(), Class::Usage);
            assert!(error.to_string().contains(argument), "{error}");
        }
        assert!(check(r#"{ "llvm-args": "-load=x.so" }"#).is_err());
    }

    #[test]
    fn case_153_limits_and_repeated_keys_are_malformed() {
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_SPEC_SIZE));
        for bad in [
            long.as_str(),
            "",
            "{",
            "[]",
            "1",
            "null",
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": {"b": 1, "b": 2}}"#,
            r#"{"a": 1, "\u0061": 1}"#,
            "{} {}",
        ] {
            let error = check(bad).expect_err(bad);
            assert_eq!(error.class(), Class::Integrity, "{bad}");
        }
    }

    #[test]
    fn case_153_ten_thousand_levels_do_not_overflow_a_small_stack() {
        let deep = |open: &str| open.repeat(10_000);
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                for text in [deep("["), deep("{\"a\":"), format!("{{\"a\":{}", deep("["))] {
                    assert!(matches!(check(&text), Err(SpecError::TooDeep { .. })));
                }
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
