//! Looks for events in doubt: which are due, who is at it, and what they have come to.
//!
//! A look belongs to the request that left its event in doubt, by the number of its attempt: once somebody has
//! decided about that doubt, a look for it changes nothing. What a look proves is decided elsewhere.

use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::event::{
    ApiId, Doubted, EventBody, EventState, LOOK_UP, LookEnd, LookedFor, PAUSE, Resolution,
};
use crate::store::dialect::{lock_rows, storable};
use crate::store::{Result, Store, error::ensure_rows, read, write_tx};

use super::doubt::{decide, owner, told_again};

/// An event in doubt that is to be looked for now.
#[derive(Clone, Debug)]
pub struct DueLook {
    /// The event.
    pub id: i64,
    /// The request that left it in doubt.
    pub claim_id: i64,
    /// The run it belongs to.
    pub run_id: i64,
    /// Requests for it that counted.
    pub attempts: u32,
    /// Why it is in doubt.
    pub doubted: Doubted,
    /// The body of its request.
    pub body: EventBody,
    /// What earlier looks have come to.
    pub looked: LookedFor,
    /// Looks since then that Luma has not answered.
    pub faults: u32,
}

/// The looks that are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LooksLeft {
    /// Events in doubt.
    pub events: u64,
    /// When the next one is due.
    pub next: Option<Time>,
}

/// What looks have come to after one request.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EventLook {
    /// The request that left the event in doubt.
    pub attempt_id: i64,
    /// Looks that Luma has answered.
    pub looks: i64,
    /// Those since then that it has not.
    pub faults: i64,
    /// Since when no look has found it.
    pub absent_since: Option<Time>,
    /// The last one.
    pub looked_at: Time,
    /// The next one, if there is to be one.
    pub look_at: Option<Time>,
}

type DueRow = (i64, i64, i64, i64, String, Option<String>, Option<String>, Option<Time>, i64);

/// Whether a look is due. One that a clock has dated later than now is, once that clock is put right.
macro_rules! is_due {
    ($now:literal) => {
        concat!(
            "(l.attempt_id is null or (l.look_at is not null and (l.look_at <= ",
            $now,
            " or l.looked_at > ",
            $now,
            ")))"
        )
    };
}

/// Ends the doubt about an event that is surely not there.
macro_rules! end_doubt {
    ($tx:ident, $look:expr, ($state:expr, $code:expr), $reason:expr, $now:expr) => {{
        let ended = sqlx::query(
            "update event_queue
                set state = $3, code = $4, reason = $5, settled_at = $6, claim_id = null,
                    body = case when $3 = 'rejected' and zoom_meeting_password is not null then null else body end,
                    zoom_meeting_password = case when $3 = 'rejected' then null else zoom_meeting_password end
              where id = $1 and claim_id = $2 and state = 'unknown'",
        )
        .bind($look.id)
        .bind($look.claim_id)
        .bind($state.as_str())
        .bind($code.as_str())
        .bind(storable($reason))
        .bind($now)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        ensure_rows(ended, 1, || format!("event `{}`", $look.id))?;
        told_again!($tx, $look.run_id, $state, false);
    }};
}

