//! What result files are made of: every line of a run and what became of it, in order.

use futures_util::{TryFutureExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::{Result, Store, held::in_time, read, write_tx};

/// A row of a file and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LineOutcome {
    /// Its line.
    pub line: i64,
    /// The state it ended in.
    pub state: String,
    /// The stable code, if it has one.
    pub code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Luma's id of the event, where it is one that exists.
    pub api_id: Option<String>,
}

impl Store {
    /// Sends every kept row of a run, in order of line, until the receiver is gone.
    pub async fn send_outcomes(&self, run_id: i64, to: mpsc::Sender<LineOutcome>) -> Result<()> {
        read!(self, db, patience => {
            let mut rows = sqlx::query_as::<_, LineOutcome>(
                "select line, state, code, reason, api_id from (
                     select q.line, q.state, q.code, q.reason, null as api_id
                       from batches b join member_queue q on q.batch_id = b.id where b.run_id = $1
                     union all
                     select line, state, code, reason, null from member_queue
                      where run_id = $1 and batch_id is null
                     union all
                     select line, state, code, reason, api_id from event_queue where run_id = $1) kept
                 where line is not null order by line",
            )
            .bind(run_id)
            .fetch(db);
            while let Some(row) = in_time(patience, rows.try_next().err_into()).await? {
                if to.send(row).await.is_err() {
                    break;
                }
            }
        });
        Ok(())
    }

    /// One chunk of packed lines of a part, if there is one.
    pub async fn unkept_chunk(&self, run_id: i64, part: u32, chunk: u32) -> Result<Option<Vec<u8>>> {
        let lines = read!(self, db => {
            sqlx::query_scalar("select lines from unkept_lines where run_id = $1 and part = $2 and chunk = $3")
                .bind(run_id)
                .bind(i64::from(part))
                .bind(i64::from(chunk))
                .fetch_optional(db)
                .await?
        });
        Ok(lines)
    }

    /// Every chunk of packed lines of a run, with its part and its number.
    pub async fn unkept_lines(&self, run_id: i64) -> Result<Vec<(i64, i64, Vec<u8>)>> {
        let chunks = read!(self, db => {
            sqlx::query_as("select part, chunk, lines from unkept_lines where run_id = $1 order by part, chunk")
                .bind(run_id)
                .fetch_all(db)
                .await?
        });
        Ok(chunks)
    }

    /// Puts other lines in the place of a chunk, or none.
    pub async fn replace_unkept(
        &self,
        run_id: i64,
        part: i64,
        chunk: i64,
        lines: Option<&[u8]>,
    ) -> Result<()> {
        write_tx!(self, tx => {
            let sql = match lines {
                Some(_) => "update unkept_lines set lines = $4 where run_id = $1 and part = $2 and chunk = $3",
                None => "delete from unkept_lines where run_id = $1 and part = $2 and chunk = $3 and $4 is null",
            };
            sqlx::query(sql).bind(run_id).bind(part).bind(chunk).bind(lines).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Forgets the packed lines of a run, once its result files tell of them.
    pub async fn drop_unkept(&self, run_id: i64) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("delete from unkept_lines where run_id = $1").bind(run_id).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Rows of the run that are still to be sent or in a request.
    pub async fn rows_to_send(&self, run_id: i64) -> Result<u64> {
        let rows: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select (select cast(coalesce(sum(row_count - away_rows), 0) as bigint) from batches
                          where run_id = $1 and state in ('pending', 'in_flight'))
                      + (select count(*) from event_queue
                          where run_id = $1 and state in ('pending', 'in_flight'))",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(rows.unsigned_abs())
    }

    /// Whether the run goes on to send, or waits for what it has sent: a batch or an event is still to be sent or
    /// in a request, or people of a run that was not stopped are still to be found.
    pub async fn has_work(&self, run_id: i64) -> Result<bool> {
        let found: bool = read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from batches where run_id = $1 and state in ('pending', 'in_flight'))
                     or exists (select 1 from event_queue where run_id = $1 and state in ('pending', 'in_flight'))
                     or exists (select 1 from batches b join runs r on r.id = b.run_id
                                 where b.run_id = $1 and b.proof is not null and r.status = 'running')",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(found)
    }

    /// Whether people of the run are still to be found, and nothing of it is to be sent.
    pub async fn is_only_proving(&self, run_id: i64) -> Result<bool> {
        let found: bool = read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from batches where run_id = $1 and proof is not null)
                    and not exists (select 1 from batches where run_id = $1 and state in ('pending', 'in_flight'))",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(found)
    }
}
