//! The JSON shapes: what other programs read. Field names and their order are contract
//! (`vnetprobe.report/v1`, `vnetprobe.plan/v1`).

mod history;

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::cause::Cause;
use crate::finding::Finding;
use crate::model::{Elapsed, Expect, Host, Kind, Layer, Status, Transport, is_hidden};
use crate::observation::Observation;
use crate::plan::Plan;
use crate::snapshot::{CheckReport, ScenarioReport, ScenarioStatus, Snapshot, Summary};

pub use history::{Kept, history_json};

/// This build's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The source revision this build was made from, when the build was told.
pub const REVISION: &str = match option_env!("VNETPROBE_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    schema: &'static str,
    tool: Tool<'a>,
    vantage: Vantage<'a>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    duration_seconds: f64,
    complete: bool,
    /// How a daemon keeps history; a one-shot run has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<history::Keeping<'a>>,
    summary: SummaryShape,
    findings: Vec<FindingShape<'a>>,
    scenarios: Vec<ScenarioShape<'a>>,
    checks: Vec<CheckShape<'a>>,
    uncovered: Vec<Uncovered<'a>>,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    version: &'static str,
    revision: &'static str,
    catalog: CatalogShape<'a>,
}

#[derive(Debug, Serialize)]
struct CatalogShape<'a> {
    cloud: &'static str,
    date: &'a str,
}

#[derive(Debug, Serialize)]
struct Vantage<'a> {
    hostname: &'a str,
    addresses: Vec<String>,
    dns_servers: Vec<String>,
    proxy: Option<&'a str>,
    region: &'a str,
}

#[derive(Debug, Serialize)]
struct SummaryShape {
    pass: usize,
    warn: usize,
    fail: usize,
    unknown: usize,
    uncovered: usize,
}

#[derive(Debug, Serialize)]
struct FindingShape<'a> {
    id: &'a str,
    since: Option<Timestamp>,
    cause: Cause,
    status: Status,
    title: &'a str,
    explains: &'a [String],
    scenarios: &'a [String],
    evidence: &'a [String],
    fix: &'a [String],
    prove: &'a [String],
}

#[derive(Debug, Serialize)]
struct ScenarioShape<'a> {
    id: &'a str,
    title: &'a str,
    status: ScenarioStatus,
    blocked_by: &'a [String],
}

#[derive(Debug, Serialize)]
struct CheckShape<'a> {
    id: &'a str,
    requirement: &'a str,
    host: &'a Host,
    port: Option<u16>,
    kind: Kind,
    expect: Expect,
    status: Status,
    cause: Option<Cause>,
    layer: Option<Layer>,
    summary: &'a str,
    warnings: Vec<WarningShape<'a>>,
    addresses: Vec<AddressShape>,
    phases: PhasesShape,
    scenarios: &'a [String],
    since: Option<Timestamp>,
    last_run_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    evidence: Evidence<'a>,
}

#[derive(Debug, Serialize)]
struct WarningShape<'a> {
    cause: Cause,
    summary: &'a str,
}

#[derive(Debug, Serialize)]
struct AddressShape {
    ip: std::net::IpAddr,
    status: Status,
    cause: Option<Cause>,
}

#[derive(Debug, Serialize)]
struct PhasesShape {
    dns: Option<Elapsed>,
    connect: Option<Elapsed>,
    tls: Option<Elapsed>,
    http: Option<Elapsed>,
}

/// An object in every case, so that readers need no special one before the first result.
#[derive(Debug, Serialize)]
struct Evidence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<&'a Observation>,
}

#[derive(Debug, Serialize)]
struct Uncovered<'a> {
    requirement: &'a str,
    pattern: &'a str,
    ports: &'a [u16],
    reason: String,
}

