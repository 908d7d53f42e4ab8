//! One fault, one finding: what the checks name differently but is one thing, and what only follows
//! from another fault. Every rule renames what a check blames; none adds or drops a check.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Share;
use crate::cause::Cause;
use crate::culprit::Culprit;
use crate::limits;
use crate::model::{Expect, Layer, Status};
use crate::observation::{
    CertificateFacts, Climb, ClimbOutcome, ConnectFailure, NetworkError, TlsFailure, TlsOutcome,
};
use crate::remedy::other_workspace_zone;
use crate::resolution::privatelink_zone;
use crate::snapshot::CheckReport;

pub(super) fn merge<'a>(shares: &mut Vec<Share<'a>>, checks: &'a [Arc<CheckReport>]) {
    if shares.is_empty() {
        return;
    }
    each_silent_server(shares);
    rejected_now_and_then(shares);
    one_server_for_many_names(shares);
    one_hosts_file(shares);
    no_zone_at_all(shares, checks);
    one_workspace_endpoint(shares);
    whole_sides(shares, checks);
    refused_port(shares, checks);
    one_name_filter(shares);
    one_inspection(shares);
    one_certificate(shares);
    one_clock(shares);
    told_by_another_server(shares);
    consequences(shares);
}

fn hosts_of<'s, 'a: 's>(
    shares: &'s [Share<'a>],
    wanted: impl Fn(&Share<'a>) -> bool,
) -> BTreeSet<String> {
    shares.iter().filter(|share| wanted(share)).map(Share::host).collect()
}

fn servers_of(report: &CheckReport) -> Vec<SocketAddr> {
    let dns = report.observation.as_ref().and_then(|o| o.dns.as_ref());
    dns.map_or_else(Vec::new, |dns| dns.configured().map(|server| server.server).collect())
}

// ----------------------------------------------------------------------------------------- names

/// Two silent servers are two faults, whichever names they were silent about.
fn each_silent_server(shares: &mut Vec<Share<'_>>) {
    let mut more = Vec::new();
    for share in shares.iter_mut().filter(|share| share.cause == Cause::DnsServerDown) {
        let Culprit::DnsServers(servers) = &share.culprit else { continue };
        let Some((first, rest)) = servers.split_first() else { continue };
        more.extend(
            rest.iter()
                .map(|server| Share { culprit: Culprit::DnsServers(vec![*server]), ..*share }),
        );
        share.culprit = Culprit::DnsServers(vec![*first]);
    }
    shares.extend(more);
}

