//! What the routes that probe may ask of the program, and how much of it at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::adhoc::Allowed;
use crate::blackbox::{Job, Sight};
use crate::limits;
use crate::plan::ExtraProbe;
use crate::snapshot::Snapshot;

use super::ServerState;
use super::auth::{Caller, Role};
use super::problem::{problem, retry_later};

/// What the server cannot do itself: probe, and know the configuration. The assembly does it.
pub trait Desk: fmt::Debug + Send + Sync + 'static {
    /// Measures these once. Dropping the run ends it.
    fn run(&self, probes: Vec<ExtraProbe>) -> Run;
    /// Makes one probe as blackbox_exporter would.
    fn blackbox(&self, job: Job, limit: Duration, allowed: Allowed) -> BoxFuture<'static, Sight>;
    /// The longest one such probe may take.
    fn patience(&self) -> Duration;
    /// Domains below which anybody who may ask may have hosts probed.
    fn probe_suffixes(&self) -> Vec<String>;
    /// The configuration in use as JSON, its secrets masked.
    fn configuration(&self) -> String;
}

/// A run that has begun.
pub struct Run {
    /// How far it is.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Its end; it goes on only while this is awaited.
    pub last: BoxFuture<'static, Arc<Snapshot>>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// What the routes that probe work with.
#[derive(Debug, Clone)]
pub(super) struct Office {
    pub(super) server: Arc<ServerState>,
    desk: watch::Receiver<Arc<dyn Desk>>,
    runs: Arc<Semaphore>,
    scrapes: Arc<Semaphore>,
}

impl Office {
    pub(super) fn new(server: Arc<ServerState>, desk: watch::Receiver<Arc<dyn Desk>>) -> Self {
        Self {
            server,
            desk,
            runs: Arc::new(Semaphore::new(limits::ADHOC_RUNS)),
            scrapes: Arc::new(Semaphore::new(limits::BLACKBOX_RUNS)),
        }
    }

    /// The desk of this moment.
    pub(super) fn desk(&self) -> Arc<dyn Desk> {
        Arc::clone(&self.desk.borrow())
    }

    /// What this request's sender may have probed; the error is the answer to one who may not have
    /// anything probed. Pages of other sites may not: a browser says where a request comes from,
    /// also where it sends no origin.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub(super) fn allowed(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Allowed, Response> {
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
            let detail = "Pages of other sites may not have anything probed.";
            return Err(problem(StatusCode::FORBIDDEN, detail));
        }
        let Some(caller) = extensions.get::<Caller>() else {
            return Err(problem(StatusCode::FORBIDDEN, "Nobody knows who asks."));
        };
        if caller.role == Role::Probe {
            return Ok(Allowed::Everything);
        }
        caller.require_known()?;
        let snapshot = self.server.newest();
        let servers = &snapshot.machine.dns_servers;
        Ok(Allowed::only(&snapshot.plan, &self.desk().probe_suffixes(), servers))
    }

    /// A place for a run.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Response> {
        place(&self.runs, limits::ADHOC_RUNS, "ad hoc runs")
    }

    /// A place for a request to `/probe`.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub(super) fn scrape(&self) -> Result<OwnedSemaphorePermit, Response> {
        place(&self.scrapes, limits::BLACKBOX_RUNS, "probes")
    }
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn place(
    places: &Arc<Semaphore>,
    most: usize,
    what: &str,
) -> Result<OwnedSemaphorePermit, Response> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        let detail = format!("{most} {what} are under way already; try again a little later.");
        retry_later(StatusCode::SERVICE_UNAVAILABLE, &detail, limits::ADHOC_RETRY)
    })
}

/// Fields of a query or a form, the first of each name.
pub(super) fn fields(text: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    fields
}

/// Whether the body is declared to be of this type.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    said.trim().eq_ignore_ascii_case(wanted)
}

/// The configuration, as `GET /config`.
pub(super) async fn configuration(
    axum::extract::State(office): axum::extract::State<Office>,
) -> Response {
    ([(header::CONTENT_TYPE, super::JSON)], office.desk().configuration()).into_response()
}
