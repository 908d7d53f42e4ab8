//! `POST /api/v1/probe` and the form for people: measures what is asked for, once, and answers
//! with a report. With `Accept: application/x-ndjson` a line of JSON tells of every step first.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::adhoc::Request;
use crate::plan::ExtraProbe;
use crate::render::page;
use crate::snapshot::Snapshot;
use crate::wire;

use super::desk::{self, Desk, Office, Run};
use super::problem::problem;
use super::{ServerState, blackbox, typed};

/// Content type of an answer that comes line by line.
const LINES: &str = "application/x-ndjson";

/// The routes that probe.
pub(super) fn routes(
    server: &Arc<ServerState>,
    desk: watch::Receiver<Arc<dyn Desk>>,
) -> Router<Arc<ServerState>> {
    Router::new()
        .route("/api/v1/probe", post(probe))
        .route("/probe-form", get(blank_form).post(filled_form))
        .route("/probe", get(blackbox::probe))
        .route("/config", get(desk::configuration))
        .with_state(Office::new(Arc::clone(server), desk))
}

async fn probe(
    State(office): State<Office>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let run = match asked(&office, &headers, &extensions, body) {
        Ok(run) => run,
        Err(response) => return response,
    };
    let wants_lines = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(LINES)));
    if wants_lines {
        return ([(header::CONTENT_TYPE, LINES)], lines(run)).into_response();
    }
    let (Run { last, .. }, _place) = run;
    let last = last.await;
    typed(super::JSON, wire::report_json(&last))
}

type Placed = (Run, OwnedSemaphorePermit);

/// The run that a request amounts to.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn asked(
    office: &Office,
    headers: &HeaderMap,
    extensions: &Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Placed, Response> {
    let body = body.map_err(|error| problem(error.status(), "The body could not be read."))?;
    if !desk::is_of_type(headers, super::JSON) {
        let detail = "The body must be JSON: send `Content-Type: application/json`.";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let request = Request::of_json(&body).map_err(|error| {
        let detail = format!("The body is not a request to probe: {error}.");
        problem(StatusCode::BAD_REQUEST, &detail)
    })?;
    let probes = request
        .probes()
        .map_err(|wrong| problem(StatusCode::UNPROCESSABLE_ENTITY, &wrong.join("; ")))?;
    begin(office, headers, extensions, probes)
}

/// Begins a run of probes that may be made.
#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn begin(
    office: &Office,
    headers: &HeaderMap,
    extensions: &Extensions,
    probes: Vec<ExtraProbe>,
) -> Result<Placed, Response> {
    let allowed = office.allowed(headers, extensions)?;
    if let Some(refused) = probes.iter().find(|probe| !allowed.probes(&probe.target)) {
        return Err(problem(StatusCode::FORBIDDEN, &allowed.refusal(&refused.target.authority())));
    }
    let place = office.place()?;
    Ok((office.desk().run(probes), place))
}

/// `{"progress": ...}` as it goes on, `{"report": ...}` at the end. A reader that goes away drops
/// the body, and with it the run.
fn lines(run: Placed) -> Body {
    Body::from_stream(unfold((Some(run), true), async |(run, first)| {
        let (mut run, place) = run?;
        if first {
            let line = progress(&run.snapshots.borrow_and_update());
            return Some((Ok::<_, Infallible>(line), (Some((run, place)), false)));
        }
        let last = tokio::select! {
            biased;
            last = &mut run.last => last,
            Ok(()) = run.snapshots.changed() => {
                let line = progress(&run.snapshots.borrow_and_update());
                return Some((Ok::<_, Infallible>(line), (Some((run, place)), false)));
            }
        };
        Some((Ok(wire::report_line(&last)), (None, false)))
    }))
}

fn progress(snapshot: &Snapshot) -> String {
    let measured = snapshot.checks.iter().filter(|check| check.verdict.is_some()).count();
    let of = snapshot.checks.len();
    format!("{{\"progress\":{{\"measured\":{measured},\"of\":{of}}}}}\n")
}

// ----------------------------------------------------------------------------------- the form

async fn blank_form(State(office): State<Office>, RawQuery(query): RawQuery) -> Html<String> {
    let fields = desk::fields(query.unwrap_or_default().as_bytes());
    let targets = fields.get("targets").map_or("", String::as_str);
    let form = page::ProbeForm { targets, expect: "any", subnets: "" };
    Html(page::probe_form(&office.server.newest(), &form, &[], None))
}

async fn filled_form(
    State(office): State<Office>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !desk::is_of_type(&headers, "application/x-www-form-urlencoded") {
        let detail = "This takes the page's form: `application/x-www-form-urlencoded`.";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    }
    let body = match body {
        Ok(body) => body,
        Err(error) => return problem(error.status(), "The body could not be read."),
    };
    let probes =
        Request::of_form(&body).map_err(|error| vec![error]).and_then(|request| request.probes());
    let fields = desk::fields(&body);
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let form = page::ProbeForm {
        targets: field("targets"),
        expect: field("expect"),
        subnets: field("subnets"),
    };
    let show = |wrong: &[String], done: Option<&Snapshot>| {
        page::probe_form(&office.server.newest(), &form, wrong, done)
    };
    let probes = match probes {
        Ok(probes) => probes,
        Err(wrong) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, Html(show(&wrong, None))).into_response();
        }
    };
    let allowed = match office.allowed(&headers, &extensions) {
        Ok(allowed) => allowed,
        Err(response) => return response,
    };
    if let Some(refused) = probes.iter().find(|probe| !allowed.probes(&probe.target)) {
        let wrong = [allowed.refusal(&refused.target.authority())];
        return (StatusCode::FORBIDDEN, Html(show(&wrong, None))).into_response();
    }
    match begin(&office, &headers, &extensions, probes) {
        Ok((Run { last, .. }, _place)) => {
            let last = last.await;
            Html(show(&[], Some(&last))).into_response()
        }
        Err(response) => response,
    }
}
