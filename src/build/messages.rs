//! What cargo says while it builds: one JSON object a line.
//!
//! Unknown messages and fields are ignored, because cargo adds some now and
//! then; output paths are taken from here because their layout changes too.

use std::path::PathBuf;

use serde::Deserialize;

/// One line of cargo's output, as far as it concerns us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Files of a library crate.
    Library { name: String, files: Vec<PathBuf> },
    /// A compiler's message, rendered.
    Compiler { text: String, is_error: bool },
    /// Anything else.
    Other,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    message: Option<Rendered>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    #[serde(default)]
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Rendered {
    rendered: Option<String>,
    #[serde(default)]
    level: String,
}

/// Reads one line; one that is no JSON is no message of cargo's.
pub(super) fn parse(line: &[u8]) -> Message {
    let Ok(line) = serde_json::from_slice::<Line>(line) else {
        return Message::Other;
    };
    match (line.reason.as_str(), line.target, line.message) {
        ("compiler-artifact", Some(target), _) if is_library(&target.kind) => Message::Library {
            name: target.name,
            files: line.filenames,
        },
        ("compiler-message", _, Some(message)) => Message::Compiler {
            is_error: message.level.starts_with("error"),
            text: message.rendered.unwrap_or_default(),
        },
        _ => Message::Other,
    }
}

/// Build scripts and procedural macros are for the host.
fn is_library(kinds: &[String]) -> bool {
    let kinds = kinds.iter().map(String::as_str);
    kinds.into_iter().any(|kind| matches!(kind, "lib" | "rlib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_errors_are_told_from_the_rest() {
        let line = br#"{"reason":"compiler-artifact","target":{"name":"core","kind":["lib"]},
            "filenames":["/t/libcore.rlib"],"fresh":false}"#;
        let files = vec![PathBuf::from("/t/libcore.rlib")];
        let name = "core".to_owned();
        assert_eq!(parse(line), Message::Library { name, files });
        let line =
            br#"{"reason":"compiler-message","message":{"rendered":"no\n","level":"error"}}"#;
        let text = "no\n".to_owned();
        assert_eq!(
            parse(line),
            Message::Compiler {
                text,
                is_error: true
            }
        );
        for other in [
            &br#"{"reason":"compiler-artifact","target":{"name":"b","kind":["custom-build"]}}"#[..],
            br#"{"reason":"compiler-artifact","target":{"name":"p","kind":["proc-macro"]}}"#,
            br#"{"reason":"tomorrow's message","message":"a text"}"#,
            b"[1]",
            b"\xff",
            b"",
        ] {
            assert_eq!(parse(other), Message::Other);
        }
    }
}
