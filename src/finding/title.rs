//! One true sentence about a fault: what, where, how many hosts.

use std::sync::Arc;

use crate::cause::Cause;
use crate::culprit::{Culprit, server_names, side};
use crate::snapshot::CheckReport;

/// Whether the DNS servers at fault answered anything at all for any check.
pub(super) fn has_answered(culprit: &Culprit, checks: &[Arc<CheckReport>]) -> bool {
    let Culprit::DnsServers(servers) = culprit else { return true };
    checks
        .iter()
        .filter_map(|report| report.observation.as_ref()?.dns.as_ref())
        .flat_map(|dns| &dns.servers)
        .any(|seen| {
            servers.contains(&seen.server)
                && (seen.a.answer().is_some() || seen.aaaa.answer().is_some())
        })
}

/// The hosts of a fault as the subject or object of a sentence.
struct Hosts {
    text: String,
    many: bool,
}

impl Hosts {
    fn new(hosts: &[String]) -> Self {
        let text = match hosts {
            [] => "a host".to_owned(),
            [one] => one.clone(),
            [one, two] => format!("{one} and {two}"),
            more => format!("{} hosts", more.len()),
        };
        Self { text, many: hosts.len() > 1 }
    }

    /// With a verb that agrees.
    fn does(&self, one: &str, many: &str) -> String {
        format!("{} {}", self.text, if self.many { many } else { one })
    }
}

impl std::fmt::Display for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The title of a finding.
pub(super) fn title(cause: Cause, culprit: &Culprit, hosts: &[String], answers: bool) -> String {
    let hosts = Hosts::new(hosts);
    dns(cause, culprit, &hosts, answers)
        .or_else(|| private(cause, culprit, &hosts))
        .or_else(|| paths(cause, culprit, &hosts))
        .or_else(|| certificates(cause, culprit, &hosts))
        .or_else(|| proxies(cause, culprit, &hosts))
        .unwrap_or_else(|| above(cause, &hosts))
}

fn dns(cause: Cause, culprit: &Culprit, hosts: &Hosts, answers: bool) -> Option<String> {
    let (server, many) = match culprit {
        Culprit::DnsServers(servers) if servers.len() > 1 => {
            (format!("DNS servers {}", server_names(servers)), true)
        }
        Culprit::DnsServers(servers) => (format!("DNS server {}", server_names(servers)), false),
        _ => ("DNS".to_owned(), false),
    };
    let does = |one: &str, more: &str| format!("{server} {}", if many { more } else { one });
    Some(match cause {
        Cause::DnsNxdomain => {
            format!("{} that {}", does("says", "say"), hosts.does("does not exist", "do not exist"))
        }
        Cause::DnsNodata => format!("{} no address for {hosts}", does("has", "have")),
        Cause::DnsServfail => format!("{} to look up {hosts}", does("fails", "fail")),
        Cause::DnsRefused => format!("{} to look up {hosts}", does("refuses", "refuse")),
        Cause::DnsTimeout if !answers && hosts.many => {
            format!("{} nobody: {hosts} cannot be looked up", does("answers", "answer"))
        }
        Cause::DnsTimeout => {
            format!("{} not answer: {hosts} cannot be looked up", does("does", "do"))
        }
        Cause::DnsUnreachable => {
            format!("{} not listen for DNS: {hosts} cannot be looked up", does("does", "do"))
        }
        Cause::DnsTcpBlocked => {
            format!("{} not answer over TCP, which {hosts} need", does("does", "do"))
                .replace("need", if hosts.many { "need" } else { "needs" })
        }
        Cause::DnsCnameLoop => format!("DNS aliases of {hosts} lead in a circle"),
        Cause::DnsCnameDangling => {
            hosts.does("is a DNS alias without an address", "are DNS aliases without an address")
        }
        Cause::DnsServersDisagree => format!("{server} give different answers for {hosts}"),
        Cause::DnsServerDown if answers => {
            format!("{} not resolve {hosts} while another one does", does("does", "do"))
        }
        Cause::DnsServerDown => {
            format!("{} nobody; another one still resolves {hosts}", does("answers", "answer"))
        }
        Cause::DnsSinkhole => format!("DNS answers {hosts} with an address that leads nowhere"),
        Cause::HostsFileOverride => format!("Hosts file of this machine overrides DNS for {hosts}"),
        _ => return None,
    })
}

