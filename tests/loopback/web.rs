//! HTTP exchanges and WebSocket upgrades.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use vnetprobe::limits;
use vnetprobe::observation::{HttpOutcome, WEBSOCKET_ACCEPT};
use vnetprobe::probe::http::{self, Request};

use crate::world::{
    BRIEF, PLENTY, answering, connect, hear, repeating, resetting, serve, stalling,
};

async fn get(address: SocketAddr, limit: Duration) -> HttpOutcome {
    let mut stream = connect(address).await;
    http::exchange(&mut stream, "files.contoso.test", "/", limit, Request::Get).await.outcome
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpOutcome {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let headers = headers.iter().map(owned).collect();
    HttpOutcome::Answer { status, headers, body: body.to_owned() }
}

#[tokio::test]
async fn an_answer_with_the_headers_that_tell_and_no_others() {
    let address = answering(
        "HTTP/1.1 403 Forbidden\r\nSet-Cookie: secret\r\nX-Ms-Request-Id: 42\r\nSERVER: Windows-Azure-Blob/1.0\r\nContent-Length: 9\r\n\r\nforbidden and more",
    )
    .await;
    let expected =
        [("server", "Windows-Azure-Blob/1.0"), ("content-length", "9"), ("x-ms-request-id", "42")];
    assert_eq!(get(address, PLENTY).await, answer(403, &expected, "forbidden"));
}

#[tokio::test]
async fn the_firewalls_deny() {
    let body = "Action: Deny. Reason: No rule matched. Proceeding with default action.";
    let address = answering(format!("HTTP/1.1 470 status code 470\r\n\r\n{body}\r\n")).await;
    assert_eq!(get(address, PLENTY).await, answer(470, &[], body));
}

#[tokio::test]
async fn bodies_end_where_they_say_or_when_they_stop() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n there\r\n0\r\n\r\n";
    for said in [
        "HTTP/1.1 200 OK\r\n\r\nhello there",
        "HTTP/1.0 200 OK\n\nhello\n\tthere",
        "\r\nHTTP/1.1 200\r\nContent-Length:11\r\n\r\nhello there",
        chunked,
    ] {
        let HttpOutcome::Answer { status: 200, body, .. } =
            get(answering(said).await, PLENTY).await
        else {
            panic!("{said}")
        };
        assert_eq!(body, "hello there", "{said}");
        // The peer keeps the connection open: the answer stands all the same.
        let HttpOutcome::Answer { body, .. } = get(stalling(said).await, PLENTY).await else {
            panic!("{said}")
        };
        assert_eq!(body, "hello there", "{said}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let address = answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    )
    .await;
    assert_eq!(get(address, PLENTY).await, answer(204, &[], ""));
}

#[tokio::test]
async fn what_strangers_say_is_made_printable() {
    let address = answering(
        &b"HTTP/1.1 200 OK\r\nServer: a\xff<script>\r\n\r\n\x1b[31mred\r\n<script>\xe2\x80\xae"[..],
    )
    .await;
    let expected = [("server", "a\u{fffd}<script>")];
    let body = "\u{fffd}[31mred <script>\u{fffd}";
    assert_eq!(get(address, PLENTY).await, answer(200, &expected, body));
}

#[tokio::test]
async fn careless_headers_do_not_hide_the_status() {
    let address = answering(
        "HTTP/1.1 403 Forbidden\r\nServer : squid\r\nbad header here\r\nVia: 1.1\r\n proxy\r\n\r\n",
    )
    .await;
    let HttpOutcome::Answer { status: 403, headers, .. } = get(address, PLENTY).await else {
        panic!("no answer")
    };
    assert_eq!(headers[0], ("server".to_owned(), "squid".to_owned()));
}

#[tokio::test]
async fn endless_heads_and_bodies_end() {
    let endless_header =
        repeating("HTTP/1.1 418 Teapot\r\nServer: x\r\nCookie: ", vec![b'a'; 4096]).await;
    assert_eq!(get(endless_header, PLENTY).await, answer(418, &[("server", "x")], ""));
    let endless_headers =
        repeating("HTTP/1.1 418 Teapot\r\nServer: x\r\n", "Cookie: a\r\n".repeat(50)).await;
    assert_eq!(get(endless_headers, PLENTY).await, answer(418, &[("server", "x")], ""));
    let endless_line = repeating("HTTP/1.1 200 ", vec![b'a'; 4096]).await;
    assert!(matches!(get(endless_line, PLENTY).await, HttpOutcome::NotHttp(_)));
    let endless_interim = repeating("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(matches!(get(endless_interim, PLENTY).await, HttpOutcome::NotHttp(_)));

    let endless_body = repeating("HTTP/1.1 200 OK\r\n\r\n", vec![b'a'; 4096]).await;
    let HttpOutcome::Answer { status: 200, body, .. } = get(endless_body, PLENTY).await else {
        panic!("no answer")
    };
    assert!(!body.is_empty() && body.chars().count() <= limits::HTTP_BODY_CHARS);
    let endless_words = repeating("HTTP/1.1 200 OK\r\n\r\n", "word ".repeat(1000)).await;
    let HttpOutcome::Answer { body, .. } = get(endless_words, PLENTY).await else {
        panic!("no answer")
    };
    assert_eq!(body.chars().count(), limits::HTTP_BODY_CHARS);
}

/// Time stands still here but for timers, so it can be told exactly.
#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_not_waited_for() {
    let (mut near, mut far) = tokio::io::duplex(4096);
    far.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await.unwrap();
    let seen = http::exchange(&mut near, "files.contoso.test", "/", PLENTY, Request::Get).await;
    assert_eq!(seen.outcome, answer(200, &[], "half"));
    assert_eq!(seen.elapsed.0, limits::HTTP_QUIET);

    let (mut near, _far) = tokio::io::duplex(4096);
    let seen = http::exchange(&mut near, "files.contoso.test", "/", BRIEF, Request::Get).await;
    assert_eq!((seen.outcome, seen.elapsed.0), (HttpOutcome::Timeout, BRIEF));
    // A peer that takes nothing, either.
    let (mut near, _far) = tokio::io::duplex(8);
    let seen = http::exchange(&mut near, "files.contoso.test", "/", BRIEF, Request::Get).await;
    assert_eq!((seen.outcome, seen.elapsed.0), (HttpOutcome::Timeout, BRIEF));
}

#[tokio::test]
async fn other_protocols() {
    let banner = answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(get(banner, PLENTY).await, HttpOutcome::NotHttp(r"SSH-2.0-OpenSSH_9.2\r\n".into()));
    let alert = stalling(*b"\x15\x03\x03\x00\x02\x02\x28").await;
    let shown = r"\x15\x03\x03\x00\x02\x02(";
    assert_eq!(get(alert, PLENTY).await, HttpOutcome::NotHttp(shown.into()));
    let newer = answering("HTTP/2.0 200 OK\r\n\r\n").await;
    assert!(matches!(get(newer, PLENTY).await, HttpOutcome::NotHttp(_)));
}

#[tokio::test]
async fn closed_reset_and_mute() {
    assert_eq!(get(answering("").await, PLENTY).await, HttpOutcome::Closed);
    assert_eq!(get(resetting().await, PLENTY).await, HttpOutcome::Closed);
    assert_eq!(
        get(answering("HTTP/1.1 200 OK\r\nServer").await, PLENTY).await,
        HttpOutcome::Closed
    );
    assert_eq!(get(stalling("").await, BRIEF).await, HttpOutcome::Timeout);
    assert_eq!(get(stalling("HTTP/1.1 200 OK\r\nServer").await, BRIEF).await, HttpOutcome::Timeout);
}

/// What the server was sent, and what came of its answer.
async fn exchange(path: &str, request: Request, reply: &'static str) -> (String, HttpOutcome) {
    let (tell, mut told) = mpsc::channel(1);
    let address = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            let heard = hear(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
            tell.send(String::from_utf8(heard).unwrap()).await.unwrap();
        }
    })
    .await;
    let mut stream = connect(address).await;
    let seen = http::exchange(&mut stream, "ci.contoso.test:8443", path, PLENTY, request).await;
    (told.recv().await.unwrap(), seen.outcome)
}

#[tokio::test]
async fn a_request_carries_its_host_and_nothing_secret() {
    let (sent, _) = exchange("/v1?a=b", Request::Get, "HTTP/1.1 200 OK\r\n\r\n").await;
    let agent = concat!("vnetprobe/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        sent,
        format!(
            "GET /v1?a=b HTTP/1.1\r\nHost: ci.contoso.test:8443\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn a_path_cannot_smuggle_a_header() {
    let (sent, _) = exchange("a b\r\nX: y\u{fc}", Request::Get, "HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(sent.starts_with("GET /a%20b%0D%0AX:%20y%C3%BC HTTP/1.1\r\nHost: "), "{sent}");
}

#[tokio::test]
async fn a_websocket_is_upgraded() {
    let reply = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02";
    let (sent, outcome) = exchange("/ws", Request::WebsocketUpgrade, reply).await;
    for line in [
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        assert!(sent.contains(line), "{sent}");
    }
    let expected = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", WEBSOCKET_ACCEPT),
    ];
    assert_eq!(outcome, answer(101, &expected, ""));
}
