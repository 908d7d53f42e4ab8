//! Judges what the DNS servers said of a name; `private` judges whether that is as expected.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::private::{
    Found, expectation, forwarder_missing, literal, of_hosts_file, privately_at_reference,
};
use super::{Context, Fault, Warning, late};
use crate::cause::Cause;
use crate::check::Check;
pub(super) use crate::culprit::server_names;
use crate::finding::Culprit;
use crate::model::{Expect, Host};
use crate::observation::{
    Answer, ConnectFailure, DnsFailure, DnsObservation, Exchange, ExchangeOutcome, Experiment,
    LocalTrouble, NetworkError, Observation, Rcode, ServerObservation, Trial,
};
use crate::resolution::{Resolution, effective, privatelink_zone};

/// What the judgement of the name came to.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) fault: Option<Fault>,
    pub(super) warnings: Vec<Warning>,
}

/// Judges the name of a check.
pub(super) fn judge(check: &Check, context: Context<'_>, seen: &Observation) -> Names {
    let name = match &check.target.host {
        Host::Ip(ip) => return Names { fault: literal(check, context, *ip), warnings: Vec::new() },
        Host::Name(name) => name,
    };
    let Some(dns) = &seen.dns else { return Names::default() };
    let resolution = effective(dns);
    let fault = match &resolution {
        Resolution::HostsFile(_) => None,
        Resolution::Server(server) => unusable(check, context, name, dns, server),
        Resolution::Nobody => Some(no_answer(name, dns, seen)),
    };
    let addresses = resolution.addresses();
    let fault = fault.or_else(|| {
        let found = Found { name, addresses: &addresses, dns, resolution: &resolution };
        sinkhole(name, &addresses)
            .or_else(|| expectation(check, context, &found))
            .map(|fault| of_hosts_file(fault, &found))
    });
    let overridden = overridden(name, dns).filter(|_| fault.is_none());
    // Worth knowing beside a fault as well: another server may have the answer.
    let warnings = [overridden, disagreement(context, name, dns), server_down(name, dns, seen)];
    Names { fault, warnings: warnings.into_iter().flatten().collect() }
}

pub(super) fn servers_of(dns: &DnsObservation) -> Vec<SocketAddr> {
    dns.configured().map(|server| server.server).collect()
}

pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

// ----------------------------------------------------------------------------- no answer at all

fn no_answer(name: &str, dns: &DnsObservation, seen: &Observation) -> Fault {
    let (experiments, stalled) = (&seen.experiments, seen.stalled.0);
    let silence = |server: &ServerObservation| silence(server, stalled);
    let servers = servers_of(dns);
    if servers.is_empty() {
        return Fault::new(
            Cause::LocalNoResolver,
            Culprit::Machine,
            format!(
                "This machine has no DNS server, so {name} was not looked up; set one in /etc/resolv.conf or in [dns] servers."
            ),
        );
    }
    // bind says SERVFAIL of a circle and shows it all the same.
    let circle = dns.configured().find_map(|server| {
        server.best_answer().filter(|answer| answer.chain_loops).map(|answer| (server, answer))
    });
    if let Some((server, answer)) = circle {
        return in_a_circle(name, server, answer);
    }
    let worst = dns.configured().map(&silence).max().unwrap_or_default();
    // Only the servers that did what is told of them.
    let same = |one: &Silence| std::mem::discriminant(one) == std::mem::discriminant(&worst);
    let servers: Vec<SocketAddr> =
        dns.configured().filter(|server| same(&silence(server))).map(|s| s.server).collect();
    let who = server_names(&servers);
    let tcp = OverTcp::of(&servers, experiments);
    let mut answering = servers.clone();
    answering.retain(|server| OverTcp::of(&[*server], experiments) == OverTcp::Answers);
    let answering = server_names(&answering);
    let culprit = Culprit::DnsServers(servers);
    match worst {
        Silence::Exhausted => Fault::new(
            Cause::LocalExhausted,
            Culprit::Machine,
            format!(
                "This machine ran out of sockets or ports before it could look up {name}; raise its limits or probe less at a time."
            ),
        ),
        Silence::Late => {
            late::fault(&format!("DNS server {who} did not answer for {name}"), stalled)
        }
        Silence::NoNetwork => Fault::new(
            Cause::LocalNoNetwork,
            Culprit::Machine,
            format!(
                "This machine has no route to its DNS server {who}, so {name} was not looked up; bring its network up."
            ),
        ),
        Silence::Timeout => {
            Fault::new(Cause::DnsTimeout, culprit, silent(name, &who, tcp, &answering))
        }
        Silence::Unreachable => {
            Fault::new(Cause::DnsUnreachable, culprit, unreachable(name, &who, tcp, &answering))
        }
        Silence::Refused => Fault::new(
            Cause::DnsRefused,
            culprit,
            format!(
                "DNS server {who} refused to answer for {name}; ask the DNS team to allow this machine's subnet."
            ),
        ),
        Silence::ServFail(what) => {
            Fault::new(Cause::DnsServfail, culprit, odd(name, &who, &what, tcp))
        }
        Silence::TcpBlocked => Fault::new(
            Cause::DnsTcpBlocked,
            culprit,
            format!(
                "The answer for {name} needs TCP, and TCP 53 to {who} fails; ask the firewall team to allow TCP 53 to it."
            ),
        ),
    }
}

