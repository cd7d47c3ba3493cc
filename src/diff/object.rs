//! The sections of an object file, whatever its format.

use super::{coff, elf, macho, wasm};

/// One section.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Its name.
    pub(super) name: String,
    /// Whether it is a table of symbols, names or relocations: what differs
    /// there mostly follows from something else.
    pub(super) is_table: bool,
    /// Its content.
    pub(super) data: &'a [u8],
}

/// A reader of one format: the sections in their order, or `None` if this is
/// no such file, or a damaged one.
type Reader = fn(&[u8]) -> Option<Vec<Section<'_>>>;

/// COFF last, because it has the shortest mark.
const FORMATS: [Reader; 4] = [
    elf::sections,
    wasm::sections,
    macho::sections,
    coff::sections,
];

/// The sections of two objects of the same format.
pub(super) fn both<'a>(
    expected: &'a [u8],
    found: &'a [u8],
) -> Option<(Vec<Section<'a>>, Vec<Section<'a>>)> {
    FORMATS
        .iter()
        .find_map(|read| Some((read(expected)?, read(found)?)))
}

/// An unsigned number of `N` bytes, the least one first.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    usize::try_from(bytes.iter().rev().fold(0, join)).ok()
}

/// A part of a file.
pub(super) fn part(bytes: &[u8], start: usize, length: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(length)?)
}

/// A name up to its first zero byte.
pub(super) fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
