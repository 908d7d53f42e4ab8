//! Whether the program says of a world what the world's file says it must.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::plan::{self, Plan};
use crate::world::World;

/// `vnetprobe check --format json`, as far as the worlds speak of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    schema: String,
    findings: Vec<Finding>,
    scenarios: Vec<Scenario>,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    cause: String,
    title: String,
    explains: BTreeSet<String>,
    fix: Vec<String>,
    prove: Vec<String>,
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
    warnings: Vec<serde_json::Value>,
}

impl Check {
    /// All is well, or it is the silence of UDP, which says nothing either way.
    fn is_quiet(&self) -> bool {
        let mute = self.kind == "udp" && self.cause.as_deref() == Some("udp_no_evidence");
        let passes = self.status == "pass" && self.cause.is_none() && self.warnings.is_empty();
        passes || (mute && self.status == "unknown")
    }

    /// What is told of it: of a failure its cause, of a warning that of each.
    fn causes(&self) -> impl Iterator<Item = &str> {
        let warnings = self.warnings.iter().filter_map(|warning| warning["cause"].as_str());
        self.cause.as_deref().into_iter().chain(warnings)
    }

    fn line(&self) -> String {
        let cause = self.cause.as_deref().unwrap_or("no cause");
        let warnings = match self.warnings.as_slice() {
            [] => String::new(),
            some => format!(", warnings {}", serde_json::Value::from(some)),
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
        let broken = broken(world, plan, &mut out);
        self.findings_differ(world, &broken, &mut out);
        for check in &self.checks {
            if broken.contains(&check.id) {
                let wanted = &world.expect.status;
                let named = |cause: &str| world.expect.causes.iter().any(|named| named == cause);
                if check.status != *wanted || !check.causes().any(named) {
                    out.push(format!("should {wanted}: {}", check.line()));
                }
            } else if !check.is_quiet() {
                out.push(format!("should be quiet: {}", check.line()));
            }
        }
        self.scenarios_differ(world, &mut out);
        out
    }

    fn findings_differ(&self, world: &World, broken: &BTreeSet<String>, out: &mut Vec<String>) {
        let causes = &world.expect.causes;
        match self.findings.as_slice() {
            [] if causes.is_empty() => {}
            [finding] if causes.contains(&finding.cause) => {
                for id in finding.explains.difference(broken) {
                    out.push(format!("the finding explains too much: {id}"));
                }
                for id in broken.difference(&finding.explains) {
                    out.push(format!("the finding does not explain {id}"));
                }
                if finding.fix.is_empty() || finding.prove.is_empty() {
                    out.push("the finding says no fix or no proof".to_owned());
                }
            }
            findings => {
                let wanted =
                    if causes.is_empty() { "none".to_owned() } else { causes.join(" or ") };
                let told = findings.iter().map(|f| format!("{} ({})", f.cause, f.title));
                let told: Vec<String> = told.collect();
                out.push(format!("findings should be {wanted}, but are {told:?}"));
            }
        }
    }

    fn scenarios_differ(&self, world: &World, out: &mut Vec<String>) {
        let expect = &world.expect;
        for scenario in &self.scenarios {
            let every = expect.blocked.iter().any(|id| id == "*");
            let wanted = if every || expect.blocked.contains(&scenario.id) {
                "blocked"
            } else if expect.degraded.contains(&scenario.id) {
                "degraded"
            } else {
                "ready"
            };
            if scenario.status != wanted {
                let Scenario { id, status } = scenario;
                out.push(format!("scenario {id} is {status} instead of {wanted}"));
            }
        }
        for id in expect.blocked.iter().chain(&expect.degraded) {
            if id != "*" && !self.scenarios.iter().any(|scenario| scenario.id == *id) {
                out.push(format!("there is no scenario {id}"));
            }
        }
    }
}

/// The ids of the checks that the world breaks.
fn broken(world: &World, plan: &Plan, out: &mut Vec<String>) -> BTreeSet<String> {
    let mut named = |patterns: &[String]| {
        let mut ids = BTreeSet::new();
        for pattern in patterns {
            let before = ids.len();
            let hit = plan.checks().filter(|check| is_meant(pattern, check));
            ids.extend(hit.map(|check| check.id.clone()));
            if ids.len() == before {
                out.push(format!("the plan has no more check of {pattern}"));
            }
        }
        ids
    };
    let except = named(&world.expect.except);
    let mut broken = named(&world.expect.explains);
    broken.retain(|id| !except.contains(id));
    broken
}

/// Whether a world's file means this check: `HOST:PORT EXPECTATION`.
fn is_meant(pattern: &str, check: &plan::Check) -> bool {
    if check.id == pattern {
        return true;
    }
    let (authority, expect) = pattern.split_once(' ').unwrap_or((pattern, &check.expect));
    let fits = match authority.split_once('*') {
        None => check.authority() == authority,
        Some((start, end)) => {
            let text = check.authority();
            text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
        }
    };
    fits && expect == check.expect
}
