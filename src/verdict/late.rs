//! What this machine itself was too slow for says nothing about the network.
//!
//! A probe knows how long it was kept from its turn, by a starved processor or while the machine was
//! suspended. A deadline that passed mostly in that time is no silence of the other side, and a
//! connection that was closed after a long pause may have been given up for good reasons. Such a
//! check is `overdue`: the machine's load is what must be looked at, and not its files or ports, as
//! `local_exhausted` would have it.

use std::time::Duration;

use super::Fault;
use crate::cause::Cause;
use crate::finding::Culprit;
use crate::limits;
use crate::model::Elapsed;
use crate::observation::{
    AboveTcp, ClimbOutcome, ConnectFailure, DnsFailure, Exchange, ExchangeOutcome, HttpObservation,
    HttpOutcome, ProxyObservation, ProxyOutcome, SmbOutcome, TlsFailure, TlsOutcome,
};

/// How a step ended that proves nothing on a machine that stood still.
#[derive(Debug, Clone, Copy)]
enum Ended {
    /// Nothing came until the deadline.
    Silent(Elapsed),
    /// The other side ended the connection.
    Cut(Elapsed),
}

impl Ended {
    /// Whether most of the step was spent waiting for this machine.
    fn is_ours(self, stalled: Duration) -> bool {
        match self {
            Self::Silent(elapsed) => stalled >= limits::TURN_LATE && stalled * 2 >= elapsed.0,
            // Peers are patient for a while.
            Self::Cut(elapsed) => stalled >= limits::STALLED_LONG && stalled * 2 >= elapsed.0,
        }
    }
}

/// Whether a question to a DNS server was lost in this machine's own pause.
pub(crate) fn is_late(exchange: &Exchange, stalled: Duration) -> bool {
    let silent = matches!(
        exchange.outcome,
        ExchangeOutcome::Failed(
            DnsFailure::Timeout | DnsFailure::TcpFailed(ConnectFailure::Timeout)
        )
    );
    silent && Ended::Silent(exchange.elapsed).is_ours(stalled)
}

/// Whether a climb ended as it did in this machine's own pause.
pub(super) fn is_late_climb(outcome: &ClimbOutcome, stalled: Duration) -> bool {
    let ended = match outcome {
        ClimbOutcome::NotConnected { elapsed, failure: ConnectFailure::Timeout } => {
            Some(Ended::Silent(*elapsed))
        }
        ClimbOutcome::Connected { then, .. } => above(then),
        _ => None,
    };
    ended.is_some_and(|ended| ended.is_ours(stalled))
}

fn above(then: &AboveTcp) -> Option<Ended> {
    match then {
        AboveTcp::Nothing { closed } => closed.then_some(Ended::Cut(Elapsed(limits::TCP_SETTLE))),
        AboveTcp::Tls(tls) => match &tls.outcome {
            TlsOutcome::Failed(TlsFailure::Timeout) => Some(Ended::Silent(tls.elapsed)),
            TlsOutcome::Failed(TlsFailure::Closed { .. } | TlsFailure::Reset { .. }) => {
                Some(Ended::Cut(tls.elapsed))
            }
            TlsOutcome::Failed(_) => None,
            TlsOutcome::Established { then, .. } => then.as_ref().and_then(http),
        },
        AboveTcp::Http(answer) => http(answer),
        AboveTcp::Smb(smb) => match smb.outcome {
            SmbOutcome::Timeout => Some(Ended::Silent(smb.elapsed)),
            SmbOutcome::Closed => Some(Ended::Cut(smb.elapsed)),
            _ => None,
        },
    }
}

fn http(http: &HttpObservation) -> Option<Ended> {
    match http.outcome {
        HttpOutcome::Timeout => Some(Ended::Silent(http.elapsed)),
        HttpOutcome::Closed => Some(Ended::Cut(http.elapsed)),
        _ => None,
    }
}

/// Whether a proxy seemed silent in this machine's own pause.
pub(super) fn is_late_proxy(proxy: &ProxyObservation, stalled: Duration) -> bool {
    let ended = match &proxy.outcome {
        ProxyOutcome::Timeout | ProxyOutcome::NotConnected(ConnectFailure::Timeout) => {
            Ended::Silent(proxy.elapsed)
        }
        // Its name may not have been looked up in time.
        ProxyOutcome::Closed | ProxyOutcome::Unresolved => Ended::Cut(proxy.elapsed),
        _ => return false,
    };
    ended.is_ours(stalled)
}

/// The judgement then; `what` is what was not done.
pub(super) fn fault(what: &str, stalled: Duration) -> Fault {
    Fault::new(
        Cause::Overdue,
        Culprit::Machine,
        format!(
            "{what} in time, but this machine kept the measurement itself waiting for {:.1} s, so that proves nothing; check whether this machine is overloaded or was suspended.",
            stalled.as_secs_f64()
        ),
    )
}
