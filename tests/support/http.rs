//! A scripted HTTP server on raw sockets, because an HTTP library refuses to
//! be wrong.
//!
//! For every request a closure returns the steps to play; requests are
//! recorded with time, headers and the connection they came on.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One thing the server does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends these bytes again and again until the client has gone.
    Forever(Vec<u8>),
    /// Sends one byte after each pause, until the client has gone.
    Drip(Duration),
    /// Waits.
    Pause(Duration),
    /// Does nothing until the client has gone.
    Hold,
    /// Closes the connection in order.
    Close,
    /// Breaks the connection with a reset.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// As long as the `content-length` said.
    pub body: Vec<u8>,
    /// Counted from 0.
    pub connection: u64,
    /// How many requests for this path came before.
    pub earlier: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

type Script = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

/// A running server; it ends with the value.
pub struct Server {
    pub address: SocketAddr,
    scheme: &'static str,
    log: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// What a connection's bytes pass through: nothing, or TLS.
pub type Wrap = dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync;

/// A connection.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Server {
    pub fn start(script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1", script)
    }

    /// Listens on another loopback address.
    pub fn on(host: &str, script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::wrapped(host, "http", None, script)
    }

    /// Speaks TLS, or whatever `wrap` makes of a connection.
    pub fn tls(
        wrap: Arc<Wrap>,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::wrapped("127.0.0.1", "https", Some(wrap), script)
    }

    fn wrapped(
        host: &str,
        scheme: &'static str,
        wrap: Option<Arc<Wrap>>,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            scheme,
            log: Arc::default(),
            sent: Arc::default(),
            stop: Arc::default(),
        };
        let script: Arc<Script> = Arc::new(script);
        let shared = (server.log.clone(), server.sent.clone(), server.stop.clone());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if shared.2.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let connection = Connection {
                    number: number as u64,
                    log: shared.0.clone(),
                    sent: shared.1.clone(),
                    script: script.clone(),
                };
                let wrap = wrap.clone();
                std::thread::spawn(move || connection.serve(stream, wrap.as_deref()));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Bytes handed to the sockets so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

struct Connection {
    number: u64,
    log: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    script: Arc<Script>,
}

impl Connection {
    fn serve(&self, stream: TcpStream, wrap: Option<&Wrap>) {
        let _ = stream.set_nodelay(true);
        let raw = stream.try_clone().unwrap();
        let mut stream: Box<dyn Stream> = match wrap {
            None => Box::new(stream),
            Some(wrap) => match wrap(stream) {
                Some(stream) => stream,
                None => return,
            },
        };
        while let Some(request) = self.read(&mut *stream) {
            for step in (self.script)(&request) {
                if !self.play(&mut *stream, &raw, step) {
                    return;
                }
            }
        }
    }

    fn read(&self, stream: &mut dyn Stream) -> Option<Request> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let mut log = self.log.lock().unwrap();
        let request = Request {
            at: Instant::now(),
            earlier: log.iter().filter(|r| r.path == path).count(),
            method,
            path,
            headers,
            body,
            connection: self.number,
        };
        log.push(request.clone());
        Some(request)
    }

    fn send(&self, stream: &mut dyn Stream, bytes: &[u8]) -> bool {
        let ok = stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .is_ok();
        if ok {
            self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        ok
    }

    /// Plays a step; `false` ends the connection.
    fn play(&self, stream: &mut dyn Stream, raw: &TcpStream, step: Step) -> bool {
        match step {
            Step::Bytes(bytes) => self.send(stream, &bytes),
            Step::Forever(bytes) => {
                while self.send(stream, &bytes) {}
                false
            }
            Step::Drip(pause) => {
                while self.send(stream, b"x") {
                    std::thread::sleep(pause);
                }
                false
            }
            Step::Pause(time) => {
                std::thread::sleep(time);
                true
            }
            Step::Hold => {
                let mut byte = [0];
                while matches!(stream.read(&mut byte), Ok(1)) {}
                false
            }
            Step::Close => false,
            Step::Reset => {
                // Lets the client read what was sent; a reset discards the rest.
                std::thread::sleep(Duration::from_millis(20));
                reset(raw);
                false
            }
        }
    }
}

/// Makes the next close a reset.
fn reset(stream: &TcpStream) {
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(stream).set_linger(linger).unwrap();
}

/// An answer with its length.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Step> {
    vec![
        Step::Bytes(head(status, headers, body.len() as u64)),
        Step::Bytes(body.to_vec()),
    ]
}

/// An answer's header, announcing `length` bytes.
pub fn head(status: &str, headers: &[(&str, &str)], length: u64) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// `200 OK` with a body.
pub fn ok(body: &[u8]) -> Vec<Step> {
    answer("200 OK", &[], body)
}

/// A good file server's answer, ranges included.
pub fn file(request: &Request, body: &[u8], etag: &str) -> Vec<Step> {
    let range = request.header("range").and_then(|range| {
        let start = range.strip_prefix("bytes=")?.strip_suffix('-')?;
        start.parse::<usize>().ok()
    });
    let unchanged = request.header("if-range").is_none_or(|tag| tag == etag);
    let headers = [("etag", etag), ("accept-ranges", "bytes")];
    match range.filter(|_| unchanged) {
        None => answer("200 OK", &headers, body),
        Some(start) if start >= body.len() => answer("416 Range Not Satisfiable", &headers, b""),
        Some(start) => {
            let total = body.len();
            let range = format!("bytes {start}-{}/{total}", total - 1);
            let headers = [headers[0], ("content-range", &range)];
            answer("206 Partial Content", &headers, &body[start..])
        }
    }
}

/// The first `at` bytes of a 200, announced in full, then an end.
pub fn cut(body: &[u8], etag: &str, at: usize, end: Step) -> Vec<Step> {
    vec![
        Step::Bytes(head("200 OK", &[("etag", etag)], body.len() as u64)),
        Step::Bytes(body[..at].to_vec()),
        end,
    ]
}
