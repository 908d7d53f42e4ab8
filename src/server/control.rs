//! Steering the daemon: reload, log level.

use std::fmt;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::rejection::StringRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, oneshot};

use super::ServerState;
use super::auth::Caller;
use super::problem::problem;

/// Somebody asks for a reload and wants to know how it went.
#[derive(Debug)]
pub struct Reload {
    /// Takes one sentence: what is in use now, or why nothing changed.
    pub reply: oneshot::Sender<Result<String, String>>,
}

/// Sets a log level by its name.
pub type SetLogLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// What can be steered.
#[derive(Clone)]
pub struct Controls {
    /// Reloads the configuration.
    pub reload: mpsc::Sender<Reload>,
    /// Tells the log level.
    pub log_level: Arc<dyn Fn() -> String + Send + Sync>,
    /// Sets the log level, or tells what would be one.
    pub set_log_level: Arc<SetLogLevel>,
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").finish_non_exhaustive()
    }
}

type Shared = State<Arc<ServerState>>;

pub(super) async fn reload(State(state): Shared, Extension(caller): Extension<Caller>) -> Response {
    if let Err(refusal) = caller.require_control() {
        return refusal;
    }
    let (reply, answer) = oneshot::channel();
    // The queue is as long as the crowd that is answered together.
    if state.controls.reload.try_send(Reload { reply }).is_err() {
        let detail = "Too many reloads were asked for at the same time; ask again in a moment.";
        return problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    }
    match answer.await {
        Ok(Ok(done)) => format!("{done}\n").into_response(),
        Ok(Err(why)) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("The new configuration was refused and the old one stays in use. {why}"),
        ),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "The daemon is stopping."),
    }
}

pub(super) async fn log_level(State(state): Shared) -> String {
    format!("{}\n", (state.controls.log_level)())
}

pub(super) async fn set_log_level(
    State(state): Shared,
    Extension(caller): Extension<Caller>,
    body: Result<String, StringRejection>,
) -> Response {
    if let Err(refusal) = caller.require_control() {
        return refusal;
    }
    let body = match body {
        Ok(body) => body,
        Err(error) => return problem(error.status(), "The body could not be read as text."),
    };
    match (state.controls.set_log_level)(body.trim()) {
        Ok(()) => format!("{}\n", body.trim()).into_response(),
        Err(why) => problem(StatusCode::BAD_REQUEST, &why),
    }
}
