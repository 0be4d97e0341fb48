//! Claims: due batches become a worker's own, within the quota, each with its request on record.
//!
//! One transaction looks at the block, the window and the due batches and writes the intent. What
//! the quota lets go is said elsewhere.

use super::lossy::Lossy;
use super::{Allowance, Result, StoreError};
use crate::clock::Time;
use crate::domain::plan::CallKind;
use crate::domain::proof::Verify;
use crate::domain::tag::TagSet;

/// Which runs a worker sends for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every run.
    All,
    /// One run.
    Run(i64),
}

/// One member of a claimed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The row.
    pub row_id: i64,
    /// The address as it is sent.
    pub email: String,
    /// The name, where it was asked for and the row has one.
    pub name: Option<String>,
}

/// A batch that is a worker's own until it is settled or the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedBatch {
    /// The batch.
    pub id: i64,
    /// The number of this claim: the attempt that stands for its request.
    pub claim_id: i64,
    /// When it was claimed, and its request written down.
    pub claimed_at: Time,
    /// Whose key it uses.
    pub account: String,
    /// The run its rows belong to.
    pub run_id: i64,
    /// Attempts that failed before this one.
    pub attempts: u32,
    /// Its place in the order of work.
    pub priority: i64,
    /// Passing faults of the account in a row, when it was claimed.
    pub faults: u32,
    /// Bytes of the largest body worth trying, where that was learnt.
    pub max_body: Option<usize>,
    /// The tags of the request.
    pub tag_set_id: i64,
    /// The tags of the request.
    pub tags: TagSet,
    /// What its request asks for.
    pub kind: CallKind,
    /// The call of a plan that it makes; `None` where its rows need no other.
    pub call_id: Option<i64>,
    /// Rows of which it is the last request.
    pub last_rows: u64,
    /// How its run proves what it has delivered.
    pub verify: Verify,
    /// Its members, in the order of their rows.
    pub recipients: Vec<Recipient>,
}

/// What came of asking for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Batches to send now.
    Batches(Vec<ClaimedBatch>),
    /// Nothing before this moment, and why, for people.
    Wait(Time, &'static str),
    /// Nothing is pending.
    Idle,
    /// The database went away: batches may be ours that we know nothing of.
    Unknown,
}

/// Who asks for work, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Whose key.
    pub account: &'a str,
    /// The worker that asks.
    pub worker_id: i64,
    /// Which runs.
    pub scope: Scope,
    /// How many batches at most.
    pub limit: usize,
    /// What may be sent.
    pub allowance: Allowance,
    /// The route, for the record.
    pub route: &'static str,
    /// The same for tags that are given to contacts, where there is such a route.
    pub tag_route: Option<&'static str>,
    /// Whether names are sent too.
    pub with_names: bool,
}

/// The members of a batch in one text: names are whatever other programs wrote.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Packed {
    pub(super) batch_id: i64,
    #[sqlx(try_from = "Lossy")]
    pub(super) rows: Option<String>,
}

/// Stands between an address and a name; neither has it.
pub(super) const BEFORE_NAME: &str = "\u{1f}";

/// How long a batch that somebody writes to is left alone.
pub(super) const SOON: std::time::Duration = std::time::Duration::from_millis(20);

/// Numbers as the list that statements take many by.
///
/// Sorted, so that two statements lock the same rows in the same order.
pub(super) fn list(ids: impl IntoIterator<Item = i64>) -> String {
    let mut ids: Vec<i64> = ids.into_iter().collect();
    ids.sort_unstable();
    serde_json::to_string(&ids).unwrap_or_default()
}

