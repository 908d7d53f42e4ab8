//! Errors as RFC 9457 documents.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The document. Its type is `about:blank`: the status says all a program needs.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

/// An answer that says what went wrong and what to do about it.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let document = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
    };
    // Four plain fields always serialize.
    let body = serde_json::to_string(&document).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// The same, for what may be asked again after a while.
pub(super) fn retry_later(status: StatusCode, detail: &str, wait: Duration) -> Response {
    let mut response = problem(status, detail);
    // Whole seconds, upwards: whoever comes too early waits again.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}
