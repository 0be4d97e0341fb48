//! The quota: a sliding window over the attempts on record, and what else keeps a worker from sending.
//!
//! A place is looked for and taken in one transaction, so that no window ever holds more requests
//! than allowed, over any number of processes, crashes and restarts.

use std::time::Duration;

use super::claims::Claims;
use super::dialect::lock_rows;
use super::suppress::Mark;
use super::{Result, Store, error::ensure_rows, read, write_tx};
use crate::clock::{Clock, Time};

/// Requests allowed in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests.
    pub requests: u32,
    /// In any span as long as this.
    pub window: Duration,
    /// Requests that are left to others, of those that Luma says are left to all.
    pub reserve: u32,
}

/// What Luma says is left to all who share an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Requests that are left.
    pub left: u32,
    /// After which of ours.
    pub after: i64,
    /// Until when that holds.
    pub until: Time,
}

/// When others may be looked at again, where nothing says when.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What stands between a worker and its next request.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Gate {
    pub(super) blocked_until: Option<Time>,
    pub(super) block_cause: Option<String>,
    pub(super) faults: i64,
    pub(super) max_body: Option<i64>,
    /// Whether the worker that asks was not declared dead.
    pub(super) is_alive: bool,
    /// Requests answered within the window.
    pub(super) answered: i64,
    /// Requests not answered yet.
    pub(super) under_way: i64,
    /// Requests that are left to all who share the allowance, if Luma said so and that still holds.
    pub(super) shared_left: Option<i64>,
    pub(super) shared_until: Option<Time>,
    /// How far the list of those who are never sent goes.
    #[sqlx(flatten)]
    pub(super) list: Mark,
}

impl Gate {
    /// How many requests others leave us, where that is known; or when to ask again.
    pub(super) fn left_by_others(&self, allowance: &Allowance) -> std::result::Result<Option<i64>, Time> {
        let Some((left, until)) = self.shared_left.zip(self.shared_until) else { return Ok(None) };
        let left = left - i64::from(allowance.reserve);
        if left > 0 { Ok(Some(left)) } else { Err(until) }
    }
}

/// Reads what stands between a worker and its next request.
macro_rules! gate {
    ($tx:ident, $claims:expr, $now:expr) => {
        sqlx::query_as::<_, $crate::store::quota::Gate>(
            "select blocked_until, block_cause, faults,
                    case when max_body_until > $2 then max_body end as max_body,
                    exists (select 1 from workers where id = $4) as is_alive,
                    (select count(*) from attempts where account = $1 and finished_at > $3) as answered,
                    (select count(*) from attempts where account = $1 and verdict is null) as under_way,
                    -- What is dated further away than a window was written by a clock that was ahead.
                    case when shared_until > $2 and shared_until <= $5 then
                         shared_left - (select count(*) from attempts
                                         where account = $1 and id > shared_after) end as shared_left,
                    shared_until, l.last_entry, l.removals
               from accounts cross join suppression_list l where name = $1",
        )
        .bind($claims.account)
        .bind($now)
        .bind($now.minus($claims.allowance.window))
        .bind($claims.worker_id)
        .bind($now.plus($claims.allowance.window))
        .fetch_one(&mut *$tx)
        .await?
    };
}

/// How many requests may leave now, or when to ask again. A request arrives some time between its
/// leaving and its answer: until it is answered it counts, and a whole window after that.
macro_rules! room {
    ($tx:ident, $claims:expr, $gate:expr, $now:expr) => {{
        let allowance = &$claims.allowance;
        let places = i64::from(allowance.requests) - $gate.under_way;
        let left = $gate.left_by_others(allowance);
        if let Err(until) = left {
            Err(until)
        } else if places > $gate.answered {
            let own = places - $gate.answered;
            Ok(left.ok().flatten().map_or(own, |left| left.min(own)))
        } else {
            // The answer whose leaving the window makes room for one more.
            let leaves: Option<Time> = sqlx::query_scalar(
                "select finished_at from attempts where account = $1 and finished_at > $2
                  order by finished_at desc limit 1 offset $3",
            )
            .bind($claims.account)
            .bind($now.minus(allowance.window))
            .bind((places - 1).max(0))
            .fetch_optional(&mut *$tx)
            .await?;
            let leaves = leaves.filter(|_| places > 0).map(|at| at.plus(allowance.window));
            Err(leaves.unwrap_or($now.plus($crate::store::quota::LOOK_AGAIN)))
        }
    }};
}

pub(super) use {gate, room};

impl Store {
    /// Takes a place in the window for a request that carries no rows; its number, or when to ask again.
    pub async fn claim_request(
        &self,
        claims: &Claims<'_>,
        clock: &Clock,
    ) -> Result<std::result::Result<i64, Time>> {
        let granted = write_tx!(self, tx => { 'claim: {
            // As with claims of rows: two that count the same window would both take its last place.
            lock_rows!(tx, "select 1 from accounts where name = $1 for no key update", claims.account);
            let now = clock.now();
            let gate = gate!(tx, claims, now);
            let throttled = gate.blocked_until.filter(|_| gate.block_cause.as_deref() == Some("throttled"));
            if let Some(until) = throttled.filter(|until| *until > now) {
                break 'claim Err(until);
            }
            if let Err(until) = room!(tx, claims, gate, now) {
                break 'claim Err(until);
            }
            let id: i64 = sqlx::query_scalar(
                "insert into attempts (account, worker_id, route, started_at)
                 values ($1, $2, $3, $4) returning id",
            )
            .bind(claims.account)
            .bind(claims.worker_id)
            .bind(claims.route)
            .bind(now)
            .fetch_one(&mut *tx)
            .await?;
            Ok(id)
        }});
        Ok(granted)
    }

    /// Notes what Luma says is left to all who share an account's allowance; a later request knows better.
    pub async fn note_shared(&self, account: &str, shared: Shared, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update accounts set shared_left = $2, shared_after = $3, shared_until = $4
                  where name = $1 and (shared_after is null or shared_after < $3 or shared_until <= $5)",
            )
            .bind(account)
            .bind(i64::from(shared.left))
            .bind(shared.after)
            .bind(shared.until)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Completes the record of a request that carried no rows.
    pub async fn settle_request(
        &self,
        attempt: i64,
        status: Option<u16>,
        verdict: &'static str,
        detail: Option<&str>,
        now: Time,
    ) -> Result<()> {
        let found = write_tx!(self, tx => {
            sqlx::query(
                "update attempts set finished_at = $2, status = $3, verdict = $4, detail = $5
                  where id = $1 and verdict is null",
            )
            .bind(attempt)
            .bind(now)
            .bind(status.map(i64::from))
            .bind(verdict)
            .bind(detail)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        ensure_rows(found, 1, || format!("attempt `{attempt}`"))
    }

    /// Requests that may still leave at `now`, and how many are in the window.
    pub async fn quota_left(&self, account: &str, requests: u32, window: Duration, now: Time) -> Result<u32> {
        let used: i64 = read!(self, db => {
            sqlx::query_scalar("select count(*) from attempts where account = $1 and (finished_at > $2 or verdict is null)")
                .bind(account)
                .bind(now.minus(window))
                .fetch_one(db)
                .await?
        });
        Ok(requests.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)))
    }
}
