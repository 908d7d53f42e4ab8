//! An explicit HTTP proxy: the tunnel that CONNECT opens, or a plain request in absolute form.
//!
//! The name goes to the proxy, which resolves it. Credentials go into the request to the proxy, are
//! taken out of whatever comes back, and are never kept.

#![expect(clippy::disallowed_methods, reason = "reads the clock")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::http::{self, BodyEnd, Head, Parsed};
use super::{Live, dns, stream, tcp};
use crate::check::Target;
use crate::limits;
use crate::model::{Elapsed, Host, Kind, authority};
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, ConnectFailure, DnsFailure, DnsObservation, Exchange,
    ExchangeOutcome, HttpObservation, HttpOutcome, LocalTrouble, ProxyObservation, ProxyOutcome,
    TlsFailure, TlsOutcome,
};
use crate::proxy::{Credentials, Proxy};
use crate::resolution::effective;

/// The port that an `http://` URL does not write.
const HTTP_PORT: u16 = 80;
/// Statuses by which a gateway says that it does not go on; a service has them, too.
const GATEWAY_STATUSES: [u16; 4] = [403, 502, 503, 504];

impl Live {
    /// Goes to a target through a proxy. The climb is the connection to the proxy with whatever
    /// the target did behind it; there is none when the proxy does not go on.
    pub(super) async fn through(
        &self,
        target: &Target,
        port: u16,
        proxy: &Proxy,
        why: String,
    ) -> (ProxyObservation, Option<Climb>) {
        let mut seen = ProxyObservation {
            url: proxy.to_string(),
            why,
            address: None,
            elapsed: Elapsed::default(),
            outcome: ProxyOutcome::Unresolved,
            lives: None,
        };
        let addresses = match self.addresses_of(proxy).await {
            Ok(addresses) => addresses,
            Err(outcome) => return (ProxyObservation { outcome, ..seen }, None),
        };
        let start = Instant::now();
        let (address, elapsed, connected) = self.connect_to(&addresses, proxy.port).await;
        seen.address = address;
        let (mut stream, local) = match connected {
            Ok(connected) => connected,
            Err(outcome) => {
                return (ProxyObservation { elapsed, outcome, ..seen }, None);
            }
        };
        let credentials = proxy.credentials.as_ref();
        let (outcome, answer) = if target.kind == Kind::Http {
            plain(&mut stream, target, port, credentials, self.timeouts.http).await
        } else {
            let place = authority(&target.host, port);
            (connect(&mut stream, &place, credentials, self.timeouts.http).await, None)
        };
        seen.elapsed = Elapsed(start.elapsed());
        if let (ProxyOutcome::Timeout, Some(address)) = (&outcome, address) {
            drop(stream);
            seen.lives = Some(lives(address, &proxy.authority(), self.timeouts.connect).await);
            return (ProxyObservation { outcome, ..seen }, None);
        }
        let opened = outcome == ProxyOutcome::Open;
        seen.outcome = outcome;
        let Some(address) = address.filter(|_| opened) else { return (seen, None) };
        let then = match answer {
            Some(answer) => AboveTcp::Http(answer),
            None => scrubbed(self.above(target, port, stream).await, credentials),
        };
        let outcome = ClimbOutcome::Connected { elapsed, local, then };
        (seen, Some(Climb { ip: address.ip(), port: address.port(), outcome }))
    }

    /// The proxy's addresses, looked up like those of any host.
    async fn addresses_of(&self, proxy: &Proxy) -> Result<Vec<IpAddr>, ProxyOutcome> {
        let name = match &proxy.host {
            Host::Ip(ip) => return Ok(vec![*ip]),
            Host::Name(name) => name,
        };
        let hosts_file = self.hosts_file.get(name).map_or(&[][..], Vec::as_slice);
        let seen = dns::resolve(name, &self.servers, hosts_file, None, self.timeouts.dns).await;
        let mut addresses = effective(&seen).addresses();
        addresses.truncate(limits::PROXY_ADDRESSES);
        match (addresses.is_empty(), local_trouble(&seen)) {
            (false, _) => Ok(addresses),
            (true, Some(trouble)) => {
                Err(ProxyOutcome::NotConnected(ConnectFailure::Local(trouble)))
            }
            (true, None) => Err(ProxyOutcome::Unresolved),
        }
    }

    /// Connects to the first address that takes the connection. Where none does, the first one's
    /// failure is told.
    async fn connect_to(
        &self,
        addresses: &[IpAddr],
        port: u16,
    ) -> (Option<SocketAddr>, Elapsed, Result<(TcpStream, SocketAddr), ProxyOutcome>) {
        let mut failed = None;
        for ip in addresses {
            let address = SocketAddr::new(*ip, port);
            match tcp::connect(address, self.timeouts.connect).await {
                (elapsed, Ok(connected)) => return (Some(address), elapsed, Ok(connected)),
                (elapsed, Err(failure)) => {
                    failed.get_or_insert((address, elapsed, ProxyOutcome::NotConnected(failure)));
                }
            }
        }
        match failed {
            Some((address, elapsed, outcome)) => (Some(address), elapsed, Err(outcome)),
            None => (None, Elapsed::default(), Err(ProxyOutcome::Unresolved)),
        }
    }
}

