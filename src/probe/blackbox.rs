//! Probes as blackbox_exporter makes them: one address, no follow-ups, redirects followed, and
//! nothing said about why. Names, roots and handshakes are those of every other probe here.

#![expect(clippy::disallowed_methods, reason = "sends DNS questions and reads the clock")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::dns_message::{Family, Question, Reply};
use super::http::{self, BodyEnd, Head, Parsed};
use super::tls::Alpn;
use super::{Live, dns, tcp};
use crate::adhoc::Allowed;
use crate::blackbox::{Hop, HttpAnswer, Job, Lookup, Prober, Sight, TlsSight};
use crate::limits;
use crate::model::Host;
use crate::observation::{TlsObservation, TlsOutcome, Trust};
use crate::resolution::effective;

impl Live {
    /// Makes one probe within `limit`; a redirect is followed only where `allowed` says so.
    pub async fn blackbox(&self, job: &Job, limit: Duration, allowed: &Allowed) -> Sight {
        let start = Instant::now();
        let until = start + limit;
        let mut sight = Sight::new(job.prober);
        sight.note(format!("Beginning probe module={} target={}", job.module, job.target));
        let made = timeout_at(until, self.make(job, until, allowed, &mut sight)).await;
        match made {
            Ok(Ok(())) => {
                sight.success = true;
                sight.note("Probe succeeded");
            }
            Ok(Err(why)) => sight.note(format!("Probe failed: {why}")),
            Err(_) => {
                sight.note(format!("Probe failed: not done within {} s", limit.as_secs_f64()));
            }
        }
        sight.elapsed = start.elapsed();
        sight
    }

    async fn make(
        &self,
        job: &Job,
        until: Instant,
        allowed: &Allowed,
        sight: &mut Sight,
    ) -> Result<(), String> {
        let started = Instant::now();
        let ip = self.address(&job.hop.host, until).await;
        sight.lookup = Some(Lookup { elapsed: started.elapsed(), ip });
        let ip = ip.ok_or_else(|| format!("no address of {} was found", job.hop.host))?;
        sight.note(format!("Resolved target address host={} ip={ip}", job.hop.host));
        match job.prober {
            Prober::Http => self.walk(job.hop.clone(), ip, until, allowed, sight).await,
            Prober::Tcp { tls } => self.connect(&job.hop, ip, tls, until, sight).await,
            Prober::Dns { tcp } => {
                ask(job, SocketAddr::new(ip, job.hop.port), tcp, until, sight).await
            }
        }
    }

    /// The address of a host: IPv6 where there is one, as blackbox_exporter prefers it.
    async fn address(&self, host: &Host, until: Instant) -> Option<IpAddr> {
        let name = match host {
            Host::Ip(ip) => return Some(*ip),
            Host::Name(name) => name,
        };
        let known = self.hosts_file.get(name).map_or(&[][..], Vec::as_slice);
        let time = left(until).min(self.timeouts.dns);
        // The hosts file decides alone, and nobody looks at what else there is.
        let addresses = if known.is_empty() {
            effective(&dns::resolve(name, &self.servers, &[], None, time).await).addresses()
        } else {
            known.to_vec()
        };
        addresses.iter().find(|ip| ip.is_ipv6()).or_else(|| addresses.first()).copied()
    }

    async fn connect(
        &self,
        hop: &Hop,
        ip: IpAddr,
        tls: bool,
        until: Instant,
        sight: &mut Sight,
    ) -> Result<(), String> {
        let stream = open(ip, hop.port, until).await?;
        sight.note(format!("Connected ip={ip} port={}", hop.port));
        if tls {
            let (seen, session) =
                self.tls.handshake(stream, &hop.host, Alpn::None, left(until)).await;
            sight.tls = Some(accepted(seen, session.is_some())?);
        }
        Ok(())
    }

