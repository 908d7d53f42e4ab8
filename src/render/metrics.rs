//! Prometheus metrics of a snapshot, text format 0.0.4.
//!
//! Labels come from the plan or from an enum, never from the network. Every series of a planned
//! check exists from the start; what has no value yet is NaN or 0 as its type asks.

mod exposition;

use crate::cause::Cause;
use crate::finding::Finding;
use crate::journal::Archive;
use crate::model::{Elapsed, Expect, Status, visible};
use crate::observation::{TlsObservation, TlsOutcome};
use crate::resolution::effective;
use crate::snapshot::{CheckReport, ScenarioStatus, Snapshot};
use crate::verdict::Phases;
use crate::wire::{REVISION, VERSION};

use exposition::{COUNTER, Families, Family, GAUGE, labels};
use jiff::Timestamp;

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a snapshot.
pub fn text(snapshot: &Snapshot) -> String {
    let mut families = Families::default();
    let rows: Vec<Row<'_>> = snapshot.checks.iter().map(|report| Row::of(report)).collect();
    checks(&mut families, &rows);
    counts(&mut families, &rows);
    tls(&mut families, &rows);
    servers(&mut families, snapshot);
    whole(&mut families, snapshot);
    itself(&mut families, snapshot);
    families.text
}

/// What the system says of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// CPU time, user and system.
    pub cpu_seconds: f64,
    /// Memory that is in RAM.
    pub resident_bytes: f64,
    /// Memory that is mapped.
    pub virtual_bytes: f64,
    /// Open file descriptors.
    pub open_fds: f64,
    /// How many there may be.
    pub max_fds: f64,
    /// When it started, in seconds since 1970.
    pub started_at: f64,
    /// Asynchronous tasks that are alive: the engine's, probes, connections.
    pub tasks: f64,
}

/// The metrics of a process, under the names that all exporters give them.
pub fn process_text(process: &Process) -> String {
    let Process {
        cpu_seconds,
        resident_bytes,
        virtual_bytes,
        open_fds,
        max_fds,
        started_at,
        tasks,
    } = *process;
    let mut families = Families::default();
    families.add_as(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        COUNTER,
        [("", cpu_seconds)],
    );
    for (name, help, value) in [
        ("resident_memory_bytes", "Resident memory size in bytes.", resident_bytes),
        ("virtual_memory_bytes", "Virtual memory size in bytes.", virtual_bytes),
        ("open_fds", "Number of open file descriptors.", open_fds),
        ("max_fds", "Maximum number of open file descriptors.", max_fds),
        (
            "start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started_at,
        ),
    ] {
        families.add_as(&format!("process_{name}"), help, GAUGE, [("", value)]);
    }
    let help = "Asynchronous tasks alive in this process: the engine's, probes and connections.";
    families.gauge("tasks", help, [("", tasks)]);
    families.text
}

/// A check with the labels of all its series, which are written once.
struct Row<'a> {
    report: &'a CheckReport,
    labels: String,
}

impl<'a> Row<'a> {
    fn of(report: &'a CheckReport) -> Self {
        let target = &report.check.target;
        let labels = labels(&[
            ("requirement", &report.check.requirement),
            ("host", &target.host.to_string()),
            ("port", &target.port.map(|port| port.to_string()).unwrap_or_default()),
            ("kind", target.kind.as_str()),
        ]);
        Self { report, labels }
    }
}

