//! From a plan and faults to the texts that real servers are configured with. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::extra;
use crate::middle;
use crate::oddities;
use crate::plan::Plan;
use crate::world::{Action, Fault, Form, Place, RecordsOf};

/// The DNS server that the client's machine uses.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 30, 0, 53);
/// Azure's own, asked for reference.
pub(crate) const REFERENCE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// The resolvers by the names that world files use.
pub(crate) const RESOLVERS: [(&str, Ipv4Addr); 2] =
    [("resolver", RESOLVER), ("reference", REFERENCE)];
/// How every zone begins.
const HEAD: &str = "@ 300 IN SOA ns.lab.example. lab.lab.example. 1 3600 600 86400 10\n\
                    @ 300 IN NS ns.lab.example.\n";
/// Where SMB answers.
pub(crate) const SMB_PORT: u16 = 445;

/// `azure.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Azure {
    also_private: Vec<String>,
    with_ipv6: Vec<String>,
    with_alias: Vec<String>,
    #[serde(rename = "rule")]
    rules: Vec<Rule>,
    #[serde(rename = "answer")]
    answers: Vec<Answer>,
}

/// What the hosts below a suffix answer to an HTTP request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// This name and those below it.
    pub(crate) suffix: String,
    /// The status.
    pub(crate) status: u16,
    /// Headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub(crate) body: String,
}

/// How one kind of private host is named and addressed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Names below this.
    suffix: String,
    /// The private zone that has them.
    zone: Option<String>,
    /// The name in that zone, `{label}` standing for what is before the suffix; usually the
    /// suffix is just replaced by the zone.
    alias: Option<String>,
    /// Hosts with the same word here share one private endpoint; usually each has its own.
    endpoint: Option<String>,
}

/// One host of the world.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// Its private endpoint's address, if it has one.
    pub(crate) private: Option<Ipv4Addr>,
    /// Name and private zone between its name and that address.
    alias: Option<(String, String)>,
    /// Its address on the public side.
    pub(crate) public: Ipv4Addr,
    /// Another one, for some.
    public6: Option<Ipv6Addr>,
    /// A public alias, for some.
    edge: Option<String>,
}

impl Host {
    /// The public side of a private endpoint: where its alias leads without the private zone.
    fn front(&self) -> String {
        let [.., number] = self.public.octets();
        format!("front-{number}.usgovvirginia.frontend.example")
    }

    /// Where clients get when all is well.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self.private {
            Some(private) => vec![private.into()],
            None => [Some(self.public.into()), self.public6.map(IpAddr::from)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }
}

/// Everything that differs between worlds.
#[derive(Debug)]
pub(crate) struct Blueprint {
    /// The hosts of the plan, in its order.
    pub(crate) hosts: Vec<Host>,
    /// Per resolver: its zones (`.` is the public side) as zone files.
    pub(crate) zones: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// What is wrong with the certificate of a host.
    pub(crate) certificates: BTreeMap<String, Form>,
    /// Ports of the TLS server.
    pub(crate) tls_ports: BTreeSet<u16>,
    /// Ports of the HTTP server.
    pub(crate) http_ports: BTreeSet<u16>,
    /// nftables rules of the firewall.
    pub(crate) firewall_rules: String,
    /// nftables rules of the servers.
    pub(crate) server_rules: String,
    /// What hosts answer to HTTP requests over TLS.
    pub(crate) answers: Vec<Answer>,
}

impl Blueprint {
    /// Draws the world of a plan with these faults.
    pub(crate) fn draw(plan: &Plan, azure: &Azure, faults: &[Fault]) -> Result<Self> {
        let hosts = hosts(plan, azure)?;
        for name in faults.iter().flat_map(Fault::hosts) {
            find(&hosts, name)?;
        }
        let known: BTreeSet<&str> =
            hosts.iter().filter_map(|h| h.alias.as_ref()).map(|(_, zone)| zone.as_str()).collect();
        for fault in faults {
            if let Fault::ZoneNotLinked { zone, at } = fault {
                ensure!(known.contains(zone.as_str()), "no host is behind the zone `{zone}`");
                for name in at {
                    ensure!(RESOLVERS.iter().any(|(r, _)| r == name), "no resolver `{name}`");
                }
            }
        }
        let zones = RESOLVERS
            .into_iter()
            .map(|(resolver, _)| (resolver, zones(resolver, &hosts, &known, faults)))
            .collect();
        let certificates = faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::Certificate { host, form } => Some((host.clone(), *form)),
                _ => None,
            })
            .collect();
        let http_ports = plan.ports(&["http"]);
        let others = &http_ports | &BTreeSet::from([SMB_PORT]);
        Ok(Self {
            zones,
            certificates,
            tls_ports: &plan.ports(&["tls", "https", "websocket", "tcp"]) - &others,
            http_ports,
            firewall_rules: firewall_rules(&hosts, faults)?,
            server_rules: server_rules(&hosts, faults, &plan.ports(&["udp"]))?,
            answers: answers(azure, faults),
            hosts,
        })
    }
}

