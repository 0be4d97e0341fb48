//! Passes over sources: how far each is, what it has read up to, and where its source goes on.
//!
//! A position moves in the transaction that ends a run (`move_position!`), and only past rows that
//! have their outcome.

use serde_json::{Value, json};

use super::runs::enter_run;
use super::{NewRun, Result, Store, StoreError, error::ensure_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::cursor::{CursorValue, Position};
use crate::domain::state::RunStatus;

/// A pass about to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewPass<'a> {
    /// The source.
    pub source: &'a str,
    /// The process that takes it in.
    pub worker_id: i64,
    /// What is asked of it, as a digest.
    pub asked: &'a str,
}

/// A pass that has begun.
#[derive(Clone, Debug, PartialEq)]
pub struct BegunPass {
    /// Its run.
    pub run_id: i64,
    /// Up to where the same was asked and every row has its outcome.
    pub position: Option<Position>,
}

/// What the reading of a source came to.
#[derive(Clone, Debug)]
pub struct PassRead<'a> {
    /// Parts into which its rows are divided.
    pub parts: u32,
    /// What the reader found, in words.
    pub shape: &'a str,
    /// The last row.
    pub position: Option<&'a Position>,
}

/// How far a pass is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassState {
    /// Its rows are being read, or going into the queue.
    Taking,
    /// All its rows are in the queue.
    Taken,
    /// It broke off, for this reason.
    Broken(String),
}

/// A pass as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePass {
    /// The source.
    pub source: String,
    /// What the reader found, in words.
    pub shape: Option<String>,
    /// Parts into which its rows are divided; 0 while they are read.
    pub parts: u32,
    /// Parts whose rows are in the queue.
    pub parts_done: u32,
    /// How far it is.
    pub state: PassState,
}

/// A member who is pending in a run: hash of the key, the key, the tags.
pub(crate) type AwaitedRow = (i64, String, i64);

/// Why the pass of a process that is gone broke off.
const DIED: &str = "whoever took it in ended before it was done";

/// The pass ends where it is: what is in the queue is sent, and the source is free for the next pass. How
/// many were being taken in: one or none.
macro_rules! break_off {
    ($tx:ident, $run:expr, $why:expr, $now:expr) => {{
        let broken = sqlx::query(
            "update source_passes set state = 'broken', reason = $2 where run_id = $1 and state = 'taking'",
        )
        .bind($run)
        .bind($why)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        if broken > 0 {
            sqlx::query(
                "update runs
                    set status = 'failed', reason = $2, finished_at = $3
                   from source_passes p
                  where p.run_id = runs.id and runs.id = $1 and runs.status = 'queued' and p.parts_done = 0",
            )
            .bind($run)
            .bind($why)
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        }
        broken
    }};
}

/// With the end of a run, its source goes on behind the last pass that was read to its end and of which
/// every row is settled; so must be what earlier passes had pending while it was read, because it left
/// that to them.
macro_rules! move_position {
    ($tx:ident, $run:expr) => {
        sqlx::query(
            "insert into source_positions (source, asked, position, run_id)
             select p.source, p.asked, p.position, p.run_id
               from source_passes ended
               join source_passes p on p.source = ended.source and p.state = 'taken' and p.position is not null
               join runs r on r.id = p.run_id and r.status in ('succeeded', 'partial')
              where ended.run_id = $1
                and not exists
                    (select 1 from source_passes e join runs q on q.id = e.run_id
                      where e.source = p.source and e.run_id < p.run_id
                        and (q.finished_at is null or q.finished_at >= r.created_at)
                        and (q.status = 'canceled'
                            or exists (select 1 from batches b
                                        where b.run_id = q.id and b.state in ('pending', 'in_flight'))))
              order by p.run_id desc limit 1
             on conflict (source) do update
                set asked = excluded.asked, position = excluded.position, run_id = excluded.run_id
              where excluded.run_id > source_positions.run_id",
        )
        .bind($run)
        .execute(&mut *$tx)
        .await?
    };
}

pub(super) use {break_off, move_position};

