//! Log Analytics queries for the record of a denial, made from the columns that the tables have.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::{Facts, Spot, unique};
use crate::cause::Cause;
use crate::limits;
use crate::model::{Kind, visible};

/// The queries that fit a fault.
pub(super) fn denials(facts: &Facts<'_>) -> Vec<String> {
    match facts.cause {
        Cause::TlsSniBlocked
        | Cause::TlsClosed
        | Cause::TlsTimeout
        | Cause::HttpFirewallDeny
        | Cause::HttpClosed
        | Cause::HttpTimeout
        | Cause::WebsocketBlocked
        | Cause::TlsIntercepted => application(facts).into_iter().collect(),
        Cause::TcpTimeout | Cause::TcpProhibited | Cause::UdpNoEvidence | Cause::NotSmb => {
            [network(facts), flows(facts)].into_iter().flatten().collect()
        }
        Cause::DnsServfail | Cause::DnsRefused | Cause::DnsTimeout | Cause::DnsNxdomain => {
            lookups(facts).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A string literal of the query language.
fn literal(text: &str) -> String {
    format!("\"{}\"", visible(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn literals<T: ToString>(items: &[T]) -> String {
    items.iter().map(|item| literal(&item.to_string())).collect::<Vec<_>>().join(", ")
}

/// From the first failure until now, a little widened: clocks and log pipelines differ.
fn window(facts: &Facts<'_>) -> String {
    let margin = SignedDuration::try_from(limits::REMEDY_WINDOW_MARGIN).unwrap_or_default();
    let shown = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let from = facts.since.checked_sub(margin).unwrap_or(facts.since);
    let to = facts.situation.now.checked_add(margin).unwrap_or(facts.situation.now);
    format!("| where TimeGenerated between (datetime({}) .. datetime({}))", shown(from), shown(to))
}

fn from_source(source: Option<IpAddr>) -> String {
    source.map_or_else(String::new, |ip| format!("SourceIp == {} and ", literal(&ip.to_string())))
}

const BEHIND_NAT: &str =
    "SourceIp is this machine's own address unless something before the firewall translates it";

fn application(facts: &Facts<'_>) -> Option<String> {
    let names = facts.names();
    let ip = facts.first.ip;
    if names.is_empty() {
        return None;
    }
    // Inspection allows what it opens.
    let (wanted, columns) = if facts.cause == Cause::TlsIntercepted {
        ("", "Action, IsTlsInspected")
    } else {
        (" and Action == \"Deny\"", "ActionReason")
    };
    Some(format!(
        "// Log Analytics of Azure Firewall; {BEHIND_NAT}\nAZFWApplicationRule\n{}\n| where {}Fqdn in~ ({}){wanted}\n| project TimeGenerated, Fqdn, DestinationPort, Protocol, {columns}, Policy, RuleCollectionGroup, RuleCollection, Rule",
        window(facts),
        from_source(facts.source(ip)),
        literals(&names),
    ))
}

/// The parts that a network's log can show.
fn wire<'f, 'a>(facts: &'f Facts<'a>) -> (Vec<IpAddr>, Vec<u16>, Vec<&'f Spot<'a>>) {
    let spots: Vec<&Spot<'_>> = facts.spots.iter().filter(|spot| spot.ip.is_some()).collect();
    let addresses = unique(spots.iter().filter_map(|spot| spot.ip));
    let ports = unique(spots.iter().map(|spot| spot.port));
    (addresses, ports, spots)
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn network(facts: &Facts<'_>) -> Option<String> {
    let (addresses, ports, spots) = wire(facts);
    if addresses.is_empty() {
        return None;
    }
    let protocol = if spots.iter().all(|spot| spot.kind == Kind::Udp) { "UDP" } else { "TCP" };
    Some(format!(
        "// Log Analytics of Azure Firewall; {BEHIND_NAT}\nAZFWNetworkRule\n{}\n| where {}DestinationIp in ({}) and DestinationPort in ({}) and Protocol =~ \"{protocol}\" and Action == \"Deny\"\n| project TimeGenerated, DestinationIp, DestinationPort, Protocol, ActionReason, Policy, RuleCollectionGroup, RuleCollection, Rule",
        window(facts),
        from_source(facts.source(addresses.first().copied())),
        literals(&addresses),
        list(&ports),
    ))
}

fn flows(facts: &Facts<'_>) -> Option<String> {
    let (addresses, ports, _) = wire(facts);
    let (private, public): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|ip| facts.is_private(*ip));
    let mut to = Vec::new();
    if !private.is_empty() {
        to.push(format!("DestIp in ({})", literals(&private)));
    }
    if !public.is_empty() {
        to.push(format!("DestPublicIps has_any ({})", literals(&public)));
    }
    if to.is_empty() {
        return None;
    }
    Some(format!(
        "// Log Analytics with VNet flow logs: what a network security group denied\nNTANetAnalytics\n{}\n| where ({}) and DestPort in ({}) and DeniedOutFlows > 0\n| project TimeGenerated, DestIp, DestPublicIps, DestPort, AclGroup, AclRule, DeniedOutFlows",
        window(facts),
        to.join(" or "),
        list(&ports),
    ))
}

fn lookups(facts: &Facts<'_>) -> Option<String> {
    let names = facts.names();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "// Log Analytics, if the DNS server is the DNS proxy of Azure Firewall\nAZFWDnsQuery\n{}\n| where {}trim_end(@\"\\.\", tolower(QueryName)) in ({})\n| project TimeGenerated, QueryName, QueryType, ResponseCode, ErrorMessage, RequestDurationSecs",
        window(facts),
        from_source(facts.source(facts.servers().first().map(std::net::SocketAddr::ip))),
        literals(&names),
    ))
}