fn silent(name: &str, who: &str, tcp: OverTcp, answering: &str) -> String {
    match tcp {
        OverTcp::Answers => format!(
            "DNS server {answering} answers for {name} over TCP but not over UDP, so it runs and UDP 53 is dropped on the way; ask the firewall team to allow UDP 53 to it. If it answers other names over UDP, its forwarder is slow instead: ask the DNS team."
        ),
        OverTcp::Refuses => format!(
            "DNS server {who} did not answer for {name} over UDP and refuses TCP 53: the way to the machine is open, so ask the DNS team whether its DNS service runs."
        ),
        OverTcp::Fails => format!(
            "DNS server {who} did not answer for {name}, neither over UDP nor over TCP; ask the DNS team whether it runs and the firewall team to allow UDP and TCP 53 to it."
        ),
        OverTcp::Untried => format!(
            "DNS server {who} did not answer for {name}; ask the DNS team whether it runs and the firewall team to allow UDP and TCP 53 to it."
        ),
    }
}

fn unreachable(name: &str, who: &str, tcp: OverTcp, answering: &str) -> String {
    if tcp == OverTcp::Answers {
        return format!(
            "DNS server {answering} answers for {name} over TCP but not over UDP, for which an error comes back; ask the DNS team whether it listens on UDP 53 and the firewall team to allow UDP 53 to it."
        );
    }
    format!(
        "Nothing listens for DNS at {who} (an error came back for {name}); correct this machine's DNS servers or start that server."
    )
}

fn odd(name: &str, who: &str, what: &str, tcp: OverTcp) -> String {
    if tcp == OverTcp::Answers && what == NOT_DNS {
        return format!(
            "DNS server {who} answered {what} for {name} over UDP and answers properly over TCP, so something on the way answers UDP 53 in its place; ask the firewall team what intercepts DNS."
        );
    }
    format!(
        "DNS server {who} answered {what} for {name}; ask the DNS team to check its forwarder for that zone."
    )
}

/// What came of asking the same servers over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OverTcp {
    Untried,
    Fails,
    Refuses,
    Answers,
}

impl OverTcp {
    /// One server that does better over TCP than the others shows what is the matter.
    fn of(servers: &[SocketAddr], experiments: &[Experiment]) -> Self {
        let outcomes = || {
            experiments.iter().filter_map(|one| match &one.trial {
                Trial::DnsOverTcp { server, outcome } if servers.contains(server) => Some(outcome),
                _ => None,
            })
        };
        let refused = DnsFailure::TcpFailed(ConnectFailure::Network(NetworkError::Refused));
        let refused = ExchangeOutcome::Failed(refused);
        if outcomes().any(|outcome| matches!(outcome, ExchangeOutcome::Answer(_))) {
            Self::Answers
        } else if outcomes().any(|outcome| *outcome == refused) {
            Self::Refuses
        } else if outcomes().next().is_some() {
            Self::Fails
        } else {
            Self::Untried
        }
    }
}

/// What a server answered whose answer cannot be read.
const NOT_DNS: &str = "something that is not DNS";

/// How a question ended without a usable answer, the most telling last.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Silence {
    #[default]
    NoNetwork,
    Exhausted,
    Late,
    Timeout,
    Unreachable,
    Refused,
    ServFail(String),
    TcpBlocked,
}

