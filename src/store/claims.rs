//! Claims: due batches become a worker's own, within the quota, each with its request on record.
//!
//! One transaction looks at the block, the window and the due batches and writes the intent, so
//! that no window ever holds more requests than the quota, over any number of processes.

use std::time::Duration;

use super::{Result, Store, StoreError, write_tx};
use crate::clock::{Clock, Time};
use crate::domain::tag::TagSet;

/// Requests allowed in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests.
    pub requests: u32,
    /// In any span as long as this.
    pub window: Duration,
}

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
}

/// A batch that is a worker's own until it is settled or the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedBatch {
    /// The batch.
    pub id: i64,
    /// The number of this claim: the attempt that stands for its request.
    pub claim_id: i64,
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
}

/// When others may be looked at again, where nothing says when.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) type AccountRow = (Option<Time>, Option<String>, i64, Option<i64>, bool);
pub(super) type DueBatch = (i64, i64, i64, i64, i64, i64, String, bool);

/// How many requests may leave now, or when to ask again. A request arrives some time between its
/// leaving and its answer: until it is answered it counts, and a whole window after that.
macro_rules! room {
    ($tx:ident, $claims:expr, $now:expr) => {{
        let (allowance, window_start) = (&$claims.allowance, $now.minus($claims.allowance.window));
        let (answered, under_way): (i64, i64) = sqlx::query_as(
            "select (select count(*) from attempts where account = $1 and finished_at > $2),
                    (select count(*) from attempts where account = $1 and verdict is null)",
        )
        .bind($claims.account)
        .bind(window_start)
        .fetch_one(&mut *$tx)
        .await?;
        let places = i64::from(allowance.requests) - under_way;
        if places > answered {
            Ok(places - answered)
        } else {
            // The answer whose leaving the window makes room for one more.
            let leaves: Option<Time> = sqlx::query_scalar(
                "select finished_at from attempts where account = $1 and finished_at > $2
                  order by finished_at desc limit 1 offset $3",
            )
            .bind($claims.account)
            .bind(window_start)
            .bind((places - 1).max(0))
            .fetch_optional(&mut *$tx)
            .await?;
            let leaves = leaves.filter(|_| places > 0).map(|at| at.plus(allowance.window));
            Err(leaves.unwrap_or($now.plus($crate::store::claims::LOOK_AGAIN)))
        }
    }};
}