fn private(cause: Cause, culprit: &Culprit, hosts: &Hosts) -> Option<String> {
    let publicly = || hosts.does("resolves to a public address", "resolve to public addresses");
    Some(match (cause, culprit) {
        (Cause::PrivateZoneNotLinked, Culprit::DnsServers(servers)) => {
            format!("DNS server {} sees no private zone: {}", server_names(servers), publicly())
        }
        (Cause::PrivateZoneNotLinked, culprit) => {
            format!("Private DNS {culprit} is not linked to this network: {}", publicly())
        }
        (Cause::PrivateForwarderMissing, culprit) => {
            let lack = hosts.does("has no private address here", "have no private address here");
            format!("{culprit} does not forward to Azure DNS: {lack}")
        }
        (Cause::PrivateEndpointMissing, _) => {
            hosts.does("has no approved private endpoint", "have no approved private endpoint")
        }
        (Cause::PrivateRecordMissing, culprit) => {
            format!("Private DNS {culprit} has no record for {hosts}")
        }
        (Cause::PrivateMixed, _) => hosts.does(
            "resolves to private and public addresses at once",
            "resolve to private and public addresses at once",
        ),
        (Cause::PrivateOutsideSubnet, _) => hosts.does(
            "resolves to an address outside the endpoint subnets",
            "resolve to addresses outside the endpoint subnets",
        ),
        (Cause::PrivateAddressMismatch, _) => hosts.does(
            "resolves to another address than its private endpoint's",
            "resolve to other addresses than their private endpoints'",
        ),
        (Cause::PublicExpectedButPrivate, _) => hosts.does(
            "is a public service but resolves to a private address",
            "are public services but resolve to private addresses",
        ),
        _ => return None,
    })
}

/// `port 445 of HOSTS (private addresses)`.
fn port_of(culprit: &Culprit, hosts: &Hosts) -> String {
    match culprit {
        Culprit::Path { port, private } => format!("port {port} of {hosts} ({})", side(*private)),
        Culprit::Side { private } => format!("any port of {hosts} ({})", side(*private)),
        Culprit::Service(service) if !hosts.many => service.clone(),
        _ => hosts.to_string(),
    }
}

fn paths(cause: Cause, culprit: &Culprit, hosts: &Hosts) -> Option<String> {
    let port = port_of(culprit, hosts);
    Some(match (cause, culprit) {
        (Cause::DockerBridgeOverlap, _) => {
            format!("Docker bridge of this machine hides the address of {hosts}")
        }
        (Cause::TcpTimeout, Culprit::Machine) => {
            format!("Nothing answers this machine at all: {hosts}")
        }
        (Cause::TcpTimeout, _) => format!("No answer from {port}"),
        (Cause::TcpRefused, _) => format!("Connections to {port} are refused"),
        (Cause::TcpProhibited, _) => {
            format!("Connections to {port} are rejected with an ICMP error")
        }
        (Cause::TcpUnreachable, Culprit::Machine | Culprit::Side { .. }) => {
            format!("There is no route to {hosts}")
        }
        (Cause::TcpUnreachable, _) => format!("No way leads to {port}"),
        (Cause::TcpClosedOnAccept, _) => format!("Connections to {port} are closed as they open"),
        (Cause::TcpSynLoss, _) => format!("First packets to {port} get lost"),
        (Cause::AddressPartial, _) => format!("Some addresses of {port} do not work"),
        (Cause::Ipv6Broken, _) => {
            format!(
                "IPv6 does not work here: {}",
                hosts.does("answers only over IPv4", "answer only over IPv4")
            )
        }
        (Cause::LocalNoNetwork, _) => {
            format!("This machine has no network: {hosts} could not be checked")
        }
        (Cause::LocalNoResolver, _) => {
            format!("This machine has no DNS server: {hosts} could not be looked up")
        }
        (Cause::LocalExhausted, _) => format!(
            "This machine ran out of sockets, ports or memory: {hosts} could not be checked"
        ),
        (Cause::Overdue, _) => format!("Results of {hosts} are too old or came too late to count"),
        _ => return None,
    })
}

