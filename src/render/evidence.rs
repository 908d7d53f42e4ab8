//! What was seen by one check, one line per fact, for terminals and Markdown.

use crate::model::visible;
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, Exchange, ExchangeOutcome, HttpObservation, HttpOutcome,
    Observation, ProxyObservation, ProxyOutcome, Rcode, ServerObservation, ServerRole, SmbOutcome,
    TlsObservation, TlsOutcome, TrustResult, UdpOutcome,
};
use crate::snapshot::CheckReport;

use super::followups;

/// The evidence of one check.
pub fn lines(report: &CheckReport) -> Vec<String> {
    let lines = report.observation.as_deref().map(observation).unwrap_or_default();
    lines.iter().map(|line| visible(line)).collect()
}

fn observation(observation: &Observation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(dns) = &observation.dns {
        if !dns.hosts_file.is_empty() {
            lines.push(format!("hosts file: {}", join(&dns.hosts_file)));
        }
        lines.extend(dns.servers.iter().flat_map(server));
    }
    lines.extend(observation.proxy.iter().flat_map(proxy));
    lines.extend(observation.climbs.iter().flat_map(climb));
    if observation.addresses_not_tried > 0 {
        lines.push(format!("{} more addresses were not tried", observation.addresses_not_tried));
    }
    if !observation.stalled.0.is_zero() {
        let ms = observation.stalled.seconds() * 1e3;
        lines.push(format!("this machine was busy and kept the probe waiting for {ms:.0} ms"));
    }
    lines.extend(observation.experiments.iter().map(|experiment| {
        let told = followups::told(experiment);
        let ms = experiment.elapsed.seconds() * 1e3;
        format!("tried {}: {}: {} ({ms:.0} ms)", told.place, told.what, told.outcome)
    }));
    lines.extend(followups::age(observation).map(|age| format!("    {age}")));
    lines
}

