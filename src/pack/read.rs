//! From a pack to a directory.

use std::io::{self, BufRead, Read};
use std::path::Path;

use zstd::stream::read::Decoder;

use super::{Limits, PackError, WINDOW_LOG, header};
use crate::sys::writers::{self, Writers};
use crate::types::{Entry, Listing, TreeDigest};

/// Compressed bytes that a reader takes beyond what incompressible content
/// needs. Without a bound, a pack of empty blocks could go on for ever.
const SLACK: u64 = 1 << 20;

/// Unpacks a pack of the tree `expected` below `into`, an existing empty
/// directory that nobody else writes to. `input` must end with the pack.
///
/// The files are read-only, their content is what the listing says, and there
/// are no others; nothing is flushed to the disk. After an error the directory
/// is the caller's to remove. Memory is bounded, whatever the pack says: zstd's
/// window (8 MiB at most), the listing (32 MiB at most, twice that once it is
/// known to be the right one), and 20 MiB that wait for the writers.
pub fn read(
    mut input: impl BufRead,
    expected: TreeDigest,
    limits: &Limits,
    into: &Path,
) -> Result<Listing, PackError> {
    let listing = read_next(&mut input, expected, limits, into)?;
    if input.fill_buf().map_err(PackError::Input)?.is_empty() {
        Ok(listing)
    } else {
        Err(PackError::malformed("something follows its end"))
    }
}

/// Like [`read`], and leaves what follows the pack in `input`.
pub fn read_next(
    input: &mut impl BufRead,
    expected: TreeDigest,
    limits: &Limits,
    into: &Path,
) -> Result<Listing, PackError> {
    let mut tar = Tar::new(input, limits.listing.saturating_add(SLACK))?;
    let listing = first_entry(&mut tar, expected, limits)?;
    let ((), mut files) = writers::with_writers(into, limits.writers, |writers| {
        for entry in listing.entries() {
            limits.cancel.check()?;
            file(&mut tar, entry, writers)?;
        }
        tar.expect(&[0; header::END], "its end")?;
        tar.end()
    })?;
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let other = listing
        .entries()
        .iter()
        .zip(&files)
        .find(|(entry, file)| entry.digest != file.digest);
    match other {
        Some((entry, file)) => Err(PackError::Content {
            path: entry.path.clone(),
            expected: entry.digest,
            found: file.digest,
        }),
        None => Ok(listing),
    }
}

/// Passes over a pack, whatever tree it holds; nothing is written, and nothing
/// is checked but that it ends within the limits.
pub fn skip_next(input: &mut impl BufRead, limits: &Limits) -> Result<(), PackError> {
    let limit = limits
        .unpacked
        .saturating_add(limits.listing)
        .saturating_add(2 * header::BLOCK as u64 * limits.entries as u64);
    let mut tar = Tar::new(input, limit.saturating_add(SLACK))?;
    let mut buffer = vec![0; 128 << 10];
    let mut seen = 0_u64;
    loop {
        limits.cancel.check()?;
        match tar.decoder.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => seen += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(tar.explain(error)),
        }
        if seen > limit {
            let unit = "bytes";
            return Err(PackError::TooLarge { limit, unit });
        }
    }
}

/// Reads a frame of one text that [`write_text`](super::write_text) wrote under
/// this name, and leaves what follows it in `input`.
pub fn read_text_next(
    input: &mut impl BufRead,
    name: &str,
    limit: u64,
) -> Result<String, PackError> {
    let mut tar = Tar::new(input, limit.saturating_add(SLACK))?;
    let bytes = tar.entry(name, limit)?;
    tar.expect(&[0; header::END], "its end")?;
    tar.end()?;
    String::from_utf8(bytes).map_err(|error| PackError::malformed(error.to_string()))
}

/// Reads the listing, which says everything about what follows.
fn first_entry<R: BufRead>(
    tar: &mut Tar<'_, R>,
    expected: TreeDigest,
    limits: &Limits,
) -> Result<Listing, PackError> {
    let text = tar.entry(header::LISTING, limits.listing)?;
    let found = TreeDigest::from_bytes(*blake3::hash(&text).as_bytes());
    if found != expected {
        return Err(PackError::OtherTree { expected, found });
    }
    let text = String::from_utf8(text);
    let text = text.map_err(|error| PackError::malformed(error.to_string()))?;
    // Before anything is made of the lines.
    if text.bytes().filter(|byte| *byte == b'\n').count() > limits.entries.saturating_add(1) {
        return Err(PackError::TooLarge {
            limit: limits.entries as u64,
            unit: "files",
        });
    }
    let listing = Listing::parse(&text);
    let listing = listing.map_err(|error| PackError::malformed(error.to_string()))?;
    let total = limits.check(&listing, &text)?;
    tar.decoder.get_mut().allowed = total.saturating_add(total / 64).saturating_add(SLACK);
    Ok(listing)
}

