//! TLS greetings made by hand: alike but for their size, and with a small answer from any server.
//!
//! They offer nothing but a cipher suite that is reserved for never being known (RFC 8701), so that
//! every server refuses with an alert of seven bytes, whatever versions it speaks: what comes back
//! fits into any packet, and whether something comes back tells whether the greeting arrived.

use super::{failure, stream};
use crate::model::Host;
use crate::observation::TlsFailure;

/// The reserved cipher suite.
const UNKNOWN_SUITE: [u8; 2] = [0x0a, 0x0a];
const TLS_12: [u8; 2] = [3, 3];
/// The version that records of a first greeting carry (RFC 8446 section 5.1).
const RECORD_VERSION: [u8; 2] = [3, 1];
/// Content types of records.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Bytes of the record's and the handshake message's own headers, and of an extension's.
const HEADERS: usize = 5 + 4;
const EXTENSION_HEADER: usize = 4;

/// A `ClientHello` as one record, padded to this many bytes if it would be shorter (RFC 7685).
pub fn client_hello(host: &Host, size: usize) -> Vec<u8> {
    let mut fixed = TLS_12.to_vec();
    fixed.extend(*b"vnetprobe asks who hears a hello"); // Random: nothing is ever encrypted with it
    fixed.push(0); // no session
    fixed.extend(prefixed(&UNKNOWN_SUITE));
    fixed.extend([1, 0]); // no compression

    let mut extensions = Vec::new();
    // An address is not sent (RFC 6066 section 3).
    if let Some(name) = host.name() {
        let mut entry = vec![0]; // host_name
        entry.extend(prefixed(name.as_bytes()));
        extension(&mut extensions, 0, &prefixed(&entry));
    }
    extension(&mut extensions, 10, &prefixed(&[0, 29, 0, 23])); // groups: x25519, secp256r1
    let schemes = [8, 4, 4, 3, 4, 1]; // RSA-PSS, ECDSA, RSA, each with SHA-256
    extension(&mut extensions, 13, &prefixed(&schemes));
    let length = HEADERS + fixed.len() + 2 + extensions.len();
    if let Some(missing) = size.checked_sub(length + EXTENSION_HEADER) {
        extension(&mut extensions, 21, &vec![0; missing]);
    }

    let mut message = vec![1, 0]; // ClientHello and a length of three bytes: none is that long
    let mut body = fixed;
    body.extend(prefixed(&extensions));
    message.extend(prefixed(&body));
    let mut record = vec![HANDSHAKE];
    record.extend(RECORD_VERSION);
    record.extend(prefixed(&message));
    record
}

/// With its length before it, in two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut all = length.to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn extension(all: &mut Vec<u8>, kind: u16, data: &[u8]) {
    all.extend(kind.to_be_bytes());
    all.extend(prefixed(data));
}

/// What the first bytes of an answer are.
pub fn answer(bytes: &[u8]) -> TlsFailure {
    match bytes {
        [ALERT, 3, _, 0, 2, _, code, ..] => {
            TlsFailure::Alert { code: *code, name: failure::alert_name(*code) }
        }
        [ALERT | HANDSHAKE, 3, ..] => {
            TlsFailure::NothingInCommon("it answered with something other than an alert".to_owned())
        }
        _ => TlsFailure::NotTls(stream::opening(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn number(bytes: &[u8]) -> usize {
        bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte))
    }

    /// Every length in it, read back, and its extensions.
    fn extensions(hello: &[u8]) -> Vec<(usize, Vec<u8>)> {
        assert_eq!(hello[..3], [22, 3, 1]);
        assert_eq!(number(&hello[3..5]), hello.len() - 5);
        assert_eq!((hello[5], number(&hello[6..9])), (1, hello.len() - 9));
        // Version, random, session, suites, compression: 2 + 32 + 1 + 4 + 2.
        let mut rest = &hello[9 + 41..];
        assert_eq!(number(&rest[..2]), rest.len() - 2);
        rest = &rest[2..];
        let mut all = Vec::new();
        while !rest.is_empty() {
            let length = number(&rest[2..4]);
            all.push((number(&rest[..2]), rest[4..4 + length].to_vec()));
            rest = &rest[4 + length..];
        }
        all
    }

    #[test]
    fn large_and_small_are_alike_but_for_padding() {
        for host in ["graph.microsoft.us", &format!("{}.us", "a".repeat(60)), "10.0.0.1", "::1"] {
            let host = Host::parse(host).unwrap();
            let small = client_hello(&host, 0);
            let large = client_hello(&host, limits::LARGE_GREETING);
            assert!(small.len() < 536, "{}", small.len());
            assert_eq!(large.len(), limits::LARGE_GREETING);
            let (few, mut many) = (extensions(&small), extensions(&large));
            let (kind, padding) = many.pop().unwrap();
            assert_eq!(kind, 21);
            assert!(padding.iter().all(|byte| *byte == 0));
            assert_eq!(few, many);
            assert_eq!(few.iter().any(|(kind, _)| *kind == 0), host.name().is_some());
            assert_eq!(small[9..50], large[9..50]);
        }
        let longest = vec!["a".repeat(62); 4].join(".");
        assert!(client_hello(&Host::parse(&longest).unwrap(), 0).len() < 536);
    }

    #[test]
    fn answers() {
        let alert = TlsFailure::Alert { code: 40, name: "handshake_failure".to_owned() };
        assert_eq!(answer(&[21, 3, 3, 0, 2, 2, 40]), alert);
        for odd in [&[22, 3, 3][..], &[21, 3, 1, 0]] {
            assert!(matches!(answer(odd), TlsFailure::NothingInCommon(_)), "{odd:?}");
        }
        assert_eq!(answer(b"SSH"), TlsFailure::NotTls("SSH".to_owned()));
        assert_eq!(answer(b"\x15"), TlsFailure::NotTls(r"\x15".to_owned()));
    }
}
