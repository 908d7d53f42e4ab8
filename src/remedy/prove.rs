//! Commands of ordinary tools that show the same fault.

use std::net::{IpAddr, SocketAddr};

use super::paths::is_everything;
use super::shell::{place, quote, word};
use super::{Facts, Spot};
use crate::cause::Cause;
use crate::limits;
use crate::model::{Cloud, Kind, Layer, authority};
use crate::observation::Trial;

pub(super) fn commands(facts: &Facts<'_>) -> Vec<String> {
    names(facts)
        .or_else(|| connections(facts))
        .or_else(|| handshakes(facts))
        .or_else(|| applications(facts))
        .unwrap_or_else(|| ourselves(facts))
}

// ----------------------------------------------------------------------------------------- names

/// One question as `dig` asks it.
fn dig(server: Option<SocketAddr>, options: &str, name: &str, family: &str) -> String {
    let at = server.map_or_else(String::new, |server| {
        let port =
            if server.port() == 53 { String::new() } else { format!(" -p {}", server.port()) };
        format!(" @{}{port}", server.ip())
    });
    let options = if options.is_empty() { String::new() } else { format!(" {options}") };
    format!("dig{at} +tries=1 +time=3{options} {} {family}", word(name))
}

fn names(facts: &Facts<'_>) -> Option<Vec<String>> {
    // A fault of the name cannot be shown of an address; the connection to it can.
    let name = match (facts.cause, facts.first.host.name()) {
        (Cause::LocalNoResolver, _) => return None,
        (_, Some(name)) => name,
        (cause, None) if cause.info().layer == Layer::Dns => {
            return Some(vec![connect(&facts.first)]);
        }
        _ => return None,
    };
    let servers = facts.servers();
    let first = servers.first().copied();
    let ask = |options: &str, family: &str| dig(first, options, name, family);
    let each = |options: &str| match servers.as_slice() {
        [] => vec![ask(options, "A")],
        servers => servers.iter().map(|s| dig(Some(*s), options, name, "A")).collect(),
    };
    let reference = facts.first.dns().and_then(|dns| dns.reference()).map(|r| r.server);
    let shown = "+noall +answer +comments";
    let mut all = match facts.cause {
        Cause::DnsNxdomain | Cause::DnsRefused | Cause::PrivateRecordMissing => vec![ask("", "A")],
        Cause::DnsNodata => vec![ask("", "A"), ask("", "AAAA")],
        Cause::DnsServfail => vec![ask("", "A"), ask("+cdflag", "A")],
        Cause::DnsTimeout | Cause::DnsServerDown => each(""),
        Cause::DnsUnreachable => vec![ask("", "A"), route(first.map(|s| s.ip()))],
        Cause::DnsTcpBlocked => vec![ask("+ignore +bufsize=1232", "A"), ask("+tcp", "A")],
        Cause::DnsServersDisagree => each("+short"),
        Cause::HostsFileOverride => {
            vec![format!("grep -inwF {} /etc/hosts", word(name)), ask("+short", "A")]
        }
        Cause::PrivateMixed => vec![ask(shown, "A"), ask(shown, "AAAA")],
        Cause::DnsCnameLoop
        | Cause::DnsCnameDangling
        | Cause::DnsSinkhole
        | Cause::PrivateZoneNotLinked
        | Cause::PrivateForwarderMissing
        | Cause::PrivateEndpointMissing
        | Cause::PrivateOutsideSubnet
        | Cause::PrivateAddressMismatch
        | Cause::PublicExpectedButPrivate => vec![ask(shown, "A")],
        _ => return None,
    };
    if let Some(reference) = reference.filter(|r| Some(*r) != first) {
        all.push(dig(Some(reference), shown, name, "A"));
    }
    Some(all)
}

// ----------------------------------------------------------------------------------- connections

/// The simplest connection of the target's kind.
fn connect(spot: &Spot<'_>) -> String {
    if spot.kind == Kind::Udp {
        return datagram(spot);
    }
    let proxy =
        proxy_place(spot).map_or_else(String::new, |place| format!(" -X connect -x {place}"));
    format!("nc -vz -w 5{proxy} {} {}", address(spot), spot.port)
}

