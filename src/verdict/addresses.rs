//! Judges every address of a name on its own, then what the addresses say together.

use std::net::IpAddr;
use std::time::Duration;

use super::{AddressVerdict, Context, Fault, Warning, application, late, tls};
use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Culprit;
use crate::limits;
use crate::model::{Blame, Elapsed, Kind, Layer, Status, authority};
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, ConnectFailure, Experiment, LocalTrouble, NetworkError,
    Observation, ProxyObservation, TlsOutcome,
};

/// What the judgement of all addresses came to.
#[derive(Debug, Default)]
pub(super) struct Climbs {
    pub(super) fault: Option<Fault>,
    pub(super) warnings: Vec<Warning>,
    pub(super) addresses: Vec<AddressVerdict>,
}

/// The judgement of one address.
struct Judged {
    ip: IpAddr,
    fault: Option<Fault>,
    warnings: Vec<Warning>,
}

/// Judges every climb of a check.
pub(super) fn judge(check: &Check, context: Context<'_>, observation: &Observation) -> Climbs {
    if check.target.kind == Kind::Dns {
        return Climbs::default();
    }
    let judged: Vec<Judged> = observation
        .climbs
        .iter()
        .map(|climb| judge_one(check, context, observation, climb))
        .collect();
    let addresses: Vec<AddressVerdict> = judged
        .iter()
        .map(|one| match &one.fault {
            None => AddressVerdict { ip: one.ip, status: Status::Pass, cause: None },
            Some(fault) => {
                AddressVerdict { ip: one.ip, status: fault.status, cause: Some(fault.cause) }
            }
        })
        .collect();
    let (fault, warnings) = together(check, judged);
    Climbs { fault, warnings, addresses }
}

/// Makes one judgement of many. Addresses of which nothing is known (no network of that family
/// here, no socket left, silence over UDP) do not count while others do.
fn together(check: &Check, judged: Vec<Judged>) -> (Option<Fault>, Vec<Warning>) {
    let unknown =
        |one: &Judged| one.fault.as_ref().is_some_and(|fault| fault.status == Status::Unknown);
    let (unknown, counted): (Vec<Judged>, Vec<Judged>) = judged.into_iter().partition(unknown);
    let counted = if counted.is_empty() { unknown } else { counted };
    let (good, bad): (Vec<Judged>, Vec<Judged>) =
        counted.into_iter().partition(|one| one.fault.is_none());
    if good.is_empty() {
        return (bad.into_iter().find_map(|one| one.fault), Vec::new());
    }
    let good_ips: Vec<IpAddr> = good.iter().map(|one| one.ip).collect();
    let mut warnings: Vec<Warning> = Vec::new();
    warnings.extend(partial(check, &good_ips, &bad));
    for warning in good.into_iter().flat_map(|one| one.warnings) {
        if !warnings.iter().any(|known| known.cause == warning.cause) {
            warnings.push(warning);
        }
    }
    (None, warnings)
}

/// Some addresses work and some do not.
fn partial(check: &Check, good: &[IpAddr], bad: &[Judged]) -> Option<Warning> {
    let first = bad.first()?;
    let fault = first.fault.as_ref()?;
    let target = check.target.authority();
    let all_v6 = bad.iter().all(|one| one.ip.is_ipv6()) && good.iter().all(IpAddr::is_ipv4);
    let how = fault.cause.info().title.to_lowercase();
    Some(if all_v6 {
        Warning {
            cause: Cause::Ipv6Broken,
            culprit: Culprit::Ipv6,
            summary: format!(
                "{target} works over IPv4 but not over IPv6 ({}: {how}); programs that try IPv6 first are slow or fail, so ask the network team to repair IPv6 or to remove the AAAA records.",
                first.ip
            ),
        }
    } else {
        let broken: Vec<String> = bad.iter().map(|one| one.ip.to_string()).collect();
        let all = good.len() + bad.len();
        Warning {
            cause: Cause::AddressPartial,
            culprit: Culprit::Service(target.clone()),
            summary: format!(
                "{} of {all} addresses of {target} fail ({}: {how}), so it works only now and then; ask {} about {}.",
                bad.len(),
                broken.join(", "),
                if fault.cause.info().blame == Blame::Target {
                    "the service's owner"
                } else {
                    "the firewall team"
                },
                if broken.len() == 1 { "that address" } else { "those addresses" }
            ),
        }
    })
}