fn file<R: BufRead>(
    tar: &mut Tar<'_, R>,
    entry: &Entry,
    writers: &mut Writers<'_>,
) -> Result<(), PackError> {
    let path = entry.path.as_str();
    let before = header::file(path, entry.size, entry.executable);
    tar.expect(&before, path)?;
    writers
        .file(&entry.path, entry.executable, entry.size, &mut tar.decoder)?
        .map_err(|error| tar.explain(error))?;
    let zeros = [0; header::BLOCK];
    let after = zeros.get(..header::padding(entry.size));
    tar.expect(after.unwrap_or(&zeros), path)
}

/// The decompressed bytes.
struct Tar<'a, R> {
    decoder: Decoder<'static, Source<'a, R>>,
}

impl<'a, R: BufRead> Tar<'a, R> {
    /// Begins to read a frame of at most `allowed` compressed bytes.
    fn new(input: &'a mut R, allowed: u64) -> Result<Self, PackError> {
        crate::sys::decoding("pack");
        let source = Source {
            input,
            taken: 0,
            allowed,
            error: None,
        };
        let mut decoder = Decoder::with_buffer(source)
            .map_err(PackError::Decode)?
            .single_frame();
        let window = decoder.window_log_max(WINDOW_LOG);
        window.map_err(PackError::Decode)?;
        Ok(Self { decoder })
    }

    /// Tells what an I/O error of the decoder really was.
    fn explain(&mut self, error: io::Error) -> PackError {
        let source = self.decoder.get_mut();
        if let Some(error) = source.error.take() {
            return PackError::Input(error);
        }
        if source.taken == source.allowed {
            return PackError::TooLarge {
                limit: source.allowed,
                unit: "compressed bytes for what it holds",
            };
        }
        PackError::Decode(error)
    }

    /// Reads the first entry, whose size is not known before.
    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, PackError> {
        let mut block = [0; header::BLOCK];
        let read = self.decoder.read_exact(&mut block);
        read.map_err(|error| self.explain(error))?;
        let size = header::stated_size(&block)
            .filter(|&size| header::file(name, size, false) == block)
            .ok_or_else(|| PackError::malformed(format!("it does not begin with `{name}`")))?;
        if size > limit {
            let unit = "bytes in its first entry";
            return Err(PackError::TooLarge { limit, unit });
        }
        // As much as is stated, which the limit bounds: growing would take up
        // to three times that for a moment.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let read = (&mut self.decoder).take(size).read_to_end(&mut bytes);
        let read = read.map_err(|error| self.explain(error))?;
        if read as u64 != size {
            return Err(self.explain(io::ErrorKind::UnexpectedEof.into()));
        }
        self.expect(&vec![0; header::padding(size)], name)?;
        Ok(bytes)
    }

    /// Reads as many bytes and checks that they are these.
    fn expect(&mut self, bytes: &[u8], at: &str) -> Result<(), PackError> {
        let mut found = vec![0; bytes.len()];
        let read = self.decoder.read_exact(&mut found);
        read.map_err(|error| self.explain(error))?;
        if found == bytes {
            Ok(())
        } else {
            let reason = format!("at `{at}` it is not what its listing says");
            Err(PackError::malformed(reason))
        }
    }

    /// Checks that the frame ends here, with the right checksum.
    fn end(&mut self) -> Result<(), PackError> {
        let mut more = Vec::new();
        let read = (&mut self.decoder).take(1).read_to_end(&mut more);
        match read.map_err(|error| self.explain(error))? {
            0 => Ok(()),
            _ => Err(PackError::malformed("it goes on after its last file")),
        }
    }
}

/// The compressed bytes: bounded, with their own errors told from the decoder's.
struct Source<'a, R> {
    input: &'a mut R,
    taken: u64,
    allowed: u64,
    error: Option<io::Error>,
}

impl<R: BufRead> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(available) {
            *to = *from;
        }
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Source<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.allowed.saturating_sub(self.taken);
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.input.fill_buf() {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.error = Some(error);
            }
            return Err(kind.into());
        }
        // What was read is still there, and comes back at once.
        let available = self.input.fill_buf()?;
        let count = usize::try_from(left).unwrap_or(usize::MAX);
        Ok(available.get(..count).unwrap_or(available))
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.input.consume(count);
    }
}
