//! Failures that look alike, told apart by the follow-ups that a whole probe makes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::TLS13;
use vnetprobe::cause::Cause;
use vnetprobe::check::{Check, Expectation, Target};
use vnetprobe::engine::Prober;
use vnetprobe::machine::Machine;
use vnetprobe::model::{Cloud, Expect, Host, Kind, Proof};
use vnetprobe::observation::{HandshakeEnd, Observation, TlsFailure, Trial};
use vnetprobe::parameters::NetworkFacts;
use vnetprobe::probe::Live;
use vnetprobe::probe::dns::Servers;
use vnetprobe::probe::experiments::FollowUps;
use vnetprobe::probe::greeting;
use vnetprobe::probe::turns::Turns;
use vnetprobe::schedule::Repeat;
use vnetprobe::settings::Timeouts;
use vnetprobe::verdict::{Context, Verdict, judge};

use crate::pki::{Authority, client, listen_12, listen_13, params};
use crate::world::{BRIEF, PLENTY, hear, outlast, serve};

/// A name that may resolve to loopback (RFC 6761 section 6.3).
const NAME: &str = "filtered.localhost";
const FRIEND: &str = "friend.localhost";

fn live(pem: &[String], dns_servers: &[SocketAddr]) -> Live {
    let here = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let named = [NAME, FRIEND].map(|name| (name.to_owned(), here.clone()));
    let hosts_file = if dns_servers.is_empty() { BTreeMap::from(named) } else { BTreeMap::new() };
    Live {
        servers: Servers {
            configured: dns_servers.to_vec(),
            upstreams: Vec::new(),
            reference: None,
        },
        hosts_file,
        network: Arc::new(network()),
        tls: client(pem),
        timeouts: Timeouts { dns: BRIEF, connect: PLENTY, tls: PLENTY, http: PLENTY },
        routes: vnetprobe::proxy::Routes::default(),
        follow_ups: FollowUps::new(Cloud::UsGovernment, Repeat::Every(Duration::from_mins(1)))
            .into(),
        turns: Turns::default(),
    }
}

/// Gives up on a handshake soon: the server's silence is the test.
fn impatient(live: Live) -> Live {
    Live { timeouts: Timeouts { tls: BRIEF, ..live.timeouts }, ..live }
}

fn network() -> NetworkFacts {
    NetworkFacts {
        private_ranges: vec!["10.0.0.0/8".parse().unwrap()],
        endpoint_subnets: Vec::new(),
        endpoint_addresses: BTreeMap::new(),
    }
}

fn target(name: &str, port: u16) -> Arc<Target> {
    Arc::new(Target {
        host: Host::parse(name).unwrap(),
        port: Some(port),
        kind: Kind::Https,
        path: "/secret?token=abc".to_owned(),
    })
}

fn judged(target: &Arc<Target>, seen: &Observation) -> Verdict {
    let check = Check {
        id: String::new(),
        requirement: String::new(),
        target: Arc::clone(target),
        expectation: Expectation {
            expect: Expect::Any,
            zone: None,
            declared: Vec::new(),
            subnets: Vec::new(),
        },
        proof: Proof::Exact,
        pattern: NAME.to_owned(),
        scenarios: Vec::new(),
        required: true,
        public_service: false,
        service: None,
        service_tag: None,
        purpose: String::new(),
    };
    let (network, machine) = (network(), Machine::default());
    let now = "2026-11-01T12:00:00Z".parse().unwrap();
    judge(&check, Context { network: &network, machine: &machine, now }, seen)
}

/// Probes and judges; what was seen says in the message why a verdict is another.
async fn told(live: &Live, port: u16) -> (Observation, Verdict) {
    let target = target(NAME, port);
    let seen = live.probe(&target, false).await;
    let verdict = judged(&target, &seen);
    (seen, verdict)
}

fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    let identity = authority.issue(&params(name, &[name]));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// What a client says first, left where it is.
async fn opening(stream: &TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let length = stream.peek(&mut bytes).await.unwrap_or(0);
    bytes.truncate(length);
    bytes
}

fn says(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

/// A TLS server behind something that lets a client pass by its first bytes, and else is rude.
async fn filter(acceptor: TlsAcceptor, lets_pass: fn(&[u8]) -> bool, rude: Rude) -> u16 {
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let first = opening(&stream).await;
            if lets_pass(&first) {
                if let Ok(mut session) = acceptor.accept(stream).await {
                    let _ = session.read(&mut [0; 64]).await;
                }
                return;
            }
            match rude {
                Rude::Close => {
                    hear(&mut stream).await;
                }
                Rude::Mute => outlast(&mut stream).await,
            }
        }
    })
    .await
    .port()
}

