//! Steps for what lies between: rules, routes, filters, lost packets.

use std::net::IpAddr;

use ipnet::IpNet;

use super::azure::{application_rule, needs_its_name, network_rule, nsg_rules, protocol};
use super::{Facts, Owner, Spot, listed, unique};
use crate::cause::Cause;
use crate::culprit::Culprit;
use crate::model::Kind;
use crate::observation::Greetings;

pub(super) fn fix(facts: &Facts<'_>) -> Option<Vec<String>> {
    let targets = targets(facts);
    let addresses = listed(&facts.addresses());
    Some(match facts.cause {
        Cause::TcpTimeout => dropped(facts),
        Cause::TcpProhibited => prohibited(facts),
        Cause::TcpUnreachable => vec![
            Owner::Machine.asked(&format!("check the routes and the default gateway of this machine; it has no way to {addresses}.")),
            Owner::Network.asked_with(
                &format!("if the table here is right, find the route to {addresses}."),
                ["az network nic show-effective-route-table -g RESOURCE_GROUP -n NIC -o table"],
            ),
        ],
        Cause::TcpRefused => refused(facts, &targets),
        Cause::TcpClosedOnAccept => vec![
            Owner::Service.asked(&format!("check that the service behind {targets} ({addresses}) is up and accepts this client.")),
            Owner::Firewall.asked(&format!("if it is, find the device that ends connections to {addresses}.")),
        ],
        Cause::TcpSynLoss => vec![Owner::Network.asked(&format!(
            "look for packet loss and used-up SNAT ports of the firewall or NAT gateway toward {targets}."
        ))],
        Cause::AddressPartial => partial(facts, &targets),
        Cause::Ipv6Broken => vec![
            Owner::Network.asked(&format!("route IPv6 to the end, or do not offer it on this subnet; {addresses} cannot be reached.")),
            Owner::Machine.asked_with(
                "until then, prefer IPv4.",
                ["echo 'precedence ::ffff:0:0/96 100' | sudo tee -a /etc/gai.conf"],
            ),
        ],
        Cause::DockerBridgeOverlap => docker(facts, &addresses),
        Cause::TlsSniBlocked | Cause::TlsClosed | Cause::HttpFirewallDeny | Cause::HttpClosed => filtered(facts),
        Cause::TlsTimeout => {
            let mut fix = vec![Owner::Firewall.asked(&format!(
                "check that the firewall itself resolves and reaches {targets}, and that both directions pass the same firewall."
            ))];
            fix.extend(filtered(facts));
            fix
        }
        Cause::TlsMtuBlackhole => large_packets(facts, &addresses),
        Cause::HttpTimeout => {
            let mut fix = filtered(facts);
            fix.push(Owner::Service.asked(&format!("if the firewall lets it pass, look at the load of {targets}.")));
            fix
        }
        Cause::NotSmb => smb(facts),
        Cause::UdpNoEvidence => allow(facts, "say whether a rule allows it; silence over UDP proves nothing."),
        _ => return None,
    })
}

/// Who sends the packets that are lost must hear of it, which depends on their way.
fn large_packets(facts: &Facts<'_>, addresses: &str) -> Vec<String> {
    let tried = facts.first.observation.map_or(&[][..], |seen| &seen.experiments);
    let hear = match Greetings::of(tried) {
        Some(Greetings::BothArrive) => format!(
            "the packets lost are those from there to here, so let ICMP fragmentation-needed messages through to {addresses}"
        ),
        Some(Greetings::LargeLost) => {
            "packets are lost both ways, so let ICMP fragmentation-needed messages through both ways".to_owned()
        }
        Some(Greetings::Unheard) | None => {
            "let ICMP fragmentation-needed messages through".to_owned()
        }
    };
    vec![
        Owner::Network.asked(&format!("clamp the TCP MSS (1350 is a common value) on the tunnel or gateway toward {addresses}; {hear}.")),
        Owner::Machine.asked_with("to confirm it, lower the MTU of this machine for a moment.", ["sudo ip link set dev INTERFACE mtu 1350"]),
    ]
}

/// Targets as people name them.
pub(super) fn targets(facts: &Facts<'_>) -> String {
    listed(&unique(facts.spots.iter().map(|spot| spot.check.target.authority())))
}

