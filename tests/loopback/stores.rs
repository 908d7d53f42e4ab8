//! CA files, and the facts of certificates.

use std::path::PathBuf;

use rcgen::{DnType, date_time_ymd};
use vnetprobe::limits;
use vnetprobe::probe::certificate;
use vnetprobe::probe::trust::RootStores;

use crate::pki::{Authority, HOST, RSA_KEY, params, self_signed};

/// Made with `openssl req -x509`.
const OPENSSL: &str = include_str!("openssl-self-signed.pem");

fn refusal(file: &[u8]) -> String {
    let good = (PathBuf::from("good.pem"), Authority::new("Store").pem().into_bytes());
    RootStores::load(&[good, (PathBuf::from("lab/ca.pem"), file.to_vec())]).unwrap_err()
}

#[test]
fn a_ca_file_without_a_certificate_is_an_error_with_its_name_reason_and_remedy() {
    for (file, reason, remedy) in [
        (&b""[..], "holds no certificate", "PEM"),
        (b"hello", "holds no certificate", "ca_files"),
        (RSA_KEY.as_bytes(), "holds no certificate", "ca_files"),
        (&Authority::new("Binary").root(), "DER", "openssl x509 -inform der"),
    ] {
        let error = refusal(file);
        assert!(error.starts_with("CA file lab/ca.pem: "), "{error}");
        assert!(error.contains(reason) && error.contains(remedy), "{error}");
    }
}

#[test]
fn a_broken_certificate_in_a_ca_file_is_an_error_with_its_number() {
    let second_is_cut = OPENSSL.to_owned() + &OPENSSL.replace("-----END CERTIFICATE-----", "");
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, number) in [
        (second_is_cut.as_str(), "certificate 2"),
        (not_base64, "certificate 1"),
        (not_a_certificate, "certificate 1"),
    ] {
        let error = refusal(file.as_bytes());
        assert!(error.contains(number) && error.contains("export"), "{error}");
    }
}

#[test]
fn several_certificates_and_files_are_read() {
    let bundle = OPENSSL.to_owned() + "# a comment\n" + &Authority::new("Bundle").pem();
    let files = [
        (PathBuf::from("bundle.pem"), bundle.into_bytes()),
        (PathBuf::from("windows.pem"), OPENSSL.replace('\n', "\r\n").into_bytes()),
    ];
    assert!(RootStores::load(&files).is_ok());
    assert!(RootStores::load(&[]).is_ok());
}

#[test]
fn facts_of_a_certificate_that_openssl_made() {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_slice(OPENSSL.as_bytes()).unwrap();
    let facts = certificate::facts(&der).unwrap();
    assert_eq!(facts.subject, "O=Contoso Lab, CN=files.contoso.test");
    assert_eq!(facts.issuer, facts.subject);
    assert!(facts.self_signed);
    assert_eq!(facts.names, ["files.contoso.test", "10.0.0.4"]);
    // As `openssl x509 -fingerprint -sha256` shows it.
    assert_eq!(facts.sha256, "4ee5efcaddb49bf57005cd8e949926808f20985dd32f987884dc182312491a3d");
    assert_eq!(facts.not_before.to_string(), "2026-11-23T05:53:08Z");
    assert_eq!(facts.issuer_url, None);
}

#[test]
fn thousands_of_names_are_counted_and_not_kept() {
    let names: Vec<String> = (0..4000).map(|n| format!("host-{n}.contoso.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let facts = certificate::facts(&self_signed(&params("Many", &names)).chain[0]).unwrap();
    assert_eq!(facts.names.len(), limits::CERTIFICATE_NAMES);
    assert_eq!(facts.names[1], "host-1.contoso.test");
    assert_eq!(facts.names.len() + facts.more_names, 4000);
}

#[test]
fn a_certificate_without_end_ends_as_late_as_can_be_told() {
    let mut endless = params("Endless", &[HOST]);
    endless.not_before = date_time_ymd(1950, 1, 1);
    endless.not_after = date_time_ymd(9999, 12, 31);
    let facts = certificate::facts(&self_signed(&endless).chain[0]).unwrap();
    assert_eq!(facts.not_before.to_string(), "1950-01-01T00:00:00Z");
    assert_eq!(facts.not_after, jiff::Timestamp::MAX);
}

#[test]
fn one_name_and_another_key_is_not_self_signed() {
    let authority = Authority::new("Same");
    let mut named_like_its_issuer = params("Same Issuing", &[HOST]);
    named_like_its_issuer.use_authority_key_identifier_extension = true;
    named_like_its_issuer.is_ca = rcgen::IsCa::ExplicitNoCa;
    let issued = authority.issue(&named_like_its_issuer);
    let facts = certificate::facts(&issued.chain[0]).unwrap();
    assert_eq!(facts.subject, facts.issuer);
    assert!(!facts.self_signed);
    assert!(certificate::facts(&authority.root()).unwrap().self_signed);
}

#[test]
fn certificates_larger_than_the_limit_are_not_read() {
    let mut large = params("Large", &[HOST]);
    large.distinguished_name.push(DnType::OrganizationName, "x".repeat(limits::CERTIFICATE_BYTES));
    let error = certificate::facts(&self_signed(&large).chain[0]).unwrap_err();
    assert!(error.contains("bytes"), "{error}");
}
