//! Whether the program says of a world what the world's file says it must.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::plan::{self, Plan};
use crate::world::{Told, World};

/// `vnetprobe check --format json`, as far as the worlds speak of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    schema: String,
    /// What is told to be wrong.
    pub(crate) findings: Vec<Finding>,
    scenarios: Vec<Scenario>,
    checks: Vec<Check>,
}

/// One finding as it was told.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) cause: String,
    pub(crate) title: String,
    pub(crate) explains: BTreeSet<String>,
    fix: Vec<String>,
    pub(crate) prove: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Scenario {
    id: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    kind: String,
    status: String,
    cause: Option<String>,
    summary: String,
    warnings: Vec<Warning>,
}

#[derive(Debug, Deserialize)]
struct Warning {
    cause: String,
    summary: String,
}

impl Check {
    /// All is well, or it is the silence of UDP, which says nothing either way.
    fn is_quiet(&self) -> bool {
        let mute = self.kind == "udp" && self.cause.as_deref() == Some("udp_no_evidence");
        let passes = self.status == "pass" && self.cause.is_none() && self.warnings.is_empty();
        passes || (mute && self.status == "unknown")
    }

    /// What is wrong with it, given the findings that must explain it.
    fn differs(&self, told: &[&Told]) -> Option<&'static str> {
        if told.is_empty() {
            return (!self.is_quiet()).then_some("should be quiet");
        }
        let warns = |cause: &String| self.warnings.iter().any(|warning| warning.cause == *cause);
        let mut accounted: BTreeSet<&String> = BTreeSet::new();
        for one in told {
            let by_cause = one.status.split(" or ").any(|status| status == self.status)
                && self.cause.as_ref().is_some_and(|cause| one.causes.contains(cause));
            let by_warning = one.status == "warn" && one.causes.iter().any(warns);
            if !by_cause && !by_warning {
                return Some("does not have the expected status and cause");
            }
            if !one.warnings.iter().all(warns) {
                return Some("lacks an expected warning");
            }
            if !one.says.iter().all(|words| self.summary.contains(words)) {
                return Some("does not say the expected words");
            }
            accounted.extend(one.warnings.iter().chain(&one.causes));
        }
        let surprise = self.warnings.iter().any(|warning| !accounted.contains(&warning.cause));
        surprise.then_some("has a warning that is not expected")
    }

    fn line(&self) -> String {
        let cause = self.cause.as_deref().unwrap_or("no cause");
        let warnings = match self.warnings.as_slice() {
            [] => String::new(),
            some => {
                let some = some.iter().map(|w| format!("{} ({})", w.cause, w.summary));
                format!(", warnings {}", some.collect::<Vec<_>>().join("; "))
            }
        };
        format!("{} is {} ({cause}): {}{warnings}", self.id, self.status, self.summary)
    }
}

