//! Judges what answered above the connection: HTTP, WebSocket, SMB, UDP.

use super::addresses::At;
use super::service::{Answer, Refusal};
use super::{Context, Fault, followups};
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::model::{Expect, Kind, authority};
use crate::observation::{
    AboveTcp, ClimbOutcome, HttpObservation, HttpOutcome, Observation, SmbObservation, SmbOutcome,
    TlsObservation, TlsOutcome, UdpObservation, UdpOutcome, WEBSOCKET_ACCEPT,
};

/// Judges an HTTP exchange.
pub(super) fn http(at: &At<'_>, http: &HttpObservation) -> Option<Fault> {
    let place = at.place();
    let host = &at.check.target.host;
    let seconds = http.elapsed.seconds();
    let protocol = protocol(at);
    match &http.outcome {
        HttpOutcome::Answer { status, headers, body } => {
            answer(at, Answer { status: *status, headers, body })
        }
        HttpOutcome::Timeout => Some(Fault::new(
            Cause::HttpTimeout,
            at.path(),
            format!(
                "{place} accepted the connection but did not answer an HTTP request within {seconds:.1} s; ask the firewall team whether it inspects or drops {protocol} to {host}."
            ),
        )),
        HttpOutcome::Closed => followups::closed_on_accept(at, "HTTP request").or_else(|| {
            Some(Fault::new(
                Cause::HttpClosed,
                at.path(),
                format!(
                    "{place} accepted the connection and closed it on the HTTP request; ask the firewall team to allow {protocol}:{} to {host}.",
                    at.port
                ),
            ))
        }),
        HttpOutcome::NotHttp(bytes) => Some(Fault::new(
            Cause::HttpUnexpectedStatus,
            service(at),
            format!(
                "{place} answered an HTTP request with something that is not HTTP (\"{bytes}\"); ask the firewall team what listens there."
            ),
        )),
    }
}

/// Whether an answer is the firewall's denial.
pub(super) fn is_firewall_deny(status: u16, body: &str) -> bool {
    Answer { status, headers: &[], body }.is_firewall_deny()
}

