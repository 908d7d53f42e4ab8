//! What is remembered of one check, and what its newest measurement changed.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::cause::Cause;
use crate::check::Check;
use crate::journal::{PastCheck, Sample, State, What};
use crate::limits;
use crate::model::{Elapsed, Status};
use crate::observation::Observation;
use crate::parameters::NetworkFacts;
use crate::resolution::effective;
use crate::snapshot::CheckReport;
use crate::verdict::{Context, Verdict, judge, judge_without};

use super::Next;

#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) report: Arc<CheckReport>,
    /// The last measurement differed from what is published and is being confirmed.
    in_doubt: bool,
    /// How many of the last measurements in a row lost a packet.
    losses: u32,
    /// What was published before this process started, until it is measured again.
    past: Option<(State, Timestamp)>,
    /// The addresses of the name when it last resolved.
    addresses: Vec<IpAddr>,
    /// Issuers of its certificates, the newest last.
    issuers: Vec<String>,
    /// The time it usually takes to pass.
    usual: Option<Elapsed>,
}

impl Remembered {
    pub(super) fn new(check: &Arc<Check>, past: Option<PastCheck>) -> Self {
        let mut report = CheckReport::unmeasured(Arc::clone(check));
        let past = past.map(|past| {
            report.last_success_at = past.last_success_at;
            report.strip = past.strip;
            (past.state, past.since)
        });
        Self {
            usual: report.strip.usual_time(limits::USUAL_OF),
            report: Arc::new(report),
            in_doubt: false,
            losses: 0,
            past,
            addresses: Vec::new(),
            issuers: Vec::new(),
        }
    }

    /// The same memory for the same check of a new plan.
    pub(super) fn adopt(&mut self, check: &Arc<Check>) {
        Arc::make_mut(&mut self.report).check = Arc::clone(check);
    }

    /// Moves all that was noted along with a clock that was set.
    pub(super) fn move_times(&mut self, by: SignedDuration) {
        let moved = |at: &mut Timestamp| *at = at.saturating_add(by).unwrap_or(*at);
        if let Some((_, since)) = &mut self.past {
            moved(since);
        }
        let report = Arc::make_mut(&mut self.report);
        let CheckReport { last_run_at, last_success_at, since, strip, .. } = report;
        [last_run_at, last_success_at, since].into_iter().flatten().for_each(moved);
        strip.move_times(by);
    }

    /// Keeps a lost packet to itself until it has company; who looks only once is told at once.
    pub(super) fn judge(
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

    /// Judges anew what was seen, by the facts of a new configuration; a change is no surprise then.
    pub(super) fn judge_again(&mut self, context: Context<'_>, whats: &mut Vec<What>) {
        let Some(observation) = self.report.observation.clone() else { return };
        let verdict = judge(&self.report.check, context, &observation);
        let at = self.report.last_run_at.unwrap_or(context.now);
        let mut report = CheckReport::clone(&self.report);
        self.publish(&mut report, verdict, Some(observation), at, whats);
        self.report = Arc::new(report);
    }

    pub(super) fn fold(
        &mut self,
        verdict: Verdict,
        observation: Option<Arc<Observation>>,
        network: &NetworkFacts,
        now: Timestamp,
        whats: &mut Vec<What>,
    ) -> Next {
        let mut report = CheckReport::clone(&self.report);
        let state = State { status: verdict.status, cause: verdict.cause };
        report.attempts += 1;
        report.failures += u64::from(verdict.status == Status::Fail);
        report.last_run_at = Some(now);
        if matches!(verdict.status, Status::Pass | Status::Warn) {
            report.last_success_at = Some(now);
        }
        let took = verdict.phases.named().iter().any(|(_, elapsed)| elapsed.is_some());
        let took = took.then(|| verdict.phases.total());
        report.strip.push(Sample::new(now, state, took));
        let changed = report.verdict.is_some() && report.state() != state;
        let next = if changed && !self.in_doubt {
            // One surprising result may be chance: look again before anyone is told.
            self.in_doubt = true;
            Next::Confirm
        } else {
            self.in_doubt = false;
            if let Some(observation) = &observation {
                self.compare(&report.check.id, observation, network, whats);
            }
            self.publish(&mut report, verdict, observation, now, whats);
            Next::Regular
        };
        self.compare_time(&report, whats);
        self.report = Arc::new(report);
        next
    }

    fn publish(
        &mut self,
        report: &mut CheckReport,
        verdict: Verdict,
        observation: Option<Arc<Observation>>,
        now: Timestamp,
        whats: &mut Vec<What>,
    ) {
        let to = State { status: verdict.status, cause: verdict.cause };
        let (from, since) = match (report.verdict.is_some(), self.past.take()) {
            (true, _) => (report.state(), report.since),
            (false, Some((state, since))) => (state, Some(since)),
            (false, None) => (State::UNMEASURED, None),
        };
        report.since = Some(if from == to { since.unwrap_or(now) } else { now });
        // A first result that passes is no news.
        let news = from != State::UNMEASURED || to.status != Status::Pass;
        if from != to && news {
            whats.push(What::Check {
                check: report.check.id.clone(),
                from,
                to,
                summary: verdict.summary.clone(),
                observation: observation.clone(),
            });
        }
        report.verdict = Some(Arc::new(verdict));
        report.observation = observation;
    }

    /// What the network shows now and did not show before.
    fn compare(
        &mut self,
        check: &str,
        observation: &Observation,
        network: &NetworkFacts,
        whats: &mut Vec<What>,
    ) {
        let mut addresses =
            observation.dns.as_ref().map(|dns| effective(dns).addresses()).unwrap_or_default();
        addresses.sort_unstable();
        if !addresses.is_empty() && addresses != self.addresses {
            let from = std::mem::replace(&mut self.addresses, addresses.clone());
            let private = from.iter().chain(&addresses).any(|ip| network.is_private(*ip));
            if !from.is_empty() && private {
                whats.push(What::Addresses { check: check.to_owned(), from, to: addresses });
            }
        }
        let leaf = observation.tls().and_then(|tls| tls.chain.first());
        // Nearly always it is the one of last time, and nothing moves.
        if let Some(issuer) =
            leaf.map(|leaf| &leaf.issuer).filter(|it| self.issuers.last() != Some(*it))
        {
            let known = self.issuers.contains(issuer);
            let from = self.issuers.last().cloned();
            self.issuers.retain(|other| other != issuer);
            self.issuers.push(issuer.clone());
            if self.issuers.len() > limits::KNOWN_ISSUERS {
                self.issuers.remove(0);
            }
            if let Some(from) = from.filter(|_| !known) {
                whats.push(What::Issuer { check: check.to_owned(), from, to: issuer.clone() });
            }
        }
    }

    /// Whether it now usually takes much longer or much less than it used to.
    fn compare_time(&mut self, report: &CheckReport, whats: &mut Vec<What>) {
        let Some(to) = report.strip.usual_time(limits::USUAL_OF) else { return };
        let Some(from) = self.usual else {
            self.usual = Some(to);
            return;
        };
        let (less, more) = (from.min(to).0, from.max(to).0);
        if more >= less * limits::LATENCY_FACTOR
            && more.saturating_sub(less) >= limits::LATENCY_STEP
        {
            self.usual = Some(to);
            whats.push(What::Latency { check: report.check.id.clone(), from, to });
        }
    }
}
