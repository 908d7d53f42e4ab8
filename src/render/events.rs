//! What happened in sentences, the newest last.

use super::count;
use super::layout::{Layout, Tone};
use crate::inquiry::Found;
use crate::journal::{Event, State, What};
use crate::model::{Elapsed, Status, printable, visible};

/// The answer for a terminal.
pub fn table(found: &Found, layout: Layout) -> String {
    let mut out = String::new();
    if found.more {
        out.push_str("Older events match as well; --limit and --to show them.\n");
    }
    for event in &found.events {
        let time = format!("{:.0}", event.at);
        let lead = format!("{}  ", layout.paint(Tone::Quiet, &time));
        layout.hang(&mut out, &lead, time.len() + 2, &sentence(event));
    }
    if found.events.is_empty() {
        out.push_str("Nothing happened that matches.\n");
    }
    out
}

/// What happened, in one sentence.
pub fn sentence(event: &Event) -> String {
    match &event.what {
        What::Started { version, checks } => {
            format!("vnetprobe {} started with {}", printable(version), count(*checks, "check"))
        }
        What::Check { check, from, to, summary, .. } => {
            let summary = visible(summary);
            let (check, to_word) = (printable(check), word(*to));
            match from {
                from if *from == State::UNMEASURED => {
                    format!("{check} is first seen with {to_word}: {summary}")
                }
                from => format!("{check} went from {} to {to_word}: {summary}", word(*from)),
            }
        }
        What::Addresses { check, from, to } => {
            let list = |ips: &[std::net::IpAddr]| {
                ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            format!("{} moved from {} to {}", printable(check), list(from), list(to))
        }
        What::Issuer { check, from, to } => format!(
            "{} shows a certificate from {}, before from {}",
            printable(check),
            printable(to),
            printable(from)
        ),
        What::Latency { check, from, to } => format!(
            "{} usually takes {} now, before {}",
            printable(check),
            millis(*to),
            millis(*from)
        ),
        What::Opened { cause, title, scenarios, .. } => {
            let touches = match scenarios.as_slice() {
                [] => String::new(),
                some => format!(" It touches {}.", printable(&some.join(", "))),
            };
            let title = visible(title);
            let title = title.trim_end_matches('.');
            format!("Finding opened, {cause}: {title}.{touches}")
        }
        What::Closed { finding, cause } => {
            format!("Finding closed, {cause}: {}", printable(finding))
        }
        What::Reloaded { reason, added, removed } => format!(
            "Configuration reloaded ({}): {} new or changed, {} gone or changed",
            printable(reason),
            count(*added, "check"),
            count(*removed, "check")
        ),
        What::ClockSet { from } => {
            format!("The clock of this machine was set from {from:.0} to {:.0}", event.at)
        }
        What::ReloadFailed { reason } => {
            format!("New configuration refused, the old one stays in use: {}", visible(reason))
        }
    }
}

fn word(state: State) -> String {
    match (state.status, state.cause) {
        (Status::Pass, _) => "pass".to_owned(),
        (status, Some(cause)) => format!("{status} ({cause})"),
        (status, None) => status.to_string(),
    }
}

fn millis(elapsed: Elapsed) -> String {
    format!("{:.0} ms", elapsed.seconds() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::cause::Cause;

    fn said(what: What) -> String {
        sentence(&Event { number: 1, at: Timestamp::from_second(1_793_534_400).unwrap(), what })
    }

    #[test]
    fn every_event_is_a_sentence() {
        let fail = State { status: Status::Fail, cause: Some(Cause::TcpTimeout) };
        let pass = State { status: Status::Pass, cause: None };
        let check = || "a@b:443".to_owned();
        let changed = |from, to| What::Check {
            check: check(),
            from,
            to,
            summary: "b:443 says\u{1b} no.".into(),
            observation: None,
        };
        let ms = |ms| Elapsed(Duration::from_millis(ms));
        for (what, expected) in [
            (
                What::Started { version: "1.2".into(), checks: 1 },
                "vnetprobe 1.2 started with 1 check",
            ),
            (changed(pass, fail), "a@b:443 went from pass to fail (tcp_timeout): b:443 says"),
            (changed(State::UNMEASURED, fail), "a@b:443 is first seen with fail (tcp_timeout): "),
            (changed(fail, pass), "a@b:443 went from fail (tcp_timeout) to pass: "),
            (
                What::Addresses {
                    check: check(),
                    from: vec![[10, 0, 0, 4].into()],
                    to: vec![[10, 0, 0, 5].into()],
                },
                "a@b:443 moved from 10.0.0.4 to 10.0.0.5",
            ),
            (
                What::Issuer { check: check(), from: "CN=A".into(), to: "CN=B".into() },
                "a@b:443 shows a certificate from CN=B, before from CN=A",
            ),
            (
                What::Latency { check: check(), from: ms(12), to: ms(90) },
                "a@b:443 usually takes 90 ms now, before 12 ms",
            ),
            (
                What::Opened {
                    finding: "f".into(),
                    cause: Cause::TcpTimeout,
                    title: "Nothing answers.".into(),
                    scenarios: vec!["studio".into(), "images".into()],
                },
                "Finding opened, tcp_timeout: Nothing answers. It touches studio, images.",
            ),
            (
                What::Closed { finding: "f".into(), cause: Cause::TcpTimeout },
                "Finding closed, tcp_timeout: f",
            ),
            (
                What::Reloaded { reason: "SIGHUP".into(), added: 2, removed: 1 },
                "Configuration reloaded (SIGHUP): 2 checks new or changed, 1 check gone or changed",
            ),
            (
                What::ClockSet { from: "2026-11-01T11:00:00Z".parse().unwrap() },
                "The clock of this machine was set from 2026-11-01T11:00:00Z to ",
            ),
            (
                What::ReloadFailed { reason: "line 1".into() },
                "New configuration refused, the old one stays in use: line 1",
            ),
        ] {
            let sentence = said(what);
            assert!(sentence.starts_with(expected), "{sentence}");
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
        }
    }

    #[test]
    fn the_newest_stands_last() {
        let layout = Layout { width: 80, color: false };
        let event = |number| {
            let at =
                Timestamp::from_second(1_793_534_400 + i64::try_from(number).unwrap()).unwrap();
            Arc::new(Event {
                number,
                at,
                what: What::Reloaded { reason: "SIGHUP".into(), added: 0, removed: 0 },
            })
        };
        let found = Found { events: vec![event(1), event(2)], more: true };
        let text = table(&found, layout);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("--limit"), "{text}");
        assert!(lines[1].starts_with("2026-11-01T12:00:01Z  Configuration"), "{text}");
        assert!(lines.iter().any(|line| line.starts_with("2026-11-01T12:00:02Z")), "{text}");
        assert_eq!(table(&Found::default(), layout), "Nothing happened that matches.\n");
    }
}
