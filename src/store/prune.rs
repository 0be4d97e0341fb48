//! What has ended long ago leaves the tables, in small steps, each a short transaction of its own.
//!
//! Counted before it goes: the numbers of a run stay as they were. A run of which anything can be retried
//! keeps everything; the ledger, runs and events are never pruned.

use super::dialect::lock_rows;
use super::gone::take_out;
use super::{Result, Store, claims::list, int, read, write_tx};
use crate::clock::Time;

/// Rows, and batches, that one step takes at most.
const STEP: usize = 500;
const STEP_BATCHES: i64 = 50;

/// What one step of pruning a run has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneStep {
    /// So many rows are gone, and there may be more.
    Rows(u64),
    /// Nothing is left of the run but itself, or it goes on again.
    Done,
}

/// What pruning takes, or would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneCounts {
    /// Runs that keep their numbers only.
    pub runs: u64,
    /// Their rows.
    pub rows: u64,
    /// Requests.
    pub attempts: u64,
    /// Times that a schedule fired.
    pub fires: u64,
}

/// Whether nothing of the run `r` can be sent, proved or retried any more.
macro_rules! is_final {
    () => {
        "r.finished_at is not null
         and not exists (select 1 from batches b where b.run_id = r.id
                            and (b.state in ('pending', 'in_flight') or b.proof is not null))
         and not exists (select 1 from member_queue q where q.run_id = r.id and q.code is not null
                            and (q.state = 'failed' or q.state = 'missing'
                                 or q.state = 'delivered' and q.code = 'count_short'))
         and not exists (select 1 from event_queue e where e.run_id = r.id
                            and e.state in ('pending', 'in_flight', 'unknown', 'failed'))
         and not exists (select 1 from input_files f where f.run_id = r.id
                            and (f.state = 'taking' or f.state = 'taken' and r.source = 'folder'))"
    };
}

/// Requests that may go: not those of events, by which it is known that they were asked for, nor the last ones
/// of whoever still waits.
macro_rules! old_attempts {
    () => {
        "from attempts a left join batches b on b.id = a.batch_id
          where a.account = $1 and a.finished_at < $2 and a.event_id is null
            and (b.id is null or b.state not in ('pending', 'in_flight'))"
    };
}

/// Fires that ended before, belong to no run and are not their schedule's last.
macro_rules! old_fires {
    () => {
        "select f.id from schedule_fires f
          where f.ended_at < $1 and not exists (select 1 from runs where fire_id = f.id)
            and f.id < (select max(l.id) from schedule_fires l where l.schedule = f.schedule)"
    };
}

impl Store {
    /// Whether nothing of a run can be sent, proved or retried any more.
    pub async fn is_final(&self, run_id: i64) -> Result<bool> {
        let is_final: i64 = read!(self, db => {
            sqlx::query_scalar(concat!("select count(*) from runs r where r.id = $1 and ", is_final!()))
                .bind(run_id)
                .fetch_one(db)
                .await?
        });
        Ok(is_final == 1)
    }

