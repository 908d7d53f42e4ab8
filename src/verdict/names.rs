//! Judges what a name resolves to: the answer itself, and whether it is the private endpoint.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::{Context, Fault, Warning};
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::model::{Expect, Host};
use crate::observation::{
    Answer, DnsFailure, DnsObservation, Exchange, ExchangeOutcome, LocalTrouble, Rcode,
    ServerObservation,
};
use crate::resolution::{Resolution, effective, privatelink_zone};

/// What the judgement of the name came to.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) fault: Option<Fault>,
    pub(super) warnings: Vec<Warning>,
}

/// Judges the name of a check.
pub(super) fn judge(check: &Check, context: Context<'_>, dns: Option<&DnsObservation>) -> Names {
    let (Some(dns), Host::Name(name)) = (dns, &check.target.host) else {
        return Names { fault: literal(check, context), warnings: Vec::new() };
    };
    let resolution = effective(dns);
    let fault = match &resolution {
        Resolution::HostsFile(_) => None,
        Resolution::Server(server) => unusable(check, context, name, dns, server),
        Resolution::Nobody => Some(no_answer(name, dns)),
    };
    let addresses = resolution.addresses();
    let fault = fault.or_else(|| {
        let found = Found { name, addresses: &addresses, dns, resolution: &resolution };
        sinkhole(name, &addresses)
            .or_else(|| expectation(check, context, &found))
            .map(|fault| of_hosts_file(fault, &found))
    });
    let mut warnings = Vec::new();
    if fault.is_none() {
        warnings.extend(overridden(name, dns));
        warnings.extend(disagreement(context, name, dns));
        warnings.extend(server_down(name, dns));
    }
    Names { fault, warnings }
}

/// An IP literal resolves to itself; only its kind of address can be wrong.
fn literal(check: &Check, context: Context<'_>) -> Option<Fault> {
    let Host::Ip(ip) = check.target.host else { return None };
    let private = context.network.is_private(ip);
    let host = check.target.authority();
    match check.expectation.expect {
        Expect::Private if !private => Some(Fault::new(
            Cause::PrivateEndpointMissing,
            Culprit::Name(host.clone()),
            format!(
                "{host} is a public address where a private one is expected; check the target."
            ),
        )),
        Expect::Public if private => Some(Fault::new(
            Cause::PublicExpectedButPrivate,
            Culprit::Name(host.clone()),
            format!(
                "{host} is a private address where a public one is expected; check the target."
            ),
        )),
        _ => None,
    }
}

fn servers_of(dns: &DnsObservation) -> Vec<SocketAddr> {
    dns.configured().map(|server| server.server).collect()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Addresses of servers without the usual port.
pub(crate) fn server_names(servers: &[SocketAddr]) -> String {
    list(servers.iter().map(|s| if s.port() == 53 { s.ip().to_string() } else { s.to_string() }))
}

// ----------------------------------------------------------------------------- no answer at all

fn no_answer(name: &str, dns: &DnsObservation) -> Fault {
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
    let worst = dns.configured().map(silence).max().unwrap_or_default();
    // Only the servers that did what is told of them.
    let same = |one: &Silence| std::mem::discriminant(one) == std::mem::discriminant(&worst);
    let servers: Vec<SocketAddr> =
        dns.configured().filter(|server| same(&silence(server))).map(|s| s.server).collect();
    let who = server_names(&servers);
    let culprit = Culprit::DnsServers(servers);
    match worst {
        Silence::Exhausted => Fault::new(
            Cause::LocalExhausted,
            Culprit::Machine,
            format!(
                "This machine ran out of sockets or ports before it could look up {name}; raise its limits or probe less at a time."
            ),
        ),
        Silence::NoNetwork => Fault::new(
            Cause::LocalNoNetwork,
            Culprit::Machine,
            format!(
                "This machine has no route to its DNS server {who}, so {name} was not looked up; bring its network up."
            ),
        ),
        Silence::Timeout => Fault::new(
            Cause::DnsTimeout,
            culprit,
            format!(
                "DNS server {who} did not answer for {name}; ask the DNS team whether it runs and the firewall team to allow UDP and TCP 53 to it."
            ),
        ),
        Silence::Unreachable => Fault::new(
            Cause::DnsUnreachable,
            culprit,
            format!(
                "Nothing listens for DNS at {who} (an error came back for {name}); correct this machine's DNS servers or start that server."
            ),
        ),
        Silence::Refused => Fault::new(
            Cause::DnsRefused,
            culprit,
            format!(
                "DNS server {who} refused to answer for {name}; ask the DNS team to allow this machine's subnet."
            ),
        ),
        Silence::ServFail(what) => Fault::new(
            Cause::DnsServfail,
            culprit,
            format!(
                "DNS server {who} answered {what} for {name}; ask the DNS team to check its forwarder for that zone."
            ),
        ),
        Silence::TcpBlocked => Fault::new(
            Cause::DnsTcpBlocked,
            culprit,
            format!(
                "The answer for {name} needs TCP, and TCP 53 to {who} fails; ask the firewall team to allow TCP 53 to it."
            ),
        ),
    }
}

/// How a question ended without a usable answer, the most telling last.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Silence {
    #[default]
    NoNetwork,
    Exhausted,
    Timeout,
    Unreachable,
    Refused,
    ServFail(String),
    TcpBlocked,
}

