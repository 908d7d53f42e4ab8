//! Who is at the other end of a connection, as far as the connection tells.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The other end, an extension of every request. A request without one came from nowhere known
/// and is trusted with nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Its address; none over a Unix socket.
    pub address: Option<IpAddr>,
    /// It came over a Unix socket.
    pub unix: bool,
    /// The listener cannot be reached from other machines: loopback or a Unix socket.
    pub local: bool,
    /// The connection is encrypted.
    pub secure: bool,
    /// The name in its certificate, which has been verified.
    pub certificate: Option<Arc<str>>,
}

/// What counts as one peer for limits: an IPv4 address, or the /64 that one IPv6 machine may choose
/// its addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PeerKey {
    /// This machine.
    Here,
    /// Another one.
    There(IpAddr),
}

impl PeerKey {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Here,
            Some(address) if address.is_loopback() => Self::Here,
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self::There(IpAddr::V6(Ipv6Addr::from(network)))
            }
            Some(address) => Self::There(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_is_one_peer() {
        let key = |text: &str| PeerKey::of(Some(text.parse().unwrap()));
        for here in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(key(here), PeerKey::Here, "{here}");
        }
        assert_eq!(PeerKey::of(None), PeerKey::Here);
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.2"), key("10.0.0.1"));
    }
}
