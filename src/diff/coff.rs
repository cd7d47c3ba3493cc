//! The sections of a COFF object, which is what Windows and UEFI targets have.

use super::object::{Section, number, part, text};

/// Machines that Rust compiles for: x86 of 32 and 64 bits, ARM of 32 bits
/// (three kinds) and of 64 (three kinds).
const MACHINES: [usize; 8] = [0x14c, 0x8664, 0x1c0, 0x1c2, 0x1c4, 0xaa64, 0xa641, 0xa64e];
/// The length of the file's header, of a section's, and of a symbol.
const FILE: usize = 20;
const HEADER: usize = 40;
const SYMBOL: usize = 18;
/// The flag of a section without content in the file.
const UNINITIALIZED: usize = 0x80;

/// The sections in their order, and behind them the symbols; `None` if this is
/// no such object, or a damaged one.
pub(super) fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    if !MACHINES.contains(&number::<2>(bytes, 0)?) {
        return None;
    }
    let count = number::<2>(bytes, 2)?;
    let symbols = number::<4>(bytes, 8)?;
    let symbols_length = number::<4>(bytes, 12)?.checked_mul(SYMBOL)?;
    // The table of names follows the symbols, and begins with its own length.
    let names = symbols.checked_add(symbols_length)?;
    let first = FILE.checked_add(number::<2>(bytes, 16)?)?;
    let mut sections = Vec::new();
    for index in 0..count {
        let header = part(
            bytes,
            first.checked_add(index.checked_mul(HEADER)?)?,
            HEADER,
        )?;
        let size = number::<4>(header, 16)?;
        let data = if number::<4>(header, 36)? & UNINITIALIZED != 0 {
            &[]
        } else {
            part(bytes, number::<4>(header, 20)?, size)?
        };
        sections.push(Section {
            name: name(bytes, header.get(..8)?, names)?,
            is_table: false,
            data,
        });
    }
    if symbols != 0 {
        sections.push(Section {
            name: "symbols".to_owned(),
            is_table: true,
            data: bytes.get(symbols..)?,
        });
    }
    Some(sections)
}

/// A section's name; a longer one is `/` and its place among the names.
fn name(bytes: &[u8], short: &[u8], names: usize) -> Option<String> {
    let short = text(short);
    match short.strip_prefix('/') {
        Some(at) => {
            let at: usize = at.parse().ok()?;
            Some(text(bytes.get(names.checked_add(at)?..)?))
        }
        None => Some(short),
    }
}