    /// Runs that ended before, are final and have rows left, the oldest first; at most `limit`.
    pub async fn prunable_runs(&self, before: Time, limit: u32) -> Result<Vec<i64>> {
        let runs = read!(self, db => {
            sqlx::query_scalar(concat!(
                "select r.id from runs r
                  where r.kind = 'members' and r.finished_at < $1
                    and (exists (select 1 from batches where run_id = r.id)
                         or exists (select 1 from member_queue where run_id = r.id and batch_id is null)
                         or exists (select 1 from unkept_lines where run_id = r.id))
                    and ", is_final!(), " order by r.id limit $2"
            ))
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Takes some rows of a run out of the queue, unless it goes on again.
    pub async fn prune_run(&self, run_id: i64, before: Time) -> Result<PruneStep> {
        let taken = write_tx!(self, tx => { 'taken: {
            // Whoever brings rows of it back holds it, or comes after.
            lock_rows!(tx, "select 1 from runs where id = $1 for no key update", run_id);
            let is_prunable: i64 = sqlx::query_scalar(concat!(
                "select count(*) from runs r where r.id = $1 and r.finished_at < $2 and ", is_final!()
            ))
            .bind(run_id)
            .bind(before)
            .fetch_one(&mut *tx)
            .await?;
            if is_prunable == 0 {
                break 'taken None;
            }
            let batches: Vec<i64> = sqlx::query_scalar("select id from batches where run_id = $1 order by id limit $2")
                .bind(run_id)
                .bind(STEP_BATCHES)
                .fetch_all(&mut *tx)
                .await?;
            let mut rows = 0;
            let mut emptied = Vec::new();
            for batch in &batches {
                let mut found: Vec<(i64, bool)> = sqlx::query_as(
                    "select id, state = 'verified' from member_queue where batch_id = $1 limit $2",
                )
                .bind(batch)
                .bind(int(STEP) + 1)
                .fetch_all(&mut *tx)
                .await?;
                let is_all = found.len() <= STEP;
                found.truncate(STEP);
                take_out!(tx, &list(found.iter().map(|(id, _)| *id)));
                rows += found.len();
                if is_all {
                    emptied.push(*batch);
                } else {
                    // What is left of it counts for as long as it is there.
                    sqlx::query(
                        "update batches
                            set verified_rows = case when verified_rows > $3 then verified_rows - $3 else 0 end,
                                row_count = case when row_count > $2 then row_count - $2 else 1 end,
                                away_rows = 0
                          where id = $1",
                    )
                    .bind(batch)
                    .bind(int(found.len()))
                    .bind(int(found.iter().filter(|(_, is_verified)| *is_verified).count()))
                    .execute(&mut *tx)
                    .await?;
                }
                if rows >= STEP {
                    break;
                }
            }
            let emptied = list(emptied);
            sqlx::query(
                "update runs set gone_requests = gone_requests +
                     (select count(*) from attempts
                       where batch_id in (select cast(value as bigint) from json_each($2)))
                  where id = $1",
            )
            .bind(run_id)
            .bind(&emptied)
            .execute(&mut *tx)
            .await?;
            sqlx::query("delete from call_waits where call_id in (select cast(value as bigint) from json_each($1))")
                .bind(&emptied)
                .execute(&mut *tx)
                .await?;
            sqlx::query("delete from batches where id in (select cast(value as bigint) from json_each($1))")
                .bind(&emptied)
                .execute(&mut *tx)
                .await?;
            if batches.is_empty() {
                let found: Vec<i64> = sqlx::query_scalar(
                    "select id from member_queue where run_id = $1 and batch_id is null limit $2",
                )
                .bind(run_id)
                .bind(int(STEP))
                .fetch_all(&mut *tx)
                .await?;
                take_out!(tx, &list(found.iter().copied()));
                rows = found.len();
                if rows == 0 {
                    sqlx::query("delete from unkept_lines where run_id = $1").bind(run_id).execute(&mut *tx).await?;
                    break 'taken None;
                }
            }
            Some(rows as u64)
        }});
        Ok(taken.map_or(PruneStep::Done, PruneStep::Rows))
    }

    /// Takes requests of an account off the record that were answered before; how many, of which the last step
    /// takes none.
    pub async fn prune_attempts(&self, account: &str, before: Time) -> Result<u64> {
        let taken = write_tx!(self, tx => {
            let found: Vec<(i64, Option<i64>)> = sqlx::query_as(concat!(
                "select a.id, b.run_id ", old_attempts!(), " order by a.finished_at limit $3"
            ))
            .bind(account)
            .bind(before)
            .bind(int(STEP))
            .fetch_all(&mut *tx)
            .await?;
            let mut runs: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
            for run in found.iter().filter_map(|(_, run)| *run) {
                *runs.entry(run).or_default() += 1;
            }
            for (run, requests) in runs {
                sqlx::query("update runs set gone_requests = gone_requests + $2 where id = $1")
                    .bind(run)
                    .bind(requests)
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query("delete from attempts where id in (select cast(value as bigint) from json_each($1))")
                .bind(list(found.iter().map(|(id, _)| *id)))
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        Ok(taken)
    }

    /// Forgets times that schedules fired before; how many.
    pub async fn prune_fires(&self, before: Time) -> Result<u64> {
        let taken = write_tx!(self, tx => {
            let found: Vec<i64> = sqlx::query_scalar(concat!(old_fires!(), " order by f.id limit $2"))
                .bind(before)
                .bind(int(STEP))
                .fetch_all(&mut *tx)
                .await?;
            let found = list(found);
            sqlx::query(
                "delete from schedule_fire_sources
                  where fire_id in (select cast(value as bigint) from json_each($1))",
            )
            .bind(&found)
            .execute(&mut *tx)
            .await?;
            sqlx::query("delete from schedule_fires where id in (select cast(value as bigint) from json_each($1))")
                .bind(&found)
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        Ok(taken)
    }

    /// What pruning would take.
    pub async fn count_prunable(&self, rows: Option<Time>, attempts: Option<Time>) -> Result<PruneCounts> {
        let mut counts = PruneCounts::default();
        if let Some(before) = rows {
            let runs = self.prunable_runs(before, u32::MAX).await?;
            counts.runs = runs.len() as u64;
            for run in runs {
                let rows: i64 = read!(self, db => {
                    sqlx::query_scalar(
                        "select (select count(*) from batches b join member_queue q on q.batch_id = b.id where b.run_id = $1)
                              + (select count(*) from member_queue where run_id = $1 and batch_id is null)",
                    )
                    .bind(run)
                    .fetch_one(db)
                    .await?
                });
                counts.rows += rows.unsigned_abs();
            }
            let fires: i64 = read!(self, db => {
                sqlx::query_scalar(concat!("select count(*) from (", old_fires!(), ") old"))
                    .bind(before)
                    .fetch_one(db)
                    .await?
            });
            counts.fires = fires.unsigned_abs();
        }
        for account in self.accounts().await? {
            let Some(before) = attempts else { break };
            let old: i64 = read!(self, db => {
                sqlx::query_scalar(concat!("select count(*) ", old_attempts!()))
                    .bind(&account.name)
                    .bind(before)
                    .fetch_one(db)
                    .await?
            });
            counts.attempts += old.unsigned_abs();
        }
        Ok(counts)
    }
}
