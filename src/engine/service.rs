//! The loops of the service: folder, queue, sending and housekeeping, each until told to stop.

use std::time::Duration;

use super::error::chain;
use super::folder::{DropFolder, Reach};
use super::{Engine, EngineError, FolderSettings, Stop};
use crate::domain::schedule::Schedule;
use crate::domain::state::Kind;
use crate::store::Scope;

/// How often open runs are looked at.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);

impl Engine {
    /// Whatever goes wrong, sending is taken up again: a service that looks alive and does nothing
    /// is the worst of all.
    pub(super) async fn send_all(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.drain(Scope::All, true, stop).await {
                tracing::error!(error = %chain(&error), "sending broke off; it goes on in a moment");
                self.take_up_again(Kind::Members, stop).await;
            }
        }
    }

    pub(super) async fn send_all_events(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.drain_events(Scope::All, true, stop).await {
                tracing::error!(error = %chain(&error), "creating events broke off; it goes on in a moment");
                self.take_up_again(Kind::Events, stop).await;
            }
        }
    }

    /// What a loop that broke off still holds is nobody's: this worker lives on, so no lease would free it.
    async fn take_up_again(&self, kind: Kind, stop: &Stop) {
        loop {
            self.pause_or_stop(HOUSEKEEPING, stop).await;
            match self
                .store
                .give_up_claims(self.worker_id, &self.settings.account, kind, self.clock.now())
                .await
            {
                Ok(0) => return,
                Ok(claims) => return tracing::warn!(claims, "what was in flight is given up"),
                Err(error) if stop.is_requested() => {
                    return tracing::warn!(error = chain(&error), "what was in flight is left to the lease");
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "what was in flight is not given up yet");
                }
            }
        }
    }

    pub(super) async fn watch_folder(&self, stop: &Stop) {
        let Some(settings) = &self.settings.folder else { return };
        if self.settings.schedules.iter().any(Schedule::takes_folder) {
            return self.watch_leftovers(settings, stop).await;
        }
        let mut hint = super::hint::Hint::new();
        let mut folder = None;
        while !stop.is_requested() {
            match &mut folder {
                None => match DropFolder::open(settings) {
                    Ok(opened) => {
                        if let Some(folder) = &opened {
                            folder.inboxes().iter().for_each(|inbox| hint.watch(inbox));
                        }
                        folder = opened;
                    }
                    Err(error) => {
                        tracing::error!(error = %chain(&error), "the drop folder cannot be used yet");
                    }
                },
                Some(folder) => {
                    if let Err(error) = self.folder_pass(folder, stop).await
                        && !matches!(error, EngineError::Stopped)
                    {
                        tracing::error!(error = %chain(&error), "the drop folder could not be looked through");
                    }
                }
            }
            // Hints may come without end, one for each write to a file that grows.
            self.pause_or_stop(settings.poll / 4, stop).await;
            tokio::select! {
                () = self.clock.sleep(settings.poll) => {}
                () = hint.given() => {}
                () = stop.requested() => {}
            }
        }
    }

    /// A folder that schedules take in: only what they left half way or not put away is looked after, and
    /// the folder is held no longer than that takes.
    async fn watch_leftovers(&self, settings: &FolderSettings, stop: &Stop) {
        let mut folder = None;
        while !stop.is_requested() {
            if let Err(error) = self.look_after_leftovers(settings, &mut folder, stop).await
                && !matches!(error, EngineError::Stopped)
            {
                tracing::error!(error = %chain(&error), "the drop folder could not be looked after");
            }
            self.pause_or_stop(settings.poll, stop).await;
        }
    }

    /// Takes up and puts away what earlier looks at the folder have left, unless another process holds it.
    pub async fn put_away(&self, stop: &Stop) -> Result<(), EngineError> {
        match &self.settings.folder {
            Some(settings) => self.look_after_leftovers(settings, &mut None, stop).await,
            None => Ok(()),
        }
    }

    async fn look_after_leftovers(
        &self,
        settings: &FolderSettings,
        folder: &mut Option<DropFolder>,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        if self.store.folder_files(&self.settings.account).await?.is_empty() {
            return Ok(());
        }
        let folder = match folder {
            Some(folder) => folder,
            None => folder.insert(DropFolder::new(settings)?),
        };
        if folder.hold()? {
            let looked = self.folder_pass_over(folder, Reach::LeftOver, stop).await;
            folder.let_go();
            looked?;
        }
        Ok(())
    }

    pub(super) async fn watch_queue(&self, stop: &Stop) {
        while !stop.is_requested() {
            // What is wrong with one table holds up nobody who writes to the other.
            match self.take_event_queue().await {
                Ok(events) if events > 0 => continue,
                Ok(_) => {}
                Err(error) if error.is_passing() => tracing::debug!(%error, "events are read again"),
                Err(error) => tracing::error!(error = %chain(&error), "events could not be read"),
            }
            // Batches that wait to be filled are planned shortly before they leave.
            if let Err(error) = self.lay_queue(self.settings.queue_poll * 2).await {
                tracing::warn!(error = %chain(&error), "rows of the queue go out as they came");
            }
            match self.take_queue(self.settings.max_wait, stop).await {
                // There may be more.
                Ok(rows) if rows > 0 => continue,
                Ok(_) => {}
                // Another process was first: there may be more all the same.
                Err(error) if error.is_passing() => tracing::debug!(%error, "the queue is read again"),
                Err(error) => tracing::error!(error = %chain(&error), "the queue could not be read"),
            }
            self.pause_or_stop(self.settings.queue_poll, stop).await;
        }
    }

    /// What is done once a process, whatever the account.
    pub(super) async fn tidy(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.finish_runs().await {
                tracing::warn!(error = %chain(&error), "open runs could not be looked at");
            }
            self.pause_or_stop(HOUSEKEEPING, stop).await;
        }
    }

    pub(super) async fn pause_or_stop(&self, pause: Duration, stop: &Stop) {
        tokio::select! {
            () = self.clock.sleep(pause) => {}
            () = stop.requested() => {}
        }
    }
}
