//! Settling: the outcome of a request for an event, with its attempt, in one transaction.
//!
//! The guard is the claim's own number. It holds while the request is under way, and after its worker
//! was given up for as long as nobody has decided otherwise: the answer to the very request that is in
//! doubt is the truth about it, however late. Once somebody has, a stale writer changes nothing; what
//! it learnt stays on its attempt.

use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::event::{EventOutcome, EventState, next};
use crate::domain::outcome::Block;
use crate::store::accounts::block;
use crate::store::dialect::{lock_rows, storable};
use crate::store::steps::count_faults;
use crate::store::{ClaimedEvent, Result, Store, error::ensure_rows, write_tx};

use super::doubt::{owner, told_again};

/// What became of a claimed event, and what that changes besides it.
#[derive(Clone, Debug)]
pub struct EventSettlement {
    /// The event, as it was claimed.
    pub event: ClaimedEvent,
    /// What becomes of it.
    pub outcome: EventOutcome,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The verdict, as stored.
    pub verdict: &'static str,
    /// What was said or seen.
    pub detail: Option<String>,
    /// Whether it was a fault of Luma or of the way to it.
    pub is_fault: bool,
    /// Not a byte of the request has left.
    pub is_unsent: bool,
    /// Nobody sends for a while.
    pub block: Option<Block>,
    /// The run stops, for this reason.
    pub halt: Option<String>,
}

/// The columns that an outcome sets.
struct Columns<'a> {
    state: EventState,
    code: Option<Code>,
    reason: Option<&'a str>,
    api_id: Option<&'a str>,
    due_at: Option<Time>,
}

impl<'a> Columns<'a> {
    fn of(outcome: &'a EventOutcome) -> Result<Self> {
        let state = next(EventState::InFlight, outcome.happening())
            .map_err(|error| crate::store::StoreError::corrupt("event_queue", "state", &error))?;
        let none = Self { state, code: None, reason: None, api_id: None, due_at: None };
        Ok(match outcome {
            EventOutcome::Created { api_id } => Self { api_id: Some(api_id.as_str()), ..none },
            EventOutcome::Again { due_at, .. } => Self { due_at: Some(*due_at), ..none },
            EventOutcome::Rejected { code, reason } => {
                Self { code: Some(*code), reason: Some(reason), ..none }
            }
            EventOutcome::Failed { reason } => {
                Self { code: Some(Code::AttemptsExhausted), reason: Some(reason), ..none }
            }
            EventOutcome::Unknown { reason } => {
                Self { code: Some(Code::AnswerUnknown), reason: Some(reason), ..none }
            }
        })
    }
}

/// An id that is another row's already, as a cached answer has it, does not show that this event exists.
macro_rules! taken {
    ($tx:ident, $event:expr, $api_id:expr) => {{
        let other = owner!($tx, &$event.account, $api_id.as_str(), $event.id);
        other.map(|other| EventOutcome::Unknown {
            reason: format!("Luma answered with `{}`, the id of event {other}", $api_id),
        })
    }};
}

impl Store {
    /// Writes the outcome of a request for an event. `Lost` where somebody has decided about the event
    /// meanwhile: then only its attempt tells what was answered.
    pub async fn settle_event(&self, settlement: &EventSettlement, now: Time) -> Result<()> {
        let event = &settlement.event;
        let held = write_tx!(self, tx => {
            lock_rows!(tx, "select 1 from event_queue where id = $1 for update", event.id);
            let odd = match &settlement.outcome {
                EventOutcome::Created { api_id } => taken!(tx, event, api_id),
                EventOutcome::Rejected { .. }
                | EventOutcome::Again { .. }
                | EventOutcome::Failed { .. }
                | EventOutcome::Unknown { .. } => None,
            };
            let columns = Columns::of(odd.as_ref().unwrap_or(&settlement.outcome))?;
            let is_over = !matches!(columns.state, EventState::Pending | EventState::Unknown);
            let was: Option<String> = sqlx::query_scalar(
                "select state from event_queue where id = $1 and claim_id = $2 and state in ('in_flight', 'unknown')",
            )
            .bind(event.id)
            .bind(event.claim_id)
            .fetch_optional(&mut *tx)
            .await?;
            let held = sqlx::query(
                "update event_queue
                    set state = $3, code = $4, reason = $5, api_id = $6, settled_at = $7,
                        due_at = coalesce($8, due_at),
                        attempts = attempts + case when state = 'in_flight' then $9 else 0 end,
                        claim_id = case when $3 = 'unknown' then claim_id end,
                        worker_id = null,
                        body = case when $3 = 'created' or ($3 = 'rejected' and zoom_meeting_password is not null)
                                    then null else body end,
                        zoom_meeting_password = case when $3 in ('created', 'rejected') then null
                                                     else zoom_meeting_password end
                  where id = $1 and claim_id = $2 and state in ('in_flight', 'unknown')",
            )
            .bind(event.id)
            .bind(event.claim_id)
            .bind(columns.state.as_str())
            .bind(columns.code.map(Code::as_str))
            .bind(columns.reason.map(storable))
            .bind(columns.api_id)
            .bind(is_over.then_some(now))
            .bind(columns.due_at)
            .bind(i64::from(settlement.outcome.costs_attempt()))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            sqlx::query(
                "update attempts
                    set finished_at = coalesce(finished_at, $2), status = $3, verdict = coalesce(verdict, $4),
                        detail = case when verdict is null then $5 else 'answered late: ' || coalesce($5, $4) end,
                        body_bytes = case when $6 then 0 else body_bytes end
                  where id = $1 and (verdict is null or verdict = 'abandoned')",
            )
            .bind(event.claim_id)
            .bind(now)
            .bind(settlement.status.map(i64::from))
            .bind(settlement.verdict)
            .bind(settlement.detail.as_deref().map(storable))
            .bind(settlement.is_unsent)
            .execute(&mut *tx)
            .await?;
            if settlement.is_fault || event.faults > 0 {
                count_faults!(tx, &event.account, settlement.is_fault);
            }
            if let Some(block) = &settlement.block {
                block!(tx, &event.account, block);
            }
            if let Some(why) = settlement.halt.as_ref().filter(|_| held == 1) {
                sqlx::query(
                    "update runs set status = 'failed', reason = $2, finished_at = $3
                      where id = $1 and status = 'running'",
                )
                .bind(event.run_id)
                .bind(storable(why))
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
            if was.as_deref() == Some("unknown") && columns.state != EventState::Unknown {
                told_again!(tx, event.run_id, columns.state, false);
            }
            held
        });
        ensure_rows(held, 1, || format!("event `{}`", event.id))
    }
}
