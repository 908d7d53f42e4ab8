//! The verdict over everything, in one sentence, the same on terminal, page and ticket.

use super::count;
use crate::cause::Cause;
use crate::model::Status;
use crate::snapshot::{ScenarioStatus, Snapshot};

/// How the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The first round is running.
    Waiting,
    /// All that was checked works.
    Good,
    /// It works, with something to look at.
    Watch,
    /// Something is broken.
    Broken,
    /// Something could not be measured.
    Unknown,
}

/// The sentence, without a period, and how the whole stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// How the whole stands.
    pub level: Level,
    /// The sentence.
    pub text: String,
}

impl Headline {
    fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into() }
    }

    /// The headline of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let checks = snapshot.checks.len();
        if checks == 0 {
            return Self::new(Level::Unknown, "Nothing is checked: the plan holds no check");
        }
        if !snapshot.is_complete() {
            let results = snapshot.checks.iter().filter(|c| c.verdict.is_some()).count();
            return Self::new(
                Level::Waiting,
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
            Level::Broken,
            match (blocked, degraded) {
                (0, 0) if snapshot.scenarios.is_empty() => format!("{what} found"),
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
        let of = snapshot.checks.len();
        let text = match unknown {
            0 => return None,
            _ if unknown == of => match snapshot.findings.as_slice() {
                [only] => only.title.clone(),
                _ => "No check could be measured".to_owned(),
            },
            _ => format!("{unknown} of {of} checks could not be measured; the others pass"),
        };
        Some(Self::new(Level::Unknown, text))
    }

    fn of_reachable(snapshot: &Snapshot) -> Self {
        match snapshot.findings.len() {
            0 if snapshot.summary().warn == 0 => {
                Self::new(Level::Good, "Everything that was checked is reachable")
            }
            0 => Self::new(
                Level::Watch,
                format!("Everything is reachable; {} with a warning", snapshot.summary().warn),
            ),
            things => Self::new(
                Level::Watch,
                format!("Everything is reachable; {} to look at", count(things, "thing")),
            ),
        }
    }
}