impl Report {
    /// Reads a report.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        ensure!(!json.is_empty(), "nothing was printed; a report in JSON was expected");
        let report: Self = serde_json::from_slice(json).context("reading the report")?;
        ensure!(report.schema == "vnetprobe.report/v1", "unknown schema `{}`", report.schema);
        Ok(report)
    }

    /// Every way in which it is not what the world expects, one sentence each.
    pub(crate) fn differences(&self, world: &World, plan: &Plan, exit: Option<i32>) -> Vec<String> {
        let mut out = Vec::new();
        if exit != Some(world.expect.exit) {
            out.push(format!("exit code {exit:?} instead of {}", world.expect.exit));
        }
        let planned: BTreeSet<&str> = plan.checks().map(|check| check.id.as_str()).collect();
        let reported: BTreeSet<&str> = self.checks.iter().map(|check| check.id.as_str()).collect();
        if planned != reported {
            let differ: Vec<_> = planned.symmetric_difference(&reported).collect();
            out.push(format!("plan and report do not have the same checks: {differ:?}"));
        }
        let mut expected = expected(&world.expect.findings(), plan, &mut out);
        self.findings_differ(&expected, &mut out);
        expected.extend(self::expected(&world.expect.untold, plan, &mut out));
        for check in &self.checks {
            let told: Vec<&Told> = expected
                .iter()
                .filter(|(_, ids)| ids.contains(&check.id))
                .map(|(told, _)| told)
                .collect();
            if let Some(wrong) = check.differs(&told) {
                out.push(format!("{wrong}: {}", check.line()));
            }
        }
        self.scenarios_differ(world, &mut out);
        out
    }

    /// Which finding answers which expectation, by the checks they share.
    pub(crate) fn matched(&self, world: &World, plan: &Plan) -> Vec<(String, String)> {
        let mut left: Vec<&Finding> = self.findings.iter().collect();
        let mut pairs = Vec::new();
        for (told, ids) in expected(&world.expect.findings(), plan, &mut Vec::new()) {
            let fits = |finding: &&Finding| {
                let shared = finding.explains.intersection(&ids).count();
                (told.causes.contains(&finding.cause), shared)
            };
            let best = left
                .iter()
                .enumerate()
                .max_by_key(|(_, finding)| fits(finding))
                .filter(|(_, finding)| fits(finding) != (false, 0))
                .map(|(index, _)| index);
            let cause = best.map_or_else(nothing, |index| left.remove(index).cause.clone());
            pairs.push((told.causes.join(" or "), cause));
        }
        pairs.extend(left.into_iter().map(|finding| (nothing(), finding.cause.clone())));
        for (told, ids) in expected(&world.expect.untold, plan, &mut Vec::new()) {
            let checks = self.checks.iter().filter(|check| ids.contains(&check.id));
            let causes: BTreeSet<String> =
                checks.map(|check| check.cause.clone().unwrap_or_else(nothing)).collect();
            let causes: Vec<String> = causes.into_iter().collect();
            pairs.push((told.causes.join(" or "), causes.join(" and ")));
        }
        if pairs.is_empty() {
            pairs.push((nothing(), nothing()));
        }
        pairs
    }

    fn findings_differ(&self, expected: &[(Told, BTreeSet<String>)], out: &mut Vec<String>) {
        let title = |f: &Finding| format!("{} ({})", f.cause, f.title);
        let mut left: Vec<&Finding> = self.findings.iter().collect();
        for (told, ids) in expected {
            let named: Vec<&&Finding> =
                left.iter().filter(|f| told.causes.contains(&f.cause)).collect();
            let shared = |f: &Finding| f.explains.intersection(ids).count();
            let Some(finding) = named.into_iter().copied().max_by_key(|f| shared(f)) else {
                let all: Vec<String> = self.findings.iter().map(title).collect();
                out.push(format!("no finding is {}; told are {all:?}", told.causes.join(" or ")));
                continue;
            };
            left.retain(|other| !std::ptr::eq(*other, finding));
            for id in finding.explains.difference(ids) {
                out.push(format!("{} explains too much: {id}", title(finding)));
            }
            for id in ids.difference(&finding.explains) {
                out.push(format!("{} does not explain {id}", title(finding)));
            }
            if finding.fix.is_empty() || finding.prove.is_empty() {
                out.push(format!("{} says no fix or no proof", title(finding)));
            }
        }
        for finding in left {
            out.push(format!("there should be no finding {}", title(finding)));
        }
    }

    fn scenarios_differ(&self, world: &World, out: &mut Vec<String>) {
        let expect = &world.expect;
        for scenario in &self.scenarios {
            let lists = [
                ("blocked", &expect.blocked),
                ("degraded", &expect.degraded),
                ("unknown", &expect.unknown),
            ];
            // A name counts more than the star.
            let of = |word: &str| {
                let mut hit = lists.iter().filter(|(_, ids)| ids.iter().any(|id| id == word));
                hit.next().map(|(status, _)| *status)
            };
            let wanted = of(&scenario.id).or_else(|| of("*")).unwrap_or("ready");
            if scenario.status != wanted {
                let Scenario { id, status } = scenario;
                out.push(format!("scenario {id} is {status} instead of {wanted}"));
            }
        }
        for id in expect.blocked.iter().chain(&expect.degraded).chain(&expect.unknown) {
            if id != "*" && !self.scenarios.iter().any(|scenario| scenario.id == *id) {
                out.push(format!("there is no scenario {id}"));
            }
        }
    }
}

fn nothing() -> String {
    "(nothing)".to_owned()
}

/// What must be told, each with the ids of its checks.
fn expected(told: &[Told], plan: &Plan, out: &mut Vec<String>) -> Vec<(Told, BTreeSet<String>)> {
    let mut all = Vec::new();
    for told in told {
        let mut ids = BTreeSet::new();
        for pattern in &told.explains {
            let hit: Vec<&plan::Check> =
                plan.checks().filter(|check| fits(pattern, check)).collect();
            if hit.is_empty() {
                out.push(format!("the plan has no check of {pattern}"));
            }
            let except = |check: &plan::Check| told.except.iter().any(|p| fits(p, check));
            ids.extend(hit.into_iter().filter(|c| !except(c)).map(|check| check.id.clone()));
        }
        all.push((told.clone(), ids));
    }
    all
}

/// Whether a pattern of a world file is about a check.
fn fits(pattern: &str, check: &plan::Check) -> bool {
    let mut words = pattern.split_whitespace();
    let glob = words.next().unwrap_or_default();
    (like(glob, &check.authority()) || glob == check.id)
        && words.all(|word| word == check.expect || word == check.kind)
}

/// `*` stands for any text.
fn like(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| like(after, rest)))
        }),
    }
}
