//! Rows that other programs insert into `member_queue`: read once, their outcome on the same row.

use sqlx::AssertSqlSafe;

use super::lossy::Lossy;
use super::rows::{LIVE_PRIORITY, shapes, values_sql, write_batches};
use super::{Result, Store, error::ensure_rows, int, read, write_tx};
use crate::clock::Time;
use crate::domain::batch::PlannedBatch;
use crate::domain::code::Code;
use crate::domain::state::RowState;

/// A row as another program left it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NewRow {
    /// Its number.
    pub id: i64,
    /// Whose key it wants.
    #[sqlx(try_from = "Lossy")]
    pub account: String,
    /// The address as given.
    #[sqlx(try_from = "Lossy")]
    pub email: String,
    /// The tags as given.
    #[sqlx(try_from = "Lossy")]
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
        state: RowState,
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

impl QueueRow {
    fn pending(&self) -> Option<(i64, Option<&str>, i64, i64, usize)> {
        match &self.outcome {
            QueueOutcome::Pending { address, key_hash, tag_set, batch } => {
                Some((self.id, address.as_deref(), *key_hash, *tag_set, *batch))
            }
            QueueOutcome::Ended { .. } => None,
        }
    }

    fn ended(&self) -> Option<(i64, RowState, Code, &str)> {
        match &self.outcome {
            QueueOutcome::Pending { .. } => None,
            QueueOutcome::Ended { state, code, reason } => Some((self.id, *state, *code, reason)),
        }
    }
}

fn pending_sql(rows: usize) -> String {
    values_sql(
        "with taken (id, address, key_hash, tag_set_id, batch_id) as (values ",
        5,
        rows,
        ") update member_queue
              set state = 'pending', run_id = $run, address = taken.address, key_hash = taken.key_hash,
                  tag_set_id = taken.tag_set_id, batch_id = taken.batch_id
             from taken where member_queue.id = taken.id and member_queue.state = 'new'",
    )
}

fn ended_sql(rows: usize) -> String {
    values_sql(
        "with ended (id, state, code, reason) as (values ",
        4,
        rows,
        ") update member_queue
              set state = ended.state, run_id = $run, code = ended.code, reason = ended.reason, settled_at = $now
             from ended where member_queue.id = ended.id and member_queue.state = 'new'",
    )
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
            let counted = sqlx::query(
                "update runs set read_rows = read_rows + $2 where id = $1 and status = 'running'",
            )
            .bind(run_id)
            .bind(int(rows.len()))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(counted, 1, || format!("run `{run_id}`"))?;
            // A full batch waits for nothing.
            let due = |batch: &PlannedBatch| if batch.rows >= max_rows { now } else { due_at };
            let ids = write_batches!(tx, account, run_id, LIVE_PRIORITY, batches, due);
            let pending: Vec<_> = rows.iter().filter_map(QueueRow::pending).collect();
            for rows in shapes(&pending) {
                let mut query = sqlx::query(AssertSqlSafe(pending_sql(rows.len())));
                for (id, address, key_hash, tag_set, batch) in rows {
                    query = query.bind(id).bind(*address).bind(key_hash).bind(tag_set).bind(ids.get(*batch).copied());
                }
                let found = query.bind(run_id).execute(&mut *tx).await?.rows_affected();
                ensure_rows(found, rows.len() as u64, || "a row of the queue".to_owned())?;
            }
            let ended: Vec<_> = rows.iter().filter_map(QueueRow::ended).collect();
            for rows in shapes(&ended) {
                let mut query = sqlx::query(AssertSqlSafe(ended_sql(rows.len())));
                for (id, state, code, reason) in rows {
                    query = query.bind(id).bind(state.as_str()).bind(code.as_str()).bind(*reason);
                }
                let found = query.bind(run_id).bind(now).execute(&mut *tx).await?.rows_affected();
                ensure_rows(found, rows.len() as u64, || "a row of the queue".to_owned())?;
            }
            ids
        });
        Ok(ids)
    }
}
