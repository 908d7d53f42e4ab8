//! Folds results into what is published: confirmation, counters, times. Pure; time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cause::Cause;
use crate::check::Target;
use crate::finding::{self, Culprit};
use crate::limits;
use crate::machine::Machine;
use crate::model::{Layer, Status, visible};
use crate::observation::{Exchange, Observation, Rcode};
use crate::parameters::NetworkFacts;
use crate::plan::Plan;
use crate::remedy::Situation;
use crate::scenario;
use crate::schedule::Slot;
use crate::snapshot::{CheckReport, Counters, Histogram, PHASE_BOUNDS, ServerCounters, Snapshot};
use crate::verdict::{Context, Phases, Verdict, judge, judge_without};

/// What was told about the run as a whole.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What is checked.
    pub plan: Arc<Plan>,
    /// What verdicts are judged against.
    pub network: Arc<NetworkFacts>,
    /// This machine.
    pub machine: Arc<Machine>,
    /// Time between two runs; absent for a one-shot run.
    pub interval: Option<Duration>,
    /// The longest one check can take.
    pub budget: Duration,
}

/// All that is remembered.
#[derive(Debug)]
pub struct History {
    setting: Setting,
    checks: Vec<Remembered>,
    /// Positions of the checks of each target.
    by_slot: Vec<Vec<usize>>,
    counters: Counters,
    started_at: Timestamp,
    first_round_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Remembered {
    report: Arc<CheckReport>,
    /// The last measurement differed from what is published and is being confirmed.
    in_doubt: bool,
    /// How many of the last measurements in a row lost a packet.
    losses: u32,
}

/// What one run of a target came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was measured.
    Observed(Arc<Observation>),
    /// The probe itself broke down: our fault.
    Broken(String),
}

/// What the engine should do after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing special.
    Regular,
    /// Measure again soon before the change is believed.
    Confirm,
}

impl History {
    /// An empty memory: every check is unknown until it is measured.
    pub fn new(setting: Setting, now: Timestamp) -> Self {
        let position: BTreeMap<*const Target, Slot> = setting
            .plan
            .targets
            .iter()
            .enumerate()
            .map(|(slot, target)| (Arc::as_ptr(target), slot))
            .collect();
        let mut by_slot = vec![Vec::new(); setting.plan.targets.len()];
        let mut checks = Vec::with_capacity(setting.plan.checks.len());
        for (index, check) in setting.plan.checks.iter().enumerate() {
            if let Some(slots) =
                position.get(&Arc::as_ptr(&check.target)).and_then(|slot| by_slot.get_mut(*slot))
            {
                slots.push(index);
            }
            let report = CheckReport::unmeasured(Arc::clone(check));
            checks.push(Remembered { report: Arc::new(report), in_doubt: false, losses: 0 });
        }
        let counters = Counters::new(now);
        Self { setting, checks, by_slot, counters, started_at: now, first_round_at: None }
    }

    /// Folds the result of one target into all its checks.
    pub fn fold(&mut self, slot: Slot, outcome: &Outcome, now: Timestamp) -> Next {
        if let Outcome::Observed(observation) = outcome {
            self.count(slot, observation);
        }
        let one_shot = self.setting.interval.is_none();
        let indices = self.by_slot.get(slot).cloned().unwrap_or_default();
        let mut next = Next::Regular;
        for index in indices {
            let Some(remembered) = self.checks.get_mut(index) else { continue };
            let (verdict, observation) = match outcome {
                Outcome::Observed(observation) => {
                    let context = Context {
                        network: &self.setting.network,
                        machine: &self.setting.machine,
                        now,
                    };
                    (
                        remembered.judge(context, observation, one_shot),
                        Some(Arc::clone(observation)),
                    )
                }
                Outcome::Broken(why) => (broken(&remembered.report.check.target, why), None),
            };
            if remembered.fold(verdict, observation, now) == Next::Confirm {
                next = Next::Confirm;
            }
        }
        if self.first_round_at.is_none() && self.checks.iter().all(|c| c.report.verdict.is_some()) {
            self.first_round_at = Some(now);
        }
        next
    }

    /// Notes how late a probe started.
    pub fn started(&mut self, lateness: Duration) {
        self.counters.lateness.observe(lateness.as_secs_f64());
    }

    fn count(&mut self, slot: Slot, observation: &Observation) {
        for server in observation.dns.iter().flat_map(|dns| &dns.servers) {
            let counters = self.counters.dns_servers.entry(server.server).or_insert_with(|| {
                ServerCounters { queries: 0, failures: 0, duration: Histogram::new(PHASE_BOUNDS) }
            });
            for exchange in [&server.a, &server.aaaa] {
                counters.queries += 1;
                counters.failures += u64::from(!answered(exchange));
                counters.duration.observe(exchange.elapsed.seconds());
            }
        }
        let Some(target) = self.setting.plan.targets.get(slot) else { return };
        for (phase, elapsed) in crate::verdict::phases(observation).named() {
            if let Some(elapsed) = elapsed {
                let histogram = self
                    .counters
                    .phases
                    .entry((phase, target.kind))
                    .or_insert_with(|| Histogram::new(PHASE_BOUNDS));
                histogram.observe(elapsed.seconds());
            }
        }
    }

