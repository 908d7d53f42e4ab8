//! Servers that answer in unwanted ways. All of them always run, each at a port of its own; a
//! world only sends a host's connections there. Real software: nginx, haproxy, dropbear, and a
//! WebSocket server in Python.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::blueprint::{Blueprint, Host, find};
use crate::middle::Toward;
use crate::servers;
use crate::world::Fault;

/// Where the WebSocket server listens.
pub(crate) const WEBSOCKET_PORT: u16 = 20050;
/// Where dropbear listens.
pub(crate) const SSH_PORT: u16 = 20040;

/// What answers in the place of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Oddity {
    /// TLS: alert unrecognized_name.
    UnrecognizedName,
    /// Plain HTTP with status 200, whatever is asked, or 400 to what is not HTTP.
    PlainHttp,
    /// Plain HTTP with status 503.
    PlainHttp503,
    /// Plain HTTP that closes on a request.
    PlainHttpClosed,
    /// HTTPS with the status and body of a storage account that refuses this network.
    StorageDenied,
    /// The same of a key vault.
    VaultDenied,
    /// The same of a container registry.
    RegistryDenied,
    /// HTTPS with status 503.
    Https503,
    /// HTTPS with status 401, to a WebSocket upgrade too.
    Https401,
    /// A reverse proxy before a WebSocket server that does not pass the upgrade on.
    WebsocketStripped,
    /// TLS 1.3 that wants a client certificate.
    ClientCertificate13,
    /// TLS 1.2 that does.
    ClientCertificate12,
    /// TLS 1.0 and 1.1 only.
    OldTls,
    /// TLS 1.2 with one cipher of old, without authenticated encryption.
    OldCipher,
    /// Takes connections and says nothing.
    Mute,
    /// Takes connections and ends them at once, in order.
    ClosesOnAccept,
    /// Takes connections and resets them at once.
    ResetsOnAccept,
    /// An SSH server, which speaks first.
    Ssh,
}

impl Oddity {
    const fn port(self) -> u16 {
        match self {
            Self::UnrecognizedName => 20001,
            Self::PlainHttp => 20002,
            Self::PlainHttp503 => 20003,
            Self::PlainHttpClosed => 20004,
            Self::StorageDenied => 20010,
            Self::VaultDenied => 20011,
            Self::RegistryDenied => 20012,
            Self::Https503 => 20014,
            Self::Https401 => 20015,
            Self::WebsocketStripped => 20016,
            Self::ClientCertificate13 => 20030,
            Self::ClientCertificate12 => 20031,
            Self::OldTls => 20032,
            Self::OldCipher => 20033,
            Self::Mute => 20034,
            Self::ClosesOnAccept => 20035,
            Self::ResetsOnAccept => 20036,
            Self::Ssh => SSH_PORT,
        }
    }
}

/// The servers' chain that sends connections to them.
pub(crate) fn chain(hosts: &[Host], faults: &[Fault]) -> Result<String> {
    let mut rules = String::new();
    for fault in faults {
        let Fault::Answers { host, port, oddity } = fault else { continue };
        for address in find(hosts, host)?.addresses() {
            ensure!(address.is_ipv4(), "oddities answer over IPv4 alone, which `{host}` does not");
            let _ = writeln!(
                rules,
                "ip daddr {address} tcp dport {port} redirect to :{}",
                oddity.port()
            );
        }
    }
    Ok(format!(
        "chain oddities {{\ntype nat hook prerouting priority dstnat; policy accept;\n{rules}}}\n"
    ))
}

/// The firewall's rules that lose large packets, both ways.
pub(crate) fn large_packets(hosts: &[Host], faults: &[Fault]) -> Result<String> {
    let mut rules = String::new();
    for fault in faults {
        let Fault::LargePackets { host, port, above, only } = fault else { continue };
        for address in find(hosts, host)?.addresses() {
            let family = if matches!(address, IpAddr::V4(_)) { "ip" } else { "ip6" };
            let ways = [(Toward::Server, "daddr", "dport"), (Toward::Client, "saddr", "sport")];
            for (_, end, side) in ways.into_iter().filter(|way| only.is_none_or(|o| o == way.0)) {
                let _ = writeln!(
                    rules,
                    "{family} {end} {address} tcp {side} {port} meta length > {above} drop"
                );
            }
        }
    }
    Ok(rules)
}

