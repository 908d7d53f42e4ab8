//! Judges what answered above the connection: HTTP, WebSocket, SMB, UDP.

use super::Fault;
use super::addresses::At;
use crate::cause::Cause;
use crate::finding::Culprit;
use crate::model::{Kind, authority};
use crate::observation::{
    HttpObservation, HttpOutcome, SmbObservation, SmbOutcome, UdpObservation, UdpOutcome,
};

/// The status code Azure Firewall answers a denied plain HTTP request with; no service uses it.
const FIREWALL_DENY_STATUS: u16 = 470;

/// Judges an HTTP exchange.
pub(super) fn http(at: &At<'_>, http: &HttpObservation) -> Option<Fault> {
    let place = at.place();
    let host = &at.check.target.host;
    let service = || Culprit::Service(authority(host, at.port));
    let seconds = http.elapsed.seconds();
    let protocol = if at.check.target.kind == Kind::Http { "HTTP" } else { "HTTPS" };
    match &http.outcome {
        HttpOutcome::Answer { status, body, .. } if is_firewall_deny(*status, body) => {
            Some(Fault::new(
                Cause::HttpFirewallDeny,
                at.path(),
                format!(
                    "The firewall answered for {place} and denied it (HTTP {status}); ask the firewall team for an application rule that allows {protocol}:{} to {host}.",
                    at.port
                ),
            ))
        }
        HttpOutcome::Answer { status, .. } if *status >= 500 => Some(Fault::new(
            Cause::HttpServerError,
            service(),
            format!(
                "{place} answered HTTP {status}: the way is open, the service is in trouble; ask its owner."
            ),
        )),
        HttpOutcome::Answer { status: 101 | 401 | 403, .. }
            if at.check.target.kind == Kind::Websocket =>
        {
            None
        }
        HttpOutcome::Answer { status, .. } if at.check.target.kind == Kind::Websocket => {
            Some(Fault::new(
                Cause::WebsocketBlocked,
                at.path(),
                format!(
                    "{place} answered a WebSocket upgrade with HTTP {status}, so something on the way strips the upgrade; ask the proxy or firewall team to let WebSockets pass."
                ),
            ))
        }
        HttpOutcome::Answer { .. } => None,
        HttpOutcome::Timeout => Some(Fault::new(
            Cause::HttpTimeout,
            at.path(),
            format!(
                "{place} accepted the connection but did not answer an HTTP request within {seconds:.1} s; ask the firewall team whether it inspects or drops {protocol} to {host}."
            ),
        )),
        HttpOutcome::Closed => Some(Fault::new(
            Cause::HttpClosed,
            at.path(),
            format!(
                "{place} accepted the connection and closed it on the HTTP request; ask the firewall team to allow {protocol}:{} to {host}.",
                at.port
            ),
        )),
        HttpOutcome::NotHttp(bytes) => Some(Fault::new(
            Cause::HttpUnexpectedStatus,
            service(),
            format!(
                "{place} answered an HTTP request with something that is not HTTP (\"{bytes}\"); ask the firewall team what listens there."
            ),
        )),
    }
}

/// Whether an answer is the firewall's denial.
pub(super) fn is_firewall_deny(status: u16, body: &str) -> bool {
    status == FIREWALL_DENY_STATUS || is_deny_text(body)
}

fn is_deny_text(body: &str) -> bool {
    let body = body.trim_start();
    body.starts_with("Action: Deny")
        || (body.contains("Action: Deny") && body.contains("Reason: No rule matched"))
}

/// Judges an SMB2 negotiation.
pub(super) fn smb(at: &At<'_>, smb: &SmbObservation) -> Option<Fault> {
    let how = match &smb.outcome {
        SmbOutcome::Negotiated { .. } => return None,
        SmbOutcome::Timeout => format!("did not answer SMB within {:.1} s", smb.elapsed.seconds()),
        SmbOutcome::Closed => "closed the connection on the SMB request".to_owned(),
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
