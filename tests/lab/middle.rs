//! What stands between client and servers, as world files write it: filters of names, inspection,
//! HTTP proxies; and the packet rules that bring connections there. Pure.
//!
//! A firewall sees what leaves for the internet. Private endpoints are in the network itself, so
//! connections to them pass by.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::world::Fault;

/// Where haproxy listens as a filter of names, for both families.
pub(crate) const HAPROXY_PORT: u16 = 10443;
/// Where squid listens for TLS that was not meant for it: IPv4, IPv6.
pub(crate) const SQUID_TLS_PORTS: [u16; 2] = [10453, 10454];
/// Where squid listens for plain HTTP that was not meant for it: IPv4, IPv6.
pub(crate) const SQUID_HTTP_PORTS: [u16; 2] = [10480, 10481];
/// Packets so marked are haproxy's, whatever their destination says.
pub(crate) const FILTER_MARK: u32 = 1;

/// A firewall that takes connections itself and closes them by the name they ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Real software in the role.
    #[serde(default)]
    pub(crate) by: Engine,
    /// How haproxy closes. squid ends connections in order, netfilter resets them.
    #[serde(default)]
    pub(crate) ends: End,
    /// Names it closes on.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// If there are any: names it does not close on, all others being denied.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// It filters this family alone, and the other passes by.
    pub(crate) only: Option<Family>,
    /// It takes plain HTTP too, and answers this for a denied name.
    pub(crate) page: Option<Page>,
}

/// Who filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Engine {
    #[default]
    Haproxy,
    Squid,
    /// The kernel's packet filter, which looks into packets and ends no connection itself.
    Netfilter,
}

/// The last packet of a closed connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// An orderly end.
    #[default]
    Fin,
    /// Nothing: the other side is never told.
    Silence,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Family {
    Ipv4,
}

/// A way through the firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Toward {
    Client,
    Server,
}

/// What a firewall answers in the place of a server that it denies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// A firewall that reads what is inside TLS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inspection {
    /// Who knows its root certificate.
    pub(crate) root: Root,
    /// Names whose TLS it leaves alone.
    #[serde(default)]
    pub(crate) exempt: Vec<String>,
}

/// Where the root certificate of an inspecting firewall is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Root {
    Nowhere,
    /// The client's own store, `/etc/ssl/certs`.
    HostStore,
    /// `ca_files` of the program's configuration.
    CaFiles,
}

/// squid on the firewall, at 10.20.0.1:3128.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplicitProxy {
    /// Names it does not go to.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// It works for `bob` with the password `secret` alone.
    #[serde(default)]
    pub(crate) credentials: bool,
}

impl Filter {
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.deny.iter().chain(&self.allow).map(String::as_str).collect()
    }

    /// Whether it closes on a name.
    pub(crate) fn denies(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        if self.allow.is_empty() { listed(&self.deny) } else { !listed(&self.allow) }
    }
}

impl Inspection {
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.exempt.iter().map(String::as_str).collect()
    }
}

impl ExplicitProxy {
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.deny.iter().map(String::as_str).collect()
    }
}

/// The filter among faults.
pub(crate) fn filter(faults: &[Fault]) -> Option<&Filter> {
    faults.iter().find_map(|fault| match fault {
        Fault::NameFilter(filter) => Some(filter),
        _ => None,
    })
}

/// The inspection among faults.
pub(crate) fn inspection(faults: &[Fault]) -> Option<&Inspection> {
    faults.iter().find_map(|fault| match fault {
        Fault::Inspection(inspection) => Some(inspection),
        _ => None,
    })
}

/// The commands that make netfilter a filter of names: nft itself cannot search in packets.
pub(crate) fn commands(faults: &[Fault]) -> Vec<String> {
    let names = filter(faults).filter(|filter| filter.by == Engine::Netfilter);
    let names = names.into_iter().flat_map(|filter| &filter.deny);
    names
        .flat_map(|name| {
            ["iptables", "ip6tables"].map(|program| {
            format!(
                "{program}-nft -A FORWARD -i client -p tcp --dport 443 -m string --algo bm --icase \
                 --string {name} -j REJECT --reject-with tcp-reset"
            )
        })
        })
        .collect()
}

/// The firewall's chains that bring connections to its own servers.
pub(crate) fn chains(faults: &[Fault]) -> String {
    let (mut transparent, mut redirected) = (String::new(), String::new());
    let filter = filter(faults);
    let by_squid =
        inspection(faults).is_some() || filter.is_some_and(|filter| filter.by == Engine::Squid);
    let page = filter.is_some_and(|filter| filter.page.is_some());
    let only = filter.and_then(|filter| filter.only);
    let families = [("ip", "ip daddr != 172.16.0.0/12"), ("ip6", "meta nfproto ipv6")];
    for (index, (family, outward)) in families.into_iter().enumerate() {
        if only == Some(Family::Ipv4) && family != "ip" {
            continue;
        }
        let from = format!("iifname \"client\" {outward} tcp dport");
        let mut redirect = |port: u16, to: [u16; 2]| {
            if let Some(to) = to.get(index) {
                let _ = writeln!(redirected, "{from} {port} redirect to :{to}");
            }
        };
        if by_squid {
            redirect(443, SQUID_TLS_PORTS);
        } else if filter.is_some_and(|filter| filter.by == Engine::Haproxy) {
            let _ = writeln!(
                transparent,
                "{from} 443 tproxy {family} to :{HAPROXY_PORT} meta mark set {FILTER_MARK} accept"
            );
        }
        if page {
            redirect(80, SQUID_HTTP_PORTS);
        }
    }
    format!(
        "chain names {{\ntype filter hook prerouting priority mangle; policy accept;\n{transparent}}}\n\
         chain redirected {{\ntype nat hook prerouting priority dstnat; policy accept;\n{redirected}}}\n"
    )
}
