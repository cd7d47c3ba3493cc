//! The part of the program that is the same everywhere: `core`, `alloc` and
//! three crates from the registry.
#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;

use crc::{CRC_32_ISO_HDLC, Crc};

/// What the program reads, wherever it runs.
pub const TEXT: &str = "the quick brown fox jumps over the lazy dog";

/// One line of output, without a heap behind it.
pub type Line = heapless::String<96>;

/// Counts the words of `text` and says so, with a checksum, in one line.
///
/// # Errors
///
/// When the line has no room.
pub fn report(text: &str) -> Result<Line, heapless::CapacityError> {
    let mut count = BTreeMap::new();
    for word in text.split_whitespace() {
        *count.entry(word).or_insert(0_u32) += 1;
    }
    let mut number = itoa::Buffer::new();
    let mut line = Line::new();
    line.push_str("quickstart: ")?;
    line.push_str(number.format(count.values().sum::<u32>()))?;
    line.push_str(" words, ")?;
    line.push_str(number.format(count.len()))?;
    line.push_str(" distinct, crc32 ")?;
    line.push_str(number.format(Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(text.as_bytes())))?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{TEXT, report};

    #[test]
    fn counts_words_and_checks_the_sum() {
        let line = report(TEXT).unwrap();
        assert_eq!(line, "quickstart: 9 words, 8 distinct, crc32 3456913684");
    }

    #[test]
    fn says_when_the_line_is_full() {
        // No text can fill the line: its numbers have at most ten digits.
        assert!(report("").is_ok());
    }
}
