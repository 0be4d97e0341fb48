//! Events in doubt, and how doubt ends: by a person, a look-up or the policy, on record.

use crate::clock::Time;
use crate::domain::event::{EventState, Resolution, Twin};
use crate::store::dialect::lock_rows;
use crate::store::{Result, Store, StoreError, error::ensure_rows, read, write_tx};

use super::intake::twin;

/// An event of which nobody knows whether it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The event.
    pub id: i64,
    /// Requests for it that counted.
    pub attempts: u32,
}

/// What became of an event that was decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The run it belongs to.
    pub run_id: i64,
    /// Where it stands now.
    pub state: EventState,
}

/// Why an event cannot be decided about, or brought back.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such event.
    #[error("there is no event `{0}`\nhint: `lumasync events list` shows the last ones")]
    Missing(i64),
    /// There is no doubt about it.
    #[error("event `{id}` is {state}: there is nothing to decide about it")]
    NotInDoubt {
        /// The event.
        id: i64,
        /// Where it stands.
        state: EventState,
    },
    /// It is not one to bring back.
    #[error("event `{id}` is {state}: only events that are failed or rejected can be brought back")]
    NotFailed {
        /// The event.
        id: i64,
        /// Where it stands.
        state: EventState,
    },
    /// Its password was taken away when it was refused.
    #[error(
        "event `{0}` had a Zoom password, which was not kept when Luma refused it\nhint: send the row again with its password"
    )]
    Incomplete(i64),
    /// Another event has the id, or the key.
    #[error("event `{id}` cannot be {what}: {why}")]
    Taken {
        /// The event.
        id: i64,
        /// What was wanted.
        what: &'static str,
        /// What is in the way.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ResolveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Puts the events of workers that are gone in doubt: their requests may have arrived.
macro_rules! abandon_events {
    ($tx:ident, $whose:literal $(, $bind:expr)*) => {
        sqlx::query(concat!(
            "update event_queue
                set state = 'unknown', worker_id = null, attempts = attempts + 1, code = 'answer_unknown',
                    reason = 'the process that asked for it ended before the answer'
              where state = 'in_flight' and worker_id ",
            $whose
        ))
        $(.bind($bind))*
        .execute(&mut *$tx)
        .await?
    };
}

/// A run that has ended learns more of an event of its own: it goes on where there is something to
/// send, its status follows where it can end, and its result files are written anew. Only somebody who
/// decides makes a canceled one go on.
macro_rules! told_again {
    ($tx:ident, $run_id:expr, $state:expr, $is_decided:expr) => {{
        if $state == EventState::Pending {
            sqlx::query(
                "update runs set status = 'running', reason = null, finished_at = null
                  where id = $1 and (status in ('succeeded', 'partial', 'failed') or (status = 'canceled' and $2))",
            )
            .bind($run_id)
            .bind($is_decided)
            .execute(&mut *$tx)
            .await?;
        } else {
            sqlx::query(
                "update runs set status = 'succeeded'
                  where id = $1 and status = 'partial' and not exists
                        (select 1 from event_queue
                          where run_id = $1 and state in ('unknown', 'invalid', 'rejected', 'failed'))",
            )
            .bind($run_id)
            .execute(&mut *$tx)
            .await?;
        }
        sqlx::query("update input_files set state = 'taken' where run_id = $1 and state = 'archived'")
            .bind($run_id)
            .execute(&mut *$tx)
            .await?;
    }};
}

/// Where a decision leaves the event, and Luma's id of it.
pub(super) fn end_of(resolution: &Resolution) -> (EventState, Option<&str>) {
    match resolution {
        Resolution::Created(api_id) => (EventState::Created, Some(api_id.as_str())),
        Resolution::SendAgain => (EventState::Pending, None),
    }
}

/// Another row that is known to be the event with this id.
macro_rules! owner {
    ($tx:ident, $account:expr, $api_id:expr, $id:expr) => {
        sqlx::query_scalar::<_, i64>(
            "select id from event_queue where account = $1 and api_id = $2 and id <> $3 limit 1",
        )
        .bind($account)
        .bind($api_id)
        .bind($id)
        .fetch_optional(&mut *$tx)
        .await?
    };
}

/// Ends the doubt that a request has left, on record. A person makes a canceled run go on, nobody else.
macro_rules! decide {
    ($tx:ident, ($id:expr, $claim_id:expr, $run_id:expr), $resolution:expr, ($who:expr, $is_person:expr),
     $due_at:expr, $now:expr) => {{
        let (state, api_id) = $crate::store::events::doubt::end_of($resolution);
        let found = sqlx::query(
            "update event_queue
                set state = $3, api_id = $4, code = null, reason = null, claim_id = null,
                    settled_at = case when $3 = 'created' then $5 end,
                    due_at = $6,
                    body = case when $3 = 'created' then null else body end,
                    zoom_meeting_password = case when $3 = 'created' then null else zoom_meeting_password end
              where id = $1 and claim_id = $2 and state = 'unknown'",
        )
        .bind($id)
        .bind($claim_id)
        .bind(state.as_str())
        .bind(api_id)
        .bind($now)
        .bind($due_at)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        ensure_rows(found, 1, || format!("event `{}`", $id))?;
        sqlx::query(
            "insert into event_resolutions (event_id, decided_at, decided_by, decision, api_id, attempt_id)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind($id)
        .bind($now)
        .bind($who)
        .bind($resolution.as_str())
        .bind(api_id)
        .bind($claim_id)
        .execute(&mut *$tx)
        .await?;
        told_again!($tx, $run_id, state, $is_person);
    }};
}

type Standing = (String, i64, String, Option<i64>, Option<String>, bool);

/// The event as it stands, on the open transaction, if there is one. Nobody else decides about it meanwhile.
macro_rules! standing {
    ($tx:ident, $id:expr) => {{
        lock_rows!($tx, "select 1 from event_queue where id = $1 for update", $id);
        let found: Option<Standing> = sqlx::query_as(
            "select account, coalesce(run_id, 0), state, claim_id, client_key, body is not null
               from event_queue where id = $1",
        )
        .bind($id)
        .fetch_optional(&mut *$tx)
        .await?;
        match found {
            None => None,
            Some((account, run_id, state, claim_id, key, has_body)) => {
                let known = EventState::parse(&state);
                let state = known.ok_or_else(|| StoreError::corrupt("event_queue", "state", &state))?;
                Some((account, run_id, state, claim_id, key, has_body))
            }
        }
    }};
}

impl Store {
    /// Ends the doubt about an event and notes who decided what. One that is asked for again is not before
    /// `due_at`.
    pub async fn resolve_event(
        &self,
        id: i64,
        resolution: &Resolution,
        who: &str,
        due_at: Time,
        now: Time,
    ) -> Result<Resolved, ResolveError> {
        let (state, api_id) = end_of(resolution);
        let run_id: Result<i64, ResolveError> = write_tx!(self, tx => { 'resolve: {
            let Some((account, run_id, was, claim_id, _, _)) = standing!(tx, id) else {
                break 'resolve Err(ResolveError::Missing(id));
            };
            if was != EventState::Unknown {
                break 'resolve Err(ResolveError::NotInDoubt { id, state: was });
            }
            if let Some(other) = owner!(tx, &account, api_id, id) {
                let why = format!("that is the event of row {other}");
                break 'resolve Err(ResolveError::Taken { id, what: "created under that id", why });
            }
            decide!(tx, (id, claim_id, run_id), resolution, (who, true), due_at, now);
            Ok(run_id)
        }});
        Ok(Resolved { run_id: run_id?, state })
    }

    /// Brings an event back to pending that was refused or put off too often.
    pub async fn retry_event(&self, id: i64, now: Time, dry_run: bool) -> Result<Resolved, ResolveError> {
        let run_id: Result<i64, ResolveError> = write_tx!(self, tx => { 'retry: {
            let Some((account, run_id, was, _, key, has_body)) = standing!(tx, id) else {
                break 'retry Err(ResolveError::Missing(id));
            };
            if !matches!(was, EventState::Failed | EventState::Rejected) {
                break 'retry Err(ResolveError::NotFailed { id, state: was });
            }
            if !has_body {
                break 'retry Err(ResolveError::Incomplete(id));
            }
            let twin: Option<Twin> = twin!(tx, &account, key);
            if let Some(twin) = twin {
                break 'retry Err(ResolveError::Taken { id, what: "brought back", why: twin.reason() });
            }
            if !dry_run {
                let found = sqlx::query(
                    "update event_queue
                        set state = 'pending', code = null, reason = null, attempts = 0, settled_at = null, due_at = $2
                      where id = $1 and state in ('failed', 'rejected') and body is not null",
                )
                .bind(id)
                .bind(now)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                ensure_rows(found, 1, || format!("event `{id}`"))?;
                told_again!(tx, run_id, EventState::Pending, true);
            }
            Ok(run_id)
        }});
        Ok(Resolved { run_id: run_id?, state: EventState::Pending })
    }

    /// Failed events of one run or of all, of one code or of all.
    pub async fn failed_events(&self, run: Option<i64>, code: Option<&str>) -> Result<Vec<i64>> {
        let ids = read!(self, db => {
            sqlx::query_scalar(
                "select id from event_queue
                  where state = 'failed' and ($1 is null or run_id = $1) and ($2 is null or code = $2) order by id",
            )
            .bind(run)
            .bind(code)
            .fetch_all(db)
            .await?
        });
        Ok(ids)
    }

    /// The events of an account whose last request left them in doubt, oldest first; not those of canceled
    /// runs. One that Luma refused after a guess waits for a person: asking once more tells nothing new.
    pub async fn events_in_doubt(&self, account: &str) -> Result<Vec<Doubt>> {
        let rows: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(
                "select e.id, e.attempts
                   from event_queue e join runs r on r.id = e.run_id join attempts a on a.id = e.claim_id
                  where e.account = $1 and e.state = 'unknown' and r.status <> 'canceled'
                    and a.verdict in ('ambiguous', 'abandoned') order by e.id",
            )
            .bind(account)
            .fetch_all(db)
            .await?
        });
        let attempts = |attempts| u32::try_from(attempts).unwrap_or(u32::MAX);
        Ok(rows.into_iter().map(|(id, counted)| Doubt { id, attempts: attempts(counted) }).collect())
    }
}

pub(in crate::store) use abandon_events;
pub(super) use {decide, owner, told_again};