/// One datagram. nc calls silence a success and an ICMP error nothing at all, while a read from a
/// connected socket says which error it was.
fn datagram(spot: &Spot<'_>) -> String {
    format!(
        "timeout 3 bash -c 'exec 3<>/dev/udp/$0/$1 && echo >&3 && head -c 1 <&3' {} {}; echo \"exit $? (124: silence)\"",
        address(spot),
        spot.port
    )
}

/// The shortest command that gets as far as the layer at fault.
fn reach(facts: &Facts<'_>, spot: &Spot<'_>) -> String {
    match spot.broken.map(|cause| cause.info().layer) {
        Some(Layer::Tls) => format!("timeout 10 {}", handshake(facts, spot, spot.host.name(), "")),
        Some(Layer::Application) if spot.kind == Kind::Smb => smb(spot),
        Some(Layer::Application) if spot.kind != Kind::Udp => request(facts, spot),
        _ => connect(spot),
    }
}

/// The same at an address that fails and at one that works.
fn compared(facts: &Facts<'_>) -> Vec<String> {
    let spot = &facts.first;
    let good = spot.working.map(|ip| reach(facts, &Spot { ip: Some(ip), ..*spot }));
    [reach(facts, spot)].into_iter().chain(good).collect()
}

/// Host and port of the proxy on the way.
fn proxy_place(spot: &Spot<'_>) -> Option<String> {
    let url = spot.proxy()?;
    let place = url.strip_prefix("http://").unwrap_or(url);
    Some(word(place.trim_end_matches('/')))
}

fn address(spot: &Spot<'_>) -> String {
    spot.ip.map_or_else(|| word(&spot.host_text()), |ip| ip.to_string())
}

fn route(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "ip route show".to_owned(), |ip| format!("ip route get {ip}"))
}

fn connections(facts: &Facts<'_>) -> Option<Vec<String>> {
    let spot = &facts.first;
    Some(match facts.cause {
        Cause::TcpTimeout if is_everything(facts.culprit) => {
            let mut all: Vec<String> = facts.spots.iter().take(3).map(connect).collect();
            all.push(route(spot.ip));
            all
        }
        Cause::TcpTimeout | Cause::UdpNoEvidence => vec![connect(spot)],
        Cause::AddressPartial => compared(facts),
        Cause::TcpRefused => vec![format!("time {}", connect(spot))],
        Cause::Ipv6Broken => {
            let mut all = compared(facts);
            all.push(route(spot.ip));
            all
        }
        Cause::TcpProhibited | Cause::TcpUnreachable => vec![connect(spot), route(spot.ip)],
        Cause::TcpClosedOnAccept => vec![read(spot)],
        Cause::TcpSynLoss => vec![format!(
            "for i in $(seq 20); do (time nc -z -w 5 {} {}) 2>&1 | grep real; done",
            address(spot),
            spot.port
        )],
        Cause::DockerBridgeOverlap => {
            vec![route(spot.ip), "ip -brief address show type bridge".to_owned()]
        }
        _ => return None,
    })
}

/// Waits for what the other side says or does without a word from here.
fn read(spot: &Spot<'_>) -> String {
    format!("time nc -v -w 5 {} {} </dev/null", address(spot), spot.port)
}

// ------------------------------------------------------------------------------------ handshakes

/// The CA files of the configuration as one file.
fn ca_file(facts: &Facts<'_>) -> Option<String> {
    let files = facts.situation.machine.ca_files.as_slice();
    match files {
        [] => None,
        [one] => Some(word(&one.to_string_lossy())),
        many => Some(format!(
            "<(cat {})",
            super::shell::words(many.iter().map(|file| file.to_string_lossy().into_owned()))
        )),
    }
}

/// A handshake with this name, or with none where the host is an address.
fn handshake(facts: &Facts<'_>, spot: &Spot<'_>, name: Option<&str>, options: &str) -> String {
    let at =
        spot.ip.map_or_else(|| quote(&authority(spot.host, spot.port)), |ip| place(ip, spot.port));
    let name = name.map_or_else(String::new, |name| format!(" -servername {}", word(name)));
    let ca = ca_file(facts).map_or_else(String::new, |file| format!(" -CAfile {file}"));
    let options = if options.is_empty() { String::new() } else { format!(" {options}") };
    let proxy = proxy_place(spot).map_or_else(String::new, |place| format!(" -proxy {place}"));
    format!("openssl s_client{proxy} -connect {at}{name}{ca}{options} </dev/null")
}