/// What an application rule can name: a public host over HTTP or TLS on the two ports that Azure
/// Firewall reads names on.
fn by_name<'f, 'a>(facts: &'f Facts<'a>) -> (Vec<&'f Spot<'a>>, Vec<&'f Spot<'a>>) {
    facts.spots.iter().partition(|spot| {
        let reads_names = matches!(
            (spot.port, spot.kind),
            (443, Kind::Tls | Kind::Https | Kind::Websocket) | (80, Kind::Http)
        );
        // What filters private names too is an application rule's doing.
        let public = spot.ip.is_none_or(|ip| !facts.is_private(ip));
        reads_names && (public || filters_names(facts.cause)) && spot.host.name().is_some()
    })
}

fn filters_names(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::TlsSniBlocked | Cause::TlsClosed | Cause::HttpFirewallDeny | Cause::HttpClosed
    )
}

/// Rules that would let everything of this fault pass.
fn allow(facts: &Facts<'_>, why: &str) -> Vec<String> {
    let (named, addressed) = by_name(facts);
    let mut fix = Vec::new();
    if !named.is_empty() {
        fix.push(Owner::Firewall.asked_with(
            &format!(
                "{why} An application rule from {} to {} ({}):",
                facts.source_network(named.first().and_then(|spot| spot.ip)),
                listed(&unique(named.iter().filter_map(|spot| spot.host.name()))),
                listed(&unique(named.iter().map(|spot| protocol(spot)))),
            ),
            [application_rule(facts, &named)],
        ));
    }
    let (by_host, by_address): (Vec<&Spot<'_>>, Vec<&Spot<'_>>) =
        addressed.into_iter().partition(|spot| needs_its_name(facts, spot));
    for (spots, note) in
        [(by_address, ""), (by_host, " (names in network rules need the firewall's DNS proxy)")]
    {
        if spots.is_empty() {
            continue;
        }
        fix.push(Owner::Firewall.asked_with(
            &format!(
                "{why} A network rule from {} to {}{note}:",
                facts.source_network(spots.first().and_then(|spot| spot.ip)),
                listed(&unique(spots.iter().map(|spot| place(spot)))),
            ),
            [network_rule(facts, &spots)],
        ));
    }
    fix
}

fn place(spot: &Spot<'_>) -> String {
    let protocol = if spot.kind == Kind::Udp { "UDP" } else { "TCP" };
    let authority = spot.check.target.authority();
    match spot.ip {
        Some(ip) if spot.host.name().is_some() => format!("{authority} ({ip}, {protocol})"),
        _ => format!("{authority} ({protocol})"),
    }
}

fn dropped(facts: &Facts<'_>) -> Vec<String> {
    let all: Vec<&Spot<'_>> = facts.spots.iter().collect();
    let (named, addressed) = by_name(facts);
    // Azure Firewall completes the handshake on these two ports whatever its rules say.
    let not_its_doing = !named.is_empty() && addressed.is_empty();
    let private = facts.addresses().iter().any(|ip| facts.is_private(*ip));
    let where_to = listed(&facts.addresses());
    let why = match (not_its_doing, private) {
        (true, _) => format!(
            "check the route to {where_to} first; Azure Firewall accepts connections on 80 and 443 by itself, so its rules drop none there."
        ),
        (false, true) => format!(
            "if the rules allow it, check the route to {where_to}; a firewall before a private endpoint must translate sources, or replies take another way."
        ),
        (false, false) => format!("if the rules allow it, check the route to {where_to}."),
    };
    let route = Owner::Network.asked_with(
        &why,
        ["az network nic show-effective-route-table -g RESOURCE_GROUP -n NIC -o table"],
    );
    let allowed = allow(facts, "if it drops the packets, allow them.");
    let group = nsg_rules(facts, &all).map(|rules| {
        Owner::Firewall
            .asked_with("if a network security group drops them, the same there:", rules.lines())
    });
    if not_its_doing {
        return Some(route).into_iter().chain(group).chain(allowed).collect();
    }
    allowed.into_iter().chain(group).chain(Some(route)).collect()
}

fn prohibited(facts: &Facts<'_>) -> Vec<String> {
    let mut fix = vec![
        Owner::Machine
            .asked_with("look at the firewall of this machine first.", ["sudo nft list ruleset"]),
    ];
    fix.extend(allow(facts, "an ICMP error says that it is prohibited; allow it."));
    fix
}

