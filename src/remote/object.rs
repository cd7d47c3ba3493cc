//! `s3:`, `gs:` and `az:`: object stores, by the `object_store` crate over our
//! own HTTP client.

use std::fs::File;
use std::future::poll_fn;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Key;
use object_store::{Error, GetResult, ObjectStore, PutMode, PutOptions, PutPayload};
use tokio::time::Instant;

use super::bounds::Bounds;
use super::error::RemoteError;
use super::object_setup::{Secrets, Setup};
use super::transport::{BlobRef, Got, Name, Put, Receive, Transport, Writing};
use super::{MAX_BLOB, MAX_RECORD};
use crate::events::Cancel;
use crate::fetch::{self, Budget, Interrupted, Until};
use crate::sys::fs;

/// Size of the parts of a large upload, in bytes; smaller ones go in one.
const PART: u64 = 16 << 20;
/// The lowest rate at which an upload may go, in bytes a second.
const UPLOAD_RATE: u64 = 64 << 10;

/// A bucket of an object store.
pub(super) struct ObjectRemote {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    remote: String,
    secrets: Secrets,
    bounds: Bounds,
    cancel: Cancel,
    budget: Option<Budget>,
    network: fetch::Transport,
}

impl ObjectRemote {
    pub(super) fn new(
        setup: Setup,
        bounds: Bounds,
        budget: Option<Budget>,
        cancel: &Cancel,
    ) -> Self {
        let Setup {
            store,
            prefix,
            remote,
            secrets,
            network,
        } = setup;
        Self {
            store,
            prefix,
            remote,
            secrets,
            bounds,
            cancel: cancel.clone(),
            budget,
            network,
        }
    }

    fn key(&self, below: &str) -> Key {
        if self.prefix.is_empty() {
            Key::from(format!("v1/{below}"))
        } else {
            Key::from(format!("{}/v1/{below}", self.prefix))
        }
    }

    fn object(&self, name: &Name) -> Key {
        self.key(&format!("{}/{}", name.directory(), name.address()))
    }

    fn blob(&self, blob: &BlobRef) -> Key {
        self.key(&format!("blobs/{}", blob.sha256.to_hex()))
    }

    fn failed(&self, error: &Error) -> RemoteError {
        RemoteError::Store {
            remote: self.remote.clone(),
            message: self.secrets.message(error),
        }
    }

    fn too_slow(&self, expected: String) -> RemoteError {
        let remote = self.remote.clone();
        RemoteError::TooSlow { remote, expected }
    }

    fn took_longer(&self, limit: Duration) -> RemoteError {
        self.too_slow(format!("it took longer than {} seconds", seconds(limit)))
    }

    fn spent(&self, limit: Duration) -> RemoteError {
        let remote = self.remote.clone();
        RemoteError::Spent { remote, limit }
    }