/// Hosts and routers send only so many ICMP messages a second, so silence for some names at servers
/// that an error came back of for others is the same fault.
fn rejected_now_and_then(shares: &mut [Share<'_>]) {
    let rejecting = |share: &&Share<'_>| share.cause == Cause::DnsUnreachable;
    let servers: BTreeSet<Culprit> =
        shares.iter().filter(rejecting).map(|share| share.culprit.clone()).collect();
    let silent = |share: &&mut Share<'_>| share.cause == Cause::DnsTimeout;
    for share in shares.iter_mut().filter(silent).filter(|s| servers.contains(&s.culprit)) {
        share.cause = Cause::DnsUnreachable;
    }
}

/// A server that treats several names alike is the likelier fault than that many wrong records.
fn one_server_for_many_names(shares: &mut [Share<'_>]) {
    for cause in [
        Cause::DnsNxdomain,
        Cause::DnsSinkhole,
        Cause::PublicExpectedButPrivate,
        Cause::PrivateOutsideSubnet,
    ] {
        let hosts =
            hosts_of(shares, |s| s.cause == cause && s.report.check.target.host.name().is_some());
        if hosts.len() < limits::ALIKE_HOSTS {
            continue;
        }
        let servers: Vec<SocketAddr> = shares
            .iter()
            .filter(|share| share.cause == cause)
            .flat_map(|share| servers_of(share.report))
            .fold(Vec::new(), |mut all, server| {
                if !all.contains(&server) {
                    all.push(server);
                }
                all
            });
        for share in shares.iter_mut().filter(|s| s.cause == cause && hosts.contains(&s.host())) {
            share.culprit = Culprit::DnsServers(servers.clone());
        }
    }
}

fn one_hosts_file(shares: &mut [Share<'_>]) {
    if hosts_of(shares, |s| s.cause == Cause::HostsFileOverride).len() > 1 {
        for share in shares.iter_mut().filter(|s| s.cause == Cause::HostsFileOverride) {
            share.culprit = Culprit::Machine;
        }
    }
}

/// Where no private zone at all is seen, not each zone but the server is at fault.
fn no_zone_at_all(shares: &mut [Share<'_>], checks: &[Arc<CheckReport>]) {
    let unlinked = |share: &Share<'_>| share.cause == Cause::PrivateZoneNotLinked;
    let zones: BTreeSet<&Culprit> =
        shares.iter().filter(|s| unlinked(s)).map(|share| &share.culprit).collect();
    let some_seen = checks.iter().any(|report| {
        report.check.expectation.expect == Expect::Private
            && report.check.target.host.name().is_some()
            && report.verdict.as_ref().is_some_and(|v| v.resolved_private)
    });
    if zones.len() < limits::ALIKE_HOSTS || some_seen {
        return;
    }
    let servers = shares.iter().find(|s| unlinked(s)).map(|share| servers_of(share.report));
    let Some(servers) = servers else { return };
    for share in shares.iter_mut().filter(|share| unlinked(share)) {
        share.culprit = Culprit::DnsServers(servers.clone());
    }
}

/// The zones of a workspace's API and of its notebooks belong to one private endpoint.
fn one_workspace_endpoint(shares: &mut [Share<'_>]) {
    let zone_of = |share: &Share<'_>| {
        let zone = share.report.check.expectation.zone.as_deref()?;
        let other = other_workspace_zone(zone)?;
        (share.cause == Cause::PrivateEndpointMissing).then(|| zone.min(other).to_owned())
    };
    if hosts_of(shares, |share| zone_of(share).is_some()).len() > 1 {
        for share in shares.iter_mut() {
            if let Some(zone) = zone_of(share) {
                share.culprit = Culprit::Zone(zone);
            }
        }
    }
}

/// A warning about a server that a failure blames already, and servers that disagree about a name
/// whose fault is known.
fn told_by_another_server(shares: &mut [Share<'_>]) {
    let mut by_host: BTreeMap<String, (Cause, Culprit)> = BTreeMap::new();
    let mut of_servers: BTreeSet<(Cause, Culprit)> = BTreeSet::new();
    for share in shares.iter().filter(|share| share.status == Status::Fail) {
        let fault = (share.cause, share.culprit.clone());
        if share.cause.info().layer == Layer::Dns {
            by_host.entry(share.host()).or_insert_with(|| fault.clone());
        }
        if matches!(fault.1, Culprit::DnsServers(_)) {
            of_servers.insert(fault);
        }
    }
    for share in shares.iter_mut().filter(|share| share.status == Status::Warn) {
        let Culprit::DnsServers(servers) = &share.culprit else { continue };
        let blamed = |causes: &[Cause]| {
            let about = |(cause, culprit): &&(Cause, Culprit)| match culprit {
                Culprit::DnsServers(blamed) => {
                    causes.contains(cause) && servers.iter().any(|s| blamed.contains(s))
                }
                _ => false,
            };
            of_servers.iter().find(about).cloned()
        };
        let known = match share.cause {
            Cause::DnsServerDown => blamed(&[Cause::DnsTimeout, Cause::DnsUnreachable]),
            Cause::DnsServersDisagree => by_host.get(&share.host()).map_or_else(
                || blamed(&[Cause::PrivateForwarderMissing]),
                |(cause, culprit)| Some((*cause, culprit.clone())),
            ),
            _ => None,
        };
        if let Some((cause, culprit)) = known {
            share.blames(cause, &culprit);
            share.follows = true;
        }
    }
}

/// A wrong address explains whatever goes wrong at that address.
fn consequences(shares: &mut [Share<'_>]) {
    let mut by_host: BTreeMap<String, (Cause, Culprit)> = BTreeMap::new();
    let mut by_zone: BTreeMap<String, (Cause, Culprit)> = BTreeMap::new();
    for share in shares.iter().filter(|s| s.status == Status::Fail) {
        if share.cause.info().layer != Layer::Dns {
            continue;
        }
        let fault = (share.cause, share.culprit.clone());
        if share.cause == Cause::PrivateZoneNotLinked
            && let Some(zone) = passed_zone(share.report)
        {
            by_zone.entry(zone).or_insert_with(|| fault.clone());
        }
        by_host.entry(share.host()).or_insert(fault);
    }
    for share in shares.iter_mut() {
        let of_the_network =
            matches!(share.cause, Cause::Ipv6Broken | Cause::TcpSynLoss | Cause::TlsSlow);
        if share.cause.info().layer == Layer::Dns
            || share.status == Status::Unknown
            || of_the_network
        {
            continue;
        }
        let zone = || {
            let public = share.report.verdict.as_ref().is_some_and(|v| !v.resolved_private);
            passed_zone(share.report).filter(|_| public)
        };
        let fault =
            by_host.get(&share.host()).or_else(|| zone().and_then(|zone| by_zone.get(&zone)));
        if let Some((cause, culprit)) = fault.cloned() {
            share.blames(cause, &culprit);
            share.follows = true;
        }
    }
}

fn passed_zone(report: &CheckReport) -> Option<String> {
    let dns = report.observation.as_ref()?.dns.as_ref()?;
    dns.configured().find_map(|server| privatelink_zone(server.chain()))
}

// ----------------------------------------------------------------------------------------- paths

fn climbs(report: &CheckReport) -> &[Climb] {
    report.observation.as_ref().map_or(&[], |observation| observation.climbs.as_slice())
}

/// Whether somebody was heard behind this climb.
fn heard(climb: &Climb) -> bool {
    matches!(
        climb.outcome,
        ClimbOutcome::Connected { .. }
            | ClimbOutcome::NotConnected {
                failure: ConnectFailure::Network(NetworkError::Refused | NetworkError::Reset),
                ..
            }
    )
}

/// The addresses of a side are told apart by the checks that fail there; whoever connects lies on
/// the side that his check resolved to.
fn is_private_side(report: &CheckReport) -> bool {
    report.verdict.as_ref().is_some_and(|v| v.resolved_private)
}

/// Silence or no route whatever the port is one fault of the way, and so are lost packets.
fn whole_sides(shares: &mut [Share<'_>], checks: &[Arc<CheckReport>]) {
    let no_route = |share: &Share<'_>| {
        share.cause == Cause::TcpUnreachable
            && climbs(share.report).iter().any(|climb| {
                matches!(
                    climb.outcome,
                    ClimbOutcome::NotConnected {
                        failure: ConnectFailure::Network(NetworkError::NetworkUnreachable),
                        ..
                    }
                )
            })
    };
    let answers = |private: bool| {
        checks
            .iter()
            .any(|report| is_private_side(report) == private && climbs(report).iter().any(heard))
    };
    let answers = [answers(false), answers(true)];
    let silent = |share: &Share<'_>| match share.culprit {
        Culprit::Path { private, .. } => {
            share.cause == Cause::TcpTimeout
                && !answers.get(usize::from(private)).is_none_or(|a| *a)
        }
        _ => false,
    };
    let lossy = |share: &Share<'_>| matches!(share.cause, Cause::TcpSynLoss | Cause::TlsSlow);
    by_side(shares, no_route, 2);
    by_side(shares, silent, limits::ALIKE_HOSTS);
    for share in shares.iter_mut().filter(|share| lossy(share)) {
        if let Culprit::Path { private, .. } = share.culprit {
            share.culprit = Culprit::Side { private };
        }
    }
}

/// Makes one of all ports of a side, and of both sides, where that many hosts and several ports
/// agree.
fn by_side(shares: &mut [Share<'_>], wanted: impl Fn(&Share<'_>) -> bool, hosts: usize) {
    let mut sides = Vec::new();
    for side in [false, true] {
        let here = |share: &Share<'_>| {
            wanted(share)
                && matches!(share.culprit, Culprit::Path { private, .. } if private == side)
        };
        let ports: BTreeSet<&Culprit> =
            shares.iter().filter(|s| here(s)).map(|share| &share.culprit).collect();
        if ports.len() > 1 && hosts_of(shares, here).len() >= hosts {
            sides.push(side);
        }
    }
    let both = sides.len() > 1;
    for share in shares.iter_mut() {
        let Culprit::Path { private, .. } = share.culprit else { continue };
        if sides.contains(&private) && wanted(share) {
            share.culprit = if both { Culprit::Machine } else { Culprit::Side { private } };
        }
    }
}

/// A port that every host refuses is refused on the way.
fn refused_port(shares: &mut [Share<'_>], checks: &[Arc<CheckReport>]) {
    let place = |share: &Share<'_>| {
        let port = share.report.check.target.port?;
        (share.cause == Cause::TcpRefused).then(|| (port, is_private_side(share.report)))
    };
    let places: BTreeSet<(u16, bool)> = shares.iter().filter_map(place).collect();
    for (port, private) in places {
        let here = |share: &Share<'_>| place(share) == Some((port, private));
        let open = checks.iter().any(|report| {
            report.check.target.port == Some(port)
                && is_private_side(report) == private
                && climbs(report)
                    .iter()
                    .any(|climb| matches!(climb.outcome, ClimbOutcome::Connected { .. }))
        });
        if open || hosts_of(shares, here).len() < limits::ALIKE_HOSTS {
            continue;
        }
        for share in shares.iter_mut().filter(|share| here(share)) {
            share.culprit = Culprit::Path { port, private };
        }
    }
}

/// A firewall that filters names does so in both directions and on both ports.
fn one_name_filter(shares: &mut [Share<'_>]) {
    let rank = |share: &Share<'_>| match (share.cause, &share.culprit) {
        (Cause::TlsSniBlocked, Culprit::Path { .. }) => Some(3),
        (Cause::HttpFirewallDeny, Culprit::Path { .. }) => Some(2),
        (Cause::TlsClosed | Cause::HttpClosed, Culprit::Path { .. }) if !cut_midway(share) => {
            Some(1)
        }
        _ => None,
    };
    let Some(best) = shares.iter().filter_map(rank).max() else { return };
    let hosts = hosts_of(shares, |share| rank(share).is_some());
    // Cuts alone may have several reasons; many of them have one.
    if best == 1 && hosts.len() < limits::ALIKE_HOSTS {
        return;
    }
    let mut sizes: BTreeMap<(Cause, Culprit), BTreeSet<String>> = BTreeMap::new();
    for share in shares.iter().filter(|share| rank(share) == Some(best)) {
        sizes.entry((share.cause, share.culprit.clone())).or_default().insert(share.host());
    }
    let largest = sizes.into_iter().max_by(|(a, m), (b, n)| m.len().cmp(&n.len()).then(b.cmp(a)));
    let Some(((cause, culprit), _)) = largest else { return };
    for share in shares.iter_mut().filter(|share| rank(share).is_some()) {
        share.blames(cause, &culprit);
    }
}

/// The other side had begun to speak TLS, so it had accepted the name.
fn cut_midway(share: &Share<'_>) -> bool {
    let tls = share.report.observation.as_ref().and_then(|o| o.tls());
    tls.is_some_and(|tls| {
        matches!(
            tls.outcome,
            TlsOutcome::Failed(
                TlsFailure::Closed { heard: true } | TlsFailure::Reset { heard: true }
            ) | TlsOutcome::Established { .. }
        )
    })
}

// ---------------------------------------------------------------------------------- certificates

/// The issuer that re-signs public names here is the one that is not trusted there.
fn one_inspection(shares: &mut [Share<'_>]) {
    let inspecting: BTreeSet<Culprit> = shares
        .iter()
        .filter(|share| share.cause == Cause::TlsIntercepted)
        .map(|share| share.culprit.clone())
        .collect();
    for share in shares.iter_mut() {
        if share.cause == Cause::TlsUntrustedIssuer && inspecting.contains(&share.culprit) {
            share.cause = Cause::TlsIntercepted;
        }
    }
}

fn chain(report: &CheckReport) -> &[Arc<CertificateFacts>] {
    let tls = report.observation.as_ref().and_then(|o| o.tls());
    tls.map_or(&[], |tls| tls.chain.as_slice())
}

/// The certificate that a fault is about.
fn offending<'s>(share: &'s Share<'_>) -> Option<&'s Arc<CertificateFacts>> {
    let chain = chain(share.report);
    let now = share.report.last_run_at;
    let is_it = |certificate: &&Arc<CertificateFacts>| match share.cause {
        Cause::TlsExpired => now.is_some_and(|now| certificate.not_after < now),
        Cause::TlsNotYetValid => now.is_some_and(|now| certificate.not_before > now),
        _ => true,
    };
    match share.cause {
        Cause::TlsExpired
        | Cause::TlsNotYetValid
        | Cause::TlsSelfSigned
        | Cause::TlsNameMismatch
        | Cause::TlsCertificateExpiring => chain.iter().find(is_it).or(chain.first()),
        _ => None,
    }
}

/// One certificate, or one issuer's, that several services show.
fn one_certificate(shares: &mut [Share<'_>]) {
    let mut groups: BTreeMap<(Cause, String), Vec<usize>> = BTreeMap::new();
    for (at, share) in shares.iter().enumerate() {
        let key = match share.cause {
            // Whoever signs for all of them sends none of them.
            Cause::TlsMissingIntermediate => chain(share.report).first().map(|c| c.issuer.clone()),
            _ => offending(share).map(|certificate| certificate.sha256.clone()),
        };
        if let Some(key) = key {
            groups.entry((share.cause, key)).or_default().push(at);
        }
    }
    for ((cause, _), members) in groups {
        let of = |at: &usize| shares.get(*at);
        let hosts: BTreeSet<String> = members.iter().filter_map(of).map(Share::host).collect();
        let Some(first) = members.first().and_then(of) else { continue };
        let leaf = chain(first.report).first();
        let culprit = match offending(first) {
            _ if cause == Cause::TlsMissingIntermediate && hosts.len() > 1 => {
                leaf.map(|leaf| Culprit::Issuer(leaf.issuer.clone()))
            }
            Some(certificate) if leaf.is_some_and(|leaf| leaf.sha256 != certificate.sha256) => {
                Some(Culprit::Issuer(certificate.subject.clone()))
            }
            _ => None,
        };
        let culprit = culprit.unwrap_or_else(|| first.culprit.clone());
        for at in members {
            if let Some(share) = shares.get_mut(at) {
                share.culprit = culprit.clone();
            }
        }
    }
}

/// When unrelated certificates are all out of their time, this machine's clock is.
fn one_clock(shares: &mut [Share<'_>]) {
    for cause in [Cause::TlsExpired, Cause::TlsNotYetValid] {
        let of = |share: &&Share<'_>| share.cause == cause;
        let culprits: BTreeSet<&Culprit> =
            shares.iter().filter(of).map(|share| &share.culprit).collect();
        let issuers: BTreeSet<&str> = shares
            .iter()
            .filter(of)
            .filter_map(|share| chain(share.report).first())
            .map(|leaf| leaf.issuer.as_str())
            .collect();
        if culprits.len() >= limits::ALIKE_HOSTS && issuers.len() >= limits::ALIKE_HOSTS {
            for share in shares.iter_mut().filter(|share| share.cause == cause) {
                share.culprit = Culprit::Machine;
            }
        }
    }
}