fn certificates(cause: Cause, culprit: &Culprit, hosts: &Hosts) -> Option<String> {
    let whose = match culprit {
        Culprit::Issuer(subject) => {
            format!("{subject}, which {} on,", hosts.does("relies", "rely"))
        }
        Culprit::Service(service) if !hosts.many => service.clone(),
        _ => hosts.to_string(),
    };
    let issuer = match culprit {
        Culprit::Issuer(issuer) => issuer.as_str(),
        _ => "an unknown issuer",
    };
    Some(match (cause, culprit) {
        (Cause::TlsIntercepted, _) => {
            format!("TLS to {hosts} is intercepted and re-signed by {issuer}")
        }
        (Cause::TlsUntrustedIssuer, _) => {
            format!("Certificate issuer {issuer} of {hosts} is not trusted here")
        }
        (Cause::TlsSelfSigned, _) => format!("Certificate of {whose} is self-signed"),
        (Cause::TlsMissingIntermediate, _) => {
            format!("{} its intermediate certificate", hosts.does("does not send", "do not send"))
                .replace("do not send its", "do not send their")
        }
        (Cause::TlsExpired, Culprit::Machine) => {
            format!("Certificates of {hosts} have all expired by the clock of this machine")
        }
        (Cause::TlsNotYetValid, Culprit::Machine) => {
            format!("Certificates of {hosts} are not valid yet by the clock of this machine")
        }
        (Cause::TlsExpired, _) => format!("Certificate of {whose} has expired"),
        (Cause::TlsNotYetValid, _) => format!("Certificate of {whose} is not valid yet"),
        (Cause::TlsNameMismatch, _) => format!("Certificate of {whose} is for another name"),
        (Cause::TlsCertificateExpiring, _) => format!("Certificate of {whose} expires soon"),
        _ => return None,
    })
}

fn proxies(cause: Cause, culprit: &Culprit, hosts: &Hosts) -> Option<String> {
    let proxy = match culprit {
        Culprit::Proxy(url) => format!("proxy {url}"),
        _ => "the proxy".to_owned(),
    };
    Some(match cause {
        Cause::ProxyUnreachable => format!("No way through {proxy} to {hosts}"),
        Cause::ProxyDenied => format!("Refusal by {proxy} to connect to {hosts}"),
        Cause::ProxyAuthRequired => format!("Credentials demanded by {proxy} for {hosts}"),
        Cause::ProxyBackendUnreachable => format!("No connection from {proxy} to {hosts}"),
        _ => return None,
    })
}

fn above(cause: Cause, hosts: &Hosts) -> String {
    match cause {
        Cause::TlsSniBlocked => format!("Firewall filters {hosts} by name"),
        Cause::TlsClosed => format!("Connections to {hosts} are cut during the TLS handshake"),
        Cause::TlsTimeout => format!("TLS handshakes with {hosts} get no answer"),
        Cause::TlsMtuBlackhole => format!("Large packets between here and {hosts} are lost"),
        Cause::TlsSlow => format!("TLS handshakes with {hosts} are slow"),
        Cause::NotTls => format!("Something other than TLS answers for {hosts}"),
        Cause::HttpFirewallDeny => format!("Firewall denies requests to {hosts}"),
        Cause::HttpResourceFirewallDeny => {
            hosts.does("refuses requests from this network", "refuse requests from this network")
        }
        Cause::WebsocketBlocked => format!("WebSockets to {hosts} do not get through"),
        _ => format!("{}: {hosts}", cause.info().title),
    }
}
