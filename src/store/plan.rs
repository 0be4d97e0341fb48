//! What a plan is held against: who would get what of the rows that wait, and how much else waits.

use super::ledger::parse_tag_set;
use super::lossy::Lossy;
use super::{Result, Store, StoreError, read};
use crate::domain::tag::TagSet;

/// What one person would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowOfPlan {
    /// The address.
    pub email: String,
    /// The name, if the row has one.
    pub name: Option<String>,
    /// The tags that the row wants.
    pub wanted: TagSet,
    /// The tags that the ledger shows; `None` of somebody new.
    pub delivered: Option<TagSet>,
}

#[derive(sqlx::FromRow)]
struct StoredRow {
    #[sqlx(try_from = "Lossy")]
    email: String,
    #[sqlx(try_from = "Lossy")]
    name: Option<String>,
    wanted: String,
    delivered: Option<String>,
}

impl TryFrom<StoredRow> for RowOfPlan {
    type Error = StoreError;

    fn try_from(row: StoredRow) -> Result<Self> {
        let delivered = row.delivered.map(|tags| parse_tag_set(&tags)).transpose()?;
        Ok(Self { email: row.email, name: row.name, wanted: parse_tag_set(&row.wanted)?, delivered })
    }
}

impl Store {
    /// Rows of a batch that are to be sent, with the tags that the ledger shows of their people.
    pub async fn rows_of_plan(&self, batch: i64) -> Result<Vec<RowOfPlan>> {
        let rows: Vec<StoredRow> = read!(self, db => {
            sqlx::query_as(
                "select coalesce(q.address, q.email) as email, q.name, w.tags as wanted, d.tags as delivered
                   from member_queue q
                   join tag_sets w on w.id = q.tag_set_id
                   left join ledger l on l.account = q.account and l.key_hash = q.key_hash
                                     and l.email_key = lower(coalesce(q.address, q.email))
                   left join tag_sets d on d.id = l.tag_set_id
                  where q.batch_id = $1 and q.state = 'pending'",
            )
            .bind(batch)
            .fetch_all(db)
            .await?
        });
        rows.into_iter().map(RowOfPlan::try_from).collect()
    }

    /// The batches of a run that are to be sent.
    pub async fn pending_batches(&self, run_id: i64) -> Result<Vec<i64>> {
        let batches = read!(self, db => {
            sqlx::query_scalar("select id from batches where run_id = $1 and state = 'pending' order by id")
                .bind(run_id)
                .fetch_all(db)
                .await?
        });
        Ok(batches)
    }

    /// Rows that wait in the runs of an account that are let go or will be, and their requests.
    pub async fn left_to_send(&self, account: &str) -> Result<(u64, u64)> {
        let (rows, requests): (i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select cast(coalesce(sum(b.row_count - b.away_rows), 0) as bigint), count(*)
                   from batches b join runs r on r.id = b.run_id
                  where b.account = $1 and b.state = 'pending' and r.status in ('queued', 'running')",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        Ok((rows.unsigned_abs(), requests.unsigned_abs()))
    }
}