/// Whether a proxy is used, why, and what it did.
fn proxy(seen: &ProxyObservation) -> Vec<String> {
    let ProxyObservation { url, why, address, elapsed, outcome, lives } = seen;
    let ms = elapsed.seconds() * 1e3;
    let at = address.map(|address| format!(" at {address}")).unwrap_or_default();
    let did = match outcome {
        ProxyOutcome::Bypassed => return vec![format!("proxy: not used: {why}")],
        ProxyOutcome::Open => format!("went on ({ms:.1} ms)"),
        ProxyOutcome::Answered { status, headers, body } => {
            let headers: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let body = crate::model::printable(body);
            format!("answered {status} ({ms:.1} ms); {}; {body}", headers.join("; "))
        }
        other => format!("{other:?} after {ms:.0} ms"),
    };
    let mut lines = vec![format!("proxy {url}: used: {why}"), format!("    proxy{at}: {did}")];
    lines.extend(lives.map(|lives| {
        let answers = if lives { "answers" } else { "does not answer either" };
        format!("    proxy{at}: {answers} a request that needs nobody behind it")
    }));
    lines
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn server(server: &ServerObservation) -> Vec<String> {
    let role = match server.role {
        ServerRole::Configured => "",
        ServerRole::Upstream => " (behind the local stub)",
        ServerRole::Reference => " (reference)",
    };
    let say = |family: &str, exchange: &Exchange| {
        let over = if exchange.over_tcp { ", TCP" } else { "" };
        format!(
            "dns {}{role} {family}: {} ({:.0} ms{over})",
            server.server,
            answer(exchange),
            exchange.elapsed.seconds() * 1e3
        )
    };
    vec![say("A", &server.a), say("AAAA", &server.aaaa)]
}

/// One exchange in words.
pub fn answer(exchange: &Exchange) -> String {
    match &exchange.outcome {
        ExchangeOutcome::Failed(failure) => format!("{failure:?}"),
        ExchangeOutcome::Answer(answer) => {
            let rcode = match answer.rcode {
                Rcode::NoError => "NOERROR".to_owned(),
                Rcode::NxDomain => "NXDOMAIN".to_owned(),
                Rcode::ServFail => "SERVFAIL".to_owned(),
                Rcode::Refused => "REFUSED".to_owned(),
                Rcode::Other(code) => format!("rcode {code}"),
            };
            let mut words = vec![rcode];
            words.extend(answer.chain.iter().map(|alias| format!("→ {}", alias.to)));
            words.extend(
                answer.addresses.iter().map(|record| format!("{} (TTL {})", record.ip, record.ttl)),
            );
            words.join(" ")
        }
    }
}

fn climb(climb: &Climb) -> Vec<String> {
    let at = std::net::SocketAddr::new(climb.ip, climb.port);
    match &climb.outcome {
        ClimbOutcome::NotConnected { elapsed, failure } => {
            vec![format!("tcp {at}: {failure:?} after {:.0} ms", elapsed.seconds() * 1e3)]
        }
        ClimbOutcome::Connected { elapsed, local, then } => {
            let mut lines = vec![format!(
                "tcp {at}: connected from {local} in {:.1} ms",
                elapsed.seconds() * 1e3
            )];
            match then {
                AboveTcp::Nothing { closed: true } => {
                    lines.push("    closed at once by the other side".to_owned());
                }
                AboveTcp::Nothing { closed: false } => {}
                AboveTcp::Tls(observed) => lines.extend(tls(observed)),
                AboveTcp::Http(observed) => lines.push(http(observed)),
                AboveTcp::Smb(observed) => lines.push(match &observed.outcome {
                    SmbOutcome::Negotiated { dialect } => format!("    smb: dialect {dialect}"),
                    SmbOutcome::Refused { status } => {
                        format!("    smb: refused with status 0x{status:08x}")
                    }
                    other => format!("    smb: {other:?}"),
                }),
            }
            lines
        }
        ClimbOutcome::Datagram(observed) => vec![match &observed.outcome {
            UdpOutcome::Silence => {
                format!("udp {at}: no answer in {:.1} s", observed.elapsed.seconds())
            }
            other => format!("udp {at}: {other:?}"),
        }],
    }
}

fn tls(observed: &TlsObservation) -> Vec<String> {
    let ms = observed.elapsed.seconds() * 1e3;
    let mut lines = vec![match &observed.outcome {
        TlsOutcome::Established { version, cipher, .. } => {
            format!("    tls: {version} {cipher} in {ms:.1} ms")
        }
        TlsOutcome::Failed(failure) => format!("    tls: {failure:?} after {ms:.0} ms"),
    }];
    for certificate in &observed.chain {
        let (start, end) = (
            certificate.not_before.strftime("%Y-%m-%d"),
            certificate.not_after.strftime("%Y-%m-%d"),
        );
        lines.push(format!(
            "    certificate: {} by {}, {start} to {end}",
            certificate.subject, certificate.issuer
        ));
    }
    if let Some(trust) = &observed.trust {
        let configured = trust
            .configured
            .as_ref()
            .map(|t| format!(", CA files: {}", trusted(t)))
            .unwrap_or_default();
        lines.push(format!(
            "    trust: host store: {}{configured}, Mozilla roots: {}",
            trusted(&trust.host),
            trusted(&trust.mozilla)
        ));
    }
    if let TlsOutcome::Established { then: Some(observed), .. } = &observed.outcome {
        lines.push(http(observed));
    }
    lines
}

/// A root store's word in words.
pub fn trusted(result: &TrustResult) -> String {
    match result {
        TrustResult::Trusted => "trusted".to_owned(),
        TrustResult::EmptyStore => "empty store".to_owned(),
        TrustResult::UnknownIssuer => "unknown issuer".to_owned(),
        TrustResult::Expired => "expired".to_owned(),
        TrustResult::NotYetValid => "not yet valid".to_owned(),
        TrustResult::WrongName => "wrong name".to_owned(),
        TrustResult::Other(why) => why.clone(),
    }
}

fn http(observed: &HttpObservation) -> String {
    match &observed.outcome {
        HttpOutcome::Answer { status, headers, body } => {
            let headers: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("    http: {status}; {}; {}", headers.join("; "), crate::model::printable(body))
        }
        other => format!("    http: {other:?} after {:.1} s", observed.elapsed.seconds()),
    }
}