impl Store {
    /// The events in doubt of an account, or of one of its runs, that are to be looked for now, oldest first.
    pub async fn due_looks(
        &self,
        account: &str,
        run: Option<i64>,
        now: Time,
        limit: u32,
    ) -> Result<Vec<DueLook>> {
        let rows: Vec<DueRow> = read!(self, db => {
            sqlx::query_as(concat!(
                "select e.id, e.claim_id, e.run_id, e.attempts, e.body, a.verdict, a.detail, l.absent_since,
                        coalesce(l.faults, 0)
                   from event_queue e left join attempts a on a.id = e.claim_id
                        left join event_looks l on l.attempt_id = e.claim_id
                  where e.account = $1 and e.state = 'unknown' and ($2 is null or e.run_id = $2)
                    and ",
                is_due!("$3"),
                " order by e.id limit $4"
            ))
            .bind(account)
            .bind(run)
            .bind(now)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        let due =
            |(id, claim_id, run_id, attempts, body, verdict, said, absent_since, faults): DueRow| DueLook {
                id,
                claim_id,
                run_id,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                doubted: match verdict.as_deref() {
                    Some("refused") => {
                        Doubted::Refused { asked_before: attempts > 1, message: said.unwrap_or_default() }
                    }
                    _ => Doubted::Unanswered,
                },
                body: EventBody::new(body),
                looked: LookedFor::absent_since(absent_since),
                faults: u32::try_from(faults).unwrap_or(u32::MAX),
            };
        Ok(rows.into_iter().map(due).collect())
    }

    /// The looks that are still to come; not those that Luma has left unanswered as often as `patience` says.
    pub async fn looks_left(
        &self,
        account: &str,
        run: Option<i64>,
        now: Time,
        patience: Option<u32>,
    ) -> Result<LooksLeft> {
        let (events, next): (i64, Option<Time>) = read!(self, db => {
            sqlx::query_as(concat!(
                "select count(*), min(case when ",
                is_due!("$3"),
                " then $3 else l.look_at end)
                   from event_queue e left join event_looks l on l.attempt_id = e.claim_id
                  where e.account = $1 and e.state = 'unknown' and ($2 is null or e.run_id = $2)
                    and (l.attempt_id is null or (l.look_at is not null and ($4 is null or l.faults < $4)))"
            ))
            .bind(account)
            .bind(run)
            .bind(now)
            .bind(patience.map(i64::from))
            .fetch_one(db)
            .await?
        });
        Ok(LooksLeft { events: events.unsigned_abs(), next })
    }

    /// The runs of an account with events that are still to be looked for.
    pub async fn runs_to_look_for(&self, account: &str) -> Result<Vec<i64>> {
        let runs = read!(self, db => {
            sqlx::query_scalar(
                "select distinct e.run_id
                   from event_queue e left join event_looks l on l.attempt_id = e.claim_id
                  where e.account = $1 and e.state = 'unknown'
                    and (l.attempt_id is null or l.look_at is not null) order by e.run_id",
            )
            .bind(account)
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Begins a look: nobody else looks for the event before `until`. Whether it is still due.
    pub async fn begin_event_look(&self, look: &DueLook, now: Time, until: Time) -> Result<bool> {
        let begun = write_tx!(self, tx => {
            sqlx::query(
                "insert into event_looks (attempt_id, event_id, looked_at, look_at)
                 select claim_id, id, $3, $4 from event_queue
                  where id = $1 and claim_id = $2 and state = 'unknown'
                 on conflict (attempt_id) do update
                    set looked_at = excluded.looked_at, look_at = excluded.look_at
                  where event_looks.look_at is not null
                    and (event_looks.look_at <= $3 or event_looks.looked_at > $3)",
            )
            .bind(look.id)
            .bind(look.claim_id)
            .bind(now)
            .bind(until)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(begun == 1)
    }

    /// Puts a look off that Luma has not answered. A wait that Luma asked for is no fault.
    pub async fn put_off_look(&self, look: &DueLook, is_fault: bool, until: Time, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update event_looks set faults = faults + $2, looked_at = $3, look_at = $4
                  where attempt_id = $1 and look_at is not null",
            )
            .bind(look.claim_id)
            .bind(i64::from(is_fault))
            .bind(now)
            .bind(until)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Writes what a look has come to. Whether that doubt was still there to be decided about.
    pub async fn settle_event_look(
        &self,
        look: &DueLook,
        looked: LookedFor,
        end: &LookEnd,
        account: &str,
        now: Time,
    ) -> Result<bool> {
        let is_settled = write_tx!(self, tx => { 'settle: {
            lock_rows!(tx, "select 1 from event_queue where id = $1 for update", look.id);
            let stands: bool = sqlx::query_scalar(
                "select exists (select 1 from event_queue where id = $1 and claim_id = $2 and state = 'unknown')",
            )
            .bind(look.id)
            .bind(look.claim_id)
            .fetch_one(&mut *tx)
            .await?;
            let owner = match end {
                LookEnd::Decided(Resolution::Created(id)) => owner!(tx, account, id.as_str(), look.id),
                _ => None,
            };
            let next = match end {
                // Another row was given this id meanwhile: the next look sees that.
                _ if owner.is_some() => Some(now),
                LookEnd::LookAgain => Some(looked.again_at().unwrap_or(now.plus(PAUSE))),
                LookEnd::Decided(_)
                | LookEnd::Rejected { .. }
                | LookEnd::Failed { .. }
                | LookEnd::Person { .. } => None,
            };
            sqlx::query(
                "update event_looks
                    set looks = looks + 1, faults = 0, absent_since = $2, looked_at = $3, look_at = $4
                  where attempt_id = $1",
            )
            .bind(look.claim_id)
            .bind(looked.since())
            .bind(now)
            .bind(next.filter(|_| stands))
            .execute(&mut *tx)
            .await?;
            if !stands || owner.is_some() {
                break 'settle false;
            }
            match end {
                LookEnd::Decided(resolution) => {
                    decide!(tx, (look.id, look.claim_id, look.run_id), resolution, (LOOK_UP, false), now, now);
                }
                LookEnd::Rejected { reason } => {
                    end_doubt!(tx, look, (EventState::Rejected, Code::ApiRejected), reason, now);
                }
                LookEnd::Failed { reason } => {
                    end_doubt!(tx, look, (EventState::Failed, Code::AttemptsExhausted), reason, now);
                }
                LookEnd::Person { reason } => {
                    sqlx::query(
                        "update event_queue set reason = $3
                          where id = $1 and claim_id = $2 and state = 'unknown'",
                    )
                    .bind(look.id)
                    .bind(look.claim_id)
                    .bind(storable(reason))
                    .execute(&mut *tx)
                    .await?;
                }
                LookEnd::LookAgain => {}
            }
            true
        }});
        Ok(is_settled)
    }

    /// The rows of an account that have asked for an event, and of which nobody knows with what effect.
    pub async fn asked_for(&self, account: &str) -> Result<Vec<(i64, EventBody)>> {
        let rows: Vec<(i64, String)> = read!(self, db => {
            sqlx::query_as(
                "select id, body from event_queue
                  where account = $1 and (state = 'unknown' or state = 'in_flight') order by id",
            )
            .bind(account)
            .fetch_all(db)
            .await?
        });
        Ok(rows.into_iter().map(|(id, body)| (id, EventBody::new(body))).collect())
    }

    /// Which rows of an account are known to be these events.
    pub async fn rows_of<'a>(&self, account: &str, ids: &[&'a ApiId]) -> Result<Vec<(&'a ApiId, i64)>> {
        let rows = read!(self, db => {
            let mut rows = Vec::new();
            for id in ids {
                let row: Option<i64> = sqlx::query_scalar(
                    "select id from event_queue where account = $1 and api_id = $2 limit 1",
                )
                .bind(account)
                .bind(id.as_str())
                .fetch_optional(db)
                .await?;
                rows.extend(row.map(|row| (*id, row)));
            }
            rows
        });
        Ok(rows)
    }
}
