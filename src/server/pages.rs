//! Pages for people, and the report as files for a ticket.
#![expect(clippy::disallowed_methods, reason = "a page says how old its data is when it is read")]

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;

use crate::limits;
use crate::render::markdown;
use crate::render::page::{self, View};
use crate::snapshot::Snapshot;
use crate::wire;

use super::rendered::Output;
use super::{JSON, ServerState, no_such_check, odd_path};

type Shared = State<Arc<ServerState>>;

/// The status page.
pub(super) async fn overview(State(state): Shared, RawQuery(query): RawQuery) -> Html<Bytes> {
    let view = view(query.as_deref());
    let make = |snapshot: &Snapshot| page::overview_as(snapshot, view);
    Html(state.rendered.get(&state.snapshot().await, Output::Overview(view), make).await)
}

/// The page of one check.
pub(super) async fn check(
    State(state): Shared,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(Path(id)) = id else { return odd_path() };
    let snapshot = state.snapshot().await;
    let older = state.past_events(&id, limits::PAGE_EVENTS).await;
    page::check_as(&snapshot, &id, view(query.as_deref()), &older)
        .map_or_else(|| no_such_check(&id), |page| Html(page).into_response())
}

fn view(query: Option<&str>) -> View {
    // To the second, as ages are shown, so that readers of the same second share one page.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    query.map(View::of_query).unwrap_or_default().read_at(now)
}

/// The report as a page of its own.
pub(super) async fn html_file(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    attached(&snapshot, "html", "text/html; charset=utf-8", page::file(&snapshot))
}

/// The report as Markdown.
pub(super) async fn markdown_file(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    attached(&snapshot, "md", "text/markdown; charset=utf-8", markdown::report(&snapshot))
}

/// The report as JSON.
pub(super) async fn json_file(State(state): Shared) -> Response {
    let snapshot = state.snapshot().await;
    let report = state.rendered.get(&snapshot, Output::Report, wire::report_json).await;
    attached(&snapshot, "json", JSON, report)
}

/// An answer that browsers save under a name that says where and when it was made.
fn attached(
    snapshot: &Snapshot,
    extension: &str,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let machine: String = snapshot.machine.hostname.chars().take(64).map(kept).collect();
    let time = snapshot.taken_at.strftime("%Y%m%dT%H%M%SZ");
    let name = format!("attachment; filename=\"vnetprobe-{machine}-{time}.{extension}\"");
    let disposition =
        HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, body.into()).into_response()
}
