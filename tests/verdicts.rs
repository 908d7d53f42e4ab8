//! Judgements as data: one file in `tests/verdicts/` says what was seen and what must be concluded.
//!
//! Adding a case adds no code. A file has these parts (what is not written has a harmless default):
//!
//! ```toml
//! title = "what the case is about"
//!
//! [check]                     # host is needed; port 443, kind "tls", expect "any", proof "exact"
//! host = "mlstore.blob.core.usgovcloudapi.net"
//! expect = "private"          # also: service = "key_vault", path = "/healthstatus"
//!
//! [network]                   # private_ranges, endpoint_subnets
//! [machine]                   # bridges = ["docker0 172.17.0.1/16"]
//!
//! [seen]
//! hosts_file = ["10.1.2.3"]
//! dns = [                     # SERVER = ALIAS > ALIAS > END, as dig shows it from top to bottom
//!     "10.0.0.4 = mlstore.privatelink.blob.core.usgovcloudapi.net > 172.16.0.7",
//!     "10.0.0.5 = 172.16.0.7 | timeout in 2 s",       # A | AAAA, where they differ
//!     "reference 168.63.129.16 = NXDOMAIN",           # also: upstream
//! ]
//! # END: addresses, NODATA, NXDOMAIN, SERVFAIL, REFUSED, RCODE n, LOOP, or how it failed: timeout,
//! # unreachable, truncated (and TCP 53 fails), malformed, no network, no resolver, exhausted
//!
//! experiments = [             # what was tried afterwards: PLACE WHAT = OUTCOME
//!     "20.140.2.1 other name mcr.microsoft.com = completed CN=a in 90 ms",    # or as in `tls`
//!     "20.140.2.1 small segments = timeout",          # also: small greeting, large greeting
//!     "20.140.2.1 silence = waited",                  # or closed, spoke: BYTES
//!     "20.140.2.1 clear text = 470 Action: Deny",     # as in `http`
//!     "10.0.0.4 dns over tcp = 20.140.2.1",           # an END, or as in `connect`
//! ]                           # handshakes and silence also: "no connection: timeout" and the like
//! proxy = "open"              # what the proxy did, if there is one: open, a status and the body's
//!                             # beginning, timeout (and "timeout, lives"), closed, reset, unresolved,
//!                             # not http: BYTES, connect: TIMEOUT OR ERROR, bypassed
//! proxy_headers = { via = "1.1 squid" }
//!
//! [[seen.climb]]              # one per address; "in 20 ms" and "in 2 s" may end every result
//! ip = "172.16.0.7"
//! connect = "ok"              # or timeout, refused, reset, host unreachable, prohibited,
//!                             # network unreachable, error n, no network, no resolver, exhausted
//! closed = false              # closed by the other side at once, for kind "tcp"
//! tls = "ok"                  # or timeout, closed, reset, alert 40 handshake_failure,
//!                             # not tls: BYTES, nothing in common: WHY, broken: WHY
//! trust = { host = "unknown issuer", mozilla = "trusted", configured = "trusted" }
//! certificates = [{ subject = "CN=a", issuer = "CN=b", names = ["a"], until = "2026-12-01T00:00:00Z" }]
//! http = "200"                # a status and the body's beginning, or timeout, closed, not http: BYTES
//! headers = { server = "squid" }  # of that answer, in lower case
//! smb = "3.1.1"               # a dialect, or timeout, closed, refused: STATUS in hex, not smb: BYTES
//! udp = "answer"              # or silence, or what `connect` may be
//!
//! [expected]
//! status = "pass"             # and for the rest: cause, culprit, warnings = [causes], says = [words]
//! ```
#![expect(clippy::disallowed_methods, reason = "reads the cases")]
#![expect(clippy::expect_used, clippy::panic, reason = "a case that cannot be read fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::machine::{InterfaceAddress, Machine};
use vnetprobe::model::{Elapsed, Expect, Host, Kind, Proof, Service, Status};
use vnetprobe::observation::{
    AboveTcp, AddressRecord, Alias, Answer, CertificateFacts, Climb, ClimbOutcome, ConnectFailure,
    DnsFailure, DnsObservation, Exchange, ExchangeOutcome, Experiment, HandshakeEnd,
    HttpObservation, HttpOutcome, LocalTrouble, NetworkError, Observation, ProxyObservation,
    ProxyOutcome, Rcode, ServerObservation, ServerRole, SilenceEnd, SmbObservation, SmbOutcome,
    TlsFailure, TlsObservation, TlsOutcome, Trial, Trust, TrustResult, UdpObservation, UdpOutcome,
};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::verdict::{Context, Verdict, judge};