    /// What is known at `now`.
    pub fn snapshot(&self, now: Timestamp, in_flight: usize, skipped: u64) -> Snapshot {
        let checks: Vec<Arc<CheckReport>> =
            self.checks.iter().map(|c| self.aged(&c.report, now)).collect();
        Snapshot {
            taken_at: now,
            started_at: self.started_at,
            first_round_at: self.first_round_at,
            interval: self.setting.interval,
            plan: Arc::clone(&self.setting.plan),
            machine: Arc::clone(&self.setting.machine),
            findings: finding::correlate(&checks, self.situation(now)),
            scenarios: scenario::judge(&self.setting.plan, &checks),
            checks,
            counters: Arc::new(Counters { in_flight, skipped, ..self.counters.clone() }),
        }
    }

    fn situation(&self, now: Timestamp) -> Situation<'_> {
        let Setting { plan, network, machine, .. } = &self.setting;
        Situation {
            cloud: plan.cloud,
            region: &plan.region,
            workspace: &plan.workspace,
            machine,
            network,
            now,
        }
    }

    /// A result that is too old says nothing any more: the check is overdue, and that is our fault.
    fn aged(&self, report: &Arc<CheckReport>, now: Timestamp) -> Arc<CheckReport> {
        let Some(interval) = self.setting.interval else { return Arc::clone(report) };
        let limit = interval * limits::OVERDUE_INTERVALS + self.setting.budget;
        let age = now.duration_since(report.last_run_at.unwrap_or(self.started_at));
        if age <= SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX) {
            return Arc::clone(report);
        }
        let target = report.check.target.authority();
        let (age, due) = (age.as_secs(), interval.as_secs());
        let since = match report.last_run_at {
            Some(_) => format!("was last measured {age} s ago"),
            None => format!("was never measured in {age} s"),
        };
        let summary = format!(
            "{target} {since} although it is due every {due} s; this machine or vnetprobe is overloaded or was suspended."
        );
        let verdict = ours(Cause::Overdue, &summary);
        Arc::new(CheckReport { verdict: Some(Arc::new(verdict)), ..CheckReport::clone(report) })
    }
}

impl Remembered {
    /// Keeps a lost packet to itself until it has company; who looks only once is told at once.
    fn judge(
        &mut self,
        context: Context<'_>,
        observation: &Observation,
        one_shot: bool,
    ) -> Verdict {
        let check = &self.report.check;
        let verdict = judge(check, context, observation);
        let lost = verdict.warnings.iter().any(|warning| warning.cause == Cause::TcpSynLoss);
        self.losses = if lost { self.losses.saturating_add(1) } else { 0 };
        if !lost || one_shot || self.losses >= limits::LOSSES_IN_A_ROW {
            return verdict;
        }
        judge_without(check, context, observation, Some(Cause::TcpSynLoss))
    }

    fn fold(
        &mut self,
        verdict: Verdict,
        observation: Option<Arc<Observation>>,
        now: Timestamp,
    ) -> Next {
        let mut report = CheckReport::clone(&self.report);
        report.attempts += 1;
        report.failures += u64::from(verdict.status == Status::Fail);
        report.last_run_at = Some(now);
        if matches!(verdict.status, Status::Pass | Status::Warn) {
            report.last_success_at = Some(now);
        }
        let changed = report
            .verdict
            .as_ref()
            .is_some_and(|v| (v.status, v.cause) != (verdict.status, verdict.cause));
        let next = if changed && !self.in_doubt {
            // One surprising result may be chance: look again before anyone is told.
            self.in_doubt = true;
            Next::Confirm
        } else {
            self.in_doubt = false;
            if changed || report.since.is_none() {
                report.since = Some(now);
            }
            report.verdict = Some(Arc::new(verdict));
            report.observation = observation;
            Next::Regular
        };
        self.report = Arc::new(report);
        next
    }
}

fn answered(exchange: &Exchange) -> bool {
    exchange.answer().is_some_and(|answer| matches!(answer.rcode, Rcode::NoError | Rcode::NxDomain))
}

fn broken(target: &Target, why: &str) -> Verdict {
    ours(
        Cause::Overdue,
        &format!(
            "vnetprobe itself broke down while it probed {} ({why}); please report this.",
            target.authority()
        ),
    )
}

fn ours(cause: Cause, summary: &str) -> Verdict {
    Verdict {
        status: Status::Unknown,
        cause: Some(cause),
        layer: Some(Layer::Local),
        culprit: Some(Culprit::Machine),
        summary: visible(summary),
        warnings: Vec::new(),
        addresses: Vec::new(),
        resolved_private: false,
        phases: Phases::default(),
    }
}

#[cfg(test)]
mod tests;
