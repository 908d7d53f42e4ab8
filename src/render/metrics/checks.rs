//! The series of every check, written line by line.
//!
//! Ten thousand checks have two hundred thousand series. Values of a library's own for each took
//! four times the processor time of these lines (docs/decisions/0005).

use std::fmt::Write as _;
use std::sync::Arc;

use super::{time, truth};
use crate::model::{Elapsed, Expect, Status, visible};
use crate::observation::{TlsObservation, TlsOutcome};
use crate::resolution::effective;
use crate::snapshot::CheckReport;
use crate::verdict::Phases;

/// About what the series of one check take, in bytes.
const CHECK_BYTES: usize = 2_560;

/// All families that have series of checks.
pub(super) fn text(reports: &[Arc<CheckReport>]) -> String {
    let rows: Vec<Row<'_>> = reports.iter().map(|report| Row::of(report)).collect();
    let mut lines = Lines { text: String::with_capacity(rows.len() * CHECK_BYTES), rows };
    states(&mut lines);
    times(&mut lines);
    counts(&mut lines);
    names(&mut lines);
    tls(&mut lines);
    lines.text
}

/// A check with the labels that all its series have.
struct Row<'a> {
    report: &'a CheckReport,
    labels: String,
}

impl<'a> Row<'a> {
    fn of(report: &'a CheckReport) -> Self {
        let target = &report.check.target;
        let mut labels = String::new();
        label(&mut labels, "requirement", &report.check.requirement);
        label(&mut labels, "host", &target.host.to_string());
        let port = target.port.map(|port| port.to_string()).unwrap_or_default();
        label(&mut labels, "port", &port);
        label(&mut labels, "kind", target.kind.as_str());
        Self { report, labels }
    }
}

/// Adds a label to others, as it stands between the braces.
fn label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    if value.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'\n')) {
        for c in value.chars() {
            match c {
                '"' => labels.push_str("\\\""),
                '\\' => labels.push_str("\\\\"),
                '\n' => labels.push_str("\\n"),
                c => labels.push(c),
            }
        }
    } else {
        labels.push_str(value);
    }
    labels.push('"');
}

/// What is written, and of what.
struct Lines<'a> {
    text: String,
    rows: Vec<Row<'a>>,
}

impl Lines<'_> {
    /// A family; one without a series is left out, as the format asks.
    fn family(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        series: impl Fn(&mut Series<'_>, &CheckReport),
    ) {
        let before = self.text.len();
        let _ =
            writeln!(self.text, "# HELP vnetprobe_{name} {help}\n# TYPE vnetprobe_{name} {kind}");
        let head = self.text.len();
        let open = format!("vnetprobe_{name}{{");
        for Row { report, labels } in &self.rows {
            series(&mut Series { text: &mut self.text, open: &open, labels }, report);
        }
        if self.text.len() == head {
            self.text.truncate(before);
        }
    }

    /// A gauge with one series for each check.
    fn each(&mut self, name: &str, help: &str, value: impl Fn(&CheckReport) -> f64) {
        self.family("gauge", name, help, |series, report| series.add(&[], value(report)));
    }
}

/// The series of one check in one family.
struct Series<'a> {
    text: &'a mut String,
    open: &'a str,
    labels: &'a str,
}

impl Series<'_> {
    /// One with these labels besides; what strangers said is made visible first.
    fn add(&mut self, more: &[(&str, &str)], value: f64) {
        self.text.push_str(self.open);
        self.text.push_str(self.labels);
        for (name, value) in more {
            label(self.text, name, value);
        }
        self.text.push_str("} ");
        if value == 0.0 {
            self.text.push('0');
        } else {
            let _ = write!(self.text, "{value}");
        }
        self.text.push('\n');
    }
}

