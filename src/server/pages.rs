//! Pages for people, and the report as files for a ticket.
#![expect(clippy::disallowed_methods, reason = "a page says how old its data is when it is read")]

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;

use crate::render::markdown;
use crate::render::page::{self, View};
use crate::snapshot::Snapshot;
use crate::wire;

use super::{JSON, ServerState, no_such_check, odd_path};

type Shared = State<Arc<ServerState>>;

/// The status page.
pub(super) async fn overview(State(state): Shared, RawQuery(query): RawQuery) -> Html<String> {
    Html(page::overview_as(&*state.snapshot().await, view(query.as_deref())))
}

/// The page of one check.
pub(super) async fn check(
    State(state): Shared,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(Path(id)) = id else { return odd_path() };
    page::check_as(&*state.snapshot().await, &id, view(query.as_deref()), &[])
        .map_or_else(|| no_such_check(&id), |page| Html(page).into_response())
}

fn view(query: Option<&str>) -> View {
    query.map(View::of_query).unwrap_or_default().read_at(Timestamp::now())
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
    attached(&snapshot, "json", JSON, wire::report_json(&snapshot))
}

/// An answer that browsers save under a name that says where and when it was made.
fn attached(
    snapshot: &Snapshot,
    extension: &str,
    content_type: &'static str,
    body: String,
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
    (headers, body).into_response()
}