fn protocol(at: &At<'_>) -> &'static str {
    if at.check.target.kind == Kind::Http { "HTTP" } else { "HTTPS" }
}

fn service(at: &At<'_>) -> Culprit {
    Culprit::Service(authority(&at.check.target.host, at.port))
}

/// Judges an answer: first whether it is the service's at all, then what it says.
fn answer(at: &At<'_>, answer: Answer<'_>) -> Option<Fault> {
    let place = at.place();
    let target = &at.check.target;
    let status = answer.status;
    if answer.is_firewall_deny() {
        return Some(Fault::new(
            Cause::HttpFirewallDeny,
            at.path(),
            format!(
                "The firewall answered for {place} and denied it (HTTP {status}); ask the firewall team for an application rule that allows {}:{} to {}.",
                protocol(at),
                at.port,
                target.host
            ),
        ));
    }
    if status == 407 {
        return Some(Fault::new(
            Cause::ProxyAuthRequired,
            at.path(),
            format!(
                "A proxy on the way to {place} demands credentials (HTTP 407); ask the proxy team to let {} through without.",
                target.host
            ),
        ));
    }
    if let Some(refusal) = answer.refusal(at.check.service) {
        return Some(refused(at, status, &refusal));
    }
    let impostor = answer.impostor(&target.host.to_string(), &target.path, at.check.service);
    if let Some(sign) = impostor.filter(|_| status < 500 || status == 511) {
        return Some(Fault::new(
            Cause::HttpUnexpectedStatus,
            service(at),
            format!(
                "Something else answered for {place} with HTTP {status} ({sign}), a proxy or a filter most likely; ask the firewall or proxy team to let {} through.",
                target.host
            ),
        ));
    }
    if target.kind == Kind::Websocket && (status < 500 || status == 502) {
        return websocket(at, answer);
    }
    (status >= 500).then(|| server_error(at, answer))
}

/// The service refuses this network. Which way the request went says where to look.
fn refused(at: &At<'_>, status: u16, refusal: &Refusal) -> Fault {
    let place = at.place();
    let word = refusal.word;
    let sees =
        refusal.sees.map(|ip| format!(" It saw the request come from {ip}.")).unwrap_or_default();
    let private = |ip| at.context.network.is_private(ip);
    let then = if refusal.sees.is_some_and(private) {
        "That is a private address, so ask its owner which networks it allows"
    } else if at.through.is_some() {
        "The proxy went there from a network of its own, so add the host to NO_PROXY if it has a private endpoint, else ask its owner to allow the proxy's address"
    } else if private(at.ip) {
        "A firewall with application rules may have resolved the name by itself and gone to the public endpoint, so ask the DNS team to link the private zone to the firewall's VNet too"
    } else if at.check.expectation.expect == Expect::Private {
        "The request went to its public address, so ask the DNS team to make the name resolve to the private endpoint here"
    } else {
        "The request went to its public address, so ask its owner for a private endpoint, or to allow this network"
    };
    Fault::new(
        Cause::HttpResourceFirewallDeny,
        service(at),
        format!("{place} itself refuses this network (HTTP {status}, {word}).{sees} {then}."),
    )
}

fn server_error(at: &At<'_>, answer: Answer<'_>) -> Fault {
    let place = at.place();
    let status = answer.status;
    let summary = match (answer.header("x-ms-request-id"), answer.middle_man()) {
        (Some(id), _) => format!(
            "{place} answered HTTP {status}: the way is open, the service is in trouble; ask its owner, who can find request {id}."
        ),
        (None, Some(sign)) => format!(
            "{place} answered HTTP {status} ({sign}): either the service is in trouble or a proxy on the way cannot reach it; ask its owner, then the proxy team."
        ),
        (None, None) => format!(
            "{place} answered HTTP {status}: the way is open, the service is in trouble; ask its owner."
        ),
    };
    Fault::new(Cause::HttpServerError, service(at), summary)
}

/// Judges the answer to an upgrade. A service that wants credentials first has been reached.
fn websocket(at: &At<'_>, answer: Answer<'_>) -> Option<Fault> {
    let place = at.place();
    let how = match answer.status {
        101 if answer.header("sec-websocket-accept") == Some(WEBSOCKET_ACCEPT) => return None,
        401 | 403 => return None,
        300..=399 if answer.asks_to_sign_in() => return None,
        101 => {
            "agreed to a WebSocket without the answer to its key, so something on the way breaks the upgrade".to_owned()
        }
        502 if answer.middle_man().is_none_or(|sign| sign.starts_with("server")) => {
            return Some(server_error(at, answer));
        }
        502 => format!(
            "answered a WebSocket upgrade with HTTP 502 ({}), so a proxy on the way does not carry it",
            answer.middle_man().unwrap_or_default()
        ),
        status => {
            let via = answer.header("via").map(|via| format!(" (via: {via})")).unwrap_or_default();
            format!(
                "answered a WebSocket upgrade with HTTP {status}{via}, so something on the way strips the upgrade"
            )
        }
    };
    Some(Fault::new(
        Cause::WebsocketBlocked,
        at.path(),
        format!("{place} {how}; ask the proxy or firewall team to let WebSockets pass."),
    ))
}

/// What a good answer tells besides, as the end of a sentence.
pub(super) fn remark(
    check: &Check,
    context: Context<'_>,
    observation: &Observation,
) -> Option<String> {
    observation.climbs.iter().find_map(|climb| {
        let ClimbOutcome::Connected { then, .. } = &climb.outcome else { return None };
        match then {
            AboveTcp::Tls(tls) => vault_remark(check, context, tls),
            AboveTcp::Smb(SmbObservation { outcome: SmbOutcome::Refused { status }, .. }) => {
                Some(format!(
                    "the server declines the dialects offered (status 0x{status:08x}), but the way to it is open"
                ))
            }
            _ => None,
        }
    })
}

/// Whom a key vault sees: the one place where a wrong way to it shows without credentials.
fn vault_remark(check: &Check, context: Context<'_>, tls: &TlsObservation) -> Option<String> {
    let TlsOutcome::Established { then: Some(http), .. } = &tls.outcome else { return None };
    let HttpOutcome::Answer { status, headers, body } = &http.outcome else { return None };
    let sees = Answer { status: *status, headers, body }.vault_sees()?;
    Some(if check.expectation.expect == Expect::Private && !context.network.is_private(sees) {
        format!(
            "but the vault sees the request come from the public address {sees}, so not through its private endpoint"
        )
    } else {
        format!("the vault sees the request come from {sees}")
    })
}

/// Judges an SMB2 negotiation.
pub(super) fn smb(at: &At<'_>, smb: &SmbObservation) -> Option<Fault> {
    let how = match &smb.outcome {
        // A file server that speaks, if only to decline: nothing on the way is to blame.
        SmbOutcome::Negotiated { .. } | SmbOutcome::Refused { .. } => return None,
        SmbOutcome::Timeout => format!("did not answer SMB within {:.1} s", smb.elapsed.seconds()),
        SmbOutcome::Closed => match followups::closed_on_accept(at, "SMB request") {
            Some(fault) => return Some(fault),
            None => "closed the connection on the SMB request".to_owned(),
        },
        SmbOutcome::NotSmb(bytes) => format!("answered something that is not SMB (\"{bytes}\")"),
    };
    Some(Fault::new(
        Cause::NotSmb,
        at.path(),
        format!(
            "{} accepted the connection but {how}; ask the firewall team to pass TCP {} through to the file share.",
            at.place(),
            at.port
        ),
    ))
}

/// Judges a datagram. Silence is no evidence.
pub(super) fn udp(at: &At<'_>, udp: &UdpObservation) -> Option<Fault> {
    match &udp.outcome {
        UdpOutcome::Answer { .. } => None,
        UdpOutcome::Silence => Some(Fault::new(
            Cause::UdpNoEvidence,
            at.path(),
            format!(
                "{} did not answer a datagram, which proves nothing about UDP; ask the firewall team for its log of UDP {} to {}.",
                at.place(),
                at.port,
                at.rule_target()
            ),
        )),
        UdpOutcome::Network(error) => Some(at.network(udp.elapsed, *error)),
        UdpOutcome::Local(trouble) => Some(at.local(*trouble)),
    }
}
