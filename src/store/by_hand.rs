//! What a person does to runs by hand: bring failed rows back, give a run up, see what stands still and why.

use super::dialect::{lock_rows, storable};
use super::passes::break_off;
use super::proofs::{again_absent, again_alone, again_whole, goes_on};
use super::{Result, Store, read, write_tx};
use crate::clock::Time;
use crate::domain::code::Code;

/// What a cancel came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanceledRun {
    /// Rows that will not be sent.
    pub rows: u64,
    /// Rows in a request now: they end as that does.
    pub in_flight: u64,
}

/// Why a row of a canceled run was not sent.
const CANCELED: &str = "the run was canceled before this row was sent";

/// Rows of the run that wait for a request will not be sent; how many they are. Rows in a request are
/// their claim's alone, and are not touched.
macro_rules! drop_pending {
    ($tx:ident, $run:expr, $now:expr) => {{
        // A batch that is claimed meanwhile is its claim's, with its rows.
        lock_rows!(
            $tx,
            "select 1 from batches where run_id = $1 and state = 'pending' order by id for update",
            $run
        );
        let rows = sqlx::query(
            "update member_queue set state = 'canceled', code = $2, reason = $3, settled_at = $4
              where state = 'pending' and batch_id in
                    (select id from batches where run_id = $1 and state = 'pending')",
        )
        .bind($run)
        .bind(Code::Canceled.as_str())
        .bind(CANCELED)
        .bind($now)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        sqlx::query(
            "update batches set state = 'canceled', settled_at = $2 where run_id = $1 and state = 'pending'",
        )
        .bind($run)
        .bind($now)
        .execute(&mut *$tx)
        .await?;
        sqlx::query("delete from call_waits where call_id in (select id from batches where run_id = $1)")
            .bind($run)
            .execute(&mut *$tx)
            .await?;
        let events = sqlx::query(
            "update event_queue
                set state = 'canceled', code = $2, reason = $3, settled_at = $4, body = null, zoom_meeting_password = null
              where run_id = $1 and state = 'pending'",
        )
        .bind($run)
        .bind(Code::Canceled.as_str())
        .bind(CANCELED)
        .bind($now)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        rows + events
    }};
}

impl Store {
    /// Brings rows back to pending that failed, are missing or were counted too few, of one run or of all, of one
    /// code or of all; with `dry_run` only counts them. Rows that were in calls are due at the second of these
    /// moments, the others at the first. Rows, and the runs they belong to.
    pub async fn retry_failed(
        &self,
        run: Option<i64>,
        code: Option<&str>,
        [now, due_at]: [Time; 2],
        dry_run: bool,
    ) -> Result<(u64, Vec<i64>)> {
        let found: Vec<(i64, i64, String, i64, bool)> = read!(self, db => {
            sqlx::query_as(
                "select q.batch_id, q.run_id, q.state, count(*),
                        exists (select 1 from batches b where b.id = q.batch_id and b.call_id is not null)
                   from member_queue q
                  where q.code is not null
                    and (q.state = 'failed' or q.state = 'missing' or q.state = 'delivered' and q.code = 'count_short')
                    and ($1 is null or q.run_id = $1) and ($2 is null or q.code = $2)
                  group by q.batch_id, q.run_id, q.state order by q.batch_id, q.state",
            )
            .bind(run)
            .bind(code)
            .fetch_all(db)
            .await?
        });
        let rows = found.iter().map(|(_, _, _, rows, _)| rows.unsigned_abs()).sum();
        let mut runs: Vec<i64> = found.iter().map(|(_, run, ..)| *run).collect();
        runs.sort_unstable();
        runs.dedup();
        if dry_run {
            return Ok((rows, runs));
        }
        write_tx!(self, tx => {
            for (batch, _, state, _, is_call) in &found {
                match state.as_str() {
                    state if *is_call => again_alone!(tx, *batch, state, due_at),
                    "missing" => again_absent!(tx, *batch, now),
                    whole => again_whole!(tx, *batch, whole, now),
                }
            }
            for run in &runs {
                goes_on!(tx, run);
            }
        });
        Ok((rows, runs))
    }

