//! nginx as an HTTP cache: a directory below `ac/` and `cas/`, and WebDAV's
//! `PUT`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Process, free_ports, program};

/// A server that ends with the test.
pub(super) struct Nginx {
    dir: tempfile::TempDir,
    ports: [u16; 3],
    _process: Process,
}

impl Nginx {
    /// Starts it with three addresses for one directory: one that takes
    /// everything, one to read from, and one that wants a password to write.
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports();
        let [open, read, password] = ports;
        let place = dir.path().display();
        // As root its workers would be somebody who may not write here.
        let user = match rustix::process::geteuid().is_root() {
            true => "user root;",
            false => "",
        };
        let dav = "dav_methods PUT; create_full_put_path on;";
        let config = format!(
            r#"
{user}
daemon off;
worker_processes 1;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {place}/access.log;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_max_body_size 2g;
    root {place}/files;
    server {{ listen 127.0.0.1:{open}; location / {{ {dav} }} }}
    server {{ listen 127.0.0.1:{read}; }}
    server {{
        listen 127.0.0.1:{password};
        location / {{
            {dav}
            limit_except GET {{
                auth_basic cache;
                auth_basic_user_file {place}/passwords;
            }}
        }}
    }}
}}
"#
        );
        fs::create_dir(dir.path().join("files")).unwrap();
        fs::write(dir.path().join("passwords"), "ci:{PLAIN}s3cr3t\n").unwrap();
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program("SYSROOT_TEST_NGINX"));
        command.arg("-p").arg(dir.path()).arg("-c").arg(file);
        let process = Process::start(&mut command, &dir.path().join("log"), &ports);
        Self {
            dir,
            ports,
            _process: process,
        }
    }

    fn url(&self, port: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[port])
    }

    /// The address that takes everything.
    pub(super) fn open(&self) -> String {
        self.url(0)
    }

    /// The address to read from.
    pub(super) fn read_only(&self) -> String {
        self.url(1)
    }

    /// The address that wants a password to write.
    pub(super) fn guarded(&self) -> String {
        self.url(2)
    }

    /// The files of a kind, `ac` or `cas`.
    pub(super) fn files(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.dir.path().join("files").join(kind)) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// What was asked, one line a request.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("access.log")).unwrap()
    }
}
