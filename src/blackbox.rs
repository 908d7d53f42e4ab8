//! Probes as blackbox_exporter makes them: which modules there are, what a target means to each,
//! and what was seen. The names are its usual ones, so that its scrape configurations and
//! dashboards work unchanged; `docs/blackbox.md` lists what is different.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Host, authority};
use crate::observation::CertificateFacts;
use crate::target;

/// Every module: its name, the other names it goes by, and what it does.
pub const MODULES: &[(&str, &[&str], Prober)] = &[
    ("http_2xx", &["http", "https", "https_2xx", "http_2xx_example"], Prober::Http),
    ("tcp_connect", &["tcp", "tcp_connect_example"], Prober::Tcp { tls: false }),
    (
        "tcp_connect_tls",
        &["tls_connect", "tls", "tcp_tls", "tls_connect_tls", "tcp_connect_tls_example"],
        Prober::Tcp { tls: true },
    ),
    ("dns_udp", &["dns", "dns_udp_example"], Prober::Dns { tcp: false }),
    ("dns_tcp", &["dns_tcp_example"], Prober::Dns { tcp: true }),
];

/// What a module does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prober {
    /// `GET`, redirects followed, a status from 200 to 299 expected.
    Http,
    /// A connection, with a TLS handshake over it or without.
    Tcp {
        /// The handshake is part of it.
        tls: bool,
    },
    /// One question to the target, which is a DNS server.
    Dns {
        /// Over TCP.
        tcp: bool,
    },
}

/// The module of this name or alias.
pub fn module(name: &str) -> Option<(&'static str, Prober)> {
    let found = MODULES.iter().find(|(own, others, _)| *own == name || others.contains(&name));
    found.map(|(name, _, prober)| (*name, *prober))
}

/// Where to, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Over TLS.
    pub tls: bool,
    /// Path and query of an HTTP request.
    pub path: String,
}

impl Hop {
    /// The `Host` header: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => match &self.host {
                Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
                host => host.to_string(),
            },
            _ => authority(&self.host, self.port),
        }
    }

    /// The URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn of_url(url: &url::Url) -> Result<Self, String> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a target has no user or password".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self {
            host: target::host(host)?,
            port: url.port_or_known_default().unwrap_or(80),
            tls,
            path: format!("{}{query}", url.path()),
        })
    }

    /// Where a `Location` leads from here.
    pub fn redirected(&self, location: &str) -> Result<Self, String> {
        let here = url::Url::parse(&self.url()).map_err(|error| error.to_string())?;
        Self::of_url(&here.join(location).map_err(|error| error.to_string())?)
    }
}

/// What a target text means to a module; the error is for the log.
pub fn hop(prober: Prober, text: &str) -> Result<Hop, String> {
    let text = text.trim();
    match prober {
        Prober::Http => {
            let lower = text.to_ascii_lowercase();
            let has_scheme = lower.starts_with("http://") || lower.starts_with("https://");
            let url = if has_scheme { text.to_owned() } else { format!("http://{text}") };
            Hop::of_url(&url::Url::parse(&url).map_err(|error| error.to_string())?)
        }
        Prober::Tcp { tls } => {
            let text = text.strip_prefix("tcp://").unwrap_or(text);
            let found = target::parse_target(&format!("tcp://{text}"))?;
            let port = found.port.ok_or("missing port in address")?;
            Ok(Hop { host: found.host, port, tls, path: String::new() })
        }
        Prober::Dns { .. } => {
            let with_port = if text.parse::<std::net::Ipv6Addr>().is_ok() {
                format!("[{text}]:53")
            } else if text.contains("]:") || (!text.starts_with('[') && text.contains(':')) {
                text.to_owned()
            } else {
                format!("{text}:53")
            };
            let found = target::parse_target(&format!("tcp://{with_port}"))?;
            let port = found.port.unwrap_or(53);
            Ok(Hop { host: found.host, port, tls: false, path: String::new() })
        }
    }
}

/// One probe to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The module's own name.
    pub module: &'static str,
    /// What it does.
    pub prober: Prober,
    /// The target as it was written.
    pub target: String,
    /// Where that is.
    pub hop: Hop,
    /// What a DNS server is asked for.
    pub question: Option<DnsQuestion>,
}

/// What a DNS server is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuestion {
    /// The name.
    pub name: String,
    /// For its IPv6 addresses instead of IPv4.
    pub ipv6: bool,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// What was to be done.
    pub prober: Prober,
    /// Whether it worked.
    pub success: bool,
    /// From beginning to end.
    pub elapsed: Duration,
    /// Finding the first address; absent when it did not come to that.
    pub lookup: Option<Lookup>,
    /// HTTP, as far as it came.
    pub http: HttpSight,
    /// The TLS session of a TCP probe or of the last HTTP answer.
    pub tls: Option<TlsSight>,
    /// DNS, as far as it came.
    pub dns: DnsSight,
    /// What happened, line by line; printable.
    pub log: Vec<String>,
}

