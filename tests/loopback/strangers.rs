//! Peers that do not complete a TLS handshake, or do not speak TLS at all.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use vnetprobe::limits;
use vnetprobe::model::Host;
use vnetprobe::observation::{TlsFailure, TlsOutcome};
use vnetprobe::probe::stream::Watched;
use vnetprobe::probe::tls::Alpn;

use crate::pki::{HOST, client};
use crate::world::{
    BRIEF, PLENTY, answering, connect, hear, outlast, repeating, resetting, serve, stalling,
};

async fn failure(address: SocketAddr, limit: Duration) -> TlsFailure {
    let host = Host::parse(HOST).unwrap();
    let stream = connect(address).await;
    let (observation, session) = client(&[]).handshake(stream, &host, Alpn::None, limit).await;
    assert!(session.is_none() && observation.chain.is_empty() && observation.trust.is_none());
    match observation.outcome {
        TlsOutcome::Failed(failure) => failure,
        established @ TlsOutcome::Established { .. } => panic!("{established:?}"),
    }
}

fn alert(code: u8, name: &str) -> TlsFailure {
    TlsFailure::Alert { code, name: name.to_owned() }
}

#[tokio::test]
async fn closed_on_client_hello() {
    assert_eq!(failure(answering([]).await, PLENTY).await, TlsFailure::Closed { heard: false });
}

#[tokio::test]
async fn reset_on_client_hello() {
    assert_eq!(failure(resetting().await, PLENTY).await, TlsFailure::Reset { heard: false });
}

#[tokio::test]
async fn mute() {
    assert_eq!(failure(stalling([]).await, BRIEF).await, TlsFailure::Timeout);
}

#[tokio::test]
async fn half_a_record() {
    let half = *b"\x16\x03\x03\x00";
    assert_eq!(failure(stalling(half).await, BRIEF).await, TlsFailure::Timeout);
    assert_eq!(failure(answering(half).await, PLENTY).await, TlsFailure::Closed { heard: true });
    let reset = serve(move |mut stream| async move {
        hear(&mut stream).await;
        stream.write_all(&half).await.unwrap();
        // It may overtake the bytes, so whether they were heard is open.
        stream.set_zero_linger().unwrap();
    })
    .await;
    let failed = failure(reset, PLENTY).await;
    assert!(matches!(failed, TlsFailure::Reset { .. }), "{failed:?}");
}

#[tokio::test]
async fn plain_text() {
    for (said, shown) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", r"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("SSH-2.0-OpenSSH_9.2\r\n", r"SSH-2.0-OpenSSH_9.2\r\n"),
        ("!", "!"),
    ] {
        let expected = TlsFailure::NotTls(shown.to_owned());
        assert_eq!(failure(answering(said).await, PLENTY).await, expected);
    }
    // One byte and then silence is enough to know.
    assert_eq!(failure(stalling("2").await, BRIEF).await, TlsFailure::NotTls("2".to_owned()));
}

#[tokio::test]
async fn a_banner_without_waiting_for_the_client() {
    let address = serve(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        outlast(&mut stream).await;
    })
    .await;
    assert_eq!(failure(address, PLENTY).await, TlsFailure::NotTls(r"220 ready\r\n".to_owned()));
}

#[tokio::test]
async fn a_banner_and_an_end_that_meets_the_client_hello() {
    // The unread ClientHello makes the system reset the connection; the banner still counts.
    let address = serve(|mut stream| async move {
        let _ = stream.write_all(b"220 busy\r\n").await;
    })
    .await;
    for _ in 0..50 {
        assert_eq!(failure(address, PLENTY).await, TlsFailure::NotTls(r"220 busy\r\n".to_owned()));
    }
}

#[tokio::test]
async fn a_banner_and_a_reset_before_the_client_hello() {
    let (tell, mut told) = mpsc::channel(1);
    let address = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            stream.readable().await.unwrap();
            stream.write_all(b"421 go away\r\n").await.unwrap();
            drop(stream); // with a byte unread, which makes it a reset
            tell.send(()).await.unwrap();
        }
    })
    .await;
    let mut stream = connect(address).await;
    stream.write_all(b"?").await.unwrap();
    told.recv().await.unwrap();
    let host = Host::parse(HOST).unwrap();
    let (observation, _) = client(&[]).handshake(stream, &host, Alpn::None, PLENTY).await;
    let expected = TlsFailure::NotTls(r"421 go away\r\n".to_owned());
    assert_eq!(observation.outcome, TlsOutcome::Failed(expected));
}

