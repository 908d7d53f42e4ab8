//! SMB2 negotiations.

use tokio::sync::mpsc;
use vnetprobe::observation::SmbOutcome;
use vnetprobe::probe::smb;

use crate::world::{
    BRIEF, PLENTY, answering, connect, hear, outlast, repeating, resetting, serve, stalling,
};

/// A NEGOTIATE response as a server writes it (MS-SMB2 section 2.2.4), with its transport prefix.
pub(crate) fn reply(dialect: u16, status: u32) -> Vec<u8> {
    let mut message = b"\xfeSMB".to_vec();
    message.extend(64u16.to_le_bytes());
    message.extend([1, 0]); // credit charge
    message.extend(status.to_le_bytes());
    message.extend([0, 0, 1, 0]); // command NEGOTIATE, one credit
    message.extend(1u32.to_le_bytes()); // a response
    message.resize(64, 0);
    message.extend(65u16.to_le_bytes());
    message.extend([1, 0]); // signing enabled
    message.extend(dialect.to_le_bytes());
    message.resize(64 + 128, 0);
    let mut framed = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

async fn negotiate(address: std::net::SocketAddr, limit: std::time::Duration) -> SmbOutcome {
    smb::negotiate(&mut connect(address).await, limit).await.outcome
}

#[tokio::test]
async fn every_dialect() {
    for (number, name) in
        [(0x0202, "2.0.2"), (0x0210, "2.1"), (0x0300, "3.0"), (0x0302, "3.0.2"), (0x0311, "3.1.1")]
    {
        let outcome = negotiate(answering(reply(number, 0)).await, PLENTY).await;
        assert_eq!(outcome, SmbOutcome::Negotiated { dialect: name.to_owned() });
    }
}

#[tokio::test]
async fn a_reply_in_pieces() {
    let address = serve(|mut stream| async move {
        use tokio::io::AsyncWriteExt;
        hear(&mut stream).await;
        for byte in reply(0x0311, 0) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        outlast(&mut stream).await;
    })
    .await;
    let outcome = negotiate(address, PLENTY).await;
    assert_eq!(outcome, SmbOutcome::Negotiated { dialect: "3.1.1".to_owned() });
}

#[tokio::test]
async fn a_refusal_is_told_with_its_status() {
    let outcome = negotiate(answering(reply(0, 0xc000_00bb)).await, PLENTY).await;
    assert_eq!(outcome, SmbOutcome::Refused { status: 0xc000_00bb });
}

#[tokio::test]
async fn other_protocols() {
    for (said, shown) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], r"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (b"\0\0\0\x55\xffSMB\x72", r"\x00\x00\x00U\xffSMBr"),
        (b"\0\0\0\x02hi", r"\x00\x00\x00\x02hi"),
    ] {
        let outcome = negotiate(answering(said).await, PLENTY).await;
        assert_eq!(outcome, SmbOutcome::NotSmb(shown.to_owned()));
    }
    let endless = repeating(*b"\x7f", vec![0x7f; 65_536]).await;
    assert!(matches!(negotiate(endless, PLENTY).await, SmbOutcome::NotSmb(_)));
}

#[tokio::test]
async fn an_echo_is_no_server() {
    let outcome = negotiate(answering(smb::request()).await, PLENTY).await;
    assert!(matches!(outcome, SmbOutcome::NotSmb(_)), "{outcome:?}");
}

#[tokio::test]
async fn replies_with_one_field_wrong() {
    for (at, bytes) in [
        (4, &b"\xffSMB"[..]),
        (4 + 12, &[1, 0]),    // another command
        (4 + 16, &[0, 0]),    // not marked as a response
        (4 + 64, &[9, 0]),    // the structure of an error
        (4 + 68, &[0xff, 2]), // a dialect that was not offered
        (2, &[0, 16]),        // too short for a response
        (1, &[1, 0, 1]),      // larger than a response can be
    ] {
        let mut wrong = reply(0x0311, 0);
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        let outcome = negotiate(stalling(wrong).await, PLENTY).await;
        assert!(matches!(outcome, SmbOutcome::NotSmb(_)), "{at}: {outcome:?}");
    }
}

#[tokio::test]
async fn closed_reset_and_mute() {
    assert_eq!(negotiate(answering([]).await, PLENTY).await, SmbOutcome::Closed);
    assert_eq!(negotiate(resetting().await, PLENTY).await, SmbOutcome::Closed);
    assert_eq!(
        negotiate(answering(reply(0x0311, 0)[..40].to_vec()).await, PLENTY).await,
        SmbOutcome::Closed
    );
    assert_eq!(negotiate(stalling([]).await, BRIEF).await, SmbOutcome::Timeout);
    assert_eq!(
        negotiate(stalling(reply(0x0311, 0)[..40].to_vec()).await, BRIEF).await,
        SmbOutcome::Timeout
    );
}

/// The request, read back field by field at the offsets the specification gives.
#[tokio::test]
async fn the_request_is_what_the_specification_says() {
    let (tell, mut told) = mpsc::channel(1);
    let address = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            tell.send(hear(&mut stream).await).await.unwrap();
        }
    })
    .await;
    negotiate(address, PLENTY).await;
    let sent = told.recv().await.unwrap();
    assert_eq!(sent, smb::request());

    let u16_at = |at: usize| u16::from_le_bytes(sent[4 + at..][..2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(sent[4 + at..][..4].try_into().unwrap());
    assert_eq!(u32::from_be_bytes(sent[..4].try_into().unwrap()) as usize, sent.len() - 4);
    assert_eq!(&sent[4..8], b"\xfeSMB");
    assert_eq!((u16_at(4), u16_at(12), u32_at(16)), (64, 0, 0));
    assert_eq!((u16_at(64), u16_at(66)), (36, 5));
    let dialects: Vec<u16> = (0..5).map(|n| u16_at(100 + 2 * n)).collect();
    assert_eq!(dialects, [0x0202, 0x0210, 0x0300, 0x0302, 0x0311]);
    let first = u32_at(92) as usize;
    assert_eq!((first % 8, u16_at(96)), (0, 2));
    // Preauthentication: one hash, SHA-512, with a salt of 32 bytes.
    assert_eq!([u16_at(first), u16_at(first + 2)], [1, 38]);
    assert_eq!([u16_at(first + 8), u16_at(first + 10), u16_at(first + 12)], [1, 32, 1]);
    let second = (first + 8 + 38).next_multiple_of(8);
    assert_eq!([u16_at(second), u16_at(second + 2)], [2, 6]);
    assert_eq!(4 + second + 8 + 6, sent.len());
}