fn judge_one(
    check: &Check,
    context: Context<'_>,
    observation: &Observation,
    climb: &Climb,
) -> Judged {
    let connect = match &climb.outcome {
        ClimbOutcome::Connected { elapsed, .. } => *elapsed,
        _ => Elapsed::default(),
    };
    let experiments = &observation.experiments;
    let through = observation.through();
    // The climb stands at the proxy's address and port.
    let port = check.target.port.filter(|_| through.is_some()).unwrap_or(climb.port);
    let stalled = observation.stalled.0;
    let at = At { check, context, ip: climb.ip, port, connect, stalled, experiments, through };
    let mut warnings = Vec::new();
    let fault = match &climb.outcome {
        ClimbOutcome::NotConnected { elapsed, failure } => {
            Some(at.not_connected(*elapsed, failure))
        }
        ClimbOutcome::Connected { elapsed, then, .. } => {
            let theirs = elapsed.0.saturating_sub(at.stalled);
            if elapsed.0 > limits::SYN_RETRANSMITTED && theirs > limits::LONGEST_ROUND_TRIP {
                warnings.push(at.syn_loss(*elapsed));
            }
            let (fault, more) = at.above(then);
            warnings.extend(more);
            fault
        }
        ClimbOutcome::Datagram(udp) => application::udp(&at, udp),
    };
    let fault = fault.map(|fault| at.excused(fault, &climb.outcome));
    Judged { ip: climb.ip, fault, warnings }
}

/// One address of one check, for messages.
pub(super) struct At<'a> {
    pub(super) check: &'a Check,
    pub(super) context: Context<'a>,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    /// How long the connect took, where there was one.
    pub(super) connect: Elapsed,
    /// How long this machine kept the probe waiting.
    pub(super) stalled: Duration,
    /// The follow-ups of the check, at any address.
    pub(super) experiments: &'a [Experiment],
    /// The proxy on the way.
    pub(super) through: Option<&'a ProxyObservation>,
}

/// An unanswered neighbor search takes about this long before EHOSTUNREACH; a firewall's ICMP is quicker.
const NEIGHBOR_SEARCH: Duration = Duration::from_millis(2_500);

