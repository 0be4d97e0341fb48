//! The same for programs: what pages show as JSON, and rows into the queues.
//!
//! `openapi.json` beside this file is the contract; a test holds it against these routes and their answers.

mod acts;
mod enqueue;
mod people;
mod show;
mod uploads;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::fault::Fault;
use super::site::Site;
use super::visitor::Visitor;

/// The document.
const DOCUMENT: &str = include_str!("openapi.json");

/// Every address for programs.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/v1/openapi.json", get(document))
        .route("/api/v1/status", get(show::status))
        .route("/api/v1/runs", get(show::runs))
        .route("/api/v1/runs/{id}", get(show::run))
        .route("/api/v1/runs/{id}/approve", post(acts::approve))
        .route("/api/v1/runs/{id}/cancel", post(acts::cancel))
        .route("/api/v1/runs/{id}/retry", post(acts::retry))
        .route("/api/v1/schedules", get(show::schedules))
        .route("/api/v1/members", post(enqueue::members))
        .route("/api/v1/members/{id}", get(show::member))
        .route("/api/v1/people/trace", post(people::trace))
        .route("/api/v1/events", get(show::events).post(enqueue::events))
        .route("/api/v1/events/{id}", get(show::event))
        .route("/api/v1/uploads", post(uploads::receive))
        .route("/api/v1/uploads/{id}", get(uploads::show).delete(uploads::discard))
        .route("/api/v1/uploads/{id}/send", post(uploads::send))
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Programs alone: a session's cookie goes with whatever a browser is made to send.
fn may_write(visitor: &Visitor) -> Result<(), Fault> {
    match visitor {
        Visitor::Program => Ok(()),
        Visitor::Person(_) => Err(Fault::SignIn),
        stranger @ Visitor::Stranger { .. } => stranger.trusted(),
    }
}

/// The body, as the document has it.
fn read<'b, T: Deserialize<'b>>(body: &'b Bytes) -> Result<T, Fault> {
    // The text of the error may quote the body; its place does not.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Fault::Wrong(format!(
            "The body is not what `/api/v1/openapi.json` says: line {line}, column {column}."
        ))
    })
}