/// Why this very machine could not look a name up.
fn local_trouble(dns: &DnsObservation) -> Option<LocalTrouble> {
    if dns.configured().next().is_none() {
        return Some(LocalTrouble::NoResolver);
    }
    let of = |exchange: &Exchange| match &exchange.outcome {
        ExchangeOutcome::Failed(DnsFailure::Local(trouble)) => Some(*trouble),
        _ => None,
    };
    // A server that was asked has had its say.
    let all: Option<Vec<LocalTrouble>> = dns.configured().map(|server| of(&server.a)).collect();
    all?.first().copied()
}

fn authorization(credentials: Option<&Credentials>) -> String {
    let line = |c: &Credentials| format!("Proxy-Authorization: {}\r\n", c.header());
    credentials.map(line).unwrap_or_default()
}

fn scrub(credentials: Option<&Credentials>, said: Vec<u8>) -> Vec<u8> {
    match credentials {
        Some(credentials) => credentials.scrub(&said),
        None => said,
    }
}

// ------------------------------------------------------------------------------------- CONNECT

/// Asks for a tunnel (RFC 9110 section 9.3.6). When it is open, the stream stands at its beginning.
pub async fn connect(
    stream: &mut TcpStream,
    place: &str,
    credentials: Option<&Credentials>,
    limit: Duration,
) -> ProxyOutcome {
    let deadline = Instant::now() + limit;
    let version = env!("CARGO_PKG_VERSION");
    let request = format!(
        "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: vnetprobe/{version}\r\n{}\r\n",
        authorization(credentials)
    );
    // A proxy that refuses and closes at once can make the write fail: what it said still counts.
    if timeout_at(deadline, stream.write_all(request.as_bytes())).await.is_err() {
        return ProxyOutcome::Timeout;
    }
    let (bytes, head) = match read_head(stream, credentials, deadline).await {
        Ok(read) => read,
        Err(outcome) => return outcome,
    };
    let whole = bytes.ends_with(b"\r\n\r\n") || bytes.ends_with(b"\n\n");
    if matches!(head.status, 200..=299) {
        // Where a tunnel begins is not known behind a head without an end.
        return if whole { ProxyOutcome::Open } else { not_http(credentials, bytes) };
    }
    let body = if whole {
        http::read_body(stream, Vec::new(), head.body, deadline).await
    } else {
        Vec::new()
    };
    // Read once more without our credentials in it, should the proxy have repeated them.
    let headers = match http::parse_head(&scrub(credentials, bytes)) {
        Parsed::Head(head) => head.headers,
        Parsed::Incomplete | Parsed::NotHttp => Vec::new(),
    };
    let body = http::readable(&scrub(credentials, body));
    ProxyOutcome::Answered { status: head.status, headers, body }
}

/// Reads the head of the final answer and not one byte more: what follows is the tunnel's.
async fn read_head(
    stream: &mut TcpStream,
    credentials: Option<&Credentials>,
    deadline: Instant,
) -> Result<(Vec<u8>, Head), ProxyOutcome> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut total = 0;
    loop {
        let mut piece = [0; 2048];
        let length = match timeout_at(deadline, stream.peek(&mut piece)).await {
            Err(_) => return Err(ProxyOutcome::Timeout),
            Ok(Ok(0)) => return Err(ProxyOutcome::Closed),
            Ok(Ok(length)) => length,
            Ok(Err(error)) => return Err(broken(stream, &error)),
        };
        let known = bytes.len();
        bytes.extend(piece.iter().take(length));
        let parsed = http::parse_head(&bytes);
        let end = match &parsed {
            Parsed::Head(head) => head.length.min(bytes.len()),
            Parsed::Incomplete | Parsed::NotHttp => bytes.len(),
        };
        bytes.truncate(end);
        // They are there already, so this does not wait.
        let taken = piece.get_mut(..end.saturating_sub(known)).unwrap_or_default();
        if stream.read_exact(taken).await.is_err() {
            return Err(ProxyOutcome::Closed);
        }
        total += taken.len();
        match parsed {
            Parsed::NotHttp => return Err(not_http(credentials, bytes)),
            Parsed::Head(head) if head.is_final() => return Ok((bytes, head)),
            _ if total >= limits::HTTP_HEAD_BYTES => {
                let cut = http::cut_head(&bytes).filter(Head::is_final);
                let head = cut.filter(|head| !matches!(head.status, 200..=299));
                return match head {
                    Some(head) => Ok((bytes, Head { body: BodyEnd::Length(0), ..head })),
                    None => Err(not_http(credentials, bytes)),
                };
            }
            // Interim answers announce the real one.
            Parsed::Head(_) => bytes.clear(),
            Parsed::Incomplete => {}
        }
    }
}

