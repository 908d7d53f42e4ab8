//! The answer as Markdown, to paste into a ticket.

use std::fmt::Write as _;

use super::evidence;
use super::headline::Headline;
use crate::model::{Status, visible};
use crate::remedy::is_query;
use crate::snapshot::Snapshot;
use crate::wire::VERSION;

/// The whole answer.
pub fn report(snapshot: &Snapshot) -> String {
    let mut out = format!("# {}\n\n", plain(&Headline::of(snapshot).text));
    let machine = &snapshot.machine;
    let addresses: Vec<String> =
        machine.addresses.iter().map(|a| a.network.addr().to_string()).collect();
    let servers: Vec<String> = machine.dns_servers.iter().map(ToString::to_string).collect();
    let _ = writeln!(
        out,
        "vnetprobe {VERSION} on {} ({}), DNS servers {}, {}, catalog {}, at {:.0}\n",
        plain(&machine.hostname),
        addresses.join(", "),
        servers.join(", "),
        snapshot.plan.cloud,
        snapshot.plan.catalog_date,
        snapshot.taken_at
    );
    for finding in &snapshot.findings {
        let _ = writeln!(out, "## {}: {}\n", finding.status, plain(&finding.title));
        let _ =
            writeln!(out, "Cause `{}`; touches {}.\n", finding.cause, finding.scenarios.join(", "));
        for line in &finding.evidence {
            let _ = writeln!(out, "- seen: {}", plain(line));
        }
        for step in &finding.fix {
            let (sentence, commands) = step.split_once('\n').unwrap_or((step, ""));
            let _ = writeln!(out, "- ask: {}", plain(sentence));
            if !commands.is_empty() {
                out.push_str(&fenced("  ", "sh", commands));
            }
        }
        for line in &finding.prove {
            let language = if is_query(line) { "kusto" } else { "sh" };
            let _ = write!(out, "\n{}", fenced("", language, line));
        }
        out.push('\n');
    }
    out.push_str("## Scenarios\n\n| scenario | state |\n|---|---|\n");
    for report in &snapshot.scenarios {
        let _ = writeln!(out, "| {} | {} |", plain(&report.scenario.title), report.status);
    }
    out.push_str(
        "\n## Checks\n\n| status | target | kind | cause | what |\n|---|---|---|---|---|\n",
    );
    for report in &snapshot.checks {
        let target = &report.check.target;
        let cause = report.cause().map_or("", crate::cause::Cause::as_str);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {cause} | {} |",
            report.status(),
            target.authority(),
            target.kind,
            plain(report.summary())
        );
    }
    failing_evidence(&mut out, snapshot);
    out
}

fn failing_evidence(out: &mut String, snapshot: &Snapshot) {
    for report in snapshot.checks.iter().filter(|r| r.status() == Status::Fail) {
        let _ = writeln!(out, "\n### Evidence: {}\n\n```text", plain(&report.check.id));
        for line in evidence::lines(report) {
            let _ = writeln!(out, "{}", line.replace("```", "'''"));
        }
        out.push_str("```\n");
    }
}

/// Lines to copy, inside a list item when indented.
fn fenced(indent: &str, language: &str, lines: &str) -> String {
    let mut out = format!("{indent}```{language}\n");
    for line in lines.lines() {
        let _ = writeln!(out, "{indent}{}", visible(&line.replace("```", "'''")));
    }
    let _ = writeln!(out, "{indent}```");
    out
}

/// Text that Markdown and HTML leave as it is.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(&text.replace('\n', " ")).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '#' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
