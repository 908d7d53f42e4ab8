//! The answer as JUnit XML, for pipelines: one test case per check.

use std::fmt::Write as _;

use crate::model::Status;
use crate::snapshot::Snapshot;

/// The whole answer.
pub fn report(snapshot: &Snapshot) -> String {
    let summary = snapshot.summary();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"vnetprobe\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" timestamp=\"{:.0}\">",
        snapshot.checks.len(),
        summary.fail,
        summary.unknown,
        snapshot.started_at
    );
    for report in &snapshot.checks {
        let seconds = report.verdict.as_ref().map_or(0.0, |v| v.phases.total().seconds());
        let _ = write!(
            out,
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\"",
            escape(&report.check.requirement),
            escape(&report.check.id)
        );
        let cause = report.cause().map_or("", crate::cause::Cause::as_str);
        let _ = match report.status() {
            Status::Pass => writeln!(out, "/>"),
            Status::Warn => {
                writeln!(out, "><system-out>{}</system-out></testcase>", escape(report.summary()))
            }
            Status::Unknown => {
                writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(report.summary()))
            }
            Status::Fail => writeln!(
                out,
                "><failure type=\"{cause}\" message=\"{}\"/></testcase>",
                escape(report.summary())
            ),
        };
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text as XML takes it; characters XML 1.0 cannot hold are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
