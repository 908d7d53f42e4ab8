//! The verdict over everything, in one sentence.

use crate::cause::Cause;
use crate::model::Status;
use crate::snapshot::{ScenarioStatus, Snapshot};

use super::words::{Tone, count};

/// The sentence and its tone.
pub(super) struct Headline {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Headline {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let checks = snapshot.checks.len();
        if checks == 0 {
            return Self::new(Tone::Unknown, "Nothing is checked: the plan holds no check");
        }
        if !snapshot.is_complete() {
            let results = snapshot.checks.iter().filter(|c| c.verdict.is_some()).count();
            return Self::new(
                Tone::Waiting,
                format!("First round is running: {results} of {checks} checks have a result"),
            );
        }
        Self::of_faults(snapshot)
            .or_else(|| Self::of_unknown(snapshot))
            .unwrap_or_else(|| Self::of_reachable(snapshot))
    }

    fn of_faults(snapshot: &Snapshot) -> Option<Self> {
        let failing = snapshot.summary().fail;
        let faults = snapshot.findings.iter().filter(|f| f.status == Status::Fail).count();
        if failing == 0 && faults == 0 {
            return None;
        }
        let scenarios = count(snapshot.scenarios.len(), "scenario");
        let with = |status| snapshot.scenarios.iter().filter(|s| s.status == status).count();
        let (blocked, degraded) = (with(ScenarioStatus::Blocked), with(ScenarioStatus::Degraded));
        let (what, verb) = match faults {
            0 => (count(failing, "failing check"), failing == 1),
            faults => (count(faults, "fault"), faults == 1),
        };
        let s = if verb { "s" } else { "" };
        Some(Self::new(
            Tone::Fail,
            match (blocked, degraded) {
                (0, 0) => format!("{what}; no scenario is affected"),
                (0, degraded) => format!("{what} degrade{s} {degraded} of {scenarios}"),
                (blocked, _) => format!("{what} block{s} {blocked} of {scenarios}"),
            },
        ))
    }

    fn of_unknown(snapshot: &Snapshot) -> Option<Self> {
        // Silence after a datagram is the usual case and no reason for worry.
        let unknown = snapshot
            .checks
            .iter()
            .filter(|c| c.status() == Status::Unknown && c.cause() != Some(Cause::UdpNoEvidence))
            .count();
        (unknown > 0).then(|| {
            let of = snapshot.checks.len();
            Self::new(
                Tone::Unknown,
                format!("{unknown} of {of} checks could not be measured; the rest is reachable"),
            )
        })
    }

    fn of_reachable(snapshot: &Snapshot) -> Self {
        match snapshot.findings.len() {
            0 if snapshot.summary().warn == 0 => {
                Self::new(Tone::Pass, "Everything this workspace needs is reachable")
            }
            0 => Self::new(
                Tone::Warn,
                format!("Everything is reachable; {} with a warning", snapshot.summary().warn),
            ),
            things => Self::new(
                Tone::Warn,
                format!("Everything is reachable; {} to look at", count(things, "thing")),
            ),
        }
    }
}
