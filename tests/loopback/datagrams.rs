//! UDP: an answer, an ICMP error, and silence; a DNS server that refuses or floods.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use vnetprobe::observation::{DnsFailure, Exchange, ExchangeOutcome, NetworkError, UdpOutcome};
use vnetprobe::probe::dns::{Servers, resolve};
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

async fn asked(server: SocketAddr) -> Exchange {
    let servers = Servers { configured: vec![server], upstreams: Vec::new(), reference: None };
    let mut seen = resolve("pypi.org", &servers, &[], None, PLENTY).await;
    seen.servers.remove(0).a
}

#[tokio::test]
async fn a_dns_server_that_refuses_is_told_at_once() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let exchange = asked(address).await;
    let refused = DnsFailure::Unreachable(NetworkError::Refused);
    assert_eq!(exchange.outcome, ExchangeOutcome::Failed(refused));
    assert_eq!(exchange.attempts, 1, "{exchange:?}");
}

#[tokio::test]
async fn a_flood_without_end_of_answers_to_other_questions_is_told() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let mut answers = Vec::new();
        // IPv4 and IPv6.
        while answers.len() < 2 {
            let mut bytes = vec![0; 512];
            let (length, client) = server.recv_from(&mut bytes).await.unwrap();
            bytes.truncate(length);
            // An answer with the right number, to a question for another name.
            bytes[2] |= 0x80;
            bytes[13] ^= 1;
            answers.push((bytes, client));
        }
        for (answer, client) in answers.iter().cycle() {
            // Who has heard enough is gone.
            let _ = server.send_to(answer, client).await;
            tokio::task::yield_now().await;
        }
    });
    let exchange = asked(address).await;
    flood.abort();
    let ExchangeOutcome::Failed(DnsFailure::Malformed(why)) = exchange.outcome else {
        panic!("{exchange:?}");
    };
    assert!(why.contains("answers to other questions"), "{why}");
    assert_eq!(exchange.attempts, 1);
}
