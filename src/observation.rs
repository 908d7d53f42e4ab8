//! What the layers saw: data, never an error.
//!
//! One observation has one failure mode per address: each layer's record either ends with a
//! failure or carries the record of the next layer, so facts beyond the first break cannot be
//! written down. The types serialize, because an observation is also the evidence in JSON and a
//! file that a test replays.

mod experiment;
mod lookup;
mod proxied;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Elapsed;

pub use experiment::{Experiment, Greetings, HandshakeEnd, SilenceEnd, Trial};
pub use lookup::{
    AddressRecord, Alias, Answer, DnsFailure, DnsObservation, Exchange, ExchangeOutcome, Rcode,
    ServerObservation, ServerRole,
};
pub use proxied::{ProxyObservation, ProxyOutcome};

/// Everything one run of a probe saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Name resolution; absent for an IP literal.
    pub dns: Option<DnsObservation>,
    /// One climb per address that was tried, in the order of resolution.
    pub climbs: Vec<Climb>,
    /// Addresses that resolution gave beyond [`crate::limits::ADDRESSES_PER_CHECK`].
    #[serde(default)]
    pub addresses_not_tried: usize,
    /// What the explicit proxy did, or why it was not asked; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyObservation>,
    /// Follow-ups on a failure, in the order they were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<Experiment>,
    /// How long before this probe they were made, when they are those of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiments_age: Option<Elapsed>,
    /// How long this machine let the probe wait for its turn: time that is not the network's.
    #[serde(default, skip_serializing_if = "no_time")]
    pub stalled: Elapsed,
}

fn no_time(elapsed: &Elapsed) -> bool {
    elapsed.0.is_zero()
}

// -------------------------------------------------------------------------------- connections

/// The climb over one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Climb {
    /// The address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// How far it went.
    pub outcome: ClimbOutcome,
}

/// How a [`Climb`] went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClimbOutcome {
    /// No connection.
    NotConnected {
        /// From the first SYN.
        elapsed: Elapsed,
        /// Why.
        failure: ConnectFailure,
    },
    /// TCP stands.
    Connected {
        /// From the first SYN to the handshake's end.
        elapsed: Elapsed,
        /// Our end of the connection.
        local: SocketAddr,
        /// What was done above it.
        then: AboveTcp,
    },
    /// A datagram was sent.
    Datagram(UdpObservation),
}

/// How a connect failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectFailure {
    /// No answer within the timeout.
    Timeout,
    /// The network or the far host answered with an error.
    Network(NetworkError),
    /// This machine could not try.
    Local(LocalTrouble),
}

/// Errors the network or the far host sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkError {
    /// RST to the SYN, or ICMP port unreachable.
    Refused,
    /// RST after the connection stood.
    Reset,
    /// ICMP host unreachable or an administrative prohibition (EHOSTUNREACH), or no neighbor answered.
    HostUnreachable,
    /// A rule here or on the way forbids it (EACCES, EPERM).
    Prohibited,
    /// No route (ENETUNREACH).
    NetworkUnreachable,
    /// Any other, by its number.
    Other(i32),
}

/// What stops us on this very machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalTrouble {
    /// No route leads off this machine for that address family.
    NoNetwork,
    /// No DNS server is configured.
    NoResolver,
    /// Sockets, ports or memory ran out.
    Exhausted,
}

/// What was done above an established TCP connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AboveTcp {
    /// Nothing: the connection was the check. `closed` tells that the other side ended it at once.
    Nothing {
        /// The peer closed or reset the connection within the settling time, without a byte.
        closed: bool,
    },
    /// A TLS handshake.
    Tls(Box<TlsObservation>),
    /// An HTTP exchange in clear text.
    Http(HttpObservation),
    /// An SMB2 negotiation.
    Smb(SmbObservation),
}

// ---------------------------------------------------------------------------------------- TLS

/// A TLS handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsObservation {
    /// From ClientHello to the end.
    pub elapsed: Elapsed,
    /// Certificates as the server sent them, leaf first; empty when it came to none.
    pub chain: Vec<Arc<CertificateFacts>>,
    /// What each root store says of that chain; absent when there was none.
    pub trust: Option<Trust>,
    /// The server asked for a client certificate and was given none. Before TLS 1.3 there is no
    /// alert of its own for the refusal: servers answer `handshake_failure`, close or reset.
    #[serde(default)]
    pub client_certificate_asked: bool,
    /// How the handshake ended.
    pub outcome: TlsOutcome,
}

/// The end of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsOutcome {
    /// Keys were agreed and the peer proved that it holds the certificate's key. Whether the
    /// certificate is good is another question: see [`TlsObservation::trust`].
    Established {
        /// `TLSv1.2` or `TLSv1.3`.
        version: String,
        /// The cipher suite's IANA name.
        cipher: String,
        /// The request after it, for kinds that send one and only over a trusted chain.
        then: Option<HttpObservation>,
    },
    /// It did not complete.
    Failed(TlsFailure),
}

