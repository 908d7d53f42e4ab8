//! What the follow-ups on a failed handshake say, and the words for what they leave open.

use std::time::Duration;

use super::Fault;
use super::addresses::At;
use super::application::is_firewall_deny;
use super::names::list;
use crate::cause::Cause;
use crate::model::{Elapsed, Host};
use crate::observation::{
    Experiment, Greetings, HandshakeEnd, HttpOutcome, SilenceEnd, TlsFailure, TlsObservation, Trial,
};

/// The trials that tell about one address.
struct Tried<'a> {
    experiments: Vec<&'a Experiment>,
}

impl<'a> Tried<'a> {
    /// Those at the address itself, else those at another one of its family: what lies on the way
    /// to the name is the same.
    fn at(at: &At<'a>) -> Self {
        let some = |fits: &dyn Fn(std::net::IpAddr) -> bool| -> Vec<&'a Experiment> {
            at.experiments.iter().filter(|one| place(&one.trial).is_some_and(fits)).collect()
        };
        let own = some(&|ip| ip == at.ip);
        let experiments =
            if own.is_empty() { some(&|ip| ip.is_ipv4() == at.ip.is_ipv4()) } else { own };
        Self { experiments }
    }

    fn other_names(&self) -> impl Iterator<Item = (&'a Host, &'a HandshakeEnd, Elapsed)> {
        self.experiments.iter().filter_map(|one| match &one.trial {
            Trial::OtherName { name, outcome, .. } => Some((name, outcome, one.elapsed)),
            _ => None,
        })
    }

    /// Another name that gets through, rather one with a whole handshake.
    fn through(&self) -> Option<(&'a Host, &'a HandshakeEnd, Elapsed)> {
        let whole = |end: &HandshakeEnd| matches!(end, HandshakeEnd::Completed(_));
        self.other_names()
            .find(|(_, end, _)| whole(end))
            .or_else(|| self.other_names().find(|(_, end, _)| end.got_through()))
    }

    /// Other names whose handshake failed as well.
    fn stopped(&self) -> Vec<&'a Host> {
        let failed = |end: &HandshakeEnd| matches!(end, HandshakeEnd::Failed(_));
        self.other_names()
            .filter(|(_, end, _)| failed(end) && !end.got_through())
            .map(|(name, ..)| name)
            .collect()
    }

    /// Whether small segments made the server speak.
    fn small(&self) -> Option<&'a HandshakeEnd> {
        self.experiments.iter().find_map(|one| match &one.trial {
            Trial::SmallSegments { outcome, .. } => Some(outcome),
            _ => None,
        })
    }

    /// Whether small segments were not tried, or to no end.
    fn no_small(&self) -> bool {
        matches!(self.small(), None | Some(HandshakeEnd::NotConnected(_)))
    }

    fn greetings(&self) -> Option<Greetings> {
        Greetings::of(self.experiments.iter().copied())
    }

    fn closed_in_silence(&self) -> bool {
        self.experiments
            .iter()
            .any(|one| matches!(&one.trial, Trial::SilentWait { outcome: SilenceEnd::Closed, .. }))
    }

    /// The status and the body of an answer in clear text.
    fn clear_answer(&self) -> Option<(u16, &'a str)> {
        self.experiments.iter().find_map(|one| match &one.trial {
            Trial::ClearText { outcome: HttpOutcome::Answer { status, body, .. }, .. } => {
                Some((*status, body.as_str()))
            }
            _ => None,
        })
    }
}

fn place(trial: &Trial) -> Option<std::net::IpAddr> {
    match trial {
        Trial::OtherName { ip, .. }
        | Trial::SilentWait { ip, .. }
        | Trial::SmallSegments { ip, .. }
        | Trial::SmallGreeting { ip, .. }
        | Trial::LargeGreeting { ip, .. }
        | Trial::ClearText { ip, .. } => Some(*ip),
        Trial::DnsOverTcp { .. } => None,
    }
}

