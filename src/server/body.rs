//! A request's body, read to its end before a handler runs: it is small, or it is refused.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::limits;

use super::problem::problem;

/// Reads the body within its limits of size and time.
pub(super) async fn read(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let read = to_bytes(body, limits::REQUEST_BODY_BYTES);
    match tokio::time::timeout(limits::REQUEST_BODY_TIME, read).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        // Too large, or the client went away and hears nothing of this.
        Ok(Err(_)) => problem(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is too large."),
        Err(_) => problem(StatusCode::REQUEST_TIMEOUT, "The request's body did not come in time."),
    }
}
