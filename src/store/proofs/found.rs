//! Who was found and who was not: rows, what is sought, the position and the ledger, in one transaction.

use std::collections::BTreeMap;

use super::{Prover, fence};
use crate::clock::Time;
use crate::domain::proof::missing;
use crate::domain::tag::TagSet;
use crate::store::claims::list;
use crate::store::ledger::parse_tag_set;
use crate::store::{Result, Store, error::ensure_rows, int, read, write_tx};

/// A row whose person is looked for.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SoughtRow {
    /// The row.
    pub row_id: i64,
    /// Its batch.
    pub batch_id: i64,
    /// Hash of the normalised address.
    pub key_hash: i64,
    /// The tags it was delivered with.
    pub tag_set_id: i64,
    /// The normalised address; none where somebody deleted the row.
    pub email_key: Option<String>,
}

/// What a sight of somebody says of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The row.
    pub row_id: i64,
    /// Its batch.
    pub batch_id: i64,
    /// The tags that were not there.
    pub lacking: TagSet,
}

/// What one step of a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFound<'a> {
    /// Where it was.
    pub from: Option<&'a str>,
    /// Where the look goes on.
    pub next: Option<&'a str>,
    /// Who was seen.
    pub found: &'a [Found],
}

/// What is read of a row that is sought.
macro_rules! sought_columns {
    () => {
        "s.row_id, s.batch_id, s.key_hash, s.tag_set_id, lower(coalesce(q.address, q.email)) as email_key "
    };
}

/// Of these rows everything is found out.
macro_rules! found_out {
    ($tx:ident, $prover:expr, $ids:expr) => {
        sqlx::query(
            "delete from sought
              where account = $1 and row_id in (select cast(value as bigint) from json_each($2))",
        )
        .bind(&$prover.account)
        .bind($ids)
        .execute(&mut *$tx)
        .await?
    };
}

impl Store {
    /// The rows that are sought by people with these hashes.
    pub async fn sought_among(&self, account: &str, hashes: &[i64]) -> Result<Vec<SoughtRow>> {
        let rows = read!(self, db => {
            sqlx::query_as(concat!(
                "select ", sought_columns!(),
                " from (select distinct cast(value as bigint) as key_hash from json_each($2)) wanted
                  cross join sought s left join member_queue q on q.id = s.row_id
                 where s.account = $1 and s.key_hash = wanted.key_hash"
            ))
            .bind(account)
            .bind(list(hashes.iter().copied()))
            .fetch_all(db)
            .await?
        });
        Ok(rows)
    }

    /// The first row that is sought after this one.
    pub async fn next_sought(&self, account: &str, after: i64) -> Result<Option<SoughtRow>> {
        let row = read!(self, db => {
            sqlx::query_as(concat!(
                "select ", sought_columns!(),
                " from sought s left join member_queue q on q.id = s.row_id
                 where s.account = $1 and s.row_id > $2 order by s.row_id limit 1"
            ))
            .bind(account)
            .bind(after)
            .fetch_optional(db)
            .await?
        });
        Ok(row)
    }

    /// Writes what a step of the look came to, and how far it is. Rows that were verified.
    pub async fn settle_page(&self, prover: &Prover, page: &PageFound<'_>, now: Time) -> Result<u64> {
        let (whole, lacking): (Vec<&Found>, Vec<&Found>) =
            page.found.iter().partition(|found| found.lacking.is_empty());
        let ids = list(whole.iter().map(|found| found.row_id));
        let mut per_batch: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for found in &whole {
            per_batch.entry(found.batch_id).or_default().push(found.row_id);
        }
        let verified = write_tx!(self, tx => {
            fence!(tx, prover);
            let moved = sqlx::query(
                "update proofs set cursor = $2, pages = pages + 1
                  where account = $1 and way is not null and coalesce(cursor, '') = $3",
            )
            .bind(&prover.account)
            .bind(page.next)
            .bind(page.from.unwrap_or_default())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(moved, 1, || format!("the look of account `{}`", prover.account))?;
            let mut verified = 0;
            for (batch, rows) in &per_batch {
                let found = sqlx::query(
                    "update member_queue set state = 'verified', settled_at = $3
                      where id in (select cast(value as bigint) from json_each($1))
                        and batch_id = $2 and state = 'delivered'",
                )
                .bind(list(rows.iter().copied()))
                .bind(batch)
                .bind(now)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                sqlx::query("update batches set verified_rows = verified_rows + $2 where id = $1")
                    .bind(batch)
                    .bind(int(found))
                    .execute(&mut *tx)
                    .await?;
                verified += found;
            }
            found_out!(tx, prover, &ids);
            for found in &lacking {
                sqlx::query("update sought set lacking = $3 where account = $1 and row_id = $2")
                    .bind(&prover.account)
                    .bind(found.row_id)
                    .bind(found.lacking.to_string())
                    .execute(&mut *tx)
                    .await?;
            }
            verified
        });
        Ok(verified)
    }

    /// Calls missing whoever is still sought, at most `limit` rows: the ledger knows nothing of them from now on.
    /// How many rows were sought.
    pub async fn call_missing(&self, prover: &Prover, limit: u32, now: Time) -> Result<u64> {
        let rows = write_tx!(self, tx => {
            fence!(tx, prover);
            let sought: Vec<(i64, Option<String>)> =
                sqlx::query_as("select row_id, lacking from sought where account = $1 order by row_id limit $2")
                    .bind(&prover.account)
                    .bind(i64::from(limit))
                    .fetch_all(&mut *tx)
                    .await?;
            let mut alike: BTreeMap<Option<&str>, Vec<i64>> = BTreeMap::new();
            for (row, lacking) in &sought {
                alike.entry(lacking.as_deref()).or_default().push(*row);
            }
            for (lacking, rows) in alike {
                let lacking = lacking.map(parse_tag_set).transpose()?;
                let (code, reason) = missing(lacking.as_ref());
                let rows = list(rows);
                sqlx::query(
                    "update member_queue set state = 'missing', code = $2, reason = $3, settled_at = $4
                      where id in (select cast(value as bigint) from json_each($1)) and state = 'delivered'",
                )
                .bind(&rows)
                .bind(code.as_str())
                .bind(reason)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
            let ids = list(sought.iter().map(|(row, _)| *row));
            let forgotten = sqlx::query(
                "delete from ledger
                  where account = $1 and (key_hash, email_key) in
                        (select key_hash, lower(coalesce(address, email)) from member_queue
                          where id in (select cast(value as bigint) from json_each($2)) and state = 'missing')",
            )
            .bind(&prover.account)
            .bind(&ids)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            found_out!(tx, prover, &ids);
            if forgotten > 0 {
                sqlx::query("update accounts set members = members - $2 where name = $1")
                    .bind(&prover.account)
                    .bind(int(forgotten))
                    .execute(&mut *tx)
                    .await?;
            }
            sought.len() as u64
        });
        Ok(rows)
    }
}
