//! Steps for faults of name resolution.

use std::net::IpAddr;

use super::azure::{add_records, forwarded_zones, link_zone, other_workspace_zone, zones};
use super::{Facts, Owner, listed};
use crate::cause::Cause;
use crate::culprit::Culprit;
use crate::observation::{DnsObservation, ServerObservation};
use crate::resolution::{Resolution, effective};

/// Azure's own resolver, the same in all clouds and regions.
const AZURE_DNS: &str = "168.63.129.16";

pub(super) fn fix(facts: &Facts<'_>) -> Option<Vec<String>> {
    let who = facts.server_names();
    let names = listed(&facts.names());
    let dns = |what: String| vec![Owner::Dns.asked(&what)];
    let from = facts.source_network(facts.servers().first().map(std::net::SocketAddr::ip));
    Some(match facts.cause {
        Cause::DnsNxdomain => missing_name(facts, &who, &names),
        Cause::DnsNodata => dns(format!(
            "add an A record for {names} to the zone that {who} answers from, or stop serving that zone there so that the name is forwarded."
        )),
        Cause::DnsServfail => dns(format!(
            "on {who}, test the forwarder for {names}. A server inside Azure forwards to {AZURE_DNS}; one outside must forward to a resolver inside the VNet, because {AZURE_DNS} answers only inside Azure VNets."
        )),
        Cause::DnsRefused => dns(format!(
            "on {who}, allow queries and recursion from {from}; the server refuses {names}."
        )),
        Cause::DnsTimeout | Cause::DnsServerDown => silent_server(&who, &from),
        Cause::DnsUnreachable => vec![
            Owner::Dns.asked(&format!("start the DNS service on {who} and have it listen on port 53.")),
            Owner::Machine.asked(&format!("if {who} is not the right server, correct the DNS servers of this machine or of its VNet.")),
        ],
        Cause::DnsTcpBlocked => vec![
            Owner::Firewall.asked(&format!("allow TCP 53, besides UDP 53, from {from} to {who}.")),
            Owner::Dns.asked(&format!("have {who} answer over TCP as well.")),
        ],
        Cause::DnsCnameLoop => dns(format!(
            "remove the alias that closes the circle of {names}; a privatelink name ends in an A record, never in an alias to the public name."
        )),
        Cause::DnsCnameDangling => vec![
            Owner::Service.asked(&format!("say whether the service behind {names} still exists under that name.")),
            Owner::Dns.asked(&format!("if it does, correct the alias of {names}, or forward the zone of its target on {who}.")),
        ],
        Cause::DnsServersDisagree => dns(format!(
            "give {who} the same conditional forwarders and zone links; today they answer differently for {names}."
        )),
        Cause::DnsSinkhole => dns(format!("take {names} off the filter of {who}, or remove the placeholder record.")),
        Cause::HostsFileOverride => hosts_lines(facts),
        Cause::PrivateZoneNotLinked => unlinked(facts, &who),
        Cause::PrivateForwarderMissing => no_forwarder(facts, &who),
        Cause::PrivateRecordMissing => no_record(facts),
        Cause::PrivateEndpointMissing => no_endpoint(facts, &names),
        Cause::PrivateMixed => dns(format!(
            "keep only the private endpoint's addresses in the records of {names} on {who}, and remove the public ones."
        )),
        Cause::PrivateOutsideSubnet => outside(facts, &names),
        Cause::PrivateAddressMismatch => stale(facts),
        Cause::PublicExpectedButPrivate => dns(format!(
            "find the zone or filter on {who} that answers {} for {names}, and narrow it to your own resources.",
            listed(&facts.addresses())
        )),
        _ => return None,
    })
}

