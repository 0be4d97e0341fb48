//! Failed work back to pending, because a person asks for it.
//!
//! Needs no engine: whoever works on the database sends what comes back.

use super::calls::{PLANNED_WITHIN, lay_again};
use super::error::EngineError;
use crate::clock::Clock;
use crate::domain::proof::Verify;
use crate::store::{ResolveError, Store, StoreError};

/// What is brought back.
#[derive(Clone, Copy, Debug)]
pub struct Again<'a> {
    /// Of this run alone.
    pub run: Option<i64>,
    /// Rows with this code alone.
    pub code: Option<&'a str>,
    /// So many go into one request.
    pub max_rows: usize,
    /// Nothing is changed, only counted.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct BroughtBack {
    /// Rows that are pending again, or would be.
    pub rows: u64,
    /// The runs they belong to.
    pub runs: Vec<i64>,
    /// Rows that are left out, because their people are suppressed.
    pub left_out: u64,
    /// Why single events stay as they are.
    pub kept: Vec<ResolveError>,
}

/// Brings back rows that failed or are missing, what could not be verified, and runs that stopped. `verify` says
/// how the deliveries of an account are proved from now on.
pub async fn bring_back(
    store: &Store,
    again: Again<'_>,
    verify: impl Fn(&str) -> Verify,
    clock: &Clock,
) -> Result<BroughtBack, EngineError> {
    let Again { run, code, max_rows, dry_run } = again;
    let now = clock.now();
    let (rows, runs) = store.retry_failed(run, code, [now, now.plus(PLANNED_WITHIN)], dry_run).await?;
    let mut left_out = 0;
    if !dry_run {
        left_out = store.end_suppressed(now).await?.ended;
        lay_again(store, clock, max_rows, &runs).await?;
    }
    let rows = rows.saturating_sub(left_out);
    let mut back = BroughtBack { rows, runs, left_out, kept: Vec::new() };
    for id in store.failed_events(run, code).await? {
        match store.retry_event(id, now, dry_run).await {
            Ok(resolved) => {
                back.rows += 1;
                back.runs.push(resolved.run_id);
            }
            Err(ResolveError::Store(error)) => return Err(error.into()),
            // One that cannot come back holds up no other.
            Err(error) => back.kept.push(error),
        }
    }
    for id in &back.runs {
        // Begun again, they prove as is configured now.
        if !dry_run && let Some(run) = store.run(*id).await? {
            store.set_verify(*id, verify(&run.account)).await?;
        }
    }
    if code.is_none() {
        prove_again(store, again, &verify, &mut back).await?;
        go_on(store, again, &mut back).await?;
    }
    back.runs.sort_unstable();
    back.runs.dedup();
    Ok(back)
}

/// What could not be verified is verified once more.
async fn prove_again(
    store: &Store,
    again: Again<'_>,
    verify: &impl Fn(&str) -> Verify,
    back: &mut BroughtBack,
) -> Result<(), StoreError> {
    for (id, unproved) in store.unproved_runs(again.run).await? {
        let Some(run) = store.run(id).await? else { continue };
        let verify = verify(&run.account);
        if verify != Verify::None {
            back.rows += unproved;
            back.runs.push(id);
            if !again.dry_run {
                store.prove_again(id, verify).await?;
            }
        }
    }
    Ok(())
}

/// Runs that stopped for a reason of their own go on.
async fn go_on(store: &Store, again: Again<'_>, back: &mut BroughtBack) -> Result<(), StoreError> {
    let stopped = store.stopped_runs(None).await?;
    for id in stopped.into_iter().filter(|id| again.run.is_none_or(|run| run == *id)) {
        back.rows += store.rows_to_send(id).await?;
        back.runs.push(id);
        if !again.dry_run {
            store.start_run(id).await?;
        }
    }
    Ok(())
}
