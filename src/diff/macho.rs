//! The sections of a Mach-O object: 32 and 64 bits, little-endian.

use super::object::{Section, number, part, text};

/// Load commands: a segment of 32 and of 64 bits, and the symbols.
const SEGMENT: usize = 1;
const SEGMENT_64: usize = 0x19;
const SYMBOLS: usize = 2;
/// Types of sections without content in the file.
const ZERO_FILLED: [usize; 3] = [1, 0xc, 0x12];

/// The sections in their order, and the tables of symbols and names; `None` if
/// this is no such object, or a damaged one.
pub(super) fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    let wide = match number::<4>(bytes, 0)? {
        0xfeed_facf => true,
        0xfeed_face => false,
        _ => return None,
    };
    let count = number::<4>(bytes, 16)?;
    let mut at = if wide { 32 } else { 28 };
    let mut sections = Vec::new();
    for _ in 0..count {
        let (command, size) = (
            number::<4>(bytes, at)?,
            number::<4>(bytes, at.checked_add(4)?)?,
        );
        let body = part(bytes, at, size)?;
        match command {
            SEGMENT | SEGMENT_64 => segment(bytes, body, wide, &mut sections)?,
            SYMBOLS => {
                let length = number::<4>(body, 12)?.checked_mul(if wide { 16 } else { 12 })?;
                let tables = [
                    ("symbols", part(bytes, number::<4>(body, 8)?, length)?),
                    (
                        "names",
                        part(bytes, number::<4>(body, 16)?, number::<4>(body, 20)?)?,
                    ),
                ];
                sections.extend(tables.map(|(name, data)| Section {
                    name: name.to_owned(),
                    is_table: true,
                    data,
                }));
            }
            _ => {}
        }
        // A command has at least its own eight bytes, so a false count ends soon.
        at = at.checked_add(size.max(8))?;
    }
    Some(sections)
}

fn segment<'a>(
    bytes: &'a [u8],
    body: &[u8],
    wide: bool,
    sections: &mut Vec<Section<'a>>,
) -> Option<()> {
    let (count_at, mut at, length) = if wide { (64, 72, 80) } else { (48, 56, 68) };
    for _ in 0..number::<4>(body, count_at)? {
        let header = part(body, at, length)?;
        at = at.checked_add(length)?;
        let (size, offset, flags) = if wide {
            (
                number::<8>(header, 40)?,
                number::<4>(header, 48)?,
                number::<4>(header, 64)?,
            )
        } else {
            (
                number::<4>(header, 36)?,
                number::<4>(header, 40)?,
                number::<4>(header, 56)?,
            )
        };
        let data = if ZERO_FILLED.contains(&(flags & 0xff)) {
            &[]
        } else {
            part(bytes, offset, size)?
        };
        let (section, segment) = (text(header.get(..16)?), text(header.get(16..32)?));
        sections.push(Section {
            name: format!("{segment},{section}"),
            is_table: false,
            data,
        });
    }
    Some(())
}
