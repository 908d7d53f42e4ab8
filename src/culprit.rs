//! What is at fault, as precisely as the evidence says: one rule, one zone, one server, one name.

use std::fmt;
use std::net::SocketAddr;

/// What is at fault.
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
    /// The way to all private or to all public addresses, whatever the port.
    Side {
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

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("this machine"),
            Self::DnsServers(servers) => write!(f, "DNS server {}", server_names(servers)),
            Self::Zone(zone) => write!(f, "zone {zone}"),
            Self::Name(name) | Self::Service(name) => f.write_str(name),
            Self::Path { port, private } => write!(f, "port {port} toward {}", side(*private)),
            Self::Side { private } => write!(f, "everything toward {}", side(*private)),
            Self::Issuer(issuer) => write!(f, "issuer {issuer}"),
            Self::Proxy(url) => write!(f, "proxy {url}"),
            Self::Ipv6 => f.write_str("IPv6"),
        }
    }
}

/// The addresses of one side, in words.
pub(crate) fn side(private: bool) -> &'static str {
    if private { "private addresses" } else { "public addresses" }
}

/// Addresses of servers without the usual port.
pub(crate) fn server_names(servers: &[SocketAddr]) -> String {
    let shown = |s: &SocketAddr| if s.port() == 53 { s.ip().to_string() } else { s.to_string() };
    servers.iter().map(shown).collect::<Vec<_>>().join(", ")
}
