//! The steps of a settle, each a few statements on the open transaction.
//!
//! Macros, because one text of SQL serves connections of different types. The first one is the
//! guard. A row that somebody deleted meanwhile is missed by the others, and holds nobody up.

/// How long a learnt size is believed: what refused it may have been mended since.
pub(super) const LEARNT_FOR: std::time::Duration = std::time::Duration::from_hours(24);

/// Ends a claim and completes its attempt. The first is the guard: all other steps rest on having
/// been the claim's holder. Where the request never left, there was no attempt.
macro_rules! end_claim {
    ($tx:ident, $settlement:expr, $now:expr) => {{
        let (batch, outcome) = (&$settlement.batch, &$settlement.outcome);
        let is_whole = |places: &Vec<usize>| places.len() == batch.recipients.len();
        let ended = match outcome {
            // Ended already, with the others that were answered alike.
            Outcome::Delivered if batch.call_id.is_none() => None,
            Outcome::Delivered => Some(("delivered", Some($now), None, true)),
            Outcome::Again { due_at, costs_attempt } => {
                Some(("pending", None, Some(*due_at), *costs_attempt))
            }
            Outcome::Failed { .. } => Some(("failed", Some($now), None, true)),
            Outcome::Rejected { places, .. } if is_whole(places) => {
                Some(("rejected", Some($now), None, true))
            }
            Outcome::Rejected { .. } | Outcome::Split => Some(("split", Some($now), None, false)),
        };
        if let Some((state, settled_at, due_at, costs)) = ended {
            let held = sqlx::query(
                "update batches
                    set state = $3, settled_at = $4, due_at = coalesce($5, due_at),
                        attempts = attempts + $6, claim_id = null, worker_id = null,
                        kind = case when $7 = 1 then 'import' else kind end
                  where id = $1 and claim_id = $2 and state = 'in_flight'",
            )
            .bind(batch.id)
            .bind(batch.claim_id)
            .bind(state)
            .bind(settled_at)
            .bind(due_at)
            .bind(i64::from(costs))
            .bind(i64::from($settlement.as_import))
            .execute(&mut *$tx)
            .await?
            .rows_affected();
            $crate::store::error::ensure_rows(held, 1, || format!("batch `{}`", batch.id))?;
            match $settlement.verdict {
                Some(verdict) => {
                    sqlx::query(
                        "update attempts set finished_at = $2, status = $3, verdict = $4, detail = $5
                          where id = $1 and verdict is null",
                    )
                    .bind(batch.claim_id)
                    .bind($now)
                    .bind($settlement.status.map(i64::from))
                    .bind(verdict)
                    .bind($settlement.detail.as_deref().map($crate::store::dialect::storable))
                    .execute(&mut *$tx)
                    .await?
                }
                None => {
                    sqlx::query("delete from attempts where id = $1")
                        .bind(batch.claim_id)
                        .execute(&mut *$tx)
                        .await?
                }
            };
        }
    }};
}

