//! Servers and how to talk to them.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vnetprobe::probe::tcp;

/// Far more than loopback needs: what runs into it fails the test, not the machine's load.
pub(crate) const PLENTY: Duration = Duration::from_secs(30);
/// For peers whose silence is the test.
pub(crate) const BRIEF: Duration = Duration::from_millis(200);

/// Listens and hands every connection to `peer`.
pub(crate) async fn serve<P, F>(peer: P) -> SocketAddr
where
    P: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(peer(stream));
        }
    });
    address
}

/// A peer that waits for a first word, answers with these bytes, and closes.
pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            hear(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            outlast(&mut stream).await;
        }
    })
    .await
}

/// A peer that waits for a first word, says these bytes, and then keeps silent.
pub(crate) async fn stalling(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            hear(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            outlast(&mut stream).await;
        }
    })
    .await
}

/// A peer that waits for a first word and then says these bytes over and over, for ever.
pub(crate) async fn repeating(first: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>) -> SocketAddr {
    let (first, again) = (first.into(), again.into());
    serve(move |mut stream| {
        let (first, again) = (first.clone(), again.clone());
        async move {
            hear(&mut stream).await;
            let mut spoken = stream.write_all(&first).await;
            while spoken.is_ok() {
                spoken = stream.write_all(&again).await;
            }
        }
    })
    .await
}

/// A peer that resets the connection at its first word.
pub(crate) async fn resetting() -> SocketAddr {
    serve(|mut stream| async move {
        hear(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await
}

/// Reads something, whatever it is.
pub(crate) async fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    bytes.truncate(length);
    bytes
}

/// Reads until the other side is gone.
pub(crate) async fn outlast(stream: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
}

/// Connects by the probe itself.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    tcp::connect(address, PLENTY).await.1.unwrap().0
}
