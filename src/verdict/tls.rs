//! Judges a TLS handshake and the certificate it showed.

use std::sync::Arc;

use super::addresses::At;
use super::{Fault, Warning, application, followups};
use crate::cause::Cause;
use crate::finding::Culprit;
use crate::limits;
use crate::model::{Blame, Host, authority};
use crate::observation::{CertificateFacts, TlsFailure, TlsObservation, TlsOutcome, TrustResult};

/// `certificate_required` (RFC 8446 section 6).
const ALERT_CERTIFICATE_REQUIRED: u8 = 116;

/// Judges a handshake: its failure, else its certificate, else what came after it.
pub(super) fn judge(at: &At<'_>, tls: &TlsObservation) -> (Option<Fault>, Vec<Warning>) {
    match &tls.outcome {
        TlsOutcome::Failed(failure) => (Some(failed(at, tls, failure)), Vec::new()),
        TlsOutcome::Established { then, .. } => {
            let fault = certificate(at, tls)
                .or_else(|| then.as_ref().and_then(|http| application::http(at, http)));
            (fault, warnings(at, tls))
        }
    }
}

fn failed(at: &At<'_>, tls: &TlsObservation, failure: &TlsFailure) -> Fault {
    let place = at.place();
    let (cause, summary) = match failure {
        TlsFailure::Timeout => return followups::unanswered(at, tls),
        // Before TLS 1.3 a missing client certificate has no alert of its own.
        TlsFailure::Alert { code: ALERT_CERTIFICATE_REQUIRED, .. } => client_certificate(&place),
        TlsFailure::Alert { code: 40 | 42 | 46, .. }
        | TlsFailure::Closed { .. }
        | TlsFailure::Reset { .. }
            if tls.client_certificate_asked =>
        {
            client_certificate(&place)
        }
        TlsFailure::Closed { heard: false } => return followups::cut(at, tls, "closed"),
        TlsFailure::Reset { heard: false } => return followups::cut(at, tls, "reset"),
        TlsFailure::Closed { heard: true } | TlsFailure::Reset { heard: true } => (
            Cause::TlsClosed,
            format!(
                "{place} began a TLS handshake and ended the connection in the middle of it; ask the firewall team whether it inspects TLS, then the service's owner."
            ),
        ),
        TlsFailure::Alert { code, name } => alert(&place, &at.check.target.host, *code, name),
        TlsFailure::NotTls(bytes) => return followups::not_tls(at, bytes),
        TlsFailure::NothingInCommon(why) => (
            Cause::TlsVersionUnsupported,
            format!(
                "{place} and vnetprobe have no TLS version or cipher in common ({why}); ask its owner to enable TLS 1.2 with modern ciphers."
            ),
        ),
        TlsFailure::Protocol(why) => (
            Cause::NotTls,
            format!(
                "{place} broke the TLS protocol ({why}); ask the firewall team whether something on the way alters TLS."
            ),
        ),
    };
    let culprit = match cause.info().blame {
        Blame::Path => at.path(),
        _ => Culprit::Service(authority(&at.check.target.host, at.port)),
    };
    Fault::new(cause, culprit, summary)
}

fn client_certificate(place: &str) -> (Cause, String) {
    let summary = format!(
        "{place} demands a client certificate; the name may lead to something other than the service, so check DNS and proxies."
    );
    (Cause::TlsClientCertificateRequired, summary)
}

/// A fatal alert (RFC 8446 section 6.2, RFC 6066 section 3).
fn alert(place: &str, host: &Host, code: u8, name: &str) -> (Cause, String) {
    match code {
        112 => (
            Cause::TlsUnrecognizedName,
            format!(
                "{place} does not serve the name {host} (TLS alert unrecognized_name); check that DNS leads to the right address."
            ),
        ),
        70 => (
            Cause::TlsVersionUnsupported,
            format!(
                "{place} speaks only TLS versions older than 1.2 (TLS alert protocol_version); ask its owner to enable TLS 1.2."
            ),
        ),
        _ => (
            Cause::TlsAlert,
            format!(
                "{place} ended the TLS handshake with alert {name} ({code}); ask the service's owner, or the firewall team if it inspects TLS."
            ),
        ),
    }
}

