//! Between the last row of an intake and the first request: what is looked at before a run is let go.
//!
//! A run is `queued` while its input is taken in, and nothing of it is claimed. Whoever finds it taken in
//! releases it, or holds it for a person: the process that took it in or, after a crash, any other. Knows
//! nothing of sending.

use super::{Engine, EngineError};
use crate::domain::digest::AudienceDigest;
use crate::domain::guard::{Concern, Findings};
use crate::domain::state::{Kind, RunStatus};
use crate::store::Run;

impl Engine {
    /// Lets a run be sent whose input is taken in, or holds it; does nothing where it still is, or was released
    /// before.
    pub async fn release(&self, run_id: i64) -> Result<(), EngineError> {
        let Some(run) = self.queued(run_id).await? else { return Ok(()) };
        if run.approved.is_none() {
            if !self.store.is_taken_in(run_id).await? {
                return Ok(());
            }
            // Read anew: from here on nothing is added to it.
            let Some(run) = self.queued(run_id).await? else { return Ok(()) };
            let findings = self.store.findings(&run).await?;
            if self.is_held(&run, &findings).await? {
                return Ok(());
            }
        }
        self.lay_calls(run_id, None).await?;
        Ok(self.store.release_run(run_id).await?)
    }

    /// The same for a run of the queue that is filled.
    pub(super) async fn release_filled(&self, run_id: i64) -> Result<(), EngineError> {
        let Some(run) = self.queued(run_id).await? else { return Ok(()) };
        let found = self.store.own_findings(&run).await?;
        // Those of the same rush that were read before it was seen to be one count with it.
        let others = match self.settings.guards.max_new_members {
            Some(most) => self.store.queue_waiting(&run.account, most.saturating_add(1)).await?,
            None => 0,
        };
        let found = Findings { new_members: found.new_members.saturating_add(others), ..found };
        if !self.is_held(&run, &found).await? {
            self.store.release_filled(run_id, run.read_rows).await?;
        }
        Ok(())
    }

    /// Who would get what of a run that is held.
    pub async fn audience_of(&self, run_id: i64) -> Result<AudienceDigest, EngineError> {
        let mut digest = AudienceDigest::default();
        for batch in self.store.pending_batches(run_id).await? {
            for row in self.store.rows_of_plan(batch).await? {
                let missing =
                    row.delivered.map_or_else(|| row.wanted.clone(), |has| row.wanted.without(&has));
                digest.add(&row.email, row.name.as_deref(), &missing);
            }
        }
        Ok(digest)
    }

    async fn queued(&self, run_id: i64) -> Result<Option<Run>, EngineError> {
        Ok(self
            .store
            .run(run_id)
            .await?
            .filter(|run| run.status == RunStatus::Queued && run.kind == Kind::Members))
    }

    /// Holds a run for whatever there is against it. Whether there is anything.
    async fn is_held(&self, run: &Run, found: &Findings) -> Result<bool, EngineError> {
        let concerns =
            if run.planned { vec![Concern::unconfirmed()] } else { self.settings.guards.judge(found) };
        if concerns.is_empty() {
            return Ok(false);
        }
        let is_news = self.store.hold_run(run.id, run.read_rows, &concerns).await?;
        if is_news && !run.planned {
            let why: Vec<&str> = concerns.iter().map(|concern| concern.reason.as_str()).collect();
            let hint =
                format!("`lumasync runs show {0}` says more, `lumasync runs approve {0}` lets it go", run.id);
            tracing::warn!(
                run = run.id,
                why = why.join("; "),
                hint,
                "a run is held until somebody approves it"
            );
        }
        Ok(true)
    }
}
