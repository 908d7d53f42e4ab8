//! What to ask whom about one real-world fault, and how to see it without vnetprobe.
//!
//! Every step of a fix begins with its addressee. A command stands on a line of its own, with this
//! finding's values filled in; what vnetprobe cannot know is written in capitals. Everything is
//! computed from what was planned and seen, so it is as true as the finding and no truer.

mod azure;
mod names;
mod paths;
mod prove;
mod query;
mod services;
mod shell;
mod tags;

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use crate::cause::Cause;
use crate::check::Check;
use crate::culprit::Culprit;
use crate::limits;
use crate::machine::Machine;
use crate::model::{Cloud, Host, Kind, Layer, Status, visible};
use crate::observation::{DnsObservation, Observation};
use crate::parameters::NetworkFacts;
use crate::resolution::effective;
use crate::verdict::Verdict;

pub(crate) use azure::other_workspace_zone;

/// What is known besides the checks.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The cloud.
    pub cloud: Cloud,
    /// The region, as told; empty when it was not.
    pub region: &'a str,
    /// The workspace's name, as told; empty when it was not.
    pub workspace: &'a str,
    /// This machine.
    pub machine: &'a Machine,
    /// Private ranges, subnets, declared addresses.
    pub network: &'a NetworkFacts,
    /// Now.
    pub now: Timestamp,
}

/// One check that a fault explains.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The check.
    pub check: &'a Check,
    /// Its judgement.
    pub verdict: &'a Verdict,
    /// What was seen.
    pub observation: Option<&'a Observation>,
    /// Since when it is so.
    pub since: Option<Timestamp>,
}

/// What to do about a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Steps; each begins with its addressee, and commands follow on lines of their own.
    pub fix: Vec<String>,
    /// Commands and log queries that show the same; see [`is_query`].
    pub prove: Vec<String>,
}

/// Whether a proof is a query for Log Analytics rather than a command for a shell.
pub fn is_query(prove: &str) -> bool {
    prove.starts_with("//")
}

/// Whoever can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Runs DNS servers and private zones.
    Dns,
    /// Writes firewall and security group rules.
    Firewall,
    /// Runs routes, gateways and links.
    Network,
    /// Runs the explicit proxy.
    Proxy,
    /// Owns the workspace and its private endpoints.
    Workspace,
    /// Owns the service that answers.
    Service,
    /// Administers the machine that vnetprobe runs on.
    Machine,
}

impl Owner {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Dns,
        Self::Firewall,
        Self::Network,
        Self::Proxy,
        Self::Workspace,
        Self::Service,
        Self::Machine,
    ];

    /// As a step begins.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "DNS team",
            Self::Firewall => "Firewall team",
            Self::Network => "Network team",
            Self::Proxy => "Proxy team",
            Self::Workspace => "Workspace owner",
            Self::Service => "Service owner",
            Self::Machine => "Admin of this machine",
        }
    }

    fn asked(self, what: &str) -> String {
        format!("{}: {}", self.as_str(), visible(what))
    }

    /// With commands, each on a line of its own.
    fn asked_with<T: AsRef<str>>(
        self,
        what: &str,
        commands: impl IntoIterator<Item = T>,
    ) -> String {
        let mut step = self.asked(what);
        for command in commands {
            step.push('\n');
            step.push_str(&visible(command.as_ref()));
        }
        step
    }
}

/// The fix and the proof of one fault; nothing when it explains no check.
pub fn remedy(
    cause: Cause,
    culprit: &Culprit,
    cases: &[Case<'_>],
    situation: Situation<'_>,
) -> Remedy {
    let Some(facts) = Facts::new(cause, culprit, cases, situation) else {
        return Remedy { fix: Vec::new(), prove: Vec::new() };
    };
    let mut fix =
        names::fix(&facts).or_else(|| paths::fix(&facts)).unwrap_or_else(|| services::fix(&facts));
    let above = !matches!(cause.info().layer, Layer::Dns | Layer::Proxy | Layer::Local);
    if let Some(proxy) = facts.first.proxy().filter(|_| above) {
        let target = facts.first.check.target.authority();
        fix.insert(0, Owner::Proxy.asked(&format!(
            "test {target} from the proxy {proxy}; the connection goes through it, and what is wrong is behind it."
        )));
    }
    let mut prove = prove::commands(&facts);
    prove.extend(query::denials(&facts));
    Remedy { fix: with_cloud_set(fix, situation.cloud), prove }
}

/// `az` talks to the public cloud until it is told otherwise; said once, where it is first needed.
fn with_cloud_set(mut fix: Vec<String>, cloud: Cloud) -> Vec<String> {
    let name = match cloud {
        Cloud::UsGovernment => "AzureUSGovernment",
        Cloud::China => "AzureChinaCloud",
        Cloud::Public | Cloud::None => return fix,
    };
    if let Some(step) = fix.iter_mut().find(|step| step.contains("\naz ")) {
        *step = step.replacen("\naz ", &format!("\naz cloud set --name {name}\naz "), 1);
    }
    fix
}

// ----------------------------------------------------------------------------------------- facts

/// The fault in the terms that steps and commands are written in.
struct Facts<'a> {
    cause: Cause,
    culprit: &'a Culprit,
    situation: Situation<'a>,
    first: Spot<'a>,
    /// Each target once, with the address at which it fails.
    spots: Vec<Spot<'a>>,
    since: Timestamp,
}