/// A name that is not filtered: the one that an experiment got through with, else one that every
/// workspace of the cloud needs.
fn other_name(facts: &Facts<'_>) -> Option<String> {
    let tried = facts.first.observation.and_then(|observation| {
        observation.experiments.iter().find_map(|experiment| match &experiment.trial {
            Trial::OtherName { name, outcome, .. } if outcome.got_through() => {
                Some(name.to_string())
            }
            _ => None,
        })
    });
    let usual = match facts.situation.cloud {
        Cloud::UsGovernment => Some("login.microsoftonline.us"),
        Cloud::Public => Some("login.microsoftonline.com"),
        Cloud::China => Some("login.chinacloudapi.cn"),
        Cloud::None => None,
    };
    tried.or_else(|| usual.map(str::to_owned)).filter(|name| *name != facts.first.host_text())
}

/// The same large greeting in small TCP segments both ways, which neither openssl nor curl can be
/// told to use. Behind a proxy they would only go to the proxy.
fn small_segments(spot: &Spot<'_>) -> Option<String> {
    if spot.proxy().is_some() {
        return None;
    }
    Some(format!(
        "timeout 10 python3 -c 'import socket,ssl,sys; a,p,n=sys.argv[1:]; s=socket.socket(socket.getaddrinfo(a,p)[0][0]); s.setsockopt(6,socket.TCP_MAXSEG,{}); s.connect((a,int(p))); c=ssl._create_unverified_context(); c.set_alpn_protocols([*map(str,range(10000,10300)),\"http/1.1\"]); print(c.wrap_socket(s,server_hostname=n).version())' {} {} {}",
        limits::SMALL_SEGMENT,
        address(spot),
        spot.port,
        word(&spot.host_text())
    ))
}

fn handshakes(facts: &Facts<'_>) -> Option<Vec<String>> {
    let spot = &facts.first;
    let own = spot.host.name();
    let plain = |options: &str| handshake(facts, spot, own, options);
    let facts_of =
        |columns: &str| format!("{} 2>/dev/null | openssl x509 -noout {columns}", plain(""));
    let chain = || format!("{} 2>&1 | grep -E ' [si]:|[Vv]erif'", plain(""));
    Some(match facts.cause {
        Cause::TlsSniBlocked | Cause::TlsClosed => {
            if !spot.is_tls() {
                return None;
            }
            let mut all = vec![plain("")];
            all.extend(other_name(facts).map(|name| handshake(facts, spot, Some(&name), "")));
            all
        }
        Cause::TlsTimeout | Cause::TlsSlow => vec![format!("time timeout 10 {}", plain(""))],
        Cause::TlsMtuBlackhole => {
            let large = plain("-alpn \"$(seq -s, 10000 10299),http/1.1\"");
            let mut all = vec![format!("time timeout 10 {large}")];
            all.extend(small_segments(spot));
            all
        }
        Cause::TlsIntercepted => vec![facts_of("-subject -issuer -dates")],
        Cause::TlsUntrustedIssuer | Cause::TlsMissingIntermediate => vec![chain()],
        Cause::TlsSelfSigned => vec![facts_of("-subject -issuer -fingerprint -sha256")],
        Cause::TlsExpired | Cause::TlsNotYetValid => vec![
            "date -u".to_owned(),
            format!("{} 2>/dev/null | grep -E ' s:|NotBefore'", plain("-showcerts")),
        ],
        Cause::TlsNameMismatch => {
            let check = match own {
                Some(name) => format!("-checkhost {}", word(name)),
                None => format!("-checkip {}", word(&spot.host_text())),
            };
            vec![facts_of(&format!("-subject -ext subjectAltName {check}"))]
        }
        Cause::TlsVersionUnsupported => vec![
            plain("-tls1_2 -cipher ECDHE+AESGCM:ECDHE+CHACHA20"),
            plain("-min_protocol TLSv1 -cipher ALL:@SECLEVEL=0"),
        ],
        Cause::TlsUnrecognizedName => vec![plain("")],
        Cause::TlsAlert => vec![plain("-state")],
        Cause::TlsClientCertificateRequired => {
            vec![plain("").replace("openssl", "sleep 3 | openssl").replace(" </dev/null", "")]
        }
        Cause::NotTls => vec![http(facts, spot, "http", ""), read(spot)],
        Cause::TlsCertificateExpiring => {
            vec![facts_of("-issuer -enddate -checkend 1209600")]
        }
        _ => return None,
    })
}

