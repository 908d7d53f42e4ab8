//! What happened, as JSON (`vnetprobe.history/v1`), and how history is kept.

use std::sync::Arc;

use serde::Serialize;

use super::json;
use crate::inquiry::Found;
use crate::journal::{Archive, Event};

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The last events, since the daemon started.
    Memory,
    /// All that is in the history file.
    File,
}

#[derive(Debug, Serialize)]
struct History<'a> {
    schema: &'static str,
    kept: Kept,
    events: &'a [Arc<Event>],
    more: bool,
}

/// Events as text.
pub fn history_json(found: &Found, kept: Kept) -> String {
    let Found { events, more } = found;
    json(&History { schema: "vnetprobe.history/v1", kept, events, more: *more })
}

/// How a daemon keeps history.
#[derive(Debug, Serialize)]
#[serde(tag = "kept", rename_all = "snake_case")]
pub(super) enum Keeping<'a> {
    Memory,
    File { path: &'a str, bytes: u64, lost: u64, warning: Option<&'a str> },
    Degraded { path: &'a str, lost: u64, warning: &'a str },
}

pub(super) fn keeping(archive: &Archive) -> Keeping<'_> {
    match archive {
        Archive::Memory => Keeping::Memory,
        Archive::File { path, bytes, lost, note, .. } => {
            Keeping::File { path, bytes: *bytes, lost: *lost, warning: note.as_deref() }
        }
        Archive::Degraded { path, reason, lost } => {
            Keeping::Degraded { path, lost: *lost, warning: reason }
        }
    }
}
