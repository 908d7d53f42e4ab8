//! Servers on loopback, each on a port of its own, and a client for the daemon.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its world is not as it says, and it makes that world"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(20);

/// Something to connect to; the system completes the handshake until this is dropped.
pub(crate) fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The same on an address and port that must be free.
pub(crate) fn listener_at(address: impl Into<SocketAddr>) -> TcpListener {
    TcpListener::bind(address.into()).unwrap()
}

/// A port that refuses connections for as long as nobody else binds it: the test is alone.
pub(crate) fn refusing_port() -> u16 {
    listener().1
}

/// A DNS server that is asked and never answers.
pub(crate) fn mute_dns_server() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(REQUEST)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Answers every request with 200 until the test ends.
pub(crate) fn web_server() -> u16 {
    let (listener, port) = listener();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut piece = [0; 1024];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut piece) {
                        Ok(count @ 1..) => head.extend(piece.iter().take(count)),
                        _ => return,
                    }
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                let _ = stream.write_all(answer);
            });
        }
    });
    port
}

/// Answers every question for an address with this one until the test ends; there is no IPv6.
pub(crate) fn dns_server(address: Ipv4Addr) -> SocketAddr {
    dns_server_that(move || address)
}

/// The same with an address that may change from question to question.
pub(crate) fn dns_server_that(says: impl Fn() -> Ipv4Addr + Send + 'static) -> SocketAddr {
    let (socket, at) = mute_dns_server();
    thread::spawn(move || {
        let mut question = [0; 1024];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
            let Some(answer) = dns_answer(question.get(..length).unwrap(), says()) else {
                continue;
            };
            let _ = socket.send_to(&answer, from);
        }
    });
    at
}

/// RFC 1035 section 4.1: the question's id and name come back, without its EDNS record.
pub(crate) fn dns_answer(question: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)? + 1;
    let (kind, end) = (HEADER + name, HEADER + name + 4);
    let asks_for_v4 = question.get(kind..kind + 2)? == [0, 1];
    let mut answer = question.get(..2)?.to_vec();
    // A response with recursion available; one question, and one answer or none.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(asks_for_v4), 0, 0, 0, 0]);
    answer.extend(question.get(HEADER..end)?);
    if asks_for_v4 {
        // The name by reference, type A, class IN, 60 seconds, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks a server for a path; nothing when nobody answers there.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    get_with(address, path, "")
}

/// The same with more lines in the request's head, each with its end.
pub(crate) fn get_with(address: SocketAddr, path: &str, lines: &str) -> Option<Answer> {
    send(address, &format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{lines}\r\n"))
}

/// Sends a body of this type.
pub(crate) fn post(address: SocketAddr, path: &str, kind: &str, body: &str) -> Option<Answer> {
    let length = body.len();
    send(
        address,
        &format!(
            "POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The same with any method and body.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Answer> {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n");
    send(address, &format!("{head}\r\n{body}"))
}

/// Sends a request as it is written; nothing when nobody answers there.
pub(crate) fn send(address: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, REQUEST).ok()?;
    stream.set_read_timeout(Some(REQUEST)).unwrap();
    // Version 1.0, so that the end of the answer is the end of the connection.
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// A client that has begun a request and does not end it, so that a server has to wait for it.
pub(crate) fn half_a_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, REQUEST).unwrap();
    stream.write_all(b"GET / HT").unwrap();
    stream
}