fn spoke(end: &HandshakeEnd) -> bool {
    end.got_through()
        || matches!(
            end,
            HandshakeEnd::Failed(
                TlsFailure::Closed { heard: true } | TlsFailure::Reset { heard: true }
            )
        )
}

/// TLS servers answer plain HTTP with a 400 that asks for HTTPS: this is one after all.
fn asks_for_tls(status: u16, body: &str) -> bool {
    let body = body.to_ascii_lowercase();
    status == 400 && (body.contains("https") || body.contains("ssl") || body.contains("tls"))
}

// --------------------------------------------------------------------- closed on the greeting

/// The connection ended on the greeting without a byte; `how` is "closed" or "reset".
pub(super) fn cut(at: &At<'_>, tls: &TlsObservation, how: &str) -> Fault {
    let (place, port, host) = (at.place(), at.port, &at.check.target.host);
    let tried = Tried::at(at);
    if let Some(through) = tried.through() {
        return names_filtered(at, &format!("{how} on"), through);
    }
    match tried.clear_answer() {
        Some((status, body)) if is_firewall_deny(status, body) => {
            return Fault::new(
                Cause::HttpFirewallDeny,
                at.path(),
                format!(
                    "{place} {how} the TLS greeting, and a plain HTTP request there was answered by the firewall, which denied it (HTTP {status}); ask the firewall team for an application rule that allows HTTPS:{port} to {host}."
                ),
            );
        }
        _ if tried.closed_in_silence() => {
            return closed_in_silence(at, "no server name is filtered");
        }
        Some((status, body)) if !asks_for_tls(status, body) => {
            return Fault::new(
                Cause::NotTls,
                at.path(),
                format!(
                    "{place} {how} the TLS greeting and answered a plain HTTP request with HTTP {status}, so it speaks HTTP and not TLS; ask the firewall team what answers there."
                ),
            );
        }
        _ => {}
    }
    let mut summary = format!(
        "{place} accepted TCP and {how} it on the TLS greeting, as a firewall does for a name no rule allows; ask the firewall team for an application rule that allows HTTPS:{port} to {host}. "
    );
    summary.push_str(&undecided(at, &tried));
    if let Some(near) = something_near(at.connect, tls.elapsed, "the connection was ended only") {
        summary.push(' ');
        summary.push_str(&near);
    }
    Fault::new(Cause::TlsClosed, at.path(), summary)
}

/// It closes also on who says nothing, if that was tried; `what` is the request it closed on.
pub(super) fn closed_on_accept(at: &At<'_>, what: &str) -> Option<Fault> {
    Tried::at(at)
        .closed_in_silence()
        .then(|| closed_in_silence(at, &format!("the {what} is not what it closes on")))
}

fn closed_in_silence(at: &At<'_>, so: &str) -> Fault {
    let (place, port) = (at.place(), at.port);
    Fault::new(
        Cause::TcpClosedOnAccept,
        at.path(),
        format!(
            "{place} accepts connections and closes them even when nothing is said, so {so}: a relay without a server behind it, or a device that ends every connection, answers there; ask the service's owner whether it is up, then the firewall team which device ends TCP {port}."
        ),
    )
}

/// What would decide whether it is the name.
fn undecided(at: &At<'_>, tried: &Tried<'_>) -> String {
    let host = &at.check.target.host;
    let server_there =
        tried.clear_answer().is_some_and(|(status, body)| asks_for_tls(status, body));
    match tried.stopped().as_slice() {
        _ if server_there => format!(
            "A TLS server does answer plain HTTP at that address, so either a filter knows {host} or the server refuses it: the firewall's log decides."
        ),
        [] => format!(
            "Another server name on the same address was not tried or could not connect; one that gets through would show that the name is filtered, and the firewall's log for {host} decides."
        ),
        [one] => format!(
            "The server name {one} was ended there as well, so no rule allows either name or the server behind is down: the firewall's log for {host} decides."
        ),
        more => format!(
            "The server names {} were ended there as well, so no rule allows any of them or the server behind is down: the firewall's log for {host} decides.",
            list(more)
        ),
    }
}

