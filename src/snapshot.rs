//! The one immutable value every output is made from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cause::Cause;
use crate::check::Check;
use crate::finding::Finding;
use crate::journal::{Archive, Journal, State, Strip};
use crate::machine::Machine;
use crate::model::{Kind, Status};
use crate::observation::Observation;
use crate::plan::Plan;
use crate::requirement::Scenario;
use crate::verdict::Verdict;

/// All that is known at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When measuring began.
    pub started_at: Timestamp,
    /// When every check had a result for the first time; absent before.
    pub first_round_at: Option<Timestamp>,
    /// Time between two runs of a check; absent for a one-shot run.
    pub interval: Option<Duration>,
    /// What is checked.
    pub plan: Arc<Plan>,
    /// What the machine says of itself.
    pub machine: Arc<Machine>,
    /// One report per check, in the plan's order.
    pub checks: Vec<Arc<CheckReport>>,
    /// Real-world faults, the one whose mending restores most first.
    pub findings: Vec<Finding>,
    /// Scenarios in the plan's order.
    pub scenarios: Vec<ScenarioReport>,
    /// Counters of the program itself.
    pub counters: Arc<Counters>,
    /// What happened lately.
    pub journal: Journal,
    /// Where history is kept.
    pub archive: Archive,
    /// Why the last reload of the configuration was refused; absent when it was not.
    pub reload_refused: Option<Arc<str>>,
}

/// What is known of one check.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The check.
    pub check: Arc<Check>,
    /// The published verdict; absent before the first result.
    pub verdict: Option<Arc<Verdict>>,
    /// What that verdict was judged from.
    pub observation: Option<Arc<Observation>>,
    /// When that measurement ended.
    pub last_run_at: Option<Timestamp>,
    /// When it last passed or warned.
    pub last_success_at: Option<Timestamp>,
    /// Since when the status and cause are what they are.
    pub since: Option<Timestamp>,
    /// Measurements made.
    pub attempts: u64,
    /// Measurements that failed.
    pub failures: u64,
    /// The last measurements, confirmed or not.
    pub strip: Strip,
}

impl CheckReport {
    /// A check that has no result yet.
    pub fn unmeasured(check: Arc<Check>) -> Self {
        Self {
            check,
            verdict: None,
            observation: None,
            last_run_at: None,
            last_success_at: None,
            since: None,
            attempts: 0,
            failures: 0,
            strip: Strip::default(),
        }
    }

    /// A check without a result is unknown.
    pub fn status(&self) -> Status {
        self.verdict.as_ref().map_or(Status::Unknown, |v| v.status)
    }

    /// The current cause; absent when it passes or has no result yet.
    pub fn cause(&self) -> Option<Cause> {
        self.verdict.as_ref().and_then(|v| v.cause)
    }

    /// Status and cause together.
    pub fn state(&self) -> State {
        State { status: self.status(), cause: self.cause() }
    }

    /// One sentence for people.
    pub fn summary(&self) -> &str {
        self.verdict.as_ref().map_or("not measured yet", |v| v.summary.as_str())
    }
}

crate::model::words! {
    /// Whether a thing people do can be done.
    ScenarioStatus {
        /// All it needs works.
        Ready = "ready",
        /// It works with something to look at.
        Degraded = "degraded",
        /// Not everything it needs could be measured.
        Unknown = "unknown",
        /// Something it needs does not work.
        Blocked = "blocked",
    }
}

/// The state of one scenario.
#[derive(Debug, Clone)]
pub struct ScenarioReport {
    /// The scenario.
    pub scenario: Scenario,
    /// Its state.
    pub status: ScenarioStatus,
    /// Ids of the checks that block or degrade it.
    pub blocked_by: Vec<String>,
    /// How many checks it has.
    pub checks: usize,
}

/// A Prometheus histogram as a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending.
    pub bounds: &'static [f64],
    /// Observations per bucket, not cumulative; one more than bounds.
    pub counts: Vec<u64>,
    /// Sum of all observations in seconds.
    pub sum: f64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Adds one observation in seconds.
    pub fn observe(&mut self, seconds: f64) {
        let bucket =
            self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += seconds;
    }

    /// How many observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Counters of one DNS server.
#[derive(Debug, Clone)]
pub struct ServerCounters {
    /// Questions sent.
    pub queries: u64,
    /// Questions without an answer, or answered SERVFAIL or REFUSED.
    pub failures: u64,
    /// Time to answer.
    pub duration: Histogram,
}

/// A phase of a probe, as in metrics.
pub type PhaseName = &'static str;

/// Counters of the program itself.
#[derive(Debug, Clone)]
pub struct Counters {
    /// How late probes started.
    pub lateness: Histogram,
    /// Probes running now.
    pub in_flight: usize,
    /// Runs skipped because the previous one of the same target was still going.
    pub skipped: u64,
    /// Time per phase and kind.
    pub phases: BTreeMap<(PhaseName, Kind), Histogram>,
    /// Per DNS server.
    pub dns_servers: BTreeMap<SocketAddr, ServerCounters>,
    /// When the configuration in use was loaded.
    pub config_loaded_at: Timestamp,
    /// How far this machine's clock was set since the start, all in all.
    pub clock_set: SignedDuration,
}

impl Counters {
    /// Counters of a program that has just loaded its configuration.
    pub fn new(now: Timestamp) -> Self {
        Self {
            lateness: Histogram::new(LATENESS_BOUNDS),
            in_flight: 0,
            skipped: 0,
            phases: BTreeMap::new(),
            dns_servers: BTreeMap::new(),
            config_loaded_at: now,
            clock_set: SignedDuration::ZERO,
        }
    }
}

/// Bucket bounds for lateness, in seconds.
pub const LATENESS_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Bucket bounds for phases and DNS answers, in seconds.
pub const PHASE_BOUNDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How many checks have each status, and how many requirements none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Passing.
    pub pass: usize,
    /// Passing with a warning.
    pub warn: usize,
    /// Failing.
    pub fail: usize,
    /// Not measured.
    pub unknown: usize,
    /// Requirements without a check.
    pub uncovered: usize,
}

impl Snapshot {
    /// Counts by status.
    pub fn summary(&self) -> Summary {
        let mut summary =
            Summary { uncovered: self.plan.uncovered().count(), ..Summary::default() };
        for report in &self.checks {
            match report.status() {
                Status::Pass => summary.pass += 1,
                Status::Warn => summary.warn += 1,
                Status::Fail => summary.fail += 1,
                Status::Unknown => summary.unknown += 1,
            }
        }
        summary
    }

    /// What people should know before they believe the rest: trouble of this machine and of this
    /// daemon, one sentence each.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.machine.troubles.clone();
        if let Some(reason) = &self.reload_refused {
            notices.push(format!(
                "The last reload was refused, so the configuration before it is still in use: {reason}"
            ));
        }
        notices.extend(self.archive.trouble());
        notices
    }

    /// Whether every check has a result.
    pub fn is_complete(&self) -> bool {
        self.first_round_at.is_some()
    }
}
