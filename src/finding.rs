//! Real-world faults: failing checks with the same cause and the same culprit are one finding.
//!
//! `merge` then makes one finding of what is one fault although the checks name it differently, and
//! of what only follows from another fault. `title` puts it into one sentence.

mod merge;
mod title;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::limits;
use crate::model::{Status, visible};
use crate::remedy::{self, Case, Remedy, Situation};
use crate::snapshot::CheckReport;

pub use crate::culprit::Culprit;

/// One real-world fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The same for the same fault, whichever checks it explains at the moment.
    pub id: String,
    /// Its cause.
    pub cause: Cause,
    /// The worst status among the checks it explains.
    pub status: Status,
    /// What is at fault.
    pub culprit: Culprit,
    /// One sentence: what, where, how much.
    pub title: String,
    /// Since when the first of the checks it explains has been as it is.
    pub since: Option<Timestamp>,
    /// Ids of the checks it explains.
    pub explains: Vec<String>,
    /// Ids of the scenarios it blocks or degrades.
    pub scenarios: Vec<String>,
    /// What was seen, one sentence each, bounded.
    pub evidence: Vec<String>,
    /// What to ask whom, one step each; commands follow on lines of their own.
    pub fix: Vec<String>,
    /// Commands and log queries that show the same without vnetprobe.
    pub prove: Vec<String>,
}

/// What one check adds to a finding.
struct Share<'a> {
    report: &'a CheckReport,
    cause: Cause,
    culprit: Culprit,
    status: Status,
    summary: &'a str,
    /// It only follows from the fault, so it tells nothing of it.
    follows: bool,
}

impl Share<'_> {
    fn host(&self) -> String {
        self.report.check.target.host.to_string()
    }

    fn blames(&mut self, cause: Cause, culprit: &Culprit) {
        self.cause = cause;
        self.culprit = culprit.clone();
    }
}

/// Groups what is wrong with the checks into faults, the one whose mending restores most first.
pub fn correlate(checks: &[Arc<CheckReport>], situation: Situation<'_>) -> Vec<Finding> {
    let mut shares: Vec<Share<'_>> = checks.iter().flat_map(|report| told(report)).collect();
    merge::merge(&mut shares, checks);
    let mut groups: BTreeMap<(Cause, Culprit), Vec<Share<'_>>> = BTreeMap::new();
    for share in shares {
        groups.entry((share.cause, share.culprit.clone())).or_default().push(share);
    }
    let weights = weights(&groups);
    let mut findings: Vec<(Weight, Finding)> = groups
        .into_iter()
        .zip(weights)
        .map(|(((cause, culprit), shares), weight)| {
            let answers = title::has_answered(&culprit, checks);
            (weight, finding(cause, culprit, &shares, answers, situation))
        })
        .collect();
    findings.sort_by(|(a, f), (b, g)| {
        let order = |weight: &Weight, f: &Finding| (Reverse(f.status), *weight, f.cause);
        order(a, f).cmp(&order(b, g)).then_with(|| f.culprit.cmp(&g.culprit))
    });
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// What is wrong with one check: its fault, or each thing to look at.
fn told(report: &CheckReport) -> Vec<Share<'_>> {
    let Some(verdict) = &report.verdict else { return Vec::new() };
    let share = |cause, culprit: &Culprit, status, summary| Share {
        report,
        cause,
        culprit: culprit.clone(),
        status,
        summary,
        follows: false,
    };
    match (verdict.status, verdict.cause, &verdict.culprit) {
        // Silence over UDP is no fault, and no proof of health either.
        (Status::Pass, ..) | (_, Some(Cause::UdpNoEvidence), _) => Vec::new(),
        (Status::Warn, ..) if !verdict.warnings.is_empty() => verdict
            .warnings
            .iter()
            .map(|w| share(w.cause, &w.culprit, Status::Warn, w.summary.as_str()))
            .collect(),
        (status, Some(cause), Some(culprit)) => {
            vec![share(cause, culprit, status, verdict.summary.as_str())]
        }
        _ => Vec::new(),
    }
}

/// What mending a fault restores, more first: scenarios that nothing else blocks, scenarios it
/// blocks, scenarios it touches, checks.
type Weight = (Reverse<usize>, Reverse<usize>, Reverse<usize>, Reverse<usize>);

