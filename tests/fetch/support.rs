//! A client in a temporary directory, with short times and a clock that only
//! records.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sysroot::events::Cancel;
use sysroot::fetch::{Client, Clock, DistServer, Download, Fault, FetchError, Options};
use sysroot::types::{Class, Diagnostic, RelPath, Sha256};

use crate::http::{Request, Server, Step};

/// Remembers how long it should have slept.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<Duration>>);

impl Clock for Recorder {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn sleep(&self, time: Duration, _cancel: &Cancel) {
        self.0.lock().unwrap().push(time);
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub clock: Arc<Recorder>,
    pub options: Options,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(Recorder::default());
        Self {
            dir: tempfile::tempdir().unwrap(),
            options: Options {
                connect_timeout: Duration::from_secs(5),
                first_byte_timeout: Duration::from_secs(5),
                window: Duration::from_secs(10),
                minimum_bytes: 1,
                attempts: 3,
                clock: clock.clone(),
                ..Options::default()
            },
            clock,
        }
    }

    /// Times after which a silent or slow server is given up.
    pub fn impatient(mut self) -> Self {
        self.options.connect_timeout = Duration::from_millis(150);
        self.options.first_byte_timeout = Duration::from_millis(150);
        self.options.window = Duration::from_millis(200);
        self.options.minimum_bytes = 1000;
        self.options.attempts = 2;
        self
    }

    pub fn client(&self, server: &str) -> Client {
        Client::new(DistServer::parse(server).unwrap(), self.options.clone()).unwrap()
    }

    pub fn partial(&self) -> PathBuf {
        self.dir.path().join("partial")
    }

    /// Downloads `/dist/a`, which should be `body`.
    pub fn get(&self, server: &str, body: &[u8]) -> Result<Vec<u8>, FetchError> {
        self.get_with(&self.client(server), "dist/a", body)
    }

    pub fn get_with(
        &self,
        client: &Client,
        path: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, FetchError> {
        let path: RelPath = path.parse().unwrap();
        let request = Download {
            path: &path,
            sha256: Sha256::of(body),
            limit: 1 << 20,
        };
        let mut file = client.download(&request, &self.partial(), &|_| {})?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, body, "a download that succeeds has the right bytes");
        Ok(bytes)
    }

    pub fn sleeps(&self) -> Vec<Duration> {
        self.clock.0.lock().unwrap().clone()
    }

    /// Bytes below the temporary directory.
    pub fn disk(&self) -> u64 {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries.map(|e| e.unwrap().metadata().unwrap().len()).sum()
    }
}

/// The message with its causes, one a line.
pub fn message(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("\ncaused by: ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Asserts that the download of anything from this script ends in the class.
pub fn fails(
    name: &str,
    world: &World,
    class: Class,
    script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
) -> (FetchError, Server) {
    let server = Server::start(script);
    let error = world.get(&server.url(), BODY).expect_err(name);
    assert_eq!(error.class(), class, "{name}: {}", message(&error));
    (error, server)
}

/// The fault below a transfer error.
pub fn fault(error: &FetchError) -> &Fault {
    match error {
        FetchError::Transfer { source, .. } => source,
        other => panic!("no transfer error: {}", message(other)),
    }
}

pub const BODY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";

/// Bytes that do not repeat soon.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}