/// Another name gets through where the real one does not.
fn names_filtered(
    at: &At<'_>,
    how: &str,
    (name, end, elapsed): (&Host, &HandshakeEnd, Elapsed),
) -> Fault {
    let (place, port, host) = (at.place(), at.port, &at.check.target.host);
    let shown = match end {
        HandshakeEnd::Completed(Some(subject)) => format!(" (certificate {subject})"),
        HandshakeEnd::Failed(TlsFailure::Alert { code, .. }) => {
            format!(" (the server answers it with TLS alert {code})")
        }
        _ => String::new(),
    };
    let what = if host.name().is_some() { "with its own name" } else { "without a server name" };
    let near = something_near(at.connect, elapsed, "a whole handshake came through only")
        .map(|near| format!(" {near}"))
        .unwrap_or_default();
    Fault::new(
        Cause::TlsSniBlocked,
        at.path(),
        format!(
            "{place} was {how} the TLS greeting {what}, while the name {name} gets through on the same address{shown}: a filter of server names stands in between; ask the firewall team for an application rule that allows HTTPS:{port} to {host}. Should its log show no denial of {host}, ask whether the firewall itself can reach it.{near}"
        ),
    )
}

// ----------------------------------------------------------------------- greeting not answered

/// The handshake did not complete in time.
pub(super) fn unanswered(at: &At<'_>, tls: &TlsObservation) -> Fault {
    let tried = Tried::at(at);
    let small = tried.small().is_some_and(spoke);
    let greetings = tried.greetings();
    // A whole handshake with another name needs large packets too; an alert does not.
    let whole = tried.through().filter(|(_, end, _)| matches!(end, HandshakeEnd::Completed(_)));
    let own_heard = matches!(greetings, Some(Greetings::BothArrive | Greetings::LargeLost));
    let through = if own_heard { whole } else { tried.through() };
    if let Some(through) = through.filter(|_| !small) {
        return names_filtered(at, "left unanswered after", through);
    }
    let size_decides = small || tried.no_small() && greetings == Some(Greetings::LargeLost);
    let begin = format!(
        "{} accepted TCP and did not complete a TLS handshake within {:.1} s",
        at.place(),
        tls.elapsed.seconds()
    );
    let (cause, end) = if size_decides && whole.is_none() {
        (Cause::TlsMtuBlackhole, large_packets_lost(at, small, greetings))
    } else if small {
        (Cause::TlsTimeout, "; moments later its own name and another one got through, so rather something is slow or loses packets than filters: ask the service's owner about load and the network team about packet loss.".to_owned())
    } else {
        (Cause::TlsTimeout, left_open(at, &tried, greetings))
    };
    Fault::new(cause, at.path(), format!("{begin}{end}"))
}

/// The size of packets decides: which way they are lost, and whom to ask for what.
fn large_packets_lost(at: &At<'_>, small: bool, greetings: Option<Greetings>) -> String {
    let clamp = "ask the network team to clamp the TCP MSS on that path (1350, say) and to let ICMP \"fragmentation needed\" through";
    match (small, greetings) {
        (true, Some(Greetings::BothArrive)) => format!(
            ", but does answer one with small TCP segments: large packets from there to here are lost, while a TLS greeting too large for one packet does arrive there; {clamp} to {}, which sends them.",
            at.ip
        ),
        (true, Some(Greetings::LargeLost)) => format!(
            ", but does answer one with small TCP segments: large packets are lost both ways, as of two greetings it answers only the one that fits into one packet (toward it, a device that drops greetings of two packets looks the same); {clamp} both ways."
        ),
        (true, _) => format!(
            ", but does answer one with small TCP segments: large packets are lost on the way; {clamp}."
        ),
        (false, _) => format!(
            ", and of two greetings that it should refuse it answers only the one that fits into one packet: large packets are lost on the way, or a device drops greetings of two packets; {clamp}, and the firewall team about such a device."
        ),
    }
}

