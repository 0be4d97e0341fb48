//! Many rows for `SQLite`: lists of values in a fixed set of shapes, since each statement crosses a thread.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::super::calls::MovedRow;
use super::super::queue::{EndedRow, TakenRow};
use super::super::rows::{BadInput, PendingRow};
use super::{Bulk, Result};
use crate::clock::Time;

/// Rows a statement, largest first: whatever the number, few statements and few shapes.
const SHAPES: [usize; 4] = [1_000, 100, 10, 1];

impl Bulk for SqliteConnection {
    async fn insert_pending(&mut self, run_id: i64, rows: &[PendingRow<'_>], batches: &[i64]) -> Result<()> {
        for rows in shapes(rows) {
            let mut query = sqlx::query(AssertSqlSafe(pending_sql(rows.len())));
            for row in rows {
                query = query
                    .bind(row.email)
                    .bind(row.name)
                    .bind(row.line)
                    .bind(row.key_hash)
                    .bind(row.tag_set)
                    .bind(batches.get(row.batch).copied());
            }
            query.bind(run_id).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn insert_invalid(&mut self, run_id: i64, rows: &[BadInput<'_>], now: Time) -> Result<()> {
        for rows in shapes(rows) {
            let mut query = sqlx::query(AssertSqlSafe(invalid_sql(rows.len())));
            for row in rows {
                query = query
                    .bind(row.code.state_at_intake().as_str())
                    .bind(row.email)
                    .bind(row.line)
                    .bind(row.code.as_str())
                    .bind(row.reason);
            }
            query.bind(run_id).bind(now).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn take_pending(&mut self, run_id: i64, rows: &[TakenRow<'_>], batches: &[i64]) -> Result<u64> {
        let mut found = 0;
        for rows in shapes(rows) {
            let mut query = sqlx::query(AssertSqlSafe(taken_sql(rows.len())));
            for row in rows {
                query = query
                    .bind(row.id)
                    .bind(row.address)
                    .bind(row.key_hash)
                    .bind(row.tag_set)
                    .bind(batches.get(row.batch).copied());
            }
            found += query.bind(run_id).execute(&mut *self).await?.rows_affected();
        }
        Ok(found)
    }

    async fn take_ended(&mut self, run_id: i64, rows: &[EndedRow<'_>], now: Time) -> Result<u64> {
        let mut found = 0;
        for rows in shapes(rows) {
            let mut query = sqlx::query(AssertSqlSafe(ended_sql(rows.len())));
            for row in rows {
                query = query.bind(row.id).bind(row.state.as_str()).bind(row.code.as_str()).bind(row.reason);
            }
            found += query.bind(run_id).bind(now).execute(&mut *self).await?.rows_affected();
        }
        Ok(found)
    }

    async fn move_rows(&mut self, rows: &[MovedRow]) -> Result<u64> {
        let mut found = 0;
        for rows in shapes(rows) {
            let mut query = sqlx::query(AssertSqlSafe(moved_sql(rows.len())));
            for row in rows {
                query = query.bind(row.id).bind(row.batch).bind(row.calls_left.as_deref());
            }
            found += query.execute(&mut *self).await?.rows_affected();
        }
        Ok(found)
    }

    async fn insert_waits(&mut self, waits: &[(i64, i64)]) -> Result<()> {
        for waits in shapes(waits) {
            let mut query = sqlx::query(AssertSqlSafe(waits_sql(waits.len())));
            for (call, on) in waits {
                query = query.bind(call).bind(on);
            }
            query.execute(&mut *self).await?;
        }
        Ok(())
    }
}

/// Cuts rows into slices whose lengths are those of `SHAPES`.
fn shapes<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let shape = SHAPES.into_iter().find(|shape| *shape <= rows.len())?;
        let (head, tail) = rows.split_at(shape);
        rows = tail;
        Some(head)
    })
}

fn pending_sql(rows: usize) -> String {
    values_sql(
        "insert or rollback into member_queue
             (account, run_id, created_at, state, email, name, line, key_hash, tag_set_id, batch_id)
         select r.account, r.id, r.created_at, 'pending', v.column1, v.column2, v.column3, v.column4,
                v.column5, v.column6
           from (values ",
        6,
        rows,
        ") v join runs r on r.id = $run",
    )
}

fn taken_sql(rows: usize) -> String {
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

fn moved_sql(rows: usize) -> String {
    values_sql(
        "with moved (id, batch_id, calls_left) as (values ",
        3,
        rows,
        ") update member_queue set batch_id = moved.batch_id, calls_left = moved.calls_left
             from moved where member_queue.id = moved.id and member_queue.state = 'pending'",
    )
}

fn waits_sql(waits: usize) -> String {
    values_sql("insert into call_waits (call_id, on_call) values ", 2, waits, "")
}

fn invalid_sql(rows: usize) -> String {
    values_sql(
        "insert or rollback into member_queue
             (account, run_id, created_at, settled_at, state, email, line, code, reason)
         select r.account, r.id, r.created_at, $now, v.column1, v.column2, v.column3, v.column4, v.column5
           from (values ",
        5,
        rows,
        ") v join runs r on r.id = $run",
    )
}

/// A statement over `rows` rows of `each` values, then the run and the moment. The values have no
/// number: `SQLite` looks a numbered bind up by its name, one after the other, which makes a statement
/// of thousands of them quadratic.
fn values_sql(head: &'static str, each: usize, rows: usize, tail: &str) -> String {
    static KNOWN: LazyLock<Mutex<HashMap<(&'static str, usize), String>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = known.entry((head, rows)).or_insert_with(|| {
        let row = format!("({})", vec!["?"; each].join(","));
        let (run, now) = (format!("${}", each * rows + 1), format!("${}", each * rows + 2));
        let text = format!("{head}{}{tail}", vec![row.as_str(); rows].join(","));
        text.replace("$run", &run).replace("$now", &now)
    });
    text.clone()
}
