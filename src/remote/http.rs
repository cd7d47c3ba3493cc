//! `http:` and `https:`: Bazel's simple cache layout, `ac/` and `cas/`.

use std::fs::File;

use reqwest::Url;

use super::error::RemoteError;
use super::transport::{BlobRef, Got, Name, Put, Receive, Transport, Writing};
use super::{MAX_BLOB, MAX_RECORD, action};
use crate::fetch::{Client, Credentials, DistServer, Fault, FetchError, Options, Sent, Upload};
use crate::types::{RelPath, Sha256};

/// The largest action entry, in bytes; one of ours has about 250.
const MAX_ACTION: u64 = 64 << 10;

/// A server of Bazel's simple HTTP cache layout.
pub(super) struct HttpRemote {
    client: Client,
    remote: String,
}

impl HttpRemote {
    pub(super) fn new(
        root: &Url,
        credentials: Option<Credentials>,
        options: Options,
    ) -> Result<Self, RemoteError> {
        let remote = root.as_str().trim_end_matches('/').to_owned();
        let server = DistServer::http(root.clone(), credentials);
        let client = Client::new(server, options)?;
        Ok(Self { client, remote })
    }

    fn object(
        &self,
        path: &RelPath,
        limit: u64,
        pinned: bool,
        to: &mut dyn Receive,
    ) -> Result<bool, RemoteError> {
        let result = self.client.object(path, limit, pinned, to);
        result.map_err(|error| match error {
            // No fault of this one request.
            FetchError::Transfer {
                source: Fault::Spent(limit),
                ..
            } => RemoteError::Spent {
                remote: self.remote.clone(),
                limit,
            },
            error => error.into(),
        })
    }

    fn path(directory: &str, name: &str) -> Result<RelPath, RemoteError> {
        let path = format!("{directory}/{name}");
        // Hexadecimal digits below a constant: always a path.
        path.parse().map_err(|_| RemoteError::Url {
            text: path,
            reason: "it is not a path",
        })
    }

    fn action(name: &Name) -> Result<RelPath, RemoteError> {
        Self::path("ac", &name.address().to_hex())
    }

    fn cas(sha256: Sha256) -> Result<RelPath, RemoteError> {
        Self::path("cas", &sha256.to_hex())
    }
}

impl Transport for HttpRemote {
    fn get(&self, name: &Name) -> Result<Got<Vec<u8>>, RemoteError> {
        let mut entry = Vec::new();
        let path = Self::action(name)?;
        if !self.object(&path, MAX_ACTION, false, &mut entry)? {
            return Ok(Got::Nothing);
        }
        // Our names are hashes of ours, so nobody else's entry stands there.
        let Some(files) = action::decode(&entry) else {
            return Ok(Got::Broken("an entry that is no ActionResult"));
        };
        let Some(file) = files.iter().find(|file| file.path == action::RECORD) else {
            return Ok(Got::Broken("an entry without `record.json`"));
        };
        let limit = file.blob.size;
        if limit > MAX_RECORD {
            let remote = self.remote.clone();
            let limit = MAX_RECORD;
            return Err(RemoteError::TooLarge { remote, limit });
        }
        let mut record = Vec::new();
        let path = Self::cas(file.blob.sha256)?;
        if !self.object(&path, limit, true, &mut record)? {
            return Ok(Got::Broken("an entry but not the record that it names"));
        }
        let found = Sha256::of(&record);
        if found != file.blob.sha256 {
            return Err(RemoteError::Blob {
                remote: self.remote.clone(),
                expected: file.blob.sha256,
                found,
            });
        }
        Ok(Got::Object(record))
    }

    fn get_blob(&self, blob: &BlobRef, to: &mut dyn Receive) -> Result<bool, RemoteError> {
        let limit = blob.size.min(MAX_BLOB);
        self.object(&Self::cas(blob.sha256)?, limit, true, to)
    }

    fn has_blob(&self, blob: &BlobRef) -> Result<bool, RemoteError> {
        let size = self.client.object_size(&Self::cas(blob.sha256)?)?;
        Ok(size == Some(blob.size))
    }

    fn put(
        &self,
        name: &Name,
        bytes: &[u8],
        blobs: &[BlobRef],
        writing: Writing,
    ) -> Result<Put, RemoteError> {
        let record = BlobRef {
            sha256: Sha256::of(bytes),
            size: bytes.len() as u64,
        };
        self.client
            .send(&Self::cas(record.sha256)?, Upload::Bytes(bytes), false)?;
        let entry = action::encode(record, blobs);
        let new = writing == Writing::New;
        let sent = self
            .client
            .send(&Self::action(name)?, Upload::Bytes(&entry), new)?;
        Ok(match sent {
            Sent::Done => Put::Done,
            Sent::Exists => Put::Exists,
        })
    }

    fn put_blob(&self, blob: &BlobRef, file: &File) -> Result<(), RemoteError> {
        let upload = Upload::File(file, blob.size);
        self.client.send(&Self::cas(blob.sha256)?, upload, false)?;
        Ok(())
    }
}
