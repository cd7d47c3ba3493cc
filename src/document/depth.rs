//! How deep a TOML text nests, found without parsing it.
//!
//! The invariant: a text that passes makes no parser or destructor recurse
//! further than [`MAX_DEPTH`] brackets times [`MAX_DEPTH`] parts of a dotted
//! key. The scan understands strings and comments and nothing else.

/// The deepest accepted nesting of brackets, and the longest dotted key.
pub(super) const MAX_DEPTH: usize = 16;

/// What the scan is inside of.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Plain,
    Comment,
    Basic,
    Literal,
    MultiBasic,
    MultiLiteral,
}

/// Finds the byte where the text first nests too deep.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut state = State::Plain;
    let (mut depth, mut dots) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let (next, step) = advance(state, byte, rest);
        if state == State::Plain {
            match byte {
                b'[' | b'{' => {
                    depth += 1;
                    dots = 0;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'.' => dots += 1,
                b'=' | b',' | b'\n' => dots = 0,
                _ => {}
            }
            if depth > MAX_DEPTH || dots > MAX_DEPTH {
                return Some(at);
            }
        }
        state = next;
        at += step;
    }
    None
}

/// The state after `byte`, and how many bytes that took.
fn advance(state: State, byte: u8, rest: &[u8]) -> (State, usize) {
    match (state, byte) {
        (State::Plain, b'#') => (State::Comment, 1),
        (State::Plain, b'"') if rest.starts_with(b"\"\"\"") => (State::MultiBasic, 3),
        (State::Plain, b'\'') if rest.starts_with(b"'''") => (State::MultiLiteral, 3),
        (State::Plain, b'"') => (State::Basic, 1),
        (State::Plain, b'\'') => (State::Literal, 1),
        // A newline ends these even where the closing quote is missing, as it
        // does for the parser, which goes on after reporting it.
        (State::Comment | State::Basic | State::Literal, b'\n')
        | (State::Basic, b'"')
        | (State::Literal, b'\'') => (State::Plain, 1),
        (State::Basic, b'\\') if rest.get(1) != Some(&b'\n') => (State::Basic, 2),
        (State::MultiBasic, b'\\') => (State::MultiBasic, 2),
        (State::MultiBasic, b'"') if rest.starts_with(b"\"\"\"") => {
            (State::Plain, closing(rest, b'"'))
        }
        (State::MultiLiteral, b'\'') if rest.starts_with(b"'''") => {
            (State::Plain, closing(rest, b'\''))
        }
        (state, _) => (state, 1),
    }
}

/// A multi-line string may end in up to two quotes of its own before the three.
fn closing(rest: &[u8], quote: u8) -> usize {
    rest.iter().take(5).take_while(|b| **b == quote).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_dots_inside_strings_and_comments_do_not_count() {
        let quoted = format!("a = \"{0}\" # {0}\nb = '{0}'\n", "[.".repeat(50));
        assert_eq!(too_deep(&quoted), None);
        let multi = format!("a = \"\"\"{0}\n{0}\"\"\"\nb = '''{0}'''\n", "[.".repeat(50));
        assert_eq!(too_deep(&multi), None);
        assert_eq!(too_deep(r#"a = "\"" "#), None);
    }

    #[test]
    fn each_way_to_nest_is_found() {
        for part in ["a=[", "[", "{a=", "[["] {
            assert!(too_deep(&part.repeat(10_000)).is_some(), "{part}");
        }
        assert!(too_deep(&"a.".repeat(10_000)).is_some());
        assert!(too_deep(&format!("[{}", "\"a\" . ".repeat(10_000))).is_some());
        assert!(too_deep(&format!("x = '{}\n{}", "'", "[".repeat(17))).is_some());
    }
}