/// How a server that does not decide kept silent: the more telling of its two questions.
fn silence(server: &ServerObservation, stalled: Duration) -> Silence {
    let both = [&server.a, &server.aaaa].into_iter();
    both.filter_map(|exchange| rank(exchange, stalled)).max().unwrap_or_default()
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "no route to it",
            Self::Exhausted => "no socket left",
            Self::Late => "no answer in time",
            Self::Timeout => "no answer",
            Self::Unreachable => "nothing listens there",
            Self::Refused => "REFUSED",
            Self::ServFail(what) => what,
            Self::TcpBlocked => "TCP 53 fails",
        })
    }
}

/// Nothing for an answer that says whether the name exists.
fn rank(exchange: &Exchange, stalled: Duration) -> Option<Silence> {
    if late::is_late(exchange, stalled) {
        return Some(Silence::Late);
    }
    Some(match &exchange.outcome {
        ExchangeOutcome::Answer(answer) => match answer.rcode {
            Rcode::Refused => Silence::Refused,
            Rcode::ServFail => Silence::ServFail("SERVFAIL".to_owned()),
            Rcode::Other(code) => Silence::ServFail(format!("response code {code}")),
            Rcode::NoError | Rcode::NxDomain => return None,
        },
        ExchangeOutcome::Failed(failure) => match failure {
            DnsFailure::Timeout => Silence::Timeout,
            DnsFailure::Unreachable(_) => Silence::Unreachable,
            DnsFailure::TcpFailed(_) => Silence::TcpBlocked,
            DnsFailure::Malformed(_) => Silence::ServFail(NOT_DNS.to_owned()),
            DnsFailure::Local(LocalTrouble::Exhausted) => Silence::Exhausted,
            DnsFailure::Local(_) => Silence::NoNetwork,
        },
    })
}

// ------------------------------------------------------------------------ an answer of no use

/// An answer without an address: what is wrong with it.
fn unusable(
    check: &Check,
    context: Context<'_>,
    name: &str,
    dns: &DnsObservation,
    server: &ServerObservation,
) -> Option<Fault> {
    let answer = server.best_answer()?;
    if !answer.addresses.is_empty() {
        return None;
    }
    let who = server_names(&[server.server]);
    if answer.chain_loops {
        return Some(in_a_circle(name, server, answer));
    }
    if check.expectation.expect == Expect::Private && privately_at_reference(context, dns).is_some()
    {
        return forwarder_missing(check, context, name, dns, &who);
    }
    let nothing = match answer.rcode {
        Rcode::NxDomain => "no such name (NXDOMAIN)",
        _ => "no address (NODATA)",
    };
    // Where the chain goes on behind the privatelink name, it was the public one that ended.
    let end = answer.chain.last().map(std::slice::from_ref).unwrap_or_default();
    if let Some(zone) = privatelink_zone(end) {
        let record = answer.chain.last().map_or(name, |alias| alias.to.as_str());
        return Some(Fault::new(
            Cause::PrivateRecordMissing,
            Culprit::Zone(zone.clone()),
            format!(
                "The private zone {zone} is linked but has no record for {name} ({who} says {nothing} for {record}); ask the DNS team to add the private endpoint's A record."
            ),
        ));
    }
    if !answer.chain.is_empty() {
        return Some(Fault::new(
            Cause::DnsCnameDangling,
            Culprit::Name(name.to_owned()),
            format!(
                "{name} is an alias of a name that has no address ({}; {who} says {nothing}); ask the DNS team to correct it.",
                chain_text(answer)
            ),
        ));
    }
    let (cause, said) = match answer.rcode {
        Rcode::NxDomain => (Cause::DnsNxdomain, "does not exist (NXDOMAIN)"),
        _ => (Cause::DnsNodata, "exists but has no address (NODATA)"),
    };
    Some(Fault::new(
        cause,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} {said} according to DNS server {who}; check the spelling and region, then ask the DNS team for the record or a forwarder."
        ),
    ))
}

fn in_a_circle(name: &str, server: &ServerObservation, answer: &Answer) -> Fault {
    Fault::new(
        Cause::DnsCnameLoop,
        Culprit::Name(name.to_owned()),
        format!(
            "The aliases of {name} lead in a circle at DNS server {} ({}); ask the DNS team to correct the CNAME records.",
            server_names(&[server.server]),
            chain_text(answer)
        ),
    )
}

