//! What the program was told about itself: intervals, timeouts, servers, listener.

pub mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::proxy::{Exception, Named};

use web::Web;

/// Time given to each phase of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One question to one DNS server.
    pub dns: Duration,
    /// One TCP connect.
    pub connect: Duration,
    /// One TLS handshake.
    pub tls: Duration,
    /// One HTTP, WebSocket or SMB exchange.
    pub http: Duration,
}

impl Timeouts {
    /// The longest one check can take: every phase at its limit, DNS twice because the reference
    /// server is asked after the others, and the follow-ups on a failure.
    pub fn budget(&self) -> Duration {
        self.dns * 2 + self.connect + self.tls + self.http + limits::EXPERIMENT_TIME
    }

    /// The longest one check through a proxy can take: besides, the proxy's name is looked up, each
    /// of its addresses tried, its answer awaited, and a silent one asked whether it lives.
    pub fn proxied_budget(&self) -> Duration {
        let addresses = u32::try_from(limits::PROXY_ADDRESSES).unwrap_or(1);
        self.budget() + self.dns + self.connect * addresses + self.http
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(4),
            http: Duration::from_secs(5),
        }
    }
}

/// Where and how long history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySettings {
    /// The file; absent means the state directory's, or memory where there is none.
    pub path: Option<PathBuf>,
    /// How long events are kept.
    pub retention: Duration,
    /// Largest size of the file, in bytes.
    pub max_bytes: u64,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { path: None, retention: Duration::from_hours(90 * 24), max_bytes: 64 * 1024 * 1024 }
    }
}

/// Everything that is not about the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// DNS servers to ask; empty means the machine's own.
    pub dns_servers: Vec<SocketAddr>,
    /// The server asked besides when an answer is not as expected.
    pub dns_reference: Option<SocketAddr>,
    /// The proxy; absent means the environment's.
    pub proxy: Option<Named>,
    /// What is reached without it; empty means the environment's exceptions.
    pub no_proxy: Vec<Exception>,
    /// Files with extra roots this organization trusts.
    pub ca_files: Vec<PathBuf>,
    /// Time between two runs of a check.
    pub interval: Duration,
    /// Time for each phase.
    pub timeouts: Timeouts,
    /// Most probes at the same time.
    pub concurrency: usize,
    /// The server of `serve`.
    pub web: Web,
    /// Where history is kept.
    pub history: HistorySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dns_servers: Vec::new(),
            dns_reference: Some(SocketAddr::from(([168, 63, 129, 16], 53))),
            proxy: None,
            no_proxy: Vec::new(),
            ca_files: Vec::new(),
            interval: Duration::from_mins(1),
            timeouts: Timeouts::default(),
            concurrency: 64,
            web: Web::default(),
            history: HistorySettings::default(),
        }
    }
}