fn refused(facts: &Facts<'_>, targets: &str) -> Vec<String> {
    let addresses = listed(&facts.addresses());
    let mut fix = vec![
        Owner::Service.asked(&format!("check that something listens at {targets} ({addresses}).")),
        Owner::Dns.asked(&format!("check that {addresses} is the current address of it.")),
    ];
    fix.extend(allow(facts, "if both are right, a rule rejects it; allow it."));
    fix
}

fn partial(facts: &Facts<'_>, targets: &str) -> Vec<String> {
    let broken: Vec<IpAddr> = unique(facts.spots.iter().filter_map(|spot| spot.ip));
    let mut fix = allow(
        facts,
        &format!(
            "{} of {targets} fail while its other addresses work; a rule should name the host or the service tag, not single addresses.",
            listed(&broken)
        ),
    );
    fix.push(Owner::Service.asked(&format!(
        "if the way to {} is open, that part of the service is down.",
        listed(&broken)
    )));
    fix
}

fn filtered(facts: &Facts<'_>) -> Vec<String> {
    let private: Vec<&Spot<'_>> =
        facts.spots.iter().filter(|spot| spot.ip.is_some_and(|ip| facts.is_private(ip))).collect();
    let why = match facts.cause {
        Cause::TlsSniBlocked => "it filters these names; allow them.",
        Cause::HttpFirewallDeny => "it denies these names; allow them.",
        _ => "look for these names in its log and, if they are denied, allow them.",
    };
    let mut fix = allow(facts, why);
    if !private.is_empty() {
        let endpoints = listed(&unique(private.iter().filter_map(|spot| spot.ip)));
        fix.push(Owner::Dns.asked(&format!(
            "link the private zones of {} to the VNet of the firewall as well: it resolves the names of application rules by itself.",
            listed(&unique(private.iter().filter_map(|spot| spot.host.name())))
        )));
        fix.push(Owner::Network.asked(&format!(
            "say why traffic to the private endpoints {endpoints} passes a firewall; it need not."
        )));
    }
    if facts.cause == Cause::TlsClosed {
        fix.push(Owner::Service.asked(&format!(
            "if the log shows no denial, check that the service behind {} is healthy.",
            targets(facts)
        )));
    }
    fix
}

fn smb(facts: &Facts<'_>) -> Vec<String> {
    let mut fix = allow(facts, "pass SMB through to the file share, without inspection.");
    fix.push(Owner::Dns.asked(&format!(
        "check that {} is the endpoint of the file sub-resource and not of blob.",
        listed(&facts.addresses())
    )));
    fix
}

/// Ranges for Docker that machines seldom need otherwise.
const BRIDGE_RANGES: [&str; 3] = ["192.168.231.1/24", "10.231.231.1/24", "172.31.231.1/24"];

fn docker(facts: &Facts<'_>, addresses: &str) -> Vec<String> {
    let own = facts.situation.machine.addresses.iter();
    let bridge = own.clone().find(|a| {
        a.is_docker_bridge() && facts.addresses().iter().any(|ip| a.network.contains(ip))
    });
    let taken: Vec<IpNet> = own
        .map(|a| a.network)
        .chain(facts.situation.network.endpoint_subnets.iter().copied())
        .collect();
    let free = BRIDGE_RANGES.iter().find(|range| {
        range.parse::<IpNet>().is_ok_and(|range| {
            !taken.iter().any(|net| net.contains(&range.network()) || range.contains(&net.addr()))
        })
    });
    let held = bridge.map_or_else(String::new, |bridge| {
        format!(" ({} holds {})", bridge.interface, bridge.network.trunc())
    });
    vec![
        Owner::Machine.asked_with(
            &format!("move the Docker bridge{held} away from {addresses}: put a free range into /etc/docker/daemon.json, for example this one, and restart Docker."),
            [
                format!("{{\"bip\": \"{}\"}}", free.unwrap_or(&"FREE_RANGE")),
                "sudo systemctl restart docker".to_owned(),
            ],
        ),
        Owner::Network.asked("where Docker cannot be changed, as on Azure ML compute, place the private endpoints outside 172.17.0.0/16."),
    ]
}

/// Whether a fault is about more than single ports.
pub(super) fn is_everything(culprit: &Culprit) -> bool {
    matches!(culprit, Culprit::Side { .. })
}