fn missing_name(facts: &Facts<'_>, who: &str, names: &str) -> Vec<String> {
    let zones = forwarded_zones(facts);
    if matches!(facts.culprit, Culprit::DnsServers(_)) {
        return vec![Owner::Dns.asked(&format!(
            "DNS server {who} says that {names} do not exist, too many for spelling mistakes. Let it resolve names outside, and check whether it filters them; {AZURE_DNS}, which answers only inside Azure VNets, can be asked for comparison."
        ))];
    }
    vec![
        Owner::Workspace.asked(&format!(
            "check the spelling of {names} and the parameters in probes.toml that it is built from."
        )),
        Owner::Dns.asked(&format!(
            "if it is right, add the record on {who}, or forward {} from there.",
            listed(&zones)
        )),
    ]
}

fn silent_server(who: &str, from: &str) -> Vec<String> {
    vec![
        Owner::Dns.asked(&format!(
            "bring {who} back, or remove from the DNS servers of the VNet what no longer runs."
        )),
        Owner::Firewall
            .asked(&format!("where it runs, allow UDP and TCP 53 from {from} to {who}.")),
    ]
}

fn hosts_lines(facts: &Facts<'_>) -> Vec<String> {
    let lines: Vec<String> = facts
        .spots
        .iter()
        .filter_map(|spot| {
            let addresses = &spot.dns()?.hosts_file;
            Some(format!("{} ({})", spot.host, listed(addresses)))
        })
        .fold(Vec::new(), |mut all, line| {
            if !all.contains(&line) {
                all.push(line);
            }
            all
        });
    vec![
        Owner::Machine.asked(&format!(
            "remove from the hosts file of this machine the entries for {}, once DNS gives the right addresses.",
            listed(&lines)
        )),
        Owner::Dns.asked("give these names their right addresses if DNS does not yet."),
    ]
}

fn unlinked(facts: &Facts<'_>, who: &str) -> Vec<String> {
    let zones = zones(facts);
    let azure = facts.servers().iter().all(|server| server.ip().to_string() == AZURE_DNS);
    let vnet = if azure {
        "the VNet of this machine".to_owned()
    } else {
        format!(
            "the VNet in which DNS server {who} resolves (its own, or that of the resolver it forwards to)"
        )
    };
    let mut fix = vec![Owner::Dns.asked_with(
        &format!("link the private zone {} to {vnet}.", listed(&zones)),
        zones.iter().map(|zone| link_zone(zone)),
    )];
    for other in zones.iter().filter_map(|zone| other_workspace_zone(zone)) {
        if !zones.iter().any(|zone| zone == other) {
            fix.push(Owner::Dns.asked(&format!(
                "a workspace's private endpoint needs two zones; make sure that {other} is linked as well."
            )));
        }
    }
    // Azure's own resolver answers publicly too, so a forwarder to it would not help yet.
    let asked_azure = facts.spots.iter().any(|spot| {
        spot.dns().and_then(DnsObservation::reference).is_some_and(ServerObservation::decides)
    });
    if !azure && !asked_azure {
        fix.push(forwarder_step(facts, who, "if the link is there already"));
    }
    let records: Vec<String> = zones.iter().flat_map(|zone| add_records(facts, zone)).collect();
    if !records.is_empty() {
        fix.push(Owner::Dns.asked_with(
            "if the link falls back to the internet (NxDomainRedirect), the record is what is missing; add it.",
            records,
        ));
    }
    fix
}

fn forwarder_step(facts: &Facts<'_>, who: &str, when: &str) -> String {
    Owner::Dns.asked(&format!(
        "{when}, add conditional forwarders on {who} for {} (the public zones, not the privatelink ones) to {AZURE_DNS}, or, if the server stands outside Azure, to the VNet's resolver: {AZURE_DNS} answers only inside Azure VNets.",
        all(&forwarded_zones(facts))
    ))
}

/// Every one of them: a forwarder that is not named is not made.
fn all(zones: &[String]) -> String {
    zones.join(", ")
}

