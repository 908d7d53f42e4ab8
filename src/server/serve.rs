//! The loop that accepts connections and answers on each, within limits of number and time.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use axum::{Extension, Router};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service as _;

use crate::limits;

use super::events::Stopping;
use super::limit::{Connections, Place};
use super::listen::{Listener, Stream};
use super::pace::{Exchanges, Pace, Paced};
use super::peer::{Peer, PeerKey};
use super::tls::{self, Certificates};

/// How long the loop waits when the system has no socket left, as it will not have one at once.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What is said while the server runs, for people to read.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// What answers, and how.
#[derive(Clone)]
pub struct Serving {
    router: Router,
    tls: Option<Arc<Certificates>>,
    notice: Notice,
    pace: Pace,
}

impl Serving {
    /// This router, on TCP with TLS if there is a certificate.
    pub fn new(router: Router, tls: Option<Certificates>, notice: Notice) -> Self {
        Self { router, tls: tls.map(Arc::new), notice, pace: Pace::default() }
    }

    #[cfg(test)]
    fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }
}

/// From running to ended; each connection follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Runs,
    /// What is being answered ends; nothing new begins.
    Drains,
    Ends,
}

/// What every connection needs.
struct Shared {
    serving: Serving,
    connections: Arc<Connections>,
    phase: watch::Receiver<Phase>,
    /// Held by every connection: the other end tells when all are gone.
    alive: mpsc::Sender<Infallible>,
}

/// Answers on these listeners until `shutdown` resolves, then gives open requests
/// [`limits::DRAIN`] to end.
pub async fn serve(
    listeners: Vec<Listener>,
    mut serving: Serving,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (streaming, ending) = watch::channel(());
    serving.router = serving.router.layer(Extension(Stopping(ending)));
    let drain = serving.pace.drain;
    let (change, phase) = watch::channel(Phase::Runs);
    let (alive, mut all_gone) = mpsc::channel(1);
    let connections = Connections::new(limits::WEB_CONNECTIONS, limits::WEB_CONNECTIONS_PER_PEER);
    let shared = Arc::new(Shared { serving, connections, phase, alive });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&shared)));
    }
    drop(shared);
    shutdown.await;
    // Closes the listeners, and removes their files.
    accepting.shutdown().await;
    change.send_replace(Phase::Drains);
    drop(streaming);
    // Nothing is ever sent: the answer comes when the last connection is gone.
    let _ = tokio::time::timeout(drain, all_gone.recv()).await;
    change.send_replace(Phase::Ends);
    Ok(())
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok(stream) => begin(&shared, stream, listener.is_local()),
            // The client was gone already; the next one is there.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

fn begin(shared: &Arc<Shared>, stream: Stream, local: bool) {
    let address = match &stream {
        Stream::Tcp(_, address) => Some(*address),
        #[cfg(unix)]
        Stream::Unix(_) => None,
    };
    let Some(place) = shared.connections.admit(PeerKey::of(address)) else {
        refuse(&stream, shared.serving.tls.is_some());
        return;
    };
    let place = Arc::new(place);
    tokio::spawn(connection(Arc::clone(shared), stream, place, local));
}

/// Says that there is no room, as far as that can be said without waiting.
fn refuse(stream: &Stream, encrypted: bool) {
    const DETAIL: &str = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Too many connections are being answered."}"#;
    let answer = raw_problem("503 Service Unavailable", "retry-after: 1\r\n", DETAIL);
    // Whoever does not hear it finds the connection closed.
    let _ = match stream {
        Stream::Tcp(..) if encrypted => Ok(0),
        Stream::Tcp(stream, _) => stream.try_write(answer.as_bytes()),
        #[cfg(unix)]
        Stream::Unix(stream) => stream.try_write(answer.as_bytes()),
    };
}

fn raw_problem(status: &str, headers: &str, document: &str) -> String {
    let length = document.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{document}"
    )
}

async fn connection(shared: Arc<Shared>, stream: Stream, place: Arc<Place>, local: bool) {
    let mut phase = shared.phase.clone();
    let work = async {
        match stream {
            Stream::Tcp(stream, address) => over_tcp(&shared, stream, address, &place, local).await,
            #[cfg(unix)]
            Stream::Unix(stream) => {
                let peer = Peer { unix: true, local, ..Peer::default() };
                talk(&shared, stream, peer, &place).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = place.wanted() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Ends) => {}
    }
    let _alive = &shared.alive;
}

async fn over_tcp(
    shared: &Arc<Shared>,
    stream: TcpStream,
    address: IpAddr,
    place: &Arc<Place>,
    local: bool,
) {
    let mut peer = Peer { address: Some(address), local, ..Peer::default() };
    let Some(certificates) = &shared.serving.tls else {
        return talk(shared, stream, peer, place).await;
    };
    let handshake = handshake(shared, certificates, stream);
    let limit = shared.serving.pace.handshake;
    let Ok(Some(stream)) = tokio::time::timeout(limit, handshake).await else { return };
    peer.secure = true;
    let (_, session) = stream.get_ref();
    peer.certificate = session.peer_certificates().and_then(|chain| chain.first()).map(tls::owner);
    talk(shared, stream, peer, place).await;
}

async fn handshake(
    shared: &Arc<Shared>,
    certificates: &Arc<Certificates>,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first.iter().all(u8::is_ascii_alphabetic) {
        // No TLS begins with a letter, and HTTP always does.
        const DETAIL: &str = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"This listener speaks TLS: ask with https."}"#;
        // Whoever does not hear it finds the connection closed.
        let _ = stream.try_write(raw_problem("400 Bad Request", "", DETAIL).as_bytes());
        return None;
    }
    let config = certificates.current(&*shared.serving.notice).await;
    TlsAcceptor::from(config).accept(stream).await.ok()
}

async fn talk<S>(shared: &Arc<Shared>, stream: S, peer: Peer, place: &Arc<Place>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchanges = Arc::new(Exchanges::default());
    let speed = &shared.serving.pace;
    let stream = Paced::new(stream, speed.clone(), Arc::clone(&exchanges));
    let service = service_fn(|request: Request<Incoming>| {
        let answering = Answering::begin(place, &exchanges);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let answer = shared.serving.router.clone().call(request);
        async move {
            let response: Response<Body> = answer.await?;
            Ok::<_, Infallible>(response.map(|body| Answer { body, _answering: answering }))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(speed.idle)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut phase = shared.phase.clone();
    tokio::select! {
        // What goes wrong on a connection is the client's affair.
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase != Phase::Runs) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Marks a connection as answering for as long as this lives.
#[derive(Debug)]
struct Answering {
    place: Arc<Place>,
    exchanges: Arc<Exchanges>,
}

impl Answering {
    fn begin(place: &Arc<Place>, exchanges: &Arc<Exchanges>) -> Self {
        place.answers(true);
        exchanges.changed();
        Self { place: Arc::clone(place), exchanges: Arc::clone(exchanges) }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.exchanges.changed();
        self.place.answers(false);
    }
}

/// An answer's body that knows when it has been produced to its end.
#[derive(Debug)]
struct Answer {
    body: Body,
    _answering: Answering,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
