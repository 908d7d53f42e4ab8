//! One executable test: a target to probe and what is expected of it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Expect, Host, Kind, Proof, Service, authority};

/// What is measured: one host, one port, one kind. Measured once however many requirements need it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// Its port; absent for kind `dns`.
    pub port: Option<u16>,
    /// What to do there.
    pub kind: Kind,
    /// Path and query, for kinds that send an HTTP request.
    pub path: String,
}

impl Target {
    /// `host:port`, or the host alone when there is no port.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.to_string(), |port| authority(&self.host, port))
    }
}

/// What is expected of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Private, public or any.
    pub expect: Expect,
    /// The private DNS zone that should serve it, when the catalog names one.
    pub zone: Option<String>,
    /// Exact addresses declared for this host; empty when none are.
    pub declared: Vec<IpAddr>,
    /// Subnets declared for this check alone (`probe --subnet`); empty means the network's own.
    pub subnets: Vec<ipnet::IpNet>,
}

/// One executable test of one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable id: `requirement@host:port`.
    pub id: String,
    /// The requirement's id.
    pub requirement: String,
    /// What is measured.
    pub target: Arc<Target>,
    /// What is expected.
    pub expectation: Expectation,
    /// How well the host stands for the requirement's pattern.
    pub proof: Proof,
    /// The pattern it stands for.
    pub pattern: String,
    /// Scenarios that need it.
    pub scenarios: Vec<String>,
    /// A failure blocks the scenarios; otherwise it degrades them.
    pub required: bool,
    /// The host is a public service: its certificate comes from a public CA unless someone inspects TLS.
    pub public_service: bool,
    /// Whose answers to expect, where their shape is known.
    pub service: Option<Service>,
    /// The service tag a firewall rule would name, if one exists.
    pub service_tag: Option<String>,
    /// What it is for.
    pub purpose: String,
}
