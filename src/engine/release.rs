//! Between the last row of an intake and the first request: what is looked at before a run is let go.
//!
//! A run is `queued` while its input is taken in, and nothing of it is claimed. Whoever finds it taken in
//! releases it: the process that took it in or, after a crash, any other. Knows nothing of sending.

use super::{Engine, EngineError};
use crate::domain::state::{Kind, RunStatus};

impl Engine {
    /// Lets a run be sent whose input is taken in; does nothing where it still is, or was released before.
    pub async fn release(&self, run_id: i64) -> Result<(), EngineError> {
        let run = self.store.run(run_id).await?;
        let Some(run) = run.filter(|run| run.status == RunStatus::Queued && run.kind == Kind::Members) else {
            return Ok(());
        };
        if self.store.is_taken_in(run.id).await? {
            self.lay_calls(run.id, None).await?;
            self.store.release_run(run.id).await?;
        }
        Ok(())
    }
}
