//! Which follow-ups a failure is worth and how often they may be made: decided without a packet.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::check::Target;
use crate::limits;
use crate::model::{Cloud, Elapsed, Host};
use crate::observation::{
    AboveTcp, Climb, ClimbOutcome, DnsFailure, Exchange, ExchangeOutcome, Experiment, HttpOutcome,
    Observation, ServerObservation, SmbOutcome, TlsFailure, TlsOutcome, TrustResult,
};
use crate::schedule::Repeat;

/// One follow-up that is worth making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A handshake with another server name, the first or a later one of [`Passed::others`].
    OtherName {
        /// The address of the failure.
        at: SocketAddr,
        /// Which other name.
        nth: usize,
    },
    /// A connection on which nothing is said.
    SilentWait {
        /// The address of the failure.
        at: SocketAddr,
    },
    /// The same handshake with small TCP segments.
    SmallSegments {
        /// The address of the failure.
        at: SocketAddr,
    },
    /// A greeting in one small packet.
    SmallGreeting {
        /// The address of the failure.
        at: SocketAddr,
    },
    /// The same greeting, too large for one packet.
    LargeGreeting {
        /// The address of the failure.
        at: SocketAddr,
    },
    /// A plain HTTP request on the TLS port.
    ClearText {
        /// The address of the failure.
        at: SocketAddr,
    },
    /// The question that failed over UDP.
    DnsOverTcp {
        /// The server.
        server: SocketAddr,
        /// It is the question for IPv6 addresses.
        ipv6: bool,
    },
}

impl Wanted {
    /// Whether it asks the same as another, be it at another address of the name: load balancers
    /// move addresses about, and what lies on the way is the same.
    fn is_like(self, other: Self) -> bool {
        use Wanted::{
            ClearText, DnsOverTcp, LargeGreeting, OtherName, SilentWait, SmallGreeting,
            SmallSegments,
        };
        let near =
            |a: SocketAddr, b: SocketAddr| a.port() == b.port() && a.is_ipv4() == b.is_ipv4();
        match (self, other) {
            (OtherName { at: a, nth: n }, OtherName { at: b, nth: m }) => near(a, b) && n == m,
            (SilentWait { at: a }, SilentWait { at: b })
            | (SmallSegments { at: a }, SmallSegments { at: b })
            | (SmallGreeting { at: a }, SmallGreeting { at: b })
            | (LargeGreeting { at: a }, LargeGreeting { at: b })
            | (ClearText { at: a }, ClearText { at: b }) => near(a, b),
            (DnsOverTcp { .. }, DnsOverTcp { .. }) => self == other,
            _ => false,
        }
    }
}

// --------------------------------------------------------------------------------- what to try

/// The follow-ups that can tell what lies behind a failure, the most telling first; none when
/// nothing failed or nothing more can be learned.
pub fn plan(target: &Target, seen: &Observation) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    // Through a proxy, the address is the proxy's: what happens behind it is its own story.
    if seen.through().is_none() {
        wanted.extend(handshakes(&seen.climbs));
        wanted.extend(silence(&seen.climbs));
    }
    if target.host.name().is_some() {
        wanted.extend(questions(seen));
    }
    wanted.truncate(limits::EXPERIMENTS_PER_PROBE);
    wanted
}

/// The first failing address is looked at from all sides, every other one with one other name.
fn handshakes(climbs: &[Climb]) -> Vec<Wanted> {
    let mut failed = climbs.iter().filter_map(|climb| {
        Some((SocketAddr::new(climb.ip, climb.port), failed_handshake(climb)?))
    });
    let Some((at, first)) = failed.next() else { return Vec::new() };
    let (name, second) = (Wanted::OtherName { at, nth: 0 }, Wanted::OtherName { at, nth: 1 });
    let silent = Wanted::SilentWait { at };
    let clear = Wanted::ClearText { at };
    let mut wanted = match first {
        TlsFailure::Closed { heard: false } | TlsFailure::Reset { heard: false } => {
            vec![name, silent, clear, second]
        }
        TlsFailure::Timeout => vec![
            name,
            Wanted::SmallSegments { at },
            Wanted::SmallGreeting { at },
            Wanted::LargeGreeting { at },
            silent,
            second,
        ],
        TlsFailure::NotTls(_) => vec![clear],
        _ => Vec::new(),
    };
    let others = failed.filter(|(_, failure)| {
        matches!(
            failure,
            TlsFailure::Closed { heard: false }
                | TlsFailure::Reset { heard: false }
                | TlsFailure::Timeout
        )
    });
    wanted.extend(others.map(|(at, _)| Wanted::OtherName { at, nth: 0 }));
    wanted
}

