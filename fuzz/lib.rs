//! What the fuzz targets share: what must hold of text from strangers, and streams in memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use vnetprobe::catalog;
use vnetprobe::history::Setting;
use vnetprobe::machine::Machine;
use vnetprobe::model::{Cloud, Expect};
use vnetprobe::parameters::{NetworkFacts, Parameters};
use vnetprobe::plan::{ExtraProbe, plan};
use vnetprobe::target::parse_target;

/// Longer than any read of bytes that are there already.
pub const LIMIT: Duration = Duration::from_mins(1);

/// Nothing in it acts on a terminal or on the text around it.
///
/// # Panics
/// When something does: that is the find.
pub fn assert_plain(what: &str, text: &str) {
    let odd = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(odd), "{what} lets {:?} through", text.chars().find(|c| odd(*c)));
}

/// A peer that says these bytes, some at a time, hears everything and then closes.
#[derive(Debug)]
pub struct Peer<'a> {
    rest: &'a [u8],
    step: usize,
}

impl<'a> Peer<'a> {
    /// Says `rest`, `step` bytes at a time.
    #[must_use]
    pub fn new(rest: &'a [u8], step: u8) -> Self {
        Self { rest, step: usize::from(step).max(1) }
    }
}

impl AsyncRead for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.step.min(self.rest.len()).min(buf.remaining());
        let (now, later) = self.rest.split_at(length);
        buf.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Runs one conversation to its end.
pub fn run<T>(talk: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(talk))
}

/// The same moment in every run.
///
/// # Panics
/// Never: it is one.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_second(1_793_534_400).expect("a time")
}

/// A daemon that measures these targets from a machine of this name.
///
/// # Panics
/// When one is no target.
#[must_use]
pub fn setting(targets: &[&str], hostname: &str) -> Setting {
    let probe = |text: &&str| ExtraProbe {
        id: (*text).to_owned(),
        target: parse_target(text).expect("a target"),
        expect: Expect::Any,
        subnets: Vec::new(),
        scenarios: vec!["all".to_owned()],
    };
    let catalog = catalog::embedded(Cloud::None).expect("no catalog");
    let network = NetworkFacts::default();
    let probes: Vec<ExtraProbe> = targets.iter().map(probe).collect();
    Setting {
        plan: Arc::new(plan(&catalog, &probes, &Parameters::default(), &network, |_| false)),
        network: Arc::new(network),
        machine: Arc::new(Machine { hostname: hostname.to_owned(), ..Machine::default() }),
        interval: Some(Duration::from_mins(1)),
        budget: Duration::from_secs(16),
    }
}
