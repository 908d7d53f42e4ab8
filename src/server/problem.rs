//! Errors as RFC 9457 documents.

use axum::http::{StatusCode, header};
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