/// The report of a snapshot.
pub fn report(snapshot: &Snapshot) -> Report<'_> {
    let machine = &snapshot.machine;
    let finished_at = snapshot
        .checks
        .iter()
        .filter_map(|c| c.last_run_at)
        .max()
        .filter(|_| snapshot.is_complete());
    let end = finished_at.unwrap_or(snapshot.taken_at);
    Report {
        schema: "vnetprobe.report/v1",
        tool: Tool {
            version: VERSION,
            revision: REVISION,
            catalog: CatalogShape {
                cloud: snapshot.plan.cloud.as_str(),
                date: &snapshot.plan.catalog_date,
            },
        },
        vantage: Vantage {
            hostname: &machine.hostname,
            addresses: machine.addresses.iter().map(|a| a.network.addr().to_string()).collect(),
            dns_servers: machine.dns_servers.iter().map(ToString::to_string).collect(),
            proxy: machine.proxy.as_deref(),
            region: &snapshot.plan.region,
        },
        started_at: snapshot.started_at,
        finished_at,
        duration_seconds: end.duration_since(snapshot.started_at).as_secs_f64(),
        complete: snapshot.is_complete(),
        history: snapshot.interval.map(|_| history::keeping(&snapshot.archive)),
        summary: summary(snapshot.summary()),
        findings: snapshot.findings.iter().map(finding).collect(),
        scenarios: snapshot.scenarios.iter().map(scenario).collect(),
        checks: snapshot.checks.iter().map(|report| check(report)).collect(),
        uncovered: uncovered(&snapshot.plan),
    }
}

fn summary(summary: Summary) -> SummaryShape {
    let Summary { pass, warn, fail, unknown, uncovered } = summary;
    SummaryShape { pass, warn, fail, unknown, uncovered }
}

fn finding(finding: &Finding) -> FindingShape<'_> {
    FindingShape {
        id: &finding.id,
        since: finding.since,
        cause: finding.cause,
        status: finding.status,
        title: &finding.title,
        explains: &finding.explains,
        scenarios: &finding.scenarios,
        evidence: &finding.evidence,
        fix: &finding.fix,
        prove: &finding.prove,
    }
}

fn scenario(report: &ScenarioReport) -> ScenarioShape<'_> {
    ScenarioShape {
        id: &report.scenario.id,
        title: &report.scenario.title,
        status: report.status,
        blocked_by: &report.blocked_by,
    }
}

fn check(report: &CheckReport) -> CheckShape<'_> {
    let verdict = report.verdict.as_deref();
    let phases = verdict.map(|v| v.phases).unwrap_or_default();
    CheckShape {
        id: &report.check.id,
        requirement: &report.check.requirement,
        host: &report.check.target.host,
        port: report.check.target.port,
        kind: report.check.target.kind,
        expect: report.check.expectation.expect,
        status: report.status(),
        cause: report.cause(),
        layer: verdict.and_then(|v| v.layer),
        summary: report.summary(),
        warnings: verdict
            .map(|v| {
                v.warnings
                    .iter()
                    .map(|w| WarningShape { cause: w.cause, summary: &w.summary })
                    .collect()
            })
            .unwrap_or_default(),
        addresses: verdict
            .map(|v| {
                v.addresses
                    .iter()
                    .map(|a| AddressShape { ip: a.ip, status: a.status, cause: a.cause })
                    .collect()
            })
            .unwrap_or_default(),
        phases: PhasesShape {
            dns: phases.dns,
            connect: phases.connect,
            tls: phases.tls,
            http: phases.http,
        },
        scenarios: &report.check.scenarios,
        since: report.since,
        last_run_at: report.last_run_at,
        last_success_at: report.last_success_at,
        evidence: Evidence { observation: report.observation.as_deref() },
    }
}

fn uncovered(plan: &Plan) -> Vec<Uncovered<'_>> {
    plan.uncovered()
        .map(|(requirement, reason)| Uncovered {
            requirement: &requirement.id,
            pattern: requirement.pattern.as_str(),
            ports: &requirement.ports,
            reason: reason.to_string(),
        })
        .collect()
}

/// The plan as JSON.
#[derive(Debug, Serialize)]
pub struct PlanShape<'a> {
    schema: &'static str,
    catalog: CatalogShape<'a>,
    requirements: Vec<RequirementShape<'a>>,
}

