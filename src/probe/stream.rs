//! A stream that remembers how much was heard and how it began.
//!
//! What a failed handshake meant often lies in the first bytes the peer sent, and these are gone
//! once a TLS library has refused them; a reset means one thing before any byte and another after.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;

/// What came over a [`Watched`] stream so far; clones look at the same record.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    total: usize,
    opening: Vec<u8>,
}

impl Heard {
    /// Bytes received.
    pub fn total(&self) -> usize {
        self.with(|record| record.total)
    }

    /// The first bytes received, at most [`limits::OPENING_BYTES`].
    pub fn opening(&self) -> Vec<u8> {
        self.with(|record| record.opening.clone())
    }

    fn note(&self, bytes: &[u8]) {
        self.with(|record| {
            record.total = record.total.saturating_add(bytes.len());
            let room = limits::OPENING_BYTES.saturating_sub(record.opening.len());
            record.opening.extend(bytes.iter().take(room));
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream that notes what is read from it and fails after [`limits::TLS_READ_BYTES`].
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    heard: Heard,
}

impl<S> Watched<S> {
    /// Watches a stream from now on.
    pub fn new(stream: S) -> Self {
        Self { stream, heard: Heard::default() }
    }

    /// The record of what was heard.
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.heard.total() >= limits::TLS_READ_BYTES {
            let text = format!("the peer sent more than {} bytes", limits::TLS_READ_BYTES);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.heard.note(buf.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The first bytes of an answer as evidence: ASCII as it is, everything else escaped (`\x16\x03`),
/// so that a banner stays readable and bytes of any protocol stay recognizable.
pub fn opening(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(limits::OPENING_BYTES)
        .copied()
        .collect::<Vec<u8>>()
        .escape_ascii()
        .to_string()
}
