//! Tar headers, read strictly: what official archives use, and nothing that
//! two readers could understand in two ways.

use super::error::ArchiveError;

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// GNU: the entry's content is the name of the next entry.
    LongName,
}

/// A header whose fields were all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// As stored, with the prefix of a POSIX header; unchecked.
    pub(super) name: Vec<u8>,
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// Longest content of a long name entry: no acceptable path is longer.
pub(super) const MAX_LONG_NAME: u64 = 2048;

impl Header {
    /// Reads a header block; its checksum has been verified by the caller.
    pub(super) fn parse(block: &[u8; 512]) -> Result<Self, ArchiveError> {
        let field = |range: std::ops::Range<usize>| block.get(range).unwrap_or_default();
        let name = text_field(field(0..100));
        let shown = name.unwrap_or(field(0..100));
        let refuse = |reason: &str| ArchiveError::entry(shown, reason);
        let name = name.ok_or_else(|| refuse("its name goes on after a NUL"))?;
        let posix = match field(257..265) {
            b"ustar  \0" => false,
            b"ustar\x0000" => true,
            _ => return Err(refuse("its header is neither a GNU nor a POSIX one")),
        };
        let kind = match block.get(156) {
            Some(b'0') => Kind::File,
            Some(b'5') => Kind::Directory,
            Some(b'L') if !posix => Kind::LongName,
            other => {
                let found = other.copied().unwrap_or_default().escape_ascii();
                return Err(refuse(&format!(
                    "its type is `{found}`; only regular files and directories are allowed"
                )));
            }
        };
        if field(157..257).iter().any(|&byte| byte != 0) {
            return Err(refuse("it names a link target"));
        }
        let octal = |range, what| {
            octal_field(field(range)).ok_or_else(|| refuse(&format!("its {what} is not octal")))
        };
        let mode = octal(100..108, "mode")?;
        let size = octal(124..136, "size")?;
        match kind {
            Kind::Directory if size != 0 => return Err(refuse("it is a directory with content")),
            Kind::LongName if size == 0 || size > MAX_LONG_NAME => {
                return Err(refuse("its long name is empty or too long"));
            }
            Kind::File | Kind::Directory | Kind::LongName => {}
        }
        let mut full = Vec::new();
        if posix {
            let prefix = text_field(field(345..500));
            let prefix = prefix.ok_or_else(|| refuse("its prefix goes on after a NUL"))?;
            if !prefix.is_empty() {
                full.extend_from_slice(prefix);
                full.push(b'/');
            }
        }
        full.extend_from_slice(name);
        Ok(Self {
            kind,
            name: full,
            size,
            executable: mode & 0o100 != 0,
        })
    }
}

/// The text of a NUL-padded field; `None` if something follows the first NUL.
fn text_field(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (text, padding) = field.split_at_checked(end)?;
    padding.iter().all(|&b| b == 0).then_some(text)
}

/// An octal number with its usual padding: leading spaces, then digits, then
/// NULs or spaces to the end. The binary form of huge numbers is refused.
fn octal_field(field: &[u8]) -> Option<u64> {
    let text = field.trim_ascii_start();
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (digits, padding) = text.split_at_checked(end.unwrap_or(text.len()))?;
    if digits.is_empty() || !padding.iter().all(|b| matches!(b, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_063_and_064_numbers_are_plain_octal() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"644 \0\0\0\0", Some(0o644)),
            (b"    644\0", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"", None),
            (b"\0\0\0\0", None),
            (b"    ", None),
            (b"-644\0", None),
            (b"+644\0", None),
            (b"0o644", None),
            (b"0648\0", None),
            (b"64a\0", None),
            (b"64\0\x31", None),
            (b"\x80\0\0\0\0\0\0\x01", None),
            (b"\xff\xff\xff\xff", None),
        ] {
            assert_eq!(octal_field(field), value, "{}", field.escape_ascii());
        }
        assert_eq!(octal_field(&[b'7'; 30]), None, "overflow");
    }
}