/// Where the other side closed on a request in the clear: perhaps it closes on no request as well.
fn silence(climbs: &[Climb]) -> Option<Wanted> {
    let closed = |climb: &&Climb| match &climb.outcome {
        ClimbOutcome::Connected { then: AboveTcp::Smb(smb), .. } => {
            smb.outcome == SmbOutcome::Closed
        }
        ClimbOutcome::Connected { then: AboveTcp::Http(http), .. } => {
            http.outcome == HttpOutcome::Closed
        }
        _ => false,
    };
    let climb = climbs.iter().find(closed)?;
    Some(Wanted::SilentWait { at: SocketAddr::new(climb.ip, climb.port) })
}

fn failed_handshake(climb: &Climb) -> Option<&TlsFailure> {
    match &climb.outcome {
        ClimbOutcome::Connected { then: AboveTcp::Tls(tls), .. } => match &tls.outcome {
            TlsOutcome::Failed(failure) => Some(failure),
            TlsOutcome::Established { .. } => None,
        },
        _ => None,
    }
}

/// Servers that applications ask and that gave no usable answer over UDP.
fn questions(seen: &Observation) -> Vec<Wanted> {
    let unanswered = |exchange: &Exchange| {
        matches!(
            &exchange.outcome,
            ExchangeOutcome::Failed(
                DnsFailure::Timeout | DnsFailure::Unreachable(_) | DnsFailure::Malformed(_)
            )
        )
    };
    let question = |server: &ServerObservation| {
        let ipv6 = !unanswered(&server.a);
        (!server.decides() && (!ipv6 || unanswered(&server.aaaa)))
            .then_some(Wanted::DnsOverTcp { server: server.server, ipv6 })
    };
    seen.dns.iter().flat_map(|dns| dns.configured().filter_map(question)).collect()
}

// --------------------------------------------------------------------------------- other names

/// Names to try in place of a failing one: those whose TLS passed lately, then well-known ones.
#[derive(Debug)]
pub struct Passed {
    lately: VecDeque<Host>,
    known: Vec<Host>,
}

impl Passed {
    /// The well-known names of a cloud: whoever works with it must let these pass.
    pub fn new(cloud: Cloud) -> Self {
        let sign_in = match cloud {
            Cloud::UsGovernment => "login.microsoftonline.us",
            Cloud::China => "login.chinacloudapi.cn",
            Cloud::Public | Cloud::None => "login.microsoftonline.com",
        };
        let known = [sign_in, "mcr.microsoft.com", "www.microsoft.com"];
        Self {
            lately: VecDeque::new(),
            known: known.map(|name| Host::Name(name.to_owned())).to_vec(),
        }
    }

    /// Notes a name that a handshake just passed with, over a trusted certificate.
    pub fn note(&mut self, name: &Host) {
        if self.lately.front() == Some(name) || name.name().is_none() {
            return;
        }
        self.lately.retain(|known| known != name);
        self.lately.push_front(name.clone());
        self.lately.truncate(limits::PASSED_NAMES);
    }

    /// Two names other than this one: the one that passed last, if any, and a well-known one, as
    /// a name that passed by a rule for its addresses may not pass elsewhere.
    pub fn others(&self, than: &Host) -> Vec<Host> {
        let mut others: Vec<Host> =
            self.lately.iter().filter(|name| *name != than).take(1).cloned().collect();
        for known in self.known.iter().filter(|name| *name != than) {
            if others.len() < 2 && !others.contains(known) {
                others.push(known.clone());
            }
        }
        others
    }
}