impl At<'_> {
    /// `host:port (address)`, or without the address when the host is one or a proxy stands before it.
    pub(super) fn place(&self) -> String {
        let target = authority(&self.check.target.host, self.port);
        if let Some(proxy) = self.through {
            format!("{target} through the proxy {}", proxy.url)
        } else if self.check.target.host.name().is_some() {
            format!("{target} ({})", self.ip)
        } else {
            target
        }
    }

    /// What one firewall rule covers.
    pub(super) fn path(&self) -> Culprit {
        if let Some(proxy) = self.through {
            return Culprit::Proxy(proxy.url.clone());
        }
        Culprit::Path { port: self.port, private: self.context.network.is_private(self.ip) }
    }

    fn protocol(&self) -> &'static str {
        if self.check.target.kind == Kind::Udp { "UDP" } else { "TCP" }
    }

    fn not_connected(&self, elapsed: Elapsed, failure: &ConnectFailure) -> Fault {
        let place = self.place();
        let seconds = elapsed.seconds();
        match failure {
            ConnectFailure::Timeout => self.docker().unwrap_or_else(|| {
                Fault::new(
                    Cause::TcpTimeout,
                    self.path(),
                    format!("{place} did not answer a TCP connect within {seconds:.1} s, so packets are dropped on the way; ask the firewall team to allow TCP {} to {}.", self.port, self.rule_target()),
                )
            }),
            ConnectFailure::Network(error) => self.network(elapsed, *error),
            ConnectFailure::Local(trouble) => self.local(*trouble),
        }
    }

    /// What is found at fault, unless this machine's own pause explains it. What a certificate says
    /// stays true after any pause.
    fn excused(&self, fault: Fault, outcome: &ClimbOutcome) -> Fault {
        let said = matches!(outcome, ClimbOutcome::Connected { then: AboveTcp::Tls(tls), .. }
            if matches!(tls.outcome, TlsOutcome::Established { .. }))
            && fault.cause.info().layer == Layer::Tls;
        if said || !late::is_late_climb(outcome, self.stalled) {
            return fault;
        }
        late::fault(&format!("{} did not answer", self.place()), self.stalled)
    }

    /// What a firewall rule would name: the address of a private endpoint, the name of a public host.
    pub(super) fn rule_target(&self) -> String {
        if self.through.is_none() && self.context.network.is_private(self.ip) {
            self.ip.to_string()
        } else {
            self.check.target.host.to_string()
        }
    }

    /// An error that the network or the far host sent.
    pub(super) fn network(&self, elapsed: Elapsed, error: NetworkError) -> Fault {
        let place = self.place();
        let (port, protocol) = (self.port, self.protocol());
        let seconds = elapsed.seconds();
        let unreachable = |why: String| {
            Fault::new(
                Cause::TcpUnreachable,
                self.path(),
                format!(
                    "{place} cannot be reached: {why}; ask the network team for a route to {}.",
                    self.ip
                ),
            )
        };
        match error {
            // A refusal answers the first packet; a reset comes after the handshake.
            NetworkError::Reset if self.check.target.kind != Kind::Udp => self.closed_on_accept(),
            NetworkError::Refused | NetworkError::Reset => Fault::new(
                Cause::TcpRefused,
                Culprit::Service(authority(&self.check.target.host, port)),
                format!(
                    "{place} refused the {} after {:.0} ms: nothing listens on {protocol} {port} there, or a firewall rejects it; ask the service's owner, then the firewall team.",
                    if self.check.target.kind == Kind::Udp { "datagram" } else { "connection" },
                    seconds * 1e3
                ),
            ),
            NetworkError::HostUnreachable if elapsed.0 < NEIGHBOR_SEARCH => {
                self.docker().unwrap_or_else(|| self.prohibited())
            }
            NetworkError::HostUnreachable => self
                .docker()
                .unwrap_or_else(|| unreachable("no machine answers at that address".to_owned())),
            NetworkError::Prohibited => self.prohibited(),
            NetworkError::NetworkUnreachable => unreachable("there is no route to it".to_owned()),
            NetworkError::Other(code) => unreachable(format!("the system reports error {code}")),
        }
    }

    fn closed_on_accept(&self) -> Fault {
        Fault::new(
            Cause::TcpClosedOnAccept,
            self.path(),
            format!(
                "{} accepted the connection and closed it at once; something in between answers for it, so ask the firewall team about TCP {}.",
                self.place(),
                self.port
            ),
        )
    }

    fn prohibited(&self) -> Fault {
        Fault::new(
            Cause::TcpProhibited,
            self.path(),
            format!(
                "{} is prohibited: a firewall or router answered with an ICMP error; ask the firewall team to allow {} {} to {}.",
                self.place(),
                self.protocol(),
                self.port,
                self.rule_target()
            ),
        )
    }

    /// Our own trouble.
    pub(super) fn local(&self, trouble: LocalTrouble) -> Fault {
        local(&self.place(), trouble)
    }

    /// A Docker bridge of this machine swallows the address.
    fn docker(&self) -> Option<Fault> {
        let bridge = self
            .context
            .machine
            .addresses
            .iter()
            .find(|a| a.is_docker_bridge() && a.network.contains(&self.ip))?;
        Some(Fault::new(
            Cause::DockerBridgeOverlap,
            Culprit::Machine,
            format!(
                "{} lies in {}, which the bridge {} of this machine keeps to itself; move the Docker bridge to another range.",
                self.place(),
                bridge.network.trunc(),
                bridge.interface
            ),
        ))
    }

    fn syn_loss(&self, elapsed: Elapsed) -> Warning {
        Warning {
            cause: Cause::TcpSynLoss,
            culprit: self.path(),
            summary: format!(
                "{} took {:.1} s to connect, which means that the first packet was lost and sent again; ask the network team about packet loss.",
                self.place(),
                elapsed.seconds()
            ),
        }
    }

    fn above(&self, then: &AboveTcp) -> (Option<Fault>, Vec<Warning>) {
        match then {
            AboveTcp::Nothing { closed: false } => (None, Vec::new()),
            AboveTcp::Nothing { closed: true } => (Some(self.closed_on_accept()), Vec::new()),
            AboveTcp::Tls(tls) => tls::judge(self, tls),
            AboveTcp::Http(http) => (application::http(self, http), Vec::new()),
            AboveTcp::Smb(smb) => (application::smb(self, smb), Vec::new()),
        }
    }
}

/// What stops this very machine on its way to a place.
pub(super) fn local(place: &str, trouble: LocalTrouble) -> Fault {
    let (cause, summary) = match trouble {
        LocalTrouble::NoNetwork => (
            Cause::LocalNoNetwork,
            format!("This machine has no route off itself toward {place}; bring its network up."),
        ),
        LocalTrouble::NoResolver => (
            Cause::LocalNoResolver,
            format!("This machine has no DNS server for {place}; set one in /etc/resolv.conf."),
        ),
        LocalTrouble::Exhausted => (
            Cause::LocalExhausted,
            format!(
                "This machine ran out of sockets, ports or memory before it could try {place}; raise its limits or lower schedule.concurrency."
            ),
        ),
    };
    Fault::new(cause, Culprit::Machine, summary)
}
