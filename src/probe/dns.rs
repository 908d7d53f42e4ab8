//! Asks every configured DNS server, one question to one server, nothing cached.
//!
//! A shared resolver hides what matters here (which server, which transport, which error, which
//! alias), so each exchange uses its own connected socket; hickory encodes and decodes.
#![expect(clippy::disallowed_methods, reason = "this edge sends DNS questions and times them")]

use std::cell::RefCell;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::dns_message::{Family, Question, Reply};
use super::tcp;
use crate::limits;
use crate::machine::Machine;
use crate::model::Elapsed;
use crate::observation::{
    ConnectFailure, DnsFailure, DnsObservation, Exchange, ExchangeOutcome, NetworkError,
    ServerObservation, ServerRole,
};
use crate::parameters::NetworkFacts;
use crate::resolution::effective;

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Servers {
    /// In the order the system uses them.
    pub configured: Vec<SocketAddr>,
    /// Where a local stub forwards to.
    pub upstreams: Vec<SocketAddr>,
    /// Asked besides when the answer is not as expected.
    pub reference: Option<SocketAddr>,
}

impl Servers {
    /// The configured servers, else the machine's own; a stub's upstreams only with the latter.
    pub fn new(
        configured: &[SocketAddr],
        reference: Option<SocketAddr>,
        machine: &Machine,
    ) -> Self {
        let own = configured.is_empty();
        let mut servers = if own { machine.dns_servers.clone() } else { configured.to_vec() };
        servers.truncate(limits::DNS_SERVERS);
        let mut upstreams = if own { machine.dns_upstreams.clone() } else { Vec::new() };
        upstreams.retain(|upstream| !servers.contains(upstream));
        upstreams.truncate(limits::DNS_SERVERS);
        let reference = reference.filter(|r| !servers.contains(r) && !upstreams.contains(r));
        Self { configured: servers, upstreams, reference }
    }
}

/// Looks a name up at every source. `private` tells that a private address is expected, so that
/// the reference server is asked when the answer is not.
pub async fn resolve(
    name: &str,
    servers: &Servers,
    hosts_file: &[IpAddr],
    private: Option<&NetworkFacts>,
    timeout: Duration,
) -> DnsObservation {
    let configured = servers.configured.iter().map(|server| (*server, ServerRole::Configured));
    let upstreams = servers.upstreams.iter().map(|server| (*server, ServerRole::Upstream));
    let asked: Vec<_> = configured
        .chain(upstreams)
        .map(|(server, role)| ask_server(name, server, role, timeout))
        .collect();
    let mut observation =
        DnsObservation { hosts_file: hosts_file.to_vec(), servers: join_all(asked).await };
    if let Some(reference) = servers.reference.filter(|_| surprising(&observation, private)) {
        observation.servers.push(ask_server(name, reference, ServerRole::Reference, timeout).await);
    }
    observation
}

/// Whether the answer is worth a question to the reference server: a private address was expected
/// and something else came. Without any server the reference is no help: nobody here would ask it.
fn surprising(observation: &DnsObservation, private: Option<&NetworkFacts>) -> bool {
    let Some(network) = private else { return false };
    let addresses = effective(observation).addresses();
    let as_expected = !addresses.is_empty() && addresses.iter().all(|ip| network.is_private(*ip));
    !as_expected && observation.servers.iter().any(ServerObservation::decides)
}

async fn ask_server(
    name: &str,
    server: SocketAddr,
    role: ServerRole,
    timeout: Duration,
) -> ServerObservation {
    let (a, aaaa) = tokio::join!(
        exchange(name, Family::V4, server, timeout),
        exchange(name, Family::V6, server, timeout)
    );
    ServerObservation { server, role, a, aaaa }
}

/// One question to one server: UDP, sent again once, then TCP when the answer is cut short.
pub(super) async fn exchange(
    name: &str,
    family: Family,
    server: SocketAddr,
    timeout: Duration,
) -> Exchange {
    let started = Instant::now();
    let mut attempts = 0;
    let mut over_tcp = false;
    let mut outcome = ask_udp(name, family, true, server, started + timeout, &mut attempts).await;
    if matches!(outcome, Ok((Reply::NoEdns, _))) {
        outcome = ask_udp(name, family, false, server, started + timeout, &mut attempts).await;
    }
    let outcome = match outcome {
        Ok((Reply::Truncated, question)) => {
            over_tcp = true;
            Box::pin(ask_tcp(&question, server, timeout)).await
        }
        Ok((reply, _)) => finished(reply),
        Err(failure) => ExchangeOutcome::Failed(failure),
    };
    Exchange { elapsed: Elapsed(started.elapsed()), attempts, over_tcp, outcome }
}

