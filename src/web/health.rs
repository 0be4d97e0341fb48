//! Whether the process lives, and whether it can work: for machines that start, stop and route.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::guard::said;
use super::site::Site;
use crate::clock::Clock;
use crate::store::Store;

/// How long the database may take to answer: whoever asks waits for no more.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers.
pub(super) async fn alive() -> Response {
    said(StatusCode::OK, &json!({ "alive": true }))
}

/// The database answers and its tables are those of this program.
pub(super) async fn ready(State(site): State<Site>) -> Response {
    let clock = Clock::system();
    let found = tokio::select! {
        found = site.store.migration() => Some(found),
        () = clock.sleep(PATIENCE) => None,
    };
    let known = Store::schema_version();
    let (is_ready, why) = match found {
        _ if site.work.is_requested() => (false, "stopping"),
        Some(Ok(found)) if found == known => (true, "ready"),
        Some(Ok(_)) => (false, "the database has tables of another version of lumasync"),
        Some(Err(error)) => {
            tracing::debug!(%error, "not ready");
            (false, "the database does not answer")
        }
        None => (false, "the database does not answer in time"),
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    said(status, &json!({ "ready": is_ready, "reason": why }))
}