/// Claims due batches on the open transaction, as many as the quota lets go now.
macro_rules! claim_due {
    ($tx:ident, $claims:expr, $now:expr) => {
        'claim: {
            let (claims, now) = ($claims, $now);
            let run = match claims.scope {
                $crate::store::Scope::All => None,
                $crate::store::Scope::Run(id) => Some(id),
            };
            let (blocked, block_cause, faults, max_body, is_alive): $crate::store::claims::AccountRow = sqlx::query_as(
                "select blocked_until, block_cause, faults,
                        case when max_body_until > $2 then max_body end,
                        exists (select 1 from workers where id = $3)
                   from accounts where name = $1",
            )
            .bind(claims.account)
            .bind(now)
            .bind(claims.worker_id)
            .fetch_one(&mut *$tx)
            .await?;
            if !is_alive {
                // Declared dead: what it claimed now would be nobody's.
                break 'claim Claim::Wait(now.plus($crate::store::claims::LOOK_AGAIN), "this worker's lease");
            }
            let room = $crate::store::claims::room!($tx, claims, now);
            // While Luma fails, one request at a time finds out whether it still does.
            let limit = if faults >= i64::from($crate::domain::outcome::FAULTS_IN_A_ROW) { 1 } else { $crate::store::int(claims.limit) };
            let limit = room.unwrap_or(1).min(limit);
            let due: Vec<$crate::store::claims::DueBatch> = sqlx::query_as(
                "select b.id, b.run_id, b.attempts, b.priority, b.row_count, b.tag_set_id, t.tags,
                        r.source = 'queue'
                   from batches b
                   join runs r on r.id = b.run_id
                   join tag_sets t on t.id = b.tag_set_id
                  where b.account = $1 and b.state = 'pending' and b.due_at <= $2
                    and r.status = 'running' and ($3 is null or b.run_id = $3)
                  order by b.priority, b.id limit $4",
            )
            .bind(claims.account)
            .bind(now)
            .bind(run)
            .bind(limit)
            .fetch_all(&mut *$tx)
            .await?;

            if due.is_empty() {
                let next: Option<Time> = sqlx::query_scalar(
                    "select min(b.due_at) from batches b join runs r on r.id = b.run_id
                      where b.account = $1 and b.state = 'pending' and r.status = 'running'
                        and ($2 is null or b.run_id = $2)",
                )
                .bind(claims.account)
                .bind(run)
                .fetch_one(&mut *$tx)
                .await?;
                if let Some(at) = next {
                    break 'claim Claim::Wait(at, "a retry or a filling batch");
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
                    Claim::Wait(now.plus($crate::store::claims::LOOK_AGAIN), "another worker's request")
                } else {
                    Claim::Idle
                };
            }
            if let Some(until) = blocked.filter(|until| *until > now) {
                let why = if block_cause.as_deref() == Some("throttled") { "a block by Luma" } else { "Luma to answer well" };
                break 'claim Claim::Wait(until, why);
            }
            if let Err(until) = room {
                break 'claim Claim::Wait(until, "the rate limit");
            }

            let mut batches = Vec::with_capacity(due.len());
            for (id, run_id, attempts, priority, row_count, tag_set_id, tags, is_live) in due {
                if is_live {
                    // They came one by one and waited: a file may have brought them meanwhile.
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
                    .bind(id)
                    .bind(now)
                    .execute(&mut *$tx)
                    .await?;
                }
                // One packed text: a row each would cross threads five hundred times.
                let packed: Option<String> = sqlx::query_scalar(
                    "select string_agg(id || ' ' || coalesce(address, email), char(10))
                       from (select id, address, email from member_queue
                              where batch_id = $1 and state = 'pending' order by id)",
                )
                .bind(id)
                .fetch_one(&mut *$tx)
                .await?;
                let recipients = $crate::store::claims::unpack(&packed.unwrap_or_default())?;
                if $crate::store::int(recipients.len()) != row_count {
                    // Rows that were waiting are delivered by now, or were deleted.
                    $crate::store::steps::shrink!($tx, id, recipients.len(), now);
                }
                if recipients.is_empty() {
                    continue;
                }
                let claim_id: i64 = sqlx::query_scalar(
                    "insert into attempts (account, worker_id, batch_id, run_id, route, row_count, started_at)
                     values ($1, $2, $3, $4, $5, $6, $7) returning id",
                )
                .bind(claims.account)
                .bind(claims.worker_id)
                .bind(id)
                .bind(run_id)
                .bind(claims.route)
                .bind($crate::store::int(recipients.len()))
                .bind(now)
                .fetch_one(&mut *$tx)
                .await?;
                let taken = sqlx::query(
                    "update batches set state = 'in_flight', claim_id = $2, worker_id = $3
                      where id = $1 and state = 'pending'",
                )
                .bind(id)
                .bind(claim_id)
                .bind(claims.worker_id)
                .execute(&mut *$tx)
                .await?
                .rows_affected();
                $crate::store::error::ensure_rows(taken, 1, || format!("batch `{id}`"))?;
                batches.push($crate::store::ClaimedBatch {
                    id,
                    claim_id,
                    account: claims.account.to_owned(),
                    run_id,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    priority,
                    faults: u32::try_from(faults).unwrap_or(u32::MAX),
                    max_body: max_body.and_then(|bytes| usize::try_from(bytes).ok()),
                    tag_set_id,
                    tags: $crate::store::ledger::parse_tag_set(&tags)?,
                    recipients,
                });
            }
            Claim::Batches(batches)
        }
    };
}

pub(super) use {claim_due, room};

impl Store {
    /// Takes a place in the window for a request that carries no rows; its number, or when to ask again.
    pub async fn claim_request(
        &self,
        claims: &Claims<'_>,
        clock: &Clock,
    ) -> Result<std::result::Result<i64, Time>> {
        let granted = write_tx!(self, tx => { 'claim: {
            let now = clock.now();
            let blocked: Option<Time> =
                sqlx::query_scalar("select blocked_until from accounts where name = $1 and block_cause = 'throttled'")
                    .bind(claims.account)
                    .fetch_optional(&mut *tx)
                    .await?
                    .flatten();
            if let Some(until) = blocked.filter(|until| *until > now) {
                break 'claim Err(until);
            }
            if let Err(until) = room!(tx, claims, now) {
                break 'claim Err(until);
            }
            let id: i64 = sqlx::query_scalar(
                "insert into attempts (account, worker_id, route, started_at)
                 values ($1, $2, $3, $4) returning id",
            )
            .bind(claims.account)
            .bind(claims.worker_id)
            .bind(claims.route)
            .bind(now)
            .fetch_one(&mut *tx)
            .await?;
            Ok(id)
        }});
        Ok(granted)
    }
}

pub(super) fn unpack(packed: &str) -> Result<Vec<Recipient>> {
    packed
        .lines()
        .map(|line| {
            let (id, email) = line.split_once(' ').unwrap_or_default();
            let row_id = id.parse().map_err(|_| StoreError::corrupt("member_queue", "id", id))?;
            Ok(Recipient { row_id, email: email.to_owned() })
        })
        .collect()
}
