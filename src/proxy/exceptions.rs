//! Which targets are reached without the proxy: the entries of `NO_PROXY`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::check::Target;
use crate::limits;
use crate::model::{Host, printable};

/// One entry of `NO_PROXY`, read as Go's and curl's: `*`, `contoso.mil` (and all names below it),
/// `.contoso.mil` (only names below it), an address, a network, each but the first and the last
/// with a port where the entry is for that port alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// As it is written, printable.
    text: String,
    what: What,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Everything,
    Network(IpNet),
    Address(IpAddr),
    /// A name and all names below it.
    Name(String),
    /// All names below a name.
    Below(String),
}

impl Exception {
    /// Reads one entry; none when it could match nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let made = |what, port| Some(Self { text: printable(text), what, port });
        if text == "*" {
            return made(What::Everything, None);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return made(What::Network(network), None);
        }
        let bare = |text: &str| {
            let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            inside.unwrap_or(text).parse::<IpAddr>().ok()
        };
        if let Some(ip) = bare(text) {
            return made(What::Address(ip.to_canonical()), None);
        }
        let (place, port) = match text.rsplit_once(':') {
            Some((place, digits)) => (place, Some(super::port_number(digits)?)),
            None => (text, None),
        };
        if let Some(ip) = bare(place) {
            return made(What::Address(ip.to_canonical()), port);
        }
        let below = place.strip_prefix("*.").or_else(|| place.strip_prefix('.'));
        match Host::parse(below.unwrap_or(place)).ok()? {
            Host::Ip(_) => None,
            Host::Name(name) if below.is_some() => made(What::Below(name), port),
            Host::Name(name) => made(What::Name(name), port),
        }
    }

    /// The entries of a list with commas or blanks between them; what could match nothing is left
    /// out, as every program does.
    pub fn list(text: &str) -> Vec<Self> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        entries.filter_map(Self::parse).take(limits::LIST_ENTRIES).collect()
    }

    /// Whether it is for this target.
    pub(super) fn matches(&self, target: &Target) -> bool {
        let below = |name: &str, parent: &str| {
            name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
        };
        let host = match (&self.what, &target.host) {
            (What::Everything, _) => true,
            (What::Network(network), Host::Ip(ip)) => network.contains(&ip.to_canonical()),
            (What::Address(address), Host::Ip(ip)) => *address == ip.to_canonical(),
            (What::Name(parent), Host::Name(name)) => name == parent || below(name, parent),
            (What::Below(parent), Host::Name(name)) => below(name, parent),
            _ => false,
        };
        host && self.port.is_none_or(|port| target.port == Some(port))
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
