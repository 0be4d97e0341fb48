//! Counting: the people of one request, and what their number proves.

use super::{Prover, due_batches, fence};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::tag::TagSet;
use crate::store::dialect::storable;
use crate::store::ledger::parse_tag_set;
use crate::store::{Result, Store, error::ensure_rows, int, read, write_tx};

/// The people of a delivered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeopleToCount {
    /// The batch.
    pub batch_id: i64,
    /// Its run.
    pub run_id: i64,
    /// The tags that they were delivered with.
    pub tags: TagSet,
    /// Their addresses as they were sent.
    pub emails: Vec<String>,
}

/// What a count came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountOutcome {
    /// All of them are there.
    Verified,
    /// So many of them are not there.
    Short {
        /// How many.
        absent: u64,
        /// The same in words.
        reason: String,
    },
    /// Nothing was found out, and why.
    Unproved(String),
}

impl Store {
    /// The people of a batch that is to be counted.
    pub async fn next_count(&self, account: &str) -> Result<Option<PeopleToCount>> {
        let batch: Option<(i64, i64, String)> = read!(self, db => {
            sqlx::query_as(due_batches!(
                "b.id, b.run_id, (select tags from tag_sets where id = b.tag_set_id)",
                "and b.proof = 'count' limit 1"
            ))
            .bind(account)
            .fetch_optional(db)
            .await?
        });
        let Some((batch_id, run_id, tags)) = batch else { return Ok(None) };
        // As one text: a row each would cross threads five hundred times.
        let packed: Option<String> = read!(self, db => {
            sqlx::query_scalar(
                "select string_agg(coalesce(address, email), $2) from member_queue
                  where batch_id = $1 and state = 'delivered'",
            )
            .bind(batch_id)
            .bind("\n")
            .fetch_one(db)
            .await?
        });
        let emails = packed.unwrap_or_default().lines().map(str::to_owned).collect();
        Ok(Some(PeopleToCount { batch_id, run_id, tags: parse_tag_set(&tags)?, emails }))
    }

    /// Writes what the count of a batch came to.
    pub async fn settle_count(
        &self,
        prover: &Prover,
        batch_id: i64,
        outcome: &CountOutcome,
        now: Time,
    ) -> Result<u64> {
        let (absent, why) = match outcome {
            CountOutcome::Verified => (None, None),
            CountOutcome::Short { absent, .. } => (Some(int(*absent)), None),
            CountOutcome::Unproved(why) => (None, Some(storable(why))),
        };
        let rows = write_tx!(self, tx => {
            fence!(tx, prover);
            let counted = sqlx::query(
                "update batches set proof = null, absent_rows = $2, unproved = $3
                  where id = $1 and proof = 'count' and state = 'delivered'",
            )
            .bind(batch_id)
            .bind(absent)
            .bind(why)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(counted, 1, || format!("batch `{batch_id}`"))?;
            match outcome {
                CountOutcome::Verified => {
                    let rows = sqlx::query(
                        "update member_queue set state = 'verified', settled_at = $2
                          where batch_id = $1 and state = 'delivered'",
                    )
                    .bind(batch_id)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected();
                    sqlx::query("update batches set verified_rows = $2 where id = $1")
                        .bind(batch_id)
                        .bind(int(rows))
                        .execute(&mut *tx)
                        .await?;
                    rows
                }
                CountOutcome::Short { reason, .. } => {
                    sqlx::query(
                        "update member_queue set code = $2, reason = $3
                          where batch_id = $1 and state = 'delivered'",
                    )
                    .bind(batch_id)
                    .bind(Code::CountShort.as_str())
                    .bind(reason)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected()
                }
                CountOutcome::Unproved(_) => 0,
            }
        });
        Ok(rows)
    }
}
