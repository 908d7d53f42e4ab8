//! What the hosts file and every DNS server said of one name.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{ConnectFailure, LocalTrouble, NetworkError};
use crate::model::Elapsed;

/// What every source of names said about one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DnsObservation {
    /// Addresses the hosts file gives this name; when there are any, no application asks DNS.
    pub hosts_file: Vec<IpAddr>,
    /// One entry per server asked, in the order the system uses them.
    pub servers: Vec<ServerObservation>,
}

/// Why a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// Applications on this machine ask it.
    Configured,
    /// A local stub (systemd-resolved) forwards to it; asked for evidence.
    Upstream,
    /// The reference server of the cloud; asked for evidence when the answer is not as expected.
    Reference,
}

/// What one server said to both questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerObservation {
    /// The server.
    pub server: SocketAddr,
    /// Why it was asked.
    pub role: ServerRole,
    /// The question for IPv4 addresses.
    pub a: Exchange,
    /// The question for IPv6 addresses.
    pub aaaa: Exchange,
}

/// One question to one server and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// From the first packet to the outcome.
    pub elapsed: Elapsed,
    /// Times the question was sent over UDP.
    pub attempts: u32,
    /// The answer came truncated over UDP, so TCP was used.
    pub over_tcp: bool,
    /// The answer or how it failed.
    pub outcome: ExchangeOutcome,
}

/// The end of an [`Exchange`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeOutcome {
    /// The server answered.
    Answer(Answer),
    /// It did not.
    Failed(DnsFailure),
}

/// Response codes that matter here (RFC 1035 section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rcode {
    /// NOERROR.
    NoError,
    /// NXDOMAIN.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// Any other, by number.
    Other(u16),
}

/// A server's answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its response code.
    pub rcode: Rcode,
    /// Alias steps from the question to the last name, in order.
    pub chain: Vec<Alias>,
    /// The chain came back to a name it had passed, or was longer than we follow.
    #[serde(default)]
    pub chain_loops: bool,
    /// Address records at the end of the chain.
    pub addresses: Vec<AddressRecord>,
    /// Seconds a negative answer may be cached (RFC 2308 section 5), when the server said.
    #[serde(default)]
    pub negative_ttl: Option<u32>,
}

/// One CNAME step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The alias.
    pub from: String,
    /// What it stands for.
    pub to: String,
    /// Seconds it may be cached.
    pub ttl: u32,
}

/// One address record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRecord {
    /// The address.
    pub ip: IpAddr,
    /// Seconds it may be cached.
    pub ttl: u32,
}

/// How a question ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsFailure {
    /// Silence.
    Timeout,
    /// Nothing listens there, or the way is closed: an ICMP error came back.
    Unreachable(NetworkError),
    /// UDP answered truncated, and TCP to the same server then failed in this way.
    TcpFailed(ConnectFailure),
    /// What came back was not an answer to this question.
    Malformed(String),
    /// This machine could not send at all.
    Local(LocalTrouble),
}
