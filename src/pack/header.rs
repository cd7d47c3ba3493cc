//! The tar's headers, made from a listing and never parsed.

/// The unit of a tar, in bytes.
pub(super) const BLOCK: usize = 512;
/// The zeros at the end of a tar, in bytes.
pub(super) const END: usize = 2 * BLOCK;
/// The name of the first entry.
pub(super) const LISTING: &str = "sysroot-tree.txt";
/// What GNU tar calls an entry that holds the next one's name.
const LONG_NAME: &[u8] = b"././@LongLink";
/// Longest name that fits into a header, in bytes.
const NAME: usize = 100;

/// A size rounded up to whole blocks.
pub(super) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

/// Zeros that follow a content of this size, in bytes: less than a block.
pub(super) fn padding(size: u64) -> usize {
    // Below 512, so it fits.
    usize::try_from(padded(size) - size).unwrap_or_default()
}

/// Everything that stands before a file's content. A name that is too long
/// for the header comes before it, in an entry of its own.
pub(super) fn file(path: &str, size: u64, executable: bool) -> Vec<u8> {
    let mode = if executable { 0o755 } else { 0o644 };
    let name = path.as_bytes();
    let mut blocks = Vec::with_capacity(BLOCK);
    if name.len() > NAME {
        let length = name.len() as u64 + 1;
        blocks.extend_from_slice(&block(LONG_NAME, b'L', 0o644, length));
        blocks.extend_from_slice(name);
        blocks.resize(blocks.len() + 1 + padding(length), 0);
    }
    let short = name.get(..NAME).unwrap_or(name);
    blocks.extend_from_slice(&block(short, b'0', mode, size));
    blocks
}

/// One header. `name` has at most 100 bytes, and `size` is below 8 GiB.
fn block(name: &[u8], kind: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    put(0, name);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    // The checksum counts its own field as spaces.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (to, from) in block.iter_mut().skip(148).zip(sum.as_bytes()) {
        *to = *from;
    }
    block
}

/// The size that the first header states; `None` if it is no octal number.
/// The caller compares the whole header with the one of that size.
pub(super) fn stated_size(block: &[u8; BLOCK]) -> Option<u64> {
    let digits = block.get(124..135)?;
    let text = std::str::from_utf8(digits).ok()?;
    let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u64::from_str_radix(text, 8).ok().filter(|_| octal)
}
