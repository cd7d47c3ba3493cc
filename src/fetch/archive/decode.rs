//! From the compressed file to the tar's bytes, counted and bounded.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use xz2::bufread::XzDecoder;
use xz2::stream::{Stream, TELL_UNSUPPORTED_CHECK};

use super::error::ArchiveError;
use super::{Format, Limits};

/// Zeros after the end of the tar: real writers pad to 10 KiB at most.
const MAX_PADDING: u64 = 64 << 10;

/// Reads the tar inside a compressed file.
///
/// It remembers what the plain `Read` errors cannot carry: whether the file
/// or its encoding is at fault, and how many zeros came last.
pub(super) struct Decoder<'p> {
    inner: Inner<'p>,
    format: Format,
    limit: u64,
    position: u64,
    trailing_zeros: u64,
    over_limit: bool,
    /// Set by the innermost reader.
    file_error: Rc<RefCell<Option<io::Error>>>,
}

enum Inner<'p> {
    Xz(Box<XzDecoder<BufReader<Source<'p>>>>),
    Gz(Box<GzDecoder<BufReader<Source<'p>>>>),
}

/// The compressed file, telling its own errors from the decoder's.
struct Source<'p> {
    file: File,
    /// Told how many bytes were read.
    progress: &'p dyn Fn(u64),
    error: Rc<RefCell<Option<io::Error>>>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(n) => {
                (self.progress)(n as u64);
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                *self.error.borrow_mut() = Some(error);
                Err(kind.into())
            }
        }
    }
}

impl<'p> Decoder<'p> {
    pub(super) fn new(
        file: File,
        format: Format,
        limits: &Limits,
        progress: &'p dyn Fn(u64),
    ) -> Result<Self, ArchiveError> {
        crate::sys::decoding("archive");
        let file_error = Rc::default();
        let source = Source {
            file,
            progress,
            error: Rc::clone(&file_error),
        };
        let source = BufReader::with_capacity(256 << 10, source);
        let inner = match format {
            Format::Xz => {
                // One stream. Upstream's have no check of their own, and need
                // none: the hash of the whole file was compared before. A check
                // that is there has to be one that we can verify.
                let flags = TELL_UNSUPPORTED_CHECK;
                let stream = Stream::new_stream_decoder(limits.decoder_memory, flags);
                let stream = stream.map_err(|error| ArchiveError::Decode {
                    format: "xz",
                    source: error.into(),
                })?;
                Inner::Xz(Box::new(XzDecoder::new_stream(source, stream)))
            }
            Format::Gz => Inner::Gz(Box::new(GzDecoder::new(source))),
        };
        Ok(Self {
            inner,
            format,
            limit: limits.unpacked,
            position: 0,
            trailing_zeros: 0,
            over_limit: false,
            file_error,
        })
    }

    /// Tells what an I/O error of this reader really was.
    pub(super) fn explain(&self, error: io::Error) -> ArchiveError {
        if let Some(error) = self.file_error.borrow_mut().take() {
            return ArchiveError::Read(error);
        }
        if self.over_limit {
            return ArchiveError::TooLarge {
                limit: self.limit,
                unit: "bytes",
            };
        }
        ArchiveError::Decode {
            format: match self.format {
                Format::Xz => "xz",
                Format::Gz => "gzip",
            },
            source: error,
        }
    }

    /// Reads on to the end of the tar's padding; `end` is where its last
    /// entry ended.
    pub(super) fn drain(&mut self, end: u64) -> Result<(), ArchiveError> {
        let mut buffer = [0; 8 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) if self.position.saturating_sub(end) > MAX_PADDING => {
                    return Err(ArchiveError::malformed(format!(
                        "more than {MAX_PADDING} bytes follow its last entry"
                    )));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
            }
        }
        let after = self.position.saturating_sub(end);
        if after < 1024 {
            return Err(ArchiveError::malformed(
                "the tar ends without two blocks of zeros",
            ));
        }
        if self.trailing_zeros < after {
            return Err(ArchiveError::malformed("something follows the tar's end"));
        }
        Ok(())
    }

    /// Checks that nothing follows the compressed stream.
    pub(super) fn finish(self) -> Result<(), ArchiveError> {
        let mut source = match self.inner {
            Inner::Xz(decoder) => decoder.into_inner(),
            Inner::Gz(decoder) => decoder.into_inner(),
        };
        let at_end = source.fill_buf().map_err(ArchiveError::Read)?.is_empty();
        if at_end {
            Ok(())
        } else {
            Err(ArchiveError::malformed(
                "something follows the compressed stream",
            ))
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.inner {
            Inner::Xz(decoder) => decoder.read(buffer)?,
            Inner::Gz(decoder) => decoder.read(buffer)?,
        };
        let read = buffer.get(..n).unwrap_or_default();
        self.position += n as u64;
        match read.iter().rposition(|&byte| byte != 0) {
            Some(last) => self.trailing_zeros = (n - 1 - last) as u64,
            None => self.trailing_zeros += n as u64,
        }
        if self.position > self.limit {
            self.over_limit = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(n)
    }
}