impl Store {
    /// Enters a pass over a source and its run; `None` where another process takes the source in now. What
    /// this process has left half taken ends where it is.
    pub async fn begin_pass(&self, run: NewRun<'_>, pass: NewPass<'_>) -> Result<Option<BegunPass>> {
        let begun: Option<(i64, Option<String>)> = write_tx!(self, tx => { 'begin: {
            let taking: Option<(i64, i64)> = sqlx::query_as(
                "select run_id, worker_id from source_passes where source = $1 and state = 'taking'",
            )
            .bind(pass.source)
            .fetch_optional(&mut *tx)
            .await?;
            match taking {
                Some((run_id, worker)) if worker == pass.worker_id => {
                    break_off!(tx, run_id, DIED, run.now);
                }
                Some(_) => break 'begin None,
                None => {}
            }
            let run_id = enter_run!(tx, run, RunStatus::Queued);
            sqlx::query(
                "insert into source_passes (run_id, source, worker_id, asked, state)
                 values ($1, $2, $3, $4, 'taking')",
            )
            .bind(run_id)
            .bind(pass.source)
            .bind(pass.worker_id)
            .bind(pass.asked)
            .execute(&mut *tx)
            .await?;
            let position: Option<String> = sqlx::query_scalar(
                "select position from source_positions where source = $1 and asked = $2",
            )
            .bind(pass.source)
            .bind(pass.asked)
            .fetch_optional(&mut *tx)
            .await?;
            Some((run_id, position))
        }});
        let Some((run_id, position)) = begun else { return Ok(None) };
        let position = position.map(|text| parse(&text)).transpose()?;
        Ok(Some(BegunPass { run_id, position }))
    }

    /// Up to where the same was asked of a source and every row has its outcome.
    pub async fn source_position(&self, source: &str, asked: &str) -> Result<Option<Position>> {
        let position: Option<String> = read!(self, db => {
            sqlx::query_scalar("select position from source_positions where source = $1 and asked = $2")
                .bind(source)
                .bind(asked)
                .fetch_optional(db)
                .await?
        });
        position.map(|text| parse(&text)).transpose()
    }

    /// Notes what the reading came to; the parts follow.
    pub async fn read_pass(&self, run_id: i64, read: &PassRead<'_>) -> Result<()> {
        let found = write_tx!(self, tx => {
            sqlx::query(
                "update source_passes set parts = $2, shape = $3, position = $4
                  where run_id = $1 and state = 'taking' and parts is null",
            )
            .bind(run_id)
            .bind(i64::from(read.parts))
            .bind(read.shape)
            .bind(read.position.map(written))
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        ensure_rows(found, 1, || format!("the pass of run `{run_id}`"))
    }

    /// Ends a pass that broke off where it is. Whether it was still being taken in.
    pub async fn break_pass(&self, run_id: i64, why: &str, now: Time) -> Result<bool> {
        Ok(write_tx!(self, tx => { break_off!(tx, run_id, why, now) }) > 0)
    }

    /// Ends the passes of processes that are gone where they are; how many there were.
    pub async fn break_orphaned_passes(&self, now: Time) -> Result<usize> {
        let runs: Vec<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select run_id from source_passes
                  where state = 'taking' and worker_id not in (select id from workers)",
            )
            .fetch_all(db)
            .await?
        });
        for run in &runs {
            self.break_pass(*run, DIED, now).await?;
        }
        Ok(runs.len())
    }

    /// The pass that this run is, if it is one.
    pub async fn pass_of_run(&self, run_id: i64) -> Result<Option<SourcePass>> {
        type PassRow = (String, Option<String>, Option<i64>, i64, String, Option<String>);
        let row: Option<PassRow> = read!(self, db => {
            sqlx::query_as(
                "select source, shape, parts, parts_done, state, reason from source_passes where run_id = $1",
            )
            .bind(run_id)
            .fetch_optional(db)
            .await?
        });
        let Some((source, shape, parts, parts_done, state, reason)) = row else { return Ok(None) };
        let part = |value: i64| {
            u32::try_from(value).map_err(|_| StoreError::corrupt("source_passes", "parts", &value))
        };
        let state = match (state.as_str(), reason) {
            ("taking", _) => PassState::Taking,
            ("taken", _) => PassState::Taken,
            ("broken", reason) => PassState::Broken(reason.unwrap_or_default()),
            (other, _) => return Err(StoreError::corrupt("source_passes", "state", other)),
        };
        let (parts, parts_done) = (part(parts.unwrap_or(0))?, part(parts_done)?);
        Ok(Some(SourcePass { source, shape, parts, parts_done, state }))
    }

    /// The runs of a source that have not ended, oldest first.
    pub async fn open_passes(&self, source: &str) -> Result<Vec<i64>> {
        let runs = read!(self, db => {
            sqlx::query_scalar(
                "select p.run_id from source_passes p join runs r on r.id = p.run_id
                  where p.source = $1 and p.state <> 'taking' and r.finished_at is null order by p.run_id",
            )
            .bind(source)
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Whether a fire has had a pass over this source to its end.
    pub async fn fire_has_pass(&self, fire: i64, source: &str) -> Result<bool> {
        let passes: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select count(*) from source_passes p join runs r on r.id = p.run_id
                  where r.fire_id = $1 and p.source = $2 and p.state = 'taken'",
            )
            .bind(fire)
            .bind(source)
            .fetch_one(db)
            .await?
        });
        Ok(passes > 0)
    }

    /// Runs of a fire whose passes broke off: the newest `limit` of them, newest first.
    pub async fn broken_runs(&self, fire: i64, limit: u32) -> Result<Vec<i64>> {
        let runs = read!(self, db => {
            sqlx::query_scalar(
                "select id from runs
                  where fire_id = $1 and status = 'failed' and exists
                        (select 1 from source_passes p
                          where p.run_id = runs.id and p.state = 'broken')
                  order by id desc limit $2",
            )
            .bind(fire)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Batches with numbers above `after` that a source's open runs of this account will send, oldest first.
    pub async fn awaited_batches(&self, account: &str, source: &str, after: i64) -> Result<Vec<i64>> {
        let batches = read!(self, db => {
            sqlx::query_scalar(
                "select b.id from source_passes p join runs r on r.id = p.run_id
                   join batches b on b.run_id = p.run_id and b.state in ('pending', 'in_flight')
                  where p.source = $2 and r.account = $1 and r.finished_at is null and b.id > $3 order by b.id",
            )
            .bind(account)
            .bind(source)
            .bind(after)
            .fetch_all(db)
            .await?
        });
        Ok(batches)
    }

    /// The members of a batch that are still to be sent.
    pub async fn awaited_rows(&self, batch: i64) -> Result<Vec<AwaitedRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(
                "select key_hash, lower(coalesce(address, email)), tag_set_id from member_queue
                  where batch_id = $1 and state = 'pending'",
            )
            .bind(batch)
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }
}

/// Numbers stay numbers: their order is another than that of texts.
fn written(position: &Position) -> String {
    let value = |value: &CursorValue| match value {
        CursorValue::Integer(number) => json!(number),
        // As text, because a reader of JSON may round.
        CursorValue::Real(number) => json!({ "real": number.to_string() }),
        CursorValue::Text(text) => json!(text),
    };
    json!([value(&position.value), value(&position.key)]).to_string()
}

fn parse(text: &str) -> Result<Position> {
    let value = |value: &Value| match value {
        Value::String(text) => Some(CursorValue::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(CursorValue::Integer),
        Value::Object(real) => real.get("real")?.as_str()?.parse().ok().map(CursorValue::Real),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    };
    let read = serde_json::from_str(text).ok().and_then(|list: Vec<Value>| match list.as_slice() {
        [at, key] => Some(Position { value: value(at)?, key: value(key)? }),
        _ => None,
    });
    // The text itself may hold an address.
    read.ok_or_else(|| StoreError::corrupt("source_positions", "position", "…"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = CursorValue> {
        prop_oneof![
            any::<i64>().prop_map(CursorValue::Integer),
            prop::num::f64::NORMAL.prop_map(CursorValue::Real),
            any::<String>().prop_map(CursorValue::Text),
        ]
    }

    proptest! {
        #[test]
        fn positions_come_back_as_they_were(value in any_value(), key in any_value()) {
            let position = Position { value, key };
            prop_assert_eq!(parse(&written(&position)).expect("read"), position);
        }
    }
}
