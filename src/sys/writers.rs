//! Threads that write and hash a tree's files while the next ones are decoded.
//!
//! Memory is bounded by the two channels: at most `QUEUE` small files wait,
//! and `CHUNKS` pieces of the large file under way.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::fs::{self, FsError};
use crate::types::{Class, Diagnostic, Entry, FileDigest, RelPath};

/// The writers could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file cannot be written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A writer ended without a word.
    #[error("a thread that writes `{}` ended early", .0.display())]
    Ended(PathBuf),
}

impl Diagnostic for WriteError {
    fn class(&self) -> Class {
        match self {
            Self::Fs(error) => error.class(),
            Self::Ended(_) => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(error) => error.hint(),
            Self::Ended(_) => None,
        }
    }
}

/// Size of the pieces of a large file, and of the largest small file.
const CHUNK: u64 = 1 << 20;
/// Files that may wait for a writer.
const QUEUE: usize = 16;
/// Pieces of one large file that may wait for their writer.
const CHUNKS: usize = 4;

/// One file to write.
struct Job {
    path: RelPath,
    executable: bool,
    size: u64,
    content: Content,
}

enum Content {
    Whole(Vec<u8>),
    Pieces(Receiver<Vec<u8>>),
}

/// Takes files from the decoding thread.
pub struct Writers<'a> {
    into: &'a Path,
    jobs: SyncSender<Job>,
    directories: HashSet<String>,
}

/// Runs `decode` with writers, and returns what it returns beside the entries
/// of all files it handed over.
///
/// `into` is an existing empty directory that nobody else writes to. Memory is
/// bounded, whatever the sizes. Files are created read-only; nothing is flushed.
pub fn with_writers<T, E: From<WriteError>>(
    into: &Path,
    threads: usize,
    decode: impl FnOnce(&mut Writers<'_>) -> Result<T, E>,
) -> Result<(T, Vec<Entry>), E> {
    let (jobs, queue) = sync_channel(QUEUE);
    let queue = Mutex::new(Some(queue));
    std::thread::scope(|scope| {
        let queue = &queue;
        let threads: Vec<_> = (0..threads.max(1))
            .map(|_| scope.spawn(move || write_files(into, queue)))
            .collect();
        let mut writers = Writers {
            into,
            jobs,
            directories: HashSet::new(),
        };
        let decoded = decode(&mut writers);
        // Closes the queue, so that the writers end.
        drop(writers);
        let mut entries = Vec::new();
        let mut failed = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(written)) => entries.extend(written),
                Ok(Err(error)) => failed = Some(WriteError::Fs(error)),
                Err(_) => failed = Some(WriteError::Ended(into.to_owned())),
            }
        }
        match (failed, decoded) {
            // A writer's error is the cause of the decoder's.
            (Some(error), _) => Err(error.into()),
            (None, Err(error)) => Err(error),
            (None, Ok(decoded)) => Ok((decoded, entries)),
        }
    })
}

impl Writers<'_> {
    /// Reads one file and hands it to a writer. The outer error is ours, the
    /// inner one the reader's.
    pub fn file(
        &mut self,
        path: &RelPath,
        executable: bool,
        size: u64,
        content: &mut impl Read,
    ) -> Result<io::Result<()>, WriteError> {
        self.create_parents(path)?;
        let ended = || WriteError::Ended(path.below(self.into));
        let job = |content| Job {
            path: path.clone(),
            executable,
            size,
            content,
        };
        if size <= CHUNK {
            return match piece(content, size) {
                Ok(bytes) => match self.jobs.send(job(Content::Whole(bytes))) {
                    Ok(()) => Ok(Ok(())),
                    Err(_) => Err(ended()),
                },
                Err(error) => Ok(Err(error)),
            };
        }
        let (pieces, receiver) = sync_channel(CHUNKS);
        let sent = self.jobs.send(job(Content::Pieces(receiver)));
        sent.map_err(|_| ended())?;
        let mut left = size;
        while left > 0 {
            let bytes = match piece(content, left.min(CHUNK)) {
                Ok(bytes) => bytes,
                Err(error) => return Ok(Err(error)),
            };
            left -= bytes.len() as u64;
            pieces.send(bytes).map_err(|_| ended())?;
        }
        Ok(Ok(()))
    }

    fn create_parents(&mut self, path: &RelPath) -> Result<(), FsError> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if self.directories.contains(parent) {
            return Ok(());
        }
        fs::create_dir_all(&self.into.join(parent))?;
        self.directories.insert(parent.to_owned());
        Ok(())
    }
}

/// Reads exactly `size` bytes.
fn piece(content: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(CHUNK)).unwrap_or_default());
    content.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// What one thread does: files from the queue until it is closed.
fn write_files(into: &Path, queue: &Mutex<Option<Receiver<Job>>>) -> Result<Vec<Entry>, FsError> {
    let mut entries = Vec::new();
    loop {
        let job = {
            let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.as_ref().and_then(|queue| queue.recv().ok())
        };
        let Some(job) = job else {
            return Ok(entries);
        };
        match write_file(into, job) {
            Ok(Some(entry)) => entries.push(entry),
            // The decoding thread gave up in the middle of a file.
            Ok(None) => return Ok(entries),
            Err(error) => {
                // Without a receiver the decoding thread stops at its next file.
                queue.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(error);
            }
        }
    }
}

fn write_file(into: &Path, job: Job) -> Result<Option<Entry>, FsError> {
    let target: PathBuf = job.path.below(into);
    let mut file = fs::create_read_only(&target, job.executable)?;
    let digest = match job.content {
        Content::Whole(bytes) => {
            fs::write_all(&mut file, &target, &bytes)?;
            FileDigest::of(&bytes)
        }
        Content::Pieces(pieces) => {
            let mut hasher = blake3::Hasher::new();
            let mut written = 0;
            for bytes in pieces {
                fs::write_all(&mut file, &target, &bytes)?;
                hasher.update(&bytes);
                written += bytes.len() as u64;
            }
            if written != job.size {
                return Ok(None);
            }
            FileDigest::from_bytes(*hasher.finalize().as_bytes())
        }
    };
    Ok(Some(Entry {
        path: job.path,
        executable: job.executable,
        size: job.size,
        digest,
    }))
}
