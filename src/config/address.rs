//! Networks, addresses, DNS servers, the listener and the proxy.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::reader::{Complaint, quoted, shown};
use crate::model::Host;
use crate::proxy::{Exception, Proxy};
use crate::settings::web::Listen;

/// Port of DNS servers that say none.
const DNS_PORT: u16 = 53;
/// Longest path of a socket in the file system (unix(7), without the closing zero).
const SOCKET_PATH_BYTES: usize = 107;

/// A network in CIDR form without host bits.
pub(super) fn network(text: &str) -> Result<IpNet, Complaint> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        return Err(Complaint::new(format!("{} is an address, not a network", quoted(text)))
            .hint(format!("for this address alone write `{address}/{bits}`")));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(Complaint::new(format!("{} is not a network", quoted(text)))
            .hint("write an address and a prefix length, such as `10.0.0.0/8`"));
    };
    if network.trunc() != network {
        let meant = network.trunc();
        return Err(Complaint::new(format!("{} has host bits set", quoted(text)))
            .hint(format!("the network is `{meant}`")));
    }
    Ok(network)
}

/// A domain, with or without a dot in front.
pub(super) fn suffix(text: &str) -> Result<String, Complaint> {
    let text = text.trim();
    match crate::target::host(text.strip_prefix('.').unwrap_or(text)) {
        Ok(Host::Name(name)) => Ok(name),
        Ok(Host::Ip(_)) => Err(Complaint::new(format!("{} is an address", quoted(text)))
            .hint("write a domain, such as `contoso.mil`")),
        Err(error) => Err(Complaint::new(error).hint("write a domain, such as `contoso.mil`")),
    }
}

/// A plain address.
pub(super) fn address(text: &str) -> Result<IpAddr, Complaint> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let complaint = Complaint::new(format!("{} is not an IP address", quoted(text)));
        if text.contains('/') || text.parse::<SocketAddr>().is_ok() {
            complaint.hint("write the address alone, without prefix length or port")
        } else {
            complaint
        }
    })
}

/// A DNS server: an address, with a port unless it is 53.
pub(super) fn dns_server(text: &str) -> Result<SocketAddr, Complaint> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = match bare.parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, DNS_PORT)),
        Err(_) => text.parse::<SocketAddr>(),
    };
    match parsed {
        Ok(server) if server.port() == 0 => {
            Err(Complaint::new(format!("{} has port 0", quoted(text))).hint("1 to 65535"))
        }
        Ok(server) if server.ip().is_unspecified() => {
            Err(Complaint::new(format!("{} is no server's address", quoted(text))))
        }
        Ok(server) => Ok(server),
        Err(_) => Err(Complaint::new(format!("{} is not a DNS server", quoted(text)))
            .hint("write its address: `10.0.0.4`, `10.0.0.4:5353` or `[fd00::4]:53`")),
    }
}

/// Where to listen: an address and a port, where port 0 lets the system choose, or `unix:` and an
/// absolute path.
pub(super) fn listener(text: &str) -> Result<Listen, Complaint> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.contains('\0') || path.len() > SOCKET_PATH_BYTES {
            let complaint = Complaint::new(format!("{} is not a socket's path", quoted(path)));
            return Err(complaint.hint(format!(
                "write it in full and not longer than {SOCKET_PATH_BYTES} bytes, such as `unix:/run/vnetprobe/http.sock`"
            )));
        }
        return Ok(Listen::Unix(PathBuf::from(path)));
    }
    text.parse().map(Listen::Tcp).map_err(|_| {
        let complaint = Complaint::new(format!("{} is not an address to listen on", quoted(text)));
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let port_ok = port.parse::<u16>().is_ok();
        match (text.parse::<IpAddr>(), host) {
            (Ok(IpAddr::V4(address)), _) => {
                complaint.hint(format!("add a port: `{address}:19115`"))
            }
            (Ok(IpAddr::V6(address)), _) => {
                complaint.hint(format!("add brackets and a port: `[{address}]:19115`"))
            }
            (Err(_), "") if port_ok => {
                complaint.hint(format!("for all addresses write `0.0.0.0:{port}`"))
            }
            (Err(_), "localhost") if port_ok => complaint.hint(format!("write `127.0.0.1:{port}`")),
            _ if text.starts_with('/') => complaint.hint(format!("write `unix:{}`", shown(text))),
            _ => complaint.hint("write an address and a port, such as `127.0.0.1:19115`"),
        }
    })
}

/// The URL of an HTTP proxy. It may hold a password, so no message repeats any part of it.
pub(super) fn proxy(text: &str) -> Result<Proxy, Complaint> {
    Proxy::parse(text).map_err(|error| Complaint::new(error.message).hint(error.hint))
}

/// A host, domain, address or network that is reached without the proxy.
pub(super) fn no_proxy(text: &str) -> Result<Exception, Complaint> {
    Exception::parse(text).ok_or_else(|| {
        Complaint::new(format!("{} is not a host, domain, address or network", quoted(text)))
            .hint("write `*`, `mlstore.blob.core.usgovcloudapi.net`, `.azure.us`, `10.0.0.4` or `10.0.0.0/8`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_no_host_bits() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("fd00::/8").unwrap().to_string(), "fd00::/8");
        for (text, hint) in [
            ("10.0.0.5/8", "the network is `10.0.0.0/8`"),
            ("10.0.0.5", "for this address alone write `10.0.0.5/32`"),
            ("fd00::4", "for this address alone write `fd00::4/128`"),
            ("10.0.0.0/33", "write an address and a prefix length, such as `10.0.0.0/8`"),
        ] {
            assert_eq!(network(text).unwrap_err().hint.unwrap(), hint, "{text}");
        }
    }

    #[test]
    fn dns_servers_have_a_port_when_they_say_so() {
        for (text, expected) in [
            ("10.0.0.4", "10.0.0.4:53"),
            ("10.0.0.4:5353", "10.0.0.4:5353"),
            ("fd00::4", "[fd00::4]:53"),
            ("[fd00::4]", "[fd00::4]:53"),
            ("[fd00::4]:5353", "[fd00::4]:5353"),
        ] {
            assert_eq!(dns_server(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["dns.contoso.mil", "10.0.0.4:0", "10.0.0.4:99999", "0.0.0.0", ""] {
            assert!(dns_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_are_http_urls_whose_password_is_never_repeated() {
        for text in [
            "http://proxy.contoso.mil",
            "http://proxy.contoso.mil:3128/",
            "HTTP://bob:hunter2@10.0.0.4:8080",
            "http://[fd00::4]:3128",
        ] {
            assert!(proxy(text).is_ok(), "{text}");
        }
        for text in [
            "proxy:3128",
            "http://10.0.0.256:3128",
            "https://bob:hunter2@proxy",
            "bob:hunter2@proxy",
            "http://bob:hunter2",
            "http://bob:hunter2@proxy:0",
            "http://bob:hunter2@proxy:x",
            "http://bob:hunter2@proxy/path",
            "http://bob:hun/ter2@proxy",
            "http://bob:hunter2@",
            "http://bob:hunter2@a:b:c",
            "http://bob:hunter 2@proxy",
            "http://",
        ] {
            let complaint = proxy(text).unwrap_err();
            assert!(!format!("{complaint:?}").contains("hun"), "{complaint:?}");
        }
    }
}