fn states(lines: &mut Lines<'_>) {
    lines.each(
        "probe_success",
        "Whether the last published result is pass or warn (1) or not (0).",
        |report| truth(matches!(report.status(), Status::Pass | Status::Warn)),
    );
    lines.family(
        "gauge",
        "probe_status",
        "The status of the check: 1 for the current one, 0 for the others.",
        |series, report| {
            for status in Status::ALL {
                series.add(&[("status", status.as_str())], truth(report.status() == *status));
            }
        },
    );
    lines.family(
        "gauge",
        "probe_cause_info",
        "The current cause of a check that does not plainly pass.",
        |series, report| {
            if let Some(cause) = report.cause() {
                series.add(&[("cause", cause.as_str())], 1.0);
            }
        },
    );
}

fn times(lines: &mut Lines<'_>) {
    lines.each(
        "probe_duration_seconds",
        "Time of the last measurement, all phases together.",
        |report| report.verdict.as_ref().map_or(f64::NAN, |v| v.phases.total().seconds()),
    );
    lines.family(
        "gauge",
        "probe_phase_duration_seconds",
        "Time of one phase of the last measurement; NaN for a phase that was not reached.",
        |series, report| {
            let phases = report.verdict.as_ref().map_or_else(Phases::default, |v| v.phases);
            for (phase, took) in phases.named() {
                series.add(&[("phase", phase)], took.map_or(f64::NAN, Elapsed::seconds));
            }
        },
    );
    lines.each(
        "probe_last_run_timestamp_seconds",
        "When the check was last measured; 0 before.",
        |report| time(report.last_run_at),
    );
    lines.each(
        "probe_last_success_timestamp_seconds",
        "When the check last passed; 0 before.",
        |report| time(report.last_success_at),
    );
}

fn counts(lines: &mut Lines<'_>) {
    let attempts = |series: &mut Series<'_>, report: &CheckReport| {
        series.add(&[], report.attempts as f64);
    };
    lines.family("counter", "probe_attempts_total", "Measurements made.", attempts);
    let failures = |series: &mut Series<'_>, report: &CheckReport| {
        series.add(&[], report.failures as f64);
    };
    lines.family("counter", "probe_failures_total", "Measurements that failed.", failures);
}

fn names(lines: &mut Lines<'_>) {
    lines.family(
        "gauge",
        "probe_addresses",
        "Addresses the name resolves to for applications on this machine.",
        |series, report| {
            let (v4, v6) = addresses(report);
            series.add(&[("family", "ipv4")], v4 as f64);
            series.add(&[("family", "ipv6")], v6 as f64);
        },
    );
    lines.each(
        "probe_expected_private",
        "Whether the name must resolve to private addresses.",
        |report| truth(report.check.expectation.expect == Expect::Private),
    );
    lines.each(
        "probe_resolved_private",
        "Whether the name resolves to private addresses only.",
        |report| truth(report.verdict.as_ref().is_some_and(|v| v.resolved_private)),
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

fn tls(lines: &mut Lines<'_>) {
    lines.family(
        "gauge",
        "probe_tls_certificate_not_after_timestamp_seconds",
        "When the certificate the service shows ends.",
        |series, report| {
            if let Some(leaf) = handshake(report).and_then(|tls| tls.chain.first()) {
                series.add(&[], time(Some(leaf.not_after)));
            }
        },
    );
    lines.family(
        "gauge",
        "probe_tls_info",
        "TLS version and cipher of the last handshake.",
        |series, report| {
            if let Some(TlsOutcome::Established { version, cipher, .. }) =
                handshake(report).map(|tls| &tls.outcome)
            {
                let (version, cipher) = (visible(version), visible(cipher));
                series.add(&[("version", &version), ("cipher", &cipher)], 1.0);
            }
        },
    );
}

fn handshake(report: &CheckReport) -> Option<&TlsObservation> {
    report.observation.as_ref()?.tls()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_as_the_format_says() {
        let mut text = String::new();
        let mut series = Series { text: &mut text, open: "odd{", labels: "a=\"1\"" };
        series.add(&[("b", "\"quoted\\\n"), ("c", "")], f64::NAN);
        for value in [0.0, 1.5, 1_793_534_400.25] {
            series.add(&[], value);
        }
        let expected = r#"odd{a="1",b="\"quoted\\\n",c=""} NaN
odd{a="1"} 0
odd{a="1"} 1.5
odd{a="1"} 1793534400.25
"#;
        assert_eq!(text, expected);
    }
}
