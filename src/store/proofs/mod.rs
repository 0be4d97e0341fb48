//! The proof of what was delivered: who works on it, what is still to be found out, what was found.
//!
//! One process proves for an account at a time. Every write of it begins with the fence: whoever lost the
//! claim writes nothing. The order of locks is proofs, batches, requests, rows, ledger, account.

mod again;
mod count;
mod found;
mod look;
mod reports;
mod request;

use super::claims::list;
use super::{Result, Store, read, write_tx};

pub(super) use again::{again_absent, again_alone, again_whole, goes_on};
pub use count::{CountOutcome, PeopleToCount};
pub use found::{Found, PageFound, SoughtRow};
pub use look::Look;
pub use reports::{ProofCost, ProofLeft, Unproved};
pub use request::{LookAnswer, LookClaim};

/// Who proves for an account, as its claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prover {
    /// Whose deliveries.
    pub account: String,
    /// The worker.
    pub worker_id: i64,
    /// The number of the claim.
    pub claim: i64,
}

/// Makes sure that the proof is still this prover's, and keeps others from it until the transaction ends.
macro_rules! fence {
    ($tx:ident, $prover:expr) => {{
        let held = sqlx::query(
            "update proofs set claims = claims where account = $1 and worker_id = $2 and claims = $3",
        )
        .bind(&$prover.account)
        .bind($prover.worker_id)
        .bind($prover.claim)
        .execute(&mut *$tx)
        .await?
        .rows_affected();
        $crate::store::error::ensure_rows(held, 1, || format!("the proof of account `{}`", $prover.account))?;
    }};
}

/// Batches of running runs whose proof can go on: counts at once; who is looked for, once the run has nothing left
/// to send. A queue never ends, so its people are looked for as they come.
///
/// Whether a run has sent all it had is found out once, not for each of its batches.
macro_rules! due_batches {
    ($columns:literal, $more:literal) => {
        concat!(
            "with proving (id, is_sent) as materialized (
                 select r.id, (r.source = 'queue' or not exists
                               (select 1 from batches p where p.run_id = r.id and p.state in ('pending', 'in_flight')))
                   from runs r
                  where r.status = 'running' and r.account = $1 and exists
                        (select 1 from batches p where p.account = $1 and p.run_id = r.id and p.proof is not null))
             select ", $columns, " from proving r
               join batches b on b.account = $1 and b.run_id = r.id and b.proof is not null
              where (b.proof <> 'look' or r.is_sent) ",
            $more
        )
    };
}

use {due_batches, fence};

impl Store {
    /// Whether something is to be found out for an account now.
    pub async fn has_proof_due(&self, account: &str) -> Result<bool> {
        let is_due = read!(self, db => {
            sqlx::query_scalar(concat!(
                "select exists (", due_batches!("1", ""), ")
                     or exists (select 1 from proofs where account = $1 and look is not null)"
            ))
            .bind(account)
            .fetch_one(db)
            .await?
        });
        Ok(is_due)
    }

    /// Whether something is still to be found out about one of these runs.
    pub async fn is_proof_left(&self, runs: &[i64]) -> Result<bool> {
        let is_left = read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from runs r join batches b
                                    on b.account = r.account and b.run_id = r.id and b.proof is not null
                                 where r.id in (select cast(value as bigint) from json_each($1))
                                   and r.status = 'running')",
            )
            .bind(list(runs.iter().copied()))
            .fetch_one(db)
            .await?
        });
        Ok(is_left)
    }

    /// Makes a living worker the one who proves for an account, where nobody alive does; `None` where somebody does.
    pub async fn take_proof(&self, account: &str, worker_id: i64) -> Result<Option<Prover>> {
        let claim: Option<i64> = write_tx!(self, tx => {
            sqlx::query("insert into proofs (account) values ($1) on conflict (account) do nothing")
                .bind(account)
                .execute(&mut *tx)
                .await?;
            sqlx::query_scalar(
                "update proofs set worker_id = $2, claims = claims + 1
                  where account = $1 and exists (select 1 from workers where id = $2)
                    and (worker_id is null or worker_id = $2
                         or not exists (select 1 from workers where id = proofs.worker_id))
                 returning claims",
            )
            .bind(account)
            .bind(worker_id)
            .fetch_optional(&mut *tx)
            .await?
        });
        Ok(claim.map(|claim| Prover { account: account.to_owned(), worker_id, claim }))
    }

    /// Lets another process prove.
    pub async fn leave_proof(&self, prover: &Prover) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update proofs set worker_id = null where account = $1 and worker_id = $2 and claims = $3",
            )
            .bind(&prover.account)
            .bind(prover.worker_id)
            .bind(prover.claim)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }
}