impl Families {
    fn each(
        &mut self,
        name: &str,
        help: &str,
        rows: &[Row<'_>],
        value: impl Fn(&CheckReport) -> f64,
    ) {
        self.gauge(name, help, rows.iter().map(|row| (&row.labels, value(row.report))));
    }

    fn many(
        &mut self,
        name: &str,
        help: &str,
        rows: &[Row<'_>],
        fill: impl Fn(&mut Family<'_>, &Row<'_>),
    ) {
        self.family(&format!("vnetprobe_{name}"), help, GAUGE, |family| {
            for row in rows {
                fill(family, row);
            }
        });
    }
}

fn time(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_millisecond() as f64 / 1e3)
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn checks(families: &mut Families, rows: &[Row<'_>]) {
    families.each(
        "probe_success",
        "Whether the last published result is pass or warn (1) or not (0).",
        rows,
        |r| truth(matches!(r.status(), Status::Pass | Status::Warn)),
    );
    let statuses: Vec<(Status, String)> =
        Status::ALL.iter().map(|s| (*s, labels(&[("status", s.as_str())]))).collect();
    families.many(
        "probe_status",
        "The status of the check: 1 for the current one, 0 for the others.",
        rows,
        |family, row| {
            let now = row.report.status();
            for (status, label) in &statuses {
                family.sample(&[&row.labels, label], truth(now == *status));
            }
        },
    );
    families.many(
        "probe_cause_info",
        "The current cause of a check that does not plainly pass.",
        rows,
        |family, row| {
            if let Some(cause) = row.report.cause() {
                family.sample(&[&row.labels, &labels(&[("cause", cause.as_str())])], 1.0);
            }
        },
    );
    families.each(
        "probe_duration_seconds",
        "Time of the last measurement, all phases together.",
        rows,
        |r| r.verdict.as_ref().map_or(f64::NAN, |v| v.phases.total().seconds()),
    );
    let phases = Phases::default().named().map(|(phase, _)| labels(&[("phase", phase)]));
    families.many(
        "probe_phase_duration_seconds",
        "Time of one phase of the last measurement; NaN for a phase that was not reached.",
        rows,
        |family, row| {
            let took = row.report.verdict.as_ref().map(|v| v.phases).unwrap_or_default();
            for (label, (_, elapsed)) in phases.iter().zip(took.named()) {
                family.sample(&[&row.labels, label], elapsed.map_or(f64::NAN, Elapsed::seconds));
            }
        },
    );
}

/// Times, counters and addresses of each check.
fn counts(families: &mut Families, rows: &[Row<'_>]) {
    families.each(
        "probe_last_run_timestamp_seconds",
        "When the check was last measured; 0 before.",
        rows,
        |r| time(r.last_run_at),
    );
    families.each(
        "probe_last_success_timestamp_seconds",
        "When the check last passed; 0 before.",
        rows,
        |r| time(r.last_success_at),
    );
    let attempts = rows.iter().map(|row| (&row.labels, row.report.attempts));
    families.counter("probe_attempts_total", "Measurements made.", attempts);
    let failures = rows.iter().map(|row| (&row.labels, row.report.failures));
    families.counter("probe_failures_total", "Measurements that failed.", failures);
    families.many(
        "probe_addresses",
        "Addresses the name resolves to for applications on this machine.",
        rows,
        |family, row| {
            let (v4, v6) = addresses(row.report);
            family.sample(&[&row.labels, "family=\"ipv4\""], v4 as f64);
            family.sample(&[&row.labels, "family=\"ipv6\""], v6 as f64);
        },
    );
    families.each(
        "probe_expected_private",
        "Whether the name must resolve to private addresses.",
        rows,
        |r| truth(r.check.expectation.expect == Expect::Private),
    );
    families.each(
        "probe_resolved_private",
        "Whether the name resolves to private addresses only.",
        rows,
        |r| truth(r.verdict.as_ref().is_some_and(|v| v.resolved_private)),
    );
}

fn addresses(report: &CheckReport) -> (usize, usize) {
    let Some(observation) = &report.observation else { return (0, 0) };
    let addresses = match &observation.dns {
        Some(dns) => effective(dns).addresses(),
        None => observation.climbs.iter().map(|climb| climb.ip).collect(),
    };
    let v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
    (v4, addresses.len() - v4)
}

fn tls(families: &mut Families, rows: &[Row<'_>]) {
    families.many(
        "probe_tls_certificate_not_after_timestamp_seconds",
        "When the certificate the service shows ends.",
        rows,
        |family, row| {
            if let Some(leaf) = handshake(row.report).and_then(|tls| tls.chain.first()) {
                family.sample(&[&row.labels], time(Some(leaf.not_after)));
            }
        },
    );
    families.many(
        "probe_tls_info",
        "TLS version and cipher of the last handshake.",
        rows,
        |family, row| {
            if let Some(TlsOutcome::Established { version, cipher, .. }) =
                handshake(row.report).map(|tls| &tls.outcome)
            {
                let session =
                    labels(&[("version", &visible(version)), ("cipher", &visible(cipher))]);
                family.sample(&[&row.labels, &session], 1.0);
            }
        },
    );
}

fn handshake(report: &CheckReport) -> Option<&TlsObservation> {
    report.observation.as_ref()?.tls()
}

fn servers(families: &mut Families, snapshot: &Snapshot) {
    let servers = &snapshot.counters.dns_servers;
    let label = |server: &std::net::SocketAddr| labels(&[("server", &server.to_string())]);
    families.counter(
        "dns_server_queries_total",
        "Questions sent to a DNS server.",
        servers.iter().map(|(s, c)| (label(s), c.queries)),
    );
    families.counter(
        "dns_server_failures_total",
        "Questions a DNS server did not answer, or answered SERVFAIL or REFUSED.",
        servers.iter().map(|(s, c)| (label(s), c.failures)),
    );
    families.histogram(
        "dns_server_duration_seconds",
        "Time until a DNS server answered or was given up.",
        servers.iter().map(|(s, c)| (label(s), &c.duration)),
    );
}

fn whole(families: &mut Families, snapshot: &Snapshot) {
    let ready = |status| truth(matches!(status, ScenarioStatus::Ready | ScenarioStatus::Degraded));
    families.gauge(
        "scenario_ready",
        "Whether a thing people do can be done (1: ready or degraded).",
        snapshot
            .scenarios
            .iter()
            .map(|s| (labels(&[("scenario", &s.scenario.id)]), ready(s.status))),
    );
    families.gauge(
        "scenario_status",
        "The state of a thing people do: 1 for the current one, 0 for the others.",
        snapshot.scenarios.iter().flat_map(|s| {
            ScenarioStatus::ALL.iter().map(|status| {
                let labels = labels(&[("scenario", &s.scenario.id), ("status", status.as_str())]);
                (labels, truth(s.status == *status))
            })
        }),
    );
    let found =
        |cause: &Cause| snapshot.findings.iter().filter(|f: &&Finding| f.cause == *cause).count();
    families.gauge(
        "findings",
        "Real-world faults found, by cause.",
        Cause::ALL.iter().map(|c| (labels(&[("cause", c.as_str())]), found(c) as f64)),
    );
    let with_status =
        |status: &Status| snapshot.checks.iter().filter(|r| r.status() == *status).count();
    families.gauge(
        "checks",
        "Checks by status.",
        Status::ALL.iter().map(|s| (labels(&[("status", s.as_str())]), with_status(s) as f64)),
    );
    families.gauge(
        "requirements_uncovered",
        "Requirements that no check covers.",
        [("", snapshot.plan.uncovered().count() as f64)],
    );
    let phases = snapshot
        .counters
        .phases
        .iter()
        .map(|((phase, kind), h)| (labels(&[("phase", phase), ("kind", kind.as_str())]), h));
    families.histogram(
        "phase_duration_seconds",
        "Time per phase and kind of all measurements.",
        phases,
    );
}

fn itself(families: &mut Families, snapshot: &Snapshot) {
    let counters = &snapshot.counters;
    let one = |value: f64| [("", value)];
    families.histogram(
        "schedule_lateness_seconds",
        "How late measurements started.",
        [(String::new(), &counters.lateness)],
    );
    // Rules compare the age of results with it, whatever interval a configuration chose.
    if let Some(interval) = snapshot.interval {
        families.gauge(
            "schedule_interval_seconds",
            "Time between two measurements of a check.",
            one(interval.as_secs_f64()),
        );
    }
    families.gauge("probes_in_flight", "Measurements running now.", one(counters.in_flight as f64));
    families.counter("probes_skipped_total", "Measurements skipped because the previous one of the same target was still running or waiting.", [("", counters.skipped)]);
    families.gauge(
        "build_info",
        "This program.",
        [(labels(&[("version", VERSION), ("revision", REVISION)]), 1.0)],
    );
    families.gauge(
        "catalog_info",
        "The catalog in use.",
        [(
            labels(&[
                ("cloud", snapshot.plan.cloud.as_str()),
                ("date", &snapshot.plan.catalog_date),
            ]),
            1.0,
        )],
    );
    let (writable, bytes, lost) = match &snapshot.archive {
        Archive::Memory => (true, 0, 0),
        Archive::File { bytes, lost, .. } => (true, *bytes, *lost),
        Archive::Degraded { lost, .. } => (false, 0, *lost),
    };
    families.gauge(
        "history_writable",
        "Whether history is kept as configured (0: it should be in a file, which cannot be used).",
        one(truth(writable)),
    );
    families.gauge(
        "history_bytes",
        "Size of the history file with its log; 0 when history is in memory.",
        one(bytes as f64),
    );
    families.counter(
        "history_events_lost_total",
        "Events that were never written to the history file, because it could not be for too long.",
        [("", lost)],
    );
    families.gauge(
        "config_last_reload_successful",
        "Whether the last load of the configuration worked.",
        one(truth(snapshot.reload_refused.is_none())),
    );
    families.gauge(
        "config_last_reload_success_timestamp_seconds",
        "When the configuration in use was loaded.",
        one(time(Some(counters.config_loaded_at))),
    );
}
