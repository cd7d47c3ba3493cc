//! The sections of a WebAssembly module or object.

use super::object::{Section, part};

/// How each begins: the mark and version 1.
const MAGIC: &[u8] = b"\0asm\x01\0\0\0";

/// The names of the sections by their numbers, those of 0 aside.
const NAMES: [&str; 14] = [
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
    "tag",
];

/// The sections in their order; `None` if this is no module, or a damaged one.
pub(super) fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = leb128(after)?;
        let (content, after) = after.split_at_checked(size)?;
        rest = after;
        let (name, data) = if *id == 0 {
            let (length, name) = leb128(content)?;
            let data = name.get(length..)?;
            let name = part(name, 0, length)?;
            (String::from_utf8_lossy(name).into_owned(), data)
        } else {
            ((*NAMES.get(usize::from(*id))?).to_owned(), content)
        };
        let tables = ["linking", "name", "producers"];
        sections.push(Section {
            is_table: *id == 0 && (tables.contains(&name.as_str()) || name.starts_with("reloc.")),
            name,
            data,
        });
    }
    Some(sections)
}

/// A number of 32 bits in the variable form, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}
