//! Prometheus metrics of a snapshot, text format 0.0.4.
//!
//! Labels come from the plan or from an enum, never from the network. Every series of a planned
//! check exists from the start; what has no value yet is NaN or 0 as its type asks.

mod checks;

use jiff::Timestamp;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType,
};
use prometheus::{Encoder, TextEncoder};

use crate::cause::Cause;
use crate::finding::Finding;
use crate::journal::Archive;
use crate::model::Status;
use crate::snapshot::{Histogram, ScenarioStatus, Snapshot};
use crate::wire::{REVISION, VERSION};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a snapshot.
pub fn text(snapshot: &Snapshot) -> String {
    let mut text = checks::text(&snapshot.checks);
    let mut families = Families::default();
    servers(&mut families, snapshot);
    whole(&mut families, snapshot);
    itself(&mut families, snapshot);
    text.push_str(&families.encode());
    text
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
    let mut cpu = Counter::default();
    cpu.set_value(cpu_seconds);
    let mut metric = Metric::default();
    metric.set_counter(cpu);
    families.add_as(
        "process_cpu_seconds_total".to_owned(),
        "Total user and system CPU time spent in seconds.",
        MetricType::COUNTER,
        vec![metric],
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
        let metrics = vec![gauge(Vec::new(), value)];
        families.add_as(format!("process_{name}"), help, MetricType::GAUGE, metrics);
    }
    let help = "Asynchronous tasks alive in this process: the engine's, probes and connections.";
    families.add("tasks", help, MetricType::GAUGE, vec![gauge(Vec::new(), tasks)]);
    families.encode()
}

#[derive(Default)]
struct Families {
    families: Vec<MetricFamily>,
}

impl Families {
    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        self.add_as(format!("vnetprobe_{name}"), help, kind, metrics);
    }

    /// Adds a family; one without a sample is left out, as the format asks.
    fn add_as(&mut self, name: String, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name);
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.families.push(family);
    }

    fn gauge(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.add(name, help, MetricType::GAUGE, metrics);
    }

    fn counter(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.add(name, help, MetricType::COUNTER, metrics);
    }

    fn histogram(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.add(name, help, MetricType::HISTOGRAM, metrics);
    }

    fn encode(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory fails only for a family without samples, which `add` never lets in.
        let written = TextEncoder::new().encode(&self.families, &mut out);
        match (written, String::from_utf8(out)) {
            (Ok(()), Ok(text)) => text,
            (Err(error), _) => format!("# failed to write metrics: {error}\n"),
            (_, Err(error)) => format!("# failed to write metrics: {error}\n"),
        }
    }
}

type Labels = Vec<(&'static str, String)>;

fn pairs(labels: Labels) -> Vec<LabelPair> {
    labels
        .into_iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value);
            pair
        })
        .collect()
}

fn gauge(labels: Labels, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: Labels, value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter);
    metric
}

fn histogram(labels: Labels, histogram: &Histogram) -> Metric {
    let mut cumulative = 0;
    let buckets = histogram
        .bounds
        .iter()
        .zip(&histogram.counts)
        .map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        })
        .collect();
    let mut value = HistogramValue::default();
    value.set_bucket(buckets);
    value.set_sample_count(histogram.count());
    value.set_sample_sum(histogram.sum);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_histogram(value);
    metric
}

fn time(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_millisecond() as f64 / 1e3)
}

fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn servers(families: &mut Families, snapshot: &Snapshot) {
    let servers = &snapshot.counters.dns_servers;
    let label = |server: &std::net::SocketAddr| vec![("server", server.to_string())];
    families.counter(
        "dns_server_queries_total",
        "Questions sent to a DNS server.",
        servers.iter().map(|(s, c)| counter(label(s), c.queries)).collect(),
    );
    families.counter(
        "dns_server_failures_total",
        "Questions a DNS server did not answer, or answered SERVFAIL or REFUSED.",
        servers.iter().map(|(s, c)| counter(label(s), c.failures)).collect(),
    );
    families.histogram(
        "dns_server_duration_seconds",
        "Time until a DNS server answered or was given up.",
        servers.iter().map(|(s, c)| histogram(label(s), &c.duration)).collect(),
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
            .map(|s| gauge(vec![("scenario", s.scenario.id.clone())], ready(s.status)))
            .collect(),
    );
    families.gauge(
        "scenario_status",
        "The state of a thing people do: 1 for the current one, 0 for the others.",
        snapshot
            .scenarios
            .iter()
            .flat_map(|s| {
                ScenarioStatus::ALL.iter().map(|status| {
                    let labels = vec![
                        ("scenario", s.scenario.id.clone()),
                        ("status", status.as_str().to_owned()),
                    ];
                    gauge(labels, truth(s.status == *status))
                })
            })
            .collect(),
    );
    let found =
        |cause: &Cause| snapshot.findings.iter().filter(|f: &&Finding| f.cause == *cause).count();
    families.gauge(
        "findings",
        "Real-world faults found, by cause.",
        Cause::ALL.iter().map(|c| gauge(vec![("cause", c.to_string())], found(c) as f64)).collect(),
    );
    let with_status =
        |status: &Status| snapshot.checks.iter().filter(|r| r.status() == *status).count();
    families.gauge(
        "checks",
        "Checks by status.",
        Status::ALL
            .iter()
            .map(|s| gauge(vec![("status", s.to_string())], with_status(s) as f64))
            .collect(),
    );
    families.gauge(
        "requirements_uncovered",
        "Requirements that no check covers.",
        vec![gauge(Vec::new(), snapshot.plan.uncovered().count() as f64)],
    );
    let phases = snapshot.counters.phases.iter().map(|((phase, kind), h)| {
        histogram(vec![("phase", (*phase).to_owned()), ("kind", kind.to_string())], h)
    });
    families.histogram(
        "phase_duration_seconds",
        "Time per phase and kind of all measurements.",
        phases.collect(),
    );
}

fn itself(families: &mut Families, snapshot: &Snapshot) {
    let counters = &snapshot.counters;
    let one = |value: f64| vec![gauge(Vec::new(), value)];
    families.histogram(
        "schedule_lateness_seconds",
        "How late measurements started.",
        vec![histogram(Vec::new(), &counters.lateness)],
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
    families.counter("probes_skipped_total", "Measurements skipped because the previous one of the same target was still running or waiting.", vec![counter(Vec::new(), counters.skipped)]);
    families.gauge(
        "build_info",
        "This program.",
        vec![gauge(vec![("version", VERSION.to_owned()), ("revision", REVISION.to_owned())], 1.0)],
    );
    families.gauge(
        "catalog_info",
        "The catalog in use.",
        vec![gauge(
            vec![
                ("cloud", snapshot.plan.cloud.to_string()),
                ("date", snapshot.plan.catalog_date.clone()),
            ],
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
        vec![counter(Vec::new(), lost)],
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
