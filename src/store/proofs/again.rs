//! Rows that the proof did not find, back to pending, and batches of which it found out nothing.

use crate::domain::proof::{ProofDue, Verify};
use crate::store::{Result, Store, read, write_tx};

/// The missing rows of a batch are pending again, in a batch of their own: the others were found.
macro_rules! again_absent {
    ($tx:ident, $batch:expr, $now:expr) => {{
        let child: i64 = sqlx::query_scalar(
            "insert into batches (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
             select b.account, b.run_id, b.tag_set_id, b.priority, count(*),
                    sum(octet_length(coalesce(q.address, q.email)) + 3), 'pending', $2
               from batches b join member_queue q on q.batch_id = b.id
              where b.id = $1 and q.state = 'missing'
              group by b.account, b.run_id, b.tag_set_id, b.priority
             returning id",
        )
        .bind($batch)
        .bind($now)
        .fetch_one(&mut *$tx)
        .await?;
        let moved = sqlx::query(
            "update member_queue
                set batch_id = $2, state = 'pending', code = null, reason = null, attempts = 0, settled_at = null
              where batch_id = $1 and state = 'missing'",
        )
        .bind($batch)
        .bind(child)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        // A batch never holds nobody: one that has lost everybody is as one that was divided.
        sqlx::query(
            "update batches
                set row_count = case when row_count > $2 then row_count - $2 else row_count end,
                    state = case when row_count > $2 then state else 'split' end
              where id = $1",
        )
        .bind($batch)
        .bind($crate::store::int(moved))
        .execute(&mut *$tx)
        .await?;
    }};
}

/// The rows of a batch are pending again, all that are in this state, and so is the batch: one that failed, or
/// one of which Luma counts too few people.
macro_rules! again_whole {
    ($tx:ident, $batch:expr, $state:expr, $now:expr) => {{
        sqlx::query(
            "update member_queue
                set state = 'pending', code = null, reason = null, attempts = 0, settled_at = null
              where batch_id = $1 and state = $2",
        )
        .bind($batch)
        .bind($state)
        .execute(&mut *$tx)
        .await?;
        sqlx::query(
            "update batches
                set state = 'pending', attempts = 0, due_at = $3, settled_at = null, absent_rows = null
              where id = $1 and state = $2 and (state = 'failed' or absent_rows is not null)",
        )
        .bind($batch)
        .bind($state)
        .bind($now)
        .execute(&mut *$tx)
        .await?;
    }};
}

/// The rows of a call in this state are pending again, with all they want: what Luma has of them is not known.
macro_rules! again_alone {
    ($tx:ident, $batch:expr, $state:expr, $now:expr) => {{
        let moved = $crate::store::calls::lay_alone!($tx, $batch, $state, $now);
        sqlx::query(
            "update batches
                set away_rows = case when away_rows + $2 < row_count then away_rows + $2 else row_count end,
                    absent_rows = null
              where id = $1",
        )
        .bind($batch)
        .bind($crate::store::int(moved))
        .execute(&mut *$tx)
        .await?;
    }};
}

/// A run goes on. Its result files tell of what is no longer so: they are written again at its end.
macro_rules! goes_on {
    ($tx:ident, $run:expr) => {{
        sqlx::query(
            "update runs set status = 'running', reason = null, finished_at = null
              where id = $1 and status <> 'held'",
        )
        .bind($run)
        .execute(&mut *$tx)
        .await?;
        sqlx::query("update input_files set state = 'taken' where run_id = $1 and state = 'archived'")
            .bind($run)
            .execute(&mut *$tx)
            .await?;
    }};
}

pub(in crate::store) use {again_absent, again_alone, again_whole, goes_on};

impl Store {
    /// Runs that have ended without the proof of some rows, and how many rows those are; of one run, where it is
    /// named.
    pub async fn unproved_runs(&self, run: Option<i64>) -> Result<Vec<(i64, u64)>> {
        let runs: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(
                "select b.run_id, cast(sum(b.row_count - b.away_rows - b.verified_rows) as bigint)
                   from batches b join runs r on r.id = b.run_id
                  where b.unproved is not null and b.state = 'delivered' and r.finished_at is not null
                    and r.status <> 'canceled' and ($1 is null or b.run_id = $1)
                  group by b.run_id order by b.run_id",
            )
            .bind(run)
            .fetch_all(db)
            .await?
        });
        Ok(runs.into_iter().map(|(run, rows)| (run, rows.unsigned_abs())).collect())
    }

    /// Lets a run go on with the proof of rows of which nothing was found out, now in this way.
    pub async fn prove_again(&self, run_id: i64, verify: Verify) -> Result<()> {
        let [without, with] = [false, true].map(|has_tags| verify.due(has_tags).map(ProofDue::as_str));
        write_tx!(self, tx => {
            sqlx::query("update runs set verify = $2 where id = $1 and status <> 'held'")
                .bind(run_id)
                .bind(verify.as_str())
                .execute(&mut *tx)
                .await?;
            goes_on!(tx, run_id);
            sqlx::query(
                "update batches set unproved = null, proof = case when tag_set_id = 0 then $2 else $3 end
                  where run_id = $1 and unproved is not null and state = 'delivered'",
            )
            .bind(run_id)
            .bind(without)
            .bind(with)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }
}
