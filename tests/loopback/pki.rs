//! Certificate authorities, certificates and TLS servers of every kind.
//!
//! Every authority has a distinguished name of its own: with a shared one, verifiers stumble over
//! the signature before they notice that the issuer is another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use vnetprobe::model::Host;
use vnetprobe::observation::TlsObservation;
use vnetprobe::probe::tls::{Alpn, Session, TlsClient};
use vnetprobe::probe::trust::RootStores;

use crate::world::{PLENTY, connect, serve};

/// The host every good certificate here is for.
pub(crate) const HOST: &str = "files.contoso.test";
/// An RSA key made for these tests: ring signs with RSA but makes no keys.
pub(crate) const RSA_KEY: &str = include_str!("rsa-test-key.pem");

/// A root, and an intermediate below it that signs certificates.
pub(crate) struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// A chain, and its leaf's key and PEM form.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
    pub(crate) pem: String,
}

/// Parameters of a certificate with this subject and these names.
pub(crate) fn params(subject: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

/// Parameters of the good server certificate.
pub(crate) fn server() -> CertificateParams {
    params("Contoso Files", &[HOST, "*.contoso.test", "127.0.0.1"])
}

pub(crate) fn ca(name: &str) -> CertificateParams {
    let mut ca = params(name, &[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(ca(&format!("{name} Root")), key()).unwrap();
        let below = ca(&format!("{name} Issuing"));
        let intermediate = CertifiedIssuer::signed_by(below, key(), &root).unwrap();
        Self { root, intermediate }
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.root.pem()
    }

    /// A certificate with the intermediate behind it.
    pub(crate) fn issue(&self, params: &CertificateParams) -> Identity {
        self.issue_for(params, KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_for(&self, params: &CertificateParams, key: KeyPair) -> Identity {
        let leaf = params.signed_by(&key, &self.intermediate).unwrap();
        let chain = vec![leaf.der().clone(), self.intermediate.der().clone()];
        Identity { chain, key, pem: leaf.pem() }
    }
}

/// A certificate signed by its own key.
pub(crate) fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], key, pem: certificate.pem() }
}

/// The extension that says where the issuer's certificate is (RFC 5280 section 4.2.2.1).
pub(crate) fn issuer_at(url: &str) -> CustomExtension {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let mut entry = vec![0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, length(url.as_bytes())];
    entry.extend(url.as_bytes());
    let mut content = vec![0x30, length(&entry) + 2, 0x30, length(&entry)];
    content.extend(entry);
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// Whether a server asks for a client's certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    Any,
    /// Asked for a certificate and let in without one.
    Asked,
    /// Refused without one.
    Known,
}

/// A TLS server that greets, echoes what it hears, and can be asked to be choosy.
pub(crate) async fn listen(
    identity: Identity,
    version: &'static SupportedProtocolVersion,
    clients: Clients,
) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(Authority::new("Clients").root()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match clients {
        Clients::Any => builder.with_no_client_auth(),
        Clients::Asked => {
            let verifier = verifier.allow_unauthenticated().build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        Clients::Known => builder.with_client_cert_verifier(verifier.build().unwrap()),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = builder.with_single_cert(identity.chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut session) = acceptor.accept(stream).await else { return };
            let mut bytes = vec![0; 4096];
            while let Ok(length @ 1..) = session.read(&mut bytes).await {
                let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                if !bytes[..length].starts_with(b"GET ") || session.write_all(reply).await.is_err()
                {
                    return;
                }
            }
        }
    })
    .await
}

/// A server for any client that speaks TLS 1.3.
pub(crate) async fn listen_13(identity: Identity) -> SocketAddr {
    listen(identity, &TLS13, Clients::Any).await
}

/// A server for any client that speaks TLS 1.2.
pub(crate) async fn listen_12(identity: Identity) -> SocketAddr {
    listen(identity, &TLS12, Clients::Any).await
}

/// A client that trusts these authorities besides what the machine does.
pub(crate) fn client(pem: &[String]) -> Arc<TlsClient> {
    let files: Vec<_> = (0..)
        .zip(pem)
        .map(|(n, pem)| (PathBuf::from(format!("ca-{n}.pem")), pem.clone().into_bytes()))
        .collect();
    Arc::new(TlsClient::new(RootStores::load(&files).unwrap().0).unwrap())
}

/// One handshake, with time enough.
pub(crate) async fn shake(
    client: &TlsClient,
    address: SocketAddr,
    host: &str,
) -> (TlsObservation, Option<Session>) {
    let host = Host::parse(host).unwrap();
    client.handshake(connect(address).await, &host, Alpn::None, PLENTY).await
}
