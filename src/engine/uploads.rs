//! Uploads that are over go while the service runs, whether or not it serves pages: they hold people.

use std::time::Duration;

use super::error::chain;
use super::{Engine, EngineError, Fleet, Staging, Stop};

/// How often is looked for them.
const EVERY: Duration = Duration::from_mins(1);

impl Fleet {
    /// Takes away uploads that nobody sent in time or that broke off, from the start on until told to stop.
    pub(super) async fn keep_uploads_tidy(&self, stop: &Stop) {
        while !stop.is_requested() {
            for engine in self.engines() {
                if let Err(error) = engine.tidy_uploads().await {
                    tracing::warn!(error = %chain(&error), "uploads cannot be looked through");
                }
            }
            self.first().pause_or_stop(EVERY, stop).await;
        }
    }
}

impl Engine {
    async fn tidy_uploads(&self) -> Result<(), EngineError> {
        let Some(settings) = self.folder_settings() else { return Ok(()) };
        let (staging, now) = (Staging::new(settings), self.clock.now());
        let tidied = tokio::task::spawn_blocking(move || staging.tidy(now)).await?;
        let uploads = tidied.map_err(EngineError::io("look through the uploads of", &settings.root))?;
        if uploads > 0 {
            tracing::info!(uploads, "uploads that nobody sent, or that broke off, are taken away");
        }
        Ok(())
    }
}
