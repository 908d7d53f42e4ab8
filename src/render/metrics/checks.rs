//! The series of every check, written line by line.
//!
//! Ten thousand checks have two hundred thousand series. Values of a library's own for each took
//! four times the processor time of these lines (docs/decisions/0005).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Elapsed, Expect, Status, visible};
use crate::observation::{TlsObservation, TlsOutcome};
use crate::resolution::effective;
use crate::snapshot::CheckReport;
use crate::verdict::Phases;

/// How many series a check has at most.
const SERIES: usize = 28;
/// About what a line takes without the labels of its check, in bytes.
const LINE_BYTES: usize = 56;
/// About what the labels of one check take, in bytes.
const LABEL_BYTES: usize = 192;

/// All families that have series of checks.
pub(super) fn text(reports: &[Arc<CheckReport>]) -> String {
    let rows: Vec<Row<'_>> = reports.iter().map(|report| Row::of(report)).collect();
    // Room that is not written to costs nothing; to move 24 MB does.
    let room = rows.iter().map(|row| SERIES * (LINE_BYTES + row.labels.len())).sum();
    let mut lines = Lines { text: String::with_capacity(room), rows };
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
        let mut labels = String::with_capacity(LABEL_BYTES);
        let port = target.port.map(|port| port.to_string()).unwrap_or_default();
        label(&mut labels, "requirement", &report.check.requirement);
        labels.push_str(&more(&[
            ("host", &target.host.to_string()),
            ("port", &port),
            ("kind", target.kind.as_str()),
        ]));
        Self { report, labels }
    }
}

/// Adds a label as it stands between the braces.
fn label(labels: &mut String, name: &str, value: &str) {
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

/// Labels that follow others; what strangers said is to be made visible before.
fn more(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        text.push(',');
        label(&mut text, name, value);
    }
    text
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
    fn each(&mut self, name: &str, help: &str, value: impl Fn(&CheckReport) -> Value) {
        self.family("gauge", name, help, |series, report| series.add("", value(report)));
    }
}

/// The series of one check in one family.
struct Series<'a> {
    text: &'a mut String,
    open: &'a str,
    labels: &'a str,
}

impl Series<'_> {
    /// One with further labels, each after a comma.
    fn add(&mut self, more: &str, value: Value) {
        for part in [self.open, self.labels, more, "} "] {
            self.text.push_str(part);
        }
        value.write(self.text);
        self.text.push('\n');
    }
}

/// A number in the digits that it has: none of them is worth a search for the shortest form.
#[derive(Debug, Clone, Copy)]
enum Value {
    Count(u64),
    /// A time in seconds, given in microseconds.
    Micros(i64),
    /// Nothing was measured: NaN.
    Unknown,
}

impl Value {
    fn truth(value: bool) -> Self {
        Self::Count(value.into())
    }

    /// To the microsecond, as in JSON.
    fn span(elapsed: Elapsed) -> Self {
        let micros = elapsed.0.saturating_add(Duration::from_nanos(500)).as_micros();
        Self::Micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// To the millisecond; 0 for never.
    fn time(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Count(0), |at| Self::Micros(at.as_millisecond().saturating_mul(1_000)))
    }

    fn write(self, text: &mut String) {
        match self {
            Self::Unknown => text.push_str("NaN"),
            Self::Count(0) => text.push('0'),
            Self::Count(1) => text.push('1'),
            Self::Count(count) => {
                let _ = write!(text, "{count}");
            }
            Self::Micros(micros) => {
                let sign = if micros < 0 { "-" } else { "" };
                let micros = micros.unsigned_abs();
                let _ = write!(text, "{sign}{}", micros / 1_000_000);
                let mut rest = micros % 1_000_000;
                if rest > 0 {
                    text.push('.');
                }
                while rest > 0 {
                    rest *= 10;
                    text.push(char::from(b'0' + u8::try_from(rest / 1_000_000).unwrap_or(0)));
                    rest %= 1_000_000;
                }
            }
        }
    }
}

fn states(lines: &mut Lines<'_>) {
    lines.each(
        "probe_success",
        "Whether the last published result is pass or warn (1) or not (0).",
        |report| Value::truth(matches!(report.status(), Status::Pass | Status::Warn)),
    );
    let named = |status: &Status| (*status, more(&[("status", status.as_str())]));
    let named: Vec<(Status, String)> = Status::ALL.iter().map(named).collect();
    lines.family(
        "gauge",
        "probe_status",
        "The status of the check: 1 for the current one, 0 for the others.",
        |series, report| {
            for (status, more) in &named {
                series.add(more, Value::truth(report.status() == *status));
            }
        },
    );
    lines.family(
        "gauge",
        "probe_cause_info",
        "The current cause of a check that does not plainly pass.",
        |series, report| {
            if let Some(cause) = report.cause() {
                series.add(&more(&[("cause", cause.as_str())]), Value::Count(1));
            }
        },
    );
}