    /// Gives up what is left of a run: its pending rows end as canceled, and its bytes may be taken in anew.
    /// `None` where nothing is left of it.
    pub async fn cancel_run(&self, id: i64, reason: &str, now: Time) -> Result<Option<CanceledRun>> {
        let canceled = write_tx!(self, tx => { 'cancel: {
            lock_rows!(tx, "select 1 from runs where id = $1 for no key update", id);
            let (is_open, pending, in_flight): (bool, bool, i64) = sqlx::query_as(
                "select r.finished_at is null,
                        exists (select 1 from batches where run_id = r.id and state = 'pending')
                            or exists (select 1 from event_queue where run_id = r.id and state = 'pending'),
                        (select cast(coalesce(sum(row_count - away_rows), 0) as bigint) from batches
                          where run_id = r.id and state = 'in_flight')
                            + (select count(*) from event_queue where run_id = r.id and state = 'in_flight')
                   from runs r where r.id = $1",
            )
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
            if !is_open && !pending && in_flight == 0 {
                break 'cancel None;
            }
            sqlx::query(
                "update runs set status = 'canceled', finished_at = coalesce(finished_at, $3),
                                 reason = $2 || coalesce('; before that: ' || reason, '')
                  where id = $1 and status <> 'canceled'",
            )
            .bind(id)
            .bind(reason)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            // Whoever takes the file in now finds no part left to write; the same bytes begin a new run.
            sqlx::query(
                "update input_files
                    set identity = identity || ':canceled:' || run_id,
                        parts = case when state <> 'taking' then parts when parts_done > 0 then parts_done else 1 end,
                        parts_done = case when state = 'taking' and parts_done = 0 then 1 else parts_done end,
                        state = case when state = 'taking' then 'taken' else state end
                  where run_id = $1 and identity not like '%:canceled:' || run_id",
            )
            .bind(id)
            .execute(&mut *tx)
            .await?;
            break_off!(tx, id, reason, now);
            // Nobody looks any more for whom it has delivered: that stands.
            sqlx::query("update batches set proof = null where run_id = $1 and proof is not null")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            sqlx::query("delete from sought where batch_id in (select id from batches where run_id = $1)")
                .bind(id)
                .execute(&mut *tx)
                .await?;
            Some(CanceledRun { rows: drop_pending!(tx, id, now), in_flight: in_flight.unsigned_abs() })
        }});
        Ok(canceled)
    }

    /// Ends rows of canceled runs that were in a request when that was decided and came back unsent; how
    /// many they are.
    pub async fn drop_canceled(&self, now: Time) -> Result<u64> {
        let runs: Vec<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select distinct b.run_id from batches b join runs r on r.id = b.run_id
                  where b.state = 'pending' and r.status = 'canceled'
                 union
                 select e.run_id from event_queue e join runs r on r.id = e.run_id
                  where e.state = 'pending' and r.status = 'canceled'",
            )
            .fetch_all(db)
            .await?
        });
        if runs.is_empty() {
            return Ok(0);
        }
        let dropped = write_tx!(self, tx => {
            let mut dropped = 0;
            for run in &runs {
                dropped += drop_pending!(tx, *run, now);
            }
            dropped
        });
        Ok(dropped)
    }

    /// Writes on every open run of the account that has rows to send or to prove why it stands still.
    pub async fn stand_still(&self, account: &str, why: &str) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update runs set reason = $2
                  where account = $1 and status in ('queued', 'running') and coalesce(reason, '') <> $2 and exists
                        (select 1 from batches
                          where run_id = runs.id and (state in ('pending', 'in_flight') or proof is not null)
                         union all
                         select 1 from event_queue where run_id = runs.id and state in ('pending', 'in_flight'))",
            )
            .bind(account)
            .bind(storable(why))
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Open runs that stand still, and why.
    pub async fn standing_runs(&self) -> Result<Vec<(i64, String)>> {
        let runs = read!(self, db => {
            sqlx::query_as(
                // SQLite takes the index of open runs for these very words alone.
                "select id, reason from runs
                  where status in ('queued', 'running', 'held') and status <> 'held' and reason is not null order by id",
            )
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Runs that stopped with rows still pending; of one account, where it is named.
    pub async fn stopped_runs(&self, account: Option<&str>) -> Result<Vec<i64>> {
        let runs = read!(self, db => {
            sqlx::query_scalar(
                "select b.run_id from batches b join runs r on r.id = b.run_id
                  where b.state = 'pending' and r.finished_at is not null and r.status <> 'canceled'
                    and r.account = coalesce($1, r.account)
                 union
                 select e.run_id from event_queue e join runs r on r.id = e.run_id
                  where e.state = 'pending' and r.finished_at is not null and r.status <> 'canceled'
                    and r.account = coalesce($1, r.account)
                  order by 1",
            )
            .bind(account)
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }
}
