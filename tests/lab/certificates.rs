//! Certificates of the lab: one root, one intermediate, one leaf per host, good or bad.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::world::Form;

const DAY: Duration = Duration::from_hours(24);

/// Who signs, and what clients are told to trust.
pub(crate) struct Authority {
    /// The root certificate in PEM.
    pub(crate) root_pem: String,
    intermediate_pem: String,
    intermediate: Issuer<'static, KeyPair>,
    expired_pem: String,
    expired: Issuer<'static, KeyPair>,
    inspector_key: String,
    /// The root of a firewall that inspects, in PEM.
    pub(crate) inspector_pem: String,
    stranger_pem: String,
    stranger: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    now: Duration,
}

impl Authority {
    /// New keys and certificates, valid around now.
    pub(crate) fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        // Each has a distinguished name of its own: equal names make verifiers compare keys of
        // unrelated certificates and complain about the wrong thing.
        let (root_pem, top) = root("vnetprobe lab root", now)?;
        let (stranger_pem, stranger) = root("an unknown root", now)?;
        let key = KeyPair::generate()?;
        let params = authority("vnetprobe lab intermediate", now);
        let intermediate_pem = params.signed_by(&key, &top)?.pem();
        let intermediate = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let mut params = authority("vnetprobe lab expired intermediate", now);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(10 * DAY);
        let expired_pem = params.signed_by(&key, &top)?.pem();
        let expired = Issuer::new(params, key);
        let inspector = KeyPair::generate()?;
        let inspector_pem = authority("Contoso TLS inspection", now).self_signed(&inspector)?.pem();
        Ok(Self {
            root_pem,
            intermediate_pem,
            intermediate,
            expired_pem,
            expired,
            inspector_key: inspector.serialize_pem(),
            inspector_pem,
            stranger_pem,
            stranger,
            leaf_key: KeyPair::generate()?,
            now,
        })
    }

    /// What a firewall that inspects signs with: certificate and key, in PEM.
    pub(crate) fn inspector(&self) -> String {
        format!("{}{}", self.inspector_pem, self.inspector_key)
    }

    /// One chain for many hosts, and its key, in PEM.
    pub(crate) fn shared_pem(&self, hosts: Vec<String>) -> Result<String> {
        let params = CertificateParams::new(hosts)?;
        let leaf = params.signed_by(&self.leaf_key, &self.intermediate)?.pem();
        Ok(format!("{leaf}{}{}", self.intermediate_pem, self.key_pem()))
    }

    /// The private key of every leaf, in PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.leaf_key.serialize_pem()
    }

    /// The chain a server sends for a host, leaf first, in PEM.
    pub(crate) fn chain_pem(&self, host: &str, form: Option<Form>) -> Result<String> {
        let name = if form == Some(Form::OtherName) { "other.invalid" } else { host };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        // A common name is at most 64 characters long (X.520); the names that count are in the SAN.
        params.distinguished_name.push(DnType::CommonName, name.get(..64).unwrap_or(name));
        params.distinguished_name.push(DnType::OrganizationName, "vnetprobe lab");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (from, to) = match form {
            Some(Form::Expired) => {
                (self.now.saturating_sub(100 * DAY), self.now.saturating_sub(10 * DAY))
            }
            Some(Form::Expiring) => (self.now.saturating_sub(DAY), self.now + 3 * DAY + DAY / 2),
            Some(Form::NotYetValid) => (self.now + 10 * DAY, self.now + 100 * DAY),
            _ => (self.now.saturating_sub(DAY), self.now + 90 * DAY),
        };
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + from;
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + to;
        match form {
            Some(Form::SelfSigned) => return Ok(params.self_signed(&self.leaf_key)?.pem()),
            Some(Form::UnknownRoot) => {
                let leaf = params.signed_by(&self.leaf_key, &self.stranger)?.pem();
                return Ok(format!("{leaf}{}", self.stranger_pem));
            }
            _ => {}
        }
        params.custom_extensions = vec![issuer_address("http://cacerts.example/lab.crt")?];
        if form == Some(Form::ExpiredIntermediate) {
            let leaf = params.signed_by(&self.leaf_key, &self.expired)?.pem();
            return Ok(format!("{leaf}{}", self.expired_pem));
        }
        let leaf = params.signed_by(&self.leaf_key, &self.intermediate)?.pem();
        Ok(match form {
            Some(Form::NoIntermediate) => leaf,
            _ => format!("{leaf}{}", self.intermediate_pem),
        })
    }
}

/// Says where the issuer's certificate can be fetched, as public certificates do (RFC 5280,
/// section 4.2.2.1): SEQUENCE { SEQUENCE { OID caIssuers, [6] URI } }.
fn issuer_address(uri: &str) -> Result<CustomExtension> {
    const CA_ISSUERS: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let tagged = |tag: u8, content: &[u8]| -> Result<Vec<u8>> {
        let length = u8::try_from(content.len()).ok().filter(|length| *length < 128);
        let length = length.context("a long DER length is not needed here")?;
        Ok([&[tag, length], content].concat())
    };
    let description = [&CA_ISSUERS[..], &tagged(0x86, uri.as_bytes())?].concat();
    let der = tagged(0x30, &tagged(0x30, &description)?)?;
    Ok(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], der))
}

fn root(name: &str, now: Duration) -> Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate()?;
    let params = authority(name, now);
    let pem = params.self_signed(&key)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn authority(name: &str, now: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "vnetprobe lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(400 * DAY);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + 400 * DAY);
    params
}
