//! Peers that talk too much, too little or nonsense above TCP and UDP.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use vnetprobe::cause::Cause;
use vnetprobe::limits;
use vnetprobe::model::{Kind, Status};
use vnetprobe::observation::{
    AboveTcp, ClimbOutcome, HttpOutcome, Observation, UdpObservation, UdpOutcome,
};

use crate::world::{answering, repeating, serve, stalling};
use crate::{Patience, probe};

const BANNER: usize = 16 * 1024 * 1024;

/// A peer that says 16 MB as soon as it is connected, and tells how much it got rid of.
async fn loud(opening: &'static [u8]) -> (SocketAddr, mpsc::Receiver<usize>) {
    let (tell, told) = mpsc::channel(8);
    let address = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut said = 0;
            let mut piece = opening.to_vec();
            while said < BANNER && stream.write_all(&piece).await.is_ok() {
                said += piece.len();
                piece = vec![b'A'; 65_536];
            }
            let _ = tell.send(said).await;
        }
    })
    .await;
    (address, told)
}

/// The answer to the one HTTP request.
fn answer(seen: &Observation) -> &HttpOutcome {
    match &seen.climbs[0].outcome {
        ClimbOutcome::Connected { then: AboveTcp::Http(http), .. } => &http.outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sixteen_megabytes_of_banner() {
    for (kind, opening, cause) in [
        (Kind::Tls, &b"220 "[..], Cause::NotTls),
        (Kind::Https, b"\x16\x03\x03", Cause::NotTls),
        (Kind::Http, b"220 ", Cause::HttpUnexpectedStatus),
        (Kind::Smb, b"220 ", Cause::NotSmb),
        (Kind::Smb, b"\0\xff\xff\xff", Cause::NotSmb),
    ] {
        let (address, mut said) = loud(opening).await;
        probe(kind, address.port(), Patience::Long, &[]).await.fails_with(cause);
        // The probe left before the banner's end: nothing collects all of it.
        assert!(said.recv().await.unwrap() < BANNER, "{kind}");
    }
    let (address, mut said) = loud(b"220 ").await;
    probe(Kind::Tcp, address.port(), Patience::Long, &[]).await.passes();
    assert!(said.recv().await.unwrap() < BANNER);
}

#[tokio::test]
async fn endless_header() {
    // Its status came whole and is true, whatever follows.
    let address = repeating(*b"HTTP/1.1 503 Busy\r\nServer: a\r\nX: ", vec![b'x'; 4096]).await;
    let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
    told.fails_with(Cause::HttpServerError);
    let address = repeating(*b"HTTP/1.1 200 OK\r\n", *b"X-Y: z\r\n").await;
    let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
    told.passes();
    let HttpOutcome::Answer { headers, .. } = answer(&told.seen) else { panic!() };
    assert!(headers.len() <= limits::HTTP_HEADERS);
    // A status line without an end is no status.
    let address = repeating(*b"HTTP/1.1 200 ", *b"OK").await;
    let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
    told.fails_with(Cause::HttpUnexpectedStatus);
}

#[tokio::test]
async fn endless_body() {
    for head in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    ] {
        let address = repeating(head, vec![b'x'; 65_536]).await;
        let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
        told.passes();
        let HttpOutcome::Answer { body, .. } = answer(&told.seen) else { panic!() };
        assert!(body.chars().count() <= limits::HTTP_BODY_CHARS);
    }
}

#[tokio::test]
async fn endless_interim_answers() {
    for interim in
        [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"]
    {
        let address = repeating(interim, interim).await;
        let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
        told.fails_with(Cause::HttpUnexpectedStatus);
    }
}

#[tokio::test]
async fn half_an_answer_and_silence() {
    let address = stalling(*b"HTTP/1.1 200 OK\r\nServer: a").await;
    let told = probe(Kind::Http, address.port(), Patience::Short, &[]).await;
    told.fails_with(Cause::HttpTimeout);
}

#[tokio::test]
async fn answers_full_of_markup() {
    let evil = "<script>alert(1)</script>\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}]]>|`\"'";
    let answer = format!("HTTP/1.1 503 Busy\r\nServer: {evil}\r\nVia: {evil}\r\n\r\n{evil}");
    let address = answering(answer).await;
    let told = probe(Kind::Http, address.port(), Patience::Long, &[]).await;
    assert_eq!(told.status(), Status::Fail);
    let address = answering(evil).await;
    for (kind, cause) in [
        (Kind::Http, Cause::HttpUnexpectedStatus),
        (Kind::Tls, Cause::NotTls),
        (Kind::Smb, Cause::NotSmb),
    ] {
        probe(kind, address.port(), Patience::Long, &[]).await.fails_with(cause);
    }
}

#[tokio::test]
async fn file_servers_that_lie_about_lengths() {
    let header = b"\0\0\0\xc0\xfeSMB\x40\0\x01\0\0\0\0\0\0\0\x01\0\x01\0\0\0";
    // Cut short, with the connection closed or kept.
    let address = answering(&header[..]).await;
    probe(Kind::Smb, address.port(), Patience::Long, &[]).await.fails_with(Cause::NotSmb);
    let address = stalling(&header[..]).await;
    probe(Kind::Smb, address.port(), Patience::Short, &[]).await.fails_with(Cause::NotSmb);
    // The longest message the transport can announce, and a message without an end.
    let address = repeating(*b"\0\xff\xff\xff\xfeSMB", vec![0; 65_536]).await;
    probe(Kind::Smb, address.port(), Patience::Long, &[]).await.fails_with(Cause::NotSmb);
    let address = repeating(*b"\0\0\xff\xf0\xfeSMB", vec![0; 65_536]).await;
    probe(Kind::Smb, address.port(), Patience::Long, &[]).await.fails_with(Cause::NotSmb);
}

#[tokio::test]
async fn giant_and_empty_datagrams() {
    for (size, counted) in [(60_000, limits::UDP_BYTES), (0, 0)] {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 16]).await {
                socket.send_to(&vec![b'A'; size], from).await.unwrap();
            }
        });
        let told = probe(Kind::Udp, port, Patience::Long, &[]).await;
        told.passes();
        let outcome = &told.seen.climbs[0].outcome;
        let ClimbOutcome::Datagram(UdpObservation { outcome, .. }) = outcome else { panic!() };
        assert_eq!(*outcome, UdpOutcome::Answer { bytes: counted });
    }
}