// ---------------------------------------------------------------------------------- applications

/// One request to the very address at fault, past any proxy.
fn http(facts: &Facts<'_>, spot: &Spot<'_>, scheme: &str, options: &str) -> String {
    let authority = authority(spot.host, spot.port);
    let path = spot.check.target.path.as_str();
    let path = if path.is_empty() { "/" } else { path };
    let pin = match (spot.host.name(), spot.ip) {
        (Some(name), Some(IpAddr::V6(ip))) => format!("{name}:{}:[{ip}]", spot.port),
        (Some(name), Some(ip)) => format!("{name}:{}:{ip}", spot.port),
        _ => String::new(),
    };
    let pin = if pin.is_empty() { pin } else { format!(" --resolve {}", word(&pin)) };
    let ca = ca_file(facts).filter(|_| scheme == "https");
    let ca = ca.map_or_else(String::new, |file| format!(" --cacert {file}"));
    let way = match spot.proxy() {
        Some(proxy) => format!(" -x {}", word(proxy)),
        None => " --noproxy '*'".to_owned(),
    };
    format!(
        "curl -gsSi --max-time 10{way}{pin}{ca}{options} {}",
        word(&format!("{scheme}://{authority}{path}"))
    )
}

const UPGRADE: &str = " --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='";

fn scheme(spot: &Spot<'_>) -> &'static str {
    if spot.is_tls() { "https" } else { "http" }
}

/// The request of the target's kind.
fn request(facts: &Facts<'_>, spot: &Spot<'_>) -> String {
    let options = if spot.kind == Kind::Websocket { UPGRADE } else { "" };
    http(facts, spot, scheme(spot), options)
}

fn smb(spot: &Spot<'_>) -> String {
    format!(
        "smbclient -N -m SMB3 -p {} -I {} -L {}",
        spot.port,
        address(spot),
        word(&spot.host_text())
    )
}

fn applications(facts: &Facts<'_>) -> Option<Vec<String>> {
    let spot = &facts.first;
    let scheme = scheme(spot);
    Some(match facts.cause {
        Cause::TlsSniBlocked
        | Cause::TlsClosed
        | Cause::HttpFirewallDeny
        | Cause::HttpResourceFirewallDeny
        | Cause::HttpServerError
        | Cause::HttpUnexpectedStatus
        | Cause::HttpTimeout
        | Cause::HttpClosed => vec![request(facts, spot)],
        Cause::WebsocketBlocked => vec![http(facts, spot, scheme, UPGRADE)],
        Cause::NotSmb => vec![connect(spot), smb(spot)],
        Cause::ProxyUnreachable
        | Cause::ProxyDenied
        | Cause::ProxyAuthRequired
        | Cause::ProxyBackendUnreachable => vec![through_proxy(facts, spot, scheme)],
        _ => return None,
    })
}

/// The same by the proxy; a URL that is not known stays the environment's.
fn through_proxy(facts: &Facts<'_>, spot: &Spot<'_>, scheme: &str) -> String {
    let seen = spot.observation.and_then(|o| o.proxy.as_ref()).map(|proxy| proxy.url.as_str());
    let proxy = seen
        .or(facts.situation.machine.proxy.as_deref())
        .map_or_else(|| "\"$HTTPS_PROXY\"".to_owned(), word);
    let url = format!("{scheme}://{}/", authority(spot.host, spot.port));
    format!(
        "curl -gsv --max-time 10 --noproxy '' -x {proxy} --proxytunnel -o /dev/null {}",
        word(&url)
    )
}

fn ourselves(facts: &Facts<'_>) -> Vec<String> {
    match facts.cause {
        Cause::LocalNoNetwork => vec!["ip -brief address".to_owned(), route(facts.first.ip)],
        Cause::LocalNoResolver => vec!["cat /etc/resolv.conf".to_owned()],
        Cause::LocalExhausted => {
            vec!["ulimit -n; ss -s; free -m; cat /proc/sys/net/ipv4/ip_local_port_range".to_owned()]
        }
        _ => vec!["uptime; nproc; vmstat 1 5".to_owned()],
    }
}
