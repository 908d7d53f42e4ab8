//! UDP: an answer, an ICMP error, and silence.

use std::net::Ipv4Addr;

use tokio::net::UdpSocket;
use vnetprobe::observation::{NetworkError, UdpOutcome};
use vnetprobe::probe::udp;

use crate::world::{BRIEF, PLENTY};

#[tokio::test]
async fn answered() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let mut bytes = [0; 64];
        let (length, client) = server.recv_from(&mut bytes).await.unwrap();
        server.send_to(b"hello", client).await.unwrap();
        bytes[..length].to_vec()
    });
    let observation = udp::send(address, PLENTY).await;
    assert_eq!(observation.outcome, UdpOutcome::Answer { bytes: 5 });
    assert_eq!(asked.await.unwrap(), [0]);
}

#[tokio::test]
async fn port_unreachable() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let observation = udp::send(address, PLENTY).await;
    assert_eq!(observation.outcome, UdpOutcome::Network(NetworkError::Refused));
}

#[tokio::test]
async fn silence() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let observation = udp::send(server.local_addr().unwrap(), BRIEF).await;
    assert_eq!(observation.outcome, UdpOutcome::Silence);
    assert!(observation.elapsed.0 >= BRIEF);
}
