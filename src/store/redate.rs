//! A clock that was ahead and is put right: what it dated later than now holds nobody up for ever.
//!
//! Whatever is on record happened before now. So a request counts as answered now, and a block, a
//! wait or a lease that rests on such a record begins now and keeps its length: none ends sooner than
//! it was meant to, and the quota holds.

use std::time::Duration;

use super::events::redate_events;
use super::{Result, Store, read, write_tx};
use crate::clock::Time;

/// Clocks of several machines differ by less; a smaller step back is waited out.
pub(super) const SKEW: Duration = Duration::from_mins(1);

/// Something that is not to be before a moment, and when that was written down.
pub(super) type Waiting<K> = (K, Time, Option<Time>);

impl Store {
    /// Takes what is dated later than now as of now, if anything is. `lease` is how long a silent
    /// worker keeps its claims.
    pub async fn redate(&self, now: Time, lease: Duration) -> Result<bool> {
        if !self.is_ahead(now).await? {
            return Ok(false);
        }
        write_tx!(self, tx => {
            // A second look waits for no longer than it was meant to.
            sqlx::query("update proofs set begins_at = $1 where begins_at > $2")
                .bind(now)
                .bind(now.plus(SKEW))
                .execute(&mut *tx)
                .await?;
            let blocks: Vec<Waiting<String>> = sqlx::query_as(
                "select name, blocked_until,
                        (select t.finished_at from attempts t
                          where t.account = a.name and case a.block_cause
                                when 'throttled' then t.verdict = 'throttled'
                                when 'faults' then t.verdict in ('transient', 'ambiguous')
                                else t.verdict = 'halted' end
                          order by t.id desc limit 1)
                   from accounts a where a.blocked_until > $1",
            )
            .bind(now)
            .fetch_all(&mut *tx)
            .await?;
            let retries: Vec<Waiting<i64>> = sqlx::query_as(
                "select b.id, b.due_at,
                        (select t.finished_at from attempts t where t.batch_id = b.id order by t.id desc limit 1)
                   from batches b where b.state = 'pending' and b.due_at > $1",
            )
            .bind(now)
            .fetch_all(&mut *tx)
            .await?;
            for (batch, found, due_at) in begun_now(retries, now) {
                sqlx::query("update batches set due_at = $3 where id = $1 and due_at = $2")
                    .bind(batch)
                    .bind(found)
                    .bind(due_at)
                    .execute(&mut *tx)
                    .await?;
            }
            redate_events!(tx, now);
            // One that was never sent waits to be filled, which nothing depends on; one in flight was due.
            sqlx::query(
                "update batches set due_at = $1
                  where due_at > $2 and (state = 'in_flight' or state = 'pending'
                    and not exists (select 1 from attempts where batch_id = batches.id))",
            )
            .bind(now)
            .bind(now.plus(SKEW))
            .execute(&mut *tx)
            .await?;
            // The order of settles is evidence of what Luma refuses, while a run goes on.
            sqlx::query(
                "update batches set settled_at = $1
                  where settled_at > $1
                    and run_id in (select id from runs where status in ('queued', 'running', 'held'))",
            )
            .bind(now)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "update attempts
                    set finished_at = $1, started_at = case when started_at > $1 then $1 else started_at end
                  where account in (select name from accounts) and finished_at > $1",
            )
            .bind(now)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "update runs set created_at = $1 where created_at > $1 and status in ('queued', 'running', 'held')",
            )
            .bind(now)
            .execute(&mut *tx)
            .await?;
            sqlx::query("update workers set lease_until = $1 where lease_until > $2")
                .bind(now.plus(lease))
                .bind(now.plus(lease).plus(SKEW))
                .execute(&mut *tx)
                .await?;
            // Last, as in a settle: the account is everybody's.
            for (account, found, until) in begun_now(blocks, now) {
                sqlx::query("update accounts set blocked_until = $3 where name = $1 and blocked_until = $2")
                    .bind(account)
                    .bind(found)
                    .bind(until)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(true)
    }

    async fn is_ahead(&self, now: Time) -> Result<bool> {
        let is_ahead = read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from attempts
                                 where account in (select name from accounts) and finished_at > $1)
                     or exists (select 1 from runs
                                 where status in ('queued', 'running', 'held') and created_at > $1)",
            )
            .bind(now.plus(SKEW))
            .fetch_one(db)
            .await?
        });
        Ok(is_ahead)
    }
}

/// Those that were written down later than now, as if that were now. The others stand: they are of
/// the clock that was put right. Each with the moment that was found and the one that takes its place.
pub(super) fn begun_now<K>(waiting: Vec<Waiting<K>>, now: Time) -> impl Iterator<Item = (K, Time, Time)> {
    waiting.into_iter().filter_map(move |(key, until, written)| {
        let written = written.filter(|written| *written > now)?;
        Some((key, until, now.plus(until.since(written))))
    })
}
