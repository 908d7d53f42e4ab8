//! Commands of the Azure command line. Names of resources that vnetprobe cannot know are capitals.

use std::net::IpAddr;

use super::shell::{word, words};
use super::tags::{Use, usable};
use super::{Facts, Spot, unique};
use crate::model::Kind;
use crate::observation::ServerObservation;
use crate::resolution::privatelink_zone;

/// The two zones of a workspace's private endpoint, by the endings of the clouds.
const WORKSPACE_ZONES: &[(&str, &str)] = &[
    ("privatelink.api.ml.azure.us", "privatelink.notebooks.usgovcloudapi.net"),
    ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"),
    ("privatelink.api.ml.azure.cn", "privatelink.notebooks.chinacloudapi.cn"),
];

/// The other zone that a workspace's private endpoint needs besides this one.
pub(crate) fn other_workspace_zone(zone: &str) -> Option<&'static str> {
    WORKSPACE_ZONES.iter().find_map(|(api, notebooks)| match zone {
        _ if zone == *api => Some(*notebooks),
        _ if zone == *notebooks => Some(*api),
        _ => None,
    })
}

/// The private zones of these targets: as the answers show them, else as the catalog says.
pub(super) fn zones(facts: &Facts<'_>) -> Vec<String> {
    if let crate::culprit::Culprit::Zone(zone) = facts.culprit {
        return vec![zone.clone()];
    }
    unique(facts.spots.iter().filter_map(zone_of))
}

fn zone_of(spot: &Spot<'_>) -> Option<String> {
    let shown = spot
        .dns()
        .and_then(|dns| dns.servers.iter().find_map(|server| privatelink_zone(server.chain())));
    shown.or_else(|| spot.check.expectation.zone.clone())
}

pub(super) fn link_zone(zone: &str) -> String {
    format!(
        "az network private-dns link vnet create -g RESOURCE_GROUP -z {} -n LINK_NAME -v VNET_ID -e false",
        word(zone)
    )
}

/// One record per name that the answers lead to inside the zone; the address when it is known.
pub(super) fn add_records(facts: &Facts<'_>, zone: &str) -> Vec<String> {
    let records = facts.spots.iter().filter_map(|spot| {
        let record = record_of(spot, zone)?;
        Some(format!(
            "az network private-dns record-set a add-record -g RESOURCE_GROUP -z {} -n {} -a {}",
            word(zone),
            word(&record),
            known_address(facts, spot)
                .map_or_else(|| "ENDPOINT_IP".to_owned(), |ip| ip.to_string()),
        ))
    });
    unique(records)
}

/// The record's name inside the zone. Aliases come from strangers: only what can be a name counts.
fn record_of(spot: &Spot<'_>, zone: &str) -> Option<String> {
    let dns = spot.dns()?;
    let ending = format!(".{zone}");
    let mut aliases = dns.servers.iter().flat_map(ServerObservation::chain);
    let record = aliases.find_map(|alias| alias.to.strip_suffix(&ending))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (record.chars().all(plain) && !record.starts_with('-')).then(|| record.to_owned())
}

/// The endpoint's IPv4 address as declared, else as the reference server tells it.
fn known_address(facts: &Facts<'_>, spot: &Spot<'_>) -> Option<IpAddr> {
    let told = || spot.dns()?.reference().map(ServerObservation::addresses);
    let declared = spot.check.expectation.declared.iter().copied();
    declared.chain(told().unwrap_or_default()).find(|ip| ip.is_ipv4() && facts.is_private(*ip))
}

/// The public zones to forward: the parents that the private zones stand in for.
pub(super) fn forwarded_zones(facts: &Facts<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for spot in &facts.spots {
        let Some(name) = spot.host.name() else { continue };
        let zone = zone_of(spot);
        let public = zone.as_deref().and_then(|zone| zone.strip_prefix("privatelink."));
        let below = |public: &&str| name.strip_suffix(*public).is_some_and(|r| r.ends_with('.'));
        if let Some(public) = public.filter(below) {
            all.push(public.to_owned());
            continue;
        }
        // The zone of a vault or an inference endpoint has another name than the host's parent,
        // and the chain passes both.
        let parent = name.split_once('.').map_or(name, |(_, parent)| parent);
        let without_region =
            parent.strip_prefix(facts.situation.region).and_then(|rest| rest.strip_prefix('.'));
        all.push(without_region.unwrap_or(parent).to_owned());
        all.extend(public.map(str::to_owned));
    }
    unique(all.into_iter())
}

const COLLECTION: &str = "az network firewall policy rule-collection-group collection add-filter-collection -g RESOURCE_GROUP --policy-name POLICY --rule-collection-group-name RULE_COLLECTION_GROUP -n COLLECTION --collection-priority PRIORITY --action Allow";