fn no_forwarder(facts: &Facts<'_>, who: &str) -> Vec<String> {
    let mut fix = vec![Owner::Dns.asked(&format!(
        "on {who}, add conditional forwarders for {} (the public zones, not the privatelink ones) to {AZURE_DNS}, or, if the server stands outside Azure, to the VNet's resolver: {AZURE_DNS} answers only inside Azure VNets.",
        all(&forwarded_zones(facts))
    ))];
    let zones = zones(facts);
    if !zones.is_empty() {
        fix.push(Owner::Dns.asked_with(
            "if it forwards already from another VNet, link the private zones to that VNet.",
            zones.iter().map(|zone| link_zone(zone)),
        ));
    }
    fix
}

fn no_record(facts: &Facts<'_>) -> Vec<String> {
    let zones = zones(facts);
    let records: Vec<String> = zones.iter().flat_map(|zone| add_records(facts, zone)).collect();
    let mut fix = vec![Owner::Dns.asked_with(
        &format!(
            "add the private endpoint's record for {} to the zone {}.",
            listed(&facts.names()),
            listed(&zones)
        ),
        records,
    )];
    fix.push(Owner::Workspace.asked_with(
        "better, attach the endpoint to the zone, which makes and keeps the record.",
        zones.iter().map(|zone| {
            format!("az network private-endpoint dns-zone-group create -g RESOURCE_GROUP --endpoint-name ENDPOINT -n default --zone-name {} --private-dns-zone ZONE_ID", super::shell::word(zone))
        }),
    ));
    for other in zones.iter().filter_map(|zone| other_workspace_zone(zone)) {
        fix.push(Owner::Workspace.asked(&format!(
            "the zone group of a workspace's endpoint needs both zones; check that {other} is in it."
        )));
    }
    fix
}

fn no_endpoint(facts: &Facts<'_>, names: &str) -> Vec<String> {
    let mut fix = vec![Owner::Workspace.asked_with(
        &format!(
            "create or approve the private endpoint for {names}{}; no privatelink name is in the alias chain.",
            match facts.situation.workspace {
                "" => String::new(),
                workspace => format!(" (workspace {workspace})"),
            }
        ),
        ["az network private-endpoint-connection list --id RESOURCE_ID -o table"],
    )];
    if facts.names().iter().any(|name| name.contains(".instances.")) {
        fix.push(Owner::Dns.asked(
            "compute instance names have no private zone: add records that point at the workspace's private endpoint.",
        ));
    }
    fix
}

fn outside(facts: &Facts<'_>, names: &str) -> Vec<String> {
    let subnets = match facts.first.check.expectation.subnets.as_slice() {
        [] => facts.situation.network.endpoint_subnets.as_slice(),
        own => own,
    };
    vec![
        Owner::Workspace.asked(&format!(
            "say which addresses the private endpoints of {names} have: DNS says {}, and the declared subnets are {}.",
            listed(&facts.addresses()),
            listed(subnets)
        )),
        Owner::Dns.asked("correct the records if they are left from another endpoint."),
        Owner::Machine
            .asked("add the subnet to network.endpoint_subnets in probes.toml if the records are right."),
    ]
}

fn stale(facts: &Facts<'_>) -> Vec<String> {
    let spot = &facts.first;
    let found: Vec<IpAddr> = spot
        .dns()
        .map(|dns| effective(dns))
        .map_or_else(|| facts.addresses(), |resolution| Resolution::addresses(&resolution));
    let mut fix = vec![Owner::Dns.asked(&format!(
        "correct the record of {}: it gives {}, and the private endpoint is declared as {}.",
        spot.host,
        listed(&found),
        listed(&spot.check.expectation.declared)
    ))];
    fix.push(Owner::Workspace.asked_with(
        "confirm the endpoint's addresses; if the record is right, probes.toml is out of date.",
        ["az network private-endpoint show -g RESOURCE_GROUP -n ENDPOINT --query customDnsConfigs"],
    ));
    fix
}
