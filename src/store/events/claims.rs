//! Claims of events: within the quota, live ones first, each with its intent on record.
//!
//! Where Luma has failed several times in a row no event is claimed: it would end in doubt. What
//! finds out whether Luma is well again is a question that may be repeated.

use crate::clock::{Clock, Time};
use crate::domain::event::{EventBody, POLICY};
use crate::domain::outcome::FAULTS_IN_A_ROW;
use crate::store::dialect::lock_rows;
use crate::store::quota::{LOOK_AGAIN, gate, room};
use crate::store::{Claims, Result, Scope, Store, error::ensure_rows, int, read, write_tx};

/// An event that is a worker's own until its request is settled or the worker is gone.
#[derive(Clone, Debug)]
pub struct ClaimedEvent {
    /// The event.
    pub id: i64,
    /// The number of this claim: the attempt that stands for its request.
    pub claim_id: i64,
    /// When it was claimed, and its request written down.
    pub claimed_at: Time,
    /// Whose key it uses.
    pub account: String,
    /// The run it belongs to.
    pub run_id: i64,
    /// Attempts that counted before this one.
    pub attempts: u32,
    /// Passing faults of the account in a row, when it was claimed.
    pub faults: u32,
    /// An earlier request for it was left in doubt, and who decided to ask again has not looked.
    pub is_guess: bool,
    /// The body of the request.
    pub body: EventBody,
}

/// What came of asking for events.
#[derive(Clone, Debug)]
pub enum EventClaim {
    /// Events to ask for now.
    Events(Vec<ClaimedEvent>),
    /// Nothing before this moment, and why, for people.
    Wait(Time, &'static str),
    /// Luma has failed too often: ask it something harmless first.
    Probe,
    /// Nothing is pending.
    Idle,
}

/// What came of asking, and how many events that are due are left.
#[derive(Clone, Debug)]
pub struct EventClaims {
    /// What came of it.
    pub claim: EventClaim,
    /// Events that are due and could not be claimed.
    pub left: u32,
}

type DueEvent = (i64, i64, i64, String, Option<String>);

/// The events whose time has come, live ones first; then what a database adds.
macro_rules! due_events {
    ($more:literal) => {
        concat!(
            "select e.id, e.run_id, e.attempts, e.body,
                    (select d.decided_by from event_resolutions d where d.event_id = e.id order by d.id desc limit 1)
               from event_queue e join runs r on r.id = e.run_id
              where e.account = $1 and e.state = 'pending' and e.due_at <= $2 and r.status = 'running'
                and ($3 is null or e.run_id = $3)
              order by r.source <> 'queue', e.due_at, e.id limit $4",
            $more
        )
    };
}

/// Whether another worker has asked for events of these.
macro_rules! is_elsewhere {
    ($tx:ident, $claims:expr, $run:expr) => {
        sqlx::query_scalar::<_, bool>(
            "select exists (select 1 from event_queue
              where state = 'in_flight' and account = $1 and worker_id <> $2 and ($3 is null or run_id = $3))",
        )
        .bind($claims.account)
        .bind($claims.worker_id)
        .bind($run)
        .fetch_one(&mut *$tx)
        .await?
    };
}

/// Writes the intent for one event; the number of its claim.
macro_rules! take {
    ($tx:ident, $claims:expr, $id:expr, $run_id:expr, $bytes:expr, $now:expr) => {{
        let claim_id: i64 = sqlx::query_scalar(
            "insert into attempts (account, worker_id, event_id, run_id, route, row_count, body_bytes, started_at)
             values ($1, $2, $3, $4, $5, 1, $6, $7) returning id",
        )
        .bind($claims.account)
        .bind($claims.worker_id)
        .bind($id)
        .bind($run_id)
        .bind($claims.route)
        .bind(int($bytes))
        .bind($now)
        .fetch_one(&mut *$tx)
        .await?;
        let taken = sqlx::query(
            "update event_queue set state = 'in_flight', claim_id = $2, worker_id = $3
              where id = $1 and state = 'pending'",
        )
        .bind($id)
        .bind(claim_id)
        .bind($claims.worker_id)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        ensure_rows(taken, 1, || format!("event `{}`", $id))?;
        claim_id
    }};
}