/// Counts passing faults in a row; an answer that is none ends the count, and a pause of ours with it.
macro_rules! count_faults {
    ($tx:ident, $account:expr, $is_fault:expr) => {
        if $is_fault {
            sqlx::query("update accounts set faults = faults + 1 where name = $1")
                .bind($account)
                .execute(&mut *$tx)
                .await?;
        } else {
            sqlx::query(
                "update accounts set faults = 0,
                        blocked_until = case when block_cause = 'faults' then null else blocked_until end,
                        block_reason = case when block_cause = 'faults' then null else block_reason end,
                        block_cause = case when block_cause = 'faults' then null else block_cause end
                  where name = $1 and (faults > 0 or block_cause = 'faults')",
            )
            .bind($account)
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// Every row of the batch has failed.
macro_rules! fail {
    ($tx:ident, $batch:expr, $code:expr, $reason:expr, $now:expr) => {{
        sqlx::query(
            "update member_queue
                set state = 'failed', code = $2, reason = $3, attempts = $4, settled_at = $5
              where batch_id = $1 and state = 'pending'",
        )
        .bind($batch.id)
        .bind($code.as_str())
        .bind($crate::store::dialect::storable($reason))
        .bind(i64::from($batch.attempts) + 1)
        .bind($now)
        .execute(&mut *$tx)
        .await?;
    }};
}

/// Luma refused the rows at these places.
macro_rules! reject {
    ($tx:ident, $batch:expr, $places:expr, $reason:expr, $now:expr) => {
        for place in $places {
            sqlx::query(
                "update member_queue
                    set state = 'rejected', code = $3, reason = $4, attempts = $5, settled_at = $6
                  where id = $1 and batch_id = $2 and state = 'pending'",
            )
            .bind($batch.recipients.get(*place).map(|row| row.row_id))
            .bind($batch.id)
            .bind(Code::ApiRejected.as_str())
            .bind($crate::store::dialect::storable($reason))
            .bind(i64::from($batch.attempts) + 1)
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// The largest other batch of the same tags goes next.
macro_rules! probe {
    ($tx:ident, $batch:expr) => {
        sqlx::query(
            "update batches set priority = 0 where id =
                 (select id from batches
                   where run_id = $1 and tag_set_id = $2 and state = 'pending' and waits = 0
                   order by row_count desc, id limit 1)
                and state = 'pending'",
        )
        .bind($batch.run_id)
        .bind($batch.tag_set_id)
        .execute(&mut *$tx)
        .await?
    };
}

/// A new batch takes over the rows between the first and the last of these places that still wait.
macro_rules! regroup {
    ($tx:ident, $batch:expr, $places:expr, $now:expr) => {{
        let rows = || $places.iter().map(|place| &$batch.recipients[*place]);
        let bytes: usize = rows()
            .map(|row| $crate::domain::batch::contact_bytes(&row.email, row.name.as_deref()))
            .sum();
        let child: i64 = sqlx::query_scalar(
            "insert into batches (account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, attempts,
                                  parent_id, call_id, kind)
             values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11) returning id",
        )
        .bind(&$batch.account)
        .bind($batch.run_id)
        .bind($batch.tag_set_id)
        .bind($batch.priority - 1)
        .bind($crate::store::int($places.len()))
        .bind($crate::store::int(bytes))
        .bind($now)
        .bind(i64::from($batch.attempts))
        .bind($batch.id)
        .bind($batch.call_id)
        .bind($batch.kind.as_str())
        .fetch_one(&mut *$tx)
        .await?;
        let moved = sqlx::query(
            "update member_queue set batch_id = $2
              where batch_id = $1 and state = 'pending' and id between $3 and $4",
        )
        .bind($batch.id)
        .bind(child)
        .bind(rows().next().map(|row| row.row_id))
        .bind(rows().last().map(|row| row.row_id))
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        if moved < $places.len() as u64 {
            $crate::store::steps::shrink!($tx, child, moved, $now);
        }
    }};
}

/// A batch of which rows were deleted: it holds those that are left, or is canceled where none is.
macro_rules! shrink {
    ($tx:ident, $batch_id:expr, $rows:expr, $now:expr) => {
        sqlx::query(
            "update batches
                set row_count = case when $2 = 0 then 1 else $2 end, away_rows = 0,
                    state = case when $2 = 0 then 'canceled' else state end,
                    settled_at = case when $2 = 0 then $3 end
              where id = $1",
        )
        .bind($batch_id)
        .bind($crate::store::int($rows))
        .bind($now)
        .execute(&mut *$tx)
        .await?
    };
}

/// Remembers how large a body is worth trying.
macro_rules! learn_size {
    ($tx:ident, $account:expr, $bytes:expr, $now:expr) => {
        sqlx::query(
            "update accounts set max_body = $2, max_body_until = $3
              where name = $1 and (max_body is null or max_body > $2 or max_body_until < $4)",
        )
        .bind($account)
        .bind($crate::store::int($bytes))
        .bind($now.plus($crate::store::steps::LEARNT_FOR))
        .bind($now)
        .execute(&mut *$tx)
        .await?
    };
}

/// In a run that was halted, rows refused alone since the last acceptance with their tags are pending
/// again: nothing proves that they are to blame.
macro_rules! put_back {
    ($tx:ident, $batch:expr, $now:expr) => {{
        sqlx::query(
            "update member_queue
                set state = 'pending', code = null, reason = null, attempts = 0, settled_at = null
              where state = 'rejected' and batch_id in
                    (select b.id from batches b
                      where b.run_id = $1 and b.state = 'rejected' and b.row_count = 1
                        and exists (select 1 from runs where id = $1 and status = 'failed')
                        and not exists (select 1 from batches d
                                         where d.run_id = $1 and d.tag_set_id = b.tag_set_id
                                           and d.state = 'delivered' and d.settled_at >= b.settled_at))",
        )
        .bind($batch.run_id)
        .execute(&mut *$tx)
        .await?;
        sqlx::query(
            "update batches set state = 'pending', settled_at = null, attempts = 0, due_at = $2
              where run_id = $1 and state = 'rejected' and row_count = 1 and exists
                    (select 1 from member_queue q where q.batch_id = batches.id and q.state = 'pending')",
        )
        .bind($batch.run_id)
        .bind($now)
        .execute(&mut *$tx)
        .await?;
    }};
}

/// The run stops. When it goes on, others come before those it was halted by; where it was halted by
/// refusals that say nothing, that they come last also says that a person insists.
macro_rules! halt {
    ($tx:ident, $batch:expr, $cause:expr, $why:expr, $now:expr) => {{
        sqlx::query(
            "update runs set status = 'failed', reason = $2, finished_at = $3
              where id = $1 and status = 'running'",
        )
        .bind($batch.run_id)
        .bind($crate::store::dialect::storable($why))
        .bind($now)
        .execute(&mut *$tx)
        .await?;
        $crate::store::steps::put_back!($tx, $batch, $now);
        sqlx::query(
            "update batches set priority = priority + $3
              where run_id = $1 and tag_set_id = $2 and state = 'pending' and priority < $3",
        )
        .bind($batch.run_id)
        .bind($batch.tag_set_id)
        .bind(match $cause {
            $crate::domain::verdict::Cause::Unknown => $crate::store::rows::DOUBTED_PRIORITY,
            _ => $crate::store::rows::HALTED_PRIORITY,
        })
        .execute(&mut *$tx)
        .await?;
    }};
}

pub(super) use {count_faults, end_claim, fail, halt, learn_size, probe, put_back, regroup, reject, shrink};
