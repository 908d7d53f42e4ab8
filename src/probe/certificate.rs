//! Facts of one certificate, read for people; whether it is good is decided in [`super::trust`].
//!
//! Certificates come from strangers: every text is made printable and bounded, lists are bounded,
//! dates outside what a timestamp can hold become the nearest one it can.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::Timestamp;
use ring::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{
    AuthorityInfoAccess, AuthorityKeyIdentifier, GeneralName, KeyIdentifier, SubjectAlternativeName,
};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{
    OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS, OID_PKIX_AUTHORITY_INFO_ACCESS,
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::prelude::FromDer;

use crate::limits;
use crate::model::printable;
use crate::observation::CertificateFacts;

type Sha256 = [u8; SHA256_OUTPUT_LEN];

/// Reads the facts of a certificate; an error says why it cannot be read.
pub fn facts(der: &[u8]) -> Result<CertificateFacts, String> {
    parse(der).map(|certificate| facts_of(&certificate, sha256(certificate.as_raw())))
}

/// Certificates that some observation holds, by their SHA-256: what thousands of hosts or rounds
/// show is read and kept once. Those that none holds any more go when they may be half of them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    by_digest: HashMap<Sha256, Weak<CertificateFacts>>,
    /// Of how many certificates the unused ones go.
    sweep_at: usize,
}

impl Known {
    /// The facts of a parsed certificate.
    pub(super) fn facts(&self, certificate: &X509Certificate<'_>) -> Arc<CertificateFacts> {
        let digest = sha256(certificate.as_raw());
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { by_digest: known, sweep_at } = &mut *shown;
        if let Some(facts) = known.get(&digest).and_then(Weak::upgrade) {
            return facts;
        }
        let facts = Arc::new(facts_of(certificate, digest));
        if known.len() >= *sweep_at {
            known.retain(|_, facts| facts.strong_count() > 0);
            if known.len() > limits::KNOWN_CERTIFICATES / 2 {
                // Or every further one would look through all of them.
                known.clear();
            }
            *sweep_at = limits::KNOWN_CERTIFICATES_SWEPT.max(2 * known.len());
        }
        known.insert(digest, Arc::downgrade(&facts));
        facts
    }
}

/// Parses a certificate as far as its fields; extensions are looked into one by one where they are
/// needed, so that an odd one does no harm.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    if der.len() > limits::CERTIFICATE_BYTES {
        return Err(format!("it has {} bytes", der.len()));
    }
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(printable(&error.to_string())),
    }
}

/// Reads the facts of a parsed certificate.
fn facts_of(certificate: &X509Certificate<'_>, digest: Sha256) -> CertificateFacts {
    let (names, more_names) = names(certificate);
    CertificateFacts {
        subject: printable(&certificate.subject().to_string()),
        issuer: printable(&certificate.issuer().to_string()),
        names,
        more_names,
        not_before: timestamp(certificate.validity().not_before.timestamp()),
        not_after: timestamp(certificate.validity().not_after.timestamp()),
        self_signed: self_issued(certificate),
        sha256: hex(&digest),
        issuer_url: issuer_url(certificate),
    }
}

/// Whether a certificate was issued by itself, told by its names and key identifiers. Its signature
/// is not checked: nothing is trusted because of this.
pub(super) fn self_issued(certificate: &X509Certificate<'_>) -> bool {
    let subject_key =
        extension::<KeyIdentifier<'_>>(certificate, &OID_X509_EXT_SUBJECT_KEY_IDENTIFIER);
    let issuer_key = extension::<AuthorityKeyIdentifier<'_>>(
        certificate,
        &OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    )
    .and_then(|authority| authority.key_identifier);
    let other_key = matches!((subject_key, issuer_key), (Some(own), Some(other)) if own != other);
    certificate.subject().as_raw() == certificate.issuer().as_raw() && !other_key
}

/// The first extension of this kind that can be read.
fn extension<'a, T>(certificate: &X509Certificate<'a>, oid: &Oid<'_>) -> Option<T>
where
    T: FromDer<'a, x509_parser::error::X509Error>,
{
    let found = certificate.iter_extensions().find(|extension| extension.oid == *oid)?;
    T::from_der(found.value).ok().map(|(_, value)| value)
}

/// DNS names and addresses, bounded, and how many more there are.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, usize) {
    let alternative =
        extension::<SubjectAlternativeName<'_>>(certificate, &OID_X509_EXT_SUBJECT_ALT_NAME);
    let all = alternative.map(|found| found.general_names).unwrap_or_default();
    let mut hosts = all.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(octets) => address(octets).map(|ip| ip.to_string()),
        _ => None,
    });
    let kept = hosts.by_ref().take(limits::CERTIFICATE_NAMES).collect();
    (kept, hosts.count())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Where the issuer's certificate can be fetched (RFC 5280 section 4.2.2.1).
fn issuer_url(certificate: &X509Certificate<'_>) -> Option<String> {
    let access =
        extension::<AuthorityInfoAccess<'_>>(certificate, &OID_PKIX_AUTHORITY_INFO_ACCESS)?;
    access.accessdescs.iter().find_map(|entry| match entry.access_location {
        GeneralName::URI(url) if entry.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS => {
            Some(printable(url))
        }
        _ => None,
    })
}

/// A date of a certificate. "No end" is written as the last second of the year 9999 (RFC 5280
/// section 4.1.2.5), which is past what a [`Timestamp`] can hold.
fn timestamp(second: i64) -> Timestamp {
    let nearest = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(second).unwrap_or(nearest)
}

fn sha256(der: &[u8]) -> Sha256 {
    let mut digest = [0; SHA256_OUTPUT_LEN];
    digest.copy_from_slice(digest::digest(&SHA256, der).as_ref());
    digest
}

fn hex(digest: &Sha256) -> String {
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(number: usize) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![format!("h{number}.example")]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_kept_once_and_as_long_as_somebody_holds_it() {
        let known = Known::default();
        let (one, other) = (der(1), der(2));
        let read = |der: &[u8]| known.facts(&parse(der).unwrap());
        let first = read(&one);
        assert_eq!(*first, facts(&one).unwrap());
        assert!(Arc::ptr_eq(&first, &read(&one)));
        assert_eq!(read(&other).names, ["h2.example"]);
        let weak = Arc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none(), "nobody holds it");
        assert_eq!(*read(&one), facts(&one).unwrap());
    }

    #[test]
    fn certificates_that_are_always_new_do_not_pile_up() {
        let digest = |number: usize| {
            let mut digest = [0; SHA256_OUTPUT_LEN];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            digest
        };
        let shown = der(1);
        let facts = Arc::new(facts(&shown).unwrap());
        let (unused, used) = (Weak::new(), Arc::downgrade(&facts));
        let (few, most) = (limits::KNOWN_CERTIFICATES_SWEPT, limits::KNOWN_CERTIFICATES);
        for (held, before, after, sweep_at) in [
            (&unused, few, 1, few),
            (&used, few, few + 1, 2 * few),
            (&used, most / 2, most / 2 + 1, most),
            // All of the most there may be: it begins anew.
            (&used, most, 1, few),
        ] {
            let by_digest = (0..before).map(|number| (digest(number), held.clone())).collect();
            let known = Known(Mutex::new(Shown { by_digest, sweep_at: before }));
            known.facts(&parse(&shown).unwrap());
            let left = known.0.lock().unwrap();
            assert_eq!((left.by_digest.len(), left.sweep_at), (after, sweep_at));
        }
    }
}
