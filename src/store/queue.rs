//! Rows that other programs insert into `member_queue`: read once, their outcome on the same row.

use super::rows::LIVE_PRIORITY;
use super::{Result, Store, error::ensure_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::batch::PlannedBatch;
use crate::domain::code::Code;

/// A row as another program left it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NewRow {
    /// Its number.
    pub id: i64,
    /// Whose key it wants.
    pub account: String,
    /// The address as given.
    pub email: String,
    /// The tags as given.
    pub tags: Option<String>,
}

/// What intake made of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    /// It has something to send.
    Pending {
        /// The address as it is sent, where that is not the one given.
        address: Option<String>,
        /// Hash of the normalised address.
        key_hash: i64,
        /// The tags it wants.
        tag_set: i64,
        /// The place of its batch.
        batch: usize,
    },
    /// It ends here.
    Ended {
        /// The state it ends in: `invalid`, `duplicate` or `unchanged`.
        state: crate::domain::state::RowState,
        /// Why.
        code: Code,
        /// Why, in words.
        reason: String,
    },
}

/// One row and what intake made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// Its number.
    pub id: i64,
    /// What it becomes.
    pub outcome: QueueOutcome,
}

impl Store {
    /// The oldest rows that nobody has read, at most `limit`.
    pub async fn new_rows(&self, limit: u32) -> Result<Vec<NewRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(
                "select id, account, email, tags from member_queue where state = 'new' order by id limit $1",
            )
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }

    /// Writes what intake made of rows of the queue, with their batches and counts. Rows that another
    /// process has read meanwhile make it `Lost`, and nothing is written. `due_at` is when a new
    /// batch goes out though it is not full. The ids of the batches, in their order.
    pub async fn take_rows(
        &self,
        account: &str,
        run_id: i64,
        rows: &[QueueRow],
        batches: &[PlannedBatch],
        limits: (usize, Time),
        now: Time,
    ) -> Result<Vec<i64>> {
        let (max_rows, due_at) = limits;
        let ids = write_tx!(self, tx => {
            let mut ids = Vec::with_capacity(batches.len());
            for batch in batches {
                // A full batch waits for nothing.
                let due = if batch.rows >= max_rows { now } else { due_at };
                ids.push(match batch.id {
                    Some(id) => {
                        let grown = sqlx::query(
                            "update batches set row_count = $2, bytes = $3, due_at = min(due_at, $4)
                              where id = $1 and state = 'pending' and attempts = 0",
                        )
                        .bind(id)
                        .bind(batch.rows as i64)
                        .bind(batch.bytes as i64)
                        .bind(due)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                        ensure_rows(grown, 1, || format!("batch `{id}`"))?;
                        id
                    }
                    None => {
                        sqlx::query_scalar(
                            "insert into batches
                                 (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
                             values ($1, $2, $3, $4, $5, $6, 'pending', $7) returning id",
                        )
                        .bind(account)
                        .bind(run_id)
                        .bind(batch.tag_set)
                        .bind(LIVE_PRIORITY)
                        .bind(batch.rows as i64)
                        .bind(batch.bytes as i64)
                        .bind(due)
                        .fetch_one(&mut *tx)
                        .await?
                    }
                });
            }
            for row in rows {
                let query = match &row.outcome {
                    QueueOutcome::Pending { address, key_hash, tag_set, batch } => sqlx::query(
                        "update member_queue
                            set state = 'pending', run_id = $2, address = $3, key_hash = $4,
                                tag_set_id = $5, batch_id = $6
                          where id = $1 and state = 'new'",
                    )
                    .bind(row.id)
                    .bind(run_id)
                    .bind(address)
                    .bind(*key_hash)
                    .bind(*tag_set)
                    .bind(ids.get(*batch).copied()),
                    QueueOutcome::Ended { state, code, reason } => sqlx::query(
                        "update member_queue
                            set state = $3, run_id = $2, code = $4, reason = $5, settled_at = $6
                          where id = $1 and state = 'new'",
                    )
                    .bind(row.id)
                    .bind(run_id)
                    .bind(state.as_str())
                    .bind(code.as_str())
                    .bind(reason)
                    .bind(now),
                };
                let found = query.execute(&mut *tx).await?.rows_affected();
                ensure_rows(found, 1, || format!("queue row `{}`", row.id))?;
            }
            sqlx::query("update runs set read_rows = read_rows + $2 where id = $1 and status = 'running'")
                .bind(run_id)
                .bind(rows.len() as i64)
                .execute(&mut *tx)
                .await?;
            ids
        });
        Ok(ids)
    }
}
