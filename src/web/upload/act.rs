//! Sending and discarding: each is done once, however often it is asked for.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::coming::{no_folder, of_disk};
use super::{Outcome, UPLOAD, Upload, blocking};
use crate::engine::Wished;
use crate::web::fault::Fault;
use crate::web::sign_in::Nothing;
use crate::web::site::Site;
use crate::web::visitor::Act;

/// What is to become of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Wish {
    Send,
    Discard,
}

/// The button that sends it.
pub(in crate::web) async fn send(
    State(site): State<Site>,
    Path(word): Path<String>,
    act: Act<Nothing>,
) -> Result<Response, Fault> {
    let upload = site.upload(&word).await?;
    let said = match wish(&site, &upload, Wish::Send).await? {
        Wished::Done => "It is on its way into the queue.",
        Wished::SentBefore => "It was sent before, and is sent once.",
        Wished::Gone => return Err(Fault::NotFound),
    };
    site.sessions.say(&act.visit, said.to_owned());
    Ok(Redirect::to(&format!("{UPLOAD}/{word}")).into_response())
}

/// The button that takes it away.
pub(in crate::web) async fn discard(
    State(site): State<Site>,
    Path(word): Path<String>,
    act: Act<Nothing>,
) -> Result<Response, Fault> {
    let upload = site.upload(&word).await?;
    let (said, to) = match wish(&site, &upload, Wish::Discard).await? {
        Wished::SentBefore => {
            ("It was sent before, so there is nothing to discard.", format!("{UPLOAD}/{word}"))
        }
        Wished::Done | Wished::Gone => ("Discarded: nothing of it was sent.", UPLOAD.to_owned()),
    };
    site.sessions.say(&act.visit, said.to_owned());
    Ok(Redirect::to(&to).into_response())
}

/// What a person or a program wants of an upload. Only what has a plan is sent.
pub(in crate::web) async fn wish(site: &Site, upload: &Upload, wish: Wish) -> Result<Wished, Fault> {
    if wish == Wish::Send && !upload.staged.is_sent {
        may_go(site, upload).await?;
    }
    let Upload { engine, staging, staged } = upload.clone();
    let done = blocking(move || match wish {
        Wish::Send => staging.send(&staged),
        Wish::Discard => staging.discard(&staged),
    });
    let done = done.await?.map_err(|error| of_disk(&error))?;
    if done == Wished::Done {
        tracing::info!(account = engine.account(), wish = ?wish, "an upload is decided about");
    }
    Ok(done)
}

async fn may_go(site: &Site, upload: &Upload) -> Result<(), Fault> {
    match site.plan(upload).await.map(|plan| plan.outcome.clone()) {
        None => Err(Fault::Conflict("Its plan is not made yet. Look at it first.".to_owned())),
        Some(Outcome::Refused(_)) => {
            Err(Fault::Conflict("It cannot be read, so nothing of it could be sent.".to_owned()))
        }
        Some(Outcome::Later(_)) => {
            Err(Fault::Conflict("It could not be looked at yet. Try again in a moment.".to_owned()))
        }
        Some(Outcome::Planned(..) | Outcome::Before(..)) => {
            let staging = upload.staging.clone();
            let ready = blocking(move || staging.make_ready()).await?;
            ready.map_err(|error| no_folder(&upload.engine, &error))
        }
    }
}
