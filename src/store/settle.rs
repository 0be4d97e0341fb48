//! Settling: the outcome of a claimed batch, with rows, ledger and attempt, in one transaction.
//!
//! Every settle begins with the guard on the claim's own number: whoever lost the claim writes
//! nothing. This is the only place that ends a row that was sent.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{add_members, block};
use super::bulk::Bulk as _;
use super::calls::{close_call, deliver_call, open_calls};
use super::claims::claim_due;
use super::deliver::{Delivered, deliver};
use super::dialect::lock_rows;
use super::steps::{count_faults, end_claim, fail, halt, learn_size, probe, put_back, regroup, reject};
use super::{Claim, ClaimedBatch, Claims, Pools, Result, Store, write_tx};
use crate::clock::{Clock, Time};
use crate::domain::code::Code;
use crate::domain::outcome::{Block, Outcome};
use crate::domain::verdict::Cause;

/// Settles one batch on the open transaction, but for what it says of its account; what was delivered is
/// settled by then.
macro_rules! settle {
    ($tx:ident, $settlement:expr, $entered:ident, $now:expr) => {{
        let settlement: &Settlement = $settlement;
        let (batch, now) = (&settlement.batch, $now);
        end_claim!($tx, settlement, now);
        match &settlement.outcome {
            Outcome::Failed { code, reason } => fail!($tx, batch, code, reason, now),
            Outcome::Rejected { places, reason, probe } => {
                reject!($tx, batch, places, reason, now);
                if *probe {
                    probe!($tx, batch);
                }
                // Judged before the run was halted, written after it.
                if batch.recipients.len() == 1 {
                    put_back!($tx, batch, now);
                }
            }
            Outcome::Delivered | Outcome::Again { .. } | Outcome::Split => {}
        }
        if let (Outcome::Delivered, Some(_)) = (&settlement.outcome, batch.call_id) {
            *$entered.entry(&batch.account).or_default() += deliver_call!($tx, batch, now);
        }
        for places in children(batch, &settlement.outcome) {
            regroup!($tx, batch, places, now);
        }
        if let Some((cause, why)) = &settlement.halt {
            halt!($tx, batch, *cause, why, now);
        }
        if let Some(call) = batch.call_id {
            close_call!($tx, call);
            open_calls!($tx, &batch.account);
        }
    }};
}

/// Writes what a settled batch says of its account.
macro_rules! learn {
    ($tx:ident, $settlement:expr, $now:expr) => {{
        let settlement: &Settlement = $settlement;
        let (batch, now) = (&settlement.batch, $now);
        let is_fault = settlement.verdict == Some("transient");
        if is_fault || batch.faults > 0 {
            count_faults!($tx, &batch.account, is_fault);
        }
        if let Some(block) = &settlement.block {
            block!($tx, &batch.account, block);
        }
        if let Some(bytes) = settlement.max_body {
            learn_size!($tx, &batch.account, bytes, now);
        }
    }};
}

/// What became of a claimed batch, and what that changes besides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The batch, as it was claimed.
    pub batch: ClaimedBatch,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The verdict, as stored; `None` where the request never left and counts for nothing.
    pub verdict: Option<&'static str>,
    /// What was said or seen.
    pub detail: Option<String>,
    /// Nobody sends for a while.
    pub block: Option<Block>,
    /// Bytes of the largest body worth trying from now on.
    pub max_body: Option<usize>,
    /// From now on the batch is an import: its people cannot all be given a tag as contacts.
    pub as_import: bool,
    /// The run stops, for this reason. Rows refused alone are pending again: they were not to blame.
    pub halt: Option<(Cause, String)>,
}

impl Store {
    /// Writes the outcomes of claimed batches and claims more. `Lost` where one of the claims is no
    /// longer ours: nothing is written then, of none of them.
    ///
    /// One transaction in `SQLite`, where the commit is what it costs. Two in Postgres, where claims
    /// wait for each other: nobody waits there while outcomes are written.
    pub async fn turn(
        &self,
        settlements: &[Settlement],
        claims: Option<&Claims<'_>>,
        clock: &Clock,
    ) -> Result<Option<Claim>> {
        let is_apart = match &self.pools {
            Pools::Sqlite { .. } => false,
            Pools::Postgres { .. } => claims.is_some() && !settlements.is_empty(),
        };
        if !is_apart {
            return Box::pin(self.settle_and_claim(settlements, claims, clock)).await;
        }
        Box::pin(self.settle_and_claim(settlements, None, clock)).await?;
        match Box::pin(self.settle_and_claim(&[], claims, clock)).await {
            Ok(claim) => Ok(claim),
            Err(error) => {
                // The outcomes stand, whatever becomes of this.
                tracing::debug!(%error, "nothing was claimed after a settle");
                Ok(Some(Claim::Unknown))
            }
        }
    }

    /// Boxed by its callers: it holds the work for both databases.
    async fn settle_and_claim(
        &self,
        settlements: &[Settlement],
        claims: Option<&Claims<'_>>,
        clock: &Clock,
    ) -> Result<Option<Claim>> {
        let claim = write_tx!(self, tx => {
            for run_id in judged_runs(settlements) {
                lock_rows!(tx, "select 1 from runs where id = $1 for no key update", run_id);
            }
            // Not before: the wait for the database may have been long, and a request that is written
            // down earlier than it leaves would make room in the window too early.
            let now = clock.now();
            let mut entered: BTreeMap<&str, i64> = BTreeMap::new();
            for group in Delivered::among(settlements) {
                *entered.entry(&group.first.batch.account).or_default() += deliver!(tx, group, now);
            }
            for settlement in settlements {
                settle!(tx, settlement, entered, now);
            }
            // The account is everybody's, so it is held for the shortest time.
            for settlement in settlements {
                learn!(tx, settlement, now);
            }
            for (account, people) in entered {
                add_members!(tx, account, people);
            }
            match claims {
                Some(claims) => Some(claim_due!(tx, self.known, claims, clock)),
                None => None,
            }
        });
        Ok(claim)
    }
}

/// The runs in which somebody is refused alone, which are halted, or which have calls, by number. One puts back
/// what the other refused, or lets go what waits for both, so they are written one after the other.
fn judged_runs(settlements: &[Settlement]) -> BTreeSet<i64> {
    let is_judged = |settlement: &&Settlement| {
        let is_alone = settlement.batch.recipients.len() == 1;
        settlement.halt.is_some()
            || settlement.batch.call_id.is_some()
            || is_alone && matches!(settlement.outcome, Outcome::Rejected { .. })
    };
    settlements.iter().filter(is_judged).map(|settlement| settlement.batch.run_id).collect()
}

/// The batches that take over the rows which go on, by places: halves after a split, the rest after
/// a rejection of some.
fn children(batch: &ClaimedBatch, outcome: &Outcome) -> Vec<Vec<usize>> {
    let all = 0..batch.recipients.len();
    let children: Vec<Vec<usize>> = match outcome {
        Outcome::Delivered | Outcome::Again { .. } | Outcome::Failed { .. } => Vec::new(),
        Outcome::Rejected { places, .. } => vec![all.filter(|place| !places.contains(place)).collect()],
        Outcome::Split => {
            let middle = batch.recipients.len().div_ceil(2);
            vec![(0..middle).collect(), (middle..batch.recipients.len()).collect()]
        }
    };
    children.into_iter().filter(|places| !places.is_empty()).collect()
}
