//! The plan on a terminal: what would be checked, what is not covered and why.

use std::fmt::Write as _;

use super::layout::{Layout, Tone};
use crate::plan::Plan;

/// The whole plan.
pub fn table(plan: &Plan, layout: Layout) -> String {
    let mut out = String::new();
    let covered = plan.requirements.iter().filter(|p| !p.checks.is_empty()).count();
    let line = format!(
        "{} requirements of {} (catalog {}): {covered} covered by {} checks of {} targets, {} not or not fully covered, {} of these because they do not apply here.",
        plan.requirements.len(),
        plan.cloud,
        plan.catalog_date,
        plan.checks.len(),
        plan.targets.len(),
        plan.uncovered().count(),
        plan.not_needed()
    );
    layout.hang_toned(&mut out, "", 0, &line, Some(Tone::Strong));
    for planned in &plan.requirements {
        let requirement = &planned.requirement;
        let ports: Vec<String> = requirement.ports.iter().map(ToString::to_string).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(":{}", ports.join(",")) };
        let _ = writeln!(out);
        layout.hang(
            &mut out,
            "",
            0,
            &format!(
                "{}  {}{ports}",
                layout.paint(Tone::Strong, &requirement.id),
                requirement.pattern
            ),
        );
        for check in plan.checks.get(planned.checks.clone()).unwrap_or_default() {
            let target = &check.target;
            let stands = match check.proof {
                crate::model::Proof::Exact => "",
                crate::model::Proof::Representative => ", stands for the pattern",
            };
            layout.hang(
                &mut out,
                "  → ",
                4,
                &format!(
                    "{} {} (expects {}{stands})",
                    target.authority(),
                    target.kind,
                    check.expectation.expect
                ),
            );
        }
        if let Some(why) = &planned.uncovered {
            let tone = if why.is_not_needed() { Tone::Quiet } else { Tone::Watch };
            layout.hang(
                &mut out,
                &format!("  {} ", layout.paint(tone, "uncovered:")),
                13,
                &why.to_string(),
            );
        }
    }
    out
}