    /// Follows redirects from hop to hop until there is an answer.
    async fn walk(
        &self,
        mut hop: Hop,
        mut ip: IpAddr,
        until: Instant,
        allowed: &Allowed,
        sight: &mut Sight,
    ) -> Result<(), String> {
        loop {
            sight.note(format!("Making HTTP request url={} ip={ip}", hop.url()));
            let Some(location) = self.fetch(&hop, ip, until, sight).await? else {
                let status = sight.http.answer.as_ref().map_or(0, |answer| answer.status);
                sight.note(format!("Received HTTP response status_code={status}"));
                return match status {
                    200..=299 => Ok(()),
                    _ => Err(format!("invalid HTTP status code {status}, wanted 2xx")),
                };
            };
            let answered = Instant::now();
            sight.http.redirects += 1;
            sight.note(format!("Received redirect location={location}"));
            if sight.http.redirects > limits::BLACKBOX_REDIRECTS {
                sight.http.transfer += answered.elapsed();
                return Err(format!("more than {} redirects", limits::BLACKBOX_REDIRECTS));
            }
            let next = hop.redirected(&location).inspect_err(|_| sight.http.answer = None)?;
            if !allowed.connects(&next.host, next.port) {
                sight.http.transfer += answered.elapsed();
                return Err(format!("redirect not followed: {}", allowed.refusal(&next.url())));
            }
            let started = Instant::now();
            let found = self.address(&next.host, until).await;
            sight.http.resolve += started.elapsed();
            // From here on it is the next answer that counts.
            sight.http.answer = None;
            sight.tls = None;
            ip = found.ok_or_else(|| format!("no address of {} was found", next.host))?;
            hop = next;
        }
    }

    /// One request; gives where it redirects to.
    async fn fetch(
        &self,
        hop: &Hop,
        ip: IpAddr,
        until: Instant,
        sight: &mut Sight,
    ) -> Result<Option<String>, String> {
        let started = Instant::now();
        let mut stream = open(ip, hop.port, until).await?;
        let connected = started.elapsed();
        if !hop.tls {
            sight.http.connect += connected;
            return exchange(&mut stream, hop, sight).await;
        }
        let started = Instant::now();
        let (seen, session) = self.tls.handshake(stream, &hop.host, Alpn::Http1, left(until)).await;
        let shaken = accepted(seen, session.is_some())?;
        let Some(mut session) = session else { return Err("no TLS session".to_owned()) };
        sight.http.connect += connected;
        sight.http.tls += started.elapsed();
        let location = exchange(&mut session, hop, sight).await?;
        sight.tls = Some(shaken);
        Ok(location)
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

async fn open(ip: IpAddr, port: u16, until: Instant) -> Result<TcpStream, String> {
    let (_, connected) = tcp::connect(SocketAddr::new(ip, port), left(until)).await;
    let (stream, _) =
        connected.map_err(|why| format!("no connection to {ip} port {port}: {why:?}"))?;
    Ok(stream)
}

/// The session's facts, or why it is none: only a verified chain counts.
fn accepted(seen: TlsObservation, verified: bool) -> Result<TlsSight, String> {
    match (seen.outcome, verified) {
        (TlsOutcome::Established { version, .. }, true) => {
            Ok(TlsSight { version, chain: seen.chain })
        }
        (TlsOutcome::Established { .. }, false) => {
            let said = seen.trust.as_ref().map(Trust::effective);
            Err(format!("the certificate was not accepted: {said:?}"))
        }
        (TlsOutcome::Failed(failure), _) => Err(format!("TLS handshake failed: {failure:?}")),
    }
}

/// Sends the request and reads the answer; gives where it redirects to. A redirect's body is left.
async fn exchange<S>(stream: &mut S, hop: &Hop, sight: &mut Sight) -> Result<Option<String>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let version = env!("CARGO_PKG_VERSION");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: vnetprobe/{version}\r\nConnection: close\r\n\r\n",
        http::target(&hop.path),
        hop.authority()
    );
    let sent = Instant::now();
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut received = Vec::new();
    let mut first = None;
    let head = loop {
        match http::parse_head(&received) {
            Parsed::NotHttp => return Err("the answer is not HTTP".to_owned()),
            Parsed::Head(head) if head.is_final() => break head,
            Parsed::Head(head) => {
                received.drain(..head.length.min(received.len()));
                continue;
            }
            Parsed::Incomplete if received.len() >= limits::HTTP_HEAD_BYTES => {
                return Err("the head of the answer is too large".to_owned());
            }
            Parsed::Incomplete => {}
        }
        if more(stream, &mut received).await? == 0 {
            return Err("closed before there was an answer".to_owned());
        }
        if first.is_none() {
            first = Some(Instant::now());
            sight.http.processing += sent.elapsed();
        }
    };
    let top = received.get(..head.length).unwrap_or_default().to_vec();
    received.drain(..head.length.min(received.len()));
    let mut answer = answer(&top, &head, hop.tls);
    let location = header(&top, "location").filter(|location| !location.is_empty());
    if let Some(location) = location.filter(|_| matches!(head.status, 301 | 302 | 303 | 307 | 308))
    {
        sight.http.answer = Some(answer);
        return Ok(Some(location));
    }
    let read = body(stream, received, head.body).await;
    sight.http.transfer += first.map(|first| first.elapsed()).unwrap_or_default();
    let whole = read.as_ref().is_ok_and(|(_, whole)| *whole);
    answer.body = read.map_or(0, |(length, _)| length);
    sight.http.answer = Some(answer);
    if whole { Ok(None) } else { Err("the body ended early".to_owned()) }
}

