//! What an explicit HTTP proxy did with a request to go on.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ConnectFailure, NetworkError};
use crate::model::Elapsed;

/// The part of a probe that an explicit proxy plays. The climb behind it, if the proxy went on,
/// stands in [`super::Observation::climbs`] with the proxy's address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyObservation {
    /// The proxy's URL without credentials.
    pub url: String,
    /// Why it is used for this host: which setting, and that no exception matches.
    pub why: String,
    /// The address of the proxy that was tried; absent when its name does not resolve.
    pub address: Option<SocketAddr>,
    /// From the first SYN to the outcome.
    pub elapsed: Elapsed,
    /// What it did.
    pub outcome: ProxyOutcome,
}

/// What a proxy did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyOutcome {
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
