//! Rows on their way in: a part of a file with its batches, counts and position in one transaction.

use super::bulk::Bulk as _;
use super::{Result, Store, error::ensure_rows, int, write_tx};
use crate::clock::Time;
use crate::domain::batch::PlannedBatch;
use crate::domain::code::Code;

/// A valid row that has something to send.
#[derive(Clone, Copy, Debug)]
pub struct PendingRow<'a> {
    /// The address as it is sent.
    pub email: &'a str,
    /// The name, if the row has one.
    pub name: Option<&'a str>,
    /// The line of the file.
    pub line: i64,
    /// Hash of the normalised address.
    pub key_hash: i64,
    /// The tags it wants.
    pub tag_set: i64,
    /// The place of its batch among those of the intake.
    pub batch: usize,
}

/// A row that ends at intake: invalid, or of a person who is to be left alone.
#[derive(Clone, Debug)]
pub struct BadInput<'a> {
    /// What stood where the address should be.
    pub email: &'a str,
    /// The line of the file.
    pub line: i64,
    /// Why.
    pub code: Code,
    /// Why, in words.
    pub reason: &'a str,
}

/// Lines that end without a row in the queue, packed.
#[derive(Clone, Debug, Default)]
pub struct UnkeptLines {
    /// Packed lines, some thousand a chunk.
    pub chunks: Vec<Vec<u8>>,
    /// How many of them are duplicates.
    pub duplicates: u64,
    /// How many of them are unchanged.
    pub unchanged: u64,
}

/// A batch that is still to be filled, as stored.
pub type OpenBatch = PlannedBatch;

/// What is taken in part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The file with this number.
    File(i64),
    /// The pass over a source that the run is.
    Pass,
}

/// One part of a file or of a pass: everything that is written about it at once.
#[derive(Debug)]
pub struct Intake<'a> {
    /// Whose key it uses.
    pub account: &'a str,
    /// The run.
    pub run_id: i64,
    /// What it is a part of.
    pub input: Input,
    /// Which part this is, from 0.
    pub part: u32,
    /// Whether it is the last one.
    pub is_last: bool,
    /// Rows to send.
    pub pending: &'a [PendingRow<'a>],
    /// How many of them are of people of whom nothing was delivered before.
    pub new_members: u64,
    /// Rows we refused.
    pub invalid: &'a [BadInput<'a>],
    /// Lines that are not kept.
    pub unkept: &'a UnkeptLines,
    /// The batches that the pending rows go to; those without id are new.
    pub batches: &'a [PlannedBatch],
    /// When.
    pub now: Time,
}

/// Notes that a part is in the queue, once.
const MOVE_FILE: &str = "
    update input_files set parts_done = parts_done + 1, state = case when $3 then 'taken' else state end
     where id = $1 and parts_done = $2 and state = 'taking'";
const MOVE_PASS: &str = "
    update source_passes set parts_done = parts_done + 1, state = case when $3 then 'taken' else state end
     where run_id = $1 and parts_done = $2 and state = 'taking'";

/// Bulk work goes after what people wait for.
pub(super) const BULK_PRIORITY: i64 = 1_000;
/// Rows of the queue, which come one by one.
pub(super) const LIVE_PRIORITY: i64 = 500;
/// Added to what a run was halted by for a known cause.
pub(super) const HALTED_PRIORITY: i64 = 100_000;
/// Added to what a run was halted by for refusals that say nothing.
pub(super) const DOUBTED_PRIORITY: i64 = 1_000_000;

