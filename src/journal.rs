//! What happened and when: the strip of results of one check, and numbered events of the whole.
//!
//! Both are bounded rings inside the snapshot. Whoever keeps or shows them (the history file, log
//! lines, server-sent events) follows the snapshots and takes what is newer than the last number it
//! saw, so nothing on the probe's path ever waits for them. A gap in the numbers says what was lost.

mod strip;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::limits;
use crate::model::{Elapsed, Status};
use crate::observation::Observation;

pub use strip::{Sample, Strip};

/// Status and cause of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The status.
    pub status: Status,
    /// Why, when it is not a plain pass.
    pub cause: Option<Cause>,
}

impl State {
    /// Of a check that was never measured.
    pub const UNMEASURED: Self = Self { status: Status::Unknown, cause: None };
}

// ---------------------------------------------------------------------------------------- events

/// Something that happened. Its JSON is what the history file keeps and `/api/v1/history` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up by one, over restarts too where there is a history file.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The daemon started.
    Started {
        /// Its version.
        version: String,
        /// How many checks it has.
        checks: usize,
    },
    /// A check's published state changed, or its first one was not a pass.
    Check {
        /// The check's id.
        check: String,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// The verdict's sentence.
        summary: String,
        /// What that was judged from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observation: Option<Arc<Observation>>,
    },
    /// A name moved to, from or among private addresses. Public services rotate theirs; that is none.
    Addresses {
        /// The check's id.
        check: String,
        /// Before.
        from: Vec<IpAddr>,
        /// Now.
        to: Vec<IpAddr>,
    },
    /// A certificate came from an issuer this check had not shown before.
    Issuer {
        /// The check's id.
        check: String,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// The usual time of a passing check has changed by a step.
    Latency {
        /// The check's id.
        check: String,
        /// Usual time before.
        from: Elapsed,
        /// Usual time now.
        to: Elapsed,
    },
    /// A fault has stood for an interval.
    Opened {
        /// The finding's id.
        finding: String,
        /// Its cause.
        cause: Cause,
        /// Its sentence.
        title: String,
        /// Scenarios it blocks or degrades.
        scenarios: Vec<String>,
    },
    /// A fault that was told of is gone.
    Closed {
        /// The finding's id.
        finding: String,
        /// Its cause.
        cause: Cause,
    },
    /// A new configuration is in use.
    Reloaded {
        /// What led to it.
        reason: String,
        /// Checks that are new or changed.
        added: usize,
        /// Checks that are gone or changed.
        removed: usize,
    },
    /// Somebody set the clock of this machine.
    ClockSet {
        /// What it would have said.
        from: Timestamp,
    },
    /// A new configuration was refused; the old one stays in use.
    ReloadFailed {
        /// Why.
        reason: String,
    },
}

impl What {
    /// The check it is about.
    pub fn check(&self) -> Option<&str> {
        match self {
            Self::Check { check, .. }
            | Self::Addresses { check, .. }
            | Self::Issuer { check, .. }
            | Self::Latency { check, .. } => Some(check),
            _ => None,
        }
    }
}

/// The last [`limits::JOURNAL_EVENTS`] events, the oldest first. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    events: Arc<VecDeque<Arc<Event>>>,
    last: u64,
}

impl Journal {
    /// An empty journal that goes on after the event of this number.
    pub fn after(last: u64) -> Self {
        Self { events: Arc::default(), last }
    }

    /// Adds an event.
    pub fn push(&mut self, at: Timestamp, what: What) {
        self.last += 1;
        let events = Arc::make_mut(&mut self.events);
        if events.len() >= limits::JOURNAL_EVENTS {
            events.pop_front();
        }
        events.push_back(Arc::new(Event { number: self.last, at, what }));
    }

    /// The number of the newest event; zero when there never was one.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Events with a greater number, the oldest first. The first of them may be further on than the
    /// next number: then the ones between were lost to the limit.
    pub fn since(&self, number: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let start = self.events.partition_point(|event| event.number <= number);
        self.events.range(start..)
    }
}

// --------------------------------------------------------------------------------- over restarts

/// What is known from before this process started.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The number of the last event.
    pub last_event: u64,
    /// Checks by id.
    pub checks: BTreeMap<String, PastCheck>,
    /// Ids and causes of findings that were open.
    pub open: BTreeSet<(String, Cause)>,
}

/// What is known of a check from before.
#[derive(Debug, Clone)]
pub struct PastCheck {
    /// Its last published state.
    pub state: State,
    /// Since when it was that.
    pub since: Timestamp,
    /// When it last passed or warned.
    pub last_success_at: Option<Timestamp>,
    /// Its last measurements.
    pub strip: Strip,
}

/// Where history is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Archive {
    /// In memory alone, as configured.
    #[default]
    Memory,
    /// In a file.
    File {
        /// Its path, printable.
        path: String,
        /// Its size in bytes, with its journal.
        bytes: u64,
        /// The number of the last event it holds.
        last_event: u64,
        /// Events that were never written, because the file could not be for too long.
        lost: u64,
        /// What happened to the file before this one.
        note: Option<String>,
    },
    /// It should be in a file, which cannot be read or written now.
    Degraded {
        /// Its path, printable.
        path: String,
        /// Why, and what to do.
        reason: String,
        /// Events that were never written.
        lost: u64,
    },
}

impl Archive {
    /// What people should be warned of.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Memory => None,
            Self::File { note, .. } => note.clone(),
            Self::Degraded { path, reason, .. } => Some(format!(
                "History is kept in memory only: {path} cannot be used: {reason}. It is tried again."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_793_534_400 + second).unwrap()
    }

    #[test]
    fn a_journal_counts_on_and_tells_what_is_new() {
        let mut journal = Journal::after(10);
        for number in 0..limits::JOURNAL_EVENTS + 3 {
            journal
                .push(at(0), What::Reloaded { reason: String::new(), added: number, removed: 0 });
        }
        assert_eq!(journal.last(), 10 + limits::JOURNAL_EVENTS as u64 + 3);
        let numbers: Vec<u64> = journal.since(0).map(|event| event.number).collect();
        assert_eq!((numbers.len(), numbers[0]), (limits::JOURNAL_EVENTS, 14));
        assert_eq!(journal.since(journal.last() - 1).count(), 1);
        assert_eq!(journal.since(journal.last()).count(), 0);
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let state = State { status: Status::Fail, cause: Some(Cause::TcpTimeout) };
        let whats = [
            What::Started { version: "1".into(), checks: 3 },
            What::Check {
                check: "a@b:443".into(),
                from: State::UNMEASURED,
                to: state,
                summary: "s".into(),
                observation: Some(Arc::new(Observation::default())),
            },
            What::Latency {
                check: "a".into(),
                from: Elapsed(Duration::from_millis(1)),
                to: Elapsed(Duration::from_millis(90)),
            },
            What::Closed { finding: "f".into(), cause: Cause::TcpTimeout },
        ];
        for what in whats {
            let event = Event { number: 7, at: at(1), what };
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
        }
    }
}