fn not_http(credentials: Option<&Credentials>, bytes: Vec<u8>) -> ProxyOutcome {
    ProxyOutcome::NotHttp(stream::opening(&scrub(credentials, bytes)))
}

fn broken(stream: &TcpStream, error: &std::io::Error) -> ProxyOutcome {
    let Ok(peer) = stream.peer_addr() else { return ProxyOutcome::Closed };
    match tcp::classify(error, peer.ip()) {
        ConnectFailure::Network(error) => ProxyOutcome::Network(error),
        ConnectFailure::Timeout | ConnectFailure::Local(_) => ProxyOutcome::Closed,
    }
}

/// Whether a proxy that took a request and keeps silent answers one that it need not pass on
/// (RFC 9110 section 7.6.2): then it waits for somebody behind it.
async fn lives(address: SocketAddr, place: &str, limit: Duration) -> bool {
    let Ok((mut stream, _)) = tcp::connect(address, limit).await.1 else { return false };
    let request = format!(
        "OPTIONS * HTTP/1.1\r\nHost: {place}\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = http::exchange_text(&mut stream, &request, limit).await;
    matches!(answer.outcome, HttpOutcome::Answer { .. })
}

// ------------------------------------------------------------------------------- plain requests

/// Asks the proxy for the page itself (RFC 9112 section 3.2.2).
async fn plain(
    stream: &mut TcpStream,
    target: &Target,
    port: u16,
    credentials: Option<&Credentials>,
    limit: Duration,
) -> (ProxyOutcome, Option<HttpObservation>) {
    let mut place = authority(&target.host, port);
    if port == HTTP_PORT {
        let bare = place.strip_suffix(":80").map(str::to_owned);
        place = bare.unwrap_or(place);
    }
    let request = format!(
        "GET http://{place}{} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: vnetprobe/{}\r\nAccept: */*\r\n{}Connection: close\r\n\r\n",
        http::target(&target.path),
        env!("CARGO_PKG_VERSION"),
        authorization(credentials)
    );
    let HttpObservation { elapsed, outcome } = http::exchange_text(stream, &request, limit).await;
    let text = |said: String| match credentials {
        Some(credentials) => credentials.scrub_text(&said),
        None => said,
    };
    match outcome {
        HttpOutcome::Timeout => (ProxyOutcome::Timeout, None),
        HttpOutcome::Closed => (ProxyOutcome::Closed, None),
        HttpOutcome::NotHttp(bytes) => (ProxyOutcome::NotHttp(text(bytes)), None),
        HttpOutcome::Answer { status, headers, body } => {
            let headers: Vec<(String, String)> =
                headers.into_iter().map(|(name, value)| (name, text(value))).collect();
            let body = text(body);
            if is_its_own(status, &headers) {
                (ProxyOutcome::Answered { status, headers, body }, None)
            } else {
                let outcome = HttpOutcome::Answer { status, headers, body };
                (ProxyOutcome::Open, Some(HttpObservation { elapsed, outcome }))
            }
        }
    }
}

/// Whether an answer is the proxy's own word. A proxy that passes an answer on adds `Via`
/// (RFC 9110 section 7.6.3); squid marks its own pages, which have it as well.
fn is_its_own(status: u16, headers: &[(String, String)]) -> bool {
    let has = |name: &str| headers.iter().any(|(known, _)| known == name);
    status == 407
        || has("x-squid-error")
        || has("proxy-agent")
        || (GATEWAY_STATUSES.contains(&status) && !has("via"))
}

// -------------------------------------------------------------------------- behind the tunnel

/// A proxy may repeat our credentials where the target's answer should be, too.
fn scrubbed(then: AboveTcp, credentials: Option<&Credentials>) -> AboveTcp {
    let mut then = then;
    if let (AboveTcp::Tls(seen), Some(credentials)) = (&mut then, credentials)
        && let TlsOutcome::Failed(TlsFailure::NotTls(text)) = &mut seen.outcome
    {
        *text = credentials.scrub_text(text);
    }
    then
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_answer_it_is() {
        for (status, headers, own) in [
            (200, &[][..], false),
            (407, &["via"], true),
            (403, &["via"], false),
            (403, &[], true),
            (403, &["via", "x-squid-error"], true),
            (503, &["via"], false),
            (504, &[], true),
            (500, &[], false),
            (404, &["proxy-agent"], true),
        ] {
            let headers: Vec<(String, String)> =
                headers.iter().map(|name| ((*name).to_owned(), String::new())).collect();
            assert_eq!(is_its_own(status, &headers), own, "{status} {headers:?}");
        }
    }
}
