//! Custom target specs: what is checked before the compiler reads one.
//!
//! Keys come from a list (`spec_keys.rs`), because a spec is a file of the
//! repository and the compiler does more with some keys than generate code.
//! Whether the values make sense is the compiler's to judge. The bytes are never
//! re-written: rustc hashes them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};

use super::{llvm_args, spec_keys};
use crate::document::shorten;
use crate::types::nearest::nearest;
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
    /// A key that makes the compiler load or start something.
    #[error("target spec {file} has the key `{key}`, which is refused: {why}")]
    Refused {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// What the compiler would do.
        why: &'static str,
    },
    /// A key that is on no list.
    #[error(
        "target spec {file} has the key `{}`, which is not on the list of accepted keys",
        .key.escape_debug()
    )]
    Unknown {
        /// The file.
        file: String,
        /// The key, shortened.
        key: String,
        /// A similar key on the list.
        nearest: Option<&'static str>,
    },
    /// An accepted key with a text that is not accepted.
    #[error(
        "target spec {file} has `{key}` with `{}`, which is refused: {why}",
        .text.escape_debug()
    )]
    Text {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The text, shortened.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// `llvm-args` with an argument that is not on the list.
    #[error(
        "target spec {file} has the `llvm-args` element `{}`, which is not on the list of \
         accepted arguments with a plain value",
        .argument.escape_debug()
    )]
    LlvmArgument {
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
            | Self::NotAnObject { .. }
            | Self::Refused { .. }
            | Self::Unknown { .. }
            | Self::Text { .. }
            | Self::LlvmArgument { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } | Self::TooDeep { .. } => None,
            Self::Malformed { .. } | Self::NotAnObject { .. } => Some(
                "correct it, or start from `rustc -Zunstable-options --print target-spec-json \
                 --target NAME`"
                    .to_owned(),
            ),
            Self::Refused { .. } => Some("remove the key".to_owned()),
            Self::Unknown {
                nearest: Some(near),
                ..
            } => Some(format!("did you mean `{near}`?")),
            Self::Unknown { nearest: None, .. } => Some(
                "remove the key; if the compiler is new and has it, a newer sysroot may know it"
                    .to_owned(),
            ),
            Self::Text { key, .. } if key == "cpu" => {
                Some("name a CPU; `rustc --print target-cpus --target NAME` lists them".to_owned())
            }
            Self::Text { .. } => None,
            Self::LlvmArgument { .. } => Some(
                "remove it; options that tune code generation are accepted, each as one element \
                 `-name=value`"
                    .to_owned(),
            ),
        }
    }
}

/// Checks the bytes of a target spec and returns their digest. `path` is how
/// errors call the file.
pub fn check_spec(bytes: &[u8], path: &Path) -> Result<SpecDigest, SpecError> {
    let file = || shorten(&path.display().to_string());
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
    for (key, value) in &keys {
        check_key(key, value, &file)?;
    }
    Ok(SpecDigest::of(bytes))
}

fn check_key(key: &str, value: &Json, file: &impl Fn() -> String) -> Result<(), SpecError> {
    if let Some(why) = spec_keys::refused(key) {
        return Err(SpecError::Refused {
            file: file(),
            key: key.to_owned(),
            why,
        });
    }
    if !spec_keys::accepted().any(|known| known == key) {
        return Err(SpecError::Unknown {
            file: file(),
            key: cut(key),
            nearest: nearest(key, spec_keys::accepted()),
        });
    }
    for text in texts(value) {
        if let Some(why) = spec_keys::bad_text(key, text) {
            return Err(SpecError::Text {
                file: file(),
                key: key.to_owned(),
                text: cut(text),
                why,
            });
        }
        if key == "llvm-args" && !llvm_args::is_allowed(text) {
            return Err(SpecError::LlvmArgument {
                file: file(),
                argument: cut(text),
            });
        }
    }
    Ok(())
}

/// So much of a text as an error shows.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
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
    fn case_153_linker_keys_are_accepted() {
        let spec = r#"{ "llvm-target": "x86_64-unknown-none", "linker": "/bin/marker",
            "pre-link-args": { "gnu-lld": ["-Tlink.ld"] }, "link-script": "x",
            "link-env": ["A=B"], "cpu": "x86-64-v2", "features": "-mmx,+soft-float",
            "exe-suffix": ".elf", "requires-lto": null, "max-atomic-width": 64,
            "llvm-args": ["--inline-threshold=3", "-align-all-functions=4"] }"#;
        assert_eq!(check(spec).unwrap(), SpecDigest::of(spec.as_bytes()));
    }

    #[test]
    fn case_153_keys_that_load_code_or_start_programs_are_refused_whatever_their_value() {
        for key in [
            "default-codegen-backend",
            r"default-codegen-\u0062ackend",
            "no-integrated-as",
        ] {
            for value in ["\"./evil.so\"", "\"llvm\"", "true", "null", "{}"] {
                let error = check(&format!("{{ \"{key}\": {value} }}")).expect_err(key);
                assert!(matches!(error, SpecError::Refused { .. }), "{error}");
                assert_eq!(error.class(), Class::Usage);
            }
        }
    }

    #[test]
    fn case_153_a_key_that_nobody_decided_on_is_refused_with_the_nearest() {
        let error = check(r#"{ "llvm-target": "x", "pre-link-arg": {} }"#).unwrap_err();
        assert!(error.to_string().contains("`pre-link-arg`"), "{error}");
        assert_eq!(error.hint().unwrap(), "did you mean `pre-link-args`?");
        let error = check(r#"{ "zzz\u001b": 1 }"#).unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
        assert!(error.hint().unwrap().contains("newer sysroot"));
    }

    #[test]
    fn case_153_values_that_depend_on_the_machine_or_name_places_are_refused() {
        for (key, value) in [
            ("cpu", "native"),
            ("cpu", "help"),
            ("features", "+neon,+native"),
            ("features", "+help"),
            ("dll-prefix", "../../x"),
            ("exe-suffix", "\\\\x"),
            ("staticlib-prefix", "/tmp/x"),
        ] {
            let error = check(&format!("{{ \"{key}\": \"{value}\" }}")).expect_err(value);
            assert!(matches!(error, SpecError::Text { .. }), "{error}");
            assert_eq!(error.class(), Class::Usage);
        }
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
            "-attributor-depgraph-dot-filename-prefix=/x",
            "-print-changed=dot-cfg",
            "-cgscc-inline-replay=F",
            "-basic-block-sections=F",
            "-wholeprogramdevirt-write-summary=F",
            "-view-isel-dags",
            "-x86-lvi-load-opt-plugin=x",
            "-mcpu=native",
        ] {
            let spec = format!(r#"{{ "llvm-args": ["-align-loops=4", "{argument}"] }}"#);
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
            r#"{"cpu": {"b": 1, "b": 2}}"#,
            r#"{"a": 1, "\u0061": 1}"#,
            r#"{"cpu": "x",}"#,
            "{} {}",
        ] {
            let error = check(bad).expect_err(bad);
            assert_eq!(error.class(), Class::Usage, "{bad}");
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
                let error = check(&deep("[")).unwrap_err();
                assert_eq!(error.class(), Class::Usage);
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
