//! A look at the audience: who is sought, from where to where it goes, and its end.

use super::{Prover, due_batches, fence};
use crate::clock::Time;
use crate::domain::proof::{ProofDue, Way};
use crate::store::claims::list;
use crate::store::dialect::storable;
use crate::store::{Result, Store, StoreError, error::ensure_rows, read, write_tx};

/// How far the look of an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which look it is, from 1.
    pub number: u32,
    /// Not before this moment.
    pub begins_at: Time,
    /// How people are looked for, once that is decided.
    pub way: Option<Way>,
    /// Where it goes on.
    pub cursor: Option<String>,
    /// Pages read so far.
    pub pages: u64,
}

type LookRow = (i64, Time, Option<String>, Option<String>, i64);

impl Store {
    /// The look that goes on, if one does.
    pub async fn current_look(&self, account: &str) -> Result<Option<Look>> {
        let row: Option<LookRow> = read!(self, db => {
            sqlx::query_as(
                "select look, begins_at, way, cursor, pages from proofs where account = $1 and look is not null",
            )
            .bind(account)
            .fetch_optional(db)
            .await?
        });
        let Some((number, begins_at, way, cursor, pages)) = row else { return Ok(None) };
        let parse = |way: String| Way::parse(&way).ok_or_else(|| StoreError::corrupt("proofs", "way", &way));
        let (number, pages) = (u32::try_from(number).unwrap_or(u32::MAX), pages.unsigned_abs());
        Ok(Some(Look { number, begins_at, way: way.map(parse).transpose()?, cursor, pages }))
    }

    /// How many rows are sought.
    pub async fn sought_rows(&self, account: &str) -> Result<u64> {
        let rows: i64 = read!(self, db => {
            sqlx::query_scalar("select count(*) from sought where account = $1").bind(account).fetch_one(db).await?
        });
        Ok(rows.unsigned_abs())
    }

    /// Whether anybody is sought.
    pub async fn is_anybody_sought(&self, account: &str) -> Result<bool> {
        let is_anybody = read!(self, db => {
            sqlx::query_scalar("select exists (select 1 from sought where account = $1)")
                .bind(account)
                .fetch_one(db)
                .await?
        });
        Ok(is_anybody)
    }

    /// Seeks the people of at most `limit` batches, while no look goes on; how many batches there were.
    pub async fn seek(&self, prover: &Prover, limit: u32) -> Result<u64> {
        let batches = write_tx!(self, tx => {
            fence!(tx, prover);
            let batches: Vec<i64> = sqlx::query_scalar(due_batches!(
                "b.id",
                "and b.proof = 'look'
                 and not exists (select 1 from proofs l where l.account = $1 and l.look is not null) limit $2"
            ))
            .bind(&prover.account)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
            let ids = list(batches.iter().copied());
            sqlx::query(
                "update batches set proof = 'sought'
                  where id in (select cast(value as bigint) from json_each($1)) and proof = 'look'",
            )
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "insert into sought (row_id, account, key_hash, batch_id, tag_set_id)
                 select id, account, key_hash, batch_id, tag_set_id from member_queue
                  where batch_id in (select cast(value as bigint) from json_each($1)) and state = 'delivered'
                  order by id
                 on conflict (row_id) do update
                    set batch_id = excluded.batch_id, tag_set_id = excluded.tag_set_id, lacking = null",
            )
            .bind(&ids)
            .execute(&mut *tx)
            .await?;
            batches.len() as u64
        });
        Ok(batches)
    }

    /// Begins a look at whoever is sought.
    pub async fn begin_look(&self, prover: &Prover, number: u32, begins_at: Time) -> Result<()> {
        write_tx!(self, tx => {
            fence!(tx, prover);
            sqlx::query(
                "update proofs
                    set look = $2, begins_at = $3, cursor = null, pages = 0, way = null,
                        last_pages = case when way = 'listing' and pages > 0 then pages else last_pages end
                  where account = $1",
            )
            .bind(&prover.account)
            .bind(i64::from(number))
            .bind(begins_at)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Decides how the look goes about it.
    pub async fn choose_way(&self, prover: &Prover, way: Way) -> Result<()> {
        let chosen = write_tx!(self, tx => {
            fence!(tx, prover);
            sqlx::query("update proofs set way = $2 where account = $1 and look is not null and way is null")
                .bind(&prover.account)
                .bind(way.as_str())
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        ensure_rows(chosen, 1, || format!("the look of account `{}`", prover.account))
    }

    /// Ends the looks where nobody is sought any more. Whether that is so.
    pub async fn end_looks(&self, prover: &Prover) -> Result<bool> {
        // Asked between any two pages, and nearly always in vain.
        if self.is_anybody_sought(&prover.account).await? {
            return Ok(false);
        }
        let has_ended = write_tx!(self, tx => { 'end: {
            fence!(tx, prover);
            let is_anybody: bool =
                sqlx::query_scalar("select exists (select 1 from sought where account = $1)")
                    .bind(&prover.account)
                    .fetch_one(&mut *tx)
                    .await?;
            if is_anybody {
                break 'end false;
            }
            sqlx::query("update batches set proof = null where account = $1 and proof = 'sought'")
                .bind(&prover.account)
                .execute(&mut *tx)
                .await?;
            // A list that was left before its end has more pages than were read.
            sqlx::query(
                "update proofs
                    set look = null, begins_at = null, cursor = null, pages = 0, way = null,
                        last_pages = case when way = 'listing' and pages > coalesce(last_pages, 0)
                                          then pages else last_pages end
                  where account = $1",
            )
            .bind(&prover.account)
            .execute(&mut *tx)
            .await?;
            true
        }});
        Ok(has_ended)
    }

    /// Gives up what is still to be found out: rows stay delivered, and their batches say why.
    pub async fn give_up_proof(&self, prover: &Prover, due: ProofDue, why: &str) -> Result<u64> {
        let batches = write_tx!(self, tx => {
            fence!(tx, prover);
            let batches = sqlx::query(
                "update batches set proof = null, unproved = $3 where account = $1 and proof = $2",
            )
            .bind(&prover.account)
            .bind(due.as_str())
            .bind(storable(why))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if due == ProofDue::Sought {
                sqlx::query("delete from sought where account = $1")
                    .bind(&prover.account)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(
                    "update proofs set look = null, begins_at = null, cursor = null, pages = 0, way = null
                      where account = $1",
                )
                .bind(&prover.account)
                .execute(&mut *tx)
                .await?;
            }
            batches
        });
        Ok(batches)
    }
}
