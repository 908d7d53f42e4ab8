//! The description of the API for programs (OpenAPI 3.1).

use axum::response::Response;

use super::{JSON, typed};

/// `docs/openapi.json`: written by hand, served as it is, and held true by `tests/api.rs`.
const DOCUMENT: &str = include_str!("../../docs/openapi.json");

pub(super) async fn document() -> Response {
    typed(JSON, DOCUMENT.to_owned())
}