#[derive(Clone, Copy)]
enum Rude {
    Close,
    Mute,
}

fn friendly() -> Authority {
    Authority::new("Experiments")
}

#[tokio::test]
async fn a_filter_of_names_closes_one() {
    let authority = friendly();
    let port = filter(acceptor(&authority, NAME), |first| !says(first, NAME), Rude::Close).await;
    let (seen, verdict) = told(&live(&[authority.pem()], &[]), port).await;
    assert_eq!(verdict.cause, Some(Cause::TlsSniBlocked), "{seen:#?}");
    assert!(verdict.summary.contains("the name login.microsoftonline.us gets through"));
    assert!(verdict.summary.contains(&format!("certificate CN={NAME}")), "{}", verdict.summary);
    let names: BTreeSet<String> = seen
        .experiments
        .iter()
        .filter_map(|one| match &one.trial {
            Trial::OtherName { name, .. } => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["login.microsoftonline.us", "mcr.microsoft.com"]
    );
}

#[tokio::test]
async fn a_filter_of_names_swallows_one() {
    let authority = friendly();
    let port = filter(acceptor(&authority, NAME), |first| !says(first, NAME), Rude::Mute).await;
    let (seen, verdict) = told(&impatient(live(&[authority.pem()], &[])), port).await;
    assert_eq!(verdict.cause, Some(Cause::TlsSniBlocked), "{seen:#?}");
    assert!(verdict.summary.contains("left unanswered"), "{}", verdict.summary);
}

/// A firewall that knows neither of the well-known names, but lets one pass that just worked.
#[tokio::test]
async fn a_name_that_passed_lately_is_tried() {
    let authority = friendly();
    let good = listen_13(authority.issue(&params(FRIEND, &[FRIEND]))).await.port();
    let port = filter(acceptor(&authority, NAME), |first| says(first, FRIEND), Rude::Close).await;
    let live = live(&[authority.pem()], &[]);
    let friend = target(FRIEND, good);
    let passed = live.probe(&friend, false).await;
    assert!(
        passed.experiments.is_empty() && judged(&friend, &passed).cause.is_none(),
        "{passed:#?}"
    );
    let (seen, verdict) = told(&live, port).await;
    assert_eq!(verdict.cause, Some(Cause::TlsSniBlocked), "{seen:#?}");
    assert!(verdict.summary.contains("the name friend.localhost gets through"));
}

#[tokio::test]
async fn every_name_is_closed() {
    let port = filter(acceptor(&friendly(), NAME), |_| false, Rude::Close).await;
    let (seen, verdict) = told(&live(&[], &[]), port).await;
    assert_eq!(verdict.cause, Some(Cause::TlsClosed), "{seen:#?}");
    assert!(verdict.summary.contains("login.microsoftonline.us, mcr.microsoft.com were ended"));
}

#[tokio::test]
async fn every_connection_is_closed() {
    let port = serve(|stream| async move { drop(stream) }).await.port();
    let (seen, verdict) = told(&live(&[], &[]), port).await;
    assert_eq!(verdict.cause, Some(Cause::TcpClosedOnAccept), "{seen:#?}");
}

/// Who closes on a request in the clear may close on no request as well, or not.
#[tokio::test]
async fn a_close_on_accept_is_told_from_one_on_the_request() {
    let relay = serve(|stream| async move { drop(stream) }).await.port();
    let picky = serve(|mut stream| async move {
        hear(&mut stream).await;
    })
    .await
    .port();
    for (kind, on_request) in [(Kind::Smb, Cause::NotSmb), (Kind::Http, Cause::HttpClosed)] {
        for (port, cause) in [(relay, Cause::TcpClosedOnAccept), (picky, on_request)] {
            let target = Arc::new(Target { kind, ..(*target(NAME, port)).clone() });
            let seen = live(&[], &[]).probe(&target, false).await;
            assert_eq!(judged(&target, &seen).cause, Some(cause), "{seen:#?}");
            assert_eq!(seen.experiments.len(), 1, "{seen:#?}");
        }
    }
}

#[tokio::test]
async fn nobody_ever_answers() {
    let port = filter(acceptor(&friendly(), NAME), |_| false, Rude::Mute).await;
    let (seen, verdict) = told(&impatient(live(&[], &[])), port).await;
    assert_eq!(verdict.cause, Some(Cause::TlsTimeout), "{seen:#?}");
    assert!(verdict.summary.contains("small TCP segments (path MTU) did not help"));
    assert_eq!(seen.experiments.len(), 6);
}

/// A path that loses large packets, as far as loopback can have one: the server takes part in a
/// handshake only when the segments that were agreed on are small, and hears a greeting that it
/// refuses up to a size.
#[cfg(target_os = "linux")]
async fn narrow(authority: &Authority, hears: usize) -> u16 {
    let acceptor = acceptor(authority, NAME);
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let segment = socket2::SockRef::from(&stream).tcp_mss().unwrap();
            let first = opening(&stream).await;
            let ours = says(&first, "vnetprobe asks who hears");
            let small = segment <= vnetprobe::limits::SMALL_SEGMENT;
            if !(small || ours && first.len() <= hears) {
                outlast(&mut stream).await;
            } else if let Ok(mut session) = acceptor.accept(stream).await {
                let _ = session.read(&mut [0; 64]).await;
            }
        }
    })
    .await
    .port()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn large_packets_are_lost() {
    let authority = friendly();
    for (hears, says) in [
        (0, "large packets are lost on the way"),
        (1_460, "large packets are lost both ways"),
        (vnetprobe::limits::LARGE_GREETING, "large packets from there to here are lost"),
    ] {
        let port = narrow(&authority, hears).await;
        let (seen, verdict) = told(&impatient(live(&[authority.pem()], &[])), port).await;
        assert_eq!(verdict.cause, Some(Cause::TlsMtuBlackhole), "{seen:#?}");
        assert!(verdict.summary.contains(says), "{}", verdict.summary);
        let small = seen.experiments.iter().find_map(|one| match &one.trial {
            Trial::SmallSegments { outcome, .. } => Some(outcome),
            _ => None,
        });
        assert_eq!(small, Some(&HandshakeEnd::Completed(Some(format!("CN={NAME}")))));
    }
}

