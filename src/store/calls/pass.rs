//! Rows on their way: what becomes of the rows of a call that Luma has accepted.

use std::collections::{BTreeMap, HashMap};

use crate::store::ledger::parse_tag_set;
use crate::store::{Result, StoreError};

/// A row as it is put into a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct MovedRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) batch: i64,
    pub(in crate::store) calls_left: Option<String>,
}

/// A row of a call that was delivered: the calls left to it, what it wants, what its person has.
pub(in crate::store) type PassedRow = (i64, Option<String>, String, Option<String>);

/// What becomes of the rows of a call that was delivered.
#[derive(Debug, Default)]
pub(in crate::store) struct Passed {
    /// Those that have all they want.
    pub(in crate::store) done: Vec<i64>,
    /// Those that go on, by their next call.
    pub(in crate::store) next: BTreeMap<i64, Vec<MovedRow>>,
}

impl Passed {
    /// Divides rows; those that are in neither part have come to the end of their calls and lack something.
    pub(in crate::store) fn of(rows: Vec<PassedRow>) -> Result<Self> {
        let mut passed = Self::default();
        let mut sets = HashMap::new();
        for (id, left, wanted, has) in rows {
            if let Some((next, calls_left)) = left.as_deref().map(next_call).transpose()? {
                passed.next.entry(next).or_default().push(MovedRow { id, batch: next, calls_left });
                continue;
            }
            for set in [Some(&wanted), has.as_ref()].into_iter().flatten() {
                if !sets.contains_key(set) {
                    sets.insert(set.clone(), parse_tag_set(set)?);
                }
            }
            let has = has.as_ref().and_then(|has| sets.get(has));
            if has.zip(sets.get(&wanted)).is_some_and(|(has, wanted)| wanted.is_subset(has)) {
                passed.done.push(id);
            }
        }
        Ok(passed)
    }
}

fn next_call(left: &str) -> Result<(i64, Option<String>)> {
    let (next, rest) = left.split_once(' ').map_or((left, None), |(next, rest)| (next, Some(rest)));
    let number = next.parse().map_err(|_| StoreError::corrupt("member_queue", "calls_left", &left))?;
    Ok((number, rest.map(str::to_owned)))
}

/// A call was accepted: its tags are in the ledger, rows whose last it was are delivered, the others move on.
/// How many people the ledger did not know.
macro_rules! deliver_call {
    ($tx:ident, $batch:expr, $now:expr) => {{
        let batch: &$crate::store::ClaimedBatch = $batch;
        let entered =
            sqlx::query(DIALECT.pick(
                $crate::store::calls::enter_call!(""),
                $crate::store::calls::enter_call!("order by 2, 3"),
            ))
            .bind(batch.id)
            .bind(batch.tag_set_id)
            .execute(&mut *$tx)
            .await?
            .rows_affected();
        $crate::store::deliver::unite!($tx, batch);
        let rows: Vec<$crate::store::calls::PassedRow> = sqlx::query_as(
            "select q.id, q.calls_left, w.tags, h.tags from member_queue q
               join tag_sets w on w.id = q.tag_set_id
               left join ledger l on l.account = q.account and l.key_hash = q.key_hash
                                 and l.email_key = lower(coalesce(q.address, q.email))
               left join tag_sets h on h.id = l.tag_set_id
              where q.batch_id = $1 and q.state = 'pending' order by q.id",
        )
        .bind(batch.id)
        .fetch_all(&mut *$tx)
        .await?;
        let passed = $crate::store::calls::Passed::of(rows)?;
        sqlx::query(
            "update member_queue set state = 'delivered', attempts = $2, settled_at = $3
              where id in (select cast(value as bigint) from json_each($1)) and state = 'pending'",
        )
        .bind($crate::store::claims::list(passed.done.iter().copied()))
        .bind(i64::from(batch.attempts) + 1)
        .bind($now)
        .execute(&mut *$tx)
        .await?;
        for (call, rows) in &passed.next {
            sqlx::query(
                "insert into row_passes (row_id, batch_id)
                 select cast(value as bigint), $2 from json_each($1) where true on conflict do nothing",
            )
            .bind($crate::store::claims::list(rows.iter().map(|row| row.id)))
            .bind(batch.id)
            .execute(&mut *$tx)
            .await?;
            let is_waiting = sqlx::query(
                "update batches set away_rows = case when away_rows > $2 then away_rows - $2 else 0 end
                  where id = $1 and state = 'pending' and waits = 1",
            )
            .bind(call)
            .bind($crate::store::int(rows.len()))
            .execute(&mut *$tx)
            .await?
            .rows_affected();
            if is_waiting == 1 {
                $tx.move_rows(rows).await?;
            }
        }
        // Whose next call has left without them, or whose calls did not bring it all.
        $crate::store::calls::lay_alone!($tx, batch.id, "pending", $now);
        let done = passed.done.len();
        let proof = if done > 0 { batch.verify.due(!batch.tags.is_empty()) } else { None };
        sqlx::query(
            "update batches set row_count = case when $2 > 0 then $2 else 1 end,
                                away_rows = case when $2 > 0 then 0 else 1 end, proof = $3, unproved = null
              where id = $1",
        )
        .bind(batch.id)
        .bind($crate::store::int(done))
        .bind(proof.map($crate::domain::proof::ProofDue::as_str))
        .execute(&mut *$tx)
        .await?;
        entered.cast_signed()
    }};
}

/// Enters everybody of a call who is not in the ledger, with its tags.
macro_rules! enter_call {
    ($order:literal) => {
        concat!(
            "insert into ledger (account, key_hash, email_key, tag_set_id, run_id)
             select account, key_hash, lower(coalesce(address, email)), $2, run_id
               from member_queue where batch_id = $1 and state = 'pending' ",
            $order,
            " on conflict do nothing"
        )
    };
}

/// The rows of a batch in one state are pending again, in batches that carry all they want; how many they are.
macro_rules! lay_alone {
    ($tx:ident, $batch:expr, $state:expr, $now:expr) => {{
        let mut moved = 0;
        let sets: Vec<i64> = sqlx::query_scalar(
            "select distinct tag_set_id from member_queue where batch_id = $1 and state = $2 order by tag_set_id",
        )
        .bind($batch)
        .bind($state)
        .fetch_all(&mut *$tx)
        .await?;
        for set in sets {
            let own: i64 = sqlx::query_scalar(
                "insert into batches
                     (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, parent_id)
                 select b.account, b.run_id, q.tag_set_id, b.priority, count(*),
                        sum(octet_length(coalesce(q.address, q.email)) + 3), 'pending', $4, b.id
                   from batches b join member_queue q on q.batch_id = b.id
                  where b.id = $1 and q.state = $2 and q.tag_set_id = $3
                  group by b.account, b.run_id, q.tag_set_id, b.priority, b.id
                 returning id",
            )
            .bind($batch)
            .bind($state)
            .bind(set)
            .bind($now)
            .fetch_one(&mut *$tx)
            .await?;
            moved += sqlx::query(
                "update member_queue
                    set batch_id = $4, calls_left = null, state = 'pending', code = null, reason = null,
                        attempts = 0, settled_at = null
                  where batch_id = $1 and state = $2 and tag_set_id = $3",
            )
            .bind($batch)
            .bind($state)
            .bind(set)
            .bind(own)
            .execute(&mut *$tx)
            .await?
            .rows_affected();
        }
        moved
    }};
}

pub(in crate::store) use {deliver_call, enter_call, lay_alone};