/// How a server that does not decide kept silent: the more telling of its two questions.
fn silence(server: &ServerObservation) -> Silence {
    [&server.a, &server.aaaa].into_iter().filter_map(rank).max().unwrap_or_default()
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "no route to it",
            Self::Exhausted => "no socket left",
            Self::Timeout => "no answer",
            Self::Unreachable => "nothing listens there",
            Self::Refused => "REFUSED",
            Self::ServFail(what) => what,
            Self::TcpBlocked => "TCP 53 fails",
        })
    }
}

/// Nothing for an answer that says whether the name exists.
fn rank(exchange: &Exchange) -> Option<Silence> {
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
            DnsFailure::Malformed(_) => Silence::ServFail("something that is not DNS".to_owned()),
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
        return Some(Fault::new(
            Cause::DnsCnameLoop,
            Culprit::Name(name.to_owned()),
            format!(
                "The aliases of {name} lead in a circle at DNS server {who} ({}); ask the DNS team to correct the CNAME records.",
                chain_text(answer)
            ),
        ));
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

// ------------------------------------------------------------------------------- expectations

/// A name that resolved.
struct Found<'a> {
    name: &'a str,
    addresses: &'a [IpAddr],
    dns: &'a DnsObservation,
    resolution: &'a Resolution<'a>,
}

fn expectation(check: &Check, context: Context<'_>, found: &Found<'_>) -> Option<Fault> {
    match check.expectation.expect {
        Expect::Private => private(check, context, found),
        Expect::Public => {
            let ip = found.addresses.iter().find(|ip| context.network.is_private(**ip))?;
            Some(Fault::new(
                Cause::PublicExpectedButPrivate,
                Culprit::Name(found.name.to_owned()),
                format!(
                    "{} resolves to the private address {ip}, but this host is on the public internet; ask the DNS team to remove the record.",
                    found.name
                ),
            ))
        }
        Expect::Any => declared(check, found),
    }
}

/// What the hosts file says wrongly is not for the DNS team to mend.
fn of_hosts_file(fault: Fault, found: &Found<'_>) -> Fault {
    match found.resolution {
        Resolution::HostsFile(_) => Fault {
            cause: Cause::HostsFileOverride,
            culprit: Culprit::Name(found.name.to_owned()),
            summary: format!(
                "The hosts file of this machine gives {} for {}, which is not as expected; remove that line.",
                list(found.addresses),
                found.name
            ),
            ..fault
        },
        _ => fault,
    }
}

fn private(check: &Check, context: Context<'_>, found: &Found<'_>) -> Option<Fault> {
    let Found { name, addresses, .. } = found;
    let public: Vec<IpAddr> =
        addresses.iter().copied().filter(|ip| !context.network.is_private(*ip)).collect();
    if public.is_empty() {
        return declared(check, found).or_else(|| outside_subnets(check, context, found));
    }
    if public.len() < addresses.len() {
        return Some(Fault::new(
            Cause::PrivateMixed,
            Culprit::Name((*name).to_owned()),
            format!(
                "{name} resolves to private and public addresses at once ({}); ask the DNS team to leave only the private endpoint's.",
                list(*addresses)
            ),
        ));
    }
    let Resolution::Server(server) = found.resolution else {
        return Some(Fault::new(
            Cause::PrivateEndpointMissing,
            Culprit::Name((*name).to_owned()),
            format!("{name} is the public address {} here.", list(&public)),
        ));
    };
    let who = server_names(&[server.server]);
    if privately_at_reference(context, found.dns).is_some() {
        return forwarder_missing(check, context, name, found.dns, &who);
    }
    Some(match privatelink_zone(server.chain()) {
        Some(zone) => Fault::new(
            Cause::PrivateZoneNotLinked,
            Culprit::Zone(zone.clone()),
            format!(
                "{name} has a private endpoint but resolves to the public address {} here; ask the DNS team to link the private zone {zone} to the network of DNS server {who}.",
                list(&public)
            ),
        ),
        None => Fault::new(
            Cause::PrivateEndpointMissing,
            Culprit::Name((*name).to_owned()),
            format!(
                "{name} resolves to the public address {} and its aliases pass no privatelink name; ask the workspace's owner to create or approve the private endpoint.",
                list(&public)
            ),
        ),
    })
}