/// The members of due batches that still wait and may be sent, by batch; a batch that has none is canceled.
macro_rules! recipients {
    ($tx:ident, $claims:expr, $due:expr, $list:expr, $now:expr) => {{
        let due: &[$crate::store::due::DueBatch] = $due;
        for batch in due.iter().filter(|batch| batch.is_live) {
            // They came one by one and waited: a file may have brought them meanwhile. The requests that held them stay
            // known.
            sqlx::query(
                "insert into row_passes (row_id, batch_id)
                 select q.id, q.batch_id from member_queue q
                  where q.batch_id = $1 and q.state = 'pending'
                    and (exists (select 1 from attempts a where a.batch_id = $1)
                         or exists (select 1 from batches b where b.id = $1 and b.parent_id is not null))
                    and exists (select 1 from ledger l
                                 where l.account = q.account and l.key_hash = q.key_hash
                                   and l.email_key = lower(coalesce(q.address, q.email))
                                   and l.tag_set_id = q.tag_set_id)
                 on conflict do nothing",
            )
            .bind(batch.id)
            .execute(&mut *$tx)
            .await?;
            sqlx::query(
                "update member_queue
                    set state = 'unchanged', code = 'unchanged', batch_id = null, settled_at = $2,
                        reason = 'already delivered with these tags'
                  where batch_id = $1 and state = 'pending' and exists
                        (select 1 from ledger l
                          where l.account = member_queue.account and l.key_hash = member_queue.key_hash
                            and l.email_key = lower(coalesce(member_queue.address, member_queue.email))
                            and l.tag_set_id = member_queue.tag_set_id)",
            )
            .bind(batch.id)
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        }
        // One packed text a batch: a row each would cross threads five hundred times.
        let packed: Vec<$crate::store::claims::Packed> = sqlx::query_as(
            "select cast(b.value as bigint) as batch_id,
                    (select string_agg(q.id || ' ' || coalesce(q.address, q.email)
                                       || case when $3 and q.name is not null
                                               then $4 || replace(replace(q.name, $2, ' '), $4, ' ') else '' end, $2)
                       from (select id, address, email, name from member_queue
                              where batch_id = cast(b.value as bigint) and state = 'pending' order by id) q) as rows
               from json_each($1) b",
        )
        .bind($crate::store::claims::list(due.iter().map(|batch| batch.id)))
        .bind("\n")
        .bind($claims.with_names)
        .bind($crate::store::claims::BEFORE_NAME)
        .fetch_all(&mut *$tx)
        .await?;
        let mut packed: std::collections::BTreeMap<i64, Option<String>> =
            packed.into_iter().map(|batch| (batch.batch_id, batch.rows)).collect();
        let mut recipients = std::collections::BTreeMap::new();
        for (batch, id) in due.iter().map(|batch| (batch, batch.id)) {
            let packed = packed.remove(&id).flatten();
            let rows = $crate::store::claims::unpack(&packed.unwrap_or_default())?;
            let rows = $crate::store::suppress::leave_out!($tx, $list, $claims.account, rows, $now);
            if $crate::store::int(rows.len()) != batch.row_count || batch.away_rows > 0 {
                // Rows that were waiting are delivered by now, left an earlier call, were deleted, or are not to be
                // sent.
                $crate::store::steps::shrink!($tx, id, rows.len(), $now);
            }
            if !rows.is_empty() {
                recipients.insert(id, rows);
            }
        }
        recipients
    }};
}

/// Writes the intent for these batches; the number of each one's claim.
macro_rules! take {
    ($tx:ident, $claims:expr, $count:expr, $ids:expr, $now:expr) => {{
        let claim_ids: Vec<(i64, i64)> = sqlx::query_as(
            "insert into attempts (account, worker_id, batch_id, run_id, route, row_count, started_at)
             select account, $2, id, run_id, case when kind = 'tag' then coalesce($5, $3) else $3 end, row_count, $4 from batches
              where id in (select cast(value as bigint) from json_each($1)) and state = 'pending'
             returning batch_id, id",
        )
        .bind($ids)
        .bind($claims.worker_id)
        .bind($claims.route)
        .bind($now)
        .bind($claims.tag_route)
        .fetch_all(&mut *$tx)
        .await?;
        let taken = sqlx::query(
            "update batches
                set state = 'in_flight', worker_id = $2,
                    claim_id = (select max(a.id) from attempts a where a.batch_id = batches.id)
              where id in (select cast(value as bigint) from json_each($1)) and state = 'pending'",
        )
        .bind($ids)
        .bind($claims.worker_id)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        $crate::store::error::ensure_rows(taken, $count as u64, || format!("batches `{}`", $ids))?;
        claim_ids.into_iter().collect::<std::collections::BTreeMap<i64, i64>>()
    }};
}