fn weights(groups: &BTreeMap<(Cause, Culprit), Vec<Share<'_>>>) -> Vec<Weight> {
    let needed = |share: &Share<'_>| share.status == Status::Fail && share.report.check.required;
    let blocked: Vec<BTreeSet<&str>> = groups
        .values()
        .map(|shares| {
            let needed = shares.iter().filter(|share| needed(share));
            needed.flat_map(|share| &share.report.check.scenarios).map(String::as_str).collect()
        })
        .collect();
    let mut blockers: BTreeMap<&str, usize> = BTreeMap::new();
    for scenario in blocked.iter().flatten() {
        *blockers.entry(scenario).or_default() += 1;
    }
    groups
        .values()
        .zip(&blocked)
        .map(|(shares, blocked)| {
            let alone = blocked.iter().filter(|s| blockers.get(*s) == Some(&1)).count();
            let touched: BTreeSet<&String> =
                shares.iter().flat_map(|share| &share.report.check.scenarios).collect();
            (
                Reverse(alone),
                Reverse(blocked.len()),
                Reverse(touched.len()),
                Reverse(explained(shares).len()),
            )
        })
        .collect()
}

fn explained(shares: &[Share<'_>]) -> Vec<String> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let ids = shares.iter().map(|share| share.report.check.id.as_str());
    ids.filter(|id| known.insert(id)).map(str::to_owned).collect()
}

fn finding(
    cause: Cause,
    culprit: Culprit,
    shares: &[Share<'_>],
    answers: bool,
    situation: Situation<'_>,
) -> Finding {
    let mut scenarios: Vec<String> = Vec::new();
    for scenario in shares.iter().flat_map(|share| &share.report.check.scenarios) {
        if !scenarios.contains(scenario) {
            scenarios.push(scenario.clone());
        }
    }
    // What only follows is explained, but the fault itself shows in the others.
    let own: Vec<&Share<'_>> = match shares.iter().filter(|s| !s.follows).collect::<Vec<_>>() {
        own if own.is_empty() => shares.iter().collect(),
        own => own,
    };
    let mut hosts: Vec<String> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for share in &own {
        let host = share.host();
        if known.insert(host.clone()) {
            hosts.push(host);
        }
    }
    let Remedy { fix, prove } = remedied(cause, &culprit, &own, situation);
    Finding {
        id: id(cause, &culprit),
        since: own.iter().filter_map(|share| share.report.since).min(),
        cause,
        status: shares.iter().map(|share| share.status).max().unwrap_or(cause.info().status),
        title: visible(&title::title(cause, &culprit, &hosts, answers)),
        culprit,
        explains: explained(shares),
        scenarios,
        evidence: evidence(&own),
        fix,
        prove,
    }
}

/// Cause and culprit, in characters that need no escape in a URL or a label.
fn id(cause: Cause, culprit: &Culprit) -> String {
    let mut id = format!("{cause}@");
    for c in culprit.to_string().chars().take(limits::TEXT_CHARS) {
        let kept = c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_');
        match c.to_ascii_lowercase() {
            c if kept => id.push(c),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    id
}

fn evidence(own: &[&Share<'_>]) -> Vec<String> {
    let mut evidence: Vec<String> = Vec::new();
    for share in own {
        if !evidence.iter().any(|line| line == share.summary) {
            evidence.push(share.summary.to_owned());
        }
    }
    let more = evidence.len().saturating_sub(limits::FINDING_EVIDENCE);
    evidence.truncate(limits::FINDING_EVIDENCE);
    if more > 0 {
        evidence.push(format!("and {more} more like these"));
    }
    evidence
}

fn remedied(
    cause: Cause,
    culprit: &Culprit,
    own: &[&Share<'_>],
    situation: Situation<'_>,
) -> Remedy {
    let cases: Vec<Case<'_>> = own
        .iter()
        .filter_map(|share| {
            let verdict = share.report.verdict.as_deref()?;
            let observation = share.report.observation.as_deref();
            let CheckReport { check, since, .. } = share.report;
            Some(Case { check, verdict, observation, since: *since })
        })
        .collect();
    remedy::remedy(cause, culprit, &cases, situation)
}
