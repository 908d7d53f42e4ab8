//! HTTP/1.1: one request over a stream someone else opened, and the beginning of the answer.
//!
//! No redirect is followed, nothing is pooled, no credentials are sent: the answer is evidence of
//! who holds the other end, not a page.

#![expect(clippy::disallowed_methods, reason = "reads the clock")]

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::stream;
use crate::limits;
use crate::model::{Elapsed, printable};
use crate::observation::{HttpObservation, HttpOutcome};

/// The key of every upgrade request: the example of RFC 6455 section 1.3. It guards no secret; the
/// answer to it is [`crate::observation::WEBSOCKET_ACCEPT`].
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// Headers that tell who answered and why, in the order they are reported. Nothing else is kept:
/// cookies and tokens have no place in a report.
const TELLING: [&str; 26] = [
    "server",
    "via",
    "location",
    "content-type",
    "content-length",
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "www-authenticate",
    "proxy-authenticate",
    "proxy-agent",
    "proxy-connection",
    "retry-after",
    "x-ms-request-id",
    "x-ms-error-code",
    "x-ms-version",
    "x-ms-keyvault-network-info",
    "x-ms-keyvault-region",
    "x-azure-ref",
    "x-cache",
    "x-squid-error",
    "x-powered-by",
    "x-served-by",
    "x-content-type-options",
    "docker-distribution-api-version",
    "date",
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The path, once, with the connection closed after it.
    Get,
    /// The path as a WebSocket (RFC 6455 section 4.1).
    WebsocketUpgrade,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes it takes.
    pub length: usize,
    /// Its status code.
    pub status: u16,
    /// Headers that help to tell who answered, lower-case names, printable.
    pub headers: Vec<(String, String)>,
    /// How its body ends.
    pub body: BodyEnd,
}

impl Head {
    /// Interim answers (100 Continue, 103 Early Hints) announce the real one.
    pub(super) fn is_final(&self) -> bool {
        self.status >= 200 || self.status == 101
    }
}

/// How a body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// After so many bytes.
    Length(usize),
    /// After the chunk of length zero.
    Chunks,
    /// With the connection.
    Close,
}

/// What the bytes read so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// They could still become an answer.
    Incomplete,
    /// A whole head.
    Head(Head),
    /// Anything but HTTP.
    NotHttp,
}

/// Sends one request and reads the beginning of its answer.
///
/// `host_header` is the authority, with the port only where it is not the scheme's own; `limit`
/// bounds all of it together.
pub async fn exchange<S>(
    stream: &mut S,
    host_header: &str,
    path: &str,
    limit: Duration,
    request: Request,
) -> HttpObservation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    exchange_text(stream, &request_text(host_header, path, request), limit).await
}

/// Sends a whole request as it is written and reads the beginning of its answer.
pub(super) async fn exchange_text<S>(stream: &mut S, text: &str, limit: Duration) -> HttpObservation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = Instant::now();
    let deadline = start + limit;
    let mut received = Vec::new();
    // A peer that answers and closes at once can make the write fail: what it said still counts.
    let sent = timeout_at(deadline, send(stream, text.as_bytes())).await;
    let head = match sent {
        Err(_) => Err(HttpOutcome::Timeout),
        Ok(_) => read_head(stream, &mut received, deadline).await,
    };
    let outcome = match head {
        Err(outcome) => outcome,
        Ok(Head { status, headers, body: end, .. }) => {
            let body = read_body(stream, received, end, deadline).await;
            HttpOutcome::Answer { status, headers, body: readable(&body) }
        }
    };
    HttpObservation { elapsed: Elapsed(start.elapsed()), outcome }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn request_text(host_header: &str, path: &str, request: Request) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "GET {} HTTP/1.1\r\nHost: {host_header}\r\nUser-Agent: vnetprobe/{version}\r\nAccept: */*\r\n",
        target(path)
    );
    match request {
        Request::Get => text.push_str("Connection: close\r\n"),
        Request::WebsocketUpgrade => {
            text.push_str("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
            text.push_str(WEBSOCKET_KEY);
            text.push_str("\r\n");
        }
    }
    text.push_str("\r\n");
    text
}

/// The path as it may stand in a request line: whatever would end it there is escaped.
pub(super) fn target(path: &str) -> String {
    let mut target = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        target.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_graphic() {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
    target
}

/// Reads until the head of the final answer is whole; `received` then holds what came after it.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut Vec<u8>,
    deadline: Instant,
) -> Result<Head, HttpOutcome> {
    let mut total = 0;
    loop {
        match parse_head(received) {
            Parsed::NotHttp => return Err(HttpOutcome::NotHttp(stream::opening(received))),
            Parsed::Head(head) => {
                received.drain(..head.length.min(received.len()));
                if head.is_final() {
                    return Ok(head);
                }
            }
            Parsed::Incomplete if total >= limits::HTTP_HEAD_BYTES => {
                let cut = cut_head(received)
                    .filter(Head::is_final)
                    .ok_or_else(|| HttpOutcome::NotHttp(stream::opening(received)))?;
                received.clear();
                return Ok(cut);
            }
            Parsed::Incomplete => match timeout_at(deadline, read_some(stream, received)).await {
                Err(_) => return Err(HttpOutcome::Timeout),
                Ok(0) => return Err(HttpOutcome::Closed),
                Ok(length) => total += length,
            },
        }
    }
}