impl Store {
    /// Frees events that a worker may have claimed without knowing: by claims later than the last it knows, whose
    /// answer was lost with the connection. No request of theirs has left, so nothing is in doubt.
    pub async fn free_unknown_events(&self, account: &str, worker_id: i64, known: i64) -> Result<u64> {
        let unknown: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(
                "select id, claim_id from event_queue
                  where state = 'in_flight' and worker_id = $1 and account = $2 and claim_id > $3 order by id",
            )
            .bind(worker_id)
            .bind(account)
            .bind(known)
            .fetch_all(db)
            .await?
        });
        if unknown.is_empty() {
            return Ok(0);
        }
        let freed = write_tx!(self, tx => {
            let mut freed = 0;
            for (id, claim_id) in &unknown {
                freed += sqlx::query(
                    "update event_queue set state = 'pending', claim_id = null, worker_id = null
                      where id = $1 and claim_id = $2 and state = 'in_flight'",
                )
                .bind(id)
                .bind(claim_id)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                sqlx::query("delete from attempts where id = $1 and verdict is null")
                    .bind(claim_id)
                    .execute(&mut *tx)
                    .await?;
            }
            freed
        });
        Ok(freed)
    }

    /// Claims due events, as many as the quota lets go now. After faults in a row that is one, and only where
    /// Luma `is_proved` to be well; it tells about the rest.
    pub async fn claim_events(
        &self,
        claims: &Claims<'_>,
        is_proved: bool,
        clock: &Clock,
    ) -> Result<EventClaims> {
        let run = match claims.scope {
            Scope::All => None,
            Scope::Run(id) => Some(id),
        };
        let wait = |until, why, left| EventClaims { claim: EventClaim::Wait(until, why), left };
        let claimed = write_tx!(self, tx => { 'claim: {
            lock_rows!(tx, "select 1 from workers where id = $1 for key share", claims.worker_id);
            lock_rows!(tx, "select 1 from accounts where name = $1 for no key update", claims.account);
            let now = clock.now();
            let gate = gate!(tx, claims, now);
            if !gate.is_alive {
                break 'claim wait(now.plus(LOOK_AGAIN), "this worker's lease", 0);
            }
            let (due, next): (i64, Option<Time>) = sqlx::query_as(
                "select cast(coalesce(sum(case when e.due_at <= $2 then 1 else 0 end), 0) as bigint), min(e.due_at)
                   from event_queue e join runs r on r.id = e.run_id
                  where e.account = $1 and e.state = 'pending' and r.status = 'running'
                    and ($3 is null or e.run_id = $3)",
            )
            .bind(claims.account)
            .bind(now)
            .bind(run)
            .fetch_one(&mut *tx)
            .await?;
            let due = u32::try_from(due).unwrap_or(u32::MAX);
            if due == 0 {
                let is_elsewhere = is_elsewhere!(tx, claims, run);
                break 'claim match next {
                    Some(at) => wait(at, "a retry", 0),
                    None if is_elsewhere => wait(now.plus(LOOK_AGAIN), "another worker's request", 0),
                    None => EventClaims { claim: EventClaim::Idle, left: 0 },
                };
            }
            if let Some(until) = gate.blocked_until.filter(|until| *until > now) {
                let is_lumas = gate.block_cause.as_deref() == Some("throttled");
                let why = if is_lumas { "a block by Luma" } else { "Luma to answer well" };
                break 'claim wait(until, why, 0);
            }
            let room = match room!(tx, claims, gate, now) {
                Ok(room) => room,
                Err(until) => break 'claim wait(until, "the rate limit", due),
            };
            let is_ill = gate.faults >= i64::from(FAULTS_IN_A_ROW);
            if is_ill && gate.under_way > 0 {
                // Somebody is finding out.
                break 'claim wait(now.plus(LOOK_AGAIN), "Luma to answer well", 0);
            }
            if is_ill && !is_proved {
                break 'claim EventClaims { claim: EventClaim::Probe, left: 0 };
            }
            let limit = if is_ill { 1 } else { int(claims.limit) };
            let rows: Vec<DueEvent> =
                sqlx::query_as(DIALECT.pick(due_events!(""), due_events!(" for update of e skip locked")))
            .bind(claims.account)
            .bind(now)
            .bind(run)
            .bind(room.min(limit))
            .fetch_all(&mut *tx)
            .await?;
            let mut events = Vec::with_capacity(rows.len());
            for (id, run_id, attempts, body, decided_by) in rows {
                let claim_id = take!(tx, claims, id, run_id, body.len(), now);
                events.push(ClaimedEvent {
                    id,
                    claim_id,
                    claimed_at: now,
                    account: claims.account.to_owned(),
                    run_id,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    faults: u32::try_from(gate.faults).unwrap_or(u32::MAX),
                    is_guess: decided_by.as_deref() == Some(POLICY),
                    body: EventBody::new(body),
                });
            }
            let left = due.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
            EventClaims { claim: EventClaim::Events(events), left }
        }});
        Ok(claimed)
    }
}
