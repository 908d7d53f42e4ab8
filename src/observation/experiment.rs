//! Short follow-ups on a failure that tell look-alikes apart. Their results are evidence.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{ConnectFailure, ExchangeOutcome, HttpOutcome, TlsFailure};
use crate::model::{Elapsed, Host};

/// One follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// From its first packet to its end.
    pub elapsed: Elapsed,
    /// What was tried and what came of it.
    pub trial: Trial,
}

/// What was tried and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// A TLS handshake with another server name on the same address: a filter of names lets it pass.
    OtherName {
        /// The address of the failure.
        ip: IpAddr,
        /// The other name.
        name: Host,
        /// What came of it.
        outcome: HandshakeEnd,
    },
    /// A connection on which nothing is said: who closes it now does not wait for a name.
    SilentWait {
        /// The address of the failure.
        ip: IpAddr,
        /// What came of it.
        outcome: SilenceEnd,
    },
    /// The same handshake with small TCP segments: passes a path that loses large packets.
    SmallSegments {
        /// The address of the failure.
        ip: IpAddr,
        /// What came of it.
        outcome: HandshakeEnd,
    },
    /// A greeting with an answer that is small whatever it is, itself in one small packet.
    SmallGreeting {
        /// The address of the failure.
        ip: IpAddr,
        /// What came of it: never more than a refusal.
        outcome: HandshakeEnd,
    },
    /// The same greeting, padded until it is too large for one packet.
    LargeGreeting {
        /// The address of the failure.
        ip: IpAddr,
        /// What came of it.
        outcome: HandshakeEnd,
    },
    /// A plain HTTP request on the TLS port: firewalls say in clear text whom they deny.
    ClearText {
        /// The address of the failure.
        ip: IpAddr,
        /// What came of it.
        outcome: HttpOutcome,
    },
    /// The question that a server did not answer over UDP, asked over TCP.
    DnsOverTcp {
        /// The server.
        server: SocketAddr,
        /// What came of it.
        outcome: ExchangeOutcome,
    },
}

/// How a handshake of an experiment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeEnd {
    /// It completed; the leaf's subject if there was one.
    Completed(Option<String>),
    /// It failed.
    Failed(TlsFailure),
    /// There was no connection.
    NotConnected(ConnectFailure),
}

impl HandshakeEnd {
    /// Whether a server was heard behind the path: it completed, or was refused by an alert.
    pub fn got_through(&self) -> bool {
        matches!(
            self,
            Self::Completed(_)
                | Self::Failed(TlsFailure::Alert { .. } | TlsFailure::NothingInCommon(_))
        )
    }

    /// Whether the other side reacted at all, be it by hanging up; nothing is known without a
    /// connection, or when the system ended it.
    fn reaction(&self) -> Option<bool> {
        match self {
            Self::NotConnected(_) | Self::Failed(TlsFailure::Protocol(_)) => None,
            Self::Failed(TlsFailure::Timeout) => Some(false),
            Self::Completed(_) | Self::Failed(_) => Some(true),
        }
    }
}

/// What greetings of two sizes say about the way there: their answers pass any path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greetings {
    /// Large packets get there.
    BothArrive,
    /// The small one gets there, the large one does not.
    LargeLost,
    /// Neither was answered, which says nothing about sizes.
    Unheard,
}

impl Greetings {
    /// Reads them out of the follow-ups at one address; nothing unless both could be said.
    pub fn of<'a>(experiments: impl IntoIterator<Item = &'a Experiment>) -> Option<Self> {
        let (mut small, mut large) = (None, None);
        for experiment in experiments {
            match &experiment.trial {
                Trial::SmallGreeting { outcome, .. } => small = outcome.reaction(),
                Trial::LargeGreeting { outcome, .. } => large = outcome.reaction(),
                _ => {}
            }
        }
        Some(match (small?, large?) {
            (_, true) => Self::BothArrive,
            (true, false) => Self::LargeLost,
            (false, false) => Self::Unheard,
        })
    }
}

/// What came of saying nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceEnd {
    /// The other side waited, as a server does that lets the client speak first.
    Waited,
    /// It closed or reset the connection without a word.
    Closed,
    /// It spoke first; its first bytes, printable.
    Spoke(String),
    /// There was no connection.
    NotConnected(ConnectFailure),
}
