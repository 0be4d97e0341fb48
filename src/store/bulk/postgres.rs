//! Many rows for Postgres: one array a column, joined by the server.

use std::borrow::Cow;

use sqlx::PgConnection;

use super::super::calls::MovedRow;
use super::super::dialect::storable;
use super::super::queue::{EndedRow, TakenRow};
use super::super::rows::{BadInput, PendingRow};
use super::{Bulk, Result};
use crate::clock::Time;

/// Rows a statement: more gain nothing and cost memory on both sides.
const ROWS: usize = 5_000;

impl Bulk for PgConnection {
    async fn insert_pending(&mut self, run_id: i64, rows: &[PendingRow<'_>], batches: &[i64]) -> Result<()> {
        for rows in rows.chunks(ROWS) {
            sqlx::query(
                "insert into member_queue
                     (account, run_id, created_at, state, email, name, line, key_hash, tag_set_id, batch_id)
                 select r.account, r.id, r.created_at, 'pending', v.email, v.name, v.line, v.key_hash, v.tag_set,
                        v.batch
                   from runs r, unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
                        v (email, name, line, key_hash, tag_set, batch)
                  where r.id = $1",
            )
            .bind(run_id)
            .bind(column(rows, |row| storable(row.email)))
            .bind(column(rows, |row| row.name.map(storable)))
            .bind(column(rows, |row| row.line))
            .bind(column(rows, |row| row.key_hash))
            .bind(column(rows, |row| row.tag_set))
            .bind(column(rows, |row| batches.get(row.batch).copied()))
            .execute(&mut *self)
            .await?;
        }
        Ok(())
    }

    async fn insert_invalid(&mut self, run_id: i64, rows: &[BadInput<'_>], now: Time) -> Result<()> {
        for rows in rows.chunks(ROWS) {
            sqlx::query(
                "insert into member_queue
                     (account, run_id, created_at, settled_at, state, email, line, code, reason)
                 select r.account, r.id, r.created_at, $2, v.state, v.email, v.line, v.code, v.reason
                   from runs r, unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
                        v (state, email, line, code, reason)
                  where r.id = $1",
            )
            .bind(run_id)
            .bind(now)
            .bind(column(rows, |row| row.code.state_at_intake().as_str()))
            .bind(column(rows, |row| storable(row.email)))
            .bind(column(rows, |row| row.line))
            .bind(column(rows, |row| row.code.as_str()))
            .bind(column(rows, |row| storable(row.reason)))
            .execute(&mut *self)
            .await?;
        }
        Ok(())
    }

    async fn take_pending(&mut self, run_id: i64, rows: &[TakenRow<'_>], batches: &[i64]) -> Result<u64> {
        let mut found = 0;
        for rows in rows.chunks(ROWS) {
            let taken = sqlx::query(
                "update member_queue q
                    set state = 'pending', run_id = $1, address = v.address, key_hash = v.key_hash,
                        tag_set_id = v.tag_set, batch_id = v.batch
                   from unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
                        v (id, address, key_hash, tag_set, batch)
                  where q.id = v.id and q.state = 'new'",
            )
            .bind(run_id)
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.address.map(Cow::Borrowed)))
            .bind(column(rows, |row| row.key_hash))
            .bind(column(rows, |row| row.tag_set))
            .bind(column(rows, |row| batches.get(row.batch).copied()))
            .execute(&mut *self)
            .await?;
            found += taken.rows_affected();
        }
        Ok(found)
    }

    async fn take_ended(&mut self, run_id: i64, rows: &[EndedRow<'_>], now: Time) -> Result<u64> {
        let mut found = 0;
        for rows in rows.chunks(ROWS) {
            let ended = sqlx::query(
                "update member_queue q
                    set state = v.state, run_id = $1, code = v.code, reason = v.reason, settled_at = $2
                   from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) v (id, state, code, reason)
                  where q.id = v.id and q.state = 'new'",
            )
            .bind(run_id)
            .bind(now)
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.state.as_str()))
            .bind(column(rows, |row| row.code.as_str()))
            .bind(column(rows, |row| row.reason))
            .execute(&mut *self)
            .await?;
            found += ended.rows_affected();
        }
        Ok(found)
    }

    async fn move_rows(&mut self, rows: &[MovedRow]) -> Result<u64> {
        let mut found = 0;
        for rows in rows.chunks(ROWS) {
            let moved = sqlx::query(
                "update member_queue q set batch_id = v.batch, calls_left = v.calls_left
                   from unnest($1::bigint[], $2::bigint[], $3::text[]) v (id, batch, calls_left)
                  where q.id = v.id and q.state = 'pending'",
            )
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.batch))
            .bind(column(rows, |row| row.calls_left.as_deref()))
            .execute(&mut *self)
            .await?;
            found += moved.rows_affected();
        }
        Ok(found)
    }

    async fn insert_waits(&mut self, waits: &[(i64, i64)]) -> Result<()> {
        for waits in waits.chunks(ROWS) {
            sqlx::query(
                "insert into call_waits (call_id, on_call) select * from unnest($1::bigint[], $2::bigint[])",
            )
            .bind(column(waits, |wait| wait.0))
            .bind(column(waits, |wait| wait.1))
            .execute(&mut *self)
            .await?;
        }
        Ok(())
    }
}

fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
