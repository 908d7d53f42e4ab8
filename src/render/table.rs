//! The answer on a terminal: findings first, then scenarios, then every check.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::evidence;
use super::headline::Headline;
use super::layout::{Layout, Tone, sign, verbatim};
use crate::cause::Cause;
use crate::finding::Finding;
use crate::model::{Status, visible};
use crate::snapshot::{CheckReport, ScenarioStatus, Snapshot};
use crate::wire::VERSION;

/// How much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What a person needs first.
    Brief,
    /// With the evidence of every check and all uncovered requirements.
    Verbose,
}

/// The whole answer.
pub fn report(snapshot: &Snapshot, layout: Layout, detail: Detail) -> String {
    let mut out = String::new();
    head(&mut out, snapshot, layout);
    for found in &snapshot.findings {
        finding(&mut out, snapshot, found, layout);
    }
    scenarios(&mut out, snapshot, layout);
    checks(&mut out, snapshot, layout, detail);
    uncovered(&mut out, snapshot, layout, detail);
    foot(&mut out, snapshot, layout);
    out
}

fn head(out: &mut String, snapshot: &Snapshot, layout: Layout) {
    let plan = &snapshot.plan;
    let catalog = if plan.catalog_date.is_empty() {
        String::new()
    } else {
        format!("catalog {}", plan.catalog_date)
    };
    let place: Vec<&str> = [plan.cloud.as_str(), &plan.region, &plan.workspace, &catalog]
        .into_iter()
        .filter(|w| !w.is_empty() && *w != "none")
        .collect();
    let line =
        format!("vnetprobe {VERSION} on {}  {}", snapshot.machine.hostname, place.join(", "));
    layout.hang_toned(out, "", 0, &line, Some(Tone::Quiet));
    for trouble in snapshot.notices() {
        layout.hang(out, "! ", 2, &trouble);
    }
    out.push('\n');
    layout.hang_toned(out, "", 0, &Headline::of(snapshot).text, Some(Tone::Strong));
}

fn finding(out: &mut String, snapshot: &Snapshot, found: &Finding, layout: Layout) {
    let (symbol, tone) = sign(found.status);
    out.push('\n');
    let lead = layout.paint(tone, &format!("{symbol} {}", found.status));
    layout.hang_toned(
        out,
        &format!("{lead}  "),
        4 + found.status.as_str().len(),
        &found.title,
        Some(Tone::Strong),
    );
    let titles: Vec<&str> = found
        .scenarios
        .iter()
        .map(|id| {
            snapshot
                .plan
                .scenarios
                .iter()
                .find(|s| s.id == *id)
                .map_or(id.as_str(), |s| s.title.as_str())
        })
        .collect();
    let lead = |label: &str| format!("  {}  ", layout.paint(Tone::Quiet, &format!("{label:<7}")));
    let mut row = |label: &str, text: &str| layout.hang(out, &lead(label), 11, text);
    row("cause", found.cause.as_str());
    if !titles.is_empty() {
        row(if found.status == Status::Fail { "blocks" } else { "touches" }, &titles.join("; "));
    }
    for line in &found.evidence {
        row("seen", line);
    }
    for step in &found.fix {
        // The sentence is for reading, the commands below it for copying.
        let (sentence, commands) = step.split_once('\n').unwrap_or((step, ""));
        layout.hang(out, &lead("ask"), 11, sentence);
        if !commands.is_empty() {
            verbatim(out, &" ".repeat(11), 11, commands);
        }
    }
    for line in &found.prove {
        verbatim(out, &lead("show"), 11, line);
    }
}

fn scenarios(out: &mut String, snapshot: &Snapshot, layout: Layout) {
    if snapshot.scenarios.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", layout.paint(Tone::Strong, "Scenarios"));
    for report in &snapshot.scenarios {
        let (symbol, tone) = match report.status {
            ScenarioStatus::Ready => sign(Status::Pass),
            ScenarioStatus::Degraded => sign(Status::Warn),
            ScenarioStatus::Unknown => sign(Status::Unknown),
            ScenarioStatus::Blocked => sign(Status::Fail),
        };
        let lead = layout.paint(tone, &format!("{symbol} {:<8}", report.status));
        let why = match (report.status, report.checks) {
            (_, 0) => "; no check covers it yet".to_owned(),
            (ScenarioStatus::Ready, _) => String::new(),
            (_, checks) => format!("; {} of its {checks} checks", report.blocked_by.len()),
        };
        layout.hang(out, &format!("  {lead}  "), 14, &format!("{}{why}", report.scenario.title));
    }
}