/// What is wrong with the certificate, by the stores that count here.
fn certificate(at: &At<'_>, tls: &TlsObservation) -> Option<Fault> {
    let Some(trust) = tls.trust.as_ref() else {
        return Some(Fault::new(
            Cause::TlsUntrustedIssuer,
            Culprit::Service(authority(&at.check.target.host, at.port)),
            format!(
                "{} completed a TLS handshake without showing a certificate; ask the firewall team what answers there.",
                at.place()
            ),
        ));
    };
    let leaf = tls.chain.first();
    let place = at.place();
    let host = &at.check.target.host;
    let service = || Culprit::Service(authority(host, at.port));
    let issuer = leaf.map_or("an unnamed issuer", |c| c.issuer.as_str());
    match trust.effective() {
        TrustResult::Trusted => intercepted(at, tls),
        TrustResult::Expired => {
            let (whose, end) = blamed(at, tls, |c| c.not_after < at.context.now);
            let end = end.map(|c| format!(" on {}", c.not_after.strftime("%Y-%m-%d")));
            Some(Fault::new(
                Cause::TlsExpired,
                service(),
                format!(
                    "{whose} expired{}; ask the service's owner to renew it, and check this machine's clock.",
                    end.unwrap_or_default()
                ),
            ))
        }
        TrustResult::NotYetValid => {
            let (whose, start) = blamed(at, tls, |c| c.not_before > at.context.now);
            let start = start.map(|c| format!(" before {}", c.not_before));
            Some(Fault::new(
                Cause::TlsNotYetValid,
                service(),
                format!(
                    "{whose} is not valid{}; check this machine's clock first, then ask the service's owner.",
                    start.unwrap_or_default()
                ),
            ))
        }
        TrustResult::WrongName => {
            let names = match leaf {
                None => "another name".to_owned(),
                Some(leaf) if leaf.names.is_empty() => leaf.subject.clone(),
                Some(leaf) => leaf.names.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
            };
            Some(Fault::new(
                Cause::TlsNameMismatch,
                service(),
                format!(
                    "The certificate of {place} is for {names}, not for {host}; DNS leads to the wrong address or a proxy answers, so check the record with the DNS team."
                ),
            ))
        }
        TrustResult::UnknownIssuer | TrustResult::EmptyStore => Some(untrusted(at, tls, issuer)),
        TrustResult::Other(why) => Some(Fault::new(
            Cause::TlsUntrustedIssuer,
            Culprit::Issuer(issuer.to_owned()),
            format!(
                "The certificate of {place}, issued by {issuer}, does not verify ({why}); ask the service's owner, or the firewall team if it inspects TLS."
            ),
        )),
    }
}

/// The certificate of the chain that a verdict is about, and how to name it.
fn blamed<'a>(
    at: &At<'_>,
    tls: &'a TlsObservation,
    is_it: impl Fn(&CertificateFacts) -> bool,
) -> (String, Option<&'a Arc<CertificateFacts>>) {
    let place = at.place();
    let (leaf, issuers) = match tls.chain.split_first() {
        Some((leaf, issuers)) => (Some(leaf), issuers),
        None => (None, &[][..]),
    };
    match (leaf.filter(|leaf| is_it(leaf)), issuers.iter().find(|issuer| is_it(issuer))) {
        (None, Some(issuer)) => {
            (format!("{} in the certificate chain of {place}", issuer.subject), Some(issuer))
        }
        (leaf, _) => (format!("The certificate of {place}"), leaf),
    }
}

