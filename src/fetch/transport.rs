//! The HTTP client and the thread its connections live on.
//!
//! Callers are plain threads: [`Transport::run`] drives a future on theirs,
//! while one thread of ours drives sockets and timers for all of them.

use std::future::Future;
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::{NoProxy, Proxy};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::budget::Budget;
use super::error::FetchError;
use super::options::{Options, Proxies};
use crate::events::{Cancel, Cancelled};

/// How often a wait looks whether somebody cancelled.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Transport {
    /// Follows no redirect and never decodes a body.
    pub(crate) http: reqwest::Client,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
}

impl Transport {
    pub(crate) fn new(options: &Options) -> Result<Self, FetchError> {
        let http = http_client(options)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("sysroot-net")
            .build()
            .map_err(FetchError::Start)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let driver = std::thread::Builder::new()
            .name("sysroot-net".to_owned())
            .spawn(move || {
                // Ends when the sender is used or dropped.
                let _ = runtime.block_on(stopped);
                // A name look-up may hang in the system's resolver.
                runtime.shutdown_background();
            })
            .map_err(FetchError::Start)?;
        Ok(Self {
            http,
            handle,
            stop: Some(stop),
            driver: Some(driver),
        })
    }

    /// Runs a future to its end on the calling thread.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
    }
}

fn http_client(options: &Options) -> Result<reqwest::Client, FetchError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("sysroot/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .http2_adaptive_window(true)
        .no_proxy();
    for proxy in proxies(&options.proxies)? {
        builder = builder.proxy(proxy);
    }
    for pem in &options.extra_roots {
        let bundle = reqwest::Certificate::from_pem_bundle(pem).map_err(FetchError::Certificate)?;
        for certificate in bundle {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(FetchError::Setup)
}

fn proxies(settings: &Proxies) -> Result<Vec<Proxy>, FetchError> {
    type Make = fn(String) -> reqwest::Result<Proxy>;
    let all: [(&'static str, &Option<String>, Make); 3] = [
        ("HTTPS_PROXY", &settings.https, Proxy::https),
        ("HTTP_PROXY", &settings.http, Proxy::http),
        ("ALL_PROXY", &settings.all, Proxy::all),
    ];
    let direct = format!("localhost,127.0.0.0/8,::1,{}", settings.none_for);
    let mut proxies = Vec::new();
    for (variable, url, make) in all {
        let Some(url) = url.as_ref().filter(|url| !url.is_empty()) else {
            continue;
        };
        let proxy = make(url.clone()).map_err(|source| FetchError::Proxy {
            variable,
            source: source.without_url(),
        })?;
        proxies.push(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    Ok(proxies)
}

/// Why a wait ended without a result.
#[derive(Clone, Copy)]
pub(crate) enum Interrupted {
    TimedOut,
    /// The server has wasted as much time as it may, in all.
    Spent(Duration),
    Cancelled(Cancelled),
}

/// What ends a wait.
#[derive(Clone, Copy)]
pub(crate) struct Until<'a> {
    pub(crate) deadline: Instant,
    pub(crate) cancel: &'a Cancel,
    pub(crate) budget: Option<&'a Budget>,
}

impl<'a> Until<'a> {
    pub(crate) fn new(deadline: Instant, options: &'a Options) -> Self {
        Self {
            deadline,
            cancel: &options.cancel,
            budget: options.budget.as_ref(),
        }
    }

    /// Waits for a future until then.
    pub(crate) async fn wait<F: Future>(self, future: F) -> Result<F::Output, Interrupted> {
        let mut future = std::pin::pin!(future);
        loop {
            self.cancel.check().map_err(Interrupted::Cancelled)?;
            let tick = self.deadline.min(Instant::now() + TICK);
            if let Ok(output) = tokio::time::timeout_at(tick, &mut future).await {
                return Ok(output);
            }
            // First: it ends the use of the server, not of one answer.
            if let Some(budget) = self.budget.filter(|budget| budget.is_spent()) {
                return Err(Interrupted::Spent(budget.limit()));
            }
            if Instant::now() >= self.deadline {
                return Err(Interrupted::TimedOut);
            }
        }
    }
}
