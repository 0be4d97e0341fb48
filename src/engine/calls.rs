//! Batches that are not full are planned together: people who want different tags share requests.
//!
//! The plan itself is `domain::plan`; here it meets the rows. Full batches of one tag set stay as they are: no
//! plan serves their people with fewer requests.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{Engine, EngineError};
use crate::clock::{Clock, Time};
use crate::domain::plan::{Cohorts, Layout, Plan, plan};
use crate::domain::state::{Kind, RunStatus};
use crate::domain::tag::TagSet;
use crate::store::{Leftovers, NewCall, NewCalls, RunSource, Store, StoreError};

/// How long rows that came back are left alone, so that they can be planned before somebody takes them.
pub(super) const PLANNED_WITHIN: Duration = Duration::from_secs(10);

impl Engine {
    /// Plans the batches of a run that are not full, where that takes fewer requests; those that are due later
    /// than `due_by` may still be filled. What another process claims meanwhile goes as it is.
    pub(super) async fn lay_calls(&self, run_id: i64, due_by: Option<Time>) -> Result<(), EngineError> {
        let max_rows = self.settings.limits.max_rows;
        Laying { store: &self.store, clock: &self.clock, max_rows }.lay_all(run_id, due_by).await
    }

    /// The same for rows of the queue that are due within this time.
    pub async fn lay_queue(&self, ahead: Duration) -> Result<(), EngineError> {
        let due_by = self.clock.now().plus(ahead);
        for run in self.store.open_runs().await? {
            let is_ours = (run.source, run.kind, run.status)
                == (RunSource::Queue, Kind::Members, RunStatus::Running)
                && run.account == self.settings.account;
            if is_ours {
                self.lay_calls(run.id, Some(due_by)).await?;
            }
        }
        Ok(())
    }
}

/// Plans rows of these runs that are to be tried again, and lets them go.
pub(super) async fn lay_again(
    store: &Store,
    clock: &Clock,
    max_rows: usize,
    runs: &[i64],
) -> Result<(), EngineError> {
    for run in runs {
        Laying { store, clock, max_rows }.lay_all(*run, None).await?;
        store.let_go(*run, clock.now()).await?;
    }
    Ok(())
}

/// Where rows are laid into calls.
#[derive(Clone, Copy)]
struct Laying<'a> {
    store: &'a Store,
    clock: &'a Clock,
    max_rows: usize,
}

impl Laying<'_> {
    async fn lay_all(self, run_id: i64, due_by: Option<Time>) -> Result<(), EngineError> {
        let mut after = 0;
        loop {
            let leftovers = self.store.leftovers(run_id, self.max_rows, after, due_by).await?;
            let Some(last) = leftovers.last else { return Ok(()) };
            after = last;
            match self.lay(run_id, leftovers).await {
                Err(EngineError::Store(StoreError::Lost { what })) => {
                    tracing::debug!(run = run_id, what, "not planned: it has changed meanwhile");
                }
                laid => laid?,
            }
        }
    }

    async fn lay(self, run_id: i64, leftovers: Leftovers) -> Result<(), EngineError> {
        if leftovers.batches.len() < 2 {
            return Ok(());
        }
        let max_rows = u32::try_from(self.max_rows).unwrap_or(u32::MAX);
        let max_rows = NonZeroU32::new(max_rows).unwrap_or(NonZeroU32::MIN);
        let sets = self.store.tag_sets().await?;
        let planning = tokio::task::spawn_blocking(move || {
            let mut cohorts = Cohorts::default();
            for row in &leftovers.rows {
                cohorts.add(row.id, row.tag_set, row.has);
            }
            let plan = plan(&cohorts.demand(max_rows, &sets));
            let layout = plan.lay(&cohorts);
            (plan, layout, leftovers)
        });
        let (plan, layout, leftovers) = planning.await?;
        let before = leftovers.batches.len() as u64;
        if plan.requests() >= before {
            return Ok(());
        }
        let calls = self.new_calls(&plan, &layout, &leftovers).await?;
        let waits: Vec<(u32, u32)> = layout.waits.iter().copied().collect();
        self.store
            .lay_calls(&NewCalls {
                run_id,
                batches: &leftovers.batches,
                calls: &calls,
                rows: &layout.rows,
                waits: &waits,
                due_at: self.clock.now(),
            })
            .await?;
        let (rows, requests) = (layout.rows.len(), plan.requests());
        tracing::info!(run = run_id, rows, before, requests, "people with different tags share requests");
        Ok(())
    }

    async fn new_calls(
        self,
        plan: &Plan,
        layout: &Layout,
        leftovers: &Leftovers,
    ) -> Result<Vec<NewCall>, EngineError> {
        let mut tag_sets: Vec<TagSet> = plan.calls().iter().map(|call| call.tags().clone()).collect();
        tag_sets.sort_unstable();
        tag_sets.dedup();
        let ids = self.store.intern_tag_sets(&tag_sets).await?;
        let ids: HashMap<&TagSet, i64> = tag_sets.iter().zip(ids).collect();
        let bytes: HashMap<i64, i64> = leftovers.rows.iter().map(|row| (row.id, row.bytes)).collect();
        let mut calls: Vec<NewCall> = plan
            .calls()
            .iter()
            .map(|call| NewCall {
                tag_set: ids[call.tags()],
                kind: call.kind(),
                rows: call.people().into(),
                first: 0,
                bytes: 0,
                waits: false,
            })
            .collect();
        for row in &layout.rows {
            for (turn, call) in row.calls.iter().enumerate() {
                let call = &mut calls[*call as usize];
                call.bytes += bytes.get(&row.row).copied().unwrap_or_default().unsigned_abs();
                call.first += u64::from(turn == 0);
            }
        }
        for (call, _) in &layout.waits {
            calls[*call as usize].waits = true;
        }
        Ok(calls)
    }
}
