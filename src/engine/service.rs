//! The service: folder, queue, workers and housekeeping side by side until told to stop.

use std::time::Duration;

use super::folder::DropFolder;
use super::{DrainEnd, Engine, EngineError, Stop};
use crate::store::Scope;

/// How often open runs are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

impl Engine {
    /// Runs until told to stop: nothing new is begun then, and what is in flight ends. A key that is
    /// refused at the start is an error; later on it is waited out.
    pub async fn serve(&self, stop: &Stop) -> Result<(), EngineError> {
        match self.check_identity(stop).await {
            Ok(_) | Err(EngineError::Stopped) => {}
            Err(error) => return Err(error),
        }
        let keep_alive = self.spawn_keep_alive(stop);
        let (folder, queue, tidy, drain) = tokio::join!(
            self.watch_folder(stop),
            self.watch_queue(stop),
            self.tidy(stop),
            self.drain_for_ever(stop),
        );
        keep_alive.abort();
        folder.and(queue).and(tidy).and(drain)
    }

    async fn drain_for_ever(&self, stop: &Stop) -> Result<(), EngineError> {
        while self.drain_all(stop).await? != DrainEnd::Stopped {}
        Ok(())
    }

    async fn drain_all(&self, stop: &Stop) -> Result<DrainEnd, EngineError> {
        match self.drain(Scope::All, true, stop).await {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "sending paused");
                self.pause_or_stop(HOUSEKEEPING, stop).await;
                Ok(DrainEnd::Done)
            }
            end => end,
        }
    }

    async fn watch_folder(&self, stop: &Stop) -> Result<(), EngineError> {
        let Some(settings) = &self.settings.folder else { return Ok(()) };
        let mut hint = super::hint::Hint::new();
        let mut folder = None;
        while !stop.is_requested() {
            match &mut folder {
                None => {
                    folder = DropFolder::open(settings)?;
                    if let Some(folder) = &folder {
                        hint.watch(&folder.inbox());
                    }
                }
                Some(folder) => {
                    if let Err(error) = self.folder_pass(folder, stop).await {
                        let is_stop = matches!(error, EngineError::Stopped);
                        if !is_stop {
                            tracing::error!(%error, "the drop folder could not be looked through");
                        }
                    }
                }
            }
            tokio::select! {
                () = self.clock.sleep(settings.poll) => {}
                () = hint.given() => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    async fn watch_queue(&self, stop: &Stop) -> Result<(), EngineError> {
        while !stop.is_requested() {
            match self.take_queue(self.settings.max_wait).await {
                // There may be more.
                Ok(rows) if rows > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the queue could not be read"),
            }
            self.pause_or_stop(self.settings.queue_poll, stop).await;
        }
        Ok(())
    }

    async fn tidy(&self, stop: &Stop) -> Result<(), EngineError> {
        while !stop.is_requested() {
            if let Err(error) = self.finish_runs().await {
                tracing::warn!(%error, "open runs could not be looked at");
            }
            self.pause_or_stop(HOUSEKEEPING, stop).await;
        }
        Ok(())
    }

    async fn pause_or_stop(&self, pause: Duration, stop: &Stop) {
        tokio::select! {
            () = self.clock.sleep(pause) => {}
            () = stop.requested() => {}
        }
    }
}
