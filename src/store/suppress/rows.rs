//! Rows of people on the list: taken out at the claim, or swept out where they wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{listed, mark};
use crate::clock::Time;
use crate::domain::suppression::SuppressionList;
use crate::store::lossy::Lossy;
use crate::store::{Recipient, Result, Store, int, read, write_tx};

/// Rows of suppressed people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuppressedRows {
    /// That waited, and will not be sent.
    pub ended: u64,
    /// In a request now: they end as it does, and are not sent again.
    pub in_flight: u64,
}

/// Batches that a sweep looks at in one transaction.
const BATCHES: i64 = 50;

/// Ends those of these pending rows whose people are on the list; the rows that are left.
macro_rules! leave_out {
    ($tx:ident, $list:expr, $account:expr, $rows:expr, $now:expr) => {{
        let (rows, out) = $crate::store::suppress::divide($list, $account, $rows);
        for (reason, ids) in out {
            let ids = $crate::store::claims::list(ids);
            // What they were in stays known: a batch that comes back may have been asked for.
            sqlx::query(
                "insert into row_passes (row_id, batch_id)
                 select q.id, q.batch_id from member_queue q
                  where q.id in (select cast(value as bigint) from json_each($1)) and q.state = 'pending'
                    and (exists (select 1 from attempts a where a.batch_id = q.batch_id)
                         or exists (select 1 from batches b where b.id = q.batch_id and b.parent_id is not null))
                 on conflict do nothing",
            )
            .bind(&ids)
            .execute(&mut *$tx)
            .await?;
            sqlx::query(
                "update member_queue
                    set state = 'suppressed', code = $2, reason = $3, batch_id = null, settled_at = $4
                  where id in (select cast(value as bigint) from json_each($1)) and state = 'pending'",
            )
            .bind(&ids)
            .bind($crate::domain::code::Code::Suppressed.as_str())
            .bind($crate::store::dialect::storable(&reason))
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        }
        rows
    }};
}

pub(in crate::store) use leave_out;

/// Those who may be sent, and the others by the reason.
pub(in crate::store) fn divide(
    list: &SuppressionList,
    account: &str,
    rows: Vec<Recipient>,
) -> (Vec<Recipient>, BTreeMap<Arc<str>, Vec<i64>>) {
    let mut out: BTreeMap<Arc<str>, Vec<i64>> = BTreeMap::new();
    if list.is_empty() {
        return (rows, out);
    }
    let left = rows.into_iter().filter(|row| match list.reason(account, &row.email) {
        Some(reason) => {
            out.entry(Arc::clone(reason)).or_default().push(row.row_id);
            false
        }
        None => true,
    });
    (left.collect(), out)
}

/// A batch that may hold rows of suppressed people.
#[derive(sqlx::FromRow)]
struct SweptBatch {
    id: i64,
    account: String,
}

#[derive(sqlx::FromRow)]
struct SweptRow {
    batch_id: i64,
    id: i64,
    #[sqlx(try_from = "Lossy")]
    email: String,
}

/// Batches that wait, after one of them, in runs that are wholly taken in; then what a database adds.
macro_rules! pending_batches {
    ($more:literal) => {
        concat!(
            "select b.id, b.account from batches b join runs r on r.id = b.run_id
              where b.state = 'pending' and r.status <> 'queued' and b.id > $1 order by b.id limit $2",
            $more
        )
    };
}

/// The members of these batches that wait or are in a request, by batch.
macro_rules! members {
    ($db:expr, $batches:expr) => {{
        let rows: Vec<SweptRow> = sqlx::query_as(
            "select batch_id, id, coalesce(address, email) as email from member_queue
              where batch_id in (select cast(value as bigint) from json_each($1)) and state = 'pending'",
        )
        .bind(crate::store::claims::list($batches.iter().map(|batch| batch.id)))
        .fetch_all($db)
        .await?;
        let mut members: BTreeMap<i64, Vec<Recipient>> = BTreeMap::new();
        for SweptRow { batch_id, id, email } in rows {
            members.entry(batch_id).or_default().push(Recipient { row_id: id, email, name: None });
        }
        members
    }};
}

/// A batch has fewer rows; one that has and awaits none is canceled.
macro_rules! lose_rows {
    ($tx:ident, $batch_id:expr, $rows:expr, $now:expr) => {
        sqlx::query(
            "update batches
                set row_count = case when row_count > $2 then row_count - $2 else 1 end,
                    state = case when row_count > $2 then state else 'canceled' end,
                    settled_at = case when row_count > $2 then settled_at else $3 end
              where id = $1",
        )
        .bind($batch_id)
        .bind(int($rows))
        .bind($now)
        .execute(&mut *$tx)
        .await?
    };
}

impl Store {
    /// Ends rows that wait and whose people are on the list, in small steps. Runs that are being taken in are
    /// left to their claims: whoever takes them in counts on what it has written.
    pub async fn end_suppressed(&self, now: Time) -> Result<SuppressedRows> {
        let mut found = SuppressedRows::default();
        let mut after = Some(0);
        while let Some(from) = after {
            let (ended, last) = write_tx!(self, tx => {
                let list = listed!(&mut *tx, self.known, mark!(&mut *tx));
                let batches: Vec<SweptBatch> = if list.is_empty() { Vec::new() } else {
                    sqlx::query_as(DIALECT.pick(pending_batches!(""), pending_batches!(" for update of b skip locked")))
                        .bind(from)
                        .bind(BATCHES)
                        .fetch_all(&mut *tx)
                        .await?
                };
                let mut members = members!(&mut *tx, batches);
                let mut ended = 0;
                for batch in &batches {
                    let rows = members.remove(&batch.id).unwrap_or_default();
                    let before = rows.len();
                    let left = leave_out!(tx, &list, &batch.account, rows, now);
                    let out = before - left.len();
                    if out > 0 {
                        lose_rows!(tx, batch.id, out, now);
                    }
                    ended += out;
                }
                (ended as u64, batches.last().map(|batch| batch.id))
            });
            found.ended += ended;
            after = last;
        }
        found.in_flight = self.suppressed_in_flight().await?;
        Ok(found)
    }

    /// Rows in a request whose people were put on the list since it was claimed.
    async fn suppressed_in_flight(&self) -> Result<u64> {
        let rows = read!(self, db => {
            let list = listed!(db, self.known, mark!(db));
            let batches: Vec<SweptBatch> =
                sqlx::query_as("select id, account from batches where state = 'in_flight'")
                    .fetch_all(db)
                    .await?;
            let mut members = members!(db, batches);
            let is_out = |batch: &SweptBatch, row: &Recipient| list.reason(&batch.account, &row.email).is_some();
            let out = |batch: &SweptBatch| {
                let rows = members.remove(&batch.id).unwrap_or_default();
                rows.iter().filter(|row| is_out(batch, row)).count() as u64
            };
            batches.iter().map(out).sum()
        });
        Ok(rows)
    }
}