/// When every measurement ended.
const NOW: &str = "2026-11-01T12:00:00Z";

/// Causes that come from elsewhere or need an experiment that no probe makes yet. Whoever teaches
/// the judgement one of them moves it out of here by adding a case.
const NOT_JUDGED: [Cause; 0] = [];

/// How a failing verdict says what to do.
const REQUESTS: [&str; 9] =
    ["ask ", "check ", "remove ", "correct ", "move ", "set ", "bring ", "raise ", "update "];

// ------------------------------------------------------------------------------ a case as a file

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    title: String,
    check: CheckPart,
    #[serde(default)]
    network: NetworkPart,
    #[serde(default)]
    machine: MachinePart,
    #[serde(default)]
    seen: Seen,
    expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckPart {
    host: String,
    #[serde(default = "https_port")]
    port: u16,
    #[serde(default = "tls")]
    kind: Kind,
    #[serde(default = "any")]
    expect: Expect,
    zone: Option<String>,
    #[serde(default = "root")]
    path: String,
    service: Option<Service>,
    #[serde(default)]
    public_service: bool,
    #[serde(default = "exact")]
    proof: Proof,
    pattern: Option<String>,
    #[serde(default)]
    declared: Vec<IpAddr>,
    #[serde(default)]
    subnets: Vec<IpNet>,
}

const fn https_port() -> u16 {
    443
}

fn root() -> String {
    "/".to_owned()
}

const fn tls() -> Kind {
    Kind::Tls
}

const fn any() -> Expect {
    Expect::Any
}

