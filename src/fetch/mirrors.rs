//! Several dist servers, asked in order.
//!
//! Every byte is checked against a hash, so it does not matter which server
//! it came from. One that lied or could not be reached is not asked again in
//! this run, as long as another one is left.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::client::{Arrival, Client, Download, FetchedManifest};
use super::error::FetchError;
use super::options::Options;
use super::server::DistServer;
use crate::events::{Event, Observer};
use crate::types::RelPath;

/// Requests in a row that may fail on a server that others stand behind.
const ATTEMPTS_WITH_OTHERS: u32 = 2;

/// The dist servers of one run.
pub struct Mirrors<'a> {
    clients: Vec<Client>,
    /// For each client, whether it is still asked.
    alive: Mutex<Vec<bool>>,
    observer: &'a dyn Observer,
}

/// An answer, and the place in the order of the server that gave it.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What it answered.
    pub value: T,
    /// Which server.
    pub server: usize,
}

/// What an error says about the server it came from.
enum Blame {
    /// Nothing: asking another one would not help.
    None,
    /// It does not have the file.
    Lacks,
    /// It sent something wrong, or could not be reached.
    Unfit,
}

impl<'a> Mirrors<'a> {
    /// Prepares clients; connects to nobody yet.
    pub fn new(
        servers: Vec<DistServer>,
        options: &Options,
        observer: &'a dyn Observer,
    ) -> Result<Self, FetchError> {
        let last = servers.len().saturating_sub(1);
        let client = |(place, server): (usize, DistServer)| {
            let mut options = options.clone();
            if place < last {
                options.attempts = options.attempts.min(ATTEMPTS_WITH_OTHERS);
            }
            Client::new(server, options)
        };
        let clients: Result<Vec<Client>, _> = servers.into_iter().enumerate().map(client).collect();
        let clients = clients?;
        Ok(Self {
            alive: Mutex::new(vec![true; clients.len()]),
            clients,
            observer,
        })
    }

    /// Fetches a channel manifest and checks it against its `.sha256`.
    pub fn channel_manifest(&self, path: &RelPath) -> Result<Answer<FetchedManifest>, FetchError> {
        self.first(|client| client.channel_manifest(path))
    }

    /// Fetches the detached signature beside a file, from one server; `None`
    /// if it has none.
    ///
    /// Only the server that sent the file is asked: another one may have
    /// other bytes, and a signature that does not fit is an error.
    pub fn signature(&self, server: usize, path: &RelPath) -> Result<Option<Vec<u8>>, FetchError> {
        match self.clients.get(server) {
            Some(client) => client.signature(path),
            None => Ok(None),
        }
    }

    /// Downloads a file; see [`Client::download`].
    pub fn download(
        &self,
        request: &Download<'_>,
        partial: &Path,
        progress: &dyn Fn(Arrival),
    ) -> Result<File, FetchError> {
        let answer = self.first(|client| client.download(request, partial, progress))?;
        Ok(answer.value)
    }

    /// Bytes a second of the server that is asked first; see
    /// [`Client::observed_rate`].
    pub fn observed_rate(&self) -> Option<f64> {
        let alive = self.alive();
        let mut living = self.clients.iter().zip(alive).filter(|(_, alive)| *alive);
        living.next().and_then(|(client, _)| client.observed_rate())
    }

    /// The first good answer, in the order of the servers.
    fn first<T>(
        &self,
        ask: impl Fn(&Client) -> Result<T, FetchError>,
    ) -> Result<Answer<T>, FetchError> {
        let alive = self.alive();
        let living = self.clients.iter().enumerate().zip(alive);
        // That a server lacks the file tells less than that one failed.
        let mut absent = None;
        let mut failed = None;
        for ((server, client), _) in living.filter(|(_, alive)| *alive) {
            match ask(client) {
                Ok(value) => return Ok(Answer { value, server }),
                Err(error) => match blame(&error) {
                    Blame::None => return Err(error),
                    Blame::Lacks => absent = Some(error),
                    Blame::Unfit => {
                        self.give_up_on(server, &error);
                        failed.get_or_insert(error);
                    }
                },
            }
        }
        // There is always one server alive; without any at all there is none.
        Err(failed.or(absent).unwrap_or(FetchError::Server {
            text: String::new(),
            reason: "there is no server to ask",
        }))
    }

    /// Asks a server no more and says so, unless it is the last one.
    fn give_up_on(&self, server: usize, error: &FetchError) {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let others = alive
            .iter()
            .enumerate()
            .any(|(i, alive)| *alive && i != server);
        let Some(this) = alive.get_mut(server).filter(|alive| **alive && others) else {
            return;
        };
        *this = false;
        let name = self
            .clients
            .get(server)
            .map(|client| client.server().to_string());
        let text = format!(
            "{}; the dist server {} is not asked again in this run",
            whole(error),
            name.unwrap_or_default()
        );
        self.observer.event(Event::Warning(text));
    }

    fn alive(&self) -> Vec<bool> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.clone()
    }
}

/// An error with its causes, in one line.
fn whole(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn blame(error: &FetchError) -> Blame {
    match error {
        FetchError::Server { .. }
        | FetchError::Proxy { .. }
        | FetchError::Certificate(_)
        | FetchError::Start(_)
        | FetchError::Setup(_)
        | FetchError::Fs(_)
        // Nothing is sent to a dist server.
        | FetchError::Send { .. }
        | FetchError::Cancelled(_) => Blame::None,
        // A directory among the servers still answers.
        FetchError::Offline { .. } | FetchError::NoManifest { .. } | FetchError::Gone { .. } => {
            Blame::Lacks
        }
        FetchError::Transfer { .. }
        | FetchError::TooLarge { .. }
        | FetchError::Mismatch { .. }
        | FetchError::ManifestMismatch { .. }
        | FetchError::HashFile { .. } => Blame::Unfit,
    }
}