/// Reads what is there; zero at the end of the stream, however it ended.
async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, received: &mut Vec<u8>) -> usize {
    let mut chunk = [0; 2048];
    let length = stream.read(&mut chunk).await.unwrap_or(0);
    received.extend(chunk.iter().take(length));
    length
}

/// Reads the body from its beginning, no more than is kept, no longer than it flows.
pub(super) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut received: Vec<u8>,
    end: BodyEnd,
    deadline: Instant,
) -> Vec<u8> {
    let wanted = match end {
        BodyEnd::Length(length) => length.min(limits::HTTP_BODY_BYTES),
        BodyEnd::Chunks | BodyEnd::Close => limits::HTTP_BODY_BYTES,
    };
    while received.len() < wanted && !(end == BodyEnd::Chunks && unchunk(&received).1) {
        let quiet = deadline.min(Instant::now() + limits::HTTP_QUIET);
        match timeout_at(quiet, read_some(stream, &mut received)).await {
            Err(_) | Ok(0) => break,
            Ok(_) => {}
        }
    }
    received.truncate(wanted);
    if end == BodyEnd::Chunks { unchunk(&received).0 } else { received }
}

/// Takes a chunked body apart (RFC 9112 section 7.1) as far as it has come; true when it is whole
/// or not chunked after all.
pub(super) fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (at, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return (body, false),
            Err(_) => return (body, true),
        };
        if size == 0 {
            return (body, true);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let rest = bytes.get(at..).unwrap_or_default();
        body.extend(rest.iter().take(size));
        match rest.get(size..).and_then(|rest| rest.strip_prefix(b"\r\n")) {
            Some(rest) => bytes = rest,
            None => return (body, false),
        }
    }
}

/// Reads the head of an answer, as much of it as has come.
pub fn parse_head(bytes: &[u8]) -> Parsed {
    let begins = bytes.iter().skip_while(|byte| matches!(byte, b'\r' | b'\n'));
    if begins.zip(b"HTTP/1.").any(|(byte, expected)| byte != expected) {
        return Parsed::NotHttp;
    }
    let mut headers = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    // Devices that answer in a service's place are careless about headers; their status counts.
    let mut lenient = httparse::ParserConfig::default();
    lenient
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    match lenient.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Partial) => Parsed::Incomplete,
        Ok(httparse::Status::Complete(length)) => {
            let status = response.code.unwrap_or_default();
            Parsed::Head(Head {
                length,
                status,
                headers: telling(response.headers),
                body: body_end(status, response.headers),
            })
        }
        Err(httparse::Error::TooManyHeaders) => cut_head(bytes).map_or(Parsed::NotHttp, |head| {
            Parsed::Head(Head { length: bytes.len(), body: BodyEnd::Length(0), ..head })
        }),
        Err(_) => Parsed::NotHttp,
    }
}

/// The head of an answer that has too much of it: its status and first headers are still true.
/// Where its body would begin is not known, so there is none.
pub(super) fn cut_head(bytes: &[u8]) -> Option<Head> {
    let mut lines: Vec<u8> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .take(limits::HTTP_HEADERS)
        .flatten()
        .copied()
        .collect();
    lines.extend(b"\r\n");
    match parse_head(&lines) {
        Parsed::Head(head) => Some(Head { body: BodyEnd::Length(0), ..head }),
        Parsed::Incomplete | Parsed::NotHttp => None,
    }
}

fn telling(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let named = |name: &'static str| {
        let values = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        values.map(move |h| (name.to_owned(), printable(&String::from_utf8_lossy(h.value))))
    };
    TELLING.into_iter().flat_map(named).collect()
}

fn body_end(status: u16, headers: &[httparse::Header<'_>]) -> BodyEnd {
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    if matches!(status, 100..=199 | 204 | 304) {
        return BodyEnd::Length(0);
    }
    if value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        return BodyEnd::Chunks;
    }
    let length = value("content-length").and_then(|length| length.parse().ok());
    length.map_or(BodyEnd::Close, BodyEnd::Length)
}

/// A body as evidence: words with single spaces between them, printable, bounded.
pub(super) fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut words = String::new();
    for word in text.split_whitespace() {
        if words.len() >= limits::HTTP_BODY_CHARS {
            break;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&printable(word));
    }
    words.chars().take(limits::HTTP_BODY_CHARS).collect()
}
