//! What each root store says of a chain.
//!
//! One chain is judged by three stores, because the difference between them is the diagnosis: what
//! only the host trusts comes from TLS inspection, what only Mozilla trusts from an old machine.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};
use x509_parser::certificate::X509Certificate;

use super::certificate;
use crate::model::printable;
use crate::observation::{Trust, TrustResult};

/// The root stores, read once.
#[derive(Debug)]
pub struct RootStores {
    host: RootCertStore,
    configured: Option<RootCertStore>,
    mozilla: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

/// One chain to judge, and for which host and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    /// As sent, leaf first.
    pub(super) chain: &'a [CertificateDer<'a>],
    /// The same certificates parsed, up to the first that cannot be.
    pub(super) parsed: &'a [X509Certificate<'a>],
    /// The host that was asked for.
    pub(super) name: &'a ServerName<'static>,
    /// The time of the handshake.
    pub(super) at: UnixTime,
}

impl RootStores {
    /// Reads the host's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected) and the given CA
    /// files. The notes tell what of the host's store could not be read, which is no error: a
    /// machine without one is worth probing from, too.
    pub fn load(ca_files: &[(PathBuf, Vec<u8>)]) -> Result<(Self, Vec<String>), String> {
        let native = rustls_native_certs::load_native_certs();
        let partly = "failed to read a part of this machine's trust store";
        let mut notes: Vec<String> = native
            .errors
            .iter()
            .map(|error| format!("{partly}: {}", printable(&error.to_string())))
            .collect();
        let mut host = RootCertStore::empty();
        let (_, ignored) = host.add_parsable_certificates(native.certs);
        if ignored > 0 {
            notes.push(format!("{partly}: {ignored} certificates are unusable"));
        }
        if host.is_empty() {
            // A scratch image, for example.
            notes.push(
                "this machine has no trust store: certificates are judged by tls.ca_files and Mozilla's roots"
                    .to_owned(),
            );
        }
        let mut configured = (!ca_files.is_empty()).then(RootCertStore::empty);
        if let Some(store) = &mut configured {
            for (path, pem) in ca_files {
                add_file(store, path, pem)?;
            }
        }
        let mozilla = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Ok((Self { host, configured, mozilla, algorithms }, notes))
    }

    /// Judges a chain by every store.
    ///
    /// Only roots that some certificate of the chain names as its issuer can matter, and for a
    /// public chain these are the same in every store: then one verification speaks for all.
    pub(super) fn judge<'s>(&'s self, presented: &Presented<'_>) -> Trust {
        let mut judged: Vec<(Vec<&'s TrustAnchor<'static>>, TrustResult)> = Vec::new();
        let mut by = |store: &'s RootCertStore| {
            if store.is_empty() {
                return TrustResult::EmptyStore;
            }
            let roots = presented.roots_in(store);
            if let Some((_, result)) = judged.iter().find(|(seen, _)| *seen == roots) {
                return result.clone();
            }
            let result = self.verify(presented, store, &roots);
            judged.push((roots, result.clone()));
            result
        };
        Trust {
            host: by(&self.host),
            configured: self.configured.as_ref().map(&mut by),
            mozilla: by(&self.mozilla),
        }
    }

    fn verify(
        &self,
        presented: &Presented<'_>,
        store: &RootCertStore,
        roots: &[&TrustAnchor<'static>],
    ) -> TrustResult {
        let all_parsed = presented.parsed.len() == presented.chain.len();
        let Some((leaf, intermediates)) = presented.chain.split_first() else {
            return TrustResult::UnknownIssuer;
        };
        // The verifier would look at dates and extensions first, and an expired certificate that
        // the peer sent besides would hide that no path leads to this store at all.
        if all_parsed && roots.is_empty() {
            return TrustResult::UnknownIssuer;
        }
        let leaf = match ParsedCertificate::try_from(leaf) {
            Ok(leaf) => leaf,
            Err(error) => return result(&error),
        };
        let path = verify_server_cert_signed_by_trust_anchor(
            &leaf,
            store,
            intermediates,
            presented.at,
            self.algorithms.all,
        );
        let path = match path {
            Err(error) if is_ca_as_leaf(&error) && presented.leaf_is_self_issued() => {
                if !presented.leaf_is_one_of(roots) {
                    return TrustResult::UnknownIssuer;
                }
                Ok(())
            }
            path => path,
        };
        match path.and_then(|()| verify_server_name(&leaf, presented.name)) {
            Ok(()) => TrustResult::Trusted,
            Err(error) => result(&error),
        }
    }
}

impl Presented<'_> {
    /// Roots that some certificate of the chain names as its issuer. A root's name comes without
    /// the tag and length that the certificate's has in front.
    fn roots_in<'s>(&self, store: &'s RootCertStore) -> Vec<&'s TrustAnchor<'static>> {
        let named = |root: &&TrustAnchor<'static>| {
            self.parsed.iter().any(|c| c.issuer().as_raw().ends_with(&root.subject))
        };
        store.roots.iter().filter(named).collect()
    }

    fn leaf_is_self_issued(&self) -> bool {
        self.parsed.first().is_some_and(certificate::self_issued)
    }

    /// Whether the leaf itself is in the store: `openssl req -x509` makes such certificates, marked
    /// as a CA, and programs accept them as a server's when they are told to trust them.
    fn leaf_is_one_of(&self, roots: &[&TrustAnchor<'static>]) -> bool {
        self.parsed.first().is_some_and(|leaf| {
            roots.iter().any(|root| {
                leaf.subject().as_raw().ends_with(&root.subject)
                    && leaf.public_key().raw.ends_with(&root.subject_public_key_info)
            })
        })
    }
}

/// The verifier refuses a CA's certificate as a server's before it looks for an issuer. Its error
/// has no variant of its own here, only a name.
fn is_ca_as_leaf(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("{:?}", other.0) == "CaUsedAsEndEntity"
        }
        _ => false,
    }
}

fn result(error: &Error) -> TrustResult {
    use CertificateError as E;
    let Error::InvalidCertificate(error) = error else {
        return TrustResult::Other(printable(&error.to_string()));
    };
    match error {
        E::Expired | E::ExpiredContext { .. } => TrustResult::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => TrustResult::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => TrustResult::WrongName,
        // A root of the same name and another key: "bad signature" to the verifier, and to people
        // simply a root that this store does not have.
        E::UnknownIssuer | E::BadSignature => TrustResult::UnknownIssuer,
        other => TrustResult::Other(printable(&other.to_string())),
    }
}

/// Adds the certificates of one CA file; the error names the file, the reason and the remedy.
fn add_file(store: &mut RootCertStore, path: &Path, pem: &[u8]) -> Result<(), String> {
    let before = store.len();
    let broken =
        |reason: &str, remedy: &str| Err(format!("CA file {}: {reason}; {remedy}", path.display()));
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|der| store.add(der).map_err(|error| error.to_string()));
        if let Err(error) = added {
            let reason = format!("certificate {number} cannot be read ({})", printable(&error));
            return broken(&reason, "export the CA certificate again as PEM (Base64)");
        }
    }
    if store.len() > before {
        return Ok(());
    }
    // DER begins with the tag of a SEQUENCE.
    if pem.first() == Some(&0x30) {
        let convert = "convert it with `openssl x509 -inform der -in FILE -out FILE.pem`";
        return broken("it is in the binary form DER", convert);
    }
    broken(
        "it holds no certificate",
        "give a PEM file with `-----BEGIN CERTIFICATE-----` in it, or remove it from ca_files",
    )
}