/// One application rule for all names.
pub(super) fn application_rule(facts: &Facts<'_>, spots: &[&Spot<'_>]) -> String {
    let names = unique(spots.iter().filter_map(|spot| spot.host.name()));
    let protocols = unique(spots.iter().map(|spot| protocol(spot)));
    format!(
        "{COLLECTION} --rule-name vnetprobe-names --rule-type ApplicationRule --source-addresses {} --target-fqdns {} --protocols {}",
        word(&facts.source_network(spots.first().and_then(|spot| spot.ip))),
        words(names),
        protocols.join(" ")
    )
}

/// As an application rule names a protocol.
pub(super) fn protocol(spot: &Spot<'_>) -> String {
    format!("{}={}", if spot.kind == Kind::Http { "Http" } else { "Https" }, spot.port)
}

fn carried_by(spots: &[&Spot<'_>]) -> &'static str {
    if spots.iter().all(|spot| spot.kind == Kind::Udp) { "UDP" } else { "TCP" }
}

fn ports(spots: &[&Spot<'_>]) -> Vec<String> {
    unique(spots.iter().map(|spot| spot.port.to_string()))
}

/// Addresses or tags that a network rule for these targets would name.
fn destinations(facts: &Facts<'_>, spots: &[&Spot<'_>], purpose: Use) -> Vec<String> {
    unique(spots.iter().filter_map(|spot| {
        let ip = spot.ip?;
        let tag = spot.check.service_tag.as_deref().filter(|_| !facts.is_private(ip));
        let tag = tag.and_then(|tag| usable(facts.situation.cloud, tag, purpose));
        Some(tag.unwrap_or_else(|| ip.to_string()))
    }))
}

/// Whether a network rule must name the host: a public one without a usable tag, whose addresses
/// change.
pub(super) fn needs_its_name(facts: &Facts<'_>, spot: &Spot<'_>) -> bool {
    let public = spot.ip.is_none_or(|ip| !facts.is_private(ip));
    let tag = spot.check.service_tag.as_deref();
    let tag = tag.and_then(|tag| usable(facts.situation.cloud, tag, Use::Firewall));
    public && tag.is_none() && spot.host.name().is_some()
}

/// One network rule of Azure Firewall for addresses, or for names, and ports.
pub(super) fn network_rule(facts: &Facts<'_>, spots: &[&Spot<'_>]) -> String {
    let names: Vec<&str> = unique(spots.iter().filter_map(|spot| spot.host.name()));
    let by_name = spots.iter().all(|spot| needs_its_name(facts, spot));
    let (rule, to) = if by_name {
        ("vnetprobe-hosts", format!("--destination-fqdns {}", words(names)))
    } else {
        let addresses = words(destinations(facts, spots, Use::Firewall));
        ("vnetprobe-addresses", format!("--destination-addresses {addresses}"))
    };
    format!(
        "{COLLECTION} --rule-name {rule} --rule-type NetworkRule --source-addresses {} {to} --destination-ports {} --ip-protocols {}",
        word(&facts.source_network(spots.first().and_then(|spot| spot.ip))),
        words(ports(spots)),
        carried_by(spots)
    )
}

/// One rule of a network security group; nothing where it could only name addresses that change.
pub(super) fn nsg_rules(facts: &Facts<'_>, spots: &[&Spot<'_>]) -> Option<String> {
    let stable: Vec<&Spot<'_>> = spots
        .iter()
        .copied()
        .filter(|spot| {
            let tag = spot.check.service_tag.as_deref();
            spot.ip.is_some_and(|ip| facts.is_private(ip))
                || spot.host.name().is_none()
                || tag.is_some_and(|tag| usable(facts.situation.cloud, tag, Use::Nsg).is_some())
        })
        .collect();
    let destinations = destinations(facts, &stable, Use::Nsg);
    if destinations.is_empty() {
        return None;
    }
    let (tags, addresses): (Vec<String>, Vec<String>) =
        destinations.into_iter().partition(|d| d.parse::<IpAddr>().is_err());
    // One rule takes one tag or many addresses.
    let groups = tags.into_iter().map(|tag| vec![tag]).chain(Some(addresses));
    let rules = groups.filter(|group| !group.is_empty()).zip(1..).map(|(group, number)| {
        format!(
            "az network nsg rule create -g RESOURCE_GROUP --nsg-name NSG -n vnetprobe-{number} --priority PRIORITY --direction Outbound --access Allow --protocol {} --source-address-prefixes {} --destination-address-prefixes {} --destination-port-ranges {}",
            if carried_by(&stable) == "UDP" { "Udp" } else { "Tcp" },
            word(&facts.source_network(stable.first().and_then(|spot| spot.ip))),
            words(group),
            words(ports(&stable)),
        )
    });
    Some(rules.collect::<Vec<_>>().join("\n"))
}
