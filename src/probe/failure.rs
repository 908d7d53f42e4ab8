//! What the end of a TLS handshake means: alerts, resets, and protocols that are not TLS.

use std::io::{self, ErrorKind};

use tokio_rustls::rustls::{Error, InvalidMessage};

use super::stream::{self, Heard};
use crate::model::printable;
use crate::observation::TlsFailure;

/// First bytes of TLS records: change_cipher_spec, alert, handshake, application_data.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// Names a TLS alert as the registry does (RFC 8446 section 6, RFC 5246 section 7.2).
pub fn alert_name(code: u8) -> String {
    let name = match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        117 => "general_error",
        120 => "no_application_protocol",
        121 => "ech_required",
        unnamed => return format!("alert_{unnamed}"),
    };
    name.to_owned()
}

/// Whether the connection was reset, seen when reading or when writing.
pub(super) fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

/// Says how a handshake failed, from the error it ended with and what had been heard by then.
pub(super) fn classify(error: &io::Error, heard: &Heard) -> TlsFailure {
    let opening = heard.opening();
    // Whoever does not begin with a record does not speak TLS, however the conversation ended.
    if opening.first().is_some_and(|first| !RECORD_TYPES.contains(first)) {
        return TlsFailure::NotTls(stream::opening(&opening));
    }
    let heard = !opening.is_empty();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => refused(error, &opening),
        None if is_reset(error) => TlsFailure::Reset { heard },
        None => match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::WriteZero => TlsFailure::Closed { heard },
            ErrorKind::TimedOut => TlsFailure::Timeout,
            _ => TlsFailure::Protocol(printable(&error.to_string())),
        },
    }
}

/// What the TLS library refused to go on with.
fn refused(error: &Error, opening: &[u8]) -> TlsFailure {
    use InvalidMessage as M;
    match error {
        Error::AlertReceived(alert) => {
            let code = u8::from(*alert);
            TlsFailure::Alert { code, name: alert_name(code) }
        }
        // A record's header that cannot be one: the first byte was like TLS by chance.
        Error::InvalidMessage(
            M::InvalidContentType
            | M::UnknownProtocolVersion
            | M::MessageTooLarge
            | M::InvalidEmptyPayload,
        ) => TlsFailure::NotTls(stream::opening(opening)),
        Error::PeerIncompatible(_) => TlsFailure::NothingInCommon(printable(&error.to_string())),
        error => TlsFailure::Protocol(printable(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_registry() {
        for (code, name) in [
            (40, "handshake_failure"),
            (70, "protocol_version"),
            (112, "unrecognized_name"),
            (116, "certificate_required"),
            (200, "alert_200"),
        ] {
            assert_eq!(alert_name(code), name);
        }
    }

    #[test]
    fn ends_without_a_word_of_the_library() {
        for (kind, expected) in [
            (ErrorKind::UnexpectedEof, TlsFailure::Closed { heard: false }),
            (ErrorKind::ConnectionReset, TlsFailure::Reset { heard: false }),
            (ErrorKind::BrokenPipe, TlsFailure::Reset { heard: false }),
            (ErrorKind::TimedOut, TlsFailure::Timeout),
        ] {
            assert_eq!(classify(&io::Error::from(kind), &Heard::default()), expected);
        }
    }
}