fn times(lines: &mut Lines<'_>) {
    lines.each(
        "probe_duration_seconds",
        "Time of the last measurement, all phases together.",
        |report| report.verdict.as_ref().map_or(Value::Unknown, |v| Value::span(v.phases.total())),
    );
    let named = Phases::default().named().map(|(phase, _)| more(&[("phase", phase)]));
    lines.family(
        "gauge",
        "probe_phase_duration_seconds",
        "Time of one phase of the last measurement; NaN for a phase that was not reached.",
        |series, report| {
            let phases = report.verdict.as_ref().map_or_else(Phases::default, |v| v.phases);
            for (more, (_, took)) in named.iter().zip(phases.named()) {
                series.add(more, took.map_or(Value::Unknown, Value::span));
            }
        },
    );
    lines.each(
        "probe_last_run_timestamp_seconds",
        "When the check was last measured; 0 before.",
        |report| Value::time(report.last_run_at),
    );
    lines.each(
        "probe_last_success_timestamp_seconds",
        "When the check last passed; 0 before.",
        |report| Value::time(report.last_success_at),
    );
}

fn counts(lines: &mut Lines<'_>) {
    lines.family("counter", "probe_attempts_total", "Measurements made.", |series, report| {
        series.add("", Value::Count(report.attempts));
    });
    lines.family(
        "counter",
        "probe_failures_total",
        "Measurements that failed.",
        |series, report| series.add("", Value::Count(report.failures)),
    );
}

fn names(lines: &mut Lines<'_>) {
    lines.family(
        "gauge",
        "probe_addresses",
        "Addresses the name resolves to for applications on this machine.",
        |series, report| {
            let (v4, v6) = addresses(report);
            series.add(",family=\"ipv4\"", Value::Count(v4));
            series.add(",family=\"ipv6\"", Value::Count(v6));
        },
    );
    lines.each(
        "probe_expected_private",
        "Whether the name must resolve to private addresses.",
        |report| Value::truth(report.check.expectation.expect == Expect::Private),
    );
    lines.each(
        "probe_resolved_private",
        "Whether the name resolves to private addresses only.",
        |report| Value::truth(report.verdict.as_ref().is_some_and(|v| v.resolved_private)),
    );
}

/// How many of IPv4 and of IPv6.
fn addresses(report: &CheckReport) -> (u64, u64) {
    let Some(observation) = &report.observation else { return (0, 0) };
    let addresses = match &observation.dns {
        Some(dns) => effective(dns).addresses(),
        None => observation.climbs.iter().map(|climb| climb.ip).collect(),
    };
    addresses.iter().fold((0, 0), |(v4, v6), ip| match ip {
        IpAddr::V4(_) => (v4 + 1, v6),
        IpAddr::V6(_) => (v4, v6 + 1),
    })
}

fn tls(lines: &mut Lines<'_>) {
    lines.family(
        "gauge",
        "probe_tls_certificate_not_after_timestamp_seconds",
        "When the certificate the service shows ends.",
        |series, report| {
            if let Some(leaf) = handshake(report).and_then(|tls| tls.chain.first()) {
                series.add("", Value::time(Some(leaf.not_after)));
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
                series.add(&more(&[("version", &version), ("cipher", &cipher)]), Value::Count(1));
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
        series.add(&more(&[("b", "\"quoted\\\n"), ("c", "")]), Value::Unknown);
        let at = |text: &str| Value::time(Some(text.parse().unwrap()));
        let span = |nanos| Value::span(Elapsed(Duration::from_nanos(nanos)));
        for value in [
            Value::Count(0),
            Value::Count(1),
            Value::Count(u64::MAX),
            Value::time(None),
            at("2026-11-01T12:00:00.2501Z"),
            at("1969-12-31T23:59:59.5Z"),
            span(0),
            span(1_499),
            span(1_020_300_000),
            span(3_000_000_000),
            Value::span(Elapsed(Duration::MAX)),
        ] {
            series.add("", value);
        }
        let expected = r#"odd{a="1",b="\"quoted\\\n",c=""} NaN
odd{a="1"} 0
odd{a="1"} 1
odd{a="1"} 18446744073709551615
odd{a="1"} 0
odd{a="1"} 1793534400.25
odd{a="1"} -0.5
odd{a="1"} 0
odd{a="1"} 0.000001
odd{a="1"} 1.0203
odd{a="1"} 3
odd{a="1"} 9223372036854.775807
"#;
        assert_eq!(text, expected);
    }
}