fn checks(out: &mut String, snapshot: &Snapshot, layout: Layout, detail: Detail) {
    let _ = writeln!(out, "\n{}", layout.paint(Tone::Strong, "Checks"));
    let mut shown: BTreeSet<(&crate::check::Target, Option<Cause>)> = BTreeSet::new();
    let groups = snapshot.plan.scenarios.iter().map(|s| (s.title.as_str(), Some(s.id.as_str())));
    for (title, id) in groups.chain([("Other", None)]) {
        let belongs = |r: &&std::sync::Arc<CheckReport>| {
            id.is_none_or(|id| r.check.scenarios.iter().any(|s| s == id))
        };
        let mut rows: Vec<&CheckReport> = Vec::new();
        for report in snapshot.checks.iter().filter(belongs) {
            // Needed by several requirements, measured once, told once.
            if shown.insert((&report.check.target, report.cause())) {
                rows.push(report);
            }
        }
        if rows.is_empty() {
            continue;
        }
        if !snapshot.plan.scenarios.is_empty() {
            let _ = writeln!(out, "  {}", layout.paint(Tone::Quiet, &visible(title)));
        }
        rows.sort_by_key(|report| std::cmp::Reverse(report.status()));
        for report in rows {
            check(out, report, layout, detail);
        }
    }
}

fn check(out: &mut String, report: &CheckReport, layout: Layout, detail: Detail) {
    let (symbol, tone) = sign(report.status());
    let lead = format!("    {} ", layout.paint(tone, &format!("{symbol} {:<7}", report.status())));
    let target = format!("{} {}", report.check.target.authority(), report.check.target.kind);
    let text = match (&report.verdict, report.cause()) {
        (Some(verdict), None) => {
            format!("{target}  {:.0} ms", verdict.phases.total().seconds() * 1e3)
        }
        (_, Some(cause)) => format!("{target}  {cause}\n{}", report.summary()),
        (None, None) => format!("{target}  {}", report.summary()),
    };
    layout.hang(out, &lead, 14, &text);
    if detail == Detail::Verbose {
        for line in evidence::lines(report) {
            layout.hang_toned(out, &" ".repeat(16), 16, &line, Some(Tone::Quiet));
        }
    }
}

fn uncovered(out: &mut String, snapshot: &Snapshot, layout: Layout, detail: Detail) {
    let count = snapshot.plan.uncovered().count();
    if count == 0 {
        return;
    }
    if detail == Detail::Brief {
        let _ = writeln!(out);
        let not_needed = snapshot.plan.not_needed();
        let text = match (count - not_needed, not_needed) {
            (_, 0) => format!("{count} requirements are not (fully) covered"),
            (0, _) => format!("{count} requirements do not apply here"),
            (applying, others) => format!(
                "{applying} requirements are not (fully) covered and {others} do not apply here"
            ),
        };
        layout.hang(out, "", 0, &format!("{text}; `vnetprobe plan` or --verbose tells why."));
        return;
    }
    let _ = writeln!(out, "\n{}", layout.paint(Tone::Strong, "Not covered"));
    for (requirement, reason) in snapshot.plan.uncovered() {
        layout.hang(
            out,
            "  - ",
            4,
            &format!("{} ({}): {reason}", requirement.pattern, requirement.id),
        );
    }
}

fn foot(out: &mut String, snapshot: &Snapshot, layout: Layout) {
    let summary = snapshot.summary();
    let seconds = snapshot.taken_at.duration_since(snapshot.started_at).as_secs_f64();
    let line = format!(
        "{} pass, {} warn, {} fail, {} unknown, {} uncovered in {seconds:.1} s",
        summary.pass, summary.warn, summary.fail, summary.unknown, summary.uncovered
    );
    let _ = writeln!(out);
    layout.hang_toned(out, "", 0, &line, Some(Tone::Strong));
}
