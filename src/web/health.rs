//! Whether the process lives, and whether it can work: for machines that start, stop and route.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::guard::said;
use super::site::Site;
use crate::store::Store;

/// The process answers.
pub(super) async fn alive() -> Response {
    said(StatusCode::OK, &json!({ "alive": true }))
}

/// The database answers and its tables are those of this program.
pub(super) async fn ready(State(site): State<Site>) -> Response {
    let (known, found) = (Store::schema_version(), site.store.migration().await);
    let (is_ready, why) = match found {
        _ if site.work.is_requested() => (false, "stopping"),
        Ok(found) if found == known => (true, "ready"),
        Ok(_) => (false, "the database has tables of another version of lumasync"),
        Err(error) => {
            tracing::debug!(%error, "not ready");
            (false, "the database does not answer")
        }
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    said(status, &json!({ "ready": is_ready, "reason": why }))
}
