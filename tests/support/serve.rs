//! A well-behaved static file server on loopback: keep-alive, HEAD, single
//! byte ranges. It is what a mirror's nginx would be.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct FileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    stop: AtomicBool,
    bytes: AtomicU64,
    requests: Mutex<Vec<String>>,
}

impl FileServer {
    /// Serves `root` on a free port.
    pub(crate) fn start(root: &Path) -> io::Result<Self> {
        Self::bind(root, "127.0.0.1:0")
    }

    /// Serves `root` on `address`.
    pub(crate) fn bind(root: &Path, address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            stop: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            requests: Mutex::new(Vec::new()),
        });
        let server = Self {
            address: listener.local_addr()?,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || accept(&listener, &shared));
        Ok(server)
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies' bytes sent so far.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// `METHOD /path` of every request so far, in order of arrival.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that goes away is its own business.
        thread::spawn(move || drop(converse(stream, &shared)));
    }
}

/// What of a request matters here.
struct Request {
    method: String,
    path: String,
    range: Option<(u64, Option<u64>)>,
    close: bool,
}

fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let line = format!("{} {}", request.method, request.path);
        shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        answer(&mut stream, &request, shared)?;
        if request.close || shared.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.take(8192).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut request = Request {
        method,
        path,
        range: None,
        close: false,
    };
    loop {
        let mut header = String::new();
        if reader.take(8192).read_line(&mut header)? == 0 {
            return Ok(None);
        }
        let header = header.trim().to_ascii_lowercase();
        match header
            .split_once(':')
            .map(|(name, value)| (name, value.trim()))
        {
            None => return Ok(Some(request)),
            Some(("range", value)) => request.range = parse_range(value),
            Some(("connection", value)) => request.close = value == "close",
            Some(_) => {}
        }
    }
}

/// `bytes=FIRST-[LAST]`; anything else is ignored, as a server may.
fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = match last {
        "" => None,
        last => Some(last.parse().ok()?),
    };
    Some((first.parse().ok()?, last))
}

fn answer(stream: &mut TcpStream, request: &Request, shared: &Shared) -> io::Result<()> {
    let opened = resolve(&shared.root, &request.path).and_then(|path| File::open(path).ok());
    let file = opened.filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
    let Some(mut file) = file else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let size = file.metadata()?.len();
    let (first, last) = match request.range {
        None => (0, size),
        Some((first, last)) => (
            first,
            last.map_or(size, |last| size.min(last.saturating_add(1))),
        ),
    };
    if request.range.is_some() && first >= last {
        let head = format!(
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
        );
        return stream.write_all(head.as_bytes());
    }
    let status = match request.range {
        None => "200 OK\r\n".to_owned(),
        Some(_) => format!(
            "206 Partial Content\r\nContent-Range: bytes {first}-{}/{size}\r\n",
            last.saturating_sub(1)
        ),
    };
    let length = last.saturating_sub(first);
    let head = format!("HTTP/1.1 {status}Accept-Ranges: bytes\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(first))?;
    let sent = io::copy(&mut file.take(length), stream)?;
    shared.bytes.fetch_add(sent, Ordering::Relaxed);
    Ok(())
}

/// The file a path names, if it stays below the root.
fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.split('?').next()?.trim_start_matches('/'));
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| root.join(path))
}
