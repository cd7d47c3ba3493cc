//! Why something could not be fetched.

use std::time::Duration;

use crate::events::Cancelled;
use crate::sys::fs::FsError;
use crate::types::{Class, Diagnostic, Sha256};

/// A fetch that failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The text names no server we can talk to.
    #[error("dist server `{text}` is refused: {reason}")]
    Server {
        /// The text without userinfo.
        text: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A proxy setting is no URL.
    #[error("the proxy named by {variable} is refused")]
    Proxy {
        /// The environment variable or setting it came from.
        variable: &'static str,
        /// What the HTTP library said.
        #[source]
        source: reqwest::Error,
    },
    /// An extra root certificate cannot be read.
    #[error("an extra root certificate is refused")]
    Certificate(#[source] reqwest::Error),
    /// The HTTP client could not be started.
    #[error("cannot start the HTTP client")]
    Start(#[source] std::io::Error),
    /// The HTTP client could not be set up, such as when no root certificate is found.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
    /// We were told not to use the network.
    #[error("`{url}` is not fetched: offline")]
    Offline {
        /// What would have been fetched.
        url: String,
    },
    /// The server has no channel manifest of this name.
    #[error("`{url}` does not exist: no such date or release on this server")]
    NoManifest {
        /// What was asked for.
        url: String,
    },
    /// The server does not have a locked file.
    #[error("`{url}` is no longer on this server; the lock is still valid")]
    Gone {
        /// What was asked for.
        url: String,
    },
    /// The transfer failed, after repetitions where they made sense.
    #[error("cannot fetch `{url}` ({requests} {})", if *.requests == 1 { "request" } else { "requests" })]
    Transfer {
        /// What was asked for.
        url: String,
        /// How many requests were made.
        requests: u32,
        /// What happened to the last one.
        #[source]
        source: Fault,
    },
    /// Sending a file failed, after repetitions where they made sense.
    #[error("cannot send `{url}` ({requests} {})", if *.requests == 1 { "request" } else { "requests" })]
    Send {
        /// What was to be written.
        url: String,
        /// How many requests were made.
        requests: u32,
        /// What happened to the last one.
        #[source]
        source: Fault,
    },
    /// The file is larger than its kind may be.
    #[error("`{url}` is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// In bytes.
        limit: u64,
    },
    /// The bytes are not the ones that were promised.
    #[error("`{url}` is not the expected file: expected {expected}, found {found}{note}")]
    Mismatch {
        /// What was asked for.
        url: String,
        /// The hash that was stated.
        expected: Sha256,
        /// The hash of what came.
        found: Sha256,
        /// What the server sent instead, as far as it can be told.
        note: String,
    },
    /// A channel manifest and its hash file disagree.
    #[error(
        "`{url}` does not match its `.sha256`: expected {expected}, found {found}; a release may \
         be in progress on the server"
    )]
    ManifestMismatch {
        /// The manifest.
        url: String,
        /// The hash in the `.sha256`.
        expected: Sha256,
        /// The hash of the manifest.
        found: Sha256,
    },
    /// A `.sha256` is not `<64 hex digits>  <name>`.
    #[error("`{url}` is malformed: {reason}{note}")]
    HashFile {
        /// The hash file.
        url: String,
        /// The rule it breaks.
        reason: &'static str,
        /// What the server sent instead, as far as it can be told.
        note: String,
    },
    /// A local file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What went wrong in one request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The server, or the proxy before it, could not be reached.
    #[error("cannot connect")]
    Connect(#[source] reqwest::Error),
    /// The server's certificate is not accepted.
    #[error("the server's certificate is not accepted")]
    Certificate(#[source] reqwest::Error),
    /// The answer could not be understood.
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    /// The answer broke off.
    #[error("the connection broke after {received} bytes")]
    Body {
        /// Bytes of the file received so far, earlier requests included.
        received: u64,
        /// What the HTTP library said.
        #[source]
        source: reqwest::Error,
    },
    /// No answer began in time.
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    /// Bytes came, but too few.
    #[error("only {received} bytes came within {} seconds, expected at least {expected}", .window.as_secs_f32())]
    TooSlow {
        /// In bytes.
        received: u64,
        /// In bytes.
        expected: u64,
        /// The time in which they should have come.
        window: Duration,
    },
    /// Bytes came fast enough, and still not all of them in time.
    #[error("it took longer than {} seconds", .0.as_secs_f32())]
    TooLong(Duration),
    /// The server wasted as much time in this run as it may, over all requests.
    #[error("requests that gave nothing took {} seconds of this run", .0.as_secs_f32())]
    Spent(Duration),
    /// The server answered with an error.
    #[error("the server answered {status}")]
    Status {
        /// The HTTP status.
        status: reqwest::StatusCode,
        /// How long the server asked us to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect was not followed.
    #[error("a redirect to `{to}` is refused: {reason}")]
    Redirect {
        /// Where it leads, without userinfo and query.
        to: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The answer to a range request does not fit the request.
    #[error("the server's answer does not continue where the download stopped: {0}")]
    Range(&'static str),
    /// The body is encoded although the plain file was asked for.
    #[error("the server sent the file with content encoding `{0}`, expected none")]
    Encoding(String),
}

impl Diagnostic for FetchError {
    fn class(&self) -> Class {
        match self {
            Self::Server { .. } | Self::Proxy { .. } | Self::Certificate(_) => Class::Usage,
            Self::NoManifest { .. } => Class::Unresolvable,
            Self::Start(_)
            | Self::Setup(_)
            | Self::Offline { .. }
            | Self::Gone { .. }
            | Self::Transfer { .. }
            | Self::Send { .. } => Class::Network,
            Self::TooLarge { .. }
            | Self::Mismatch { .. }
            | Self::ManifestMismatch { .. }
            | Self::HashFile { .. } => Class::Integrity,
            Self::Fs(error) => error.class(),
            Self::Cancelled(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Server { .. } => {
                "set SYSROOT_DIST_SERVER to a URL such as https://static.rust-lang.org"
            }
            Self::Offline { .. } => "run again without --offline",
            Self::NoManifest { url } if url.contains("channel-rust-nightly") => {
                "some days have no nightly; name the day before or after"
            }
            Self::NoManifest { url } if url.contains("channel-rust-beta") => {
                "most days have no beta; name the day of one"
            }
            Self::NoManifest { .. } => "check the release's number, and SYSROOT_DIST_SERVER",
            Self::Gone { .. } => {
                "set SYSROOT_DIST_SERVER to a mirror that still has it, or use a filled cache"
            }
            Self::Transfer { source, .. } | Self::Send { source, .. } => {
                return Some(source.hint());
            }
            Self::Mismatch { .. } => {
                "a mirror may be out of date or the file was republished; try another \
                 SYSROOT_DIST_SERVER"
            }
            Self::ManifestMismatch { .. } => "wait some minutes and run the same command again",
            Self::TooLarge { .. } | Self::HashFile { .. } => {
                "check that SYSROOT_DIST_SERVER is a Rust dist server"
            }
            Self::Fs(error) => return error.hint(),
            Self::Proxy { .. }
            | Self::Certificate(_)
            | Self::Start(_)
            | Self::Setup(_)
            | Self::Cancelled(_) => return None,
        };
        Some(text.to_owned())
    }
}

impl Fault {
    fn hint(&self) -> String {
        let text = match self {
            Self::Certificate(source) if is_not_yet_valid(source) => {
                "the certificate is valid from a later time on: check this machine's clock"
            }
            Self::Certificate(_) => {
                "behind a company's proxy, name its root certificate in SSL_CERT_FILE"
            }
            Self::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                "the server wants other credentials; check SYSROOT_DIST_SERVER"
            }
            Self::Status { status, .. } if status.as_u16() == 407 => {
                "the proxy wants credentials; check HTTPS_PROXY"
            }
            Self::Redirect { .. } => {
                "set SYSROOT_DIST_SERVER to the server that has the files, if you trust it"
            }
            Self::Connect(_)
            | Self::Request(_)
            | Self::Body { .. }
            | Self::Silent(_)
            | Self::TooSlow { .. }
            | Self::TooLong(_)
            | Self::Spent(_)
            | Self::Status { .. }
            | Self::Range(_)
            | Self::Encoding(_) => {
                "check the network, HTTPS_PROXY and SYSROOT_DIST_SERVER, then run the same \
                 command again"
            }
        };
        text.to_owned()
    }

    /// Sorts an error of a request that got no answer.
    pub(super) fn of_request(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if chain_contains(&error, &["invalid peer certificate"]) {
            return Self::Certificate(error);
        }
        if error.is_connect() {
            return Self::Connect(error);
        }
        Self::Request(error)
    }
}

fn is_not_yet_valid(error: &reqwest::Error) -> bool {
    chain_contains(error, &["not valid yet", "NotValidYet"])
}

/// Whether a cause's text holds one of these; the TLS library's own error
/// type is not within reach behind the HTTP library's.
fn chain_contains(error: &dyn std::error::Error, texts: &[&str]) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let message = error.to_string();
        if texts.iter().any(|text| message.contains(text)) {
            return true;
        }
        cause = error.source();
    }
    false
}