/// Claims due batches on the open transaction, as many as the quota lets go now.
///
/// Claims of one account come one after the other: two that count the same window would both take its
/// last place. A worker cannot be declared dead while it claims.
macro_rules! claim_due {
    ($tx:ident, $known:expr, $claims:expr, $clock:expr) => {
        'claim: {
            let claims = $claims;
            $crate::store::dialect::lock_rows!(
                $tx,
                "select 1 from workers where id = $1 for key share",
                claims.worker_id
            );
            $crate::store::dialect::lock_rows!(
                $tx,
                "select 1 from accounts where name = $1 for no key update",
                claims.account
            );
            let now = $clock.now();
            let run = match claims.scope {
                $crate::store::Scope::All => None,
                $crate::store::Scope::Run(id) => Some(id),
            };
            let gate = $crate::store::quota::gate!($tx, claims, now);
            if !gate.is_alive {
                // Declared dead: what it claimed now would be nobody's.
                break 'claim Claim::Wait(now.plus($crate::store::quota::LOOK_AGAIN), "this worker's lease");
            }
            let room = $crate::store::quota::room!($tx, claims, gate, now);
            // While Luma fails, one request at a time finds out whether it still does.
            let is_failing = gate.faults >= i64::from($crate::domain::outcome::FAULTS_IN_A_ROW);
            if is_failing && gate.under_way > 0 {
                break 'claim Claim::Wait(now.plus($crate::store::quota::LOOK_AGAIN), "Luma to answer well");
            }
            let limit = if is_failing { 1 } else { $crate::store::int(claims.limit) };
            let most = room.unwrap_or(1).min(limit);
            let mut due = $crate::store::due::find_due!($tx, claims, run, most, now);
            if due.is_empty() && $crate::store::calls::open_stranded!($tx, claims.account) > 0 {
                due = $crate::store::due::find_due!($tx, claims, run, most, now);
            }

            let is_throttled = gate.block_cause.as_deref() == Some("throttled");
            let why = if is_throttled { "a block by Luma" } else { "Luma to answer well" };
            let block = gate.blocked_until.filter(|until| *until > now).map(|until| (until, why));
            if due.is_empty() {
                let next: Option<Time> = sqlx::query_scalar(
                    "select min(b.due_at) from batches b join runs r on r.id = b.run_id
                      where b.account = $1 and b.state = 'pending' and b.waits = 0 and r.status = 'running'
                        and ($2 is null or b.run_id = $2)",
                )
                .bind(claims.account)
                .bind(run)
                .fetch_one(&mut *$tx)
                .await?;
                if let Some(at) = next {
                    // One that is due already is just being written to.
                    let at = at.max(now.plus($crate::store::claims::SOON));
                    break 'claim match block {
                        Some((until, why)) if until >= at => Claim::Wait(until, why),
                        _ => Claim::Wait(at, "a retry or a filling batch"),
                    };
                }
                let is_elsewhere: bool = sqlx::query_scalar(
                    "select exists (select 1 from batches b join workers w on w.id = b.worker_id
                      where b.state = 'in_flight' and b.account = $1 and b.worker_id <> $2
                        and ($3 is null or b.run_id = $3))",
                )
                .bind(claims.account)
                .bind(claims.worker_id)
                .bind(run)
                .fetch_one(&mut *$tx)
                .await?;
                break 'claim if is_elsewhere {
                    Claim::Wait(now.plus($crate::store::quota::LOOK_AGAIN), "another worker's request")
                } else {
                    Claim::Idle
                };
            }
            if let Some((until, why)) = block {
                break 'claim Claim::Wait(until, why);
            }
            if let Err(until) = room {
                break 'claim Claim::Wait(until, "the rate limit");
            }

            // Nobody enters the list between the gate and the end of this claim.
            let list = $crate::store::suppress::listed!(&mut *$tx, $known, gate.list);
            let recipients = $crate::store::claims::recipients!($tx, claims, &due, &list, now);
            let ids = $crate::store::claims::list(recipients.keys().copied());
            let mut claim_ids = $crate::store::claims::take!($tx, claims, recipients.len(), &ids, now);
            let mut batches = Vec::with_capacity(due.len());
            let mut recipients = recipients;
            for batch in due {
                let Some((claim_id, recipients)) =
                    claim_ids.remove(&batch.id).zip(recipients.remove(&batch.id))
                else {
                    continue;
                };
                batches.push($crate::store::ClaimedBatch {
                    id: batch.id,
                    claim_id,
                    claimed_at: now,
                    account: claims.account.to_owned(),
                    run_id: batch.run_id,
                    attempts: u32::try_from(batch.attempts).unwrap_or(u32::MAX),
                    priority: batch.priority,
                    faults: u32::try_from(gate.faults).unwrap_or(u32::MAX),
                    max_body: gate.max_body.and_then(|bytes| usize::try_from(bytes).ok()),
                    tag_set_id: batch.tag_set_id,
                    tags: $crate::store::ledger::parse_tag_set(&batch.tags)?,
                    kind: $crate::store::due::parse_kind(&batch.kind)?,
                    call_id: batch.call_id,
                    last_rows: batch.last_rows.unsigned_abs(),
                    verify: $crate::store::runs::parse_verify(&batch.verify)?,
                    recipients,
                });
            }
            Claim::Batches(batches)
        }
    };
}

pub(super) use {claim_due, recipients, take};

pub(super) fn unpack(packed: &str) -> Result<Vec<Recipient>> {
    let mut rows = packed
        // Not `lines`: a name may end in a carriage return.
        .split_terminator('\n')
        .map(|line| {
            let (id, member) = line.split_once(' ').unwrap_or_default();
            let row_id = id.parse().map_err(|_| StoreError::corrupt("member_queue", "id", id))?;
            let (email, name) =
                member.split_once(BEFORE_NAME).map_or((member, None), |(email, name)| (email, Some(name)));
            Ok(Recipient { row_id, email: email.to_owned(), name: name.map(str::to_owned) })
        })
        .collect::<Result<Vec<_>>>()?;
    // The database reads in this order already; an aggregate promises none.
    if !rows.is_sorted_by_key(|row| row.row_id) {
        rows.sort_unstable_by_key(|row| row.row_id);
    }
    Ok(rows)
}
