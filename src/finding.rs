//! Real-world faults: failing checks with the same cause and the same culprit are one finding.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::cause::Cause;
use crate::limits;
use crate::model::{Host, Status, authority, visible};
use crate::resolution::effective;
use crate::snapshot::CheckReport;
use crate::verdict::{proxied, server_names};

/// What is at fault, as precisely as the evidence says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Culprit {
    /// This machine.
    Machine,
    /// DNS servers, in the order they are used.
    DnsServers(Vec<SocketAddr>),
    /// A private DNS zone.
    Zone(String),
    /// A name in DNS or in the hosts file.
    Name(String),
    /// The way to a port, private or public: what one firewall rule covers.
    Path {
        /// The port.
        port: u16,
        /// Toward private addresses.
        private: bool,
    },
    /// One service, by host and port.
    Service(String),
    /// Whoever issued the certificate.
    Issuer(String),
    /// An explicit proxy, by its URL without credentials.
    Proxy(String),
    /// An address family of this machine's network.
    Ipv6,
}

/// One real-world fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its cause.
    pub cause: Cause,
    /// The worst status among the checks it explains.
    pub status: Status,
    /// What is at fault.
    pub culprit: Culprit,
    /// One sentence: what, where, how much.
    pub title: String,
    /// Ids of the checks it explains.
    pub explains: Vec<String>,
    /// Ids of the scenarios it blocks or degrades.
    pub scenarios: Vec<String>,
    /// What was seen, one sentence each, bounded.
    pub evidence: Vec<String>,
    /// What to ask whom, one step each.
    pub fix: Vec<String>,
    /// Commands that show the same without vnetprobe.
    pub prove: Vec<String>,
}

/// What one check adds to a finding.
struct Share<'a> {
    report: &'a CheckReport,
    status: Status,
    summary: &'a str,
}

/// Groups what is wrong with the checks by cause and culprit, the finding whose mending restores
/// most first.
pub fn correlate(checks: &[Arc<CheckReport>]) -> Vec<Finding> {
    let denying = denying_servers(checks);
    let mut groups: BTreeMap<(Cause, &Culprit), Vec<Share<'_>>> = BTreeMap::new();
    for report in checks {
        let Some(verdict) = &report.verdict else { continue };
        let mut add = |cause, culprit, status, summary| {
            // A server that denies many names is one fault, not one per name.
            let culprit =
                denying.as_ref().filter(|_| cause == Cause::DnsNxdomain).unwrap_or(culprit);
            groups.entry((cause, culprit)).or_default().push(Share { report, status, summary });
        };
        match (verdict.status, verdict.cause, &verdict.culprit) {
            // Silence over UDP is no fault, and no proof of health either.
            (Status::Pass, ..) | (_, Some(Cause::UdpNoEvidence), _) => {}
            (Status::Warn, ..) if !verdict.warnings.is_empty() => {
                for warning in &verdict.warnings {
                    add(warning.cause, &warning.culprit, Status::Warn, &warning.summary);
                }
            }
            (status, Some(cause), Some(culprit)) => add(cause, culprit, status, &verdict.summary),
            _ => {}
        }
    }
    let mut findings: Vec<Finding> = groups
        .into_iter()
        .map(|((cause, culprit), shares)| finding(cause, culprit, &shares))
        .collect();
    findings.sort_by_cached_key(|f| {
        (
            Reverse(f.status),
            Reverse(f.scenarios.len()),
            Reverse(f.explains.len()),
            f.cause,
            f.culprit.clone(),
        )
    });
    findings
}

/// From this many denied hosts on, the server is the culprit and not each name.
const DENIED_HOSTS: usize = 3;

/// The DNS servers that say of several hosts that they do not exist: one server without a way
/// outside, or one that filters names, is the likelier fault than that many wrong names.
fn denying_servers(checks: &[Arc<CheckReport>]) -> Option<Culprit> {
    let mut denied: BTreeSet<&str> = BTreeSet::new();
    let mut servers: Vec<SocketAddr> = Vec::new();
    for report in checks.iter().filter(|report| report.cause() == Some(Cause::DnsNxdomain)) {
        denied.extend(report.check.target.host.name());
        if let Some(dns) = report.observation.as_ref().and_then(|o| o.dns.as_ref()) {
            servers = dns.configured().map(|server| server.server).collect();
        }
    }
    (denied.len() >= DENIED_HOSTS).then_some(Culprit::DnsServers(servers))
}

