//! Judges whether a name resolves as expected: to its private endpoint, or to the public internet.

use std::net::IpAddr;

use super::names::{list, server_names, servers_of};
use super::{Context, Fault};
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::model::Expect;
use crate::observation::DnsObservation;
use crate::resolution::{Resolution, privatelink_zone};

/// An IP literal resolves to itself; only its kind of address can be wrong.
pub(super) fn literal(check: &Check, context: Context<'_>, ip: IpAddr) -> Option<Fault> {
    let private = context.network.is_private(ip);
    let host = check.target.authority();
    match check.expectation.expect {
        Expect::Private if private => {
            let addresses = [ip];
            declared(check, &host, &addresses)
                .or_else(|| outside_subnets(check, context, &host, &addresses))
        }
        Expect::Private => Some(Fault::new(
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
        Expect::Public | Expect::Any => None,
    }
}

/// A name that resolved.
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    pub(super) addresses: &'a [IpAddr],
    pub(super) dns: &'a DnsObservation,
    pub(super) resolution: &'a Resolution<'a>,
}

pub(super) fn expectation(check: &Check, context: Context<'_>, found: &Found<'_>) -> Option<Fault> {
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
        Expect::Any => declared(check, found.name, found.addresses),
    }
}

/// What the hosts file says wrongly is not for the DNS team to mend.
pub(super) fn of_hosts_file(fault: Fault, found: &Found<'_>) -> Fault {
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
        return declared(check, name, addresses)
            .or_else(|| outside_subnets(check, context, name, addresses));
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
pub(super) fn privately_at_reference(
    context: Context<'_>,
    dns: &DnsObservation,
) -> Option<Vec<IpAddr>> {
    let addresses = dns.reference()?.addresses();
    let private =
        !addresses.is_empty() && addresses.iter().all(|ip| context.network.is_private(*ip));
    private.then_some(addresses)
}

pub(super) fn forwarder_missing(
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

fn declared(check: &Check, name: &str, addresses: &[IpAddr]) -> Option<Fault> {
    let expected = &check.expectation.declared;
    if expected.is_empty() || addresses.iter().all(|ip| expected.contains(ip)) {
        return None;
    }
    Some(Fault::new(
        Cause::PrivateAddressMismatch,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} resolves to {}, but its private endpoint is declared as {}; ask the DNS team to correct the stale record.",
            list(addresses),
            list(expected)
        ),
    ))
}

fn outside_subnets(
    check: &Check,
    context: Context<'_>,
    name: &str,
    addresses: &[IpAddr],
) -> Option<Fault> {
    let subnets = match check.expectation.subnets.as_slice() {
        [] => &context.network.endpoint_subnets,
        _ => &check.expectation.subnets,
    };
    let inside = |ip: &IpAddr| subnets.iter().any(|net| net.contains(ip));
    let outside = addresses.iter().find(|ip| !inside(ip)).filter(|_| !subnets.is_empty())?;
    Some(Fault::new(
        Cause::PrivateOutsideSubnet,
        Culprit::Name(name.to_owned()),
        format!(
            "{name} resolves to {outside}, which is private but outside the endpoint subnets {}; ask the DNS team whose endpoint that record names.",
            list(subnets)
        ),
    ))
}