/// How a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsFailure {
    /// No complete handshake within the timeout.
    Timeout,
    /// The connection was closed (FIN); `heard` tells whether any byte had come before.
    Closed {
        /// Bytes had been received.
        heard: bool,
    },
    /// The connection was reset (RST).
    Reset {
        /// Bytes had been received.
        heard: bool,
    },
    /// The peer sent a fatal alert (RFC 8446 section 6.2), by number and name.
    Alert {
        /// Its number.
        code: u8,
        /// Its name as the RFC writes it.
        name: String,
    },
    /// What came back is not TLS; its first bytes, printable.
    NotTls(String),
    /// Client and server have no protocol version or cipher suite in common.
    NothingInCommon(String),
    /// The peer broke the protocol.
    Protocol(String),
}

/// Facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Distinguished name of the subject, printable.
    pub subject: String,
    /// Distinguished name of the issuer, printable.
    pub issuer: String,
    /// DNS names and addresses it is good for, bounded.
    pub names: Vec<String>,
    /// How many more names it has.
    #[serde(default)]
    pub more_names: usize,
    /// Start of its life.
    pub not_before: Timestamp,
    /// End of its life.
    pub not_after: Timestamp,
    /// Issued by itself.
    pub self_signed: bool,
    /// SHA-256 of the certificate, in hex.
    pub sha256: String,
    /// Where its issuer's certificate can be fetched (AIA caIssuers), if it says.
    #[serde(default)]
    pub issuer_url: Option<String>,
}

/// What each root store says of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The host's trust store: what most programs here use.
    pub host: TrustResult,
    /// The configured CA files alone; absent when none are configured.
    pub configured: Option<TrustResult>,
    /// Mozilla's roots as compiled in: what the public internet trusts.
    pub mozilla: TrustResult,
}

impl Trust {
    /// The result that counts: what the organization declared, else the host's store, else, on a
    /// machine without any store, Mozilla's roots.
    pub fn effective(&self) -> &TrustResult {
        match (&self.configured, &self.host) {
            (Some(declared), _)
                if !matches!(declared, TrustResult::UnknownIssuer | TrustResult::EmptyStore) =>
            {
                declared
            }
            (_, TrustResult::EmptyStore) => &self.mozilla,
            (_, host) => host,
        }
    }
}

/// One root store's word on a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustResult {
    /// The chain leads to a root of this store and all is in order.
    Trusted,
    /// The store holds no root at all.
    EmptyStore,
    /// No path to a root of this store.
    UnknownIssuer,
    /// Past its end.
    Expired,
    /// Before its start.
    NotYetValid,
    /// Not made for this host.
    WrongName,
    /// Anything else, in the verifier's words.
    Other(String),
}

// ------------------------------------------------------------------------------- applications

/// One HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpObservation {
    /// From the request's first byte to the outcome.
    pub elapsed: Elapsed,
    /// How it ended.
    pub outcome: HttpOutcome,
}

/// The end of an HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpOutcome {
    /// An answer.
    Answer {
        /// Its status code.
        status: u16,
        /// Headers that help to tell who answered, printable.
        headers: Vec<(String, String)>,
        /// The beginning of its body, printable.
        body: String,
    },
    /// Nothing complete within the timeout.
    Timeout,
    /// Closed or reset before an answer.
    Closed,
    /// What came back is not HTTP; its first bytes, printable.
    NotHttp(String),
}

/// What a WebSocket server answers in `Sec-WebSocket-Accept` to the key that every upgrade request
/// carries (the example of RFC 6455 section 1.3); anything else that says 101 is not one.
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One SMB2 negotiation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmbObservation {
    /// From the request to the outcome.
    pub elapsed: Elapsed,
    /// How it ended.
    pub outcome: SmbOutcome,
}

/// The end of an SMB2 negotiation (MS-SMB2 section 2.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmbOutcome {
    /// The server chose this dialect, such as `3.1.1`.
    Negotiated {
        /// The dialect.
        dialect: String,
    },
    /// Silence.
    Timeout,
    /// Closed or reset.
    Closed,
    /// An SMB2 server refuses to negotiate, with this NT status (MS-ERREF section 2.3).
    Refused {
        /// The status.
        status: u32,
    },
    /// What came back is not SMB; its first bytes, printable.
    NotSmb(String),
}

/// One datagram sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpObservation {
    /// From sending to the outcome.
    pub elapsed: Elapsed,
    /// How it ended.
    pub outcome: UdpOutcome,
}

/// The end of a [`UdpObservation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UdpOutcome {
    /// Something came back.
    Answer {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Nothing came back, which proves nothing.
    Silence,
    /// An ICMP error came back.
    Network(NetworkError),
    /// This machine could not send.
    Local(LocalTrouble),
}

impl Observation {
    /// The proxy's part, when the way goes through it.
    pub fn through(&self) -> Option<&ProxyObservation> {
        self.proxy.as_ref().filter(|proxy| proxy.outcome != ProxyOutcome::Bypassed)
    }

    /// The first TLS handshake, for facts that outputs show once per check.
    pub fn tls(&self) -> Option<&TlsObservation> {
        self.climbs.iter().find_map(|climb| match &climb.outcome {
            ClimbOutcome::Connected { then: AboveTcp::Tls(tls), .. } => Some(tls.as_ref()),
            _ => None,
        })
    }

    /// The host's own address on the first connection that stood, for log queries.
    pub fn local_address(&self) -> Option<IpAddr> {
        self.climbs.iter().find_map(|climb| match &climb.outcome {
            ClimbOutcome::Connected { local, .. } => Some(local.ip()),
            _ => None,
        })
    }
}