/// Greetings made by hand are understood and refused by a server of either version.
#[tokio::test]
async fn greetings_are_refused_with_an_alert() {
    let authority = friendly();
    let identity = || authority.issue(&params(NAME, &[NAME]));
    let (old, new) = (listen_12(identity()).await, listen_13(identity()).await);
    for (server, expected) in [(old, "handshake_failure"), (new, "protocol_version")] {
        for host in [NAME, "127.0.0.1"] {
            for size in [0, vnetprobe::limits::LARGE_GREETING] {
                let mut stream = TcpStream::connect(server).await.unwrap();
                let hello = greeting::client_hello(&Host::parse(host).unwrap(), size);
                stream.write_all(&hello).await.unwrap();
                let TlsFailure::Alert { name, .. } = greeting::answer(&hear(&mut stream).await)
                else {
                    panic!("{host} {size}")
                };
                assert_eq!(name, expected, "{host} {size}");
            }
        }
    }
}

// --------------------------------------------------------------------- clear text on a TLS port

/// Answers HTTP with this, and anything else with that; notes every first line.
async fn web(http: &'static str, other: &'static str, heard: Arc<Mutex<Vec<String>>>) -> u16 {
    serve(move |mut stream| {
        let heard = Arc::clone(&heard);
        async move {
            let first = hear(&mut stream).await;
            let reply = if first.starts_with(b"GET ") { http } else { other };
            let text = String::from_utf8_lossy(&first).into_owned();
            heard.lock().unwrap().push(text);
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    })
    .await
    .port()
}

const DENY: &str = "HTTP/1.1 470 unknown\r\nContent-Type: text/plain\r\nContent-Length: 37\r\n\r\nAction: Deny. Reason: No rule matched.";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
const WANTS_TLS: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 55\r\n\r\n<h1>The plain HTTP request was sent to HTTPS port</h1>\n";

#[tokio::test]
async fn clear_text_tells_who_answers() {
    for (http, other, cause) in [
        (DENY, "", Cause::HttpFirewallDeny),
        (DENY, BAD, Cause::HttpFirewallDeny),
        (HELLO, "", Cause::NotTls),
        (HELLO, BAD, Cause::NotTls),
        (WANTS_TLS, "", Cause::TlsClosed),
    ] {
        let heard = Arc::default();
        let port = web(http, other, Arc::clone(&heard)).await;
        let (seen, verdict) = told(&live(&[], &[]), port).await;
        assert_eq!(verdict.cause, Some(cause), "{seen:#?}");
        let heard = heard.lock().unwrap();
        let asked: Vec<_> = heard.iter().filter(|first| first.starts_with("GET ")).collect();
        let [asked] = asked[..] else { panic!("{heard:?}") };
        assert!(
            asked.starts_with(&format!("GET / HTTP/1.1\r\nHost: {NAME}:{port}\r\n")),
            "{asked}"
        );
        assert!(!heard.iter().any(|first| first.contains("token")), "{heard:?}");
    }
}

// ---------------------------------------------------------------------------------- how often

#[tokio::test]
async fn a_host_is_not_pressed() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let port = serve(move |mut stream| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            hear(&mut stream).await;
        }
    })
    .await
    .port();
    let live = live(&[], &[]);
    for round in 0..4 {
        let before = count.load(Ordering::Relaxed);
        let (seen, verdict) = told(&live, port).await;
        let connections = count.load(Ordering::Relaxed) - before;
        assert_eq!(verdict.cause, Some(Cause::TlsClosed), "{seen:#?}");
        assert_eq!(seen.experiments.len(), 4, "{round}");
        assert_eq!(connections, if round < 2 { 5 } else { 1 }, "{round}");
        assert_eq!(seen.experiments_age.is_some(), round >= 2, "{round}");
    }
}