    fn until(&self, deadline: Instant) -> Until<'_> {
        Until {
            deadline,
            cancel: &self.cancel,
            budget: self.budget.as_ref(),
        }
    }

    /// Waits for one request's answer.
    async fn answer<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, RemoteError> {
        match self.until(Instant::now() + limit).wait(request).await {
            Ok(result) => Ok(result),
            Err(Interrupted::Spent(limit)) => Err(self.spent(limit)),
            Err(Interrupted::Cancelled(why)) => Err(why.into()),
            Err(Interrupted::TimedOut) => {
                Err(self.too_slow(format!("no answer within {} seconds", seconds(limit))))
            }
        }
    }

    /// How long an answer may take.
    fn patience(&self) -> Duration {
        self.bounds.connect + self.bounds.answer
    }

    fn upload_patience(&self, size: u64) -> Duration {
        let patience = self.patience() + Duration::from_secs(size / UPLOAD_RATE);
        patience.min(self.bounds.total)
    }

    /// Asks for an object and passes its bytes on; `false` if there is none.
    async fn fetch(
        &self,
        key: &Key,
        limit: u64,
        to: &mut dyn Receive,
    ) -> Result<bool, RemoteError> {
        let found = match self.answer(self.patience(), self.store.get(key)).await? {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(false),
            Err(e) => return Err(self.failed(&e)),
        };
        if found.meta.size > limit {
            let remote = self.remote.clone();
            return Err(RemoteError::TooLarge { remote, limit });
        }
        to.restart()?;
        self.pass_on(found, limit, to).await?;
        Ok(true)
    }

    /// Passes a body on, as long as it comes fast enough and fits.
    async fn pass_on(
        &self,
        found: GetResult,
        limit: u64,
        to: &mut dyn Receive,
    ) -> Result<(), RemoteError> {
        let Bounds {
            window,
            minimum_bytes,
            total,
            ..
        } = self.bounds;
        let mut stream = found.into_stream();
        let end = Instant::now() + total;
        let mut deadline = Instant::now() + window;
        let (mut taken, mut in_window) = (0, 0);
        loop {
            let next = poll_fn(|cx| stream.as_mut().poll_next(cx));
            let until = self.until(deadline.min(end));
            match until.wait(next).await {
                Err(Interrupted::Spent(limit)) => return Err(self.spent(limit)),
                Err(Interrupted::Cancelled(why)) => return Err(why.into()),
                Ok(None) => return Ok(()),
                Ok(Some(Err(e))) => return Err(self.failed(&e)),
                Err(Interrupted::TimedOut) => {}
                Ok(Some(Ok(bytes))) => {
                    let n = bytes.len() as u64;
                    if taken + n > limit {
                        let remote = self.remote.clone();
                        return Err(RemoteError::TooLarge { remote, limit });
                    }
                    to.take(&bytes)?;
                    (taken, in_window) = (taken + n, in_window + n);
                }
            }
            let now = Instant::now();
            if now >= end {
                return Err(self.took_longer(total));
            }
            // Bytes that never stop coming keep no wait from ending.
            if let Some(budget) = self.budget.as_ref().filter(|b| b.is_spent()) {
                return Err(self.spent(budget.limit()));
            }
            if now >= deadline {
                if in_window < minimum_bytes {
                    let expected = format!(
                        "{in_window} bytes within {} seconds, expected at least {minimum_bytes}",
                        window.as_secs()
                    );
                    return Err(self.too_slow(expected));
                }
                (deadline, in_window) = (now + window, 0);
            }
        }
    }

    async fn write(&self, key: &Key, bytes: &[u8], new: bool) -> Result<Put, RemoteError> {
        let limit = self.upload_patience(bytes.len() as u64);
        let write = |mode| {
            let options = PutOptions::from(mode);
            let payload = PutPayload::from(bytes.to_vec());
            self.store.put_opts(key, payload, options)
        };
        if new {
            match self.answer(limit, write(PutMode::Create)).await? {
                Ok(_) => return Ok(Put::Done),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    return Ok(Put::Exists);
                }
                // A store that cannot tell; the caller has looked before.
                Err(Error::NotImplemented | Error::NotSupported { .. }) => {}
                Err(e) if self.secrets.message(&e).contains("NotImplemented") => {}
                Err(e) => return Err(self.failed(&e)),
            }
        }
        match self.answer(limit, write(PutMode::Overwrite)).await? {
            Ok(_) => Ok(Put::Done),
            Err(e) => Err(self.failed(&e)),
        }
    }

    /// Sends a large file in parts; nobody sees it before the last one.
    async fn write_parts(&self, key: &Key, file: &mut File, size: u64) -> Result<(), RemoteError> {
        let begun = self
            .answer(self.patience(), self.store.put_multipart(key))
            .await?;
        let mut upload = begun.map_err(|e| self.failed(&e))?;
        let end = Instant::now() + self.bounds.total;
        let mut left = size;
        let sent = loop {
            // One deadline over all parts, as for a download.
            let limit = self.upload_patience(PART);
            let limit = limit.min(end.saturating_duration_since(Instant::now()));
            if left == 0 {
                let done = self.answer(limit, upload.complete()).await;
                break done.and_then(|done| done.map_err(|e| self.failed(&e)));
            }
            let part = read_part(file, left.min(PART))?;
            left -= part.len() as u64;
            let sending = upload.put_part(PutPayload::from(part));
            match self.answer(limit, sending).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => break Err(self.failed(&e)),
                Err(e) => break Err(e),
            }
        };
        if sent.is_err() {
            // Parts that stay are the store's to collect.
            let _ = self.answer(self.patience(), upload.abort()).await;
        }
        sent.map(|_| ())
    }
}

/// A time in seconds, to the millisecond: what is left of a bound may be less
/// than one second.
fn seconds(time: Duration) -> f32 {
    let beyond = Duration::from_nanos((time.subsec_nanos() % 1_000_000).into());
    time.saturating_sub(beyond).as_secs_f32()
}

fn read_part(file: &mut File, size: u64) -> Result<Vec<u8>, RemoteError> {
    let name = std::path::Path::new("the blob to send");
    let mut part = vec![0; usize::try_from(size).unwrap_or(0)];
    fs::at("read", name, file.read_exact(&mut part))?;
    Ok(part)
}

impl Transport for ObjectRemote {
    fn get(&self, name: &Name) -> Result<Got<Vec<u8>>, RemoteError> {
        let mut bytes = Vec::new();
        let key = self.object(name);
        let found = self.network.run(self.fetch(&key, MAX_RECORD, &mut bytes))?;
        Ok(if found {
            Got::Object(bytes)
        } else {
            Got::Nothing
        })
    }

    fn get_blob(&self, blob: &BlobRef, to: &mut dyn Receive) -> Result<bool, RemoteError> {
        let limit = blob.size.min(MAX_BLOB);
        self.network.run(self.fetch(&self.blob(blob), limit, to))
    }

    fn has_blob(&self, blob: &BlobRef) -> Result<bool, RemoteError> {
        let key = self.blob(blob);
        let head = self.answer(self.patience(), self.store.head(&key));
        match self.network.run(head)? {
            Ok(meta) => Ok(meta.size == blob.size),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn put(
        &self,
        name: &Name,
        bytes: &[u8],
        _blobs: &[BlobRef],
        writing: Writing,
    ) -> Result<Put, RemoteError> {
        let new = writing == Writing::New;
        self.network.run(self.write(&self.object(name), bytes, new))
    }

    fn put_blob(&self, blob: &BlobRef, file: &File) -> Result<(), RemoteError> {
        let name = std::path::Path::new("the blob to send");
        let mut file = fs::at("open", name, file.try_clone())?;
        fs::at("read", name, file.rewind())?;
        let key = self.blob(blob);
        if blob.size > PART {
            return self
                .network
                .run(self.write_parts(&key, &mut file, blob.size));
        }
        let bytes = read_part(&mut file, blob.size)?;
        self.network.run(self.write(&key, &bytes, false))?;
        Ok(())
    }
}
