//! Laws of everything that reads bytes from strangers.

use proptest::collection::vec;
use proptest::prelude::*;
use vnetprobe::limits;
use vnetprobe::probe::certificate;
use vnetprobe::probe::failure::alert_name;
use vnetprobe::probe::http::{Parsed, parse_head};
use vnetprobe::probe::smb::{Reply, parse_reply};
use vnetprobe::probe::stream::opening;

use crate::{pki, shares};

/// Bytes that begin like something and go wrong later reach deeper than noise.
fn damaged(whole: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = whole.len();
    (vec((0..length, any::<u8>()), 0..4), 0..=length).prop_map(move |(changes, end)| {
        let mut bytes = whole.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(end);
        bytes
    })
}

/// What was decided of some bytes stays decided when more come.
fn smb_is_steady(bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = parse_reply(bytes);
    for end in 0..bytes.len() {
        let part = parse_reply(&bytes[..end]);
        prop_assert!(part == Reply::Incomplete || part == whole, "{part:?} became {whole:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn smb_replies(bytes in vec(any::<u8>(), 0..200)) {
        smb_is_steady(&bytes)?;
    }

    #[test]
    fn damaged_smb_replies(bytes in damaged(shares::reply(0x0311, 0))) {
        smb_is_steady(&bytes)?;
    }

    #[test]
    fn http_heads(bytes in vec(any::<u8>(), 0..200)) {
        let known = matches!(parse_head(&bytes), Parsed::NotHttp | Parsed::Incomplete);
        prop_assert!(known || bytes.starts_with(b"HTTP/1.") || bytes.starts_with(b"\r") || bytes.starts_with(b"\n"));
    }

    #[test]
    fn damaged_http_heads(
        bytes in damaged(b"HTTP/1.1 403 Forbidden\r\nServer: a\r\nVia: b\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
    ) {
        if let Parsed::Head(head) = parse_head(&bytes) {
            prop_assert!(head.length <= bytes.len());
            prop_assert!(head.status <= 999);
            prop_assert!(head.headers.iter().all(|(_, value)| !value.contains(char::is_control)));
        }
    }

    #[test]
    fn certificates_of_noise(bytes in vec(any::<u8>(), 0..400)) {
        // Noise of this length holds no certificate: the shortest has a key and a signature.
        prop_assert!(certificate::facts(&bytes).is_err());
    }

    #[test]
    fn damaged_certificates(bytes in damaged(pki::Authority::new("Laws").root().to_vec())) {
        if let Ok(facts) = certificate::facts(&bytes) {
            prop_assert!(facts.names.len() <= limits::CERTIFICATE_NAMES);
            for text in [&facts.subject, &facts.issuer] {
                prop_assert!(text.chars().count() <= limits::TEXT_CHARS + 1);
                prop_assert!(!text.contains(char::is_control));
            }
        }
    }

    #[test]
    fn alerts_have_names(code: u8) {
        let name = alert_name(code);
        prop_assert!(!name.is_empty());
        prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    }

    #[test]
    fn openings_are_printable_and_bounded(bytes in vec(any::<u8>(), 0..500)) {
        let shown = opening(&bytes);
        prop_assert!(shown.len() <= 4 * limits::OPENING_BYTES);
        prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}

#[test]
fn no_two_alerts_share_a_name() {
    let names: std::collections::HashSet<String> = (0..=u8::MAX).map(alert_name).collect();
    assert_eq!(names.len(), 256);
}
