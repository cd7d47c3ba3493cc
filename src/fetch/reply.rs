//! One request: redirects, the answer's header, and its body at a minimum rate.

use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{StatusCode, Url};
use tokio::time::Instant;

use super::client::Arrival;
use super::error::Fault;
use super::options::Options;
use super::range::{Resume, check_range, text_of, validator};
use super::redirect;
use super::server::Credentials;
use super::transport::{Interrupted, Transport, Until};
use crate::events::Cancelled;
use crate::sys::fs::FsError;

/// What to ask for, and under which rules.
pub(super) struct Ask<'a> {
    pub(super) url: &'a Url,
    /// Whether the bytes are checked against a hash known beforehand.
    pub(super) pinned: bool,
    pub(super) credentials: Option<&'a Credentials>,
    /// Largest acceptable file, in bytes.
    pub(super) limit: u64,
}

/// Takes the bytes of one file, over several requests if need be.
pub(super) trait Sink {
    /// Bytes taken so far.
    fn len(&self) -> u64;
    /// Where to go on, if the server can be asked to.
    fn resume(&self) -> Option<Resume>;
    /// Forgets everything taken so far.
    fn restart(&mut self) -> Result<(), FsError>;
    /// Learns how the server calls the version that comes now.
    fn begin(&mut self, validator: Option<String>) -> Result<(), FsError>;
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), FsError>;
}

/// Why a request ended early.
pub(super) enum Stop {
    Fault(Fault),
    TooLarge,
    Fs(FsError),
    Cancelled(Cancelled),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<FsError> for Stop {
    fn from(error: FsError) -> Self {
        Self::Fs(error)
    }
}

/// What the server said about the body, for messages about wrong bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    content_type: Option<String>,
    opening: Vec<u8>,
}

impl Served {
    /// Names a body that is a web page or other text; empty for anything else.
    pub(super) fn note(&self) -> String {
        let Some(kind) = self.content_type.as_deref() else {
            return String::new();
        };
        if !kind.starts_with("text/") && !kind.contains("json") && !kind.contains("xml") {
            return String::new();
        }
        let text = String::from_utf8_lossy(&self.opening);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        let line: String = line.unwrap_or_default().chars().take(80).collect();
        format!(
            "; the server sent {}: `{}`",
            kind.escape_debug(),
            line.escape_debug()
        )
    }
}

/// Asks once and passes the body on.
pub(super) async fn transfer(
    transport: &Transport,
    options: &Options,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
    progress: &(dyn Fn(Arrival) + '_),
) -> Result<Served, Stop> {
    let resume = sink.resume();
    let mut response = open(transport, options, ask, resume.as_ref()).await?;
    check_status(response.status(), response.headers(), options)?;
    check_encoding(response.headers())?;
    let partial = response.status() == StatusCode::PARTIAL_CONTENT;
    match (&resume, partial) {
        (Some(resume), true) => check_range(response.headers(), resume)?,
        (None, true) => return Err(Fault::Range("a part came although all was asked for").into()),
        (_, false) => sink.restart()?,
    }
    let have = sink.len();
    let total = (response.content_length()).map(|length| have.saturating_add(length));
    if total.unwrap_or(have) > ask.limit {
        return Err(Stop::TooLarge);
    }
    sink.begin(validator(response.headers()))?;
    progress(Arrival::Begins { have, total });
    let mut served = Served {
        content_type: text_of(response.headers(), header::CONTENT_TYPE),
        opening: Vec::new(),
    };
    read_body(
        &mut response,
        options,
        ask.limit,
        &mut served,
        sink,
        progress,
    )
    .await?;
    Ok(served)
}

/// Passes a body on, as long as it comes fast enough and fits.
async fn read_body(
    response: &mut reqwest::Response,
    options: &Options,
    limit: u64,
    served: &mut Served,
    sink: &mut dyn Sink,
    progress: &(dyn Fn(Arrival) + '_),
) -> Result<(), Stop> {
    let end = options.total.map(|total| Instant::now() + total);
    let mut deadline = Instant::now() + options.window;
    let mut in_window = 0;
    loop {
        if let Some(total) = options.total
            && end.is_some_and(|end| Instant::now() >= end)
        {
            return Err(Stop::Fault(Fault::TooLong(total)));
        }
        let wake = end.map_or(deadline, |end| deadline.min(end));
        let wait = Until::new(wake, options);
        let chunk = match wait.wait(response.chunk()).await {
            Err(Interrupted::Cancelled(why)) => return Err(Stop::Cancelled(why)),
            Err(Interrupted::Spent(limit)) => return Err(Fault::Spent(limit).into()),
            Err(Interrupted::TimedOut) => None,
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(chunk))) => Some(chunk),
            Ok(Err(source)) => {
                return Err(Stop::Fault(Fault::Body {
                    received: sink.len(),
                    source: source.without_url(),
                }));
            }
        };
        if let Some(chunk) = chunk {
            if sink.len().saturating_add(chunk.len() as u64) > limit {
                return Err(Stop::TooLarge);
            }
            let room = 200_usize.saturating_sub(served.opening.len());
            served.opening.extend(chunk.iter().take(room));
            sink.write(&chunk)?;
            in_window += chunk.len() as u64;
            progress(Arrival::Bytes(chunk.len() as u64));
        }
        // Bytes that never stop coming keep no wait from ending.
        if let Some(budget) = options.budget.as_ref().filter(|b| b.is_spent()) {
            return Err(Fault::Spent(budget.limit()).into());
        }
        // Bytes over a window, not time since the last byte: a server that
        // sends one byte a second must not hold us for ever.
        if Instant::now() >= deadline {
            if in_window < options.minimum_bytes {
                return Err(Stop::Fault(Fault::TooSlow {
                    received: in_window,
                    expected: options.minimum_bytes,
                    window: options.window,
                }));
            }
            deadline = Instant::now() + options.window;
            in_window = 0;
        }
    }
}