/// The names in an observation that a filter let pass: trusted handshakes with public addresses.
/// Private names stay at home: another name is shown to whoever holds the failing address.
pub fn passed(target: &Target, seen: &Observation, is_private: impl Fn(IpAddr) -> bool) -> bool {
    seen.through().is_none()
        && target.host.name().is_some()
        && seen.climbs.iter().any(|climb| match &climb.outcome {
            ClimbOutcome::Connected { then: AboveTcp::Tls(tls), .. } => {
                matches!(tls.outcome, TlsOutcome::Established { .. })
                    && tls
                        .trust
                        .as_ref()
                        .is_some_and(|trust| trust.effective() == &TrustResult::Trusted)
                    && !is_private(climb.ip)
            }
            _ => false,
        })
}

// ----------------------------------------------------------------------------------- how often

/// What follow-ups were made for which host lately. Time is since some fixed moment.
#[derive(Debug)]
pub struct Recent {
    rounds: usize,
    hosts: HashMap<Host, Made>,
}

#[derive(Debug, Default)]
struct Made {
    at: VecDeque<Duration>,
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    plan: Vec<Wanted>,
    at: Duration,
    confirmed: bool,
    experiments: Vec<Experiment>,
}

/// Whether to make follow-ups.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Make them now.
    Make,
    /// Those of a moment ago stand; making them again would be more than a host is asked for.
    Stand {
        /// What came of them.
        experiments: Vec<Experiment>,
        /// How long ago.
        age: Elapsed,
    },
    /// Neither.
    Nothing,
}

impl Recent {
    /// Nothing was made yet. A daemon comes back every minute and must not press a host; a single
    /// run probes every target once, and each may follow up.
    pub fn new(repeat: Repeat) -> Self {
        let rounds = match repeat {
            Repeat::Once => usize::MAX,
            Repeat::Every(_) => limits::EXPERIMENT_ROUNDS,
        };
        Self { rounds, hosts: HashMap::new() }
    }

    /// Decides, and counts what is to be made.
    pub fn decide(&mut self, host: &Host, plan: &[Wanted], now: Duration) -> Decision {
        if !self.hosts.contains_key(host) && self.hosts.len() >= limits::EXPERIMENT_HOSTS {
            self.hosts.retain(|_, made| {
                made.at.back().is_some_and(|at| now.saturating_sub(*at) < limits::EXPERIMENTS_KEPT)
            });
            if self.hosts.len() >= limits::EXPERIMENT_HOSTS {
                return Decision::Nothing;
            }
        }
        let made = self.hosts.entry(host.clone()).or_default();
        made.at.retain(|at| now.saturating_sub(*at) < limits::EXPERIMENT_WINDOW);
        made.kept.retain(|kept| now.saturating_sub(kept.at) < limits::EXPERIMENTS_KEPT);
        let room = made.at.len() < self.rounds;
        let kept = made.kept.iter().find(|kept| alike(&kept.plan, plan));
        match kept {
            Some(kept)
                if !room
                    || kept.confirmed
                        && now.saturating_sub(kept.at) < limits::EXPERIMENTS_RENEWED_AFTER =>
            {
                Decision::Stand {
                    experiments: kept.experiments.clone(),
                    age: Elapsed(now.saturating_sub(kept.at)),
                }
            }
            None if !room => Decision::Nothing,
            _ => {
                made.at.push_back(now);
                Decision::Make
            }
        }
    }

    /// Remembers what came of follow-ups.
    pub fn keep(
        &mut self,
        host: &Host,
        plan: Vec<Wanted>,
        experiments: Vec<Experiment>,
        now: Duration,
    ) {
        let Some(made) = self.hosts.get_mut(host) else { return };
        let before = made.kept.len();
        made.kept.retain(|kept| !alike(&kept.plan, &plan));
        let confirmed = made.kept.len() < before;
        made.kept.push_front(Kept { plan, at: now, confirmed, experiments });
        made.kept.truncate(limits::EXPERIMENT_PLANS);
    }
}

fn alike(one: &[Wanted], other: &[Wanted]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.is_like(*b))
}

#[cfg(test)]
mod tests;
