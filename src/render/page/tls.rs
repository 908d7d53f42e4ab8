//! TLS handshakes and certificates.

use std::sync::Arc;

use maud::{Markup, html};

use crate::limits;
use crate::model::printable;
use crate::observation::{
    AboveTcp, CertificateFacts, Climb, ClimbOutcome, TlsObservation, TlsOutcome, Trust, TrustResult,
};

use super::words::{Tone, badge, day};
use super::{evidence, phrases};

/// Certificate chains that were shown for other addresses.
pub(super) fn chains(climbs: &[Climb]) -> impl Iterator<Item = &[Arc<CertificateFacts>]> {
    climbs.iter().filter_map(|climb| match &climb.outcome {
        ClimbOutcome::Connected { then: AboveTcp::Tls(seen), .. } => Some(seen.chain.as_slice()),
        _ => None,
    })
}

pub(super) fn handshake<'a>(
    seen: &TlsObservation,
    mut shown: impl Iterator<Item = &'a [Arc<CertificateFacts>]>,
    level: u8,
) -> Markup {
    let repeated = !seen.chain.is_empty() && shown.any(|chain| chain == seen.chain.as_slice());
    html! {
        @match &seen.outcome {
            TlsOutcome::Established { version, cipher, .. } => {
                @let text = format!("{}, {}", printable(version), printable(cipher));
                (evidence::step("TLS", Some(seen.elapsed), false, &text))
            }
            TlsOutcome::Failed(failure) => {
                (evidence::step("TLS", Some(seen.elapsed), true, &phrases::tls_failure(failure)))
            }
        }
        @if let Some(trust) = &seen.trust { (stores(trust)) }
        @if repeated {
            p class="soft" { "The same certificates as above." }
        } @else if !seen.chain.is_empty() {
            (evidence::heading(level, "Certificates, as sent"))
            ol class="certificates" {
                @for facts in &seen.chain { (certificate(facts)) }
            }
        }
        @if let TlsOutcome::Established { then: Some(http), .. } = &seen.outcome {
            (evidence::http(http))
        }
    }
}

/// What each root store says.
fn stores(trust: &Trust) -> Markup {
    let named = [
        ("this machine’s store", Some(&trust.host)),
        ("with the configured CA files", trust.configured.as_ref()),
        ("Mozilla’s roots", Some(&trust.mozilla)),
    ];
    html! {
        ul class="stores" aria-label="Trust" {
            @for (name, result) in named {
                @if let Some(result) = result {
                    @let tone = if *result == TrustResult::Trusted { Tone::Pass } else { Tone::Warn };
                    li { (badge(tone, &phrases::trust(result))) " " span class="soft" { (name) } }
                }
            }
        }
    }
}

fn certificate(facts: &CertificateFacts) -> Markup {
    let hidden =
        facts.names.len().saturating_sub(limits::PAGE_CERTIFICATE_NAMES) + facts.more_names;
    html! {
        li {
            dl class="facts" {
                dt { "Subject" }
                dd { (printable(&facts.subject)) }
                dt { "Issuer" }
                dd {
                    (printable(&facts.issuer))
                    @if facts.self_signed { " " span class="bad" { "(itself)" } }
                }
                dt { "Valid" }
                dd { (day(facts.not_before)) " to " (day(facts.not_after)) }
                @if !facts.names.is_empty() {
                    dt { "Names" }
                    dd {
                        @for name in facts.names.iter().take(limits::PAGE_CERTIFICATE_NAMES) { code { (printable(name)) } " " }
                        @if hidden > 0 { span class="soft" { "and " (hidden) " more" } }
                    }
                }
                dt { "SHA-256" }
                dd { code { (printable(&facts.sha256)) } }
                @if let Some(url) = &facts.issuer_url { dt { "Issuer at" } dd { code { (printable(url)) } } }
            }
        }
    }
}
