//! Folds results into what is published: confirmation, counters, times, events. Pure; time is an
//! argument.

mod remembered;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cause::Cause;
use crate::check::Target;
use crate::finding::{self, Culprit, Finding};
use crate::journal::{Archive, Journal, Past, What};
use crate::limits;
use crate::machine::Machine;
use crate::model::{Layer, Status, visible};
use crate::observation::{DnsFailure, Exchange, ExchangeOutcome, Observation, Rcode};
use crate::parameters::NetworkFacts;
use crate::plan::Plan;
use crate::remedy::Situation;
use crate::scenario;
use crate::schedule::Slot;
use crate::snapshot::{CheckReport, Counters, Histogram, PHASE_BOUNDS, ServerCounters, Snapshot};
use crate::verdict::{Context, Phases, Verdict, is_late};

use remembered::Remembered;

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
    /// All checks before this one have a result, and perhaps more.
    measured: usize,
    /// Positions of the checks of each target.
    by_slot: Vec<Vec<usize>>,
    counters: Counters,
    started_at: Timestamp,
    first_round_at: Option<Timestamp>,
    journal: Journal,
    /// Findings by id with their cause: when each was first seen, and whether that was told.
    open: BTreeMap<(String, Cause), Open>,
    archive: Archive,
    reload_refused: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    first_seen: Timestamp,
    told: bool,
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
    /// A memory of what was before; every check is unknown until it is measured.
    pub fn new(setting: Setting, mut past: Past, now: Timestamp) -> Self {
        let checks = &setting.plan.checks;
        let open = |key| (key, Open { first_seen: now, told: true });
        Self {
            checks: checks.iter().map(|c| Remembered::new(c, past.checks.remove(&c.id))).collect(),
            measured: 0,
            by_slot: by_slot(&setting.plan),
            counters: Counters::new(now),
            started_at: now,
            first_round_at: None,
            journal: Journal::after(past.last_event),
            open: std::mem::take(&mut past.open).into_iter().map(open).collect(),
            archive: Archive::default(),
            reload_refused: None,
            setting,
        }
    }

    /// Notes in the journal that the daemon started.
    pub fn note_start(&mut self, version: &str) {
        let checks = self.checks.len();
        self.journal.push(self.started_at, What::Started { version: version.to_owned(), checks });
    }

    /// Goes on with a new plan. Checks that are the same keep all that is known of them.
    pub fn replace(&mut self, setting: Setting, reason: &str, now: Timestamp) {
        let same_facts =
            setting.network == self.setting.network && setting.machine == self.setting.machine;
        let mut before: BTreeMap<String, Remembered> = std::mem::take(&mut self.checks)
            .into_iter()
            .map(|remembered| (remembered.report.check.id.clone(), remembered))
            .collect();
        let (old, mut kept) = (before.len(), 0);
        let mut whats = Vec::new();
        let context = Context { network: &setting.network, machine: &setting.machine, now };
        let checks = setting.plan.checks.iter().map(|check| {
            let same = before.remove(&check.id).filter(|r| *r.report.check == **check);
            let Some(mut remembered) = same else { return Remembered::new(check, None) };
            kept += 1;
            remembered.adopt(check);
            if !same_facts {
                remembered.judge_again(context, &mut whats);
            }
            remembered
        });
        self.checks = checks.collect();
        self.by_slot = by_slot(&setting.plan);
        let (added, removed) = (self.checks.len() - kept, old - kept);
        self.journal.push(now, What::Reloaded { reason: visible(reason), added, removed });
        self.note(whats, now);
        self.counters.config_loaded_at = now;
        self.reload_refused = None;
        if added > 0 {
            self.first_round_at = None;
        }
        self.measured = 0;
        self.note_first_round(now);
        self.setting = setting;
    }

    /// Notes that a new configuration was refused.
    pub fn refuse_reload(&mut self, reason: &str, now: Timestamp) {
        let reason = visible(reason);
        self.journal.push(now, What::ReloadFailed { reason: reason.clone() });
        self.reload_refused = Some(reason.into());
    }

    /// Goes on by a clock that somebody set: what is remembered stays as old as it is.
    pub fn clock_set(&mut self, by: SignedDuration, now: Timestamp) {
        let moved = |at: &mut Timestamp| *at = at.saturating_add(by).unwrap_or(*at);
        moved(&mut self.started_at);
        self.first_round_at.iter_mut().for_each(moved);
        moved(&mut self.counters.config_loaded_at);
        self.open.values_mut().for_each(|open| moved(&mut open.first_seen));
        self.checks.iter_mut().for_each(|check| check.move_times(by));
        self.counters.clock_set += by;
        self.journal.push(now, What::ClockSet { from: now.saturating_sub(by).unwrap_or(now) });
    }

    /// Notes how keeping history goes.
    pub fn set_archive(&mut self, archive: Archive) {
        self.archive = archive;
    }

    /// Folds the result of one target into all its checks.
    pub fn fold(&mut self, slot: Slot, outcome: &Outcome, now: Timestamp) -> Next {
        if let Outcome::Observed(observation) = outcome {
            self.count(slot, observation);
        }
        let one_shot = self.setting.interval.is_none();
        let indices = self.by_slot.get(slot).cloned().unwrap_or_default();
        let mut next = Next::Regular;
        let mut whats = Vec::new();
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
            let network = &self.setting.network;
            if remembered.fold(verdict, observation, network, now, &mut whats) == Next::Confirm {
                next = Next::Confirm;
            }
        }
        self.note(whats, now);
        self.note_first_round(now);
        next
    }

    fn note(&mut self, whats: Vec<What>, now: Timestamp) {
        for what in whats {
            self.journal.push(now, what);
        }
    }

    fn note_first_round(&mut self, now: Timestamp) {
        if self.first_round_at.is_some() {
            return;
        }
        // Once measured, a check stays so: each is looked at once in a round, not after every result.
        let rest = self.checks.iter().skip(self.measured);
        self.measured += rest.take_while(|check| check.report.verdict.is_some()).count();
        if self.measured == self.checks.len() {
            self.first_round_at = Some(now);
        }
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
                let ours = is_ours(exchange, observation.stalled.0);
                counters.failures += u64::from(!ours && !answered(exchange));
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
    pub fn snapshot(&mut self, now: Timestamp, in_flight: usize, skipped: u64) -> Snapshot {
        let checks: Vec<Arc<CheckReport>> =
            self.checks.iter().map(|c| self.aged(&c.report, now)).collect();
        let findings = finding::correlate(&checks, self.situation(now));
        self.note_findings(&findings, now);
        Snapshot {
            taken_at: now,
            started_at: self.started_at,
            first_round_at: self.first_round_at,
            interval: self.setting.interval,
            plan: Arc::clone(&self.setting.plan),
            machine: Arc::clone(&self.setting.machine),
            findings,
            scenarios: scenario::judge(&self.setting.plan, &checks),
            checks,
            counters: Arc::new(Counters { in_flight, skipped, ..self.counters.clone() }),
            journal: self.journal.clone(),
            archive: self.archive.clone(),
            reload_refused: self.reload_refused.clone(),
        }
    }

    /// Tells of findings that have stood for an interval, and of told ones that are gone. While a
    /// fault spreads over the checks its finding changes shape; nobody is told of those shapes.
    fn note_findings(&mut self, findings: &[Finding], now: Timestamp) {
        let Some(interval) = self.setting.interval.filter(|_| self.first_round_at.is_some()) else {
            return;
        };
        let stands = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        let key = |finding: &Finding| (finding.id.clone(), finding.cause);
        let seen: BTreeSet<(String, Cause)> = findings.iter().map(key).collect();
        let journal = &mut self.journal;
        self.open.retain(|(id, cause), open| {
            let stays = seen.contains(&(id.clone(), *cause));
            if !stays && open.told {
                journal.push(now, What::Closed { finding: id.clone(), cause: *cause });
            }
            stays
        });
        for finding in findings {
            let open = Open { first_seen: now, told: false };
            let open = self.open.entry(key(finding)).or_insert(open);
            if !open.told && now.duration_since(open.first_seen) >= stands {
                open.told = true;
                self.journal.push(
                    now,
                    What::Opened {
                        finding: finding.id.clone(),
                        cause: finding.cause,
                        title: finding.title.clone(),
                        scenarios: finding.scenarios.clone(),
                    },
                );
            }
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

/// Positions of the checks of each target.
fn by_slot(plan: &Plan) -> Vec<Vec<usize>> {
    let slots = plan.targets.iter().enumerate();
    let position: BTreeMap<*const Target, Slot> =
        slots.map(|(slot, target)| (Arc::as_ptr(target), slot)).collect();
    let mut by_slot = vec![Vec::new(); plan.targets.len()];
    for (index, check) in plan.checks.iter().enumerate() {
        let slot = position.get(&Arc::as_ptr(&check.target));
        if let Some(indices) = slot.and_then(|slot| by_slot.get_mut(*slot)) {
            indices.push(index);
        }
    }
    by_slot
}

fn answered(exchange: &Exchange) -> bool {
    exchange.answer().is_some_and(|answer| matches!(answer.rcode, Rcode::NoError | Rcode::NxDomain))
}

/// Whether a question came to nothing on this very machine: no failure of the server.
fn is_ours(exchange: &Exchange, stalled: Duration) -> bool {
    matches!(exchange.outcome, ExchangeOutcome::Failed(DnsFailure::Local(_)))
        || is_late(exchange, stalled)
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
