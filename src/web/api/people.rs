//! The trace of one person, for programs. The address comes in the body: addresses of pages are kept by proxies.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{answer, may_write, read};
use crate::engine::trace_json;
use crate::web::fault::Fault;
use crate::web::site::Site;
use crate::web::visitor::Visitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    email: String,
}

/// All that is on record about somebody.
pub(super) async fn trace(
    State(site): State<Site>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let Wanted { email } = read(&body)?;
    let (story, files) = site.trace(&email).await?;
    Ok(answer(StatusCode::OK, &trace_json(email.trim(), &story, &files)))
}
