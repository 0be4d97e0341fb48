//! Between the last row of an intake and the first request: what is looked at before a run is let go.
//!
//! A run is `queued` while its input is taken in, and nothing of it is claimed. Whoever finds it taken in
//! releases it: the process that took it in or, after a crash, any other. Knows nothing of sending.

use super::{Engine, EngineError};

impl Engine {
    /// Lets a run be sent whose input is taken in; does nothing where it still is, or was released before.
    pub async fn release(&self, run_id: i64) -> Result<(), EngineError> {
        Ok(self.store.release_run(run_id).await?)
    }
}
