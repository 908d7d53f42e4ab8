//! `/api/v1/events`: tells pages by server-sent events that there is something new to fetch.
//!
//! An event says only what a page needs to decide whether it is worth fetching now. A stream ends
//! with the server, so that open pages never hold its shutdown up.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::future::{Either, select};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::limits;
use crate::render::headline::Headline;
use crate::snapshot::Snapshot;

use super::ServerState;
use super::problem::problem;

/// Says to every stream that the server stops: when the sender is gone.
#[derive(Debug, Clone)]
pub(super) struct Stopping(pub(super) watch::Receiver<()>);

/// What one event says.
#[derive(Debug, Serialize)]
struct News<'a> {
    /// When the snapshot was taken.
    taken_at: jiff::Timestamp,
    /// Whether the first round is over.
    complete: bool,
    /// The number of the newest event: when it grew, something changed.
    last_event: u64,
    /// The verdict in one sentence.
    headline: &'a str,
}

/// The route, which counts its streams.
pub(super) fn route() -> MethodRouter<Arc<ServerState>> {
    let places = Arc::new(Semaphore::new(limits::EVENT_STREAMS));
    get(async move |State(state): State<Arc<ServerState>>, stop: Option<Extension<Stopping>>| {
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => stream(&state, stop.map(|Extension(stop)| stop), place),
            Err(_) => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many pages are being updated live; this one can be reloaded by hand.",
            ),
        }
    })
}

/// One reader.
struct Reader {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: Option<Stopping>,
    first: bool,
    _place: OwnedSemaphorePermit,
}

fn stream(state: &ServerState, stop: Option<Stopping>, place: OwnedSemaphorePermit) -> Response {
    let snapshots = state.snapshots.clone();
    let reader = Reader { snapshots, stop, first: true, _place: place };
    let events = stream::unfold(reader, async |mut reader| {
        reader.news().await.map(|event| (Ok::<Event, Infallible>(event), reader))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(limits::EVENT_HEARTBEAT)).into_response()
}

impl Reader {
    /// The next event: at once for a new reader, then when there is a new snapshot, but not more
    /// often than [`limits::EVENTS_EVERY`]. Nothing when the server stops.
    async fn news(&mut self) -> Option<Event> {
        if self.first {
            self.first = false;
        } else {
            let snapshots = &mut self.snapshots;
            let next = pin!(async move {
                tokio::time::sleep(limits::EVENTS_EVERY).await;
                snapshots.changed().await.ok()
            });
            match select(next, pin!(stopped(self.stop.as_mut()))).await {
                Either::Left((changed, _)) => changed?,
                Either::Right(_) => return None,
            }
        }
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        let headline = Headline::of(&snapshot).text;
        let news = News {
            taken_at: snapshot.taken_at,
            complete: snapshot.is_complete(),
            last_event: snapshot.journal.last(),
            headline: &headline,
        };
        // Four plain fields always serialize.
        let data = serde_json::to_string(&news).unwrap_or_default();
        Some(Event::default().event("snapshot").data(data))
    }
}

/// Completes when the server stops; never where nobody said how it would.
async fn stopped(stop: Option<&mut Stopping>) {
    match stop {
        Some(stop) => while stop.0.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}
