//! What happened: from the history file, or from memory where there is none.
#![expect(clippy::disallowed_methods, reason = "`2h` means two hours before now")]

use std::fmt;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::problem::{problem, retry_later};
use super::{JSON, ServerState, Shared, typed};
use crate::inquiry::{Found, Inquiry};
use crate::journal::{Archive, Event};
use crate::limits;
use crate::wire::{self, Kept};

/// Where past events are read.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// Answers a question.
    fn read(&self, inquiry: Inquiry) -> BoxFuture<'static, Result<Shelved, String>>;
}

/// What a [`Shelf`] has.
#[derive(Debug)]
pub struct Shelved {
    /// Events that match.
    pub found: Found,
    /// The number of the last event there.
    pub last: u64,
    /// How much greater numbers are there than in the journal of the snapshots.
    pub offset: u64,
}

impl ServerState {
    /// The last events of one check, the newest last.
    pub async fn past_events(&self, check: &str, limit: usize) -> Vec<Arc<Event>> {
        let inquiry = Inquiry::of_check(check, limit);
        match self.past(&inquiry).await {
            Ok((found, _)) => found.events,
            // A file that cannot be read now is no reason to show nothing.
            Err(_) => inquiry.in_journal(&self.newest().journal).events,
        }
    }

    /// Answers a question from the file with what is newer in memory, or from memory alone.
    pub(super) async fn past(&self, inquiry: &Inquiry) -> Result<(Found, Kept), String> {
        let snapshot = self.newest();
        let is_file = matches!(snapshot.archive, Archive::File { .. });
        let Some(file) = self.past.as_ref().filter(|_| is_file) else {
            return Ok((inquiry.in_journal(&snapshot.journal), Kept::Memory));
        };
        let Shelved { found, last, offset } = file.read(inquiry.clone()).await?;
        // Newer than the answer, so that nothing falls between the two.
        let journal = &self.newest().journal;
        Ok((inquiry.complete(found, journal, last, offset), Kept::File))
    }
}

pub(super) async fn history(State(state): Shared, RawQuery(query): RawQuery) -> Response {
    let inquiry = match Inquiry::of_query(query.as_deref().unwrap_or(""), Timestamp::now()) {
        Ok(inquiry) => inquiry,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &format!("{why}.")),
    };
    match state.past(&inquiry).await {
        Ok((found, kept)) => typed(JSON, wire::history_json(&found, kept)),
        Err(why) => {
            let detail = format!("The history file cannot be read now: {why}.");
            retry_later(StatusCode::SERVICE_UNAVAILABLE, &detail, limits::HISTORY_WAIT)
        }
    }
}