/// Sends the request and follows redirects, up to the first other answer.
async fn open(
    transport: &Transport,
    options: &Options,
    ask: &Ask<'_>,
    resume: Option<&Resume>,
) -> Result<reqwest::Response, Stop> {
    let patience = options.connect_timeout + options.first_byte_timeout;
    // One for all redirects together.
    let wait = Until::new(Instant::now() + patience, options);
    let mut url = ask.url.clone();
    for _ in 0..=options.redirects {
        let request = request(transport, ask, &url, resume);
        let response = match wait.wait(request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Fault::of_request(error).into()),
            Err(why) => return Err(interrupted(why, patience)),
        };
        if !is_redirect(response.status()) {
            return Ok(response);
        }
        let context = redirect::Context {
            origin: ask.url,
            from: &url,
            pinned: ask.pinned,
        };
        let location = response.headers().get(header::LOCATION);
        let to = redirect::follow(&context, location.map(header::HeaderValue::as_bytes))?;
        if redirect::needs_lookup(ask.url, &to) && !uses_proxy(options) {
            let inside = wait.wait(resolves_inside(&to)).await;
            may_follow(inside, &to, patience)?;
        }
        url = to;
    }
    Err(Stop::Fault(Fault::Redirect {
        to: super::server::shown(&url),
        reason: "there are too many redirects in a row",
    }))
}

/// A redirect is followed only if it is known that it does not lead inside.
fn may_follow(inside: Result<bool, Interrupted>, to: &Url, patience: Duration) -> Result<(), Stop> {
    match inside {
        Ok(false) => Ok(()),
        Ok(true) => Err(redirect::leads_inside(to).into()),
        Err(why) => Err(interrupted(why, patience)),
    }
}

/// What it means that no answer came; `patience` is how long it may take.
fn interrupted(why: Interrupted, patience: Duration) -> Stop {
    match why {
        Interrupted::Cancelled(why) => Stop::Cancelled(why),
        Interrupted::TimedOut => Fault::Silent(patience).into(),
        Interrupted::Spent(limit) => Fault::Spent(limit).into(),
    }
}

fn uses_proxy(options: &Options) -> bool {
    let proxies = &options.proxies;
    proxies.https.is_some() || proxies.http.is_some() || proxies.all.is_some()
}

async fn resolves_inside(url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    match tokio::net::lookup_host((host, port)).await {
        Ok(mut found) => found.any(|address| redirect::is_local_address(address.ip())),
        // The request will fail with a better message.
        Err(_) => false,
    }
}

fn request(
    transport: &Transport,
    ask: &Ask<'_>,
    url: &Url,
    resume: Option<&Resume>,
) -> reqwest::RequestBuilder {
    let mut request = transport
        .http
        .get(url.clone())
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(resume) = resume {
        request = request
            .header(header::RANGE, format!("bytes={}-", resume.offset))
            .header(header::IF_RANGE, &resume.validator);
    }
    match ask.credentials {
        // Nobody but the configured server is shown its credentials.
        Some(credentials) if redirect::same_server(ask.url, url) => credentials.attach(request),
        _ => request,
    }
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn check_status(status: StatusCode, headers: &HeaderMap, options: &Options) -> Result<(), Fault> {
    if matches!(status.as_u16(), 200 | 206) {
        return Ok(());
    }
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(Fault::Range("it has no bytes from there on"));
    }
    let values = headers.get_all(header::RETRY_AFTER).iter();
    // Stated twice, the longer wait is the safe reading.
    let retry_after = values
        .filter_map(|value| super::retry::parse_retry_after(value.as_bytes(), options))
        .max();
    Err(Fault::Status {
        status,
        retry_after,
    })
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Fault> {
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let name = String::from_utf8_lossy(value.as_bytes());
        if !name.trim().eq_ignore_ascii_case("identity") {
            let name: String = name.chars().take(40).collect();
            return Err(Fault::Encoding(name.escape_debug().to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_018_a_redirect_whose_address_is_not_known_in_time_is_not_followed() {
        let to = Url::parse("https://elsewhere.example/file").unwrap();
        let follow = |inside| may_follow(inside, &to, Duration::from_secs(2));
        assert!(follow(Ok(false)).is_ok());
        let inside = follow(Ok(true));
        assert!(matches!(inside, Err(Stop::Fault(Fault::Redirect { .. }))));
        let late = follow(Err(Interrupted::TimedOut));
        assert!(matches!(late, Err(Stop::Fault(Fault::Silent(_)))));
        let spent = follow(Err(Interrupted::Spent(Duration::from_mins(1))));
        assert!(matches!(spent, Err(Stop::Fault(Fault::Spent(_)))));
    }
}
