//! Rows that other programs insert into `member_queue`: read once, their outcome on the same row.

use super::accounts::stray_accounts;
use super::bulk::Bulk as _;
use super::lossy::Lossy;
use super::rows::{LIVE_PRIORITY, write_batches};
use super::{Result, Store, error::ensure_rows, int, read, write_tx};
use crate::clock::Time;
use crate::domain::batch::PlannedBatch;
use crate::domain::code::Code;
use crate::domain::state::{RowState, RunStatus};

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
    /// The name as given.
    #[sqlx(try_from = "Lossy")]
    pub name: Option<String>,
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
        /// The state it ends in: `invalid`, `suppressed`, `duplicate` or `unchanged`.
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

/// The run that rows of the queue go to.
#[derive(Clone, Copy, Debug)]
pub struct QueueRun<'a> {
    /// Whose key it uses.
    pub account: &'a str,
    /// Its number.
    pub id: i64,
    /// Where it has to stand: `running`, or `queued` while it is filled.
    pub status: RunStatus,
    /// People among the rows that go on, of whom nothing was delivered before.
    pub new_members: u64,
}

/// A row that has something to send, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenRow<'a> {
    pub(super) id: i64,
    pub(super) address: Option<&'a str>,
    pub(super) key_hash: i64,
    pub(super) tag_set: i64,
    pub(super) batch: usize,
}

/// A row that ends at intake, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedRow<'a> {
    pub(super) id: i64,
    pub(super) state: RowState,
    pub(super) code: Code,
    pub(super) reason: &'a str,
}

/// Those that go on and those that end here, each in the order of their numbers.
fn divide(rows: &[QueueRow]) -> (Vec<TakenRow<'_>>, Vec<EndedRow<'_>>) {
    let (mut taken, mut ended) = (Vec::new(), Vec::new());
    for QueueRow { id, outcome } in rows {
        match outcome {
            QueueOutcome::Pending { address, key_hash, tag_set, batch } => taken.push(TakenRow {
                id: *id,
                address: address.as_deref(),
                key_hash: *key_hash,
                tag_set: *tag_set,
                batch: *batch,
            }),
            QueueOutcome::Ended { state, code, reason } => {
                ended.push(EndedRow { id: *id, state: *state, code: *code, reason });
            }
        }
    }
    taken.sort_unstable_by_key(|row| row.id);
    ended.sort_unstable_by_key(|row| row.id);
    (taken, ended)
}

impl Store {
    /// The oldest rows of an account that nobody has read, at most `limit`.
    pub async fn new_rows(&self, account: &str, limit: u32) -> Result<Vec<NewRow>> {
        self.new_rows_after(account, 0, limit).await
    }

    /// The same of those with numbers above `after`.
    pub async fn new_rows_after(&self, account: &str, after: i64, limit: u32) -> Result<Vec<NewRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(
                "select id, account, email, name, tags from member_queue
                  where state = 'new' and run_id is null and account = $1 and id > $3 order by id limit $2",
            )
            .bind(account)
            .bind(i64::from(limit))
            .bind(after)
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }

    /// Rows that nobody has read and whose account nobody knows, at most `limit`.
    pub async fn stray_rows(&self, limit: u32) -> Result<Vec<NewRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(concat!(
                stray_accounts!("member_queue"),
                "select q.id, q.account, q.email, q.name, q.tags from strays s
                   join member_queue q on q.account = s.name
                  where q.state = 'new' and q.run_id is null order by q.id limit $1"
            ))
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
        run: QueueRun<'_>,
        rows: &[QueueRow],
        batches: &[PlannedBatch],
        limits: (usize, Time),
        now: Time,
    ) -> Result<Vec<i64>> {
        let QueueRun { account, id: run_id, status, new_members } = run;
        let (max_rows, due_at) = limits;
        let ids = write_tx!(self, tx => {
            let counted = sqlx::query(
                "update runs set read_rows = read_rows + $2, new_members = new_members + $3
                  where id = $1 and status = $4 and approved_at is null",
            )
            .bind(run_id)
            .bind(int(rows.len()))
            .bind(new_members.cast_signed())
            .bind(status.as_str())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(counted, 1, || format!("run `{run_id}`"))?;
            // A full batch waits for nothing.
            let due = |batch: &PlannedBatch| if batch.rows >= max_rows { now } else { due_at };
            let ids = write_batches!(tx, account, run_id, LIVE_PRIORITY, batches, due);
            let (taken, ended) = divide(rows);
            let found = tx.take_pending(run_id, &taken, &ids).await? + tx.take_ended(run_id, &ended, now).await?;
            ensure_rows(found, rows.len() as u64, || "a row of the queue".to_owned())?;
            ids
        });
        Ok(ids)
    }
}