fn finished(reply: Reply) -> ExchangeOutcome {
    match reply {
        Reply::Answer(answer) => ExchangeOutcome::Answer(answer),
        Reply::Malformed(why) => ExchangeOutcome::Failed(DnsFailure::Malformed(why)),
        Reply::NoEdns => {
            ExchangeOutcome::Failed(DnsFailure::Malformed("FORMERR to a plain question".to_owned()))
        }
        Reply::Truncated | Reply::Stranger => {
            ExchangeOutcome::Failed(DnsFailure::Malformed("truncated over TCP".to_owned()))
        }
    }
}

/// The same question over TCP alone; nothing when the name cannot be asked for.
pub(super) async fn over_tcp(
    name: &str,
    ipv6: bool,
    server: SocketAddr,
    timeout: Duration,
) -> Option<ExchangeOutcome> {
    let family = if ipv6 { Family::V6 } else { Family::V4 };
    let question = Question::new(name, family, true).ok()?;
    Some(ask_tcp(&question, server, timeout).await)
}

async fn ask_udp(
    name: &str,
    family: Family,
    edns: bool,
    server: SocketAddr,
    deadline: Instant,
    attempts: &mut u32,
) -> Result<(Reply, Question), DnsFailure> {
    let question = Question::new(name, family, edns).map_err(DnsFailure::Malformed)?;
    let socket = UdpSocket::bind(unspecified(server)).await.map_err(|e| failure(&e, server))?;
    socket.connect(server).await.map_err(|e| failure(&e, server))?;
    let attempt_time =
        deadline.saturating_duration_since(Instant::now()) / limits::DNS_UDP_ATTEMPTS;
    let mut strangers = 0;
    for _ in 0..limits::DNS_UDP_ATTEMPTS {
        let until = deadline.min(Instant::now() + attempt_time);
        *attempts += 1;
        socket.send(&question.bytes).await.map_err(|e| failure(&e, server))?;
        while let Ok(received) = timeout_at(until, receive(&socket, &question)).await {
            match received.map_err(|e| failure(&e, server))? {
                Reply::Stranger if strangers < limits::DNS_STRANGERS => strangers += 1,
                Reply::Stranger => {
                    let why = format!("more than {strangers} answers to other questions");
                    return Err(DnsFailure::Malformed(why));
                }
                reply => return Ok((reply, question)),
            }
        }
    }
    Err(DnsFailure::Timeout)
}

/// The next datagram, read as the answer to this question; an ICMP message that says there will be
/// none is an error at once.
async fn receive(socket: &UdpSocket, question: &Question) -> io::Result<Reply> {
    thread_local! {
        /// Room for the largest datagram: too much to ask of the allocator for every question.
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; usize::from(u16::MAX)]);
    }
    // Linux tells of an ICMP message as an error alone, which is not "readable".
    let told = Interest::READABLE | Interest::ERROR;
    let read = || {
        BUFFER.with_borrow_mut(|buffer| {
            let length = (&*SockRef::from(socket)).read(buffer)?;
            Ok(question.read(buffer.get(..length).unwrap_or_default()))
        })
    };
    socket.async_io(told, read).await
}

async fn ask_tcp(question: &Question, server: SocketAddr, timeout: Duration) -> ExchangeOutcome {
    let deadline = Instant::now() + timeout;
    let (_, connected) = tcp::connect(server, timeout).await;
    let mut stream = match connected {
        Ok((stream, _)) => stream,
        Err(ConnectFailure::Local(trouble)) => {
            return ExchangeOutcome::Failed(DnsFailure::Local(trouble));
        }
        Err(why) => return ExchangeOutcome::Failed(DnsFailure::TcpFailed(why)),
    };
    match timeout_at(deadline, ask_stream(&mut stream, question)).await {
        Ok(Ok(bytes)) => finished(question.read(&bytes)),
        Ok(Err(_)) => ExchangeOutcome::Failed(DnsFailure::TcpFailed(ConnectFailure::Network(
            NetworkError::Reset,
        ))),
        Err(_) => ExchangeOutcome::Failed(DnsFailure::TcpFailed(ConnectFailure::Timeout)),
    }
}

/// One length-prefixed message each way (RFC 1035 section 4.2.2); a length has two octets, so the
/// answer is bounded.
pub(super) async fn ask_stream(stream: &mut TcpStream, question: &Question) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(&question.bytes);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0_u8; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn unspecified(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// An error of a connected UDP socket: an ICMP message came back, or this machine could not send.
fn failure(error: &io::Error, server: SocketAddr) -> DnsFailure {
    match tcp::classify_datagram(error, server.ip()) {
        ConnectFailure::Local(trouble) => DnsFailure::Local(trouble),
        ConnectFailure::Network(network) => DnsFailure::Unreachable(network),
        ConnectFailure::Timeout => DnsFailure::Timeout,
    }
}