#[tokio::test]
async fn a_stream_ends_at_its_limit_and_remembers_its_beginning() {
    let mut stream = Watched::new(tokio::io::repeat(b'x'));
    let twice = u64::try_from(limits::TLS_READ_BYTES).unwrap() * 2;
    let mut taken = Vec::new();
    (&mut stream).take(twice).read_to_end(&mut taken).await.unwrap_err();
    assert_eq!(stream.heard().total(), taken.len());
    assert_eq!(stream.heard().opening(), [b'x'; limits::OPENING_BYTES]);
}

#[tokio::test]
async fn endless_garbage() {
    let garbage: Vec<u8> =
        (0..65_536_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let noise = repeating([0x99], garbage.clone()).await;
    assert!(matches!(failure(noise, PLENTY).await, TlsFailure::NotTls(_)));
    // A first byte like a record's, and a header that no record has.
    let lookalike = repeating(*b"\x16\x99", garbage.clone()).await;
    assert!(matches!(failure(lookalike, PLENTY).await, TlsFailure::NotTls(_)));
    // A well-formed record with garbage inside.
    let record = repeating(*b"\x16\x03\x03\x40\x00", garbage).await;
    assert!(matches!(failure(record, PLENTY).await, TlsFailure::Protocol(_)));
    // Records that are right one by one and never lead anywhere.
    let warnings = repeating([], *b"\x15\x03\x03\x00\x02\x01\x5a").await;
    assert!(matches!(failure(warnings, PLENTY).await, TlsFailure::Protocol(_)));
    // A handshake message that announces 16 MB and goes on and on.
    let mut huge = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff".to_vec();
    huge.resize(5 + 16_384, 0x41);
    let mut more = b"\x16\x03\x03\x40\x00".to_vec();
    more.resize(5 + 16_384, 0x41);
    let announced = repeating(huge, more).await;
    assert!(matches!(failure(announced, PLENTY).await, TlsFailure::Protocol(_)));
}

#[tokio::test]
async fn alerts() {
    for (code, name) in [
        (112, "unrecognized_name"),
        (40, "handshake_failure"),
        (70, "protocol_version"),
        (80, "internal_error"),
        (200, "alert_200"),
    ] {
        let fatal = [0x15, 3, 1, 0, 2, 2, code];
        assert_eq!(failure(answering(fatal).await, PLENTY).await, alert(code, name));
        assert_eq!(failure(stalling(fatal).await, PLENTY).await, alert(code, name));
    }
}

#[tokio::test]
async fn a_polite_good_bye_in_the_middle_is_a_close() {
    let good_bye = *b"\x15\x03\x03\x00\x02\x01\x00";
    assert_eq!(
        failure(answering(good_bye).await, PLENTY).await,
        TlsFailure::Closed { heard: true }
    );
    assert_eq!(failure(stalling(good_bye).await, BRIEF).await, TlsFailure::Timeout);
}

#[tokio::test]
async fn a_server_that_ended_with_tls_1_0() {
    let mut hello = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01".to_vec();
    hello.extend([7; 32]);
    hello.extend([0, 0x00, 0x2f, 0]);
    let failed = failure(answering(hello).await, PLENTY).await;
    assert!(matches!(failed, TlsFailure::NothingInCommon(_)), "{failed:?}");
}

#[tokio::test]
async fn a_name_that_cannot_be_asked_for() {
    let host = Host::Name("1.2.3.999".to_owned());
    let stream = connect(stalling([]).await).await;
    let (observation, _) = client(&[]).handshake(stream, &host, Alpn::None, PLENTY).await;
    assert!(
        matches!(observation.outcome, TlsOutcome::Failed(TlsFailure::Protocol(_))),
        "{observation:?}"
    );
}