fn untrusted(at: &At<'_>, tls: &TlsObservation, issuer: &str) -> Fault {
    let place = at.place();
    let service = Culprit::Service(authority(&at.check.target.host, at.port));
    let mozilla_trusts = tls.trust.as_ref().is_some_and(|t| t.mozilla == TrustResult::Trusted);
    match tls.chain.as_slice() {
        [only] if only.self_signed => Fault::new(
            Cause::TlsSelfSigned,
            service,
            format!(
                "The certificate of {place} is signed by itself ({}); ask its owner for one from a trusted CA, or add it to [tls] ca_files.",
                only.subject
            ),
        ),
        [only] if only.issuer_url.is_some() && !mozilla_trusts => Fault::new(
            Cause::TlsMissingIntermediate,
            service,
            format!(
                "{place} sends its certificate without the intermediate {issuer}; ask its owner to send the whole chain."
            ),
        ),
        _ if mozilla_trusts => Fault::new(
            Cause::TlsUntrustedIssuer,
            Culprit::Issuer(issuer.to_owned()),
            format!(
                "The certificate of {place} comes from the public issuer {issuer}, which this machine's trust store lacks; update its CA certificates."
            ),
        ),
        _ => Fault::new(
            Cause::TlsUntrustedIssuer,
            Culprit::Issuer(issuer.to_owned()),
            format!(
                "The certificate of {place} is issued by {issuer}, which no trust store here knows; a firewall that inspects TLS is the usual reason, so ask the firewall team to exempt the host, or add that CA to [tls] ca_files."
            ),
        ),
    }
}

/// A public service whose certificate this host trusts and the public internet does not.
fn intercepted(at: &At<'_>, tls: &TlsObservation) -> Option<Fault> {
    let trust = tls.trust.as_ref()?;
    let declared = trust.configured.as_ref() == Some(&TrustResult::Trusted);
    if declared || trust.mozilla != TrustResult::UnknownIssuer || !at.check.public_service {
        return None;
    }
    let issuer = tls.chain.first().map_or("an unnamed issuer", |c| c.issuer.as_str());
    Some(Fault::new(
        Cause::TlsIntercepted,
        Culprit::Issuer(issuer.to_owned()),
        format!(
            "TLS to {} is intercepted: its certificate is issued by {issuer}, which only this machine's own store trusts; ask the firewall team to exempt {} from TLS inspection.",
            at.place(),
            at.check.target.host
        ),
    ))
}

fn warnings(at: &At<'_>, tls: &TlsObservation) -> Vec<Warning> {
    let mut warnings = Vec::new();
    // What this machine lost by itself is not the network's.
    if tls.elapsed.0.saturating_sub(at.stalled) > limits::TLS_SLOW {
        warnings.push(Warning { cause: Cause::TlsSlow, culprit: at.path(), summary: format!("{} took {:.1} s for the TLS handshake; ask the network team about load, inspection and loss.", at.place(), tls.elapsed.seconds()) });
    }
    warnings.extend(expiring(at, tls));
    warnings
}

/// The certificate of the chain that ends first, when it ends soon. An issuer's end is one fault,
/// however many services it signed for.
fn expiring(at: &At<'_>, tls: &TlsObservation) -> Option<Warning> {
    let (first, depth) = path(&tls.chain).into_iter().zip(0..).min_by_key(|(c, _)| c.not_after)?;
    let left = first.not_after.duration_since(at.context.now).as_secs();
    let within = i64::try_from(limits::CERTIFICATE_EXPIRES_WITHIN.as_secs()).unwrap_or(i64::MAX);
    if !(0..within).contains(&left) {
        return None;
    }
    let place = at.place();
    let (whose, culprit) = if depth == 0 {
        let service = Culprit::Service(authority(&at.check.target.host, at.port));
        (format!("The certificate of {place}"), service)
    } else {
        let whose = format!("{} in the certificate chain of {place}", first.subject);
        (whose, Culprit::Issuer(first.subject.clone()))
    };
    Some(Warning {
        cause: Cause::TlsCertificateExpiring,
        culprit,
        summary: format!(
            "{whose} ends on {} ({} days left); ask its owner to renew it.",
            first.not_after.strftime("%Y-%m-%d"),
            left / 86_400
        ),
    })
}

/// The way from the leaf to the last issuer that was sent. Of several certificates of one issuer
/// the longest-lived counts, as one is enough; what leads nowhere does not count at all.
fn path(chain: &[Arc<CertificateFacts>]) -> Vec<&CertificateFacts> {
    let mut path: Vec<&CertificateFacts> = Vec::new();
    let mut next = chain.first().map(AsRef::as_ref);
    while let Some(certificate) = next {
        path.push(certificate);
        next = chain
            .iter()
            .map(AsRef::as_ref)
            .filter(|c| c.subject == certificate.issuer && !path.contains(c))
            .max_by_key(|c| c.not_after);
    }
    path
}
