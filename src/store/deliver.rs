//! Delivered batches: all that were answered alike are settled together, in a few statements.
//!
//! Nearly every batch ends here, so what a turn costs is decided here. Macros, because one text of
//! SQL serves connections of different types; the guard comes first, as in the other steps.

use super::claims::list;
use super::{ClaimedBatch, Settlement};
use crate::domain::outcome::Outcome;
use crate::domain::proof::ProofDue;

/// Batches of one account that Luma accepted with the same answer at the same attempt.
pub(super) struct Delivered<'a> {
    /// One of them: what it says of account, attempts and answer holds for all.
    pub(super) first: &'a Settlement,
    pub(super) batches: Vec<&'a ClaimedBatch>,
}

impl<'a> Delivered<'a> {
    /// The delivered among these settlements, those alike together; but for calls, whose rows may need more.
    pub(super) fn among(settlements: &'a [Settlement]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let is_whole = |settlement: &&Settlement| {
            settlement.outcome == Outcome::Delivered && settlement.batch.call_id.is_none()
        };
        for settlement in settlements.iter().filter(is_whole) {
            match groups.iter_mut().find(|group| group.is_like(settlement)) {
                Some(group) => group.batches.push(&settlement.batch),
                None => groups.push(Self { first: settlement, batches: vec![&settlement.batch] }),
            }
        }
        groups
    }

    fn is_like(&self, other: &Settlement) -> bool {
        let first = self.first;
        (&first.batch.account, first.batch.attempts) == (&other.batch.account, other.batch.attempts)
            && proof_of(&first.batch) == proof_of(&other.batch)
            && (first.status, first.verdict, &first.detail) == (other.status, other.verdict, &other.detail)
    }

    /// What is still to be found out about their people.
    pub(super) fn proof(&self) -> Option<&'static str> {
        proof_of(&self.first.batch).map(ProofDue::as_str)
    }

    pub(super) fn ids(&self) -> String {
        list(self.batches.iter().map(|batch| batch.id))
    }

    pub(super) fn claims(&self) -> String {
        list(self.batches.iter().map(|batch| batch.claim_id))
    }
}

fn proof_of(batch: &ClaimedBatch) -> Option<ProofDue> {
    batch.verify.due(!batch.tags.is_empty())
}

/// Every row of these batches is delivered, and the ledger says so. How many people it did not know.
macro_rules! deliver {
    ($tx:ident, $group:expr, $now:expr) => {{
        let (first, batches) = ($group.first, &$group.batches);
        let (ids, claims) = ($group.ids(), $group.claims());
        // A claim's number is given once, so a batch that bears one of these is still its holder's.
        let held = sqlx::query(
            "update batches
                set state = 'delivered', settled_at = $3, attempts = attempts + 1, claim_id = null, worker_id = null,
                    proof = $4, unproved = null
              where id in (select cast(value as bigint) from json_each($1)) and claim_id in (select cast(value as bigint) from json_each($2))
                and state = 'in_flight'",
        )
        .bind(&ids)
        .bind(&claims)
        .bind($now)
        .bind($group.proof())
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        $crate::store::error::ensure_rows(held, batches.len() as u64, || format!("batches `{ids}`"))?;
        sqlx::query(
            "update attempts set finished_at = $2, status = $3, verdict = $4, detail = $5
              where id in (select cast(value as bigint) from json_each($1)) and verdict is null",
        )
        .bind(&claims)
        .bind($now)
        .bind(first.status.map(i64::from))
        .bind(first.verdict)
        .bind(first.detail.as_deref().map($crate::store::dialect::storable))
        .execute(&mut *$tx)
        .await?;
        let rows = sqlx::query(
            "update member_queue set state = 'delivered', attempts = $2, settled_at = $3
              where batch_id in (select cast(value as bigint) from json_each($1)) and state = 'pending'",
        )
        .bind(&ids)
        .bind(i64::from(first.batch.attempts) + 1)
        .bind($now)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        let entered = sqlx::query(DIALECT.pick(
            $crate::store::deliver::enter_ledger!(""),
            $crate::store::deliver::enter_ledger!("order by 2, 3"),
        ))
        .bind(&ids)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        if entered < rows {
            for batch in batches {
                $crate::store::deliver::unite!($tx, batch);
            }
        }
        entered.cast_signed()
    }};
}

/// Enters everybody of delivered batches who is not in the ledger. Where several write to it at once they
/// do so in the order of its key, and never wait for each other in a circle.
macro_rules! enter_ledger {
    ($order:literal) => {
        concat!(
            "insert into ledger (account, key_hash, email_key, tag_set_id, run_id)
             select account, key_hash, lower(coalesce(address, email)), tag_set_id, run_id
               from member_queue
              where batch_id in (select cast(value as bigint) from json_each($1)) and state = 'delivered' ",
            $order,
            " on conflict do nothing"
        )
    };
}

/// People the ledger knew with other tags: they have both now.
macro_rules! unite {
    ($tx:ident, $batch:expr) => {{
        // Two that add tags to the same person would each write what the other has not seen.
        $crate::store::dialect::lock_rows!(
            $tx,
            "select 1 from ledger l
               join member_queue q on l.account = q.account and l.key_hash = q.key_hash
                                  and l.email_key = lower(coalesce(q.address, q.email))
              where q.batch_id = $1 order by l.account, l.key_hash, l.email_key for update of l",
            $batch.id
        );
        let known: Vec<(i64, String)> = sqlx::query_as(
            "select distinct l.tag_set_id, t.tags
               from member_queue q
               join ledger l on l.account = q.account and l.key_hash = q.key_hash
                            and l.email_key = lower(coalesce(q.address, q.email))
               join tag_sets t on t.id = l.tag_set_id
              where q.batch_id = $1 and l.tag_set_id <> $2",
        )
        .bind($batch.id)
        .bind($batch.tag_set_id)
        .fetch_all(&mut *$tx)
        .await?;
        for (old_id, old) in known {
            let old = $crate::store::ledger::parse_tag_set(&old)?;
            let union = old.union(&$batch.tags);
            if union == old {
                continue;
            }
            let union = union.to_string();
            sqlx::query("insert into tag_sets (tags) values ($1) on conflict (tags) do nothing")
                .bind(&union)
                .execute(&mut *$tx)
                .await?;
            sqlx::query(
                "update ledger
                    set tag_set_id = (select id from tag_sets where tags = $4), run_id = $5
                  where account = $1 and tag_set_id = $2 and (key_hash, email_key) in
                        (select key_hash, lower(coalesce(address, email)) from member_queue where batch_id = $3)",
            )
            .bind(&$batch.account)
            .bind(old_id)
            .bind($batch.id)
            .bind(&union)
            .bind($batch.run_id)
            .execute(&mut *$tx)
            .await?;
        }
    }};
}

pub(super) use {deliver, enter_ledger, unite};
