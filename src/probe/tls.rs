//! TLS: one handshake with the real server name, whatever the certificate is worth.
//!
//! The verifier used here records the chain and lets the handshake go on, so that version, cipher
//! and a demand for a client certificate are known of a server whose certificate is bad. That gives
//! nothing away: the peer must still prove that it holds the certificate's key, and a session over
//! which anything may be sent is handed out only if the chain was verified as well
//! ([`Trust::effective`]); any other is dropped here.

#![expect(clippy::disallowed_methods, reason = "reads the clock")]

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{ResolvesClientCert, Resumption};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
};

use super::stream::{Heard, Watched};
use super::trust::{Presented, RootStores};
use super::{certificate, failure};
use crate::limits;
use crate::model::{Elapsed, Host};
use crate::observation::{
    CertificateFacts, TlsFailure, TlsObservation, TlsOutcome, Trust, TrustResult,
};

/// A session over a verified chain.
pub type Session = TlsStream<Watched<TcpStream>>;

/// Which application protocol the handshake names (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// None: the handshake is the whole check.
    None,
    /// `http/1.1`.
    Http1,
}

/// Makes handshakes; built once and shared.
#[derive(Debug)]
pub struct TlsClient {
    stores: RootStores,
    /// Cloned for every handshake, which copies a dozen pointers, because each needs a recorder of
    /// its own.
    base: ClientConfig,
    algorithms: WebPkiSupportedAlgorithms,
    known: certificate::Known,
}

impl TlsClient {
    /// Prepares a client: ring, TLS 1.2 and 1.3, no resumption, so that every handshake is whole.
    pub fn new(stores: RootStores) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let recorder = Arc::new(Recorder::new(algorithms));
        let mut base = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
            .with_client_cert_resolver(recorder);
        base.resumption = Resumption::disabled();
        Ok(Self { stores, base, algorithms, known: certificate::Known::default() })
    }

    /// Makes one handshake. The session comes back only if it was established over a trusted chain.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        host: &Host,
        alpn: Alpn,
        limit: Duration,
    ) -> (TlsObservation, Option<Session>) {
        let name = match server_name(host) {
            Ok(name) => name,
            Err(failure) => return (failed(failure), None),
        };
        let recorder = Arc::new(Recorder::new(self.algorithms));
        let connector = TlsConnector::from(Arc::new(self.config(&recorder, alpn)));
        let (elapsed, result) = run(connector, name.clone(), stream, &recorder, limit).await;

        let (chain, trust) = self.examine(&recorder, &name);
        let trusted = trust.as_ref().map(Trust::effective) == Some(&TrustResult::Trusted);
        let (outcome, session) = match result {
            Err(failure) => (TlsOutcome::Failed(failure), None),
            Ok(session) => (established(&session), Some(session).filter(|_| trusted)),
        };
        let client_certificate_asked = recorder.asked();
        (TlsObservation { elapsed, chain, trust, client_certificate_asked, outcome }, session)
    }

    fn config(&self, recorder: &Arc<Recorder>, alpn: Alpn) -> ClientConfig {
        let mut config = self.base.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(recorder) as _);
        config.client_auth_cert_resolver = Arc::clone(recorder) as _;
        config.alpn_protocols = match alpn {
            Alpn::None => Vec::new(),
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
        };
        config
    }

    /// Reads the facts of the recorded chain, up to the first certificate that cannot be read, and
    /// judges all of it.
    fn examine(
        &self,
        recorder: &Recorder,
        name: &ServerName<'static>,
    ) -> (Vec<Arc<CertificateFacts>>, Option<Trust>) {
        let Some(Seen { chain, at }) = recorder.seen.get() else {
            return (Vec::new(), None);
        };
        let parsed: Vec<_> = chain.iter().map_while(|der| certificate::parse(der).ok()).collect();
        let kept = parsed.iter().take(limits::CHAIN_CERTIFICATES);
        let facts = kept.map(|certificate| self.known.facts(certificate)).collect();
        let presented = Presented { chain, parsed: &parsed, name, at: *at };
        (facts, Some(self.stores.judge(&presented)))
    }
}