/// One target of the fault.
#[derive(Clone, Copy)]
struct Spot<'a> {
    check: &'a Check,
    observation: Option<&'a Observation>,
    host: &'a Host,
    port: u16,
    kind: Kind,
    /// The address at fault, else the first that the name resolves to.
    ip: Option<IpAddr>,
    /// What is wrong with that address alone.
    broken: Option<Cause>,
    /// An address of the same name that works.
    working: Option<IpAddr>,
}

impl<'a> Spot<'a> {
    fn new(case: &Case<'a>, blamed: Cause) -> Self {
        let target = &case.check.target;
        let addresses = &case.verdict.addresses;
        let at_fault = addresses
            .iter()
            .find(|a| a.cause == Some(blamed))
            .or_else(|| addresses.iter().find(|a| a.status == Status::Fail))
            .or_else(|| addresses.iter().find(|a| a.status != Status::Pass))
            .or(addresses.first());
        let ip = at_fault
            .map(|a| a.ip)
            .or_else(|| {
                let dns = case.observation?.dns.as_ref()?;
                effective(dns).addresses().first().copied()
            })
            .or(match &target.host {
                Host::Ip(ip) => Some(*ip),
                Host::Name(_) => None,
            })
            // Behind a proxy the addresses of the climbs are the proxy's.
            .filter(|_| case.observation.is_none_or(|o| o.through().is_none()));
        Self {
            check: case.check,
            observation: case.observation,
            host: &target.host,
            port: target.port.unwrap_or(443),
            kind: target.kind,
            ip,
            broken: at_fault.and_then(|a| a.cause),
            working: addresses
                .iter()
                .find(|a| a.status == Status::Pass)
                .map(|a| a.ip)
                .filter(|_| ip.is_some()),
        }
    }

    fn dns(&self) -> Option<&'a DnsObservation> {
        self.observation?.dns.as_ref()
    }

    /// The proxy that the check went through, by its URL without credentials.
    fn proxy(&self) -> Option<&'a str> {
        self.observation?.through().map(|proxy| proxy.url.as_str())
    }

    /// The name, or the address that stands in its place.
    fn host_text(&self) -> String {
        self.host.to_string()
    }

    fn is_tls(&self) -> bool {
        matches!(self.kind, Kind::Tls | Kind::Https | Kind::Websocket)
    }
}

impl<'a> Facts<'a> {
    fn new(
        cause: Cause,
        culprit: &'a Culprit,
        cases: &[Case<'a>],
        situation: Situation<'a>,
    ) -> Option<Self> {
        let mut spots: Vec<Spot<'a>> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        for case in cases {
            if known.insert(&case.check.target) {
                spots.push(Spot::new(case, cause));
            }
        }
        let since = cases.iter().filter_map(|case| case.since).min().unwrap_or(situation.now);
        Some(Self { cause, culprit, situation, first: *spots.first()?, spots, since })
    }

    /// Names at fault, each once, bounded.
    fn names(&self) -> Vec<&'a str> {
        unique(self.spots.iter().filter_map(|spot| spot.host.name()))
    }

    /// Addresses at fault, each once, bounded.
    fn addresses(&self) -> Vec<IpAddr> {
        unique(self.spots.iter().filter_map(|spot| spot.ip))
    }

    fn is_private(&self, ip: IpAddr) -> bool {
        self.situation.network.is_private(ip)
    }

    /// The DNS servers at fault, else those that answered for the first target.
    fn servers(&self) -> Vec<SocketAddr> {
        match self.culprit {
            Culprit::DnsServers(servers) => servers.clone(),
            _ => match self.first.dns() {
                Some(dns) => dns.configured().map(|server| server.server).collect(),
                None => self.situation.machine.dns_servers.clone(),
            },
        }
    }

    fn server_names(&self) -> String {
        match self.servers().as_slice() {
            [] => "of this machine".to_owned(),
            servers => crate::culprit::server_names(servers),
        }
    }

    /// The address that a log on the way shows as the source, when it is known: behind a proxy it
    /// is not this machine's.
    fn source(&self, toward: Option<IpAddr>) -> Option<IpAddr> {
        self.own_address(toward).filter(|_| self.first.proxy().is_none())
    }

    /// This machine's own address toward an address, when it is known.
    fn own_address(&self, toward: Option<IpAddr>) -> Option<IpAddr> {
        let same = |ip: &IpAddr| toward.is_none_or(|to| to.is_ipv4() == ip.is_ipv4());
        self.spots
            .iter()
            .filter_map(|spot| spot.observation?.local_address())
            .find(|ip| same(ip) && !ip.is_loopback())
            .or_else(|| {
                let own = self.situation.machine.addresses.iter();
                own.filter(|a| !a.is_docker_bridge()).map(|a| a.network.addr()).find(same)
            })
    }

    /// The network a rule would name as the source: the subnet of that address.
    fn source_network(&self, toward: Option<IpAddr>) -> String {
        if self.first.proxy().is_some() && self.cause.info().layer != Layer::Proxy {
            return "PROXY_SUBNET".to_owned();
        }
        let Some(source) = self.own_address(toward) else { return "SOURCE_SUBNET".to_owned() };
        let own = self.situation.machine.addresses.iter();
        own.map(|a| a.network)
            .find(|network| network.addr() == source)
            .map_or_else(|| source.to_string(), |network| network.trunc().to_string())
    }
}

/// Each once, in order, bounded.
fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen: Vec<T> = Vec::new();
    for item in items {
        if seen.len() < limits::REMEDY_TARGETS && !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// `a`, `a and b`, `a, b and c`; beyond three `a, b and 7 more`.
fn listed<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}
