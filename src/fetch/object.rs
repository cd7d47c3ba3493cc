//! Objects of a server that is also written to: a cache that many machines
//! share.

use std::fs::File;
use std::io::Seek as _;

use reqwest::{Method, StatusCode, header};
use tokio::time::Instant;

use super::client::Client;
use super::error::{Fault, FetchError};
use super::range::Resume;
use super::reply::Sink;
use super::retry::{self, Next};
use super::server::{Location, shown};
use super::transport::{Interrupted, until};
use crate::sys::fs::{self, FsError};
use crate::types::RelPath;

/// The lowest rate at which an upload may go, in bytes a second.
const UPLOAD_RATE: u64 = 64 << 10;

/// Bytes of a file that are read and sent at once.
const PIECE: usize = 256 << 10;

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Upload<'a> {
    Bytes(&'a [u8]),
    /// A file from its start, and its size in bytes.
    File(&'a File, u64),
}

/// Takes the bytes of one object as they come.
pub trait Receive {
    /// Forgets everything taken so far: the object comes again from its start.
    fn restart(&mut self) -> Result<(), FsError>;
    /// Takes the next bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), FsError>;
}

impl Receive for Vec<u8> {
    fn restart(&mut self) -> Result<(), FsError> {
        self.clear();
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Done,
    /// The server keeps what it has.
    Exists,
}

impl Client {
    /// Passes a file's bytes on; `false` if the server has none of that name.
    /// `pinned` tells whether the caller knows the hash of what should come.
    pub(crate) fn object(
        &self,
        path: &RelPath,
        limit: u64,
        pinned: bool,
        to: &mut dyn Receive,
    ) -> Result<bool, FetchError> {
        let mut sink = Pass { to, taken: 0 };
        let absent = |url| FetchError::Gone { url };
        match self.fill(path, limit, pinned, &mut sink, &|_| {}, absent) {
            Ok(_) => Ok(true),
            Err(FetchError::Gone { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The size of a file in bytes, if the server has it and tells.
    pub(crate) fn object_size(&self, path: &RelPath) -> Result<Option<u64>, FetchError> {
        let response = self.request(&Method::HEAD, path, None, false)?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        match response.status() {
            StatusCode::OK => Ok(length),
            // A server without the method has to be written to.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            status => Err(self.refused(path, 1, status)),
        }
    }

    /// Writes a file. `new` asks the server to keep what it has; one that
    /// does not know the request replaces it.
    pub(crate) fn send(
        &self,
        path: &RelPath,
        upload: Upload<'_>,
        new: bool,
    ) -> Result<Sent, FetchError> {
        let mut requests = 0;
        loop {
            requests += 1;
            let fault = match self.request(&Method::PUT, path, Some(upload), new) {
                Ok(response) if response.status().is_success() => return Ok(Sent::Done),
                Ok(response) if new && exists(response.status()) => return Ok(Sent::Exists),
                Ok(response) => status(response.status()),
                Err(FetchError::Send { source, .. }) => source,
                Err(error) => return Err(error),
            };
            let again = matches!(retry::next(&fault), Next::Backoff);
            if !again || requests >= self.options.attempts {
                let url = self.url(path);
                return Err(FetchError::Send {
                    url,
                    requests,
                    source: fault,
                });
            }
            let wait = retry::backoff(&self.options, requests);
            self.options.clock.sleep(wait, &self.options.cancel);
        }
    }

    /// One request and its answer's header. No redirect is followed.
    fn request(
        &self,
        method: &Method,
        path: &RelPath,
        upload: Option<Upload<'_>>,
        new: bool,
    ) -> Result<reqwest::Response, FetchError> {
        let Location::Http(url) = self.server().locate(path) else {
            return Err(FetchError::Server {
                text: self.server().to_string(),
                reason: "a directory is not asked by requests",
            });
        };
        if self.options.offline {
            return Err(FetchError::Offline { url: shown(&url) });
        }
        let transport = self.transport()?;
        let mut request = transport.http.request(method.clone(), url.clone());
        if let Some(credentials) = self.server().credentials() {
            request = credentials.attach(request);
        }
        let mut patience = self.options.connect_timeout + self.options.first_byte_timeout;
        if let Some(upload) = upload {
            let (body, size) = body(upload)?;
            request = request.header(header::CONTENT_LENGTH, size).body(body);
            patience += std::time::Duration::from_secs(size / UPLOAD_RATE);
        }
        if new {
            request = request.header(header::IF_NONE_MATCH, "*");
        }
        let failed = |source| FetchError::Send {
            url: shown(&url),
            requests: 1,
            source,
        };
        let deadline = Instant::now() + patience;
        let answer = transport.run(until(deadline, &self.options.cancel, request.send()));
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failed(Fault::of_request(error))),
            Err(Interrupted::TimedOut) => Err(failed(Fault::Silent(patience))),
            Err(Interrupted::Cancelled(why)) => Err(why.into()),
        }
    }

    fn refused(&self, path: &RelPath, requests: u32, answer: StatusCode) -> FetchError {
        FetchError::Transfer {
            url: self.url(path),
            requests,
            source: status(answer),
        }
    }

    fn url(&self, path: &RelPath) -> String {
        match self.server().locate(path) {
            Location::Http(url) => shown(&url),
            Location::File(file) => file.display().to_string(),
        }
    }
}

fn status(status: StatusCode) -> Fault {
    Fault::Status {
        status,
        retry_after: None,
    }
}

fn exists(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT
    )
}

/// The body of a request, and its size in bytes.
fn body(upload: Upload<'_>) -> Result<(reqwest::Body, u64), FetchError> {
    match upload {
        Upload::Bytes(bytes) => Ok((bytes.to_vec().into(), bytes.len() as u64)),
        Upload::File(file, size) => {
            let name = std::path::Path::new("the file to send");
            let mut file = fs::at("open", name, file.try_clone())?;
            fs::at("read", name, file.rewind())?;
            let file = tokio::fs::File::from_std(file);
            // The default of 4 KiB would ask a thread for each.
            let stream = tokio_util::io::ReaderStream::with_capacity(file, PIECE);
            Ok((reqwest::Body::wrap_stream(stream), size))
        }
    }
}

/// Hands the bytes on.
struct Pass<'a> {
    to: &'a mut dyn Receive,
    taken: u64,
}

impl Sink for Pass<'_> {
    fn len(&self) -> u64 {
        self.taken
    }

    fn resume(&self) -> Option<Resume> {
        None
    }

    fn restart(&mut self) -> Result<(), FsError> {
        self.taken = 0;
        self.to.restart()
    }

    fn begin(&mut self, _validator: Option<String>) -> Result<(), FsError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.taken += bytes.len() as u64;
        self.to.take(bytes)
    }
}
