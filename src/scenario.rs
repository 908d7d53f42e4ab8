//! Whether the things people do can be done.

use std::sync::Arc;

use crate::cause::Cause;
use crate::model::Status;
use crate::plan::Plan;
use crate::snapshot::{CheckReport, ScenarioReport, ScenarioStatus};

/// The state of every scenario of a plan.
pub fn judge(plan: &Plan, checks: &[Arc<CheckReport>]) -> Vec<ScenarioReport> {
    plan.scenarios
        .iter()
        .map(|scenario| {
            let mut worst = ScenarioStatus::Ready;
            let mut blocked_by = Vec::new();
            let mut count = 0;
            for report in
                checks.iter().filter(|report| report.check.scenarios.contains(&scenario.id))
            {
                count += 1;
                let effect = effect(report);
                if effect > ScenarioStatus::Ready {
                    blocked_by.push((effect, report.check.id.clone()));
                }
                worst = worst.max(effect);
            }
            // Nothing measured is not the same as all well.
            let status = if count == 0 { ScenarioStatus::Unknown } else { worst };
            // What blocks comes before what only degrades; the plan's order within.
            blocked_by.sort_by_key(|(effect, _)| std::cmp::Reverse(*effect));
            ScenarioReport {
                scenario: scenario.clone(),
                status,
                blocked_by: blocked_by.into_iter().map(|(_, id)| id).collect(),
                checks: count,
            }
        })
        .collect()
}

/// What one check does to a scenario that needs it.
fn effect(report: &CheckReport) -> ScenarioStatus {
    match report.status() {
        Status::Pass => ScenarioStatus::Ready,
        Status::Fail if report.check.required => ScenarioStatus::Blocked,
        Status::Fail | Status::Warn => ScenarioStatus::Degraded,
        // Silence over UDP proves nothing, either way.
        Status::Unknown if report.cause() == Some(Cause::UdpNoEvidence) => ScenarioStatus::Ready,
        Status::Unknown => ScenarioStatus::Unknown,
    }
}