#[derive(Debug, Serialize)]
struct RequirementShape<'a> {
    id: &'a str,
    pattern: &'a str,
    ports: &'a [u16],
    transport: Transport,
    scenarios: &'a [String],
    service_tag: Option<&'a str>,
    zone: Option<&'a str>,
    service: Option<crate::model::Service>,
    direction: crate::model::Direction,
    required: bool,
    edition: &'a [crate::model::Edition],
    source: &'a [String],
    purpose: &'a str,
    checks: Vec<PlannedCheck<'a>>,
    uncovered: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlannedCheck<'a> {
    id: &'a str,
    host: &'a Host,
    port: Option<u16>,
    kind: Kind,
    expect: Expect,
    proof: crate::model::Proof,
}

/// A plan as JSON.
pub fn plan(plan: &Plan) -> PlanShape<'_> {
    let requirements = plan.requirements.iter().map(|planned| {
        let requirement = planned.requirement.as_ref();
        let checks = plan.checks.get(planned.checks.clone()).unwrap_or_default();
        RequirementShape {
            id: &requirement.id,
            pattern: requirement.pattern.as_str(),
            ports: &requirement.ports,
            transport: requirement.transport,
            scenarios: &requirement.scenarios,
            service_tag: requirement.service_tag.as_deref(),
            zone: requirement.zone.as_deref(),
            service: requirement.service,
            direction: requirement.direction,
            required: requirement.required,
            edition: &requirement.edition,
            source: &requirement.source,
            purpose: &requirement.purpose,
            checks: checks.iter().map(|check| planned_check(check)).collect(),
            uncovered: planned.uncovered.as_ref().map(ToString::to_string),
        }
    });
    PlanShape {
        schema: "vnetprobe.plan/v1",
        catalog: CatalogShape { cloud: plan.cloud.as_str(), date: &plan.catalog_date },
        requirements: requirements.collect(),
    }
}

fn planned_check(check: &crate::check::Check) -> PlannedCheck<'_> {
    PlannedCheck {
        id: &check.id,
        host: &check.target.host,
        port: check.target.port,
        kind: check.target.kind,
        expect: check.expectation.expect,
        proof: check.proof,
    }
}

/// The report as text.
pub fn report_json(snapshot: &Snapshot) -> String {
    json(&report(snapshot))
}

/// The report as one line of a stream: `{"report": ...}`.
pub fn report_line(snapshot: &Snapshot) -> String {
    let written = serde_json::to_string(&report(snapshot)).map(escaped);
    written.map_or_else(
        |error| format!("{{\"error\": \"failed to write JSON: {error}\"}}\n"),
        |json| format!("{{\"report\":{json}}}\n"),
    )
}

/// The plan as text.
pub fn plan_json(plan_to_show: &Plan) -> String {
    json(&plan(plan_to_show))
}

/// One check as text; absent when there is none of that id.
pub fn check_json(snapshot: &Snapshot, id: &str) -> Option<String> {
    snapshot
        .checks
        .iter()
        .find(|report| report.check.id == id)
        .map(|report: &Arc<CheckReport>| json(&check(report)))
}

/// The findings as text.
pub fn findings_json(snapshot: &Snapshot) -> String {
    json(&snapshot.findings.iter().map(finding).collect::<Vec<_>>())
}

/// These shapes have string keys and finite numbers only, so writing them cannot fail; should it
/// ever, the reader gets an object that says so instead of half a document.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value)
        .map_or_else(|error| format!("{{\"error\": \"failed to write JSON: {error}\"}}"), escaped)
        + "\n"
}

/// JSON may hold DEL, C1 control characters and direction overrides as they are, but terminals obey
/// them. They can stand in strings only, where an escape means the same.
fn escaped(json: String) -> String {
    // The writer's own line ends are the only hidden characters outside of strings.
    let obeyed = |c: char| c != '\n' && is_hidden(c);
    if !json.contains(obeyed) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if obeyed(c) {
            // All of them lie below U+10000: one escape each.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
