//! The client of one dist server.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::error::{Fault, FetchError};
use super::meter::{Meter, Running};
use super::options::Options;
use super::partial::Partial;
use super::range::Resume;
use super::reply::{Ask, Served, Sink};
use super::server::{DistServer, Location, shown};
use super::transport::Transport;
use super::{hash_file, local, retry};
use crate::sys::fs::FsError;
use crate::types::{RelPath, Sha256};

/// Fetches from one dist server, from any number of threads at once.
///
/// Connections are kept alive between requests. Nothing is connected to
/// before the first request.
pub struct Client {
    server: DistServer,
    pub(super) options: Options,
    /// Made at the first request: reading root certificates takes a while.
    transport: OnceLock<Transport>,
    making: Mutex<()>,
    meter: Mutex<Meter>,
}

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Path below the server's root.
    pub path: &'a RelPath,
    /// What the whole file must hash to.
    pub sha256: Sha256,
    /// Largest acceptable size, in bytes.
    pub limit: u64,
}

/// What is told of a file on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its bytes begin to come.
    Begins {
        /// Bytes that are here already, from an earlier attempt.
        have: u64,
        /// The whole file in bytes, if the server says so.
        total: Option<u64>,
    },
    /// So many bytes just came.
    Bytes(u64),
}

/// A channel manifest whose bytes match the server's `.sha256`.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// The content.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub sha256: Sha256,
}

/// Largest hash file, in bytes; real ones have about 100.
const HASH_FILE_LIMIT: u64 = 4096;

impl Client {
    /// Prepares a client; fails only if a proxy or certificate is malformed.
    pub fn new(server: DistServer, options: Options) -> Result<Self, FetchError> {
        let client = Self {
            server,
            options,
            transport: OnceLock::new(),
            making: Mutex::default(),
            meter: Mutex::default(),
        };
        let configured = !client.options.extra_roots.is_empty()
            || client.options.proxies.https.is_some()
            || client.options.proxies.http.is_some()
            || client.options.proxies.all.is_some();
        if configured && !client.server.is_file() {
            client.transport()?;
        }
        Ok(client)
    }

    /// The server it fetches from.
    pub fn server(&self) -> &DistServer {
        &self.server
    }

    /// Bytes a second over all downloads so far, while at least one was under
    /// way; infinite for a server of this machine, unknown at the start.
    pub fn observed_rate(&self) -> Option<f64> {
        if self.server.is_local() {
            return Some(f64::INFINITY);
        }
        self.meter().rate()
    }

    /// Fetches a channel manifest and checks it against its `.sha256`.
    ///
    /// A pair that does not match is fetched once more after a short wait:
    /// a release may be in progress.
    pub fn channel_manifest(&self, path: &RelPath) -> Result<FetchedManifest, FetchError> {
        match self.manifest_once(path) {
            Err(FetchError::ManifestMismatch { .. }) => {
                let Options { clock, cancel, .. } = &self.options;
                clock.sleep(self.options.mismatch_wait, cancel);
                self.manifest_once(path)
            }
            result => result,
        }
    }

    fn manifest_once(&self, path: &RelPath) -> Result<FetchedManifest, FetchError> {
        let name = path.components().next_back().unwrap_or_default();
        let hash_path = format!("{path}.sha256").parse::<RelPath>();
        let hash_path = hash_path.map_err(|_| FetchError::NoManifest {
            url: path.to_string(),
        })?;
        let (text, served) = self.small_file(&hash_path, HASH_FILE_LIMIT)?;
        let expected = hash_file::parse(&text, name).map_err(|reason| FetchError::HashFile {
            url: self.url_of(&hash_path),
            reason,
            note: served.note(),
        })?;
        let (bytes, _) = self.small_file(path, self.options.manifest_limit)?;
        let found = Sha256::of(&bytes);
        if found != expected {
            return Err(FetchError::ManifestMismatch {
                url: self.url_of(path),
                expected,
                found,
            });
        }
        Ok(FetchedManifest {
            bytes,
            sha256: found,
        })
    }