/// Stores the batches of an intake, new ones and grown ones; their ids, in order. `$due` says when a
/// batch goes out. `Lost` where another process has filled or claimed one meanwhile.
macro_rules! write_batches {
    ($tx:ident, $account:expr, $run_id:expr, $priority:expr, $batches:expr, $due:expr) => {{
        let due = $due;
        let mut ids: Vec<i64> = Vec::with_capacity($batches.len());
        for batch in $batches {
            ids.push(match batch.id {
                Some(id) => {
                    let grown = sqlx::query(
                        "update batches set row_count = $2, bytes = $3, due_at = case when due_at < $4 then due_at else $4 end
                          where id = $1 and state = 'pending' and attempts = 0 and row_count = $5",
                    )
                    .bind(id)
                    .bind($crate::store::int(batch.rows))
                    .bind($crate::store::int(batch.bytes))
                    .bind(due(batch))
                    .bind($crate::store::int(batch.stored))
                    .execute(&mut *$tx)
                    .await?
                    .rows_affected();
                    $crate::store::error::ensure_rows(grown, 1, || format!("batch `{id}`"))?;
                    id
                }
                None => {
                    sqlx::query_scalar(
                        "insert into batches
                             (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
                         values ($1, $2, $3, $4, $5, $6, 'pending', $7) returning id",
                    )
                    .bind($account)
                    .bind($run_id)
                    .bind(batch.tag_set)
                    .bind($priority)
                    .bind($crate::store::int(batch.rows))
                    .bind($crate::store::int(batch.bytes))
                    .bind(due(batch))
                    .fetch_one(&mut *$tx)
                    .await?
                }
            });
        }
        ids
    }};
}

pub(super) use write_batches;

impl Store {
    /// Writes one part of a file or of a pass: rows, batches, counts and position, all or nothing. The ids of
    /// its batches, in their order. `Lost` where another process has taken this part.
    pub async fn add_part(&self, intake: &Intake<'_>) -> Result<Vec<i64>> {
        let ids = write_tx!(self, tx => {
            let (sql, id) = match intake.input {
                Input::File(id) => (MOVE_FILE, id),
                Input::Pass => (MOVE_PASS, intake.run_id),
            };
            let moved = sqlx::query(sql)
                .bind(id)
                .bind(i64::from(intake.part))
                .bind(intake.is_last)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            ensure_rows(moved, 1, || format!("part {} of run `{}`", intake.part, intake.run_id))?;

            let ids = write_batches!(tx, intake.account, intake.run_id, BULK_PRIORITY, intake.batches, |_| intake.now);

            tx.insert_pending(intake.run_id, intake.pending, &ids).await?;
            tx.insert_invalid(intake.run_id, intake.invalid, intake.now).await?;
            for (chunk, lines) in intake.unkept.chunks.iter().enumerate() {
                sqlx::query("insert into unkept_lines (run_id, part, chunk, lines) values ($1, $2, $3, $4)")
                    .bind(intake.run_id)
                    .bind(i64::from(intake.part))
                    .bind(int(chunk))
                    .bind(lines)
                    .execute(&mut *tx)
                    .await?;
            }

            let read = intake.pending.len() + intake.invalid.len();
            let unkept = intake.unkept.duplicates + intake.unkept.unchanged;
            sqlx::query(
                "update runs set read_rows = read_rows + $2, duplicate_rows = duplicate_rows + $3,
                                 unchanged_rows = unchanged_rows + $4, new_members = new_members + $5
                  where id = $1",
            )
            .bind(intake.run_id)
            .bind(int(read) + unkept.cast_signed())
            .bind(intake.unkept.duplicates.cast_signed())
            .bind(intake.unkept.unchanged.cast_signed())
            .bind(intake.new_members.cast_signed())
            .execute(&mut *tx)
            .await?;
            ids
        });
        Ok(ids)
    }

    /// The batches of a run that are not full, for an intake that goes on.
    pub async fn open_batches(&self, run_id: i64, max_rows: usize) -> Result<Vec<OpenBatch>> {
        let rows: Vec<(i64, i64, i64, i64)> = super::read!(self, db => {
            sqlx::query_as(
                "select id, tag_set_id, row_count, bytes from batches
                  where run_id = $1 and state = 'pending' and row_count < $2 and attempts = 0 and call_id is null order by id",
            )
            .bind(run_id)
            .bind(int(max_rows))
            .fetch_all(db)
            .await?
        });
        let size = |value: i64| usize::try_from(value).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|(id, tag_set, rows, bytes)| OpenBatch {
                id: Some(id),
                tag_set,
                rows: size(rows),
                stored: size(rows),
                bytes: size(bytes),
            })
            .collect())
    }
}