/// What was tried in vain, and what would decide.
fn left_open(at: &At<'_>, tried: &Tried<'_>, greetings: Option<Greetings>) -> String {
    let host = &at.check.target.host;
    let (names, small) = (tried.stopped(), !tried.no_small());
    let mut also: Vec<String> =
        names.iter().map(|name| format!("the server name {name}")).collect();
    also.extend(small.then(|| "small TCP segments (path MTU)".to_owned()));
    let in_vain = if also.is_empty() {
        String::new()
    } else {
        format!("{} did not help either, ", also.join(" and "))
    };
    match greetings {
        Some(Greetings::LargeLost) => format!(
            "; {in_vain}but of two greetings that it should refuse it answers only the one that fits into one packet, so large packets to it are lost or a device drops greetings of two packets: ask the network team about path MTU, then the firewall team about such a device."
        ),
        Some(Greetings::BothArrive) if small => format!(
            "; {in_vain}while greetings of any size that it should refuse are answered, so something that speaks TLS is there and the size of packets is not the fault: ask the firewall team whether it ends TLS and reaches the server, then the service's owner about load."
        ),
        Some(Greetings::BothArrive) => format!(
            "; {in_vain}while greetings of any size that it should refuse are answered, so either its own large answer is lost on the way here (path MTU) or it is stuck: ask the network team, then the service's owner. Small TCP segments were not tried; they would tell."
        ),
        _ if also.is_empty() => "; something on the way swallows it, so ask the firewall team about TLS inspection and path MTU. Another server name and small TCP segments were not tried; they would tell a filter of names and a lost large packet apart.".to_owned(),
        _ => format!(
            "; {in_vain}so the likelier cause is a firewall that accepts for a server it cannot reach, or a mute server: ask the firewall team whether it reaches that server, then the service's owner. The firewall's log for {host} decides."
        ),
    }
}

// --------------------------------------------------------------------- something else answered

/// What came back is not TLS.
pub(super) fn not_tls(at: &At<'_>, bytes: &str) -> Fault {
    let (place, port, host) = (at.place(), at.port, &at.check.target.host);
    let clear = Tried::at(at).clear_answer();
    let opening = status_of(bytes).map(|status| (status, ""));
    let denied =
        [clear, opening].into_iter().flatten().find(|(s, body)| is_firewall_deny(*s, body));
    if let Some((status, _)) = denied {
        return Fault::new(
            Cause::HttpFirewallDeny,
            at.path(),
            format!(
                "The firewall answered for {place} in clear text and denied it (HTTP {status}); ask the firewall team for an application rule that allows HTTPS:{port} to {host}."
            ),
        );
    }
    let also = clear.map_or_else(String::new, |(status, _)| {
        format!(", and a plain HTTP request with HTTP {status}")
    });
    Fault::new(
        Cause::NotTls,
        at.path(),
        format!(
            "{place} answered the TLS greeting with something else (\"{bytes}\"){also}; ask the firewall team what answers there."
        ),
    )
}

/// The status of an HTTP answer by its beginning.
fn status_of(opening: &str) -> Option<u16> {
    opening.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

// --------------------------------------------------------------------------------------- timing

/// A round trip that is so many times as long as the connect, and longer by so much, did not go
/// the same way.
const NEAR_RATIO: u32 = 8;
const NEAR_DIFFERENCE: Duration = Duration::from_millis(30);

/// Whether something much nearer than the server answered the connect: then it ends TCP for it.
fn something_near(connect: Elapsed, later: Elapsed, what: &str) -> Option<String> {
    let near = later.0 >= connect.0 * NEAR_RATIO && later.0 >= connect.0 + NEAR_DIFFERENCE;
    near.then(|| {
        format!(
            "TCP stood after {:.1} ms and {what} after {:.0} ms, which points at something near that accepts connections for the server.",
            connect.seconds() * 1e3,
            later.seconds() * 1e3
        )
    })
}