impl Sight {
    /// Nothing seen yet.
    pub fn new(prober: Prober) -> Self {
        Self {
            prober,
            success: false,
            elapsed: Duration::ZERO,
            lookup: None,
            http: HttpSight::default(),
            tls: None,
            dns: DnsSight::default(),
            log: Vec::new(),
        }
    }

    /// A target that means nothing to the module.
    pub fn unreadable(prober: Prober, why: &str) -> Self {
        let mut sight = Self::new(prober);
        sight.note(format!("Could not parse target: {why}"));
        sight
    }

    /// Adds a line to the log.
    pub fn note(&mut self, line: impl AsRef<str>) {
        self.log.push(crate::model::printable(line.as_ref()));
    }
}

/// How an address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// How long it took.
    pub elapsed: Duration,
    /// The one that was taken.
    pub ip: Option<IpAddr>,
}

/// HTTP, summed over all redirects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpSight {
    /// Redirects that were met.
    pub redirects: usize,
    /// Finding the addresses of redirects.
    pub resolve: Duration,
    /// Connecting.
    pub connect: Duration,
    /// Handshakes.
    pub tls: Duration,
    /// From the connection to the answer's first byte.
    pub processing: Duration,
    /// From there to its end.
    pub transfer: Duration,
    /// The last answer.
    pub answer: Option<HttpAnswer>,
}

/// The head of an answer, and how much followed.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpAnswer {
    /// Its status code.
    pub status: u16,
    /// 1.0 or 1.1.
    pub version: f64,
    /// The length it states; -1 when it states none.
    pub length: i64,
    /// The length it had; 0 when it was not read.
    pub body: u64,
    /// When it says it was last changed.
    pub last_modified: Option<Timestamp>,
    /// It came over TLS.
    pub tls: bool,
}

/// A session over a verified chain.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsSight {
    /// As `TLSv1.3`.
    pub version: String,
    /// As sent, leaf first.
    pub chain: Vec<Arc<CertificateFacts>>,
}

/// One question and its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DnsSight {
    /// Connecting.
    pub connect: Duration,
    /// From the question to the answer.
    pub request: Duration,
    /// Records in the answer's sections: answer, authority, additional; absent without an answer.
    pub counts: Option<[u16; 3]>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = MODULES
            .iter()
            .flat_map(|(name, others, _)| others.iter().copied().chain([*name]))
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn targets_as_blackbox_takes_them() {
        let tcp = Prober::Tcp { tls: false };
        let dns = Prober::Dns { tcp: false };
        for (prober, text, url) in [
            (Prober::Http, "ml.azure.us", "http://ml.azure.us/"),
            (Prober::Http, "ml.azure.us:8080/a?b", "http://ml.azure.us:8080/a?b"),
            (Prober::Http, "https://ml.azure.us", "https://ml.azure.us/"),
            (Prober::Http, "HTTPS://ml.azure.us:80", "https://ml.azure.us:80/"),
            (Prober::Http, "[fd00::4]", "http://[fd00::4]/"),
            (tcp, "ml.azure.us:22", "http://ml.azure.us:22"),
            (tcp, "[fd00::4]:22", "http://[fd00::4]:22"),
            (dns, "10.0.0.4", "http://10.0.0.4:53"),
            (dns, "10.0.0.4:5353", "http://10.0.0.4:5353"),
            (dns, "fd00::4", "http://[fd00::4]:53"),
            (dns, "[fd00::4]", "http://[fd00::4]:53"),
            (dns, "[fd00::4]:54", "http://[fd00::4]:54"),
            (dns, "dns.example", "http://dns.example:53"),
        ] {
            assert_eq!(hop(prober, text).unwrap().url(), url, "{text}");
        }
        for (prober, text) in [
            (Prober::Http, "http://"),
            (Prober::Http, "http://bob:hunter2@a.example/"),
            (Prober::Http, "a b"),
            (tcp, "ml.azure.us"),
            (tcp, "10.0.0.999:22"),
            (dns, "a.example:x"),
        ] {
            assert!(hop(prober, text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_lead_somewhere() {
        let here = hop(Prober::Http, "https://a.example:8443/x/y?z").unwrap();
        for (location, url) in [
            ("/b", "https://a.example:8443/b"),
            ("c", "https://a.example:8443/x/c"),
            ("//b.example/", "https://b.example/"),
            ("http://[fd00::4]:81/", "http://[fd00::4]:81/"),
        ] {
            assert_eq!(here.redirected(location).unwrap().url(), url, "{location}");
        }
        for bad in ["file:///etc/passwd", "ftp://a.example/", "http://user@a.example/"] {
            assert!(here.redirected(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}|[a-z:/@\\[\\]?#.%0-9]{0,40}") {
            for (_, _, prober) in MODULES {
                if let Ok(hop) = hop(*prober, &text) {
                    let _ = hop.redirected(&text);
                }
            }
        }
    }
}
