//! The last word before a check passes: something must have been seen that proves it.
//!
//! The other judgements look for what is wrong. An observation in which nothing is wrong because
//! nothing was done (no address was tried, a handshake was the whole of an HTTPS check) would pass
//! them all.

use super::Fault;
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::model::{Host, Kind};
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, HttpObservation, HttpOutcome, Observation, SmbOutcome,
    TlsObservation, TlsOutcome, TrustResult, UdpOutcome,
};

/// A fault of our own when nothing proves that the check works.
pub(super) fn missing(check: &Check, observation: &Observation) -> Option<Fault> {
    let kind = check.target.kind;
    let proven = match kind {
        Kind::Dns => observation.dns.is_some() || matches!(check.target.host, Host::Ip(_)),
        _ => observation.climbs.iter().any(|climb| proves(kind, climb)),
    };
    if proven {
        return None;
    }
    let target = check.target.authority();
    Some(Fault::new(
        Cause::Overdue,
        Culprit::Machine,
        format!(
            "{target} was not measured as far as a check of kind {kind} must be, so nothing is known of it; please report this."
        ),
    ))
}

/// Whether a climb did what a check of this kind is for.
fn proves(kind: Kind, climb: &Climb) -> bool {
    match &climb.outcome {
        ClimbOutcome::NotConnected { .. } => false,
        ClimbOutcome::Datagram(udp) => {
            kind == Kind::Udp && matches!(udp.outcome, UdpOutcome::Answer { .. })
        }
        ClimbOutcome::Connected { then, .. } => match then {
            AboveTcp::Nothing { closed } => kind == Kind::Tcp && !closed,
            AboveTcp::Http(http) => kind == Kind::Http && answered(http),
            AboveTcp::Smb(smb) => {
                kind == Kind::Smb
                    && matches!(
                        smb.outcome,
                        SmbOutcome::Negotiated { .. } | SmbOutcome::Refused { .. }
                    )
            }
            AboveTcp::Tls(tls) => session_proves(kind, tls),
        },
    }
}

fn session_proves(kind: Kind, tls: &TlsObservation) -> bool {
    let TlsOutcome::Established { then, .. } = &tls.outcome else { return false };
    let trusted = tls.trust.as_ref().is_some_and(|t| *t.effective() == TrustResult::Trusted);
    trusted
        && match kind {
            Kind::Tls => true,
            Kind::Https | Kind::Websocket => then.as_ref().is_some_and(answered),
            _ => false,
        }
}

fn answered(http: &HttpObservation) -> bool {
    matches!(http.outcome, HttpOutcome::Answer { .. })
}
