//! Rows that leave the queue for good, forgotten or pruned: how they ended still counts for their runs.
//!
//! The only place that deletes a row that was read. It counts first, in the same transaction.

use super::{CauseGroup, Result, Run, RunCounts, Store, StoreError, read};
use crate::domain::state::RowState;

/// Takes rows out of the queue, counted as they stand; how many there were. `$ids` is a list of numbers.
macro_rules! take_out {
    ($tx:ident, $ids:expr) => {{
        let ids = $ids;
        sqlx::query(
            "insert into gone_rows (run_id, state, code, row_count)
             select run_id, state, coalesce(code, ''), count(*) from member_queue
              where id in (select cast(value as bigint) from json_each($1)) and run_id is not null
              group by run_id, state, coalesce(code, '')
             on conflict (run_id, state, code) do update
                set row_count = gone_rows.row_count + excluded.row_count",
        )
        .bind(ids)
        .execute(&mut *$tx)
        .await?;
        sqlx::query(
            "delete from row_passes where row_id in (select cast(value as bigint) from json_each($1))",
        )
        .bind(ids)
        .execute(&mut *$tx)
        .await?;
        sqlx::query("delete from member_queue where id in (select cast(value as bigint) from json_each($1))")
            .bind(ids)
            .execute(&mut *$tx)
            .await?
            .rows_affected()
    }};
}

pub(super) use take_out;

impl Store {
    /// Adds the rows of a run that are gone to its counts.
    pub(super) async fn add_gone(&self, run: &Run, counts: &mut RunCounts) -> Result<()> {
        let gone: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as("select state, row_count from gone_rows where run_id = $1")
                .bind(run.id)
                .fetch_all(db)
                .await?
        });
        for (state, rows) in gone {
            let known = RowState::parse(&state);
            let state = known.ok_or_else(|| StoreError::corrupt("gone_rows", "state", &state))?;
            counts.add(state, rows.unsigned_abs());
        }
        Ok(())
    }

    /// Adds those of them that were not sent to the causes of a run: their lines and reasons are not known any more.
    pub(super) async fn add_gone_causes(&self, run_id: i64, causes: &mut Vec<CauseGroup>) -> Result<()> {
        let gone: Vec<(String, String, i64)> = read!(self, db => {
            sqlx::query_as(concat!(
                "select state, code, row_count from gone_rows
                  where run_id = $1 and code <> '' and (state = 'delivered' or state in ",
                super::reports::not_sent!(),
                ") order by code, state"
            ))
            .bind(run_id)
            .fetch_all(db)
            .await?
        });
        for (state, code, rows) in gone {
            let rows = rows.unsigned_abs();
            let is_same = |cause: &&mut CauseGroup| cause.code == code && cause.state == state;
            if let Some(cause) = causes.iter_mut().find(is_same) {
                cause.rows += rows;
                cause.more_reasons += 1;
            } else {
                causes.push(CauseGroup { state, code, rows, reasons: Vec::new(), more_reasons: 1 });
            }
        }
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.rows));
        Ok(())
    }
}
