//! A request of the proof: its place in the window, behind whatever carries rows, and its record.

use super::{Prover, fence};
use crate::clock::{Clock, Time};
use crate::domain::outcome::Block;
use crate::store::accounts::block;
use crate::store::dialect::lock_rows;
use crate::store::quota::{LOOK_AGAIN, gate, room};
use crate::store::steps::count_faults;
use crate::store::{Claims, Result, Store, error::ensure_rows, write_tx};

/// What came of asking for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookClaim {
    /// The request may leave.
    Granted {
        /// The number of its record.
        attempt: i64,
        /// Passing faults of the account in a row, before it.
        faults: u32,
    },
    /// Nothing before this moment, and why, for people.
    Wait(Time, &'static str),
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookAnswer<'a> {
    /// Its record.
    pub attempt: i64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The verdict, as stored.
    pub verdict: &'static str,
    /// What was said or seen.
    pub detail: Option<&'a str>,
    /// Passing faults of the account in a row, before it.
    pub faults: u32,
    /// Nobody sends for a while.
    pub block: Option<&'a Block>,
}

impl Store {
    /// Takes a place in the window for a request of the proof. Whatever keeps rows from being sent keeps it too,
    /// and where `is_last` members and events that are due go first.
    pub async fn claim_look(
        &self,
        prover: &Prover,
        claims: &Claims<'_>,
        is_last: bool,
        clock: &Clock,
    ) -> Result<LookClaim> {
        let claim = write_tx!(self, tx => { 'claim: {
            fence!(tx, prover);
            // As with claims of rows: two that count the same window would both take its last place.
            lock_rows!(tx, "select 1 from accounts where name = $1 for no key update", claims.account);
            let now = clock.now();
            let gate = gate!(tx, claims, now);
            if !gate.is_alive {
                break 'claim LookClaim::Wait(now.plus(LOOK_AGAIN), "this worker's lease");
            }
            if let Some(until) = gate.blocked_until.filter(|until| *until > now) {
                let is_lumas = gate.block_cause.as_deref() == Some("throttled");
                break 'claim LookClaim::Wait(until, if is_lumas { "a block by Luma" } else { "Luma to answer well" });
            }
            // While Luma fails, one request at a time finds out whether it still does.
            if gate.faults >= i64::from(crate::domain::outcome::FAULTS_IN_A_ROW) && gate.under_way > 0 {
                break 'claim LookClaim::Wait(now.plus(LOOK_AGAIN), "Luma to answer well");
            }
            let is_behind: bool = is_last && sqlx::query_scalar(
                "select exists (select 1 from batches b join runs r on r.id = b.run_id
                                 where b.account = $1 and b.state = 'pending' and b.due_at <= $2
                                   and r.status = 'running')
                     or exists (select 1 from event_queue e join runs r on r.id = e.run_id
                                 where e.account = $1 and e.state = 'pending' and e.due_at <= $2
                                   and r.status = 'running')",
            )
            .bind(claims.account)
            .bind(now)
            .fetch_one(&mut *tx)
            .await?;
            if is_behind {
                break 'claim LookClaim::Wait(now.plus(LOOK_AGAIN), "members and events, which go first");
            }
            if let Err(until) = room!(tx, claims, gate, now) {
                break 'claim LookClaim::Wait(until, "the rate limit");
            }
            let attempt: i64 = sqlx::query_scalar(
                "insert into attempts (account, worker_id, route, row_count, started_at)
                 values ($1, $2, $3, $4, $5) returning id",
            )
            .bind(claims.account)
            .bind(claims.worker_id)
            .bind(claims.route)
            .bind(crate::store::int(claims.limit))
            .bind(now)
            .fetch_one(&mut *tx)
            .await?;
            LookClaim::Granted { attempt, faults: u32::try_from(gate.faults).unwrap_or(u32::MAX) }
        }});
        Ok(claim)
    }

    /// Completes the record of a request of the proof, with what it says of the account.
    pub async fn settle_look(&self, account: &str, answer: &LookAnswer<'_>, now: Time) -> Result<()> {
        let found = write_tx!(self, tx => {
            let found = sqlx::query(
                "update attempts set finished_at = $2, status = $3, verdict = $4, detail = $5
                  where id = $1 and verdict is null",
            )
            .bind(answer.attempt)
            .bind(now)
            .bind(answer.status.map(i64::from))
            .bind(answer.verdict)
            .bind(answer.detail.map(crate::store::dialect::storable))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            let is_fault = answer.verdict == "transient";
            if is_fault || answer.faults > 0 {
                count_faults!(tx, account, is_fault);
            }
            if let Some(block) = answer.block {
                block!(tx, account, block);
            }
            found
        });
        ensure_rows(found, 1, || format!("attempt `{}`", answer.attempt))
    }
}
