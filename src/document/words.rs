//! The deserializer's messages in the words of whoever wrote the file: tables
//! and lists, not the types of this program.

/// The message without the names of types.
pub(super) fn plain(message: &str) -> String {
    if let Some((expected, found)) = mismatch(message) {
        let (expected, found) = (expected_kind(expected), found_value(found));
        return format!("expected {expected}, found {found}");
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return format!("unknown key {rest}");
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return format!("the key {rest} is missing");
    }
    if let Some((found, known)) = variant(message) {
        return format!("{found} is none of {known}");
    }
    match message {
        // Of a choice between texts.
        "wanted string or table" => "expected a string".to_owned(),
        _ => message.to_owned(),
    }
}

/// What to write instead, where the message alone tells it. `at` is the text at
/// the fault's place.
pub(super) fn hint(message: &str, at: &str) -> Option<String> {
    let (expected, found) = mismatch(message)?;
    if expected_kind(expected) != "a list" {
        return None;
    }
    if let Some(text) = found.strip_prefix("string ") {
        return (text.len() <= 80).then(|| format!("write it in brackets: `[{text}]`"));
    }
    let header = at.lines().next().unwrap_or_default().trim();
    let name = header.strip_prefix('[')?.split(']').next()?;
    (found == "map").then(|| format!("each entry has a table of its own: `[[{name}]]`"))
}

/// What was expected and what was found, of a message about a type or a value.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let about_type = message.strip_prefix("invalid type: ");
    let rest = about_type.or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some((expected, found))
}

/// The value and the known ones, quoted, of a message about a choice.
fn variant(message: &str) -> Option<(&str, String)> {
    let rest = message.strip_prefix("unknown variant ")?;
    let (found, known) = rest.rsplit_once(", expected ")?;
    let known = known.strip_prefix("one of ").unwrap_or(known);
    Some((found, known.replace(" or ", ", ")))
}

fn expected_kind(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "i64" | "u64" | "u32" | "u16" | "u8" => "an integer",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

fn found_value(found: &str) -> String {
    match found.split_once(' ') {
        None if found == "map" => "a table".to_owned(),
        None if found == "sequence" => "a list".to_owned(),
        Some(("string" | "boolean" | "integer", _)) => format!("the {found}"),
        _ => match found.strip_prefix("floating point ") {
            Some(number) => format!("the number {number}"),
            None => found.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_of_ours_and_no_word_of_serdes_is_left() {
        for (message, words) in [
            (
                "invalid type: boolean `true`, expected struct RawTarget",
                "expected a table, found the boolean `true`",
            ),
            (
                "invalid type: map, expected a sequence",
                "expected a list, found a table",
            ),
            (
                "invalid type: string \"a, expected b\", expected a sequence",
                "expected a list, found the string \"a, expected b\"",
            ),
            (
                "invalid type: floating point `1.5`, expected a string",
                "expected a string, found the number `1.5`",
            ),
            (
                "unknown field `x`, expected `a` or `b`",
                "unknown key `x`, expected `a` or `b`",
            ),
            ("missing field `url`", "the key `url` is missing"),
            (
                "unknown variant `x`, expected `a` or `b`",
                "`x` is none of `a`, `b`",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                "`x` is none of `a`, `b`, `c`",
            ),
            ("wanted string or table", "expected a string"),
            ("invalid string", "invalid string"),
        ] {
            assert_eq!(plain(message), words);
        }
    }
}
