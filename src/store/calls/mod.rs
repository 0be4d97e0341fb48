//! Calls: batches that were planned together, and rows that pass through several of them.
//!
//! A row is in one batch at a time. Once that is delivered it moves on to its next call, which leaves when
//! nobody of it is in an earlier one. What is planned is decided elsewhere.

mod pass;
mod waits;

pub(super) use pass::{MovedRow, Passed, PassedRow, deliver_call, enter_call, lay_alone};
pub(super) use waits::{close_call, open_calls, open_stranded, ready_calls, stale_waits};

use super::bulk::Bulk as _;
use super::claims::list;
use super::dialect::lock_rows;
use super::rows::HALTED_PRIORITY;
use super::{Result, Store, error::ensure_rows, int, read, write_tx};
use crate::clock::Time;
use crate::domain::plan::{CallKind, LaidRow};

/// Batches that are not full, and their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The batches, in order.
    pub batches: Vec<i64>,
    /// The last batch that was looked at.
    pub last: Option<i64>,
    /// The rows.
    pub rows: Vec<LeftoverRow>,
}

/// A row of a batch that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LeftoverRow {
    /// Its number.
    pub id: i64,
    /// The tags it wants.
    pub tag_set: i64,
    /// The tags its person has; `None` where the person is new.
    pub has: Option<i64>,
    /// Bytes that it takes in a body, about.
    pub bytes: i64,
}

/// A request to be laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// Its tags.
    pub tag_set: i64,
    /// What it asks for.
    pub kind: CallKind,
    /// Everybody who will be in it.
    pub rows: u64,
    /// Those of them whose first call it is.
    pub first: u64,
    /// Bytes that they take in a body, about.
    pub bytes: u64,
    /// Whether it waits for others.
    pub waits: bool,
}

/// Calls that take the place of batches.
#[derive(Clone, Copy, Debug)]
pub struct NewCalls<'a> {
    /// The run.
    pub run_id: i64,
    /// The batches whose rows they take.
    pub batches: &'a [i64],
    /// The calls, in order.
    pub calls: &'a [NewCall],
    /// The rows, with the places of their calls.
    pub rows: &'a [LaidRow],
    /// Calls, each with one that it waits for, by their places.
    pub waits: &'a [(u32, u32)],
    /// When they are due.
    pub due_at: Time,
}

/// So many rows are planned together: what that takes does not grow with the list.
pub const PLANNED_TOGETHER: u64 = 200_000;

