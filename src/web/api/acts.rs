//! What a program does to a run: lets it go, gives it up, brings back what failed.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{answer, may_write, read};
use crate::web::fault::Fault;
use crate::web::run_acts::Approval;
use crate::web::sign_in::noted_name;
use crate::web::site::Site;
use crate::web::visitor::{Number, Visitor};

/// Whose hand it is, where that is said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hand {
    by: Option<String>,
}

impl Hand {
    /// The name that is noted; a body may be left out.
    fn of(body: &Bytes) -> Result<String, Fault> {
        let hand: Self = if body.is_empty() { Self::default() } else { read(body)? };
        Ok(noted_name(hand.by.as_deref(), "api"))
    }
}

/// Lets a held run go.
pub(super) async fn approve(
    State(site): State<Site>,
    visitor: Visitor,
    Number(id): Number,
    body: Bytes,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let Approval { is_now, rows, by, at } = site.approve_run(id, &Hand::of(&body)?).await?;
    let told = json!({ "run": id, "approved": is_now, "rows": rows, "by": by, "at": at.to_string() });
    Ok(answer(StatusCode::OK, &told))
}

/// Gives up what is left of a run.
pub(super) async fn cancel(
    State(site): State<Site>,
    visitor: Visitor,
    Number(id): Number,
    body: Bytes,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let canceled = site.cancel_run(id, &Hand::of(&body)?).await?;
    let canceled = canceled.ok_or_else(|| {
        Fault::Conflict(format!("Run {id} has ended, and no rows of it are left to cancel."))
    })?;
    let told = json!({ "run": id, "canceled": canceled.rows, "in_flight": canceled.in_flight });
    Ok(answer(StatusCode::OK, &told))
}

/// Brings back what failed of a run.
pub(super) async fn retry(
    State(site): State<Site>,
    visitor: Visitor,
    Number(id): Number,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let back = site.retry_run(id).await?;
    let kept: Vec<String> = back.kept.iter().map(ToString::to_string).collect();
    let told = json!({ "run": id, "rows": back.rows, "suppressed": back.left_out, "not_brought_back": kept });
    Ok(answer(StatusCode::OK, &told))
}
