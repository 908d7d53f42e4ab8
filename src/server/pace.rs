//! A connection that does not wait for ever: heads come in time, and answers are taken in time.
//!
//! Whoever sends a request a byte now and then, or takes the answer so, holds a place that others
//! need. What counts for answers is progress, not their end: a stream of events may last for days.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits;

/// How long each part of an exchange may take.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// The TLS handshake.
    pub(super) handshake: Duration,
    /// From the first byte of a request, or the connect, to the end of its head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// While output waits, `progress_bytes` are taken in each such time.
    pub(super) progress: Duration,
    /// See `progress`.
    pub(super) progress_bytes: usize,
    /// For open requests when the server stops.
    pub(super) drain: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            handshake: limits::WEB_HANDSHAKE_TIME,
            head: limits::REQUEST_HEAD_TIME,
            idle: limits::WEB_IDLE,
            progress: limits::ANSWER_PROGRESS_TIME,
            progress_bytes: limits::ANSWER_PROGRESS_BYTES,
            drain: limits::DRAIN,
        }
    }
}

/// How many requests of a connection have begun and ended to be answered, shared by the stream
/// and the service above it.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    changes: AtomicU64,
}

impl Exchanges {
    /// A request's head is there, or its answer has been produced.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn number(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

type Timer = Pin<Box<Sleep>>;

/// A stream with a pace.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    exchanges: Arc<Exchanges>,
    /// Until when the head must be there that began to come when this many changes had happened.
    head: Option<(u64, Timer)>,
    /// Until when how many more bytes must be taken.
    stalled: Option<(usize, Timer)>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Pace, exchanges: Arc<Exchanges>) -> Self {
        let head = Some((exchanges.number(), Box::pin(sleep(pace.head))));
        Self { stream, pace, exchanges, head, stalled: None }
    }

    fn taken(&mut self, bytes: usize) {
        if let Some((left, _)) = &mut self.stalled {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.stalled = None;
            }
        }
    }

    /// What came of pushing output on.
    fn pushed<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        let (bytes, time) = (self.pace.progress_bytes, self.pace.progress);
        let (_, timer) = self.stalled.get_or_insert_with(|| (bytes, Box::pin(sleep(time))));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client does not take the answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let number = this.exchanges.number();
        // An odd number of changes: a request is being answered, and reading is only listening.
        let answering = number % 2 == 1;
        if answering || this.head.as_ref().is_some_and(|(began, _)| *began != number) {
            this.head = None;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if answering {
            return read;
        }
        if read.is_ready() {
            if buf.filled().len() > before && this.head.is_none() {
                this.head = Some((number, Box::pin(sleep(this.pace.head))));
            }
            return read;
        }
        let Some((_, timer)) = &mut this.head else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request does not end")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &result {
            this.taken(*count);
        }
        this.pushed(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(count)) = &result {
            this.taken(*count);
        }
        this.pushed(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        if result.is_ready() {
            // All that there was has been taken.
            this.stalled = None;
        }
        this.pushed(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.pushed(cx, result)
    }
}