/// What hosts answer: as the world's faults say, else as Azure does.
fn answers(azure: &Azure, faults: &[Fault]) -> Vec<Answer> {
    let told = faults.iter().filter_map(|fault| match fault {
        Fault::Answer { host, status, headers, body } => Some(Answer {
            suffix: host.clone(),
            status: *status,
            headers: headers.clone(),
            body: body.clone(),
        }),
        _ => None,
    });
    told.chain(azure.answers.iter().cloned()).collect()
}

/// A host of the plan by its name.
pub(crate) fn find<'a>(hosts: &'a [Host], name: &str) -> Result<&'a Host> {
    hosts
        .iter()
        .find(|host| host.name == name)
        .with_context(|| format!("the plan has no host `{name}`, which the world's fault is about"))
}

// ----------------------------------------------------------------------------------- addresses

fn hosts(plan: &Plan, azure: &Azure) -> Result<Vec<Host>> {
    let mut private: BTreeMap<&str, bool> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for check in plan.checks().filter(|check| check.host.parse::<IpAddr>().is_err()) {
        if !names.contains(&check.host.as_str()) {
            names.push(&check.host);
        }
        *private.entry(&check.host).or_default() |= check.expect == "private";
    }
    let mut endpoints: BTreeMap<String, Ipv4Addr> = BTreeMap::new();
    let mut hosts = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let number = u8::try_from(index + 1)
            .ok()
            .filter(|n| *n < 255)
            .context("the lab has public addresses for 254 hosts only")?;
        let mut host = Host {
            name: name.to_owned(),
            private: None,
            alias: None,
            public: Ipv4Addr::new(203, 0, 113, number),
            public6: None,
            edge: None,
        };
        if private.get(name) == Some(&true) || azure.also_private.iter().any(|n| n == name) {
            let (endpoint, alias) = azure.endpoint_of(name);
            // Azure keeps the first addresses of a subnet for itself, so endpoints begin at 4.
            let next = u8::try_from(endpoints.len() + 4)
                .ok()
                .filter(|n| *n < 128)
                .context("the lab has addresses for 124 private endpoints only")?;
            let next = Ipv4Addr::new(172, 16, 0, next);
            host.private = Some(*endpoints.entry(endpoint).or_insert(next));
            host.alias = alias;
        } else {
            let listed = |list: &[String]| list.iter().any(|listed| listed == name);
            let edge = format!("edge-{number}.frontend.example");
            host.edge = listed(&azure.with_alias).then_some(edge);
            let public6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number));
            host.public6 = listed(&azure.with_ipv6).then_some(public6);
        }
        hosts.push(host);
    }
    Ok(hosts)
}

impl Azure {
    /// Which private endpoint a host has, and the name and zone that lead there.
    fn endpoint_of(&self, host: &str) -> (String, Option<(String, String)>) {
        for rule in &self.rules {
            let label = host.strip_suffix(&rule.suffix).and_then(|rest| rest.strip_suffix('.'));
            let Some(label) = label else { continue };
            let alias = rule.zone.as_ref().map(|zone| {
                let name = rule.alias.as_ref().map_or_else(
                    || format!("{label}.{zone}"),
                    |template| template.replace("{label}", label),
                );
                (name, zone.clone())
            });
            return (rule.endpoint.clone().unwrap_or_else(|| host.to_owned()), alias);
        }
        (host.to_owned(), None)
    }
}

// ----------------------------------------------------------------------------------------- DNS

/// The zones one resolver knows: the public side, and every private zone, or what the public
/// side has in its place where it is not linked.
///
/// The resolver is a real recursive one; these are its authoritative sources. So it answers as
/// Azure's does, with whole chains. The public zone must not have the names below a private one:
/// it would answer with them, and the resolver would look no further.
fn zones(
    resolver: &str,
    hosts: &[Host],
    private_zones: &BTreeSet<&str>,
    faults: &[Fault],
) -> BTreeMap<String, String> {
    let head = HEAD;
    let mut public = format!("{head}ns.lab.example. 300 IN A {RESOLVER}\n");
    for host in hosts {
        public_records(&mut public, (resolver, hosts), host, faults);
    }
    let mut zones = BTreeMap::from([(".".to_owned(), public)]);
    for zone in private_zones {
        let linked = !faults.iter().any(|fault| fault.unlinks(resolver, zone));
        let mut text = head.to_owned();
        for host in hosts {
            let (Some(private), Some((alias, of))) = (host.private, &host.alias) else { continue };
            let missing = |fault: &Fault| matches!(fault, Fault::RecordMissing { host: name } if *name == host.name);
            if of != zone {
                continue;
            }
            if !linked {
                let _ = writeln!(text, "{alias}. 60 IN CNAME {}.", host.front());
            } else if let Some(other) = extra::records(faults, resolver, host, RecordsOf::End) {
                extra::write_records(&mut text, alias, other, hosts);
            } else if !faults.iter().any(missing) {
                let _ = writeln!(text, "{alias}. 10 IN A {private}");
            }
        }
        zones.insert((*zone).to_owned(), text);
    }
    zones
}

