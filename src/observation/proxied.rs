//! What an explicit HTTP proxy did with a request to go on.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ConnectFailure, NetworkError};
use crate::model::Elapsed;

/// The part of a probe that an explicit proxy plays, or why it plays none. The climb behind it, if the proxy went on,
/// stands in [`super::Observation::climbs`] with the proxy's address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyObservation {
    /// The proxy's URL without credentials.
    pub url: String,
    /// Why it is used for this host (which setting, and that no exception matches), or why not.
    pub why: String,
    /// The address of the proxy that was tried; absent when its name does not resolve.
    pub address: Option<SocketAddr>,
    /// From the first SYN to the outcome.
    pub elapsed: Elapsed,
    /// What it did.
    pub outcome: ProxyOutcome,
    /// Where it took the request and kept silent: whether it answered another request, one that
    /// needs nobody behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lives: Option<bool>,
}

impl ProxyObservation {
    /// There is a proxy, but not for this host.
    pub fn bypassed(url: String, why: String) -> Self {
        let (address, elapsed, outcome) = (None, Elapsed::default(), ProxyOutcome::Bypassed);
        Self { url, why, address, elapsed, outcome, lives: None }
    }
}

/// What a proxy did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyOutcome {
    /// It was not asked: this host is reached directly.
    Bypassed,
    /// It opened the tunnel (CONNECT answered 2xx), or takes the plain request.
    Open,
    /// Its name does not resolve here.
    Unresolved,
    /// No connection to it.
    NotConnected(ConnectFailure),
    /// It answered CONNECT with another status.
    Answered {
        /// Its status code.
        status: u16,
        /// Headers that tell who answered, printable.
        headers: Vec<(String, String)>,
        /// The beginning of its body, printable.
        body: String,
    },
    /// It closed the connection.
    Closed,
    /// It was silent.
    Timeout,
    /// It answered something that is not HTTP; its first bytes, printable.
    NotHttp(String),
    /// The network answered for it.
    Network(NetworkError),
}
