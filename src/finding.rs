//! Real-world faults: failing checks with the same cause and the same culprit are one finding.

use std::net::{IpAddr, SocketAddr};

use crate::cause::Cause;
use crate::model::Status;

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
    /// One address of a service.
    Address(IpAddr, u16),
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