    /// Fetches the detached signature (`.asc`) beside a file; `None` if the
    /// server has none.
    pub fn signature(&self, path: &RelPath) -> Result<Option<Vec<u8>>, FetchError> {
        let Ok(path) = format!("{path}.asc").parse::<RelPath>() else {
            return Ok(None);
        };
        match self.small_file(&path, self.options.signature_limit) {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(FetchError::NoManifest { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn small_file(&self, path: &RelPath, limit: u64) -> Result<(Vec<u8>, Served), FetchError> {
        let absent = |url| FetchError::NoManifest { url };
        let mut memory = Memory::default();
        let served = self.fill(path, limit, false, &mut memory, &|_| {}, absent)?;
        Ok((memory.0, served))
    }

    /// Downloads a file into `partial`, and returns that file, opened at its
    /// start, once its bytes match the hash.
    ///
    /// `partial` may hold what an earlier attempt left there, by this process
    /// or another; a small file `<partial>.from` beside it tells what it is.
    /// Only one caller at a time may use one `partial`. `progress` is told
    /// what comes; bytes that have to be fetched again are told again, after
    /// another [`Arrival::Begins`]. Bytes that do not match are fetched once more from
    /// the start before that is an error.
    pub fn download(
        &self,
        request: &Download<'_>,
        partial: &Path,
        progress: &dyn Fn(Arrival),
    ) -> Result<File, FetchError> {
        let Download {
            path,
            sha256,
            limit,
        } = *request;
        let absent = |url| FetchError::Gone { url };
        let mut file = Partial::open(partial, sha256, limit)?;
        let _running = Running::start(&self.meter);
        let counted = |arrival| {
            if let Arrival::Bytes(bytes) = arrival {
                self.meter().add(bytes);
            }
            progress(arrival);
        };
        if file.sha256() == sha256 {
            return Ok(file.finish()?);
        }
        let mut served = self.fill(path, limit, true, &mut file, &counted, absent)?;
        if file.sha256() != sha256 {
            file.restart()?;
            served = self.fill(path, limit, true, &mut file, &counted, absent)?;
        }
        let found = file.sha256();
        if found == sha256 {
            return Ok(file.finish()?);
        }
        file.restart()?;
        Err(FetchError::Mismatch {
            url: self.url_of(path),
            expected: sha256,
            found,
            note: served.note(),
        })
    }

    /// Fills a sink with a file of the server.
    pub(super) fn fill(
        &self,
        path: &RelPath,
        limit: u64,
        pinned: bool,
        sink: &mut dyn Sink,
        progress: &dyn Fn(Arrival),
        absent: fn(String) -> FetchError,
    ) -> Result<Served, FetchError> {
        let url = match self.server.locate(path) {
            Location::Http(url) => url,
            Location::File(file) => {
                let absent = || absent(self.url_of(path));
                local::copy(&file, limit, sink, &self.options.cancel, progress, absent)?;
                return Ok(Served::default());
            }
        };
        if self.options.offline {
            return Err(FetchError::Offline { url: shown(&url) });
        }
        let ask = Ask {
            url: &url,
            pinned,
            credentials: self.server.credentials(),
            limit,
        };
        retry::fetch(self.transport()?, &self.options, &ask, sink, progress).map_err(|error| {
            match error {
                FetchError::Transfer {
                    url,
                    source: Fault::Status { status, .. },
                    ..
                } if matches!(status.as_u16(), 404 | 410) => absent(url),
                error => error,
            }
        })
    }

    pub(super) fn transport(&self) -> Result<&Transport, FetchError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = self.transport.get() {
            return Ok(transport);
        }
        let transport = Transport::new(&self.options)?;
        Ok(self.transport.get_or_init(|| transport))
    }

    fn url_of(&self, path: &RelPath) -> String {
        match self.server.locate(path) {
            Location::Http(url) => shown(&url),
            Location::File(file) => file.display().to_string(),
        }
    }

    fn meter(&self) -> std::sync::MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A small file in memory; it is never resumed.
#[derive(Default)]
struct Memory(Vec<u8>);

impl Sink for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn resume(&self) -> Option<Resume> {
        None
    }

    fn restart(&mut self) -> Result<(), FsError> {
        self.0.clear();
        Ok(())
    }

    fn begin(&mut self, _validator: Option<String>) -> Result<(), FsError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