/// The reference server's addresses, when it was asked and answers privately.
fn privately_at_reference(context: Context<'_>, dns: &DnsObservation) -> Option<Vec<IpAddr>> {
    let addresses = dns.reference()?.addresses();
    let private =
        !addresses.is_empty() && addresses.iter().all(|ip| context.network.is_private(*ip));
    private.then_some(addresses)
}

fn forwarder_missing(
    check: &Check,
    context: Context<'_>,
    name: &str,
    dns: &DnsObservation,
    who: &str,
) -> Option<Fault> {
    let private = privately_at_reference(context, dns)?;
    let reference = dns.reference()?;
    let zone = privatelink_zone(reference.chain()).or_else(|| check.expectation.zone.clone());
    let forwarded = public_zone(name, zone.as_deref());
    Some(Fault::new(
        Cause::PrivateForwarderMissing,
        Culprit::DnsServers(servers_of(dns)),
        format!(
            "Azure's own DNS {} knows {name} as {}, but DNS server {who} does not; ask the DNS team for a conditional forwarder from {who} to Azure DNS for {forwarded}.",
            reference.server.ip(),
            list(&private)
        ),
    ))
}

/// The zone to forward: the public one that the private zone stands in for, else the name's parent.
fn public_zone<'a>(name: &'a str, zone: Option<&'a str>) -> &'a str {
    let below = |zone: &&str| name.strip_suffix(*zone).is_some_and(|rest| rest.ends_with('.'));
    let public = zone.and_then(|zone| zone.strip_prefix("privatelink.")).filter(below);
    let parent = || name.split_once('.').map_or(name, |(_, parent)| parent);
    public.unwrap_or_else(parent)
}

fn declared(check: &Check, found: &Found<'_>) -> Option<Fault> {
    let expected = &check.expectation.declared;
    if expected.is_empty() || found.addresses.iter().all(|ip| expected.contains(ip)) {
        return None;
    }
    let name = found.name;
    Some(Fault::new(
        Cause::PrivateAddressMismatch,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} resolves to {}, but its private endpoint is declared as {}; ask the DNS team to correct the stale record.",
            list(found.addresses),
            list(expected)
        ),
    ))
}

fn outside_subnets(check: &Check, context: Context<'_>, found: &Found<'_>) -> Option<Fault> {
    let subnets = match check.expectation.subnets.as_slice() {
        [] => &context.network.endpoint_subnets,
        _ => &check.expectation.subnets,
    };
    let name = found.name;
    let inside = |ip: &IpAddr| subnets.iter().any(|net| net.contains(ip));
    let outside = found.addresses.iter().find(|ip| !inside(ip)).filter(|_| !subnets.is_empty())?;
    Some(Fault::new(
        Cause::PrivateOutsideSubnet,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} resolves to {outside}, which is private but outside the endpoint subnets {}; ask the DNS team whose endpoint that record names.",
            list(subnets)
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

fn server_down(name: &str, dns: &DnsObservation) -> Option<Warning> {
    let (up, down): (Vec<_>, Vec<_>) = dns.configured().partition(|server| server.decides());
    let down: Vec<(SocketAddr, Silence)> = down
        .into_iter()
        .map(|server| (server.server, silence(server)))
        // What this machine could not send is no fault of the server.
        .filter(|(_, how)| !matches!(how, Silence::NoNetwork | Silence::Exhausted))
        .collect();
    if up.is_empty() || down.is_empty() {
        return None;
    }
    let who =
        list(down.iter().map(|(server, how)| format!("{} ({how})", server_names(&[*server]))));
    Some(Warning {
        cause: Cause::DnsServerDown,
        culprit: Culprit::DnsServers(down.into_iter().map(|(server, _)| server).collect()),
        summary: format!(
            "DNS server {who} does not resolve {name} while another one does, so lookups are slow or fail now and then; ask the DNS team to repair or remove it."
        ),
    })
}
