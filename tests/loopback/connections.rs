//! TCP connects, and what comes right after them.

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use vnetprobe::observation::{ConnectFailure, NetworkError};
use vnetprobe::probe::tcp;

use crate::world::{PLENTY, connect, outlast, serve};

#[tokio::test]
async fn refused() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (_, result) = tcp::connect(address, PLENTY).await;
    assert_eq!(result.unwrap_err(), ConnectFailure::Network(NetworkError::Refused));
}

#[tokio::test]
async fn accepted() {
    let address = serve(|mut stream| async move { outlast(&mut stream).await }).await;
    let (elapsed, result) = tcp::connect(address, PLENTY).await;
    let (stream, local) = result.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    assert_eq!(local, stream.local_addr().unwrap());
    assert_eq!(local.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert!(elapsed.0 <= PLENTY);
}

#[tokio::test]
async fn closed_on_accept() {
    let address = serve(|stream| async move { drop(stream) }).await;
    assert!(tcp::settle(&connect(address).await).await);
}

#[tokio::test]
async fn reset_on_accept() {
    let address = serve(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    let (_, result) = tcp::connect(address, PLENTY).await;
    // The reset may come before the connect returns its address; both are what happened.
    match result {
        Ok((stream, _)) => assert!(tcp::settle(&stream).await),
        Err(failure) => assert_eq!(failure, ConnectFailure::Network(NetworkError::Reset)),
    }
}

#[tokio::test]
async fn quiet_after_accept() {
    let address = serve(|mut stream| async move { outlast(&mut stream).await }).await;
    assert!(!tcp::settle(&connect(address).await).await);
}

#[tokio::test]
async fn a_greeting_is_no_close_even_when_the_peer_closes_after_it() {
    let address = serve(|mut stream| async move {
        stream.write_all(b"220 mail.contoso.test\r\n").await.unwrap();
    })
    .await;
    assert!(!tcp::settle(&connect(address).await).await);
}