/// What a service says to a network that it does not allow.
const DENIALS: [(Oddity, &str); 3] = [
    (
        Oddity::StorageDenied,
        "add_header x-ms-request-id 5f0d3f6a-301e-0044-7c1b-2b6f0a000000 always; \
         add_header x-ms-error-code AuthorizationFailure always; default_type application/xml; \
         return 403 '<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthorizationFailure\
         </Code><Message>This request is not authorized to perform this operation.</Message></Error>';",
    ),
    (
        Oddity::VaultDenied,
        "add_header x-ms-request-id 0c1f1a52-9d0e-4a51-8a40-7f1a7b6b8f53 always; \
         default_type application/json; \
         return 403 '{\"error\":{\"code\":\"Forbidden\",\"message\":\"Client address is not \
         authorized and caller is not a trusted service.\",\
         \"innererror\":{\"code\":\"ForbiddenByFirewall\"}}}';",
    ),
    (
        Oddity::RegistryDenied,
        "default_type application/json; \
         return 403 '{\"errors\":[{\"code\":\"DENIED\",\"message\":\"client with IP \
         \\'198.51.100.7\\' is not allowed access. Refer https://aka.ms/acr/firewall to grant \
         access.\"}]}';",
    ),
];

/// nginx in all these forms.
pub(crate) fn nginx(dir: &Path, blueprint: &Blueprint) -> String {
    let mut blocks = String::new();
    let mut plain = |oddity: Oddity, answer: &str| {
        let _ = writeln!(blocks, "server {{ listen {}; {answer} }}", oddity.port());
    };
    plain(Oddity::PlainHttp, "return 200 \"plain\\n\";");
    plain(Oddity::PlainHttp503, "return 503;");
    // nginx's own number for closing without an answer.
    plain(Oddity::PlainHttpClosed, "return 444;");
    let mut tls = |oddity: Oddity, answer: &str| {
        let _ = writeln!(blocks, "server {{ listen {} ssl; {answer} }}", oddity.port());
    };
    tls(Oddity::UnrecognizedName, "ssl_reject_handshake on;");
    for (oddity, answer) in DENIALS {
        tls(oddity, answer);
    }
    tls(Oddity::Https503, "return 503;");
    tls(Oddity::Https401, "add_header WWW-Authenticate Bearer always; return 401;");
    tls(
        Oddity::WebsocketStripped,
        &format!(
            "location / {{ proxy_pass http://127.0.0.1:{WEBSOCKET_PORT}; proxy_http_version 1.1; }}"
        ),
    );
    servers::nginx_frame(dir, "odd-nginx", blueprint, &blocks)
}

/// haproxy in all these forms.
pub(crate) fn haproxy(dir: &Path) -> String {
    let dir = dir.display();
    let mut text = "global\nmaxconn 2000\n\
                    defaults\ntimeout connect 5s\ntimeout client 2m\ntimeout server 2m\n"
        .to_owned();
    let demand = format!("ca-file {dir}/root.pem verify required");
    for (oddity, options) in [
        (Oddity::ClientCertificate13, format!("{demand} ssl-min-ver TLSv1.3")),
        (Oddity::ClientCertificate12, format!("{demand} ssl-max-ver TLSv1.2")),
        (
            Oddity::OldTls,
            "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.1 ciphers ALL:@SECLEVEL=0".to_owned(),
        ),
        (Oddity::OldCipher, "ssl-max-ver TLSv1.2 ciphers ECDHE-ECDSA-AES128-SHA256".to_owned()),
    ] {
        let port = oddity.port();
        let _ = writeln!(
            text,
            "frontend tls-{port}\nmode http\nbind 0.0.0.0:{port} ssl crt {dir}/every-host.pem {options}\n\
             http-request return status 200 content-type text/plain string tls"
        );
    }
    let _ = writeln!(
        text,
        "frontend mute\nmode tcp\nbind 0.0.0.0:{}\ntcp-request inspect-delay 2m\n\
         tcp-request content accept if WAIT_END\n\
         frontend closing\nmode tcp\nbind 0.0.0.0:{}\ntcp-request content reject\n\
         frontend resetting\nmode tcp\nbind 0.0.0.0:{}\ntcp-request connection reject",
        Oddity::Mute.port(),
        Oddity::ClosesOnAccept.port(),
        Oddity::ResetsOnAccept.port()
    );
    text
}

/// The first and the last port that these servers listen on, besides dropbear and WebSockets.
pub(crate) const fn some_ports() -> ([u16; 2], [u16; 2]) {
    (
        [Oddity::UnrecognizedName.port(), Oddity::WebsocketStripped.port()],
        [Oddity::ClientCertificate13.port(), Oddity::ResetsOnAccept.port()],
    )
}
