//! TLS, with certificates made here.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sysroot::fetch::Fault;
use sysroot::types::{Class, Diagnostic as _};

use crate::http::{Server, Stream, Wrap, answer, ok};
use crate::support::{BODY, World, fault, message};

struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key }
    }

    /// A TLS side with a certificate for `name`, valid between two years.
    fn issue(&self, name: &str, from: i32, to: i32) -> Arc<Wrap> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let leaf = params
            .signed_by(&key, &self.certificate, &self.key)
            .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        Arc::new(move |stream: TcpStream| {
            let connection = ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Stream>)
        })
    }
}

#[test]
fn case_028_only_valid_certificates_are_accepted() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (name, wrap, fine) in [
        ("good", authority.issue("127.0.0.1", 2020, 2090), true),
        (
            "unknown issuer",
            stranger.issue("127.0.0.1", 2020, 2090),
            false,
        ),
        ("expired", authority.issue("127.0.0.1", 2020, 2021), false),
        (
            "not yet valid",
            authority.issue("127.0.0.1", 2080, 2090),
            false,
        ),
        (
            "wrong name",
            authority.issue("dist.example", 2020, 2090),
            false,
        ),
        (
            "wrong address",
            authority.issue("127.0.0.2", 2020, 2090),
            false,
        ),
    ] {
        let mut world = World::new();
        world.options.extra_roots = vec![authority.certificate.pem().into_bytes()];
        let server = Server::tls(wrap, |_| ok(BODY));
        let result = world.get(&server.url(), BODY);
        if fine {
            result.expect(name);
            continue;
        }
        let error = result.expect_err(name);
        assert_eq!(error.class(), Class::Network, "{name}");
        assert!(
            matches!(fault(&error), Fault::Certificate(_)),
            "{name}: {}",
            message(&error)
        );
        assert!(
            server.requests().is_empty() && world.sleeps().is_empty(),
            "{name}"
        );
        let clock = error.hint().unwrap().contains("clock");
        assert_eq!(clock, name == "not yet valid", "{name}");
    }
}

#[test]
fn case_028_old_versions_and_plain_text_are_refused() {
    let replies: [&'static [u8]; 3] = [
        // ServerHello of TLS 1.0.
        b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
          0123456789abcdef0123456789abcdef\x00\x00\x2f\x00",
        // A fatal alert: protocol_version.
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for reply in replies {
        let wrap: Arc<Wrap> = Arc::new(move |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(reply);
            let _ = stream.read(&mut [0; 4096]);
            None
        });
        let server = Server::tls(wrap, |_| ok(BODY));
        let error = World::new().get(&server.url(), BODY).unwrap_err();
        assert_eq!(error.class(), Class::Network, "{}", message(&error));
    }
}

#[test]
fn case_015_a_redirect_out_of_tls_is_refused() {
    let plain = Server::start(|_| ok(BODY));
    let target = plain.url();
    let authority = Authority::new();
    let mut world = World::new();
    world.options.extra_roots = vec![authority.certificate.pem().into_bytes()];
    let server = Server::tls(authority.issue("127.0.0.1", 2020, 2090), move |_| {
        answer("302 Found", &[("location", &target)], b"")
    });
    let error = world.get(&server.url(), BODY).unwrap_err();
    assert!(
        matches!(fault(&error), Fault::Redirect { .. }),
        "{}",
        message(&error)
    );
    assert!(plain.requests().is_empty());
}
