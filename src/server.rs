//! The HTTP edge: routes over the newest snapshot, security headers, and who may ask.
//!
//! A request takes the newest snapshot and renders it. Only when that one is older than a working
//! engine ever leaves it, because the process or the machine stood still, the request waits a moment
//! for the next: what was true before the pause must not be shown as what is true now. The page carries strangers' texts, so every answer forbids scripts and outside resources;
//! the listener is meant for people on this machine, so names that are not its own are refused,
//! or a web page elsewhere could rebind its name to this address and read the answers.

#![expect(clippy::disallowed_methods, reason = "an edge: decides whether a snapshot is old")]

mod adhoc;
pub mod auth;
mod blackbox;
mod body;
pub mod control;
pub mod desk;
mod events;
mod guard;
pub mod history;
mod limit;
pub mod listen;
mod openapi;
mod pace;
mod pages;
pub mod peer;
mod pieces;
mod problem;
mod process;
pub mod rendered;
pub mod serve;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::limits;
use crate::model::printable;
use crate::render::metrics;
use crate::render::page;
use crate::snapshot::Snapshot;
use crate::wire;

use problem::problem;
use rendered::Output;

/// Content type of everything under `/api`.
const JSON: &str = "application/json";

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct ServerState {
    /// Always holds the newest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Who may ask, and under which names.
    pub access: Arc<auth::Access>,
    /// What can be steered.
    pub controls: control::Controls,
    /// A request waits for the next snapshot, at most [`limits::NEXT_SNAPSHOT`], when the newest is
    /// older than this; without it, never.
    pub fresh_within: Option<Duration>,
    /// Probes on request; without it the routes for that do not exist.
    pub desk: Option<watch::Receiver<Arc<dyn desk::Desk>>>,
    /// Where past events are read, if there is a history file.
    pub past: Option<Arc<dyn history::Shelf>>,
    /// What was rendered of the newest snapshot.
    pub rendered: rendered::Rendered<Snapshot>,
    /// Where probes run, if that is not where requests are answered: its tasks are counted as well.
    pub probing: Option<Handle>,
}

impl ServerState {
    /// Tells what the snapshots hold, and no more.
    pub fn new(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        access: Arc<auth::Access>,
        controls: control::Controls,
    ) -> Self {
        Self {
            snapshots,
            access,
            controls,
            fresh_within: None,
            desk: None,
            past: None,
            rendered: rendered::Rendered::default(),
            probing: None,
        }
    }

    /// The newest snapshot, without holding the lock any longer than it takes to clone a pointer.
    fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// What is told: the newest one, unless that is old and a newer comes at once.
    async fn snapshot(&self) -> Arc<Snapshot> {
        let mut snapshots = self.snapshots.clone();
        let fresh = snapshots.wait_for(|snapshot| self.is_fresh(snapshot));
        if let Ok(Ok(snapshot)) = timeout(limits::NEXT_SNAPSHOT, fresh).await {
            return Arc::clone(&snapshot);
        }
        self.newest()
    }

    fn is_fresh(&self, snapshot: &Snapshot) -> bool {
        let Some(within) = self.fresh_within.and_then(|age| SignedDuration::try_from(age).ok())
        else {
            return true;
        };
        Timestamp::now().duration_since(snapshot.taken_at) <= within
    }
}

type Shared = State<Arc<ServerState>>;

/// All routes.
pub fn router(state: ServerState) -> Router {
    let probing = state.desk.clone();
    let state = Arc::new(state);
    let probing = probing.map(|desk| adhoc::routes(&state, desk)).unwrap_or_default();
    let routes = Router::new()
        .route("/", get(pages::overview))
        .route("/checks/{id}", get(pages::check))
        .route("/report.html", get(pages::html_file))
        .route("/report.md", get(pages::markdown_file))
        .route("/report.json", get(pages::json_file))
        .route("/api/v1/events", events::route())
        .route("/metrics", get(metrics_text))
        .route("/api/v1/report", get(report))
        .route("/api/v1/checks/{id}", get(check_json))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/history", get(history::history))
        .route("/-/healthy", get(async || "ok"))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(control::reload))
        .route("/-/log-level", get(control::log_level).put(control::set_log_level))
        .route("/api/v1/openapi.json", get(openapi::document))
        .merge(probing)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(&state));
    guarded(routes, state)
}

/// These routes behind everything that stands before a handler: known names and origins, the
/// caller's rate and role, bodies within their limits.
pub fn guarded(routes: Router, state: Arc<ServerState>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(limits::REQUEST_BODY_BYTES))
        .layer(from_fn(body::read))
        .layer(from_fn_with_state(Arc::clone(&state), auth::admit))
        .layer(from_fn_with_state(state, guard::guard))
        .layer(from_fn_with_state(guard::policy(page::STYLE, page::SCRIPT), guard::secure))
}

async fn metrics_text(State(state): Shared) -> Response {
    let tasks = process::tasks(state.probing.as_ref());
    let process = process::now(tasks).map(|process| metrics::process_text(&process));
    let snapshot = state.snapshot().await;
    let text = state.rendered.get(&snapshot, Output::Metrics, metrics::text).await;
    typed(metrics::CONTENT_TYPE, pieces::body([text, process.unwrap_or_default().into()]))
}

async fn report(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    typed(JSON, state.rendered.get(&snapshot, Output::Report, wire::report_json).await)
}

async fn findings(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    typed(JSON, state.rendered.get(&snapshot, Output::Findings, wire::findings_json).await)
}

async fn check_json(State(state): Shared, id: Result<Path<String>, PathRejection>) -> Response {
    let Ok(Path(id)) = id else { return odd_path() };
    let snapshot = state.snapshot().await;
    wire::check_json(&snapshot, &id).map_or_else(|| no_such_check(&id), |json| typed(JSON, json))
}

async fn ready(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    if snapshot.is_complete() {
        return "ready".into_response();
    }
    let results = snapshot.checks.iter().filter(|check| check.verdict.is_some()).count();
    let all = snapshot.checks.len();
    let sentence = format!("The first round is running: {results} of {all} checks have a result.");
    (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
}

fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

fn no_such_check(id: &str) -> Response {
    let detail = format!("No check has the id `{}`; /api/v1/report lists them all.", printable(id));
    problem(StatusCode::NOT_FOUND, &detail)
}

fn odd_path() -> Response {
    problem(StatusCode::BAD_REQUEST, "The path is not UTF-8 after its percent signs are decoded.")
}

async fn no_such_path() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "There is nothing at this path; / is the status page, /metrics and /api/v1/report are for programs.",
    )
}

async fn wrong_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "This path does not take that method; see Allow.")
}
