//! The bytes of the state file: numbers, texts and digests, one after the
//! other. Pure; what cannot be read is `None`, never a panic.

use std::ffi::CStr;

use crate::sys::stat::{Kind, Stamp};

/// Appends values.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// A number, seven bits a byte, the lowest first; the high bit of a byte
    /// says that another one follows.
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Bytes with their number in front.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Bytes whose number is known to the reader: a digest.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A byte that says whether there is a value, and the value.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A name, ended by a zero byte, as the system's calls take it.
    pub(super) fn name(&mut self, name: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
    }

    /// A stamp: kind, size, time, inode.
    pub(super) fn stamp(&mut self, stamp: &Stamp) {
        self.0.push(match stamp.kind {
            Kind::Directory => b'd',
            Kind::File => b'f',
            Kind::Executable => b'x',
            Kind::Symlink => b'l',
        });
        self.number(stamp.size);
        self.0.extend_from_slice(&stamp.modified.to_le_bytes());
        self.number(stamp.inode);
    }
}

/// Takes values from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The counterpart of [`Writer::number`].
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// The counterpart of [`Writer::bytes`].
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A text that was written as bytes.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A text that has a meaning: a path, a target.
    pub(super) fn parsed<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    /// The counterpart of [`Writer::option`]; `None` is what cannot be read.
    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// The counterpart of [`Writer::raw`].
    pub(super) fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// The counterpart of [`Writer::name`].
    pub(super) fn name(&mut self) -> Option<&'a CStr> {
        let name = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = &self.0[name.count_bytes() + 1..];
        Some(name)
    }

    /// The counterpart of [`Writer::stamp`].
    pub(super) fn stamp(&mut self) -> Option<Stamp> {
        let kind = match self.byte()? {
            b'd' => Kind::Directory,
            b'f' => Kind::File,
            b'x' => Kind::Executable,
            b'l' => Kind::Symlink,
            _ => return None,
        };
        Some(Stamp {
            kind,
            size: self.number()?,
            modified: i64::from_le_bytes(self.raw()?),
            inode: self.number()?,
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Stamp) {
        let stamp = Stamp {
            kind: Kind::Executable,
            size: u64::MAX,
            modified: -1,
            inode: 300,
        };
        let mut writer = Writer::default();
        writer.number(0x7f);
        writer.number(0x80);
        writer.bytes(b"text");
        writer.raw(&[9; 32]);
        writer.name("a/b");
        writer.stamp(&stamp);
        (writer.0, stamp)
    }

    fn read(bytes: &[u8]) -> Option<Stamp> {
        let mut reader = Reader(bytes);
        assert_eq!(reader.number()?, 0x7f);
        assert_eq!(reader.number()?, 0x80);
        assert_eq!(reader.text()?, "text");
        assert_eq!(reader.raw()?, [9; 32]);
        assert_eq!(reader.name()?, c"a/b");
        let stamp = reader.stamp()?;
        reader.is_empty().then_some(stamp)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let (bytes, stamp) = sample();
        assert_eq!(read(&bytes), Some(stamp));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn numbers_and_lengths_that_cannot_be_are_refused() {
        assert_eq!(Reader(&[0xff; 11]).number(), None);
        assert_eq!(Reader(&[200, 1, b'a']).bytes(), None);
        assert_eq!(Reader(b"no end").name(), None);
        assert_eq!(Reader(b"?0").stamp(), None);
    }
}
