//! Which targets are reached without the proxy: the entries of `NO_PROXY` and of Windows' list.

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
    /// Hosts as they are written, with `*` for any piece of them.
    Like(String),
    /// Names without a dot.
    Plain,
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

    /// Reads one entry of Windows' `ProxyOverride`: `<local>`, or a host in which `*` stands for any
    /// piece, with a port where it is for that port alone. Unlike in `NO_PROXY`, names below a name
    /// are not meant.
    pub(super) fn of_windows(text: &str) -> Option<Self> {
        let made = |what, port| Some(Self { text: printable(text), what, port });
        if text.eq_ignore_ascii_case("<local>") {
            return made(What::Plain, None);
        }
        let place = text.split_once("://").map_or(text, |(_, place)| place);
        let (host, port) = match bare(place) {
            Some(_) => (place, None),
            None => super::split_port(place),
        };
        let port = match port {
            Some(digits) => Some(super::port_number(digits)?),
            None => None,
        };
        match bare(host) {
            Some(ip) => made(What::Address(ip.to_canonical()), port),
            None if host.is_empty() || host.contains(['<', '>', '/', ':']) => None,
            None => made(What::Like(host.to_lowercase()), port),
        }
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
            (What::Like(pattern), Host::Name(name)) => is_like(name, pattern),
            (What::Like(pattern), Host::Ip(ip)) => is_like(&ip.to_canonical().to_string(), pattern),
            (What::Plain, Host::Name(name)) => !name.contains('.'),
            _ => false,
        };
        host && self.port.is_none_or(|port| target.port == Some(port))
    }
}

/// An address, in brackets or not.
fn bare(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(text).parse().ok()
}

/// Whether a text is a pattern's, with `*` for any piece.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text == pattern };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut text) = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail)) else {
        return false;
    };
    // The first place for each piece leaves the most to those after it.
    for piece in middle.split('*') {
        match text.split_once(piece) {
            _ if piece.is_empty() => {}
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    true
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