fn finding(cause: Cause, culprit: &Culprit, shares: &[Share<'_>]) -> Finding {
    let mut scenarios: Vec<String> = Vec::new();
    let mut evidence: Vec<String> = Vec::new();
    let mut hosts: Vec<String> = Vec::new();
    for share in shares {
        for scenario in &share.report.check.scenarios {
            if !scenarios.contains(scenario) {
                scenarios.push(scenario.clone());
            }
        }
        if !evidence.iter().any(|line| line == share.summary) {
            evidence.push(share.summary.to_owned());
        }
        let host = share.report.check.target.host.to_string();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let more = evidence.len().saturating_sub(limits::FINDING_EVIDENCE);
    evidence.truncate(limits::FINDING_EVIDENCE);
    if more > 0 {
        evidence.push(format!("and {more} more like these"));
    }
    let info = cause.info();
    Finding {
        cause,
        status: shares.iter().map(|share| share.status).max().unwrap_or(info.status),
        title: visible(&title(cause, culprit, &hosts)),
        culprit: culprit.clone(),
        explains: shares.iter().map(|share| share.report.check.id.clone()).collect(),
        scenarios,
        evidence,
        fix: fix(cause, culprit),
        prove: shares
            .first()
            .map(|share| prove(cause, culprit, share.report))
            .into_iter()
            .collect(),
    }
}

fn fix(cause: Cause, culprit: &Culprit) -> Vec<String> {
    match (cause, culprit) {
        (Cause::DnsNxdomain, Culprit::DnsServers(servers)) => vec![format!(
            "DNS server {} says that all these names do not exist, too many for spelling mistakes. Ask the DNS team whether it may resolve names outside and whether it filters them (Azure DNS, 168.63.129.16, resolves all of them), or name other servers in [dns] servers.",
            server_names(servers)
        )],
        _ => vec![cause.info().fix.to_owned()],
    }
}

fn title(cause: Cause, culprit: &Culprit, hosts: &[String]) -> String {
    let title = cause.info().title;
    let affected = match hosts {
        [] => String::new(),
        [only] => format!(": {only}"),
        [first, second] => format!(": {first} and {second}"),
        [first, rest @ ..] => format!(": {first} and {} more hosts", rest.len()),
    };
    match culprit {
        // The host is the culprit itself.
        Culprit::Name(name) | Culprit::Service(name) => format!("{title}: {name}"),
        _ => format!("{title} ({culprit}){affected}"),
    }
}

impl std::fmt::Display for Culprit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Machine => f.write_str("this machine"),
            Self::DnsServers(servers) => write!(f, "DNS server {}", server_names(servers)),
            Self::Zone(zone) => write!(f, "zone {zone}"),
            Self::Name(name) | Self::Service(name) => f.write_str(name),
            Self::Path { port, private: true } => write!(f, "port {port} toward private addresses"),
            Self::Path { port, private: false } => write!(f, "port {port} toward public addresses"),
            Self::Issuer(issuer) => write!(f, "issuer {issuer}"),
            Self::Proxy(url) => write!(f, "proxy {url}"),
            Self::Ipv6 => f.write_str("IPv6"),
        }
    }
}

/// The cause's command with the first explained check's values.
fn prove(cause: Cause, culprit: &Culprit, report: &CheckReport) -> String {
    let target = &report.check.target;
    let dns = report.observation.as_ref().and_then(|o| o.dns.as_ref());
    let failing = report
        .verdict
        .as_ref()
        .and_then(|v| v.addresses.iter().find(|a| a.status != Status::Pass).or(v.addresses.first()))
        .map(|a| a.ip);
    let resolved = || dns.and_then(|dns| effective(dns).addresses().into_iter().next());
    let address: Option<IpAddr> = failing.or_else(resolved);
    let server: Option<SocketAddr> = match culprit {
        Culprit::DnsServers(servers) => servers.first().copied(),
        _ => dns.and_then(|dns| dns.configured().next()).map(|s| s.server),
    };
    let address = address.map_or_else(|| target.host.clone(), Host::Ip);
    let port = target.port.unwrap_or(443);
    // Before a port, IPv6 stands in brackets.
    let command = match &report.observation {
        Some(observation) => proxied::in_command(cause.info().prove, observation),
        None => cause.info().prove.to_owned(),
    };
    command
        .replace("{host}:{port}", &authority(&target.host, port))
        .replace("{address}:{port}", &authority(&address, port))
        .replace("{host}", &target.host.to_string())
        .replace("{port}", &port.to_string())
        .replace("{address}", &address.to_string())
        .replace("{server}", &server.map_or_else(|| "127.0.0.1".to_owned(), |s| s.ip().to_string()))
}