/// The name to ask for; an address is not sent (RFC 6066 section 3) but is still verified.
fn server_name(host: &Host) -> Result<ServerName<'static>, TlsFailure> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| {
            TlsFailure::Protocol("this name cannot be sent as a TLS server name".to_owned())
        }),
    }
}

fn failed(failure: TlsFailure) -> TlsObservation {
    TlsObservation {
        elapsed: Elapsed::default(),
        chain: Vec::new(),
        trust: None,
        client_certificate_asked: false,
        outcome: TlsOutcome::Failed(failure),
    }
}

fn established(session: &Session) -> TlsOutcome {
    let (_, connection) = session.get_ref();
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    let name = suite.and_then(|suite| suite.as_str()).unwrap_or("unknown");
    TlsOutcome::Established {
        version: version.to_owned(),
        // The library writes `TLS13_` where the registry writes `TLS_`.
        cipher: name.replacen("TLS13_", "TLS_", 1),
        then: None,
    }
}

async fn run(
    connector: TlsConnector,
    name: ServerName<'static>,
    stream: TcpStream,
    recorder: &Recorder,
    limit: Duration,
) -> (Elapsed, Result<Session, TlsFailure>) {
    let start = Instant::now();
    let deadline = start + limit;
    let stream = Watched::new(stream);
    let heard = stream.heard();
    let connected = timeout_at(deadline, connector.connect(name, stream).into_fallible()).await;
    let elapsed = Elapsed(start.elapsed());
    let error = match connected {
        Err(_) => io::Error::from(io::ErrorKind::TimedOut),
        Ok(Err((error, mut stream))) => {
            if heard.total() == 0 && failure::is_reset(&error) {
                // The reset met our own writing; what the peer said before it may still be there.
                let _ = timeout_at(deadline, stream.read(&mut [0; limits::OPENING_BYTES])).await;
            }
            error
        }
        Ok(Ok(mut session)) => {
            let until =
                deadline.min(Instant::now() + limits::CLIENT_CERTIFICATE_WAIT + 2 * elapsed.0);
            match refusal(&mut session, recorder, &heard, until).await {
                None => return (elapsed, Ok(session)),
                Some(error) => error,
            }
        }
    };
    (Elapsed(start.elapsed()), Err(failure::classify(&error, &heard)))
}

/// Waits for a server to refuse a client without a certificate. Under TLS 1.3 it does so only after
/// the handshake; one that goes on sends something else first, or nothing.
async fn refusal(
    session: &mut Session,
    recorder: &Recorder,
    heard: &Heard,
    until: Instant,
) -> Option<io::Error> {
    let version = session.get_ref().1.protocol_version();
    if !recorder.asked() || version != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let before = heard.total();
    // Filling the buffer takes nothing out of it, so that a greeting would still be read later.
    let first = poll_fn(|cx| match Pin::new(&mut *session).poll_fill_buf(cx) {
        Poll::Ready(Ok([])) => Poll::Ready(Some(io::Error::from(io::ErrorKind::UnexpectedEof))),
        Poll::Ready(filled) => Poll::Ready(filled.err()),
        // A session ticket: the server is content.
        Poll::Pending if heard.total() > before => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    timeout_at(until, first).await.unwrap_or_default()
}

/// Takes a chain down as the server sent it and accepts it; notes a request for a client
/// certificate and gives none.
#[derive(Debug)]
struct Recorder {
    algorithms: WebPkiSupportedAlgorithms,
    seen: OnceLock<Seen>,
    asked: AtomicBool,
}

/// A chain and the moment it was shown. The TLS library bounds a chain to 64 KiB.
#[derive(Debug)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    at: UnixTime,
}

impl Recorder {
    fn new(algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { algorithms, seen: OnceLock::new(), asked: AtomicBool::new(false) }
    }

    fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let chain = all.map(|der| der.clone().into_owned()).collect();
        // There is one chain per handshake; the first would count.
        let _ = self.seen.set(Seen { chain, at: now });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
