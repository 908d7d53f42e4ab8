//! UDP: one datagram, and whatever comes back.

#![expect(clippy::disallowed_methods, reason = "opens sockets and reads the clock")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::tcp;
use crate::limits;
use crate::model::Elapsed;
use crate::observation::{ConnectFailure, UdpObservation, UdpOutcome};

/// What is sent: no protocol's request, so nothing happens there because of it.
const DATAGRAM: [u8; 1] = [0];

/// Sends one datagram and waits for an answer or an ICMP error. The socket is connected: only so
/// does the system hand ICMP errors to it.
pub async fn send(address: SocketAddr, limit: Duration) -> UdpObservation {
    let start = Instant::now();
    let outcome =
        exchange(address, limit).await.unwrap_or_else(|error| {
            match tcp::classify_datagram(&error, address.ip()) {
                ConnectFailure::Timeout => UdpOutcome::Silence,
                ConnectFailure::Network(error) => UdpOutcome::Network(error),
                ConnectFailure::Local(trouble) => UdpOutcome::Local(trouble),
            }
        });
    UdpObservation { elapsed: Elapsed(start.elapsed()), outcome }
}

async fn exchange(address: SocketAddr, limit: Duration) -> io::Result<UdpOutcome> {
    let socket = UdpSocket::bind((tcp::unspecified(address.ip()), 0)).await?;
    socket.connect(address).await?;
    socket.send(&DATAGRAM).await?;
    let mut answer = vec![0; limits::UDP_BYTES];
    match timeout(limit, socket.recv(&mut answer)).await {
        Err(_) => Ok(UdpOutcome::Silence),
        Ok(received) => received.map(|bytes| UdpOutcome::Answer { bytes }),
    }
}
