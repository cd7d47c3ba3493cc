//! Objects of a server that is also written to: a cache that many machines
//! share.

use std::fs::File;
use std::io::Seek as _;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use tokio::time::Instant;

use super::client::Client;
use super::error::{Fault, FetchError};
use super::range::Resume;
use super::reply::Sink;
use super::retry::{self, Next};
use super::server::{Location, shown};
use super::transport::{Interrupted, Until};
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

/// Why a request got no answer.
enum Refused {
    Fault(Fault),
    Other(FetchError),
}

impl<E: Into<FetchError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(error.into())
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
        let (response, requests) = self.ask(&Method::HEAD, path, None, false)?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        match response.status() {
            StatusCode::OK => Ok(length),
            // A server without the method has to be written to.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            status => Err(self.failed(&Method::HEAD, path, requests, status_fault(status))),
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
        let (response, requests) = self.ask(&Method::PUT, path, Some(upload), new)?;
        match response.status() {
            status if status.is_success() => Ok(Sent::Done),
            status if new && exists(status) => Ok(Sent::Exists),
            status => Err(self.failed(&Method::PUT, path, requests, status_fault(status))),
        }
    }

    /// Asks until there is an answer that another request would not change, as
    /// often and as long as the options allow; how many requests it took comes
    /// with it.
    fn ask(
        &self,
        method: &Method,
        path: &RelPath,
        upload: Option<Upload<'_>>,
        new: bool,
    ) -> Result<(reqwest::Response, u32), FetchError> {
        let end = self
            .options
            .total
            .map(|total| (Instant::now() + total, total));
        let mut requests = 0;
        loop {
            requests += 1;
            let (fault, answer) = match self.request(method, path, upload, new, end) {
                Ok(response) => (status_fault(response.status()), Some(response)),
                Err(Refused::Fault(fault)) => (fault, None),
                Err(Refused::Other(error)) => return Err(error),
            };
            let again = matches!(retry::next(&fault), Next::Backoff);
            let wait = retry::backoff(&self.options, requests);
            let late = end.is_some_and(|(end, _)| Instant::now() + wait >= end);
            if again && !late && requests < self.options.attempts {
                self.options.clock.sleep(wait, &self.options.cancel);
                continue;
            }
            return match answer {
                Some(answer) => Ok((answer, requests)),
                None => Err(self.failed(method, path, requests, fault)),
            };
        }
    }

    /// One request and its answer's header. No redirect is followed.
    fn request(
        &self,
        method: &Method,
        path: &RelPath,
        upload: Option<Upload<'_>>,
        new: bool,
        end: Option<(Instant, Duration)>,
    ) -> Result<reqwest::Response, Refused> {
        let Location::Http(url) = self.server().locate(path) else {
            return Err(Refused::Other(FetchError::Server {
                text: self.server().to_string(),
                reason: "a directory is not asked by requests",
            }));
        };
        if self.options.offline {
            let url = shown(&url);
            return Err(Refused::Other(FetchError::Offline { url }));
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
            patience += Duration::from_secs(size / UPLOAD_RATE);
        }
        if new {
            request = request.header(header::IF_NONE_MATCH, "*");
        }
        let mut deadline = Instant::now() + patience;
        let mut late = Fault::Silent(patience);
        if let Some((end, total)) = end.filter(|(end, _)| *end < deadline) {
            (deadline, late) = (end, Fault::TooLong(total));
        }
        let wait = Until::new(deadline, &self.options);
        match transport.run(wait.wait(request.send())) {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Refused::Fault(Fault::of_request(error))),
            Err(Interrupted::TimedOut) => Err(Refused::Fault(late)),
            Err(Interrupted::Spent(limit)) => Err(Refused::Fault(Fault::Spent(limit))),
            Err(Interrupted::Cancelled(why)) => Err(Refused::Other(why.into())),
        }
    }

    fn failed(&self, method: &Method, path: &RelPath, requests: u32, source: Fault) -> FetchError {
        let url = self.url(path);
        if *method == Method::PUT {
            FetchError::Send {
                url,
                requests,
                source,
            }
        } else {
            FetchError::Transfer {
                url,
                requests,
                source,
            }
        }
    }

    fn url(&self, path: &RelPath) -> String {
        match self.server().locate(path) {
            Location::Http(url) => shown(&url),
            Location::File(file) => file.display().to_string(),
        }
    }
}

fn status_fault(status: StatusCode) -> Fault {
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