/// A zone for the filter of names in the path: names that it lets through lead to the addresses of
/// those it does not as well.
pub(crate) fn names_anywhere(hosts: &[Host], denied: impl Fn(&str) -> bool) -> String {
    let closed = hosts.iter().filter(|host| host.private.is_none() && denied(&host.name));
    let closed: Vec<IpAddr> = closed.flat_map(Host::addresses).collect();
    let mut zone = format!("{HEAD}ns.lab.example. 300 IN A {RESOLVER}\n");
    for host in hosts {
        let others = if denied(&host.name) { &[][..] } else { &closed };
        for address in host.addresses().iter().chain(others) {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            let _ = writeln!(zone, "{}. 60 IN {kind} {address}", host.name);
        }
    }
    zone
}

fn public_records(
    zone: &mut String,
    (resolver, hosts): (&str, &[Host]),
    host: &Host,
    faults: &[Fault],
) {
    let Host { name, public, .. } = host;
    let other = |of| extra::records(faults, resolver, host, of);
    if let Some(other) = other(RecordsOf::Name) {
        return extra::write_records(zone, name, other, hosts);
    }
    let front = match (&host.alias, host.private, &host.edge) {
        (Some((alias, _)), _, _) => {
            let _ = writeln!(zone, "{name}. 60 IN CNAME {alias}.");
            host.front()
        }
        (None, Some(private), _) => {
            let _ = writeln!(zone, "{name}. 300 IN A {private}");
            return;
        }
        (None, None, Some(edge)) => {
            let _ = writeln!(zone, "{name}. 300 IN CNAME {edge}.");
            edge.clone()
        }
        (None, None, None) => name.clone(),
    };
    if host.private.is_none()
        && let Some(other) = other(RecordsOf::End)
    {
        return extra::write_records(zone, &front, other, hosts);
    }
    let _ = writeln!(zone, "{front}. 60 IN A {public}");
    if let Some(public6) = host.public6 {
        let _ = writeln!(zone, "{front}. 60 IN AAAA {public6}");
    }
}

// ------------------------------------------------------------------------------------ nftables

fn firewall_rules(hosts: &[Host], faults: &[Fault]) -> Result<String> {
    let redirects = middle::chains(faults);
    // They follow these rules, so other commands make these rules others.
    let commands = middle::commands(faults).join("\n# ");
    let large = oddities::large_packets(hosts, faults)?;
    let faults = extra::rules(hosts, faults, Place::Firewall)?
        + &packet_rules(hosts, faults, Place::Firewall)?;
    Ok(format!(
        "flush ruleset\n# {commands}\n\
         table inet firewall {{\n\
         {redirects}\
         chain forward {{\ntype filter hook forward priority filter; policy accept;\n{large}{faults}}}\n\
         }}\n"
    ))
}

fn server_rules(hosts: &[Host], faults: &[Fault], mute: &BTreeSet<u16>) -> Result<String> {
    // Services that do not answer strangers: silence, not ICMP.
    let mute: String = mute.iter().fold(String::new(), |mut rules, port| {
        let _ = writeln!(rules, "udp dport {port} drop");
        rules
    });
    let oddities = oddities::chain(hosts, faults)?;
    let redirects = extra::redirects(hosts, faults)?;
    let faults =
        extra::rules(hosts, faults, Place::Server)? + &packet_rules(hosts, faults, Place::Server)?;
    Ok(format!(
        "flush ruleset\n\
         table inet servers {{\n\
         {oddities}\
         chain elsewhere {{\ntype nat hook prerouting priority dstnat; policy accept;\n{redirects}}}\n\
         chain input {{\ntype filter hook input priority filter; policy accept;\n{mute}{faults}}}\n\
         }}\n"
    ))
}

fn packet_rules(hosts: &[Host], faults: &[Fault], place: Place) -> Result<String> {
    let mut rules = String::new();
    for fault in faults {
        let Fault::Packets { action, at, host, port } = fault else { continue };
        if *at != place {
            continue;
        }
        let verdict = match (action, place) {
            (Action::Drop, _) => "drop",
            (Action::Reset, _) => "reject with tcp reset",
            (Action::Prohibit, Place::Firewall) => "reject with icmpx admin-prohibited",
            (Action::Prohibit, _) => bail!("only a firewall prohibits"),
        };
        let Some(host) = host else {
            let _ = writeln!(rules, "tcp dport {port} {verdict}");
            continue;
        };
        for address in find(hosts, host)?.addresses() {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            let _ = writeln!(rules, "{family} daddr {address} tcp dport {port} {verdict}");
        }
    }
    Ok(rules)
}