const fn exact() -> Proof {
    Proof::Exact
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkPart {
    private_ranges: Option<Vec<IpNet>>,
    #[serde(default)]
    endpoint_subnets: Vec<IpNet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MachinePart {
    #[serde(default)]
    bridges: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    #[serde(default)]
    hosts_file: Vec<IpAddr>,
    #[serde(default)]
    dns: Vec<String>,
    proxy: Option<String>,
    #[serde(default)]
    proxy_headers: BTreeMap<String, String>,
    #[serde(default)]
    experiments: Vec<String>,
    /// Milliseconds.
    #[serde(default)]
    stalled: u64,
    #[serde(default)]
    climb: Vec<ClimbPart>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClimbPart {
    ip: IpAddr,
    #[serde(default = "ok")]
    connect: String,
    #[serde(default)]
    closed: bool,
    #[serde(default = "ok")]
    tls: String,
    #[serde(default)]
    trust: TrustPart,
    #[serde(default = "one_certificate")]
    certificates: Vec<CertificatePart>,
    http: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    smb: Option<String>,
    udp: Option<String>,
}

fn ok() -> String {
    "ok".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TrustPart {
    host: String,
    mozilla: String,
    configured: Option<String>,
}

impl Default for TrustPart {
    fn default() -> Self {
        Self { host: "trusted".to_owned(), mozilla: "trusted".to_owned(), configured: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CertificatePart {
    subject: Option<String>,
    issuer: Option<String>,
    names: Option<Vec<String>>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    self_signed: bool,
    issuer_url: Option<String>,
}

fn one_certificate() -> Vec<CertificatePart> {
    vec![CertificatePart::default()]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: Status,
    cause: Option<Cause>,
    culprit: Option<String>,
    #[serde(default)]
    warnings: Vec<Cause>,
    #[serde(default)]
    says: Vec<String>,
}

// ---------------------------------------------------------------------------- from file to values

/// Splits `text in 20 ms` into the text and the time.
fn timed(text: &str, default: Duration) -> (&str, Elapsed) {
    let split = || {
        let (what, time) = text.trim().rsplit_once(" in ")?;
        let (number, unit) = time.split_once(' ')?;
        let number: f64 = number.parse().ok()?;
        let unit = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            _ => return None,
        };
        Some((what, Elapsed(Duration::from_secs_f64(number * unit))))
    };
    split().unwrap_or((text.trim(), Elapsed(default)))
}

const QUICK: Duration = Duration::from_millis(2);

fn local_trouble(text: &str) -> Option<LocalTrouble> {
    Some(match text {
        "no network" => LocalTrouble::NoNetwork,
        "no resolver" => LocalTrouble::NoResolver,
        "exhausted" => LocalTrouble::Exhausted,
        _ => return None,
    })
}

fn network_error(text: &str) -> Option<NetworkError> {
    Some(match text {
        "refused" => NetworkError::Refused,
        "reset" => NetworkError::Reset,
        "host unreachable" => NetworkError::HostUnreachable,
        "prohibited" => NetworkError::Prohibited,
        "network unreachable" => NetworkError::NetworkUnreachable,
        _ => NetworkError::Other(text.strip_prefix("error ")?.parse().ok()?),
    })
}

/// `SERVER = ...`, with the role before the server.
fn server(line: &str, host: &str) -> ServerObservation {
    let (who, said) = line.split_once(" = ").unwrap_or_else(|| panic!("no ` = ` in `{line}`"));
    let (role, address) = match who.rsplit_once(' ') {
        None => (ServerRole::Configured, who),
        Some(("reference", address)) => (ServerRole::Reference, address),
        Some(("upstream", address)) => (ServerRole::Upstream, address),
        Some(_) => panic!("unknown role in `{line}`"),
    };
    let server = server_place(address);
    let (a, aaaa) = said.split_once(" | ").unwrap_or((said, said));
    ServerObservation {
        server,
        role,
        a: exchange(a, host, IpAddr::is_ipv4),
        aaaa: exchange(aaaa, host, IpAddr::is_ipv6),
    }
}

fn server_place(address: &str) -> SocketAddr {
    address
        .parse()
        .or_else(|_| address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .unwrap_or_else(|_| panic!("`{address}` is not a server"))
}

fn exchange(text: &str, host: &str, of_family: fn(&IpAddr) -> bool) -> Exchange {
    let (text, elapsed) = timed(text, QUICK);
    let failed = match text {
        "timeout" => Some(DnsFailure::Timeout),
        "unreachable" => Some(DnsFailure::Unreachable(NetworkError::Refused)),
        "truncated" => Some(DnsFailure::TcpFailed(ConnectFailure::Timeout)),
        "malformed" => Some(DnsFailure::Malformed("not a DNS message".to_owned())),
        _ => local_trouble(text).map(DnsFailure::Local),
    };
    let outcome = match failed {
        Some(failure) => ExchangeOutcome::Failed(failure),
        None => ExchangeOutcome::Answer(answer(text, host, of_family)),
    };
    Exchange { elapsed, attempts: 1, over_tcp: text == "truncated", outcome }
}

fn answer(text: &str, host: &str, of_family: fn(&IpAddr) -> bool) -> Answer {
    let mut steps: Vec<&str> = text.split(" > ").map(str::trim).collect();
    let end = steps.pop().unwrap_or_default();
    let mut from = host.to_owned();
    let mut chain = Vec::new();
    for step in steps {
        let to = step.to_owned();
        chain.push(Alias { from: std::mem::replace(&mut from, to.clone()), to, ttl: 60 });
    }
    let mut answer = Answer {
        rcode: Rcode::NoError,
        chain,
        chain_loops: false,
        addresses: Vec::new(),
        negative_ttl: None,
    };
    match end {
        "NODATA" => {}
        "LOOP" => answer.chain_loops = true,
        "SERVFAIL LOOP" => {
            answer.chain_loops = true;
            answer.rcode = Rcode::ServFail;
        }
        "NXDOMAIN" => answer.rcode = Rcode::NxDomain,
        "SERVFAIL" => answer.rcode = Rcode::ServFail,
        "REFUSED" => answer.rcode = Rcode::Refused,
        _ => match end.strip_prefix("RCODE ") {
            Some(code) => answer.rcode = Rcode::Other(code.parse().expect("a response code")),
            None => {
                answer.addresses = end
                    .split_whitespace()
                    .map(|ip| {
                        ip.parse().unwrap_or_else(|_| panic!("`{ip}` is no address or known word"))
                    })
                    .filter(of_family)
                    .map(|ip| AddressRecord { ip, ttl: 60 })
                    .collect();
            }
        },
    }
    answer
}

fn climb(seen: &ClimbPart, check: &Check) -> Climb {
    let port = check.target.port.unwrap_or_default();
    Climb { ip: seen.ip, port, outcome: outcome(seen, check) }
}

fn outcome(part: &ClimbPart, check: &Check) -> ClimbOutcome {
    if let Some(text) = &part.udp {
        let (text, elapsed) = timed(text, QUICK);
        let outcome = match text {
            "answer" => UdpOutcome::Answer { bytes: 48 },
            "silence" => UdpOutcome::Silence,
            _ => match local_trouble(text) {
                Some(trouble) => UdpOutcome::Local(trouble),
                None => UdpOutcome::Network(network_error(text).expect("a known word in udp")),
            },
        };
        return ClimbOutcome::Datagram(UdpObservation { elapsed, outcome });
    }
    let (connect, elapsed) = timed(&part.connect, QUICK);
    let failure = match connect {
        "ok" => {
            let local = "10.9.9.9:50000".parse().expect("an address");
            return ClimbOutcome::Connected { elapsed, local, then: above(part, check) };
        }
        _ => connect_failure(connect).expect("a known word in connect"),
    };
    ClimbOutcome::NotConnected { elapsed, failure }
}

fn proxy(seen: &Seen) -> Option<ProxyObservation> {
    let (text, elapsed) = timed(seen.proxy.as_deref()?, Duration::from_millis(40));
    let lives = (text == "timeout, lives").then_some(true);
    let outcome = match (text, text.split_once(": ")) {
        (_, Some(("not http", bytes))) => ProxyOutcome::NotHttp(bytes.to_owned()),
        (_, Some(("connect", how))) => {
            ProxyOutcome::NotConnected(connect_failure(how).expect("a known word in proxy"))
        }
        ("bypassed", _) => ProxyOutcome::Bypassed,
        ("open", _) => ProxyOutcome::Open,
        ("timeout" | "timeout, lives", _) => ProxyOutcome::Timeout,
        ("closed", _) => ProxyOutcome::Closed,
        ("reset", _) => ProxyOutcome::Network(NetworkError::Reset),
        ("unresolved", _) => ProxyOutcome::Unresolved,
        _ => {
            let (status, body) = text.split_once(' ').unwrap_or((text, ""));
            let headers = &seen.proxy_headers;
            ProxyOutcome::Answered {
                status: status.parse().expect("a status"),
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                body: body.to_owned(),
            }
        }
    };
    Some(ProxyObservation {
        url: "http://proxy.contoso.mil:3128".to_owned(),
        why: "HTTPS_PROXY of the environment; there are no exceptions".to_owned(),
        address: Some("10.8.8.8:3128".parse().expect("an address")),
        elapsed,
        outcome,
        lives,
    })
}

fn above(part: &ClimbPart, check: &Check) -> AboveTcp {
    let needed = "the climb needs it for this kind";
    match check.target.kind {
        Kind::Dns | Kind::Tcp | Kind::Udp => AboveTcp::Nothing { closed: part.closed },
        Kind::Http => AboveTcp::Http(http(part.http.as_deref().expect(needed), &part.headers)),
        Kind::Smb => {
            let (text, elapsed) = timed(part.smb.as_deref().expect(needed), QUICK);
            let outcome = match text.split_once(": ") {
                Some(("refused", status)) => SmbOutcome::Refused {
                    status: u32::from_str_radix(status, 16).expect("a status in hex"),
                },
                Some(("not smb", bytes)) => SmbOutcome::NotSmb(bytes.to_owned()),
                _ if text == "timeout" => SmbOutcome::Timeout,
                _ if text == "closed" => SmbOutcome::Closed,
                _ => SmbOutcome::Negotiated { dialect: text.to_owned() },
            };
            AboveTcp::Smb(SmbObservation { elapsed, outcome })
        }
        Kind::Tls | Kind::Https | Kind::Websocket => {
            AboveTcp::Tls(Box::new(handshake(part, check)))
        }
    }
}

fn handshake(part: &ClimbPart, check: &Check) -> TlsObservation {
    let (text, elapsed) = timed(&part.tls, Duration::from_millis(20));
    // A client certificate was asked for before whatever happened next.
    let (text, client_certificate_asked) = match text.strip_prefix("asks a certificate, ") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let failure = match tls_failure(text) {
        Some(failure) => failure,
        None if text == "ok" => {
            return TlsObservation {
                elapsed,
                client_certificate_asked,
                chain: part.certificates.iter().map(|c| certificate(c, check).into()).collect(),
                trust: Some(trust(&part.trust)),
                outcome: TlsOutcome::Established {
                    version: "TLSv1.3".to_owned(),
                    cipher: "TLS13_AES_256_GCM_SHA384".to_owned(),
                    then: part.http.as_deref().map(|text| http(text, &part.headers)),
                },
            };
        }
        None => panic!("unknown word in tls: `{text}`"),
    };
    TlsObservation {
        elapsed,
        chain: Vec::new(),
        trust: None,
        client_certificate_asked,
        outcome: TlsOutcome::Failed(failure),
    }
}

fn tls_failure(text: &str) -> Option<TlsFailure> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match (text.split_once(": "), words.as_slice()) {
        (Some(("not tls", bytes)), _) => TlsFailure::NotTls(bytes.to_owned()),
        (Some(("nothing in common", why)), _) => TlsFailure::NothingInCommon(why.to_owned()),
        (Some(("broken", why)), _) => TlsFailure::Protocol(why.to_owned()),
        (None, ["timeout"]) => TlsFailure::Timeout,
        (None, ["closed"]) => TlsFailure::Closed { heard: false },
        (None, ["closed", "midway"]) => TlsFailure::Closed { heard: true },
        (None, ["reset"]) => TlsFailure::Reset { heard: false },
        (None, ["reset", "midway"]) => TlsFailure::Reset { heard: true },
        (None, ["alert", code, name]) => {
            TlsFailure::Alert { code: code.parse().expect("a number"), name: (*name).to_owned() }
        }
        _ => return None,
    })
}

/// `PLACE WHAT = OUTCOME in TIME`.
fn experiment(line: &str, host: &str) -> Experiment {
    let (tried, outcome) = line.split_once(" = ").unwrap_or_else(|| panic!("no ` = ` in `{line}`"));
    let (place, what) = tried.split_once(' ').unwrap_or_else(|| panic!("no place in `{line}`"));
    let (outcome, elapsed) = timed(outcome, Duration::from_millis(20));
    let ip = place.parse().ok();
    let ip = || ip.unwrap_or_else(|| panic!("`{place}` is not an address"));
    let trial = match what {
        "silence" => Trial::SilentWait { ip: ip(), outcome: silence_end(outcome) },
        "small segments" => Trial::SmallSegments { ip: ip(), outcome: handshake_end(outcome) },
        "small greeting" => Trial::SmallGreeting { ip: ip(), outcome: handshake_end(outcome) },
        "large greeting" => Trial::LargeGreeting { ip: ip(), outcome: handshake_end(outcome) },
        "clear text" => {
            Trial::ClearText { ip: ip(), outcome: http(outcome, &BTreeMap::new()).outcome }
        }
        "dns over tcp" => {
            let server = server_place(place);
            let outcome = match connect_failure(outcome) {
                Some(failure) => ExchangeOutcome::Failed(DnsFailure::TcpFailed(failure)),
                None => exchange(outcome, host, IpAddr::is_ipv4).outcome,
            };
            Trial::DnsOverTcp { server, outcome }
        }
        _ => match what.strip_prefix("other name ") {
            Some(name) => Trial::OtherName {
                ip: ip(),
                name: Host::parse(name).expect("a name"),
                outcome: handshake_end(outcome),
            },
            None => panic!("unknown experiment in `{line}`"),
        },
    };
    Experiment { elapsed, trial }
}

fn connect_failure(text: &str) -> Option<ConnectFailure> {
    if text == "timeout" {
        return Some(ConnectFailure::Timeout);
    }
    let local = local_trouble(text).map(ConnectFailure::Local);
    local.or_else(|| network_error(text).map(ConnectFailure::Network))
}

fn handshake_end(text: &str) -> HandshakeEnd {
    let no_connection = text.strip_prefix("no connection: ").and_then(connect_failure);
    let completed = text.strip_prefix("completed").map(str::trim);
    match (no_connection, completed, tls_failure(text)) {
        (Some(failure), ..) => HandshakeEnd::NotConnected(failure),
        (_, Some(subject), _) => {
            HandshakeEnd::Completed(Some(subject.to_owned()).filter(|s| !s.is_empty()))
        }
        (.., Some(failure)) => HandshakeEnd::Failed(failure),
        _ => panic!("unknown word in an experiment: `{text}`"),
    }
}

fn silence_end(text: &str) -> SilenceEnd {
    match text.split_once(": ") {
        Some(("spoke", bytes)) => SilenceEnd::Spoke(bytes.to_owned()),
        Some(("no connection", why)) => {
            SilenceEnd::NotConnected(connect_failure(why).expect("a known word"))
        }
        _ if text == "waited" => SilenceEnd::Waited,
        _ if text == "closed" => SilenceEnd::Closed,
        _ => panic!("unknown word after silence: `{text}`"),
    }
}

fn certificate(part: &CertificatePart, check: &Check) -> CertificateFacts {
    let host = check.target.host.to_string();
    let day = |text: &str| -> Timestamp { text.parse().expect("a time") };
    CertificateFacts {
        subject: part.subject.clone().unwrap_or_else(|| format!("CN={host}")),
        issuer: part.issuer.clone().unwrap_or_else(|| "CN=DigiCert TLS RSA SHA256".to_owned()),
        names: part.names.clone().unwrap_or_else(|| vec![host]),
        more_names: 0,
        not_before: part.from.unwrap_or_else(|| day("2026-01-01T00:00:00Z")),
        not_after: part.until.unwrap_or_else(|| day("2027-06-01T00:00:00Z")),
        self_signed: part.self_signed,
        sha256: "00".repeat(32),
        issuer_url: part.issuer_url.clone(),
    }
}

fn trust(part: &TrustPart) -> Trust {
    let word = |text: &str| match text {
        "trusted" => TrustResult::Trusted,
        "empty" => TrustResult::EmptyStore,
        "unknown issuer" => TrustResult::UnknownIssuer,
        "expired" => TrustResult::Expired,
        "not yet valid" => TrustResult::NotYetValid,
        "wrong name" => TrustResult::WrongName,
        other => match other.strip_prefix("other: ") {
            Some(why) => TrustResult::Other(why.to_owned()),
            None => panic!("unknown word in trust: `{other}`"),
        },
    };
    Trust {
        host: word(&part.host),
        configured: part.configured.as_deref().map(word),
        mozilla: word(&part.mozilla),
    }
}

fn http(text: &str, headers: &BTreeMap<String, String>) -> HttpObservation {
    let (text, elapsed) = timed(text, Duration::from_millis(30));
    let outcome = match text.split_once(": ") {
        Some(("not http", bytes)) => HttpOutcome::NotHttp(bytes.to_owned()),
        _ if text == "timeout" => HttpOutcome::Timeout,
        _ if text == "closed" => HttpOutcome::Closed,
        _ => {
            let (status, body) = text.split_once(' ').unwrap_or((text, ""));
            HttpOutcome::Answer {
                status: status.parse().expect("a status"),
                headers: headers.clone().into_iter().collect(),
                body: body.to_owned(),
            }
        }
    };
    HttpObservation { elapsed, outcome }
}

fn check(said: &CheckPart) -> Check {
    let host = Host::parse(&said.host).expect("a host");
    let port = Some(said.port).filter(|_| said.kind != Kind::Dns);
    Check {
        id: format!("case@{host}"),
        requirement: "case".to_owned(),
        target: Arc::new(Target { host, port, kind: said.kind, path: said.path.clone() }),
        expectation: Expectation {
            expect: said.expect,
            zone: said.zone.clone(),
            declared: said.declared.clone(),
            subnets: said.subnets.clone(),
        },
        proof: said.proof,
        pattern: said.pattern.clone().unwrap_or_else(|| said.host.clone()),
        scenarios: Vec::new(),
        required: true,
        public_service: said.public_service,
        service: said.service,
        service_tag: None,
        purpose: String::new(),
    }
}

fn network(part: &NetworkPart) -> NetworkFacts {
    let usual = || {
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
            .map(|net| net.parse().expect("a network"))
            .to_vec()
    };
    NetworkFacts {
        private_ranges: part.private_ranges.clone().unwrap_or_else(usual),
        endpoint_subnets: part.endpoint_subnets.clone(),
        endpoint_addresses: BTreeMap::new(),
    }
}

fn machine(part: &MachinePart) -> Machine {
    let address = |text: &String| {
        let (interface, network) = text.split_once(' ').expect("a name and a network");
        InterfaceAddress {
            interface: interface.to_owned(),
            network: network.parse().expect("a network"),
        }
    };
    Machine { addresses: part.bridges.iter().map(address).collect(), ..Machine::default() }
}

fn judged(case: &Case) -> Verdict {
    let check = check(&case.check);
    let host = check.target.host.to_string();
    // The proxy resolves the name, unless this machine was asked as well.
    let looked_up = case.seen.proxy.is_none() || !case.seen.dns.is_empty();
    let dns = check.target.host.name().filter(|_| looked_up).map(|_| DnsObservation {
        hosts_file: case.seen.hosts_file.clone(),
        servers: case.seen.dns.iter().map(|line| server(line, &host)).collect(),
    });
    let observation = Observation {
        dns,
        climbs: case.seen.climb.iter().map(|part| climb(part, &check)).collect(),
        experiments: case.seen.experiments.iter().map(|line| experiment(line, &host)).collect(),
        stalled: Elapsed(Duration::from_millis(case.seen.stalled)),
        proxy: proxy(&case.seen),
        ..Observation::default()
    };
    let (network, machine) = (network(&case.network), machine(&case.machine));
    let now = NOW.parse().expect("a time");
    judge(&check, Context { network: &network, machine: &machine, now }, &observation)
}

// ------------------------------------------------------------------------------------- the tests

fn cases() -> Vec<(String, Case)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verdicts");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of cases") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a case");
        match toml::from_str(&text) {
            Ok(case) => cases.push((name, case)),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    cases
}

/// Everything wrong with one verdict.
fn complaints(case: &Case, verdict: &Verdict) -> Vec<String> {
    let expected = &case.expected;
    let mut wrong = Vec::new();
    let mut same = |what: &str, is: String, should: String| {
        if is != should {
            wrong.push(format!("{what} is {is}, should be {should}"));
        }
    };
    let causes = |causes: &[Cause]| causes.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(" ");
    let warnings: Vec<Cause> = verdict.warnings.iter().map(|w| w.cause).collect();
    let or_none = |cause: Option<Cause>| cause.map_or("none", Cause::as_str).to_owned();
    same("status", verdict.status.to_string(), expected.status.to_string());
    same("cause", or_none(verdict.cause), or_none(expected.cause));
    same(
        "culprit",
        verdict.culprit.as_ref().map(ToString::to_string).unwrap_or_default(),
        expected.culprit.clone().unwrap_or_default(),
    );
    same("warnings", causes(&warnings), causes(&expected.warnings));
    same(
        "layer",
        format!("{:?}", verdict.layer),
        format!("{:?}", verdict.cause.map(|cause| cause.info().layer)),
    );
    let lowered = verdict.summary.to_lowercase();
    wrong.extend(
        expected
            .says
            .iter()
            .filter(|words| !lowered.contains(&words.to_lowercase()))
            .map(|words| format!("the summary does not say `{words}`")),
    );
    let warnings = verdict.warnings.iter().map(|w| w.summary.as_str());
    for summary in [verdict.summary.as_str()].into_iter().chain(warnings) {
        wrong.extend(misshapen(case, summary));
    }
    let request = REQUESTS.iter().any(|verb| lowered.contains(verb));
    if verdict.status != Status::Pass && !request {
        wrong.push("nobody is told what to do".to_owned());
    }
    wrong
}

/// What is wrong with the form of a sentence.
fn misshapen(case: &Case, summary: &str) -> Vec<String> {
    let host = Host::parse(&case.check.host).expect("a host").to_string();
    let mut wrong = Vec::new();
    if summary.chars().any(char::is_control) {
        wrong.push(format!("control characters in {summary:?}"));
    }
    if !summary.ends_with('.') || summary.ends_with("..") {
        wrong.push(format!("no period ends {summary:?}"));
    }
    if !summary.contains(&host) {
        wrong.push(format!("the host is not in {summary:?}"));
    }
    if summary.contains("  ") || summary.contains(" ,") || summary.contains("()") {
        wrong.push(format!("a hole in {summary:?}"));
    }
    wrong
}

#[test]
fn every_case_is_judged_as_it_says() {
    let cases = cases();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|(name, case)| {
            let verdict = judged(case);
            let wrong = complaints(case, &verdict);
            let (title, summary) = (&case.title, &verdict.summary);
            (!wrong.is_empty()).then(|| {
                format!("{name}.toml: {title}\n  - {}\n  summary: {summary}", wrong.join("\n  - "))
            })
        })
        .collect();
    assert!(failures.is_empty(), "of {} cases:\n\n{}", cases.len(), failures.join("\n\n"));
}

#[test]
fn every_cause_has_a_case() {
    let mut covered = BTreeSet::new();
    for (_, case) in cases() {
        covered.extend(case.expected.cause);
        covered.extend(case.expected.warnings);
    }
    for &cause in Cause::ALL {
        assert_eq!(covered.contains(&cause), !NOT_JUDGED.contains(&cause), "{cause}");
    }
}

#[test]
fn titles_tell_cases_apart() {
    let mut titles = BTreeMap::new();
    for (name, case) in cases() {
        assert!(!case.title.ends_with('.'), "{name}");
        if let Some(other) = titles.insert(case.title, name.clone()) {
            panic!("{name} and {other} share a title");
        }
    }
}
