use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;

/// Longer than anything here takes; no test passes because this time has passed.
const PLENTY: Duration = Duration::from_secs(30);
/// As short as what is to be waited for can be.
const SHORT: Duration = Duration::from_millis(50);

/// A pace that ends nothing.
fn patient() -> Pace {
    Pace {
        handshake: PLENTY,
        head: PLENTY,
        idle: PLENTY,
        progress: PLENTY,
        progress_bytes: 8 * 1024,
        drain: PLENTY,
    }
}

/// A server with this pace. It stops when the sender is dropped.
#[expect(clippy::disallowed_methods, reason = "the test listens on loopback itself")]
async fn server(router: Router, pace: Pace) -> (SocketAddr, oneshot::Sender<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = Serving::new(router, None, Arc::new(|_: &str| {})).paced(pace);
    tokio::spawn(serve(vec![Listener::tcp(socket).unwrap()], serving, async {
        let _ = stopped.await;
    }));
    (address, stop)
}

#[expect(clippy::disallowed_methods, reason = "the test connects on loopback itself")]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// The answer to one whole request on a connection that stays open.
async fn ask(client: &mut TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until the server has closed a connection.
async fn closed(client: &mut TcpStream) {
    let mut rest = [0; 1024];
    let closing = async { while !matches!(client.read(&mut rest).await, Ok(0) | Err(_)) {} };
    timeout(PLENTY, closing).await.expect("the server closes the connection");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let (address, _stop) = server(hello(), Pace { head: SHORT, ..patient() }).await;
    let slow = connect(address).await;
    let (mut hears, mut says) = slow.into_split();
    let trickle = tokio::spawn(async move {
        let _ = says.write_all(b"GET / HTTP/1.1\r\n").await;
        // Always one more field, and never the end.
        while says.write_all(b"x: y\r\n").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(ask(&mut connect(address).await).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    // Closed with a reset or without, but closed.
    let _ = timeout(PLENTY, hears.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(rest.is_empty(), "{rest:?}");
    trickle.abort();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test listens and writes a certificate itself")]
async fn a_handshake_that_does_not_begin_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert_file, issued.cert.pem()).unwrap();
    std::fs::write(&key_file, issued.signing_key.serialize_pem()).unwrap();
    let settings = crate::settings::web::Tls {
        cert_file,
        key_file,
        min_version: crate::settings::web::MinVersion::Tls12,
        client_auth: crate::settings::web::ClientAuth::None,
    };
    let certificates = Certificates::load(&settings).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = Serving::new(hello(), Some(certificates), Arc::new(|_: &str| {}))
        .paced(Pace { handshake: SHORT, ..patient() });
    let listeners = vec![Listener::tcp(socket).unwrap()];
    let server = tokio::spawn(serve(listeners, serving, std::future::pending()));
    closed(&mut connect(address).await).await;
    // One that begins and does not go on.
    let mut begun = connect(address).await;
    begun.write_all(&[0x16, 3, 1]).await.unwrap();
    closed(&mut begun).await;
    server.abort();
}

#[tokio::test]
async fn a_connection_without_a_request_is_not_waited_for() {
    let (address, _stop) = server(hello(), Pace { head: SHORT, ..patient() }).await;
    closed(&mut connect(address).await).await;
}

#[tokio::test]
async fn an_answered_connection_waits_longer_than_a_head_may_take() {
    let (address, _stop) = server(hello(), Pace { head: SHORT, ..patient() }).await;
    let mut client = connect(address).await;
    ask(&mut client).await;
    // Others come and are closed meanwhile, so the time for a head has passed for this one too.
    for _ in 0..3 {
        closed(&mut connect(address).await).await;
    }
    ask(&mut client).await;
    // The next head is again one that must not take too long.
    client.write_all(b"GET / HT").await.unwrap();
    closed(&mut client).await;
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let (address, _stop) = server(hello(), Pace { idle: SHORT, ..patient() }).await;
    let mut client = connect(address).await;
    ask(&mut client).await;
    closed(&mut client).await;
}

/// Tells when it is dropped.
struct Watched(Option<oneshot::Sender<()>>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.take().map(|sender| sender.send(()));
    }
}

#[tokio::test]
async fn a_reader_of_single_bytes_is_not_waited_for() {
    let (gone, is_gone) = oneshot::channel();
    let watched = Arc::new(std::sync::Mutex::new(Some(Watched(Some(gone)))));
    // An answer without end: no buffer takes all of it.
    let flood = move || {
        let watched = watched.lock().unwrap().take();
        let pieces = stream::repeat_with(move || {
            let _kept = &watched;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
        });
        async { Body::from_stream(pieces) }
    };
    let router = Router::new().route("/flood", get(flood)).merge(hello());
    let pace = Pace { progress: SHORT, ..patient() };
    let (address, _stop) = server(router, pace).await;
    let mut slow = connect(address).await;
    slow.write_all(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let reading = tokio::spawn(async move {
        let mut byte = [0];
        while slow.read_exact(&mut byte).await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(5)).await;
        }
    });
    timeout(PLENTY, is_gone).await.expect("the answer is given up").unwrap();
    assert!(read.load(Ordering::Relaxed) > 0, "it was a slow client, not a dead one");
    reading.abort();
    ask(&mut connect(address).await).await;
}

#[tokio::test]
async fn a_quiet_stream_of_events_is_waited_for() {
    let events = || async {
        Body::from_stream(stream::unfold(0, |number| async move {
            // Longer between two events than a stalled answer may take.
            sleep(SHORT * 2).await;
            (number < 3).then(|| (Ok::<_, Infallible>(Bytes::from("event\n")), number + 1))
        }))
    };
    let router = Router::new().route("/events", get(events));
    let pace = Pace { head: SHORT, idle: SHORT, progress: SHORT, ..patient() };
    let (address, _stop) = server(router, pace).await;
    let mut client = connect(address).await;
    client.write_all(b"GET /events HTTP/1.0\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PLENTY, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer.matches("event\n").count(), 3, "{answer}");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_lets_answers_end() {
    let (begun, mut beginning) = mpsc::channel(1);
    let (release, released) = watch::channel(false);
    let slow = move || {
        let (begun, mut released) = (begun.clone(), released.clone());
        async move {
            begun.send(()).await.unwrap();
            released.wait_for(|go| *go).await.unwrap();
            "done"
        }
    };
    let (address, stop) = server(hello().route("/slow", get(slow)), patient()).await;
    let mut idle = connect(address).await;
    ask(&mut idle).await;
    let mut busy = connect(address).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    beginning.recv().await.unwrap();
    drop(stop);
    closed(&mut idle).await;
    release.send_replace(true);
    let mut answer = String::new();
    timeout(PLENTY, busy.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("done") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn heads_have_a_limit() {
    let (address, _stop) = server(hello(), patient()).await;
    for (head, status) in [
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000)), "HTTP/1.1 4"),
        (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000)), "HTTP/1.1 431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)), "HTTP/1.1 431"),
    ] {
        let mut client = connect(address).await;
        // The server may close before all of it is sent.
        let _ = client.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(PLENTY, client.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        // A reset may overtake the answer; an answer, if there is one, is a refusal.
        assert!(answer.is_empty() || answer.starts_with(status), "{answer}");
        ask(&mut connect(address).await).await;
    }
}
