//! SMB2: the negotiation that opens every session (MS-SMB2 sections 2.2.3 and 2.2.4), no more.
//!
//! Negotiating needs no credentials and opens nothing on the server; it is the least that proves a
//! file server, and not a firewall in between, holds the other end.

#![expect(clippy::disallowed_methods, reason = "reads the clock")]

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::stream;
use crate::limits;
use crate::model::Elapsed;
use crate::observation::{SmbObservation, SmbOutcome};

/// Dialects offered and how people write them.
const DIALECTS: [(u16, &str); 5] =
    [(0x0202, "2.0.2"), (0x0210, "2.1"), (0x0300, "3.0"), (0x0302, "3.0.2"), (0x0311, "3.1.1")];
/// How every SMB2 message begins.
const SIGNATURE: [u8; 4] = [0xfe, b'S', b'M', b'B'];
/// Bytes of the direct TCP transport's prefix: a zero and a length (MS-SMB2 section 2.1).
const PREFIX: usize = 4;
/// Bytes of an SMB2 header.
const HEADER: usize = 64;
/// `StructureSize` of a NEGOTIATE response.
const RESPONSE_SIZE: u16 = 65;
/// The header flag that marks a message as a response.
const FLAG_RESPONSE: u32 = 1;

/// What the bytes read so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// They could still become an answer.
    Incomplete,
    /// The server chose this dialect.
    Dialect(String),
    /// An SMB2 server that refuses, with this NT status.
    Refused(u32),
    /// Anything but SMB2.
    NotSmb,
}

/// Negotiates over an established connection.
pub async fn negotiate<S>(stream: &mut S, limit: Duration) -> SmbObservation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = Instant::now();
    let mut heard = Vec::new();
    let talked = timeout_at(start + limit, talk(stream, &mut heard)).await;
    let outcome = match (parse_reply(&heard), talked) {
        (Reply::Dialect(dialect), _) => SmbOutcome::Negotiated { dialect },
        (Reply::Refused(status), _) => SmbOutcome::Refused { status },
        (Reply::NotSmb, _) => SmbOutcome::NotSmb(stream::opening(&heard)),
        (Reply::Incomplete, Err(_)) => SmbOutcome::Timeout,
        (Reply::Incomplete, Ok(())) => SmbOutcome::Closed,
    };
    SmbObservation { elapsed: Elapsed(start.elapsed()), outcome }
}

/// Sends the request and reads until the answer is known or the connection ends.
async fn talk<S>(stream: &mut S, heard: &mut Vec<u8>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // A peer that answers and closes at once can make the write fail: what it said still counts.
    let _ = stream.write_all(&request()).await;
    let mut chunk = [0; 512];
    while parse_reply(heard) == Reply::Incomplete && heard.len() < limits::SMB_BYTES {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => heard.extend(chunk.iter().take(length)),
        }
    }
}

/// Builds the NEGOTIATE request with its transport prefix.
pub fn request() -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend(SIGNATURE);
    message.extend(64u16.to_le_bytes()); // StructureSize
    message.extend([0; 8]); // CreditCharge, Status, Command NEGOTIATE
    message.extend(1u16.to_le_bytes()); // CreditRequest
    message.extend([0; 48]); // Flags, NextCommand, MessageId, Reserved, TreeId, SessionId, Signature

    let dialects = u16::try_from(DIALECTS.len()).unwrap_or_default();
    message.extend(36u16.to_le_bytes()); // StructureSize
    message.extend(dialects.to_le_bytes());
    message.extend(1u16.to_le_bytes()); // SecurityMode: signing enabled
    message.extend([0; 2]); // Reserved
    message.extend(0x7fu32.to_le_bytes()); // Capabilities: what current clients declare
    message.extend(*b"vnetprobe negoti"); // ClientGuid: any 16 bytes, the same for every probe
    let contexts_at = (message.len() + 8 + 2 * DIALECTS.len()).next_multiple_of(8);
    message.extend(u32::try_from(contexts_at).unwrap_or_default().to_le_bytes());
    message.extend(2u16.to_le_bytes()); // NegotiateContextCount
    message.extend([0; 2]); // Reserved2
    for (dialect, _) in DIALECTS {
        message.extend(dialect.to_le_bytes());
    }
    message.resize(contexts_at, 0);
    // Dialect 3.1.1 may not be offered without these two (section 2.2.3.1).
    context(&mut message, 1, &preauthentication());
    context(&mut message, 2, &[2, 0, 2, 0, 1, 0]); // two ciphers: AES-128-GCM, AES-128-CCM

    let length = u32::try_from(message.len()).unwrap_or_default();
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.extend(length.to_be_bytes()); // the first byte is zero: no message is that long
    framed.extend(message);
    framed
}

/// `SMB2_PREAUTH_INTEGRITY_CAPABILITIES`: one hash, SHA-512, and a salt. The salt guards sessions,
/// and none follows, so it may be constant.
fn preauthentication() -> Vec<u8> {
    let mut data = vec![1, 0, 32, 0, 1, 0];
    data.extend([0x5a; 32]);
    data
}

/// Appends one negotiate context, aligned to eight bytes.
fn context(message: &mut Vec<u8>, kind: u16, data: &[u8]) {
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(kind.to_le_bytes());
    message.extend(u16::try_from(data.len()).unwrap_or_default().to_le_bytes());
    message.extend([0; 4]);
    message.extend(data);
}

/// Reads an answer with its transport prefix, as much of it as has come.
pub fn parse_reply(bytes: &[u8]) -> Reply {
    parse(bytes).unwrap_or(Reply::Incomplete)
}

/// `None` stands for bytes that have not come yet.
fn parse(bytes: &[u8]) -> Option<Reply> {
    if *bytes.first()? != 0 {
        return Some(Reply::NotSmb);
    }
    let length = u32::from_be_bytes(array(bytes, 0)?);
    let fits = |length: usize| (HEADER + 8..=limits::SMB_BYTES).contains(&length);
    if !usize::try_from(length).is_ok_and(fits) {
        return Some(Reply::NotSmb);
    }
    let message = bytes.get(PREFIX..)?;
    if message.iter().zip(SIGNATURE).any(|(byte, expected)| *byte != expected) {
        return Some(Reply::NotSmb);
    }
    let status = u32::from_le_bytes(array(message, 8)?);
    let command = u16::from_le_bytes(array(message, 12)?);
    let flags = u32::from_le_bytes(array(message, 16)?);
    let size = u16::from_le_bytes(array(message, HEADER)?);
    let dialect = u16::from_le_bytes(array(message, HEADER + 4)?);
    if command != 0 || flags & FLAG_RESPONSE == 0 {
        return Some(Reply::NotSmb);
    }
    if status != 0 {
        return Some(Reply::Refused(status));
    }
    let known = DIALECTS.iter().find(|(number, _)| *number == dialect);
    Some(match known {
        Some((_, name)) if size == RESPONSE_SIZE => Reply::Dialect((*name).to_owned()),
        _ => Reply::NotSmb,
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
