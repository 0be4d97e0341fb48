//! Uploads for programs: a file comes, its plan is asked for, and it is sent or discarded.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer, may_write};
use crate::domain::state::Kind;
use crate::engine::Wished;
use crate::web::fault::Fault;
use crate::web::site::Site;
use crate::web::upload::{Outcome, Plan, Sent, Upload, Wish, receive_raw, wish};
use crate::web::visitor::{Asked, Visitor};

/// A name stands here and in no address, because addresses are logged by whatever passes them on.
const NAME: &str = "x-file-name";

#[derive(Debug, Deserialize)]
pub(super) struct Of {
    kind: Option<String>,
    account: Option<String>,
}

/// A file, as the body.
pub(super) async fn receive(
    State(site): State<Site>,
    visitor: Visitor,
    Asked(Of { kind, account }): Asked<Of>,
    request: Request,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let kind = kind.map_or(Some(Kind::Members), |kind| Kind::parse(&kind));
    let kind = kind.ok_or_else(|| Fault::Wrong("`kind` is `members` or `events`.".to_owned()))?;
    let name = request.headers().get(NAME).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let name = name.unwrap_or_default();
    let upload = receive_raw(&site, request, (account.as_deref(), kind, name)).await?;
    told(&site, &upload, StatusCode::ACCEPTED).await
}

/// Its plan, and what became of it.
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Path(word): Path<String>,
) -> Result<Response, Fault> {
    visitor.trusted()?;
    let upload = site.upload(&word).await?;
    told(&site, &upload, StatusCode::OK).await
}

/// It goes, once.
pub(super) async fn send(
    State(site): State<Site>,
    visitor: Visitor,
    Path(word): Path<String>,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let upload = site.upload(&word).await?;
    if wish(&site, &upload, Wish::Send).await? == Wished::Gone {
        return Err(Fault::NotFound);
    }
    let upload = site.upload(&word).await?;
    told(&site, &upload, StatusCode::OK).await
}

/// It is taken away, unless it was sent before.
pub(super) async fn discard(
    State(site): State<Site>,
    visitor: Visitor,
    Path(word): Path<String>,
) -> Result<Response, Fault> {
    may_write(&visitor)?;
    let upload = site.upload(&word).await?;
    match wish(&site, &upload, Wish::Discard).await? {
        Wished::Done | Wished::Gone => {
            Ok(answer(StatusCode::OK, &json!({ "id": word, "state": "discarded" })))
        }
        Wished::SentBefore => {
            Err(Fault::Conflict("It was sent before, so there is nothing to discard.".to_owned()))
        }
    }
}

async fn told(site: &Site, upload: &Upload, status: StatusCode) -> Result<Response, Fault> {
    let staged = &upload.staged;
    let (state, run, error, plan) = if staged.is_sent {
        let (run, error) = match site.sent(upload).await? {
            Sent::Run(run) => (Some(run), None),
            Sent::OnItsWay { .. } => (None, None),
            Sent::Failed(reason) => (None, Some(reason)),
        };
        ("sent", run, error, Value::Null)
    } else {
        of_plan(site, site.plan(upload).await.as_deref())
    };
    let body = json!({
        "id": staged.word,
        "state": state,
        "account": upload.engine.account(),
        "kind": staged.kind.as_str(),
        "name": staged.name,
        "size": staged.size,
        "sha256": staged.sha256,
        "came_at": staged.at.to_string(),
        "waits_until": (!staged.is_sent).then(|| staged.until().to_string()),
        "run": run,
        "error": error,
        "plan": plan,
    });
    Ok(answer(status, &body))
}

fn of_plan(site: &Site, plan: Option<&Plan>) -> (&'static str, Option<i64>, Option<String>, Value) {
    let Some(plan) = plan else { return ("planning", None, None, Value::Null) };
    let said = |why: &crate::engine::Explained| {
        std::iter::once(&why.said).chain(&why.hints).cloned().collect::<Vec<_>>().join("; ")
    };
    match &plan.outcome {
        Outcome::Planned(input, outlook) => {
            let mut json = input.json(site.max_rows());
            json["at"] = json!(plan.at.to_string());
            json["seconds_at_the_limit"] =
                json!(outlook.at_the_limit(input.requests + outlook.waiting.1).as_secs());
            ("planned", None, None, json)
        }
        Outcome::Before(run, _) => ("taken_before", Some(*run), None, Value::Null),
        Outcome::Refused(why) => ("refused", None, Some(said(why)), Value::Null),
        Outcome::Later(why) => ("planning", None, Some(said(why)), Value::Null),
    }
}
