//! The judgement of one check: a pure function of the check, the network's facts and what was seen.
//!
//! Names are judged first (`names`), then the proxy on the way (`proxied`), then every address on its own (`addresses`, with
//! `tls` and `application` above it); the first layer that broke gives the cause.

mod addresses;
mod application;
mod followups;
mod late;
mod names;
mod private;
mod proof;
pub mod proxied;
mod service;
mod tls;

use std::net::IpAddr;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::machine::Machine;
use crate::model::{Elapsed, Expect, Kind, Layer, Proof, Status, visible};
use crate::observation::{AboveTcp, ClimbOutcome, DnsObservation, Observation, TlsOutcome};
use crate::parameters::NetworkFacts;
use crate::resolution::effective;

pub(crate) use late::is_late;

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
    /// The name resolves to private addresses only.
    pub resolved_private: bool,
    /// Time per phase.
    pub phases: Phases,
}

/// What a check is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Private ranges, subnets, declared addresses.
    pub network: &'a NetworkFacts,
    /// This machine.
    pub machine: &'a Machine,
    /// When the measurement ended.
    pub now: Timestamp,
}

/// One broken layer: what [`Verdict`] is made from.
#[derive(Debug, Clone, PartialEq)]
struct Fault {
    cause: Cause,
    status: Status,
    culprit: Culprit,
    summary: String,
}

impl Fault {
    fn new(cause: Cause, culprit: Culprit, summary: String) -> Self {
        Self { cause, status: cause.info().status, culprit, summary }
    }
}

impl From<Fault> for Warning {
    fn from(fault: Fault) -> Self {
        Self { cause: fault.cause, summary: fault.summary, culprit: fault.culprit }
    }
}

/// Judges one check by what was seen.
pub fn judge(check: &Check, context: Context<'_>, observation: &Observation) -> Verdict {
    judge_without(check, context, observation, None)
}

/// The same as if nothing warned of this cause.
pub(crate) fn judge_without(
    check: &Check,
    context: Context<'_>,
    observation: &Observation,
    untold: Option<Cause>,
) -> Verdict {
    // A check of the name alone goes through nobody.
    let through = observation.through().filter(|_| check.target.kind != Kind::Dns);
    // The proxy resolves names by itself; what they are here matters where they should be private.
    let asks = through.is_none()
        || check.expectation.expect == Expect::Private
        || check.target.host.name().is_none();
    let names =
        if asks { names::judge(check, context, observation) } else { names::Names::default() };
    let climbs = addresses::judge(check, context, observation);
    let mut warnings = names.warnings;
    let refused = || through.and_then(|proxy| proxied::judge(check, proxy, observation.stalled.0));
    let fault = names.fault.or_else(refused).or_else(|| {
        warnings.extend(climbs.warnings);
        climbs.fault
    });
    let fault = fault.or_else(|| proof::missing(check, observation));
    let fault = fault.map(|fault| soften(check, fault));
    warnings.retain(|warning| Some(warning.cause) != untold);
    let phases = phases(observation);
    let (status, cause, culprit, summary) = match fault {
        Some(fault) => (fault.status, Some(fault.cause), Some(fault.culprit), fault.summary),
        None => match warnings.first() {
            Some(first) => (
                Status::Warn,
                Some(first.cause),
                Some(first.culprit.clone()),
                first.summary.clone(),
            ),
            None => {
                (Status::Pass, None, None, passed(check, context, observation, &climbs.addresses))
            }
        },
    };
    // What was connected to is the proxy's address, not the host's.
    let addresses = if through.is_some() { Vec::new() } else { climbs.addresses };
    Verdict {
        status,
        cause,
        layer: cause.map(|c| c.info().layer),
        culprit,
        summary: visible(&summary),
        warnings: warnings
            .into_iter()
            .map(|warning| Warning { summary: visible(&warning.summary), ..warning })
            .collect(),
        addresses,
        resolved_private: resolved_private(context, observation),
        phases,
    }
}

fn resolved_private(context: Context<'_>, observation: &Observation) -> bool {
    let addresses = match &observation.dns {
        Some(dns) => effective(dns).addresses(),
        None if observation.through().is_some() => Vec::new(),
        None => observation.climbs.iter().map(|climb| climb.ip).collect(),
    };
    !addresses.is_empty() && addresses.iter().all(|ip| context.network.is_private(*ip))
}