impl Store {
    /// Batches of a run behind this one that are not full and were not planned, and their rows: as many as are
    /// planned together. Halves of what was refused are left as they are. Those that are due later than `due_by` may still be filled.
    pub async fn leftovers(
        &self,
        run_id: i64,
        max_rows: usize,
        after: i64,
        due_by: Option<Time>,
    ) -> Result<Leftovers> {
        let found: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(
                "select id, row_count from batches
                  where run_id = $1 and state = 'pending' and attempts = 0 and call_id is null
                    and (parent_id is null or exists (select 1 from batches p
                                                       where p.id = batches.parent_id
                                                         and p.state in ('delivered', 'failed')))
                    and priority < $2 and row_count < $3 and id > $4
                    and ($5 is null or due_at <= $5)
                    and not exists (select 1 from attempts where batch_id = batches.id)
                  order by id limit $6",
            )
            .bind(run_id)
            .bind(HALTED_PRIORITY)
            .bind(int(max_rows))
            .bind(after)
            .bind(due_by)
            .bind(int(PLANNED_TOGETHER))
            .fetch_all(db)
            .await?
        });
        let mut room = int(PLANNED_TOGETHER);
        let batches: Vec<i64> = found
            .iter()
            .take_while(|(_, rows)| {
                let has_room = room > 0;
                room -= rows;
                has_room
            })
            .map(|(id, _)| *id)
            .collect();
        let rows = read!(self, db => {
            sqlx::query_as(
                "select q.id, q.tag_set_id as tag_set, l.tag_set_id as has,
                        cast(octet_length(coalesce(q.address, q.email)) + coalesce(octet_length(q.name), 0) + 28
                             as bigint) as bytes
                   from json_each($1) b
                   join member_queue q on q.batch_id = cast(b.value as bigint) and q.state = 'pending'
                   left join ledger l on l.account = q.account and l.key_hash = q.key_hash
                                     and l.email_key = lower(coalesce(q.address, q.email))
                  order by q.id",
            )
            .bind(list(batches.iter().copied()))
            .fetch_all(db)
            .await?
        });
        Ok(Leftovers { last: batches.last().copied(), batches, rows })
    }

    /// Lets rows of a run go at once that were to be tried again a little later.
    pub async fn let_go(&self, run_id: i64, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update batches set due_at = $2
                  where run_id = $1 and state = 'pending' and attempts = 0 and parent_id is not null
                    and due_at > $2 and not exists (select 1 from attempts where batch_id = batches.id)",
            )
            .bind(run_id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Lays rows into calls in place of their batches. `Lost` where one of these was claimed meanwhile, or rows
    /// were deleted: nothing is written then.
    pub async fn lay_calls(&self, new: &NewCalls<'_>) -> Result<()> {
        let (batches, stale) = (list(new.batches.iter().copied()), || "batches that are planned".to_owned());
        write_tx!(self, tx => {
            lock_rows!(
                tx,
                "select 1 from batches where id in (select cast(value as bigint) from json_each($1))
                  order by id for update",
                &batches
            );
            let (open, priority): (i64, i64) = sqlx::query_as(
                "select count(*), coalesce(min(priority), 0) from batches
                  where id in (select cast(value as bigint) from json_each($1)) and state = 'pending'
                    and attempts = 0 and call_id is null
                    and not exists (select 1 from attempts where batch_id = batches.id)",
            )
            .bind(&batches)
            .fetch_one(&mut *tx)
            .await?;
            ensure_rows(open.unsigned_abs(), new.batches.len() as u64, stale)?;
            let mut ids = Vec::with_capacity(new.calls.len());
            for call in new.calls {
                let id: i64 = sqlx::query_scalar(
                    "insert into batches (account, run_id, tag_set_id, priority, row_count, away_rows, bytes, state,
                                          due_at, kind, waits)
                     select account, id, $2, $3, $4, $5, $6, 'pending', $7, $8, $9 from runs where id = $1
                     returning id",
                )
                .bind(new.run_id)
                .bind(call.tag_set)
                .bind(priority)
                .bind(int(call.rows))
                .bind(int(call.rows - call.first))
                .bind(int(call.bytes.max(1)))
                .bind(new.due_at)
                .bind(call.kind.as_str())
                .bind(i64::from(call.waits))
                .fetch_one(&mut *tx)
                .await?;
                ids.push(id);
            }
            sqlx::query(
                "update batches set call_id = id
                  where id in (select cast(value as bigint) from json_each($1))",
            )
            .bind(list(ids.iter().copied()))
            .execute(&mut *tx)
            .await?;
            let moved = tx.move_rows(&moved_rows(new.rows, &ids)).await?;
            ensure_rows(moved, new.rows.len() as u64, stale)?;
            let id = |place: &u32| ids.get(*place as usize).copied().unwrap_or_default();
            let waits: Vec<(i64, i64)> = new.waits.iter().map(|(call, on)| (id(call), id(on))).collect();
            tx.insert_waits(&waits).await?;
            sqlx::query("delete from batches where id in (select cast(value as bigint) from json_each($1))")
                .bind(&batches)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }
}

/// Rows in their first call, with those that are left to them; one that is in no call is left out.
fn moved_rows(rows: &[LaidRow], ids: &[i64]) -> Vec<MovedRow> {
    let id = |place: &u32| ids.get(*place as usize).copied();
    let moved = |row: &LaidRow| {
        let (first, left) = row.calls.split_first()?;
        let left: Vec<String> = left.iter().filter_map(id).map(|id| id.to_string()).collect();
        let calls_left = (!left.is_empty()).then(|| left.join(" "));
        Some(MovedRow { id: row.row, batch: id(first)?, calls_left })
    };
    rows.iter().filter_map(moved).collect()
}
