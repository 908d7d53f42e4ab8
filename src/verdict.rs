//! The judgement of one check: a pure function of the check, the network's facts and what was seen.

use std::net::IpAddr;

use crate::cause::Cause;
use crate::finding::Culprit;
use crate::model::{Elapsed, Layer, Status};

/// The judgement of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub status: Status,
    /// Why, when it is not a plain pass.
    pub cause: Option<Cause>,
    /// Where it broke.
    pub layer: Option<Layer>,
    /// What is at fault.
    pub culprit: Option<Culprit>,
    /// One true sentence: what, where, and what to do.
    pub summary: String,
    /// Things to look at besides.
    pub warnings: Vec<Warning>,
    /// Each address tried.
    pub addresses: Vec<AddressVerdict>,
    /// Time per phase.
    pub phases: Phases,
}

/// Something to look at that does not break the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its cause.
    pub cause: Cause,
    /// One sentence.
    pub summary: String,
    /// What is at fault.
    pub culprit: Culprit,
}

/// The judgement of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressVerdict {
    /// The address.
    pub ip: IpAddr,
    /// Its outcome.
    pub status: Status,
    /// Why, when it is not a pass.
    pub cause: Option<Cause>,
}

/// Time spent per phase; absent for phases that were not reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name resolution.
    pub dns: Option<Elapsed>,
    /// TCP connect, of the first address that connected.
    pub connect: Option<Elapsed>,
    /// TLS handshake.
    pub tls: Option<Elapsed>,
    /// HTTP, WebSocket, SMB or UDP.
    pub http: Option<Elapsed>,
}

impl Phases {
    /// Names and values in order, as in JSON and metrics.
    pub fn named(self) -> [(&'static str, Option<Elapsed>); 4] {
        [("dns", self.dns), ("connect", self.connect), ("tls", self.tls), ("http", self.http)]
    }

    /// All phases together.
    pub fn total(self) -> Elapsed {
        Elapsed(self.named().iter().filter_map(|(_, elapsed)| elapsed.map(|e| e.0)).sum())
    }
}
