//! The sections of an ELF object: 32 and 64 bits, both byte orders.

use super::object::Section;

/// Section types whose content says nothing by itself.
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
/// A section type without content in the file.
const NOBITS: u32 = 8;
/// The index that says that the real one stands in the first section.
const EXTENDED: u64 = 0xffff;

/// The sections in their order; `None` if this is no ELF file, or a damaged one.
pub(super) fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    let file = File::new(bytes)?;
    let (table, size) = (file.word(0x20, 0x28)?, file.half(0x2e, 0x3a)?);
    let header = |index: u64| {
        let start = table.checked_add(index.checked_mul(size)?)?;
        file.header(start)
    };
    let (mut count, mut names) = (file.half(0x30, 0x3c)?, file.half(0x32, 0x3e)?);
    if table == 0 {
        return Some(Vec::new());
    }
    let first = header(0)?;
    if count == 0 {
        count = first.size;
    }
    if names == EXTENDED {
        names = first.link;
    }
    let names = file.content(&header(names)?)?;
    // Each has a header of its own in the file, so a false count ends soon.
    (0..count)
        .map(|index| {
            let header = header(index)?;
            let name = names.get(usize::try_from(header.name).ok()?..)?;
            let name = name.split(|b| *b == 0).next()?;
            Some(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                is_table: matches!(header.kind, SYMTAB | STRTAB),
                data: file.content(&header)?,
            })
        })
        .collect()
}

/// The fields of a section's header that matter here.
struct Header {
    name: u64,
    kind: u32,
    offset: u64,
    size: u64,
    link: u64,
}

/// An ELF file, read in its own width and byte order.
struct File<'a> {
    bytes: &'a [u8],
    wide: bool,
    big: bool,
}

impl<'a> File<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let ident = bytes.get(..16)?.strip_prefix(b"\x7fELF")?;
        let wide = match ident.first()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big = match ident.get(1)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        Some(Self { bytes, wide, big })
    }

    /// An unsigned number of `length` bytes.
    fn number(&self, at: u64, length: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        })
    }

    /// A number as wide as an address, at the place that the width gives it.
    fn word(&self, narrow: u64, wide: u64) -> Option<u64> {
        if self.wide {
            self.number(wide, 8)
        } else {
            self.number(narrow, 4)
        }
    }

    fn half(&self, narrow: u64, wide: u64) -> Option<u64> {
        self.number(if self.wide { wide } else { narrow }, 2)
    }

    fn header(&self, at: u64) -> Option<Header> {
        let place = |offset: u64| at.checked_add(offset);
        Some(Header {
            name: self.number(at, 4)?,
            kind: u32::try_from(self.number(place(4)?, 4)?).ok()?,
            offset: self.word(place(0x10)?, place(0x18)?)?,
            size: self.word(place(0x14)?, place(0x20)?)?,
            link: self.number(place(if self.wide { 0x28 } else { 0x18 })?, 4)?,
        })
    }

    fn content(&self, header: &Header) -> Option<&'a [u8]> {
        if matches!(header.kind, 0 | NOBITS) {
            return Some(&[]);
        }
        let start = usize::try_from(header.offset).ok()?;
        let length = usize::try_from(header.size).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}