fn chain_text(answer: &Answer) -> String {
    let mut names: Vec<&str> =
        answer.chain.first().map(|alias| alias.from.as_str()).into_iter().collect();
    names.extend(answer.chain.iter().map(|alias| alias.to.as_str()));
    names.join(" → ")
}

fn sinkhole(name: &str, addresses: &[IpAddr]) -> Option<Fault> {
    let local = name == "localhost" || name.ends_with(".localhost");
    let hole = addresses.iter().find(|ip| ip.is_unspecified() || (ip.is_loopback() && !local))?;
    Some(Fault::new(
        Cause::DnsSinkhole,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} resolves to {hole}, which leads nowhere; a DNS filter blocks the name, so ask the DNS team to allow it."
        ),
    ))
}

// ----------------------------------------------------------------------------------- warnings

fn overridden(name: &str, dns: &DnsObservation) -> Option<Warning> {
    let from_dns: BTreeSet<IpAddr> =
        dns.configured().find(|s| s.decides())?.addresses().into_iter().collect();
    let from_file: BTreeSet<IpAddr> = dns.hosts_file.iter().copied().collect();
    if from_file.is_empty() || from_dns.is_empty() || from_file == from_dns {
        return None;
    }
    Some(Warning {
        cause: Cause::HostsFileOverride,
        culprit: Culprit::Name(name.to_owned()),
        summary: format!(
            "The hosts file of this machine gives {} for {name} where DNS gives {}; remove the line once DNS is right.",
            list(&from_file),
            list(&from_dns)
        ),
    })
}

/// What kind of answer a server gave, for comparison: load balancers vary public addresses.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Missing,
    Public,
    Private(BTreeSet<IpAddr>),
}

fn disagreement(context: Context<'_>, name: &str, dns: &DnsObservation) -> Option<Warning> {
    let classify = |server: &ServerObservation| {
        let addresses: BTreeSet<IpAddr> = server.addresses().into_iter().collect();
        match addresses.iter().all(|ip| context.network.is_private(*ip)) {
            _ if addresses.is_empty() => Class::Missing,
            true => Class::Private(addresses),
            false => Class::Public,
        }
    };
    let deciding: Vec<&ServerObservation> = dns.configured().filter(|s| s.decides()).collect();
    let classes: BTreeSet<Class> = deciding.iter().map(|s| classify(s)).collect();
    if classes.len() < 2 {
        return None;
    }
    let said: Vec<String> = deciding
        .iter()
        .map(|s| {
            let addresses = s.addresses();
            let answer =
                if addresses.is_empty() { "no address".to_owned() } else { list(addresses) };
            format!("{} says {answer}", server_names(&[s.server]))
        })
        .collect();
    let servers: Vec<SocketAddr> = deciding.iter().map(|s| s.server).collect();
    Some(Warning {
        cause: Cause::DnsServersDisagree,
        culprit: Culprit::DnsServers(servers),
        summary: format!(
            "The DNS servers disagree on {name}: {}; ask the DNS team to give all of them the same forwarders and zones.",
            said.join(", ")
        ),
    })
}

fn server_down(name: &str, dns: &DnsObservation, seen: &Observation) -> Option<Warning> {
    let (up, down): (Vec<_>, Vec<_>) = dns.configured().partition(|server| server.decides());
    let down: Vec<(SocketAddr, Silence)> = down
        .into_iter()
        .map(|server| (server.server, silence(server, seen.stalled.0)))
        // What this machine could not send or was too slow for is no fault of the server.
        .filter(|(_, how)| !matches!(how, Silence::NoNetwork | Silence::Exhausted | Silence::Late))
        .collect();
    if up.is_empty() || down.is_empty() {
        return None;
    }
    let who = list(down.iter().map(|(server, how)| {
        let but = match OverTcp::of(&[*server], &seen.experiments) {
            OverTcp::Answers => " over UDP, but it answers over TCP",
            _ => "",
        };
        format!("{} ({how}{but})", server_names(&[*server]))
    }));
    Some(Warning {
        cause: Cause::DnsServerDown,
        culprit: Culprit::DnsServers(down.into_iter().map(|(server, _)| server).collect()),
        summary: format!(
            "DNS server {who} does not resolve {name} while another one does, so lookups are slow or fail now and then; ask the DNS team to repair or remove it."
        ),
    })
}
