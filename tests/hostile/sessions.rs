//! Peers that abuse TLS: records, alerts and certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{DistinguishedName, DnType};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use vnetprobe::cause::Cause;
use vnetprobe::limits;
use vnetprobe::model::Kind;
use vnetprobe::observation::CertificateFacts;

use crate::pki::{listen_12, listen_13, params, self_signed};
use crate::world::{repeating, serve, stalling};
use crate::{NAME, Patience, Told, authority, probe};

fn leaf(told: &Told) -> &CertificateFacts {
    &told.seen.tls().unwrap().chain[0]
}

#[tokio::test]
async fn half_a_record_and_silence() {
    for half in [&b"\x16"[..], b"\x16\x03\x03\x40", b"\x16\x03\x03\x40\x00\x02\x00\x00\x46\x03\x03"]
    {
        let address = stalling(half).await;
        for kind in [Kind::Tls, Kind::Https, Kind::Websocket] {
            let told = probe(kind, address.port(), Patience::Short, &[]).await;
            told.fails_with(Cause::TlsTimeout);
        }
    }
}

#[tokio::test]
async fn floods_of_records() {
    for flood in [
        &b"\x15\x03\x03\x00\x02\x01\x5a"[..], // warnings: user_canceled
        b"\x15\x03\x03\x00\x02\x01\x00",      // warnings: close_notify
        b"\x14\x03\x03\x00\x01\x01",          // change_cipher_spec
        b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", // hello_request
        b"\x17\x03\x03\x00\x01\x00",          // application data
        b"\x16\x03\x03\x00\x00",              // empty records
    ] {
        let address = repeating(flood, flood.repeat(1000)).await;
        let told = probe(Kind::Tls, address.port(), Patience::Long, &[]).await;
        let cause = told.cause();
        assert!(
            matches!(cause, Some(Cause::NotTls | Cause::TlsClosed | Cause::TlsVersionUnsupported)),
            "{flood:02x?}: {}",
            told.snapshot.checks[0].summary()
        );
    }
    let fatal = b"\x15\x03\x03\x00\x02\x02\x28";
    let address = repeating(*fatal, fatal.repeat(1000)).await;
    let told = probe(Kind::Tls, address.port(), Patience::Long, &[]).await;
    told.fails_with(Cause::TlsAlert);
}

#[tokio::test]
async fn a_certificate_that_is_an_attack() {
    let evil = "<script>alert(1)</script>\u{1b}[31m\u{9b}2J\u{202e}\u{2066}\u{0}\r\n]]>|`";
    for older in [false, true] {
        let mut params = params("x", &[NAME]);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, evil);
        params.distinguished_name.push(DnType::OrganizationName, evil.repeat(100));
        let identity = self_signed(&params);
        let address = if older { listen_12(identity).await } else { listen_13(identity).await };
        let told = probe(Kind::Tls, address.port(), Patience::Long, &[]).await;
        told.fails_with(Cause::TlsSelfSigned);
        let subject = &leaf(&told).subject;
        assert!(subject.chars().count() <= limits::TEXT_CHARS + 1);
        assert!(!subject.contains(char::is_control), "{subject:?}");
    }
}

#[tokio::test]
async fn four_thousand_names() {
    let names: Vec<String> = (0..4000).map(|n| format!("h{n:04}.x")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push(NAME);
    let address = listen_13(self_signed(&params("Many", &names))).await;
    let told = probe(Kind::Tls, address.port(), Patience::Long, &[]).await;
    told.fails_with(Cause::TlsSelfSigned);
    assert_eq!(leaf(&told).names.len(), limits::CERTIFICATE_NAMES);
    assert_eq!(leaf(&told).more_names, 4001 - limits::CERTIFICATE_NAMES);
}

#[tokio::test]
async fn a_certificate_larger_than_any() {
    // A good ServerHello, then a certificate message that announces 16 MB and goes on and on.
    let mut hello = b"\x02\x00\x00\x26\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x2f, 0]);
    let mut opening = vec![0x16, 3, 3, 0, u8::try_from(hello.len()).unwrap()];
    opening.extend(hello);
    opening.extend(b"\x16\x03\x03\x00\x0a\x0b\xff\xff\xff\xff\xff\xfc\xff\xff\xf9");
    let mut more = b"\x16\x03\x03\x40\x00".to_vec();
    more.resize(5 + 16_384, 0x30);
    let address = repeating(opening, more).await;
    let told = probe(Kind::Tls, address.port(), Patience::Long, &[]).await;
    told.fails_with(Cause::NotTls);
}

/// A server with a good certificate that says these bytes over the session, the latter for ever.
async fn trusted(first: &'static [u8], again: &'static [u8]) -> SocketAddr {
    let identity = authority().issue(&params("Trusted", &[NAME]));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut session) = acceptor.accept(stream).await else { return };
            let again = again.repeat(1000);
            let mut spoken = session.write_all(first).await;
            while spoken.is_ok() {
                spoken = session.write_all(&again).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn good_sessions_with_bad_answers() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    for (first, again, cause) in [
        (&b"HTTP/1.1 503 Busy\r\n\r\n"[..], &b"<script>\x1b[31m"[..], Cause::HttpServerError),
        (interim, interim, Cause::HttpUnexpectedStatus),
        (b"\0\0<script>", b"\x9b31m", Cause::HttpUnexpectedStatus),
        (b"HTTP/1.1 200 ", b"x", Cause::HttpUnexpectedStatus),
    ] {
        let address = trusted(first, again).await;
        let told = probe(Kind::Https, address.port(), Patience::Long, &[]).await;
        told.fails_with(cause);
    }
    let address = trusted(b"HTTP/1.1 200 OK\r\n\r\n", b"x").await;
    probe(Kind::Https, address.port(), Patience::Long, &[]).await.passes();
}