// ---------------------------------------------------------------------------------------- DNS

/// The answer to a question for an address: one record, 127.0.0.1.
fn dns_answer(question: &[u8]) -> Vec<u8> {
    // Header, name up to the empty label, type and class.
    let name = question[12..].iter().position(|octet| *octet == 0).unwrap();
    let mut answer = question[..12 + name + 5].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    answer
}

/// A DNS server whose UDP answers with these bytes, or not at all.
async fn dns_over_tcp_only<F>(udp: impl FnOnce(UdpSocket) -> F) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = serve(|mut stream| async move {
        let Ok(length) = stream.read_u16().await else { return };
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await.unwrap();
        let answer = dns_answer(&question);
        stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    })
    .await;
    tokio::spawn(udp(UdpSocket::bind(address).await.unwrap()));
    address
}

async fn looked_up(server: SocketAddr) -> (Observation, Verdict) {
    let target = Arc::new(Target {
        host: Host::parse("pypi.org").unwrap(),
        port: None,
        kind: Kind::Dns,
        path: "/".to_owned(),
    });
    let seen = live(&[], &[server]).probe(&target, false).await;
    let verdict = judged(&target, &seen);
    (seen, verdict)
}

#[tokio::test]
async fn dns_answers_over_tcp_only() {
    let mute = |socket: UdpSocket| async move { while socket.recv(&mut [0; 512]).await.is_ok() {} };
    let (seen, verdict) = looked_up(dns_over_tcp_only(mute).await).await;
    assert_eq!(verdict.cause, Some(Cause::DnsTimeout), "{seen:#?}");
    assert!(verdict.summary.contains("over TCP but not over UDP"), "{}", verdict.summary);

    let gone = |socket: UdpSocket| async move { drop(socket) };
    let (seen, verdict) = looked_up(dns_over_tcp_only(gone).await).await;
    assert_eq!(verdict.cause, Some(Cause::DnsUnreachable), "{seen:#?}");
    assert!(verdict.summary.contains("over TCP but not over UDP"), "{}", verdict.summary);

    let garbage = |socket: UdpSocket| async move {
        let mut question = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut question).await {
            let _ = socket.send_to(&question[..7], from).await;
        }
    };
    let (seen, verdict) = looked_up(dns_over_tcp_only(garbage).await).await;
    assert_eq!(verdict.cause, Some(Cause::DnsServfail), "{seen:#?}");
    assert!(verdict.summary.contains("properly over TCP"), "{}", verdict.summary);
}

#[tokio::test]
async fn dns_answers_over_neither() {
    // Held open, so that nobody else gets the port; nothing listens for TCP there.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (seen, verdict) = looked_up(socket.local_addr().unwrap()).await;
    assert_eq!(verdict.cause, Some(Cause::DnsTimeout), "{seen:#?}");
    assert!(verdict.summary.contains("refuses TCP 53"), "{}", verdict.summary);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let _mute = UdpSocket::bind(address).await.unwrap();
    let (seen, verdict) = looked_up(address).await;
    assert_eq!(verdict.cause, Some(Cause::DnsTimeout), "{seen:#?}");
    assert!(verdict.summary.contains("neither over UDP nor over TCP"), "{}", verdict.summary);
}