/// A host that only stands for a wildcard may simply not exist: that is worth a look, no proof.
fn soften(check: &Check, mut fault: Fault) -> Fault {
    let name_missing = matches!(fault.cause, Cause::DnsNxdomain | Cause::DnsNodata);
    if check.proof == Proof::Representative && check.pattern.contains('*') && name_missing {
        fault.status = Status::Warn;
        fault.summary = format!(
            "{} does not resolve; it only stands for {}, so ask the DNS team whether names below that pattern resolve from here.",
            check.target.host, check.pattern
        );
    }
    fault
}

pub(crate) fn phases(observation: &Observation) -> Phases {
    let mut phases =
        Phases { dns: observation.dns.as_ref().map(resolution_time), ..Phases::default() };
    for climb in &observation.climbs {
        match &climb.outcome {
            ClimbOutcome::Connected { elapsed, then, .. } if phases.connect.is_none() => {
                // To the target: behind a proxy that is when its tunnel is open.
                let tunnel = observation.through().filter(|_| matches!(then, AboveTcp::Tls(_)));
                phases.connect = Some(tunnel.map_or(*elapsed, |proxy| proxy.elapsed));
                match then {
                    AboveTcp::Nothing { .. } => {}
                    AboveTcp::Tls(tls) => {
                        phases.tls = Some(tls.elapsed);
                        if let TlsOutcome::Established { then: Some(http), .. } = &tls.outcome {
                            phases.http = Some(http.elapsed);
                        }
                    }
                    AboveTcp::Http(http) => phases.http = Some(http.elapsed),
                    AboveTcp::Smb(smb) => phases.http = Some(smb.elapsed),
                }
            }
            ClimbOutcome::Datagram(udp) if phases.http.is_none() => phases.http = Some(udp.elapsed),
            _ => {}
        }
    }
    phases
}

/// How long an application would have waited: every server up to the one that decided.
fn resolution_time(dns: &DnsObservation) -> Elapsed {
    if !dns.hosts_file.is_empty() {
        return Elapsed::default();
    }
    let mut total = Elapsed::default();
    for server in dns.configured() {
        total.0 += server.a.elapsed.max(server.aaaa.elapsed).0;
        if server.decides() {
            break;
        }
    }
    total
}

fn passed(
    check: &Check,
    context: Context<'_>,
    observation: &Observation,
    addresses: &[AddressVerdict],
) -> String {
    let target = check.target.authority();
    let ms = phases(observation).total().seconds() * 1e3;
    let good = addresses.iter().filter(|address| address.status == Status::Pass);
    let addresses: Vec<String> = good.map(|address| address.ip.to_string()).collect();
    let via = match addresses.as_slice() {
        [] => String::new(),
        [one] if *one == check.target.host.to_string() => String::new(),
        [first] => format!(" at {first}"),
        [first, rest @ ..] => format!(" at {first} and {} more", rest.len()),
    };
    let did = match check.target.kind {
        Kind::Dns => "resolves as expected",
        Kind::Tcp => "accepts TCP connections",
        Kind::Tls => "completes a TLS handshake with a trusted certificate",
        Kind::Http => "answers HTTP",
        Kind::Https => "answers HTTPS",
        Kind::Websocket => "upgrades to a WebSocket or asks for credentials first",
        Kind::Smb => "speaks SMB",
        Kind::Udp => "answers over UDP",
    };
    let remark = application::remark(check, context, observation)
        .map(|remark| format!("; {remark}"))
        .unwrap_or_default();
    match observation.through() {
        None => format!("{target}{via} {did} ({ms:.0} ms){remark}."),
        Some(proxy) if proxied::is_private(check, context.network) => format!(
            "{target} through the proxy {} {did} ({ms:.0} ms), but a private endpoint should be reached directly: add it to NO_PROXY.",
            proxy.url
        ),
        Some(proxy) => {
            format!("{target} through the proxy {} {did} ({ms:.0} ms){remark}.", proxy.url)
        }
    }
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
