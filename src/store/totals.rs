//! Sums over all runs that only grow, for machines that watch.
//!
//! Counted from what batches and indexes say, without reading a row of the queue. What a sum has lost, because rows
//! that were refused are sent again, is kept beside it: it is the same from every process, and after each restart.

use std::collections::BTreeMap;

use super::reports::not_sent;
use super::{Result, Store, read, write_tx};
use crate::clock::Time;

/// What a sum is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sum {
    /// Rows from such a source that ever stood so.
    Rows(String, String),
    /// Runs of such a source that ever ended so.
    Runs(String, String),
    /// Runs that have ended and whose rows are not all accounted for.
    Breaches,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that only grow.
    pub sums: BTreeMap<Sum, u64>,
    /// Runs that have not ended, by source and status.
    pub open: BTreeMap<(String, String), u64>,
    /// When a run of each source last succeeded.
    pub successes: BTreeMap<String, Time>,
}

/// Rows by run and by where they stand, and what is summed up of them.
const COUNT: &str = concat!(
    "with counted (run_id, state, n) as materialized (
         select run_id, state, sum(row_count - away_rows - verified_rows) from batches
          where state in ('pending', 'in_flight', 'delivered') group by run_id, state
         union all
         select run_id, 'verified', sum(verified_rows) from batches where verified_rows > 0 group by run_id
         union all
         select run_id, state, count(*) from member_queue
          where code is not null and run_id is not null and state in ",
    not_sent!(),
    "     group by run_id, state
         union all
         -- Their batches count them among the delivered.
         select run_id, 'delivered', -count(*) from member_queue
          where code is not null and run_id is not null and state = 'missing' group by run_id
         union all
         select run_id, state, count(*) from member_queue
          where batch_id is null and run_id is not null and state in ('unchanged', 'duplicate', 'held')
          group by run_id, state
         union all
         select run_id, state, row_count from gone_rows
         union all
         select run_id, state, count(*) from event_queue where state <> 'new' group by run_id, state
         union all
         select id, 'duplicate', duplicate_rows from runs where duplicate_rows > 0
         union all
         select id, 'unchanged', unchanged_rows from runs where unchanged_rows > 0)
     select 'rows' as family, r.source as source, c.state as word, cast(sum(c.n) as bigint) as counted
       from counted c join runs r on r.id = c.run_id
      where c.state not in ('new', 'pending', 'in_flight', 'held') group by r.source, c.state
     union all
     select 'runs', source, status, count(*) from runs group by source, status
     union all
     select 'breaches', '', '', count(*) from (
         select r.id from runs r left join counted c on c.run_id = r.id
          where r.finished_at is not null
          group by r.id, r.read_rows having coalesce(sum(c.n), 0) <> r.read_rows) breached"
);

type Counted = (String, String, String, i64);

impl Store {
    /// The sums as they are now.
    pub async fn totals(&self, now: Time) -> Result<Totals> {
        let counted: Vec<Counted> = read!(self, db => { sqlx::query_as(COUNT).fetch_all(db).await? });
        let is_open = |(family, _, word, _): &Counted| {
            family == "runs" && ["queued", "running", "held"].contains(&word.as_str())
        };
        let (open, mut counted): (Vec<Counted>, Vec<Counted>) = counted.into_iter().partition(is_open);
        let known: Vec<Counted> = read!(self, db => {
            sqlx::query_as("select family, source, word, counted from totals").fetch_all(db).await?
        });
        // Where there is nothing left to count, that is counted too.
        for (family, source, word, _) in &known {
            let is_same = |one: &Counted| (&one.0, &one.1, &one.2) == (family, source, word);
            if !counted.iter().any(is_same) {
                counted.push((family.clone(), source.clone(), word.clone(), 0));
            }
        }
        let changed: Vec<&Counted> = counted.iter().filter(|one| !known.contains(one)).collect();
        if !changed.is_empty() {
            Box::pin(self.raise(&changed, now)).await?;
        }
        let (sums, successes): (Vec<Counted>, Vec<(String, Time)>) = read!(self, db => {
            let sums = sqlx::query_as("select family, source, word, counted + lost from totals").fetch_all(db).await?;
            let successes = sqlx::query_as(
                "select source, max(finished_at) from runs where status = 'succeeded' group by source",
            )
            .fetch_all(db)
            .await?;
            (sums, successes)
        });
        let sum = |(family, source, word, rows): Counted| {
            let of = match family.as_str() {
                "rows" => Sum::Rows(source, word),
                "runs" => Sum::Runs(source, word),
                _ => Sum::Breaches,
            };
            (of, rows.unsigned_abs())
        };
        Ok(Totals {
            sums: sums.into_iter().map(sum).collect(),
            open: open
                .into_iter()
                .map(|(_, source, word, runs)| ((source, word), runs.unsigned_abs()))
                .collect(),
            successes: successes.into_iter().collect(),
        })
    }

    /// Writes what was counted, unless somebody has counted since: what is less than before is lost, and kept.
    async fn raise(&self, changed: &[&Counted], now: Time) -> Result<()> {
        write_tx!(self, tx => {
            for (family, source, word, counted) in changed {
                sqlx::query(
                    "insert into totals (family, source, word, counted, counted_at) values ($1, $2, $3, $4, $5)
                     on conflict (family, source, word) do update
                        set lost = totals.lost + case when totals.counted > excluded.counted
                                                      then totals.counted - excluded.counted else 0 end,
                            counted = excluded.counted, counted_at = excluded.counted_at
                      where totals.counted_at <= excluded.counted_at",
                )
                .bind(family)
                .bind(source)
                .bind(word)
                .bind((*counted).max(0))
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
        });
        Ok(())
    }
}
