//! Settling: the outcome of a claimed batch, with rows, ledger and attempt, in one transaction.
//!
//! Every settle begins with the guard on the claim's own number: whoever lost the claim writes
//! nothing. This is the only place that ends a row that was sent.

use super::ledger::parse_tag_set;
use super::{ClaimedBatch, Result, Store, error::ensure_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::batch::address_bytes;
use crate::domain::code::Code;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Evidence;

/// What came back, and what it changes besides the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled<'a> {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The verdict, as stored; `None` where the request never left and counts for nothing.
    pub verdict: Option<&'static str>,
    /// What was said or seen.
    pub detail: Option<&'a str>,
    /// Nobody sends before this moment, and why.
    pub block: Option<(Time, &'a str)>,
    /// Bytes of the largest body worth trying from now on.
    pub max_body: Option<usize>,
    /// The run stops, for this reason. Rows refused alone are pending again: they were not to blame.
    pub halt: Option<&'a str>,
}

impl Store {
    /// Writes the outcome of a claimed batch. `Lost` where the claim is no longer ours.
    pub async fn settle(
        &self,
        batch: &ClaimedBatch,
        outcome: &Outcome,
        settled: &Settled<'_>,
        now: Time,
    ) -> Result<()> {
        write_tx!(self, tx => {
            // Ending the claim is the guard: everything below rests on having been its holder.
            let (state, settled_at, due_at, costs) = match outcome {
                Outcome::Delivered => ("delivered", Some(now), None, true),
                Outcome::Again { due_at, costs_attempt } => ("pending", None, Some(*due_at), *costs_attempt),
                Outcome::Failed { .. } => ("failed", Some(now), None, true),
                Outcome::Rejected { places, .. } if places.len() == batch.recipients.len() => {
                    ("rejected", Some(now), None, true)
                }
                Outcome::Rejected { .. } | Outcome::Split => ("split", Some(now), None, false),
            };
            let held = sqlx::query(
                "update batches
                    set state = $3, settled_at = $4, due_at = coalesce($5, due_at),
                        attempts = attempts + $6, claim_id = null, worker_id = null
                  where id = $1 and claim_id = $2 and state = 'in_flight'",
            )
            .bind(batch.id)
            .bind(batch.claim_id)
            .bind(state)
            .bind(settled_at)
            .bind(due_at)
            .bind(i64::from(costs))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(held, 1, || format!("batch `{}`", batch.id))?;

            match settled.verdict {
                Some(verdict) => sqlx::query(
                    "update attempts set finished_at = $2, status = $3, verdict = $4, detail = $5
                      where id = $1 and verdict is null",
                )
                .bind(batch.claim_id)
                .bind(now)
                .bind(settled.status.map(i64::from))
                .bind(verdict)
                .bind(settled.detail)
                .execute(&mut *tx)
                .await?,
                None => {
                    sqlx::query("delete from attempts where id = $1").bind(batch.claim_id).execute(&mut *tx).await?
                }
            };

            match outcome {
                Outcome::Again { .. } => {}
                Outcome::Delivered => {
                    let rows = sqlx::query(
                        "update member_queue set state = 'delivered', attempts = $2, settled_at = $3
                          where batch_id = $1 and state = 'pending'",
                    )
                    .bind(batch.id)
                    .bind(i64::from(batch.attempts) + 1)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                    ensure_rows(rows, batch.recipients.len() as u64, || format!("a row of batch `{}`", batch.id))?;
                    let entered = sqlx::query(
                        "insert into ledger (account, key_hash, email_key, tag_set_id, run_id, updated_at)
                         select account, key_hash, lower(coalesce(address, email)), tag_set_id, run_id, $2
                           from member_queue where batch_id = $1
                         on conflict do nothing",
                    )
                    .bind(batch.id)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                    if entered > 0 {
                        sqlx::query("update accounts set members = members + $2 where name = $1")
                            .bind(&batch.account)
                            .bind(entered.cast_signed())
                            .execute(&mut *tx)
                            .await?;
                    }
                    if entered < rows {
                        let known: Vec<(i64, String)> = sqlx::query_as(
                            "select distinct l.tag_set_id, t.tags
                               from member_queue q
                               join ledger l on l.account = q.account and l.key_hash = q.key_hash
                                            and l.email_key = lower(coalesce(q.address, q.email))
                               join tag_sets t on t.id = l.tag_set_id
                              where q.batch_id = $1 and l.tag_set_id <> $2",
                        )
                        .bind(batch.id)
                        .bind(batch.tag_set_id)
                        .fetch_all(&mut *tx)
                        .await?;
                        for (old_id, old) in known {
                            let old = parse_tag_set(&old)?;
                            let union = old.union(&batch.tags);
                            if union == old {
                                continue;
                            }
                            let union = union.to_string();
                            sqlx::query("insert into tag_sets (tags) values ($1) on conflict (tags) do nothing")
                                .bind(&union)
                                .execute(&mut *tx)
                                .await?;
                            sqlx::query(
                                "update ledger
                                    set tag_set_id = (select id from tag_sets where tags = $4),
                                        run_id = $5, updated_at = $6
                                  where account = $1 and tag_set_id = $2 and (key_hash, email_key) in
                                        (select key_hash, lower(coalesce(address, email))
                                           from member_queue where batch_id = $3)",
                            )
                            .bind(&batch.account)
                            .bind(old_id)
                            .bind(batch.id)
                            .bind(&union)
                            .bind(batch.run_id)
                            .bind(now)
                            .execute(&mut *tx)
                            .await?;
                        }
                    }
                }
                Outcome::Failed { code, reason } => {
                    let rows = sqlx::query(
                        "update member_queue
                            set state = 'failed', code = $2, reason = $3, attempts = $4, settled_at = $5
                          where batch_id = $1 and state = 'pending'",
                    )
                    .bind(batch.id)
                    .bind(code.as_str())
                    .bind(reason)
                    .bind(i64::from(batch.attempts) + 1)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                    ensure_rows(rows, batch.recipients.len() as u64, || format!("a row of batch `{}`", batch.id))?;
                }
                Outcome::Rejected { places, reason, probe } => {
                    for place in places {
                        let row = sqlx::query(
                            "update member_queue
                                set state = 'rejected', code = $3, reason = $4, attempts = $5, settled_at = $6
                              where id = $1 and batch_id = $2 and state = 'pending'",
                        )
                        .bind(batch.recipients.get(*place).map(|row| row.row_id))
                        .bind(batch.id)
                        .bind(Code::ApiRejected.as_str())
                        .bind(reason)
                        .bind(i64::from(batch.attempts) + 1)
                        .bind(now)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                        ensure_rows(row, 1, || format!("a row of batch `{}`", batch.id))?;
                    }
                    if *probe {
                        sqlx::query(
                            "update batches set priority = 0 where id =
                                 (select id from batches
                                   where run_id = $1 and tag_set_id = $2 and state = 'pending'
                                   order by row_count desc, id limit 1)",
                        )
                        .bind(batch.run_id)
                        .bind(batch.tag_set_id)
                        .execute(&mut *tx)
                        .await?;
                    }
                }
                Outcome::Split => {}
            }

            for places in children(batch, outcome) {
                let bytes: usize = places.iter().map(|place| address_bytes(&batch.recipients[*place].email)).sum();
                let child: i64 = sqlx::query_scalar(
                    "insert into batches (account, run_id, tag_set_id, priority, row_count, bytes,
                                          state, due_at, attempts)
                     values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8) returning id",
                )
                .bind(&batch.account)
                .bind(batch.run_id)
                .bind(batch.tag_set_id)
                .bind((batch.priority - 1).max(1))
                .bind(places.len() as i64)
                .bind(bytes as i64)
                .bind(now)
                .bind(i64::from(batch.attempts))
                .fetch_one(&mut *tx)
                .await?;
                let first = batch.recipients[places[0]].row_id;
                let last = batch.recipients[places[places.len() - 1]].row_id;
                let moved = sqlx::query(
                    "update member_queue set batch_id = $2
                      where batch_id = $1 and state = 'pending' and id between $3 and $4",
                )
                .bind(batch.id)
                .bind(child)
                .bind(first)
                .bind(last)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                ensure_rows(moved, places.len() as u64, || format!("a row of batch `{}`", batch.id))?;
            }

            if let Some((until, why)) = settled.block {
                sqlx::query(
                    "update accounts set blocked_until = $2, block_reason = $3
                      where name = $1 and (blocked_until is null or blocked_until < $2)",
                )
                .bind(&batch.account)
                .bind(until)
                .bind(why)
                .execute(&mut *tx)
                .await?;
            }
            if let Some(bytes) = settled.max_body {
                sqlx::query(
                    "update accounts set max_body = $2 where name = $1 and (max_body is null or max_body > $2)",
                )
                .bind(&batch.account)
                .bind(bytes as i64)
                .execute(&mut *tx)
                .await?;
            }
            if let Some(why) = settled.halt {
                sqlx::query(
                    "update runs set status = 'failed', reason = $2, finished_at = $3
                      where id = $1 and status = 'running'",
                )
                .bind(batch.run_id)
                .bind(why)
                .bind(now)
                .execute(&mut *tx)
                .await?;
                sqlx::query(
                    "update member_queue
                        set state = 'pending', code = null, reason = null, attempts = 0, settled_at = null
                      where state = 'rejected' and batch_id in
                            (select id from batches where run_id = $1 and tag_set_id = $2
                                and state = 'rejected' and row_count = 1)",
                )
                .bind(batch.run_id)
                .bind(batch.tag_set_id)
                .execute(&mut *tx)
                .await?;
                sqlx::query(
                    "update batches set state = 'pending', settled_at = null, attempts = 0, due_at = $3
                      where run_id = $1 and tag_set_id = $2 and state = 'rejected' and row_count = 1",
                )
                .bind(batch.run_id)
                .bind(batch.tag_set_id)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
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

    /// What became of the run's requests that carried this tag set.
    pub async fn evidence(&self, run_id: i64, tag_set_id: i64) -> Result<Evidence> {
        let (delivered, refused_alone): (i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select count(case when state = 'delivered' then 1 end),
                        count(case when state = 'rejected' and row_count = 1 then 1 end)
                   from batches
                  where run_id = $1 and tag_set_id = $2 and state in ('delivered', 'rejected')",
            )
            .bind(run_id)
            .bind(tag_set_id)
            .fetch_one(db)
            .await?
        });
        Ok(Evidence { delivered: delivered.unsigned_abs(), refused_alone: refused_alone.unsigned_abs() })
    }
}

/// The batches that take over the rows which go on, by places: halves after a split, the rest after
/// a rejection of some.
fn children(batch: &ClaimedBatch, outcome: &Outcome) -> Vec<Vec<usize>> {
    let all = 0..batch.recipients.len();
    let children: Vec<Vec<usize>> = match outcome {
        Outcome::Delivered | Outcome::Again { .. } | Outcome::Failed { .. } => Vec::new(),
        Outcome::Rejected { places, .. } => vec![all.filter(|place| !places.contains(place)).collect()],
        Outcome::Split => {
            let middle = batch.recipients.len().div_ceil(2);
            vec![(0..middle).collect(), (middle..batch.recipients.len()).collect()]
        }
    };
    children.into_iter().filter(|places| !places.is_empty()).collect()
}