async fn more<S: AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut Vec<u8>,
) -> Result<usize, String> {
    let mut piece = [0; 8192];
    let length = stream.read(&mut piece).await.map_err(|error| error.to_string())?;
    received.extend(piece.iter().take(length));
    Ok(length)
}

/// Reads a body as far as it is looked at; its length, and whether it is whole or was cut by us.
async fn body<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut received: Vec<u8>,
    end: BodyEnd,
) -> Result<(u64, bool), String> {
    loop {
        let (length, whole) = match end {
            BodyEnd::Length(length) => (received.len().min(length), received.len() >= length),
            BodyEnd::Chunks => {
                let (body, whole) = http::unchunk(&received);
                (body.len(), whole)
            }
            BodyEnd::Close => (received.len(), false),
        };
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if whole || received.len() >= limits::BLACKBOX_BODY_BYTES {
            return Ok((length, true));
        }
        if more(stream, &mut received).await? == 0 {
            return Ok((length, end == BodyEnd::Close));
        }
    }
}

fn answer(top: &[u8], head: &Head, tls: bool) -> HttpAnswer {
    let one_zero = top.starts_with(b"HTTP/1.0");
    HttpAnswer {
        status: head.status,
        version: if one_zero { 1.0 } else { 1.1 },
        length: match head.body {
            BodyEnd::Length(length) => i64::try_from(length).unwrap_or(i64::MAX),
            BodyEnd::Chunks | BodyEnd::Close => -1,
        },
        body: 0,
        last_modified: header(top, "last-modified").and_then(|text| date(&text)),
        tls,
    }
}

/// A header as it was sent; what is kept of an answer elsewhere is cut for people.
fn header(top: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(top);
    text.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    parsed.ok()
}

/// Asks the target, which is a DNS server.
async fn ask(
    job: &Job,
    server: SocketAddr,
    tcp: bool,
    until: Instant,
    sight: &mut Sight,
) -> Result<(), String> {
    let asked = job.question.as_ref().ok_or("no name to ask for")?;
    let family = if asked.ipv6 { Family::V6 } else { Family::V4 };
    let question = Question::new(&asked.name, family, false)?;
    sight.note(format!("Making DNS query name={} server={server}", asked.name));
    let answer = if tcp {
        ask_tcp(&question, server, until, sight).await
    } else {
        ask_udp(&question, server, until, sight).await
    };
    let (reply, bytes) = answer.map_err(|error| format!("no answer from {server}: {error}"))?;
    if let Reply::Malformed(why) = reply {
        return Err(format!("the answer cannot be read: {why}"));
    }
    let at = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let count = |place: usize| u16::from_be_bytes([at(place), at(place + 1)]);
    sight.dns.counts = Some([count(6), count(8), count(10)]);
    let rcode = at(3) & 0x0f;
    sight.note(format!("Got response rcode={rcode} answers={}", count(6)));
    if rcode == 0 { Ok(()) } else { Err(format!("rcode {rcode} is not NOERROR")) }
}

async fn ask_udp(
    question: &Question,
    server: SocketAddr,
    until: Instant,
    sight: &mut Sight,
) -> std::io::Result<(Reply, Vec<u8>)> {
    let started = Instant::now();
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    sight.dns.connect = started.elapsed();
    let sent = Instant::now();
    socket.send(&question.bytes).await?;
    let mut buffer = vec![0_u8; usize::from(u16::MAX)];
    loop {
        let received = timeout_at(until, socket.recv(&mut buffer)).await;
        sight.dns.request = sent.elapsed();
        let bytes = buffer.get(..received??).unwrap_or_default();
        match question.read(bytes) {
            Reply::Stranger => {}
            reply => return Ok((reply, bytes.to_vec())),
        }
    }
}

async fn ask_tcp(
    question: &Question,
    server: SocketAddr,
    until: Instant,
    sight: &mut Sight,
) -> std::io::Result<(Reply, Vec<u8>)> {
    let started = Instant::now();
    let connected = timeout_at(until, TcpStream::connect(server)).await;
    sight.dns.connect = started.elapsed();
    let mut stream = connected??;
    let sent = Instant::now();
    let bytes = timeout_at(until, dns::ask_stream(&mut stream, question)).await;
    sight.dns.request = sent.elapsed();
    let bytes = bytes??;
    Ok((question.read(&bytes), bytes))
}
