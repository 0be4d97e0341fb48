//! What is done to a run by hand: it is let go, given up, or what failed of it is brought back.
//!
//! Each act is one function for people and programs. People are told by a notice on the page they come from,
//! programs by `api::acts`.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::fault::Fault;
use super::session::Visit;
use super::sign_in::Nothing;
use super::site::Site;
use super::visitor::{Act, Number};
use crate::clock::Time;
use crate::domain::proof::Verify;
use crate::domain::state::RunStatus;
use crate::domain::words::{count, moment};
use crate::engine::{Again, BroughtBack, bring_back, cancel as give_up};
use crate::store::CanceledRun;

/// Who has let a run go.
#[derive(Debug)]
pub(super) struct Approval {
    /// Whether this very act did.
    pub(super) is_now: bool,
    /// Rows that it lets go.
    pub(super) rows: u64,
    pub(super) by: String,
    pub(super) at: Time,
}

impl Site {
    /// Lets a held run go, once.
    pub(super) async fn approve_run(&self, id: i64, person: &str) -> Result<Approval, Fault> {
        // Before: what is let go may be on its way at once.
        let rows = self.store.rows_to_send(id).await?;
        let is_now = self.store.approve_runs(&[id], person, self.clock.now()).await?;
        let run = self.store.run(id).await?.ok_or(Fault::NotFound)?;
        self.forget_run(id);
        if is_now {
            tracing::info!(run = id, rows, "a held run is approved");
        }
        match run.approved.filter(|_| run.status != RunStatus::Held) {
            Some((by, at)) => Ok(Approval { is_now, rows, by, at }),
            None => Err(Fault::Conflict(format!(
                "Run {id} is not held ({}): only a run that a guard holds is approved.",
                run.status
            ))),
        }
    }

    /// Gives up what is left of a run; nothing where nothing is.
    pub(super) async fn cancel_run(&self, id: i64, person: &str) -> Result<Option<CanceledRun>, Fault> {
        self.store.run(id).await?.ok_or(Fault::NotFound)?;
        let canceled = give_up(&self.store, id, person, &self.clock).await?;
        if let Some(canceled) = &canceled {
            tracing::info!(
                run = id,
                rows = canceled.rows,
                in_flight = canceled.in_flight,
                "a run is canceled"
            );
        }
        self.forget_run(id);
        Ok(canceled)
    }

    /// Brings back what failed of a run.
    pub(super) async fn retry_run(&self, id: i64) -> Result<BroughtBack, Fault> {
        self.store.run(id).await?.ok_or(Fault::NotFound)?;
        let again = Again { run: Some(id), code: None, max_rows: self.max_rows(), dry_run: false };
        let verify = |account: &str| {
            let engine = self.fleet.engines().find(|engine| engine.account() == account);
            engine.map_or(Verify::None, |engine| engine.settings().verify)
        };
        let back = bring_back(&self.store, again, verify, &self.clock).await?;
        if !back.runs.is_empty() {
            tracing::info!(run = id, rows = back.rows, "rows are brought back");
        }
        self.forget_run(id);
        Ok(back)
    }
}

/// The button of a run that is held.
pub(super) async fn approve(
    State(site): State<Site>,
    Number(id): Number,
    Act { visit, form: Nothing {} }: Act<Nothing>,
) -> Result<Response, Fault> {
    let approval = site.approve_run(id, &visit.person).await?;
    let said = if approval.is_now {
        format!("Approved: {} to send.", count(approval.rows, "row"))
    } else {
        format!("It was approved by {} at {} already.", approval.by, moment(approval.at))
    };
    Ok(done(&site, &visit, id, said))
}

/// The button of a run of which something failed.
pub(super) async fn retry(
    State(site): State<Site>,
    Number(id): Number,
    Act { visit, form: Nothing {} }: Act<Nothing>,
) -> Result<Response, Fault> {
    let back = site.retry_run(id).await?;
    let mut said = match back.rows {
        0 => "There was nothing to retry.".to_owned(),
        rows => format!("{} pending again.", count(rows, "row")),
    };
    if back.left_out > 0 {
        _ = write!(said, " {} left out: their people are suppressed.", count(back.left_out, "row"));
    }
    for kept in &back.kept {
        _ = write!(said, " Not brought back: {kept}.");
    }
    Ok(done(&site, &visit, id, said))
}

/// The button of a run that is not over.
pub(super) async fn cancel(
    State(site): State<Site>,
    Number(id): Number,
    Act { visit, form: Nothing {} }: Act<Nothing>,
) -> Result<Response, Fault> {
    let said = match site.cancel_run(id, &visit.person).await? {
        None => "It had ended, and no rows were left to cancel.".to_owned(),
        Some(canceled) if canceled.in_flight > 0 => format!(
            "Canceled: {} will not be sent; {} in a request end as that does.",
            count(canceled.rows, "row"),
            count(canceled.in_flight, "row")
        ),
        Some(canceled) => format!("Canceled: {} will not be sent.", count(canceled.rows, "row")),
    };
    Ok(done(&site, &visit, id, said))
}

fn done(site: &Site, visit: &Visit, run: i64, said: String) -> Response {
    site.sessions.say(visit, said);
    Redirect::to(&format!("/runs/{run}")).into_response()
}
